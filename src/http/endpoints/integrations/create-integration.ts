/** POST /integrations: an environment's own instance of a provider, with its OAuth app. */
import { z } from 'zod';
import { createIntegration as create } from '../../../environments/integration.ts';
import * as integrations from '../../../store/integrations.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { DisplayName, IntegrationKey, ProviderName } from '../../field-types.ts';
import type { Services } from '../../services.ts';
import {
    acceptedConfig,
    AllowedHosts,
    assertCredentialsFit,
    assertCredentialsGiven,
    Credentials,
    Custom,
    IntegrationConfig,
    keyTaken,
    unknownProvider,
} from './integration-body.ts';
import { keepClient, prepareClient } from './prepared-client.ts';
import { OwnIntegration, ownIntegrationView } from './integration-view.ts';

export const createIntegration = (services: Services) =>
    endpoint({
        method: 'POST',
        creates: true,
        paths: ['/integrations'],
        tag: 'Integrations',
        summary: 'Create an integration',
        description:
            'Providers of the auth modes OAUTH1, OAUTH2, APP and CUSTOM need `credentials`, of the type that is their auth mode. Without `scopes`, ' +
            'the provider’s default scopes are stored. A key that is taken is a 400 `invalid_body`. For INSTALL_PLUGIN, `custom` has `app_link`, where the ' +
            'plugin is installed, and its key pair as `username` and `password`, as they are; for CUSTOM, `custom.webhookSecret` may have a webhook secret. ' +
            'Where the provider registers clients by itself (MCP_OAUTH2, `client_registration: dynamic`), one is registered unless `credentials` are given; ' +
            'if that fails, nothing is created.',
        authenticate: apiKey(services),
        access: ['environment:integrations:create'],
        body: z.strictObject({
            provider: ProviderName,
            unique_key: IntegrationKey,
            display_name: DisplayName.optional(),
            forward_webhooks: z.boolean().optional(),
            credentials: Credentials.optional(),
            integration_config: IntegrationConfig.optional(),
            custom: Custom.optional(),
            allowed_hosts: AllowedHosts.optional(),
        }),
        answers: { 200: z.object({ data: OwnIntegration }) },
        errors: { 400: ['client_registration_failed'], 503: ['client_registration_unavailable'] },
        async handle({ body, principal }) {
            const { database, catalogue, clients } = services;
            const provider = catalogue.get(body.provider);
            if (provider === undefined) {
                throw unknownProvider(body.provider);
            }
            assertCredentialsFit(provider, body.credentials);
            assertCredentialsGiven(provider, body.credentials);
            const environmentId = principal.environment!.id;
            if ((await integrations.existingKeys(database.db, environmentId, [body.unique_key])).size > 0) {
                throw keyTaken();
            }
            const wanted = { ...body, environmentId, config: acceptedConfig(provider, body), defaultScopes: provider.entry.default_scopes };
            const registration =
                body.credentials === undefined
                    ? await prepareClient(services, { provider, environmentId, uniqueKey: body.unique_key, custom: body.custom })
                    : undefined;
            const row = await database.db
                .transaction()
                .execute(async (transaction) => {
                    const created = await create(transaction, services, wanted);
                    if (created === undefined) {
                        throw keyTaken();
                    }
                    await keepClient(services, transaction, created, registration);
                    return created;
                })
                .catch((error: unknown) => {
                    clients.unregister(registration === undefined ? [] : [registration]);
                    throw error;
                });
            return { data: await ownIntegrationView(services, row) };
        },
    });
