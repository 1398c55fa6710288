/** POST /connection: the import of old clients, whose body depends on the integration (http-api §8.4). */
import { z } from 'zod';
import { findImportTarget, importConnection, type ImportTarget } from '../../../connect/import-connection.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError, toIssues } from '../../errors.ts';
import { ConnectionId, Metadata, webhookUrl } from '../../field-types.ts';
import type { Services } from '../../services.ts';
import { assertWebhookUrl } from '../../webhook-url-policy.ts';
import { importFailure } from './import-failure.ts';
import { untypedCredentials, untypedCredentialsErrors } from './untyped-credentials.ts';

/** For the description of the API: which members count depends on the mode, and none is checked before that is known. */
const Body = z
    .looseObject({
        provider_config_key: z.unknown().meta({ type: 'string', examples: ['github-prod'] }),
        connection_id: z
            .unknown()
            .optional()
            .meta({ examples: ['acme'] }),
    })
    .describe(
        '`metadata`, `connection_config` and `webhook_url_override` as in POST /connections; beside them the credentials: `access_token`, ' +
            '`refresh_token`, `expires_at`, `expires_in`, `no_expiration`, `raw`, `oauth_client_id_override`, `oauth_client_secret_override`; ' +
            '`oauth_token` and `oauth_token_secret`; `username` and `password`; `api_key`; `app_id` and `installation_id`; `token_id` and `token_secret`.',
    );

const Answer = z
    .looseObject({ connection_id: z.string(), provider_config_key: z.string() })
    .describe('The request without its secrets, and the id of the connection.');

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** What every mode may have; the names of old clients are kept. */
const sharedSchema = (services: Services) =>
    z.object({
        connection_id: z.preprocess((id) => (id === null || id === '' ? undefined : id), ConnectionId.optional()),
        metadata: Metadata.nullish(),
        connection_config: z
            .looseObject({
                oauth_scopes_override: z
                    .union([z.array(z.string()), z.string().transform((list) => list.split(',').map((scope) => scope.trim()))])
                    .optional(),
            })
            .nullish(),
        webhook_url_override: webhookUrl((url) => assertWebhookUrl(services, url)).nullish(),
    });

export const importConnectionUntyped = (services: Services) => {
    const Shared = sharedSchema(services);
    return endpoint({
        method: 'POST',
        creates: true,
        paths: ['/connection'],
        tag: 'Connections',
        operationId: 'importConnectionDeprecated',
        summary: 'Import a connection, for old clients',
        description:
            'Use `POST /connections` instead. An existing connection with this id is overridden, as there. Credentials are not tried at the provider.',
        isDeprecated: true,
        authenticate: apiKey(services),
        access: ['environment:connections:create'],
        answers: { 201: Answer },
        errors: {
            400: ['missing_provider_config', 'unknown_provider_config', 'missing_account_id', ...untypedCredentialsErrors],
            404: ['unknown_provider_template'],
            500: ['server_error'],
        },
        body: Body,
        // Missing members have codes of their own, whatever the body is.
        bodyFor: () => z.unknown(),
        noStore: true,
        async handle({ body: sent, principal, reply }) {
            const body: Record<string, unknown> = isObject(sent) ? sent : {};
            try {
                const target = await targetOf(services, principal.environment!.id, body['provider_config_key']);
                const parsed = Shared.safeParse(body);
                if (!parsed.success) {
                    throw ApiError.invalid('invalid_body', toIssues(parsed.error));
                }
                const { connection_id, metadata, connection_config, webhook_url_override } = parsed.data;
                const imported = await importConnection(services.connect, target, {
                    connectionId: connection_id,
                    ...untypedCredentials(target.provider.authMode, body, services.sources.now()),
                    isTested: false,
                    connectionConfig: connection_config ?? {},
                    metadata: metadata ?? undefined,
                    webhookUrlOverride: webhook_url_override ?? undefined,
                    endUser: undefined,
                    tags: undefined,
                });
                const given = new Set(Object.keys(connection_config ?? {}));
                return await reply.code(201).send({
                    ...Object.fromEntries(Object.entries(body).filter(([name]) => echoed.has(name))),
                    // As it was stored: what is sealed there is not shown here.
                    ...(isObject(body['connection_config'])
                        ? {
                              connection_config: Object.fromEntries(
                                  Object.entries(imported.row.connection_config).filter(([name]) => given.has(name)),
                              ),
                          }
                        : {}),
                    connection_id: imported.row.connection_id,
                });
            } catch (error) {
                throw importFailure(services, error, noIntegration);
            }
        },
    });
};

/** Members that are never secret. Others may be anything, and are not repeated. */
const echoed = new Set([
    'provider_config_key',
    'metadata',
    'webhook_url_override',
    'expires_at',
    'expires_in',
    'no_expiration',
    'oauth_client_id_override',
    'app_id',
    'installation_id',
]);

const noIntegration = (): ApiError => ApiError.legacy(400, 'unknown_provider_config', 'There is no integration with this provider_config_key.');

async function targetOf(services: Services, environmentId: string, key: unknown): Promise<ImportTarget> {
    if (typeof key !== 'string' || key === '') {
        throw ApiError.legacy(400, 'missing_provider_config', 'provider_config_key is missing.');
    }
    const target = await findImportTarget(services.connect, environmentId, key);
    if (target === 'no integration') {
        throw noIntegration();
    }
    if (target === 'no provider') {
        throw ApiError.simple(404, 'unknown_provider_template', 'The provider of this integration is not in the catalogue.');
    }
    return target;
}
