/** POST /integrations: an environment's own instance of a provider, with its OAuth app. */
import { z } from 'zod';
import { clientSecretPlace, customPlace } from '../../../auth-modes/open-integration.ts';
import type { Provider } from '../../../providers/provider.ts';
import { newRowId } from '../../../sources.ts';
import * as integrations from '../../../store/integrations.ts';
import type { IntegrationRow } from '../../../store/schema.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { DisplayName, IntegrationKey, ProviderName } from '../../field-types.ts';
import { logoUrl } from '../../logo-url.ts';
import type { Services } from '../../services.ts';

const Scopes = z.union([z.literal(''), z.string().regex(/^[0-9a-zA-Z:/_.*-]+(,[0-9a-zA-Z:/_.*-]+)*$/, { abort: true })]);

const OauthApp = <Type extends string>(type: Type) =>
    z.strictObject({
        type: z.literal(type),
        client_id: z.string().min(1).max(255),
        client_secret: z.string().min(1),
        scopes: Scopes.optional(),
        webhook_secret: z.string().max(255).optional(),
    });

const Body = z.strictObject({
    provider: ProviderName,
    unique_key: IntegrationKey,
    display_name: DisplayName.optional(),
    forward_webhooks: z.boolean().optional(),
    credentials: z.discriminatedUnion('type', [OauthApp('OAUTH2')]).optional(),
    // for providers without an `integration_config`, which no entry here has yet
    custom: z.record(z.string(), z.string()).optional(),
    // N2, additive: hosts that may receive the client secret, `.example.com` for every host below it
    allowed_hosts: z
        .array(z.string().regex(/^\.?[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)*(:\d+)?$/))
        .max(50)
        .optional(),
});

export const createIntegration = (services: Services) =>
    endpoint({
        method: 'POST',
        creates: true,
        paths: ['/integrations'],
        tag: 'Integrations',
        summary: 'Create an integration',
        authenticate: apiKey(services),
        access: ['environment:integrations:create'],
        body: Body,
        async handle({ body, principal }) {
            const provider = services.catalogue.get(body.provider);
            if (provider === undefined) {
                throw ApiError.invalid('invalid_body', [
                    { code: 'invalid_string', message: `There is no provider "${body.provider}".`, path: ['provider'] },
                ]);
            }
            assertCredentialsFit(provider, body.credentials);
            const { sources, vault, database } = services;
            const key = { id: newRowId(sources), environment_id: principal.environment!.id };
            const now = new Date(sources.now());
            const webhookSecret = body.credentials?.webhook_secret;
            const custom = { ...body.custom, ...(webhookSecret ? { webhookSecret } : {}) };
            const row = await integrations.insert(database.db, {
                ...key,
                unique_key: body.unique_key,
                provider: provider.name,
                display_name: body.display_name ?? null,
                oauth_client_id: body.credentials?.client_id ?? null,
                sealed_oauth_client_secret:
                    body.credentials === undefined ? null : vault.seal(body.credentials.client_secret, clientSecretPlace(key)),
                oauth_scopes: body.credentials?.scopes ?? provider.entry.default_scopes?.join(',') ?? null,
                sealed_custom: Object.keys(custom).length === 0 ? null : vault.sealJson(custom, customPlace(key)),
                forward_webhooks: body.forward_webhooks ?? true,
                allowed_hosts: body.allowed_hosts ?? null,
                created_at: now,
                updated_at: now,
                deleted_at: null,
            });
            if (row === undefined) {
                throw ApiError.invalid('invalid_body', [
                    { code: 'invalid_string', message: 'An integration with this key exists already.', path: ['unique_key'] },
                ]);
            }
            return { data: integrationView(services, row, provider) };
        },
    });

function assertCredentialsFit(provider: Provider, credentials: { type: string } | undefined): void {
    if (credentials !== undefined && credentials.type !== provider.authMode) {
        throw ApiError.simple(400, 'invalid_body', `The credentials type must be ${provider.authMode}, which ${provider.displayName} uses.`);
    }
    if (credentials === undefined && provider.authMode === 'OAUTH2') {
        throw ApiError.simple(400, 'invalid_body', `${provider.displayName} needs credentials: the client id and secret of your OAuth app.`);
    }
}

const integrationView = (services: Services, row: IntegrationRow, provider: Provider): Record<string, unknown> => ({
    unique_key: row.unique_key,
    provider: row.provider,
    display_name: row.display_name ?? provider.displayName,
    logo: logoUrl(services.config.publicUrl, provider.name),
    forward_webhooks: row.forward_webhooks,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
});
