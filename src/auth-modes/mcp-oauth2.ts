/**
 * MCP_OAUTH2: authorization code with PKCE against a known MCP server (auth-modes §13.1). What differs from OAUTH2 is where the client
 * comes from: typed in, registered by itself (RFC 7591), or described by a document of ours; and that `resource` goes along (M2).
 */
import type { Credentials, OAuth2Credentials } from '../credentials/credential.ts';
import type { RenewalStrategy } from '../credentials/renewal-strategy.ts';
import type { Provider } from '../providers/provider.ts';
import {
    ConnectFailure,
    type AuthMode,
    type Completed,
    type IntegrationPlan,
    type ModeContext,
    type RedirectCompletion,
    type RedirectStart,
    type RedirectStarted,
} from './auth-mode.ts';
import { authorizationUrl } from './authorization-url.ts';
import { requiredParam } from './callback-query.ts';
import { asTokenFailure, buildUrl } from './fill-template.ts';
import { clientIdentity, clientMetadataUrl } from './mcp/client-metadata.ts';
import { clientOf, type Client, type ClientRegistration, type RegistrationRequest } from './mcp/client-registration.ts';
import { renewalAs, requestAsClient, storedClient, type TokenCall } from './mcp/token-calls.ts';
import { interpolateParams, readingRules, refreshRequest, refreshTokenGrant, tokenCallMs, tokenRequest, tokenUrl, withOwnClient } from './oauth2.ts';
import { readTokenResponse, requestToken } from './token-endpoint.ts';
import { derivedFromAnswer } from './token-metadata.ts';

export const mcpOAuth2: AuthMode = {
    name: 'MCP_OAUTH2',
    // Only some of them do, which `start` judges.
    redirect: { needsClient: false, start, complete },
    renewal,
    prepareIntegration,
};

/** What this mode itself says, whatever the entry's template has (auth-modes §13.1). */
const ownParams: ReadonlySet<string> = new Set([
    'response_type',
    'code_challenge',
    'code_challenge_method',
    'state',
    'redirect_uri',
    'scope',
    'client_id',
]);

interface Memo {
    /** Absent: the integration's own. */
    client?: Client;
}

async function prepareIntegration({ provider, clients, ...plan }: IntegrationPlan): Promise<ClientRegistration | undefined> {
    switch (provider.entry.client_registration) {
        case 'dynamic':
            return clients.registerAhead(registrationRequest(provider, plan.redirectUri, plan.custom));
        case 'cimd':
            metadataClient(provider, clients.publicUrl, plan, plan.redirectUri);
            return undefined;
        default:
            return undefined;
    }
}

/** Parameters of the request itself are not taken, neither from the browser nor from the session. */
async function start(input: RedirectStart): Promise<RedirectStarted> {
    const { provider, integration } = input;
    const { entry } = provider;
    if (provider.authorizationUrl === undefined) {
        throw new ConnectFailure('auth_mode_err', `${provider.displayName} is not connected through an authorization page.`);
    }
    // As in OAUTH2: what cannot be exchanged is not begun.
    tokenUrl(input, provider.tokenUrl);
    interpolateParams(entry.token_params ?? {}, input);
    const templateParams = Object.entries(interpolateParams(entry.authorization_params ?? {}, input)).filter(([name]) => !ownParams.has(name));
    const endpoint = buildUrl(provider.authorizationUrl, input);
    const isRaw = entry.authorization_url_skip_encode?.includes('scopes') ?? false;
    const scopes = (input.scopesOverride ?? integration.scopes ?? '').split(',').filter((scope) => scope !== '');
    const client = hasOwnClient(input) ? undefined : await acquireClient(input, input.redirectUri);
    const location = await authorizationUrl({
        endpoint,
        clientId: client?.client_id ?? integration.clientId ?? '',
        redirectUri: input.redirectUri,
        scopes: isRaw ? scopes.map(encodeURIComponent) : scopes,
        scopeSeparator: entry.scope_separator ?? ' ',
        state: input.state,
        pkceVerifier: input.pkceVerifier,
        templateParams: Object.fromEntries(templateParams),
        extraParams: {},
        skipEncodeScopes: isRaw,
        skipEmpty: entry.authorization_url_skip_empty ?? false,
        fragment: entry.authorization_url_fragment,
        ...(entry.authorization_url_replacements ? { replacements: entry.authorization_url_replacements } : {}),
    });
    return { location, memo: (client === undefined ? {} : { client }) satisfies Memo };
}

async function complete(input: RedirectCompletion): Promise<Completed> {
    const { provider } = input;
    const { entry } = provider;
    const { client } = input.memo as Memo;
    const call = {
        ...tokenRequest(input, tokenUrl(input, provider.tokenUrl)),
        params: {
            grant_type: 'authorization_code',
            code: requiredParam(input.query, entry.authorization_code_param_in_callback ?? 'code', 'authorization code'),
            redirect_uri: input.redirectUri,
            ...interpolateParams(entry.token_params ?? {}, input),
            code_verifier: input.pkceVerifier,
            ...resourceParam(input),
        },
        deadlineMs: tokenCallMs,
        secrets: [],
    };
    const { receipt, client: used } =
        client === undefined
            ? { receipt: await requestToken(input.egress, call), client }
            : await requestAsClient(input, call, { client, registration: replacementOf(input, client) });
    const { raw, ...obtained } = readTokenResponse(receipt, readingRules(input));
    // Also where it is none: a connection that is renewed by its user may have had another.
    return { ...obtained, derivedConfig: { ...derivedFromAnswer(provider, raw), oauth_client_info: used } };
}

function renewal(context: ModeContext, current: Credentials): RenewalStrategy {
    const effective = withOverride(context, current as OAuth2Credentials);
    const request = (refreshToken: string): Pick<TokenCall, 'url' | 'params' | 'bodyFormat'> & ReturnType<typeof refreshRequest> => {
        const usual = asTokenFailure(() => refreshRequest(effective, refreshToken));
        return { ...usual, params: { ...usual.params, ...asTokenFailure(() => resourceParam(context)) } };
    };
    const isOverridden = effective !== context;
    const client = isOverridden ? undefined : (storedClient(context.connectionConfig) ?? described(context));
    if (client !== undefined) {
        return renewalAs(context, current, { presenter: { client, registration: replacementOf(context, client) }, request });
    }
    const usual = refreshTokenGrant(context, current);
    return {
        ...usual,
        // Imported without a word about its client: no other one may present the grant.
        canRenew: (credentials) => usual.canRenew(credentials) && hasOwnClient(effective),
        present: (credentials, refreshToken, deadlineMs) =>
            requestToken(context.egress, {
                ...request(refreshToken ?? ''),
                deadlineMs,
                secrets: [(credentials as OAuth2Credentials).access_token],
            }),
    };
}

/** The operator's, or the one that a person brought along; without a secret it is a public client. */
const hasOwnClient = ({ integration }: ModeContext): boolean => Boolean(integration.clientId);

/** The connection's own app, which is a public client where it has no secret. */
function withOverride(context: ModeContext, credentials: OAuth2Credentials): ModeContext {
    const { client_id: clientId, client_secret: clientSecret = '' } = credentials.config_override ?? {};
    return clientId && clientSecret === ''
        ? { ...context, integration: { ...context.integration, clientId, clientSecret } }
        : withOwnClient(context, credentials);
}

/** @throws ConnectFailure */
async function acquireClient(context: ModeContext, redirectUri: string): Promise<Client> {
    const { provider, integration, clients, egress } = context;
    switch (provider.entry.client_registration) {
        case 'dynamic':
            return clientOf(await clients.acquire(integration, registrationRequest(provider, redirectUri, integration.extras.custom), egress));
        case 'cimd':
            return metadataClient(provider, clients.publicUrl, integration, redirectUri);
        default:
            throw new ConnectFailure('provider_config_err', 'The integration has no OAuth client id and secret yet.');
    }
}

/** What a connection that was imported must have been granted to, where the client's name is its address. */
function described({ provider, integration, clients }: ModeContext): Client | undefined {
    const isDescribed = provider.entry.client_registration === 'cimd' && !integration.clientId;
    const url = isDescribed ? clientMetadataUrl(clients.publicUrl, integration) : undefined;
    return url === undefined ? undefined : { client_id: url, token_endpoint_auth_method: 'none', redirect_uris: [] };
}

/** @throws ConnectFailure `feature_disabled` */
function metadataClient(
    provider: Provider,
    publicUrl: string,
    integration: { environmentId: string; uniqueKey: string },
    redirectUri: string,
): Client {
    const url = clientMetadataUrl(publicUrl, integration);
    if (url === undefined) {
        throw new ConnectFailure(
            'feature_disabled',
            `${provider.displayName} fetches a document that describes this server from it, so this server needs a public https address (VALETKEY_PUBLIC_URL).`,
        );
    }
    return { client_id: url, token_endpoint_auth_method: 'none', redirect_uris: [redirectUri] };
}

function registrationRequest({ entry }: Provider, redirectUri: string, custom: Readonly<Record<string, string>> | undefined): RegistrationRequest {
    const { grant_types: grants, response_types: responses } = entry.registration_params ?? {};
    const endpoint = entry.registration_url ?? '';
    return {
        endpoint,
        // The catalogue names no issuer.
        server: endpoint,
        redirectUri,
        identity: clientIdentity(custom),
        grantTypes: grants === undefined ? undefined : [grants].flat(),
        responseTypes: responses === undefined ? undefined : [responses].flat(),
        authMethods: undefined,
    };
}

/** How to get another client in place of this one, where it was registered. */
function replacementOf({ provider, integration }: ModeContext, { redirect_uris: [redirectUri] }: Client): RegistrationRequest | undefined {
    return provider.entry.client_registration === 'dynamic' && redirectUri !== undefined
        ? registrationRequest(provider, redirectUri, integration.extras.custom)
        : undefined;
}

/**
 * M2, RFC 8707 §2.2: the entry's resource, also with token and refresh requests. Where an entry names none, none is sent: servers
 * that know resources refuse one that is guessed (`invalid_target`).
 */
function resourceParam(context: ModeContext): { resource?: string } {
    const { resource } = context.provider.entry.authorization_params ?? {};
    return resource === undefined ? {} : { resource: interpolateParams({ resource }, context)['resource']! };
}
