/**
 * As much of GitHub as an app meets that is installed there: its installation page, its OAuth client, the REST calls of the app
 * and of its users, and its webhooks. The app's JWTs are verified with `jose` under GitHub's own rules.
 */
import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { importSPKI, jwtVerify } from 'jose';
import { listen, readBody } from './http-server.ts';

/** PKCS#1, as GitHub hands it out. */
const key = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
});

export interface GithubRequest {
    method: string;
    path: string;
    query: Record<string, string>;
    headers: IncomingMessage['headers'];
    params: Record<string, string>;
}

export interface Installed {
    /** Where the browser is sent. */
    callback: string;
    installationId: string | undefined;
}

export interface Github {
    url: string;
    appId: string;
    appLink: string;
    privateKey: string;
    clientId: string;
    clientSecret: string;
    requests: GithubRequest[];
    /** Answers in place of the server, by the beginning of the path. */
    faults: Map<string, (response: ServerResponse) => void>;
    /** Seconds that a person's token lives; with 0, for ever and without a refresh token. */
    userTokenLifetime: number;
    /** A person installs the app, changes its installation, or asks an owner to; on the page that Valetkey sent them to. */
    visit(
        location: string,
        visit: { setupUrl: string; login: string; action?: 'install' | 'update' | 'request'; installation?: string; withCode?: boolean },
    ): Installed;
    /** An installation that somebody made without us. */
    addInstallation(logins: readonly string[], state?: { suspended?: boolean }): string;
    /** Installations that the person has beside the one that is asked for. */
    addOthers(login: string, count: number): void;
    /** Sends an event, signed with `secret`; `null`: not signed. */
    send(webhookUrl: string, event: string, body: unknown, secret: string | null): Promise<Response>;
    installationEvent(installationId: string, requester: string | null, action?: string): Record<string, unknown>;
    /** Whether a token of an installation or a person is good. */
    knows(token: string): boolean;
    revokeUserTokens(): void;
    close(): Promise<void>;
}

export async function startGithub(): Promise<Github> {
    const [appId, clientId, clientSecret] = ['4711', 'Iv1.client', 'a-client-secret'];
    const publicKey = await importSPKI(key.publicKey, 'RS256');
    const installations = new Map<string, { logins: Set<string>; suspended: boolean }>();
    const codes = new Map<string, string>();
    const userTokens = new Map<string, string>();
    const refreshTokens = new Map<string, string>();
    const installationTokens = new Set<string>();
    const requests: GithubRequest[] = [];
    const faults = new Map<string, (response: ServerResponse) => void>();
    let nextId = 38_631_545;
    const random = (prefix: string): string => prefix + randomBytes(16).toString('hex');

    async function isApp(request: IncomingMessage): Promise<boolean> {
        try {
            const { payload } = await jwtVerify((request.headers.authorization ?? '').replace(/^Bearer /, ''), publicKey, { issuer: appId });
            return (payload.exp ?? 0) - (payload.iat ?? 0) <= 600;
        } catch {
            return false;
        }
    }
    const userOf = (request: IncomingMessage): string | undefined => userTokens.get((request.headers.authorization ?? '').replace(/^Bearer /, ''));

    function exchange(params: Record<string, string>): Record<string, unknown> {
        if (params['client_id'] !== clientId || params['client_secret'] !== clientSecret) {
            return { error: 'incorrect_client_credentials', error_description: 'The client_id and/or client_secret passed are incorrect.' };
        }
        const grants = params['grant_type'] === 'refresh_token' ? refreshTokens : codes;
        const presented = params[params['grant_type'] === 'refresh_token' ? 'refresh_token' : 'code'] ?? '';
        const login = grants.get(presented);
        // There was no authorization request that these could belong to.
        if (login === undefined || params['redirect_uri'] !== undefined || params['code_verifier'] !== undefined) {
            return { error: grants === codes ? 'bad_verification_code' : 'bad_refresh_token' };
        }
        grants.delete(presented);
        const [access, refresh] = [random('ghu_'), random('ghr_')];
        userTokens.set(access, login);
        if (github.userTokenLifetime === 0) {
            return { access_token: access, token_type: 'bearer', scope: '' };
        }
        refreshTokens.set(refresh, login);
        return {
            access_token: access,
            refresh_token: refresh,
            expires_in: github.userTokenLifetime,
            refresh_token_expires_in: 15_811_200,
            token_type: 'bearer',
        };
    }

    async function answer(request: IncomingMessage, url: URL, params: Record<string, string>): Promise<[status: number, body: unknown]> {
        if (request.method === 'POST' && url.pathname === '/login/oauth/access_token') {
            return [200, exchange(params)];
        }
        const [, id, isTokens] = /^\/app\/installations\/(\d+)(\/access_tokens)?$/.exec(url.pathname) ?? [];
        if (id !== undefined) {
            const installation = installations.get(id);
            if (!(await isApp(request))) return [401, { message: 'A JSON web token could not be decoded' }];
            if (installation === undefined) return [404, { message: 'Not Found' }];
            if (isTokens === undefined) {
                return [200, { id: Number(id), app_id: Number(appId), suspended_at: installation.suspended ? '2026-01-01T00:00:00Z' : null }];
            }
            const token = random('ghs_');
            installationTokens.add(token);
            return [
                201,
                { token, expires_at: new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+/, ''), permissions: { contents: 'read' } },
            ];
        }
        const login = userOf(request);
        if (login === undefined) return [401, { message: 'Bad credentials' }];
        if (url.pathname === '/user') return [200, { login, id: 1 }];
        if (url.pathname === '/user/installations') {
            const own = [...installations]
                .filter(([, { logins }]) => logins.has(login))
                .map(([each]) => ({ id: Number(each), app_id: Number(appId) }));
            const size = Number(url.searchParams.get('per_page') ?? 30);
            const from = (Number(url.searchParams.get('page') ?? 1) - 1) * size;
            return [200, { total_count: own.length, installations: own.slice(from, from + size) }];
        }
        return [404, { message: 'Not Found' }];
    }

    const { port, close } = await listen((request, response) => {
        void readBody(request).then(async (body) => {
            const url = new URL(request.url ?? '/', 'http://127.0.0.1');
            const params = Object.fromEntries(new URLSearchParams(body.toString()));
            requests.push({
                method: request.method ?? '',
                path: url.pathname,
                query: Object.fromEntries(url.searchParams),
                headers: request.headers,
                params,
            });
            const fault = [...faults].find(([path]) => url.pathname.startsWith(path))?.[1];
            if (fault !== undefined) {
                fault(response);
                return;
            }
            const [status, answered] = await answer(request, url, params);
            response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(answered));
        });
    });
    const url = `http://127.0.0.1:${port}`;

    const addInstallation = (logins: readonly string[], { suspended = false } = {}): string => {
        const id = String((nextId += 1));
        installations.set(id, { logins: new Set(logins), suspended });
        return id;
    };

    const github: Github = {
        url,
        appId,
        appLink: `${url}/apps/demo`,
        privateKey: key.privateKey,
        clientId,
        clientSecret,
        requests,
        faults,
        userTokenLifetime: 28_800,
        visit(location, { setupUrl, login, action = 'install', installation, withCode = false }) {
            const page = new URL(location);
            if (page.origin + page.pathname !== `${url}/apps/demo/installations/new`) {
                throw new Error(`this is not the installation page: ${location}`);
            }
            const installationId = installation ?? (action === 'install' ? addInstallation([login]) : undefined);
            const callback = new URL(setupUrl);
            callback.searchParams.set('setup_action', action);
            callback.searchParams.set('state', page.searchParams.get('state') ?? '');
            if (installationId !== undefined) {
                callback.searchParams.set('installation_id', installationId);
            }
            if (withCode) {
                const code = random('');
                codes.set(code, login);
                callback.searchParams.set('code', code);
            }
            return { callback: callback.href, installationId };
        },
        addInstallation,
        addOthers: (login, count) => {
            for (let index = 0; index < count; index += 1) addInstallation([login]);
        },
        send: (webhookUrl, event, body, secret) => {
            const text = JSON.stringify(body);
            const signature = secret === null ? {} : { 'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(text).digest('hex')}` };
            return fetch(webhookUrl, {
                method: 'POST',
                headers: { 'content-type': 'application/json', 'x-github-event': event, ...signature },
                body: text,
            });
        },
        installationEvent: (installationId, requester, action = 'created') => ({
            action,
            installation: { id: Number(installationId), app_id: Number(appId), account: { login: 'acme' } },
            requester: requester === null ? null : { login: requester },
            sender: { login: 'the-owner' },
        }),
        knows: (token) => installationTokens.has(token) || userTokens.has(token),
        revokeUserTokens: () => {
            userTokens.clear();
            refreshTokens.clear();
        },
        close,
    };
    return github;
}
