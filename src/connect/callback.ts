/** The second half of a redirect flow: from the provider's callback to a stored connection, or to a reason why there is none. */
import { ConnectFailure, type Completed, type ModeIntegration, type RedirectFlow } from '../auth-modes/auth-mode.ts';
import { openIntegration } from '../auth-modes/open-integration.ts';
import { recorded } from '../auth-modes/recorded-context.ts';
import { authModes } from '../auth-modes/index.ts';
import { isSecretName, openConfig } from '../credentials/connection-secrets.ts';
import type { Credentials } from '../credentials/credential.ts';
import { TokenFailure } from '../credentials/token-failure.ts';
import { equalInConstantTime } from '../credentials/vault.ts';
import type { Provider } from '../providers/provider.ts';
import * as connections from '../store/connections.ts';
import * as sessions from '../store/connect-sessions.ts';
import type { SessionRead } from '../store/connect-sessions.ts';
import * as integrations from '../store/integrations.ts';
import * as flows from '../store/oauth-flows.ts';
import type { ConnectionRow, ConnectOutcome, IntegrationRow, OauthFlowRow } from '../store/schema.ts';
import { accessGranted, browserCameBack, recording } from './attempt-steps.ts';
import { assertMayRenew, connectedAccount } from './connected-account.ts';
import { isUsedUp, sessionUsedMessage, type ConnectContext } from './connect-session.ts';
import { describeFailure, recordFailedAttempt } from './failed-attempt.ts';
import { bindingCookieName, digest, flowSecretsPlace, type FlowSecrets } from './redirect-flow.ts';
import { saveConnection } from './save-connection.ts';

export interface CallbackRequest {
    query: Readonly<Record<string, unknown>>;
    cookies: Readonly<Record<string, string | undefined>>;
    /** The auth mode that this address is for; absent: any. */
    onlyMode?: string;
}

export interface CallbackResult {
    outcome: ConnectOutcome;
    /** The flow this answers; absent when the state is unknown, so that nobody waits. */
    flow?: Pick<OauthFlowRow, 'id' | 'ws_client_id' | 'opener_origin' | 'connect_flow_id' | 'returns_to_page'>;
    /** The binding cookie, to be cleared. */
    cookieName?: string;
}

/** A foreign browser or a replay is not the end user's failure to connect; and a deleted environment has nobody to tell. */
const untold = new Set(['state_cookie_err', 'state_err', 'unknown_connect_session_token', 'account_or_environment_retrieval_err']);

/** Never throws for what a browser or a provider sends: every path has an outcome. */
export async function completeCallback(context: ConnectContext, request: CallbackRequest): Promise<CallbackResult> {
    const state = [request.query['state'], request.query['payload'], request.query['customField']].find(
        (value) => typeof value === 'string' && value !== '',
    );
    if (typeof state !== 'string') {
        return { outcome: unattributed(context, 'state_err', 'The callback carries no state, so it belongs to no connection attempt.') };
    }
    const stateHash = digest(state);
    const flow = await flows.consume(context.db, stateHash, new Date(context.sources.now()));
    if (flow === undefined) {
        return {
            outcome: unattributed(context, 'invalid_oauth_state', 'This connection attempt is unknown or was finished before. Please start again.'),
        };
    }
    await context.onStep?.('connect-consumed');
    const cookieName = bindingCookieName(stateHash, context.publicUrl.startsWith('https:'));
    return { outcome: await finishFlow(recording(context), request, flow, cookieName), flow, cookieName };
}

async function finishFlow(context: ConnectContext, request: CallbackRequest, flow: OauthFlowRow, cookieName: string): Promise<ConnectOutcome> {
    const session = flow.connect_session_id === null ? undefined : await sessions.findById(context.db, flow.connect_session_id);
    const integration = await integrations.findById(context.db, flow.integration_id);
    const provider = integration && context.catalogue.get(integration.provider);
    const mode = provider && authModes.get(provider.authMode);
    browserCameBack(context, request.query);
    try {
        if (request.onlyMode !== undefined) {
            assertMode(request.onlyMode, integration, provider);
        }
        if (session === undefined || integration === undefined || provider === undefined || mode?.redirect === undefined) {
            throw new ConnectFailure('unknown_err', 'The connect session or the integration of this attempt no longer exists.');
        }
        if (session.environment_gone) {
            throw new ConnectFailure('account_or_environment_retrieval_err', 'The environment of this attempt was deleted.');
        }
        assertLive(context, flow);
        if (isUsedUp(session)) {
            throw new ConnectFailure('unknown_connect_session_token', sessionUsedMessage);
        }
        const renewed = await assertStillThere(context, session);
        assertSameBrowser(request, flow, session, cookieName);
        const secrets = await openSecrets(context, flow);
        assertIssuer(request.query, secrets);
        const effective = await openEffectiveIntegration(context, integration, session, secrets);
        const known = await connectedAccount(context, mode.redirect, request.query, { session, integration });
        const storedConfig = known && (await openConfig(context.vault, known));
        const completed = await complete(context, mode.redirect, { provider, integration: effective, request, flow, secrets, storedConfig });
        await context.onStep?.('connect-answered');
        assertMayRenew({ session, renewed, known }, completed.obtained);
        const attempt = { session, integration, provider, mode, connectionId: known?.connection_id ?? flow.connection_id };
        const saved = await saveConnection(context, attempt, completed.obtained, completed.connectionConfig, effective, flow.id);
        await context.onStep?.('connect-committed');
        return {
            status: 'success',
            provider_config_key: integration.unique_key,
            connection_id: saved.row.connection_id,
            is_pending: completed.obtained.isPending ?? false,
            at: new Date(context.sources.now()).toISOString(),
        };
    } catch (error) {
        const { type, description, isExpected } = describeFailure(error);
        if (!isExpected) {
            context.logger.error({ err: error, flow: flow.id }, 'an OAuth callback could not be completed');
        }
        return recordFailedAttempt(context, {
            session,
            flowId: flow.id,
            providerConfigKey: integration?.unique_key ?? '',
            connectionId: flow.connection_id,
            error: { type, description },
            ...(provider && !untold.has(type)
                ? { webhook: { provider: provider.name, authMode: provider.authMode, errorType: webhookErrorType(error, type) } }
                : {}),
        });
    }
}

/** @throws ConnectFailure */
function assertMode(name: string, integration: IntegrationRow | undefined, provider: Provider | undefined): void {
    if (integration === undefined) {
        throw new ConnectFailure('unknown_provider_config', 'The integration of this attempt no longer exists.');
    }
    if (provider?.authMode !== name) {
        throw new ConnectFailure('invalid_auth_mode', `This address is for integrations of the auth mode ${name}.`);
    }
}

/** A reconnect renews; what was deleted meanwhile is not made again. */
async function assertStillThere(context: ConnectContext, session: SessionRead): Promise<ConnectionRow | undefined> {
    const row = session.connection_id === null ? undefined : await connections.findById(context.db, session.connection_id);
    if (session.connection_id !== null && row === undefined) {
        throw new ConnectFailure('invalid_connection', 'The connection to be renewed no longer exists.');
    }
    return row;
}

function assertLive(context: ConnectContext, flow: OauthFlowRow): void {
    if (flow.expires_at.getTime() <= context.sources.now()) {
        throw new ConnectFailure('state_err', 'This connection attempt took longer than ten minutes and has expired. Please start again.');
    }
}

/** S2: only the browser that began the flow may finish it (RFC 6749 §10.12; RFC 9700 §4.7.1). */
function assertSameBrowser(request: CallbackRequest, flow: OauthFlowRow, session: SessionRead, cookieName: string): void {
    const binding = request.cookies[cookieName];
    const isBound = binding !== undefined && equalInConstantTime(digest(binding), flow.browser_hash);
    // A customer's server that forwards callbacks cannot present the cookie; the environment says so explicitly.
    const isForwarded = binding === undefined && session.accepts_forwarded_callbacks;
    if (!isBound && !isForwarded) {
        throw new ConnectFailure(
            'state_cookie_err',
            'This connection attempt was started in another browser, or its cookie was blocked. Please start again.',
        );
    }
}

/** S5: an answer that names its issuer must come from the server that was asked, and one that announced its name must give it (RFC 9207 §2.4). */
function assertIssuer(query: CallbackRequest['query'], secrets: FlowSecrets): void {
    const { iss: issuer } = query;
    const { issuer: expected, issuerOrigins } = secrets;
    if (issuer === undefined && expected?.isAnnounced !== true) {
        return;
    }
    const origin = typeof issuer === 'string' && URL.canParse(issuer) ? new URL(issuer).origin : undefined;
    const isExpected = expected === undefined ? origin !== undefined && issuerOrigins.includes(origin) : issuer === expected.identifier;
    if (!isExpected) {
        throw new ConnectFailure('state_err', 'The answer names another authorization server than the one that was asked.');
    }
}

async function openSecrets(context: ConnectContext, flow: OauthFlowRow): Promise<FlowSecrets> {
    return JSON.parse(await context.vault.openFresh(flow.sealed_secrets ?? '', flowSecretsPlace(flow))) as FlowSecrets;
}

async function openEffectiveIntegration(
    context: ConnectContext,
    integration: IntegrationRow,
    session: SessionRead,
    { clientOverride }: FlowSecrets,
): Promise<ModeIntegration> {
    const own = await openIntegration(context.vault, integration, session.is_production);
    return { ...own, clientId: clientOverride.clientId ?? own.clientId, clientSecret: clientOverride.clientSecret ?? own.clientSecret };
}

async function complete(
    context: ConnectContext,
    redirect: RedirectFlow,
    input: {
        provider: Parameters<RedirectFlow['complete']>[0]['provider'];
        integration: ModeIntegration;
        request: CallbackRequest;
        flow: OauthFlowRow;
        secrets: FlowSecrets;
        storedConfig: Record<string, unknown> | undefined;
    },
): Promise<{ obtained: Completed; connectionConfig: Record<string, unknown> }> {
    const { provider, integration, request, flow, secrets, storedConfig } = input;
    const modeContext = { ...context, provider, integration, connectionConfig: secrets.connectionConfig };
    const { clientOverride, refreshTokenOverride, verifier, memo } = secrets;
    const obtained = await redirect.complete({
        ...recorded(context.record, modeContext, () => [secretsIn(request, provider), refreshTokenOverride, verifier, { memo }]),
        query: request.query,
        redirectUri: flow.redirect_uri,
        pkceVerifier: verifier,
        memo,
        ...(storedConfig === undefined ? {} : { storedConfig }),
    });
    const { oauth_scopes_override: scopes } = secrets.connectionConfig;
    accessGranted(context, obtained, Array.isArray(scopes) ? scopes.join(',') : integration.scopes);
    for (const note of obtained.notes ?? []) {
        context.logger.warn({ flow: flow.id, provider: provider.name }, note);
    }
    // N3: what the provider says about the account wins over anything that was set before. The mark of an earlier connect goes: with it,
    // renewals would keep this one's refresh token whatever takes its place.
    const connectionConfig = { overrideTokenRefresh: undefined, ...secrets.connectionConfig, ...obtained.derivedConfig };
    const hasOwnApp = clientOverride.clientId !== undefined || clientOverride.clientSecret !== undefined;
    if (!hasOwnApp || obtained.credentials.type !== 'OAUTH2' || obtained.credentials.access_token === undefined) {
        return { obtained, connectionConfig };
    }
    const credentials: Credentials = {
        ...obtained.credentials,
        config_override: {
            ...(clientOverride.clientId === undefined ? {} : { client_id: clientOverride.clientId }),
            ...(clientOverride.clientSecret === undefined ? {} : { client_secret: clientOverride.clientSecret }),
        },
        ...(refreshTokenOverride === undefined
            ? {}
            : { refresh_token: refreshTokenOverride, raw: { ...obtained.credentials.raw, refresh_token: refreshTokenOverride } }),
    };
    return {
        obtained: { ...obtained, credentials },
        connectionConfig: refreshTokenOverride === undefined ? connectionConfig : { ...connectionConfig, overrideTokenRefresh: true },
    };
}

/** All that came back, but what becomes configuration in the clear, such as the account's host. */
function secretsIn({ query }: CallbackRequest, { entry }: Provider): unknown {
    const isClear = (name: string): boolean =>
        entry.redirect_uri_metadata?.includes(name) === true && entry.connection_config?.[name]?.secret !== true && !isSecretName(name);
    const rest = Object.fromEntries(Object.entries(query).filter(([name]) => !isClear(name)));
    return [query[entry.authorization_code_param_in_callback ?? 'code'], { rest }];
}

/** §1.3 names two failures of a callback; a refused code exchange is `unknown` (it is no refresh), other refusals keep their own type. */
function webhookErrorType(error: unknown, type: string): string {
    if (type === 'callback_err') {
        return 'invalid_callback';
    }
    if (error instanceof TokenFailure && error.type === 'unable_to_parse_token_response') {
        return error.type;
    }
    return error instanceof ConnectFailure ? error.type : 'unknown';
}

const unattributed = (context: ConnectContext, type: string, description: string): ConnectOutcome => ({
    status: 'error',
    error: { type, description },
    at: new Date(context.sources.now()).toISOString(),
});
