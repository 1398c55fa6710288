/** POST /api-auth/api-key/:key, /api-auth/basic/:key and /auth/unauthenticated/:key: what the user types in is all it takes (http-api §12). */
import { z } from 'zod';
import { ConnectFailure } from '../../../auth-modes/auth-mode.ts';
import { admit, resolveTarget } from '../../../connect/attempt.ts';
import { connectDirectly, type DirectRequest } from '../../../connect/direct-connect.ts';
import type { SessionRead } from '../../../store/connect-sessions.ts';
import { sessionInQuery } from '../../authentication.ts';
import { endpoint, type Endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { ConnectionId, IntegrationKey, LooseObject } from '../../field-types.ts';
import type { Services } from '../../services.ts';

/** Not strict: `user_scope`, `hmac` and whatever else a client sends along is ignored (§12.1). */
export const ConnectQuery = z.looseObject({
    connection_id: ConnectionId.optional().meta({ description: 'Refused: the connect session decides which connection it is.', deprecated: true }),
    params: LooseObject.default({}).describe('The connection configuration that the provider’s entry asks for, e.g. `params[subdomain]=acme`.'),
});

/** The one answer of every endpoint here (§12.1). */
export const Connected = z
    .strictObject({ connectionId: z.string().describe('What your backend reads the connection by.'), providerConfigKey: z.string() })
    .meta({ id: 'Connected' });

/** What stands in the way of connecting, whatever is submitted (§12.1). */
export const connectErrors = {
    400: ['account_or_environment_retrieval_err', 'invalid_auth_mode', 'integration_not_allowed', 'invalid_connection', 'connection_test_failed'],
    404: ['unknown_provider_config', 'unknown_provider_template'],
    // The provider said nothing about the credentials: trying again later is worth it (A3).
    503: ['verification_unavailable'],
} as const;

interface DirectAuth<Body> {
    path: string;
    /** Where older clients send the same. */
    aliases?: readonly string[];
    mode: string;
    operationId: string;
    summary: string;
    body: Body;
    /** Codes of the mode's own failures, beside `connectErrors`. */
    errors?: Readonly<Record<number, readonly string[]>>;
}

export const directAuth = <Body extends z.ZodType<Record<string, unknown> | undefined>>(services: Services, definition: DirectAuth<Body>): Endpoint =>
    endpoint({
        method: 'POST',
        creates: true,
        paths: [definition.path as '/', ...(definition.aliases ?? [])],
        tag: 'Connecting',
        operationId: definition.operationId,
        summary: definition.summary,
        description: connectDescription,
        answers: { 200: Connected },
        errors: withOwn(definition.errors),
        authenticate: sessionInQuery(services),
        access: 'connect session',
        order: ['body', 'query', 'params'],
        body: definition.body,
        query: ConnectQuery,
        params: z.object({ providerConfigKey: IntegrationKey }),
        handle({ body, query, params, principal }) {
            assertNoConnectionId(query);
            const attempt = { mode: definition.mode, session: principal.session!, integrationKey: params.providerConfigKey };
            return connectSubmitted(services, attempt, { params: query.params, submitted: body ?? {} });
        },
    });

export const connectDescription =
    'The credentials are tried at the provider, where its entry says how, and stored sealed. With a session for a reconnect they replace those of its ' +
    'connection. Other query parameters are ignored.';

export const withOwn = (own: Readonly<Record<number, readonly string[]>> = {}): Readonly<Record<number, readonly string[]>> =>
    Object.entries(own).reduce<Record<number, readonly string[]>>(
        (all, [status, codes]) => ({ ...all, [status]: [...(all[Number(status)] ?? []), ...codes] }),
        { ...connectErrors },
    );

/** The checks in their order (§12.1), then the attempt itself. */
export async function connectSubmitted(
    services: Services,
    { mode, session, integrationKey }: { mode: string; session: SessionRead; integrationKey: string },
    request: DirectRequest,
): Promise<z.output<typeof Connected>> {
    const target = await resolveTarget(services.connect, session, integrationKey);
    if (target.provider.authMode !== mode || target.mode === undefined) {
        throw otherMode(target.provider, mode);
    }
    const attempt = await admit(services.connect, session, { ...target, mode: target.mode });
    const saved = await connectDirectly(services.connect, attempt, request);
    return { connectionId: saved.row.connection_id, providerConfigKey: target.integration.unique_key };
}

function otherMode({ displayName, authMode }: { displayName: string; authMode: string }, tried: string): ConnectFailure {
    // Clients before 0.71.9 take credentials with a client id for an OAuth client, and send nothing else of them (frontend contract §1.6).
    return tried === 'OAUTH2_CC' && authMode === 'TWO_STEP'
        ? new ConnectFailure(
              'outdated_client',
              `What ${displayName} needs did not all arrive: @nangohq/frontend sends it from 0.71.9 on, with type TWO_STEP. Through the Connect UI any version does.`,
          )
        : new ConnectFailure('invalid_auth_mode', `${displayName} is connected in another way (${authMode}).`);
}

/** A session decides the connection id itself. */
export function assertNoConnectionId(query: Readonly<Record<string, unknown>>): void {
    if (query['connection_id'] !== undefined) {
        const message = 'A connect session decides this itself';
        throw ApiError.invalid('invalid_query_params', [{ code: 'custom', message, path: ['connection_id'] }], { isShown: true });
    }
}

export const connectWithApiKey = (services: Services) =>
    directAuth(services, {
        path: '/api-auth/api-key/:providerConfigKey',
        mode: 'API_KEY',
        operationId: 'connectWithApiKey',
        summary: 'Connect with an API key',
        body: z.strictObject({ apiKey: z.string().min(1).max(1024).describe('As the person typed it.') }),
    });

/** The client sends only the fields its caller gave; some providers use one of the two. */
export const connectWithBasic = (services: Services) =>
    directAuth(services, {
        path: '/api-auth/basic/:providerConfigKey',
        mode: 'BASIC',
        operationId: 'connectWithBasic',
        summary: 'Connect with user name and password',
        body: z.strictObject({ username: z.string().max(1024).default(''), password: z.string().max(1024).default('') }),
    });

/** The official client sends a JSON content type and no body. */
export const connectWithoutCredentials = (services: Services) =>
    directAuth(services, {
        path: '/auth/unauthenticated/:providerConfigKey',
        mode: 'NONE',
        operationId: 'connectWithoutCredentials',
        summary: 'Connect without credentials',
        body: z.strictObject({}).optional(),
    });
