/** POST /integrations/quickstart: with an app of the operator's, of which there are none here (http-api §7.3). */
import { z } from 'zod';
import type { AuthMode } from '../../../providers/provider.ts';
import * as integrations from '../../../store/integrations.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { DisplayName, IntegrationKey, ProviderName } from '../../field-types.ts';
import type { Services } from '../../services.ts';
import { invalidBody, keyTaken, unknownProvider } from './integration-body.ts';
import { OwnIntegration } from './integration-view.ts';

const sharedModes: ReadonlySet<AuthMode> = new Set(['OAUTH1', 'OAUTH2', 'APP']);

export const quickstartIntegration = (services: Services) =>
    endpoint({
        method: 'POST',
        creates: true,
        paths: ['/integrations/quickstart'],
        tag: 'Integrations',
        operationId: 'createQuickstartIntegration',
        summary: 'Create an integration with a shared app',
        description:
            'Exists for clients that offer it. This server has no shared apps, so every well-formed request is answered with 400 `invalid_body`.',
        authenticate: apiKey(services),
        access: ['environment:integrations:create'],
        body: z.strictObject({
            provider: ProviderName,
            unique_key: IntegrationKey,
            display_name: DisplayName.optional(),
            forward_webhooks: z.boolean().optional(),
        }),
        answers: { 200: z.object({ data: OwnIntegration }) },
        async handle({ body, principal }) {
            const provider = services.catalogue.get(body.provider);
            if (provider === undefined) {
                throw unknownProvider(body.provider);
            }
            if ((await integrations.existingKeys(services.database.db, principal.environment!.id, [body.unique_key])).size > 0) {
                throw keyTaken();
            }
            if (!sharedModes.has(provider.authMode)) {
                throw invalidBody(`${provider.displayName} uses ${provider.authMode}, which has no apps that could be shared.`);
            }
            throw invalidBody(
                `No shared app is configured for ${provider.displayName}; create the integration with the credentials of your own app.`,
            );
        },
    });
