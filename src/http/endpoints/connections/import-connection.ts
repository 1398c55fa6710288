/** POST /connections: a connection whose credentials the backend already holds (http-api §8.3). */
import { z } from 'zod';
import { ConnectFailure } from '../../../auth-modes/auth-mode.ts';
import { findImportTarget, importConnection as runImport, type ImportedConnection, type ImportTarget } from '../../../connect/import-connection.ts';
import { openShownConfig } from '../../../credentials/connection-secrets.ts';
import { parseStoredExpiry } from '../../../credentials/expiry.ts';
import { apiKey, type Principal } from '../../authentication.ts';
import { ConnectionObject } from '../../connection-schema.ts';
import { importedView } from '../../connection-view.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { ConnectionId, EndUser, IntegrationKey, Metadata, Tags, webhookUrl } from '../../field-types.ts';
import { hasScope } from '../../scopes.ts';
import type { Services } from '../../services.ts';
import { assertWebhookUrl } from '../../webhook-url-policy.ts';
import { twoStepErrors } from '../direct-auth/two-step.ts';
import { importFailure } from './import-failure.ts';

const text = (longest: number) => z.string().min(1).max(longest);

/** Kept as it was sent: it is part of `raw`. */
const DateLike = z
    .unknown()
    .superRefine((value, context) => {
        if (value !== null && value !== undefined && parseStoredExpiry(value, 0) === null) {
            context.addIssue({ code: 'invalid_type', expected: 'date', message: 'Expected a date', input: value });
        }
    })
    .meta({
        description: 'A date as text, or as a number of milliseconds or seconds since 1970. `null` is the same as leaving it out.',
        type: ['string', 'number', 'null'],
    });

const ConfigOverride = z.strictObject({ client_id: text(255).optional(), client_secret: text(2048).optional() });
const installation = { app_id: text(255), installation_id: text(255) };

const credentialsSchema = (longestToken: number) =>
    z.discriminatedUnion('type', [
        z.strictObject({
            type: z.literal('OAUTH2'),
            access_token: text(longestToken),
            refresh_token: text(longestToken).optional(),
            expires_at: DateLike.optional(),
            config_override: ConfigOverride.optional(),
        }),
        z.strictObject({
            type: z.literal('OAUTH2_CC'),
            token: text(4096),
            client_id: text(255),
            client_secret: text(2048),
            client_certificate: z.string().max(10_000).optional(),
            client_private_key: z.string().max(10_000).optional(),
            expires_at: DateLike.optional(),
        }),
        z.strictObject({ type: z.literal('OAUTH1'), oauth_token: text(2048), oauth_token_secret: text(2048) }),
        z.strictObject({ type: z.literal('BASIC'), username: z.string().max(1024), password: z.string().max(1024) }),
        z.strictObject({ type: z.literal('API_KEY'), apiKey: text(1024) }),
        z.strictObject({ type: z.literal('NONE') }),
        z.strictObject({
            type: z.literal('TBA'),
            token_id: z.string().min(1),
            token_secret: z.string().min(1),
            config_override: ConfigOverride.optional(),
        }),
        z.strictObject({ type: z.literal('APP'), ...installation }),
        z.strictObject({ type: z.literal('CUSTOM'), ...installation }),
        // A6: as at the mode's own endpoint; the reference takes none of these.
        z.looseObject({ type: z.literal('JWT') }),
        z.looseObject({ type: z.literal('TWO_STEP') }),
        z.strictObject({ type: z.literal('SIGNATURE'), username: text(1024), password: text(1024) }),
        z.strictObject({
            type: z.literal('BILL'),
            username: text(1024),
            password: text(1024),
            organization_id: text(1024),
            dev_key: text(1024),
        }),
        z.strictObject({ type: z.literal('AWS_SIGV4'), role_arn: text(2048), region: text(64).optional() }),
    ]);

const bodySchema = (services: Services) =>
    z.strictObject({
        provider_config_key: IntegrationKey,
        connection_id: ConnectionId.optional().describe('Default: a new one.'),
        credentials: credentialsSchema(services.config.oauth2TokenMaxLength),
        metadata: Metadata.optional(),
        connection_config: z.looseObject({ oauth_scopes_override: z.array(z.string()).optional() }).optional(),
        webhook_url_override: webhookUrl((url) => assertWebhookUrl(services, url)).optional(),
        end_user: EndUser.optional(),
        tags: Tags.optional(),
    });

type Body = z.output<ReturnType<typeof bodySchema>>;

export const importConnection = (services: Services) =>
    endpoint({
        method: 'POST',
        creates: true,
        paths: ['/connections'],
        tag: 'Connections',
        operationId: 'importConnection',
        summary: 'Import a connection',
        description:
            'For credentials that your backend holds already. An existing connection with this id and `provider_config_key` is overridden: its credentials are replaced, members of `connection_config` ' +
            'are laid over the stored ones, and `metadata`, `tags`, `end_user` and `webhook_url_override` stay as they are unless the request has them. ' +
            'API keys, user names with passwords and token pairs are first tried at the provider where its entry says how; for `APP` and `CUSTOM` an ' +
            'installation token is fetched.',
        authenticate: apiKey(services),
        access: ['environment:connections:create'],
        answers: { 201: ConnectionObject },
        errors: {
            400: [
                'connection_test_failed',
                ...twoStepErrors,
                'invalid_auth_mode',
                'invalid_credentials',
                'failed_to_sign',
                'missing_aws_sigv4_service',
                'missing_aws_sigv4_sts_endpoint',
                'missing_aws_sigv4_builtin_credentials',
                'missing_aws_sigv4_region',
                'invalid_aws_sigv4_config',
            ],
            404: ['not_found'],
            500: ['server_error'],
            502: ['aws_sigv4_sts_request_failed'],
            503: ['verification_unavailable'],
        },
        body: bodySchema(services),
        noStore: true,
        async handle({ body, principal, reply }) {
            try {
                const target = await targetOf(services, body, principal);
                const imported = await runImport(services.connect, target, {
                    connectionId: body.connection_id,
                    credentials: body.credentials,
                    isTested: true,
                    connectionConfig: body.connection_config ?? {},
                    metadata: body.metadata,
                    webhookUrlOverride: body.webhook_url_override,
                    endUser: body.end_user && endUserOf(body.end_user),
                    tags: body.tags,
                });
                return await reply.code(201).send(await view(services, principal, body, imported));
            } catch (error) {
                throw importFailure(services, accountIdAsBody(error), noIntegration);
            }
        },
    });

const endUserOf = ({ id, email, display_name, tags }: z.output<typeof EndUser>) => ({
    id,
    email: email ?? null,
    display_name: display_name ?? null,
    tags: tags ?? null,
});

const noIntegration = (): ApiError => ApiError.simple(404, 'not_found', 'There is no integration with this provider_config_key.');

async function targetOf(services: Services, body: Body, principal: Principal): Promise<ImportTarget> {
    const target = await findImportTarget(services.connect, principal.environment!.id, body.provider_config_key);
    if (target === 'no integration') {
        throw noIntegration();
    }
    if (target === 'no provider') {
        throw ApiError.simple(404, 'not_found', 'The provider of this integration is not in the catalogue.');
    }
    const { authMode, displayName } = target.provider;
    // A6: connections of the MCP modes have the credentials of OAUTH2, so that is what they are imported with.
    const type = authMode === 'MCP_OAUTH2' || authMode === 'MCP_OAUTH2_GENERIC' ? 'OAUTH2' : authMode;
    if (body.credentials.type !== type) {
        throw ApiError.simple(400, 'invalid_body', `The credentials type must be ${type}, which ${displayName} uses.`);
    }
    return target;
}

/** The deprecated import has a code of its own for it. */
const accountIdAsBody = (error: unknown): unknown =>
    error instanceof ConnectFailure && error.type === 'missing_account_id' ? ApiError.simple(400, 'invalid_body', error.message) : error;

/** Stored secrets that this call has not brought along are for those who may read credentials (E4). */
async function view(services: Services, principal: Principal, body: Body, imported: ImportedConnection): Promise<Record<string, unknown>> {
    const { row } = imported;
    const mayReadCredentials = hasScope(principal.scopes, 'environment:connections:read_credentials');
    return importedView(
        { ...row, provider_config_key: body.provider_config_key },
        {
            credentials: imported.credentials,
            connectionConfig: mayReadCredentials
                ? await openShownConfig(services.vault, row)
                : { ...row.connection_config, ...imported.connectionConfig },
            isEndUserGiven: body.end_user !== undefined,
        },
    );
}
