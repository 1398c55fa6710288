/**
 * An OAuth 2.0 server of another implementation than `authorization-server.ts`: `@node-oauth/oauth2-server`, with the memory that it
 * asks for. Codes with PKCE, refresh tokens that rotate, client credentials; client authentication in the body or by Basic.
 */
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import OAuth2Server from '@node-oauth/oauth2-server';
import { listen, readBody } from './http-server.ts';

export interface SecondAuthorizationServer {
    authorizationEndpoint: string;
    tokenEndpoint: string;
    clientId: string;
    clientSecret: string;
    /** Grant types of the token requests, oldest first, with the status of the answer. */
    tokenRequests: [grantType: string, status: number][];
    /** A user who is logged in and consents. @returns the callback URL */
    authorize(url: string): Promise<string>;
    isAlive(accessToken: string): boolean;
    close(): Promise<void>;
}

export async function startSecondAuthorizationServer(redirectUri: string): Promise<SecondAuthorizationServer> {
    const client: OAuth2Server.Client = {
        id: 'second-client',
        redirectUris: [redirectUri],
        grants: ['authorization_code', 'refresh_token', 'client_credentials'],
    };
    const clientSecret = randomBytes(24).toString('hex');
    const user = { id: 'ann' };
    const codes = new Map<string, OAuth2Server.AuthorizationCode>();
    const tokens = new Map<string, OAuth2Server.Token>();
    const refreshTokens = new Map<string, OAuth2Server.RefreshToken>();
    const tokenRequests: [string, number][] = [];

    const model: OAuth2Server.AuthorizationCodeModel & OAuth2Server.RefreshTokenModel & OAuth2Server.ClientCredentialsModel = {
        getClient: (id, secret) => Promise.resolve(id === client.id && (secret === null || secret === clientSecret) ? client : undefined),
        getUserFromClient: () => Promise.resolve(user),
        saveAuthorizationCode: (code, owner, of) => {
            const saved = { ...code, client: owner, user: of } as OAuth2Server.AuthorizationCode;
            codes.set(code.authorizationCode, saved);
            return Promise.resolve(saved);
        },
        getAuthorizationCode: (code) => Promise.resolve(codes.get(code)),
        revokeAuthorizationCode: ({ authorizationCode }) => Promise.resolve(codes.delete(authorizationCode)),
        saveToken: (token, owner, of) => {
            const saved = { ...token, client: owner, user: of } as OAuth2Server.Token;
            tokens.set(token.accessToken, saved);
            if (token.refreshToken !== undefined) refreshTokens.set(token.refreshToken, saved as unknown as OAuth2Server.RefreshToken);
            return Promise.resolve(saved);
        },
        getAccessToken: (token) => Promise.resolve(tokens.get(token)),
        getRefreshToken: (token) => Promise.resolve(refreshTokens.get(token)),
        revokeToken: ({ refreshToken }) => Promise.resolve(refreshTokens.delete(refreshToken)),
        validateScope: (_user, _client, scope) => Promise.resolve(scope ?? []),
        verifyScope: () => Promise.resolve(true),
    };
    const server = new OAuth2Server({ model, accessTokenLifetime: 3600 });

    const answer = (response: ServerResponse, { status, headers, body }: OAuth2Server.Response): void => {
        response.writeHead(status ?? 200, { ...headers, 'content-type': 'application/json' }).end(JSON.stringify(body ?? {}));
    };

    const { port, close } = await listen((incoming, outgoing) => {
        void (async () => {
            const url = new URL(incoming.url ?? '', 'http://local');
            const text = (await readBody(incoming)).toString();
            const body = Object.fromEntries(new URLSearchParams(text));
            const request = new OAuth2Server.Request({
                method: incoming.method ?? 'GET',
                query: Object.fromEntries(url.searchParams),
                // The package asks for it, and takes the length of a body from nowhere else.
                headers: { ...(incoming.headers as Record<string, string>), 'content-length': String(text.length) },
                body,
            });
            const response = new OAuth2Server.Response({});
            if (url.pathname === '/authorize') {
                await server.authorize(request, response, { authenticateHandler: { handle: () => user } }).catch(() => {});
            } else {
                await server.token(request, response, { requireClientAuthentication: {} }).catch((error: OAuth2Server.OAuthError) => {
                    response.status = error.code;
                    response.body = { error: error.name, error_description: error.message };
                });
                tokenRequests.push([body['grant_type'] ?? '', response.status ?? 200]);
            }
            answer(outgoing, response);
        })();
    });
    const origin = `http://127.0.0.1:${port}`;
    return {
        authorizationEndpoint: `${origin}/authorize`,
        tokenEndpoint: `${origin}/token`,
        clientId: client.id,
        clientSecret,
        tokenRequests,
        authorize: async (url) => {
            const { headers } = await fetch(url, { redirect: 'manual' });
            return headers.get('location') ?? '';
        },
        isAlive: (accessToken) => tokens.has(accessToken),
        close,
    };
}
