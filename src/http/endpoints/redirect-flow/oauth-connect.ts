/** GET /oauth/connect/:providerConfigKey: the popup's first page; it only ever redirects, or says why it cannot (http-api §11.2). */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ConnectFailure } from '../../../auth-modes/auth-mode.ts';
import { admit, resolveTarget } from '../../../connect/attempt.ts';
import { recording } from '../../../connect/attempt-steps.ts';
import { beginConnectFlow, failConnectFlow } from '../../../connect/connect-flow.ts';
import { findSession, sessionTokenPattern, type ConnectContext } from '../../../connect/connect-session.ts';
import { describeFailure, recordFailedAttempt } from '../../../connect/failed-attempt.ts';
import { takeFlowRequest, type RequestedFlow } from '../../../connect/flow-request.ts';
import { flowLifetimeMs, startRedirectFlow, type StartedFlow } from '../../../connect/redirect-flow.ts';
import type { SessionRead } from '../../../store/connect-sessions.ts';
import type { ConnectOutcome } from '../../../store/schema.ts';
import { principalOf, sessionInQuery, type Authentication } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError, toApiError } from '../../errors.ts';
import { FlowId, LooseObject } from '../../field-types.ts';
import { leavingHeaders, sendOutcomePage } from '../../outcome-page.ts';
import type { Services } from '../../services.ts';
import { assertNoConnectionId } from '../direct-auth/direct-auth.ts';
import { connectUiPage } from './finish-flow.ts';

/** Nothing is refused for its shape (§11.2): what is not what it should be counts as absent. */
const Query = z.looseObject({
    params: LooseObject.catch({}).describe('The connection configuration that the provider’s entry asks for, e.g. `params[subdomain]=acme`.'),
    authorization_params: LooseObject.catch({}).describe('Added to the authorization URL. Reserved names are refused.'),
    credentials: LooseObject.catch({}).describe(
        'An OAuth app of the person’s own: `oauth_client_id_override`, `oauth_client_secret_override`, `oauth_refresh_token_override`. ' +
            'In `POST /oauth/flows` they stay out of the URL.',
    ),
    ws_client_id: z.string().max(64).optional().catch(undefined).describe('The socket that is told how it ended.'),
    // read before it is validated
    flow: z
        .unknown()
        .optional()
        .meta({ type: 'string', description: 'A prepared flow, in place of a session token; it is in the URL that `POST /oauth/flows` gives.' }),
    flow_id: FlowId.optional(),
    return_to: z
        .literal('page')
        .optional()
        .catch(undefined)
        .describe('`page`: this window is the only one, and in the end goes back to the Connect UI, with `flow`.'),
    connection_id: z.unknown().optional().meta({ description: 'Refused: the connect session decides which connection it is.', deprecated: true }),
});

/** What the popup's socket calls these failures (http-api §11.2). */
const popupTypes: Readonly<Record<string, string>> = {
    unknown_provider_config: 'provider_config_err',
    unknown_provider_template: 'unknown_config_key',
};

/** JSON where a page would do: failures that the reference answers so to callers without a socket. */
const jsonTypes = new Set(['integration_not_allowed', 'invalid_connection']);

export const oauthConnect = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/oauth/connect/:providerConfigKey'],
        tag: 'Connecting',
        operationId: 'startRedirectFlow',
        summary: 'Begin a redirect flow in the browser',
        description:
            'Opened in a popup; sends the browser on to the provider. A failure is a page, and a message on the socket where one is named; without a socket, ' +
            'failures with a code below are JSON. A page that passes a `flow_id` asks `GET /connect/flows/{flowId}` instead. Other query parameters are ignored.',
        answers: { 302: null, 400: 'text/html', 401: 'text/html', 415: 'text/html', 429: 'text/html' },
        errors: { 400: ['integration_not_allowed', 'invalid_connection'] },
        isSingleUse: true,
        authenticate: sessionOrFlow(services),
        access: 'connect session',
        query: Query,
        // A key that none can have is one that there is not, with a page that says so.
        params: z.object({ providerConfigKey: z.string() }),
        onError: (error, request, reply) => answerFailure(services, error, request, reply),
        async handle({ query, params, principal, found, request, reply }) {
            if (found === undefined) {
                assertNoConnectionId(query);
            }
            const session = principal.session!;
            const { sockets, config } = services;
            const connect = recording(services.connect);
            const connectFlowId = found?.connectFlowId ?? query.flow_id;
            if (connectFlowId !== undefined) {
                await begin(services, { flowId: connectFlowId, session, providerConfigKey: params.providerConfigKey });
            }
            let started: StartedFlow;
            try {
                const attempt = await admit(connect, session, await resolveTarget(connect, session, params.providerConfigKey));
                started = await startRedirectFlow(connect, attempt, {
                    ...(found ?? requestedIn(query)),
                    connectFlowId,
                    returnsToPage: query.return_to === 'page',
                    wsClientId: query.ws_client_id,
                    openerOrigin: sockets.originOf(query.ws_client_id) ?? originOf(request.headers.referer),
                });
            } catch (error) {
                // Nobody failed: the same person goes on in another window.
                if (!(error instanceof ConnectFailure && error.type === 'superseded')) {
                    await recordFailure(connect, session, params.providerConfigKey, error);
                }
                throw error;
            }
            return reply
                .setCookie(started.cookie.name, started.cookie.value, {
                    path: '/',
                    httpOnly: true,
                    secure: config.publicUrl.startsWith('https:'),
                    sameSite: 'lax',
                    maxAge: flowLifetimeMs / 1000,
                })
                .headers(leavingHeaders)
                .redirect(services.browserAddress(started.location), 302);
        },
    });

/** The session token in the query, or a flow that was prepared in a body (S9). */
function sessionOrFlow(services: Services): Authentication<RequestedFlow | undefined> {
    const bySession = sessionInQuery(services);
    return {
        by: bySession.by,
        isForConnecting: true,
        async identify(request) {
            const { flow } = request.query as Record<string, unknown>;
            if (typeof flow !== 'string' || flow === '') {
                return { principal: (await bySession.identify(request)).principal, found: undefined };
            }
            const { providerConfigKey = '' } = request.params as { providerConfigKey?: string };
            const taken = await takeFlowRequest(services.connect, flow, providerConfigKey);
            if (taken === undefined) {
                throw ApiError.legacy(401, 'unknown_connect_session_token', 'This link was used before or has expired.');
            }
            return { principal: principalOf(taken.session), found: taken.requested };
        },
    };
}

function requestedIn(query: z.output<typeof Query>): RequestedFlow {
    const credentials = strings(query.credentials);
    return {
        params: query.params,
        authorizationParams: strings(query.authorization_params),
        clientOverride: { clientId: credentials['oauth_client_id_override'], clientSecret: credentials['oauth_client_secret_override'] },
        refreshTokenOverride: credentials['oauth_refresh_token_override'],
        connectFlowId: query.flow_id,
    };
}

const strings = (values: Record<string, unknown>): Record<string, string> =>
    Object.fromEntries(Object.entries(values).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])));

const originOf = (url: string | undefined): string | undefined => (url !== undefined && URL.canParse(url) ? new URL(url).origin : undefined);

async function recordFailure(connect: ConnectContext, session: SessionRead, providerConfigKey: string, error: unknown): Promise<void> {
    const { type, description } = describeFailure(error);
    await recordFailedAttempt(connect, { session, providerConfigKey, error: { type: popupTypes[type] ?? type, description } });
}

/** @throws ApiError 400 for a name that somebody else has, or that is used up */
async function begin(services: Services, named: Parameters<typeof beginConnectFlow>[1]): Promise<void> {
    if (!(await beginConnectFlow(services.connect, named))) {
        throw ApiError.invalid('invalid_query_params', [{ code: 'custom', message: 'This flow_id has been used', path: ['flow_id'] }]);
    }
    services.flowWaits.wake();
}

/** A page, and a message to whoever waits, where somebody does in a browser; JSON where the contract has it and nobody does (§7.7). */
async function answerFailure(services: Services, error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { sources, sockets, logger } = services;
    const query = request.query as Record<string, unknown>;
    const socketId = typeof query['ws_client_id'] === 'string' ? query['ws_client_id'] : undefined;
    const isTheOnlyWindow = query['return_to'] === 'page';
    const flowId = (request.found as RequestedFlow | undefined)?.connectFlowId ?? FlowId.safeParse(query['flow_id']).data;
    const known = toApiError(error);
    if (known === undefined) {
        logger.error({ err: error }, 'a redirect flow could not be started');
    }
    const isJson = error instanceof ApiError || (error instanceof ConnectFailure && jsonTypes.has(error.type));
    if (known !== undefined && isJson && socketId === undefined && flowId === undefined && !isTheOnlyWindow) {
        return reply.code(known.status).headers(known.headers).send(known.body);
    }
    const outcome: ConnectOutcome = {
        status: 'error',
        provider_config_key: (request.params as { providerConfigKey?: string }).providerConfigKey ?? '',
        error: popupError(error),
        at: new Date(sources.now()).toISOString(),
    };
    const isRecorded = flowId !== undefined && (await recordFor(services, request, flowId, outcome));
    if (isRecorded && isTheOnlyWindow) {
        return reply.headers(leavingHeaders).redirect(connectUiPage(services.config, flowId), 302);
    }
    const openerOrigin = sockets.originOf(socketId);
    if (!(await sockets.deliver(socketId, outcome)) && FlowId.safeParse(socketId).success) {
        // Another replica holds it, and finds this under its id.
        await recordFor(services, request, socketId!, outcome, longestSocketMs);
    }
    return sendOutcomePage(reply.headers(known?.headers ?? {}), outcome, {
        sources,
        openerOrigin,
        status: error instanceof ApiError ? error.status : 400,
        ...(isTheOnlyWindow ? { back: connectUiPage(services.config, flowId) } : {}),
    });
}

/** A socket may wait until long after its session has expired. */
const longestSocketMs = 60 * 60 * 1000;

/**
 * Where whoever waits will find it, by the name of the flow or the id of a socket.
 * @param graceMs how long the session may be over @returns `false` when it is unknown or over, so that nobody can ask
 */
async function recordFor(services: Services, request: FastifyRequest, flowId: string, outcome: ConnectOutcome, graceMs = 0): Promise<boolean> {
    const session = request.principal?.session ?? (await sessionIn(services, request.query as Record<string, unknown>, graceMs));
    if (session === undefined) {
        return false;
    }
    try {
        await failConnectFlow(services.connect, { flowId, session, providerConfigKey: outcome.provider_config_key ?? '' }, outcome.error!);
    } catch (error) {
        services.logger.error({ err: error }, 'the page of a redirect flow could not be told that it failed');
        return false;
    }
    services.flowWaits.wake();
    return true;
}

/** Of a request that was refused before its caller was known: a single-use session after its success, or one that has just expired. */
async function sessionIn({ connect }: Services, query: Readonly<Record<string, unknown>>, graceMs: number): Promise<SessionRead | undefined> {
    const token = query['connect_session_token'];
    return typeof token === 'string' && sessionTokenPattern.test(token) ? findSession(connect, token, graceMs).catch(() => undefined) : undefined;
}

function popupError(error: unknown): { type: string; description: string } {
    if (error instanceof ApiError) {
        const { code, message, errors } = error.body.error as { code: string; message?: string; errors?: { message: string }[] };
        return { type: code, description: message ?? errors?.map((issue) => issue.message).join('; ') ?? code };
    }
    const { type, description } = describeFailure(error);
    return { type: popupTypes[type] ?? type, description };
}
