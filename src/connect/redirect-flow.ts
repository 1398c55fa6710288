/**
 * The first half of a redirect flow: from the browser's request to the provider's consent page. Everything that ties the
 * answer to this flow is made here: state (S1), browser binding (S2), PKCE (S4), redirect URI (S6).
 */
import { createHash } from 'node:crypto';
import { ConnectFailure, type AuthMode, type RedirectStarted } from '../auth-modes/auth-mode.ts';
import { openIntegration } from '../auth-modes/open-integration.ts';
import { recorded } from '../auth-modes/recorded-context.ts';
import { newRowId } from '../sources.ts';
import * as flows from '../store/oauth-flows.ts';
import { connectionConfig, type Attempt } from './attempt.ts';
import { attemptBegun, browserSentTo } from './attempt-steps.ts';
import { attachRedirectFlow } from './connect-flow.ts';
import type { ConnectContext, IntegrationDefaults } from './connect-session.ts';

export const flowLifetimeMs = 10 * 60 * 1000;

/** What the browser asks for in `GET /oauth/connect/:key`. */
export interface RedirectRequest {
    params: Readonly<Record<string, unknown>>;
    authorizationParams: Readonly<Record<string, string>>;
    clientOverride: ClientOverride;
    refreshTokenOverride: string | undefined;
    /** Where the outcome is announced. */
    wsClientId: string | undefined;
    /** The page that opened the popup, where it is known (S8). */
    openerOrigin: string | undefined;
    /** What the page calls it (`connect-flow.ts`). */
    connectFlowId?: string | undefined;
    /** The browser has one window: its callback leads back to the Connect UI. */
    returnsToPage: boolean;
}

/** Another OAuth app for this connection. */
export interface ClientOverride {
    clientId: string | undefined;
    clientSecret: string | undefined;
}

/** The sealed part of a flow. */
export interface FlowSecrets {
    verifier: string;
    connectionConfig: Record<string, unknown>;
    clientOverride: ClientOverride;
    refreshTokenOverride: string | undefined;
    /** The mode's own, from one half of the flow to the other. */
    memo: Readonly<Record<string, unknown>>;
    /** Origins that may call themselves the issuer of the answer (RFC 9207, S5). */
    issuerOrigins: string[];
    /** Where the issuer itself is known, in place of its origins. */
    issuer: RedirectStarted['issuer'];
}

export interface StartedFlow {
    location: string;
    cookie: { name: string; value: string };
}

export const flowSecretsPlace = (row: { environment_id: string; id: string }) => ({
    environmentId: row.environment_id,
    table: 'oauth_flows',
    column: 'sealed_secrets',
    rowId: row.id,
});

/** Only its digest is stored: who reads the table cannot finish anybody's flow. */
export const digest = (value: string): string => createHash('sha256').update(value).digest('base64url');

/**
 * The binding cookie's name: one per flow, so that two popups do not disturb each other. `__Host-` keeps sub-domains from
 * planting one; plain http (development) cannot have it.
 */
export const bindingCookieName = (stateHash: string, isSecure: boolean): string =>
    `${isSecure ? '__Host-' : ''}valetkey-flow-${stateHash.slice(0, 12)}`;

/** An admitted attempt, of whatever mode: the contract asks for an OAuth app before it asks for the mode (http-api §11.2). */
type RedirectAttempt = Omit<Attempt, 'mode'> & { mode: AuthMode | undefined };

/** @throws ConnectFailure */
export async function startRedirectFlow(context: ConnectContext, attempt: RedirectAttempt, request: RedirectRequest): Promise<StartedFlow> {
    const { vault, sources, publicUrl } = context;
    const { session, integration, provider, mode, defaults } = attempt;
    attemptBegun(context, attempt, 'consent at the provider');
    const clientOverride = clientOverrideOf(defaults, request);
    const own = await openIntegration(context.vault, integration, session.is_production);
    const effective = {
        ...own,
        clientId: clientOverride.clientId ?? own.clientId,
        clientSecret: clientOverride.clientSecret ?? own.clientSecret,
    };
    const otherMode = `${provider.displayName} (${provider.authMode}) is not connected through a popup.`;
    const needsClient = mode?.redirect?.needsClient ?? true;
    if (needsClient && (!effective.clientId || effective.clientSecret === null)) {
        throw new ConnectFailure('provider_config_err', mode?.redirect ? 'The integration has no OAuth client id and secret yet.' : otherMode);
    }
    if (mode?.redirect === undefined || provider.entry.installation === 'outbound') {
        throw new ConnectFailure('auth_mode_err', otherMode);
    }
    const { config, scopesOverride } = takeScopes({ ...connectionConfig(attempt, request.params), ...userScope(defaults) });
    const id = newRowId(sources);
    const state = sources.random(32).toString('base64url');
    const verifier = sources.random(32).toString('base64url');
    const binding = sources.random(32).toString('base64url');
    const redirectUri = session.callback_url ?? `${publicUrl}/oauth/callback`;
    const {
        location,
        memo = {},
        issuer,
    } = await mode.redirect.start({
        ...recorded(context.record, { ...context, provider, integration: effective, connectionConfig: config }, () => [state, verifier]),
        redirectUri,
        state,
        pkceVerifier: verifier,
        scopesOverride,
        clientAuthorizationParams: request.authorizationParams,
        sessionAuthorizationParams: defaults.authorization_params,
        userScope: defaults.user_scopes,
    });
    browserSentTo(context, location);
    const secrets: FlowSecrets = {
        verifier,
        connectionConfig: config,
        clientOverride,
        // Only together with another app: a refresh token belongs to the client it was issued to.
        refreshTokenOverride: (clientOverride.clientId ?? clientOverride.clientSecret) ? request.refreshTokenOverride : undefined,
        memo,
        issuerOrigins: [new URL(location).origin, tokenOrigin(attempt, config)].filter((origin) => origin !== undefined),
        issuer,
    };
    const now = sources.now();
    const stateHash = digest(state);
    const flow = {
        id,
        environment_id: session.environment_id,
        integration_id: integration.id,
        connect_session_id: session.id,
        state_hash: stateHash,
        consumed_at: null,
        expires_at: new Date(now + flowLifetimeMs),
        browser_hash: digest(binding),
        redirect_uri: redirectUri,
        sealed_secrets: vault.sealJson(secrets, flowSecretsPlace({ environment_id: session.environment_id, id })),
        connection_id: attempt.connectionId,
        ws_client_id: request.wsClientId ?? null,
        opener_origin: request.openerOrigin ?? null,
        operation_id: session.operation_id,
        outcome: null,
        outcome_delivered_at: null,
        created_at: new Date(now),
        connect_flow_id: request.connectFlowId ?? null,
        returns_to_page: request.returnsToPage,
    };
    await flows.insert(context.db, flow, context.record?.messages());
    if (request.connectFlowId !== undefined) {
        await attachRedirectFlow(context, request.connectFlowId, id);
    }
    return { location, cookie: { name: bindingCookieName(stateHash, publicUrl.startsWith('https:')), value: binding } };
}

/** An empty preset invites the browser to bring an app of its own (http-api §4.6). */
const clientOverrideOf = ({ connection_config: preset }: IntegrationDefaults, { clientOverride }: RedirectRequest): ClientOverride => ({
    clientId: clientOverride.clientId ?? nonEmpty(preset?.['oauth_client_id_override']),
    clientSecret: clientOverride.clientSecret ?? nonEmpty(preset?.['oauth_client_secret_override']),
});

/** What is stored on the connection, and the scopes to ask for (http-api §11.3). The app is kept with the credentials. */
function takeScopes(config: Record<string, unknown>): { config: Record<string, unknown>; scopesOverride: string | undefined } {
    const { oauth_client_id_override: _id, oauth_client_secret_override: _secret, ...rest } = config;
    const scopes = rest['oauth_scopes_override'];
    return {
        config: typeof scopes === 'string' ? { ...rest, oauth_scopes_override: scopes.split(',').filter((scope) => scope !== '') } : rest,
        scopesOverride: nonEmpty(scopes),
    };
}

/** Stored for every provider, sent to Slack only (http-api §4.6). */
const userScope = (defaults: IntegrationDefaults): Record<string, unknown> => (defaults.user_scopes ? { user_scope: defaults.user_scopes } : {});

function tokenOrigin(attempt: RedirectAttempt, config: Record<string, unknown>): string | undefined {
    try {
        return attempt.provider.tokenUrl?.build({ connectionConfig: config }).origin;
    } catch {
        // a value that only the callback supplies
        return undefined;
    }
}

const nonEmpty = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
