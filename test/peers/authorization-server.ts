/**
 * A real OAuth 2.0 / OpenID Connect server (`oidc-provider`): code flow with PKCE, login and consent pages for a real
 * browser, opaque access tokens, and refresh tokens that rotate on every use. A refresh token presented twice revokes its
 * whole grant (RFC 9700 §4.14.2): the mistake a broker must never make is fatal here.
 *
 * Faults are the business of `faulty-token-server.ts`.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import Provider, { errors, interactionPolicy } from 'oidc-provider';
import type { Configuration, Interaction, KoaContextWithOIDC } from 'oidc-provider';

import { CookieJar } from './cookie-jar.ts';
import { GrantStore } from './grant-store.ts';
import { listen } from './http-server.ts';

export interface TokenRequest {
    /** Milliseconds since the epoch. */
    at: number;
    grantType: string;
    params: Record<string, string>;
    /** The `Authorization` header, as it came. */
    authorization?: string;
    /** 0 until it is decided. */
    status: number;
}

export interface AuthorizationServer {
    issuer: string;
    authorizationEndpoint: string;
    tokenEndpoint: string;
    revocationEndpoint: string;
    /** RFC 7662; tells a test whether a token is alive. */
    introspectionEndpoint: string;
    /** May authenticate in the body and by HTTP Basic. */
    clientId: string;
    clientSecret: string;
    /** Every request that reached the token endpoint, oldest first; those whose answer is held back included. */
    tokenRequests: readonly TokenRequest[];
    /**
     * A user without a browser: follows an authorization URL, logs in, consents, and returns the callback URL that the
     * server redirects to, without calling it. Each call is a new browser that nobody is logged in to.
     */
    authorize(url: string): Promise<string>;
    /** The same user, refusing consent. */
    deny(url: string): Promise<string>;
    /** What an account owner does in the provider's settings: every token of the grant dies. Takes any refresh token of it. */
    revokeGrant(refreshToken: string): Promise<void>;
    /** From now on a token request is processed at once, but answered `ms` milliseconds later. 0 ends it. */
    delayTokenAnswers(ms: number): void;
    /** The next token request is processed, and its connection cut in place of an answer. Resolves when that has happened. */
    loseTokenAnswer(): Promise<void>;
    /** Seconds; for access tokens issued from now on. */
    setAccessTokenTtl(seconds: number): void;
    /** Ids of the clients that are registered now. */
    registeredClients(): string[];
    /** As if its owner had removed it: its id means nothing any more. */
    forgetClient(clientId: string): void;
    close(): Promise<void>;
}

export interface AuthorizationServerOptions {
    redirectUris: string[];
    /** Seconds, default 3600. */
    accessTokenTtl?: number;
    /** Default true. The only method is S256 (RFC 7636). */
    pkceRequired?: boolean;
    /** Default 127.0.0.1; 127.0.0.2 is another site for a browser. */
    host?: string;
    /** For MCP servers: clients register themselves (RFC 7591, RFC 7592) or are described by a document, and tokens are for a resource (RFC 8707). */
    mcp?: {
        /** The resources there are; any other is refused. */
        resources: readonly string[];
        /** Fetches the metadata document of a client that has an address for an id. */
        fetchDocument?: (url: string) => Promise<Response>;
    };
}

const day = 86_400;

export async function startAuthorizationServer(options: AuthorizationServerOptions): Promise<AuthorizationServer> {
    const { redirectUris, pkceRequired = true, host = '127.0.0.1', mcp } = options;
    let accessTokenTtl = options.accessTokenTtl ?? 3_600;
    let answerDelay = 0;
    let onLost: (() => void) | undefined;
    const closing = new AbortController();
    const tokenRequests: TokenRequest[] = [];
    const store = new GrantStore();
    const clientId = 'test-client';
    const clientSecret = randomBytes(24).toString('hex');

    // The issuer contains the port, so the server must listen before there is a provider.
    let handle: ReturnType<Provider['callback']> | undefined;
    const server = await listen((request, response) => void handle?.(request, response), host);
    const issuer = `http://${host}:${server.port}`;

    const provider = new Provider(issuer, {
        adapter: (model: string) => store.adapter(model),
        clients: [
            {
                client_id: clientId,
                client_secret: clientSecret,
                redirect_uris: redirectUris,
                grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
                response_types: ['code'],
                id_token_signed_response_alg: 'ES256',
            },
        ],
        clientDefaults: { id_token_signed_response_alg: 'ES256' },
        ...(mcp?.fetchDocument === undefined
            ? {}
            : { fetch: (url: string | URL | Request) => mcp.fetchDocument!(url instanceof Request ? url.url : String(url)) }),
        jwks: { keys: [generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })] },
        cookies: { keys: [randomBytes(24).toString('hex')] },
        scopes: ['openid', 'offline_access', 'read', 'write'],
        findAccount: (_context, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
        pkce: { required: () => pkceRequired },
        issueRefreshToken: async () => true,
        rotateRefreshToken: true,
        // Two connections made in one browser are two grants: revoking one must leave the other alone.
        loadExistingGrant: async (context) => {
            const grantId = context.oidc.result?.consent?.grantId;
            return grantId === undefined ? undefined : context.oidc.provider.Grant.find(grantId);
        },
        interactions: { policy: policyThatAlwaysAsks(), url: (_context, interaction) => `/interaction/${interaction.uid}` },
        features: {
            devInteractions: { enabled: false },
            clientCredentials: { enabled: true },
            introspection: { enabled: true, allowedPolicy: async (_context, client, token) => token.clientId === client.clientId },
            revocation: { enabled: true, allowedPolicy: async (_context, client, token) => token.clientId === client.clientId },
            ...(mcp === undefined ? {} : mcpFeatures(mcp)),
        },
        ttl: {
            AccessToken: () => accessTokenTtl,
            ClientCredentials: () => accessTokenTtl,
            AuthorizationCode: 60,
            Grant: 365 * day,
            IdToken: 3_600,
            Interaction: 3_600,
            RefreshToken: 30 * day,
            Session: day,
        },
    } satisfies Configuration);

    provider.use(async (context, next) => {
        const recorded = context.path === '/token' ? recordArrival(context.get('authorization')) : undefined;
        await next();
        if (!recorded) return;
        const { body } = (context as KoaContextWithOIDC).oidc ?? {};
        recorded.params = Object.fromEntries(Object.entries(body ?? {}).map(([name, value]) => [name, String(value)]));
        recorded.grantType = recorded.params['grant_type'] ?? '';
        recorded.status = context.status;
        if (onLost !== undefined) {
            context.respond = false;
            context.req.socket.destroy();
            onLost();
            onLost = undefined;
            return;
        }
        if (answerDelay) await delay(answerDelay, undefined, { signal: closing.signal }).catch(() => {});
    });
    provider.use(async (context, next) => {
        const route = /^\/interaction\/[^/]+(?:\/(login|approve|deny))?$/.exec(context.path);
        if (!route) return next();
        const step = route[1];
        const interaction = await provider.interactionDetails(context.req, context.res);
        context.set('cache-control', 'no-store');
        if (step === undefined) {
            context.type = 'html';
            context.body = page(interaction);
        } else {
            const result = await answer(provider, interaction, step);
            context.redirect(await provider.interactionResult(context.req, context.res, result));
        }
    });
    handle = provider.callback();

    function recordArrival(authorization: string): TokenRequest {
        const request: TokenRequest = { at: Date.now(), grantType: '', params: {}, status: 0, ...(authorization && { authorization }) };
        tokenRequests.push(request);
        return request;
    }

    return {
        issuer,
        authorizationEndpoint: `${issuer}/auth`,
        tokenEndpoint: `${issuer}/token`,
        revocationEndpoint: `${issuer}/token/revocation`,
        introspectionEndpoint: `${issuer}/token/introspection`,
        clientId,
        clientSecret,
        tokenRequests,
        authorize: (url) => walk(url, redirectUris, 'approve'),
        deny: (url) => walk(url, redirectUris, 'deny'),
        revokeGrant: async (refreshToken) => {
            const grantId = (await provider.RefreshToken.find(refreshToken))?.grantId;
            if (grantId === undefined) throw new Error('revokeGrant: no such refresh token');
            store.revoke(grantId);
        },
        delayTokenAnswers: (ms) => {
            answerDelay = ms;
        },
        loseTokenAnswer: () =>
            new Promise((resolve) => {
                onLost = resolve;
            }),
        setAccessTokenTtl: (seconds) => {
            accessTokenTtl = seconds;
        },
        registeredClients: () => store.ids('Client'),
        forgetClient: (id) => store.forget('Client', id),
        close: async () => {
            closing.abort();
            await server.close();
        },
    };
}

const mcpFeatures = ({ resources, fetchDocument }: NonNullable<AuthorizationServerOptions['mcp']>) => ({
    registration: { enabled: true, idFactory: () => `registered-${randomBytes(6).toString('hex')}` },
    registrationManagement: { enabled: true, rotateRegistrationAccessToken: false },
    clientIdMetadataDocument: { enabled: fetchDocument !== undefined, ack: 'draft-02' },
    resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context: KoaContextWithOIDC, resource: string) => {
            if (!resources.includes(resource)) throw new errors.InvalidTarget();
            return { scope: 'read write', audience: resource, accessTokenFormat: 'opaque' as const };
        },
    },
});

function policyThatAlwaysAsks(): interactionPolicy.DefaultPolicy {
    const policy = interactionPolicy.base();
    const { Check } = interactionPolicy;
    policy.get('consent')?.checks.add(new Check('always', 'each authorization is consented to', ({ oidc }) => oidc.result?.consent === undefined));
    return policy;
}

function page(interaction: Interaction): string {
    const button = (id: string, label: string) =>
        `<form method="post" action="/interaction/${interaction.uid}/${id}"><button id="${id}">${label}</button></form>`;
    const login = interaction.prompt.name === 'login';
    const buttons = login ? button('login', 'Log in') : button('approve', 'Approve') + button('deny', 'Deny');
    const title = login ? 'Log in' : 'Allow access?';
    return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1>${buttons}</html>`;
}

async function answer(provider: Provider, interaction: Interaction, step: string): Promise<Record<string, unknown>> {
    if (step === 'login') return { login: { accountId: 'account-owner' } };
    if (step === 'deny') return { error: 'access_denied', error_description: 'The account owner refused' };
    const grant = new provider.Grant({ accountId: interaction.session?.accountId, clientId: String(interaction.params['client_id']) });
    const { scope } = interaction.params;
    grant.addOIDCScope(typeof scope === 'string' ? scope : '');
    const { resource } = interaction.params;
    if (typeof resource === 'string') grant.addResourceScope(resource, 'read write');
    return { consent: { grantId: await grant.save() } };
}

/** Follows redirects and presses buttons until the next stop is the client's. */
async function walk(start: string, redirectUris: string[], decision: 'approve' | 'deny'): Promise<string> {
    const cookies = new CookieJar();
    let url = start;
    let method = 'GET';
    for (let hop = 0; hop < 20; hop++) {
        if (redirectUris.some((uri) => url === uri || url.startsWith(`${uri}?`) || url.startsWith(`${uri}&`))) return url;
        const response = await fetch(url, { method, redirect: 'manual', headers: { cookie: cookies.header(url) } });
        cookies.store(url, response.headers.getSetCookie());
        const location = response.headers.get('location');
        const text = await response.text();
        const [, action] = new RegExp(`action="([^"]+)"><button id="(?:login|${decision})"`).exec(text) ?? [];
        if (location !== null) {
            url = new URL(location, url).href;
            method = 'GET';
        } else if (action !== undefined) {
            url = new URL(action, url).href;
            method = 'POST';
        } else {
            throw new Error(`${method} ${url} answered ${response.status} and no way on: ${text.slice(0, 500)}`);
        }
    }
    throw new Error(`Too many redirects, the last to ${url}`);
}
