/** PATCH /integrations/:uniqueKey: what is not named stays as it is. */
import { z } from 'zod';
import { changeIntegration, openSetup } from '../../../environments/integration.ts';
import type { Db } from '../../../store/database.ts';
import * as integrations from '../../../store/integrations.ts';
import type { IntegrationRow } from '../../../store/schema.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { DisplayName, IntegrationKey } from '../../field-types.ts';
import type { Services } from '../../services.ts';
import {
    acceptedConfig,
    AllowedHosts,
    assertCredentialsFit,
    Credentials,
    Custom,
    IntegrationConfig,
    invalidBody,
    noIntegration,
} from './integration-body.ts';
import { OwnIntegration, ownIntegrationView } from './integration-view.ts';

export const updateIntegration = (services: Services) =>
    endpoint({
        method: 'PATCH',
        paths: ['/integrations/:uniqueKey'],
        tag: 'Integrations',
        summary: 'Change an integration',
        description:
            'What is not named stays. `credentials` replaces the stored ones as a block, except that absent `scopes` and an absent `webhook_secret` ' +
            'stay and empty ones are removed. `integration_config` and `custom` are merged into what is stored; an empty `integration_config` value ' +
            'removes an optional one. The key can be changed while the integration has no connections.',
        authenticate: apiKey(services),
        access: ['environment:integrations:update'],
        order: ['query', 'body', 'params'],
        params: z.object({ uniqueKey: IntegrationKey }),
        body: z.strictObject({
            unique_key: IntegrationKey.optional(),
            display_name: DisplayName.optional().meta({ examples: ['GitHub'] }),
            forward_webhooks: z.boolean().optional(),
            credentials: Credentials.optional(),
            integration_config: IntegrationConfig.optional(),
            custom: Custom.optional(),
            allowed_hosts: AllowedHosts.nullable().optional(),
        }),
        answers: { 200: z.object({ data: OwnIntegration }) },
        errors: { 404: ['not_found'] },
        async handle({ body, params, principal }) {
            const { database, catalogue, vault } = services;
            // One at a time: each merges into what the one before has left.
            const change = database.db.transaction().execute(async (transaction) => {
                const stored = await integrations.lockByKey(transaction, principal.environment!.id, params.uniqueKey);
                const provider = stored && catalogue.get(stored.provider);
                if (stored === undefined || provider === undefined) {
                    throw noIntegration();
                }
                assertCredentialsFit(provider, body.credentials);
                await assertRenamable(transaction, stored, body.unique_key);
                const setup = await openSetup(vault, stored);
                const config = acceptedConfig(provider, body, setup.extras.config ?? {});
                return changeIntegration(transaction, services, stored, setup, { ...body, config });
            });
            const row = await change.catch((error: unknown) => {
                throw integrations.isKeyTaken(error) ? keyOfAnother() : error;
            });
            return { data: await ownIntegrationView(services, row) };
        },
    });

const keyOfAnother = () => invalidBody('Another integration has this unique_key.');

/** @throws ApiError */
async function assertRenamable(db: Db, stored: IntegrationRow, wanted: string | undefined): Promise<void> {
    if (wanted === undefined || wanted === stored.unique_key) {
        return;
    }
    if ((await integrations.existingKeys(db, stored.environment_id, [wanted])).size > 0) {
        throw keyOfAnother();
    }
    if (await integrations.hasConnections(db, stored.id)) {
        throw invalidBody('The unique_key cannot be changed while the integration has connections: they are found by it.');
    }
}
