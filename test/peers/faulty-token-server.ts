/**
 * An authorization endpoint and a token endpoint that can be told to fail in the ways real providers do.
 *
 * Healthy, it approves every authorization at once, issues rotating refresh tokens and counts how often each was
 * presented; a refresh token presented twice kills its whole grant. Which fault redeems the token and which leaves the
 * grant alone is said at `Fault`, because that decides whether a retry may succeed.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

import { listen, readBody } from './http-server.ts';
import { createTokenIssuer } from './token-issuer.ts';
import type { RefreshTokenRecord, Tokens } from './token-issuer.ts';

/**
 * Faults of the token endpoint that leave the grant as it was:
 * - `timeout`: reads the request, never answers.
 * - `hang-up`: reads the request, destroys the socket.
 * - `html`: 200 with an HTML page. `empty`: 200 with no body. `not-json`: 200, `application/json`, not JSON.
 * - `status:<n>`: that status and a short text. `retry-after` or `retry-after:<seconds>`: 503 with that header (default 1).
 * - `huge`: 200 with 10 MB of JSON that starts like a token answer.
 * - `redirect`: 302 to `/elsewhere`, which would answer with tokens; `requests` shows whether anyone went there.
 * - `error-in-200`: `{"error":"bad_refresh_token"}` with status 200.
 * - `deny`: 400 `invalid_grant`; at the authorization endpoint, the user refuses: `error=access_denied`.
 *
 * Faults that redeem the code or refresh token:
 * - `hang-up-after-redeeming`: the answer with the new tokens is lost.
 * - `slow:<ms>`: right answer, that much later. `held`: right answer, once `release()` was called. `clock-skew:<ms>`: right answer, `Date` header off by that much, signed.
 * - `form`: right answer as `application/x-www-form-urlencoded`, whatever `Accept` says.
 * - `no-refresh-token`: a refresh is answered without a refresh token, and the one presented stays good.
 */
export type Fault =
    | 'timeout'
    | 'hang-up'
    | 'html'
    | 'empty'
    | 'not-json'
    | `status:${number}`
    | 'retry-after'
    | `retry-after:${number}`
    | 'huge'
    | 'redirect'
    | 'error-in-200'
    | 'deny'
    | 'hang-up-after-redeeming'
    | `slow:${number}`
    | 'held'
    | `clock-skew:${number}`
    | 'form'
    | 'no-refresh-token';

export interface RecordedRequest {
    /** Milliseconds since the epoch. */
    at: number;
    method: string;
    path: string;
    headers: IncomingHttpHeaders;
    /** Of the query for GET, of the form body for POST. */
    params: Record<string, string>;
    fault?: Fault;
}

export interface FaultyTokenServer {
    url: string;
    authorizationEndpoint: string;
    tokenEndpoint: string;
    clientId: string;
    clientSecret: string;
    /** Every request, oldest first. */
    requests: readonly RecordedRequest[];
    /** Every refresh token ever issued, oldest first. */
    refreshTokens: readonly RefreshTokenRecord[];
    /** Whether any refresh token was presented twice: the mistake that a single-flight refresh must exclude. */
    presentedTwice(): boolean;
    /** A new grant, as if a user had just connected. */
    issueTokens(scope?: string): Tokens;
    /** The next `times` requests that the fault concerns fail that way; default: all until the next call. `null` heals. */
    fail(fault: Fault | null, times?: number): void;
    /** Answers every call that was held. */
    release(): void;
    /** Seconds; for tokens issued from now on. Default 3600. */
    setExpiresIn(seconds: number): void;
    close(): Promise<void>;
}

export async function startFaultyTokenServer(host = '127.0.0.1'): Promise<FaultyTokenServer> {
    const issuer = createTokenIssuer();
    const requests: RecordedRequest[] = [];
    const closing = new AbortController();
    let fault: Fault | null = null;
    let faultsLeft = 0;
    let held = Promise.withResolvers<void>();

    const server = await listen((request, response) => {
        serve(request, response).catch((error: unknown) => {
            if (closing.signal.aborted || request.errored) return;
            response.writeHead(500).end(String(error));
        });
    }, host);
    const url = `http://${host}:${server.port}`;

    async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
        const at = Date.now();
        const { pathname, searchParams } = new URL(request.url ?? '/', url);
        const form = new URLSearchParams((await readBody(request)).toString());
        const recorded: RecordedRequest = {
            at,
            method: request.method ?? '',
            path: pathname,
            headers: request.headers,
            params: Object.fromEntries(request.method === 'GET' ? searchParams : form),
        };
        requests.push(recorded);
        if (pathname === '/authorize') return authorize(recorded, response);
        if (pathname === '/elsewhere') return json(response, 200, issuer.issueTokens(''));
        if (pathname !== '/token' || request.method !== 'POST') return json(response, 404, { error: 'not_found' });
        const current = takeFault();
        if (current === null) return answer(response, recorded.params, request.headers.authorization);
        recorded.fault = current;
        await misbehave(current, recorded.params, request, response);
    }

    function authorize({ params }: RecordedRequest, response: ServerResponse): void {
        const redirectUri = params['redirect_uri'];
        if (params['client_id'] !== issuer.clientId || redirectUri === undefined) return json(response, 400, { error: 'invalid_request' });
        const callback = new URL(redirectUri);
        if (fault === 'deny') {
            takeFault();
            callback.searchParams.set('error', 'access_denied');
        } else {
            const code = { scope: params['scope'] ?? '', challenge: params['code_challenge'], redirectUri };
            callback.searchParams.set('code', issuer.issueCode(code));
        }
        if (params['state'] !== undefined) callback.searchParams.set('state', params['state']);
        response.writeHead(302, { location: callback.href }).end();
    }

    function takeFault(): Fault | null {
        const current = fault;
        if (--faultsLeft <= 0) fault = null;
        return current;
    }

    async function misbehave(current: Fault, params: Record<string, string>, request: IncomingMessage, response: ServerResponse): Promise<void> {
        const [name, argument] = current.split(':') as [string, string | undefined];
        const { authorization } = request.headers;
        switch (name) {
            case 'timeout':
                return;
            case 'hang-up-after-redeeming':
                issuer.redeem(params, authorization);
                request.socket.destroy();
                return;
            case 'hang-up':
                request.socket.destroy();
                return;
            case 'html':
                response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<!doctype html><title>Log in</title>');
                return;
            case 'empty':
                response.writeHead(200, { 'content-type': 'application/json' }).end();
                return;
            case 'not-json':
                response.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token": "unfinis');
                return;
            case 'status':
                response.writeHead(Number(argument), { 'content-type': 'text/plain' }).end('fault');
                return;
            case 'retry-after':
                response.writeHead(503, { 'retry-after': argument ?? '1' }).end();
                return;
            case 'huge':
                response.writeHead(200, { 'content-type': 'application/json' });
                response.end(`{"access_token":"huge","token_type":"Bearer","padding":"${'x'.repeat(10 * 1024 * 1024)}"}`);
                return;
            case 'redirect':
                response.writeHead(302, { location: '/elsewhere' }).end();
                return;
            case 'error-in-200':
                return json(response, 200, { error: 'bad_refresh_token', error_description: 'incorrect or expired' });
            case 'deny':
                return json(response, 400, { error: 'invalid_grant', error_description: 'denied' });
            case 'slow': {
                const { status, body } = issuer.redeem(params, authorization);
                await delay(Number(argument), undefined, { signal: closing.signal });
                return json(response, status, body);
            }
            case 'held': {
                const { status, body } = issuer.redeem(params, authorization);
                await held.promise;
                return json(response, status, body);
            }
            case 'clock-skew':
                response.setHeader('date', new Date(Date.now() + Number(argument)).toUTCString());
                return answer(response, params, authorization);
            case 'form': {
                const { status, body } = issuer.redeem(params, authorization);
                const fields = Object.entries(body).map(([key, value]) => [key, String(value)]);
                response.writeHead(status, { 'content-type': 'application/x-www-form-urlencoded' });
                response.end(new URLSearchParams(fields).toString());
                return;
            }
            case 'no-refresh-token': {
                const { status, body } = issuer.redeem(params, authorization, params['grant_type'] !== 'refresh_token');
                return json(response, status, body);
            }
            default:
                throw new Error(`no such fault: ${current}`);
        }
    }

    function answer(response: ServerResponse, params: Record<string, string>, authorization: string | undefined): void {
        const { status, body } = issuer.redeem(params, authorization);
        json(response, status, body);
    }

    return {
        url,
        authorizationEndpoint: `${url}/authorize`,
        tokenEndpoint: `${url}/token`,
        clientId: issuer.clientId,
        clientSecret: issuer.clientSecret,
        requests,
        refreshTokens: issuer.refreshTokens,
        presentedTwice: () => issuer.refreshTokens.some(({ presented }) => presented.length > 1),
        issueTokens: (scope = '') => issuer.issueTokens(scope),
        fail: (next, times = Number.POSITIVE_INFINITY) => {
            fault = next;
            faultsLeft = times;
        },
        release: () => {
            held.resolve();
            held = Promise.withResolvers();
        },
        setExpiresIn: issuer.setExpiresIn,
        close: async () => {
            closing.abort();
            await server.close();
        },
    };
}

function json(response: ServerResponse, status: number, body: object): void {
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(body));
}
