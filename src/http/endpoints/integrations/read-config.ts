/** GET /config/:providerConfigKey: the deprecated form of GET /integrations/:uniqueKey (http-api §7.7). */
import { z } from 'zod';
import { derivedSecret, openSetup, type IntegrationSetup } from '../../../environments/integration.ts';
import type { Provider } from '../../../providers/provider.ts';
import * as connections from '../../../store/connections.ts';
import * as environments from '../../../store/environments.ts';
import * as integrations from '../../../store/integrations.ts';
import type { IntegrationRow } from '../../../store/schema.ts';
import { apiKey } from '../../authentication.ts';
import { anyQuery, endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { hasScope } from '../../scopes.ts';
import type { Services } from '../../services.ts';
import { hasWebhooks, webhookUrl } from './integration-view.ts';

/** There are no syncs or actions here. */
const nothing = z.array(z.unknown()).max(0);

const Config = z.object({ unique_key: z.string(), provider: z.string(), syncs: nothing, actions: nothing });

const text = z.string().nullable();

const ConfigWithCredentials = Config.extend({
    client_id: text,
    client_secret: text.describe('APP: the private key, base64 of its PEM.'),
    custom: z.record(z.string(), z.string()).nullable(),
    scopes: text,
    app_link: text,
    auth_mode: z.string(),
    created_at: z.iso.datetime(),
    has_webhook: z.boolean(),
    webhook_secret: text.describe('APP, CUSTOM: what their webhooks are signed with.'),
    webhook_url: text,
    has_webhook_user_defined_secret: z.boolean(),
    docs: z.string(),
    connection_count: z.int(),
    connections: z.array(
        z.object({
            id: z.int(),
            connection_id: z.string(),
            provider_config_key: z.string(),
            environment_id: z.int(),
            connection_config: z.record(z.string(), z.unknown()),
        }),
    ),
});

export const readConfig = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/config/:providerConfigKey'],
        tag: 'Integrations',
        operationId: 'getIntegrationDeprecated',
        summary: 'Read an integration, for old clients',
        description:
            'Use `GET /integrations/{uniqueKey}` instead. With `include_creds=true`, which needs `environment:integrations:read_credentials`, also its credentials and all its connections.',
        isDeprecated: true,
        authenticate: apiKey(services),
        access: ['environment:integrations:read', 'environment:integrations:read_credentials'],
        anyContentType: true,
        noStore: true,
        params: z.object({ providerConfigKey: z.string() }),
        query: anyQuery,
        answers: { 200: z.object({ config: z.union([ConfigWithCredentials, Config]) }) },
        errors: { 400: ['unknown_provider_config', 'unknown_provider_template'] },
        async handle({ query, params, principal }) {
            const isWithCredentials = query['include_creds'] === 'true';
            if (isWithCredentials && !hasScope(principal.scopes, 'environment:integrations:read_credentials')) {
                throw ApiError.simple(403, 'forbidden', 'Insufficient scope. Required: environment:integrations:read_credentials');
            }
            const row = await integrations.findByKey(services.database.db, principal.environment!.id, params.providerConfigKey);
            if (row === undefined) {
                throw ApiError.legacy(400, 'unknown_provider_config', 'There is no integration with this key.');
            }
            const provider = services.catalogue.get(row.provider);
            if (provider === undefined) {
                throw ApiError.legacy(400, 'unknown_provider_template', 'The provider of this integration is not in the catalogue.');
            }
            const config: z.output<typeof Config> = { unique_key: row.unique_key, provider: row.provider, syncs: [], actions: [] };
            return { config: isWithCredentials ? { ...config, ...(await credentialed(services, row, provider)) } : config };
        },
    });

async function credentialed(
    services: Services,
    row: IntegrationRow,
    provider: Provider,
): Promise<Omit<z.output<typeof ConfigWithCredentials>, keyof z.output<typeof Config>>> {
    const { db } = services.database;
    const [setup, environment, rows] = await Promise.all([
        openSetup(services.vault, row),
        environments.findById(db, row.environment_id),
        connections.ofIntegration(db, row.id),
    ]);
    return {
        ...legacySecrets(provider, setup),
        client_id: setup.clientId,
        scopes: setup.scopes || null,
        app_link: setup.extras.app_link ?? null,
        auth_mode: provider.authMode,
        created_at: row.created_at.toISOString(),
        has_webhook: hasWebhooks(provider),
        webhook_url: webhookUrl(services, row, provider),
        has_webhook_user_defined_secret: provider.entry['webhook_user_defined_secret'] === true,
        docs: provider.entry.docs ?? '',
        connection_count: rows.length,
        connections: rows.map((connection) => ({
            id: connection.public_id,
            connection_id: connection.connection_id,
            provider_config_key: row.unique_key,
            environment_id: environment!.public_id,
            connection_config: connection.connection_config,
        })),
    };
}

/** As old clients know them: private keys as base64, everything that is not a column in one map (auth-modes §2.1). */
function legacySecrets(provider: Provider, { clientId, clientSecret, extras }: IntegrationSetup) {
    const isApp = provider.authMode === 'APP';
    const appId = isApp ? clientId : extras.app_id;
    const pem = isApp ? clientSecret : extras.private_key;
    const key = pem == null ? undefined : Buffer.from(pem).toString('base64');
    const custom = {
        ...extras.config,
        ...extras.custom,
        ...(provider.authMode === 'CUSTOM' && appId && key ? { app_id: appId, private_key: key } : {}),
    };
    return {
        client_secret: isApp ? (key ?? null) : clientSecret,
        custom: Object.keys(custom).length === 0 ? null : custom,
        webhook_secret: appId && pem && extras.app_link ? derivedSecret(appId, pem, extras.app_link) : null,
    };
}
