import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';

import { startAuthorizationServer } from './peers/authorization-server.ts';
import type { AuthorizationServer } from './peers/authorization-server.ts';
import { launchBrowser } from './peers/browser.ts';
import { startFaultyTokenServer } from './peers/faulty-token-server.ts';
import type { FaultyTokenServer } from './peers/faulty-token-server.ts';
import { startHostPage } from './peers/host-page.ts';
import { listen } from './peers/http-server.ts';
import type { HttpServer } from './peers/http-server.ts';
import { createDatabase } from './peers/postgres.ts';
import { startWebhookReceiver } from './peers/webhook-receiver.ts';
import type { WebhookReceiver } from './peers/webhook-receiver.ts';

describe('postgres', () => {
    test('createDatabase makes separate UTF-8 databases, and drop() removes them under the feet of their sessions', async () => {
        const [one, two] = await Promise.all([createDatabase(), createDatabase()]);
        const client = new pg.Client({ connectionString: one.url });
        client.on('error', () => {});
        await client.connect();
        await client.query("CREATE TABLE words AS SELECT 'ä' AS word");
        expect((await client.query('SELECT upper(word) FROM words')).rows).toEqual([{ upper: 'Ä' }]);

        const other = new pg.Client({ connectionString: two.url });
        await other.connect();
        await expect(other.query('SELECT * FROM words')).rejects.toThrow('does not exist');
        await other.end();

        await Promise.all([one.drop(), two.drop()]);
        await expect(client.query('SELECT 1')).rejects.toThrow();
        await expect(new pg.Client({ connectionString: one.url }).connect()).rejects.toThrow('does not exist');
    });

    test('serves 100 connections at once', async () => {
        const database = await createDatabase();
        const clients = Array.from({ length: 100 }, () => new pg.Client({ connectionString: database.url }));
        await Promise.all(clients.map((client) => client.connect()));
        const answers = await Promise.all(clients.map((client) => client.query('SELECT 1 AS one')));
        expect(answers.every(({ rows }) => rows[0].one === 1)).toBe(true);
        await Promise.all(clients.map((client) => client.end()));
        await database.drop();
    });
});

describe('authorization server', () => {
    const redirectUri = 'http://127.0.0.1:1/oauth/callback';
    let server: AuthorizationServer;
    beforeAll(async () => {
        server = await startAuthorizationServer({ redirectUris: [redirectUri] });
    });
    afterAll(() => server.close());

    const post = (endpoint: string, form: Record<string, string>) =>
        fetch(endpoint, {
            method: 'POST',
            body: new URLSearchParams({ client_id: server.clientId, client_secret: server.clientSecret, ...form }),
        });
    const refresh = async (token: string) => {
        const response = await post(server.tokenEndpoint, { grant_type: 'refresh_token', refresh_token: token });
        return { status: response.status, body: (await response.json()) as Record<string, string> };
    };
    const alive = async (token: string) => {
        const response = await post(server.introspectionEndpoint, { token });
        return ((await response.json()) as { active: boolean }).active;
    };
    function authorizationUrl(verifier: string | null, extra: Record<string, string> = {}): string {
        const pkce =
            verifier === null ? {} : { code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256' };
        const query = { response_type: 'code', client_id: server.clientId, redirect_uri: redirectUri, scope: 'read', state: 's t' };
        return `${server.authorizationEndpoint}?${new URLSearchParams({ ...query, ...pkce, ...extra })}`;
    }
    async function connect(): Promise<{ access_token: string; refresh_token: string; expires_in: number; scope: string }> {
        const verifier = randomBytes(32).toString('base64url');
        const callback = new URL(await server.authorize(authorizationUrl(verifier)));
        expect(callback.searchParams.get('state')).toBe('s t');
        const response = await post(server.tokenEndpoint, {
            grant_type: 'authorization_code',
            code: callback.searchParams.get('code') ?? '',
            redirect_uri: redirectUri,
            code_verifier: verifier,
        });
        expect(response.status).toBe(200);
        return (await response.json()) as Awaited<ReturnType<typeof connect>>;
    }

    test('code flow with PKCE ends in opaque tokens, a refresh token among them without asking for offline access', async () => {
        const tokens = await connect();
        expect(tokens).toMatchObject({ expires_in: 3600, scope: 'read', token_type: 'Bearer' });
        expect(tokens.access_token).not.toContain('.');
        expect(tokens.refresh_token).toBeTypeOf('string');
        expect(await alive(tokens.access_token)).toBe(true);
    });

    test('a wrong code verifier, and no code challenge at all, are refused', async () => {
        const callback = new URL(await server.authorize(authorizationUrl('v'.repeat(43))));
        const response = await post(server.tokenEndpoint, {
            grant_type: 'authorization_code',
            code: callback.searchParams.get('code') ?? '',
            redirect_uri: redirectUri,
            code_verifier: 'w'.repeat(43),
        });
        expect([response.status, await response.json()]).toMatchObject([400, { error: 'invalid_grant' }]);
        const refused = new URL(await server.authorize(authorizationUrl(null)));
        expect(refused.searchParams.get('error')).toBe('invalid_request');
    });

    test('deny() comes back with access_denied and the state', async () => {
        const callback = new URL(await server.deny(authorizationUrl('v'.repeat(43))));
        expect(callback.href.startsWith(redirectUri)).toBe(true);
        expect(Object.fromEntries(callback.searchParams)).toMatchObject({ error: 'access_denied', state: 's t' });
    });

    test('refresh tokens rotate on every use, and presenting a used one kills the family, the newest included', async () => {
        const first = await connect();
        const bystander = await connect();
        const second = (await refresh(first.refresh_token)).body;
        const third = (await refresh(second['refresh_token']!)).body;
        expect(new Set([first.refresh_token, second['refresh_token'], third['refresh_token']]).size).toBe(3);
        expect(await alive(third['access_token']!)).toBe(true);

        expect(await refresh(first.refresh_token)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
        expect(await refresh(third['refresh_token']!)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
        expect(await alive(third['access_token']!)).toBe(false);
        expect((await refresh(bystander.refresh_token)).status).toBe(200);
    });

    test('two simultaneous redemptions of one refresh token kill the family too, whoever was first', async () => {
        for (let round = 0; round < 10; round++) {
            const { refresh_token } = await connect();
            const answers = await Promise.all([refresh(refresh_token), refresh(refresh_token)]);
            expect(answers.filter(({ status }) => status === 200).length).toBeLessThan(2);
            for (const { body } of answers) {
                if (body['refresh_token'] !== undefined) expect((await refresh(body['refresh_token'])).status).toBe(400);
                if (body['access_token'] !== undefined) expect(await alive(body['access_token'])).toBe(false);
            }
        }
    });

    test('revokeGrant() kills every token of the grant, whichever of its refresh tokens it is given', async () => {
        const first = await connect();
        const second = (await refresh(first.refresh_token)).body;
        await server.revokeGrant(first.refresh_token);
        expect(await alive(second['access_token']!)).toBe(false);
        expect((await refresh(second['refresh_token']!)).status).toBe(400);
        await expect(server.revokeGrant('unknown')).rejects.toThrow('no such refresh token');
    });

    test('the revocation endpoint ends a refresh token', async () => {
        const { refresh_token } = await connect();
        expect((await post(server.revocationEndpoint, { token: refresh_token })).status).toBe(200);
        expect((await refresh(refresh_token)).status).toBe(400);
    });

    test('HTTP Basic is as good as the body, and both are recorded with the status', async () => {
        const { refresh_token } = await connect();
        const before = server.tokenRequests.length;
        const authorization = `Basic ${btoa(`${server.clientId}:${server.clientSecret}`)}`;
        const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token });
        expect((await fetch(server.tokenEndpoint, { method: 'POST', headers: { authorization }, body })).status).toBe(200);
        expect((await post(server.tokenEndpoint, { grant_type: 'refresh_token', refresh_token, client_secret: 'wrong' })).status).toBe(401);
        expect(server.tokenRequests.slice(before)).toMatchObject([
            { grantType: 'refresh_token', params: { refresh_token }, authorization, status: 200 },
            { grantType: 'refresh_token', params: { client_secret: 'wrong' }, status: 401 },
        ]);
        expect(server.tokenRequests.at(-1)).not.toHaveProperty('authorization');
    });

    test('a delayed answer is decided before it is given; the access token lifetime is settable', async () => {
        const { refresh_token } = await connect();
        server.setAccessTokenTtl(7);
        server.delayTokenAnswers(1_500);
        const before = server.tokenRequests.length;
        const begin = performance.now();
        let isAnswered = false;
        const answer = refresh(refresh_token).finally(() => (isAnswered = true));
        await expect.poll(() => server.tokenRequests[before]?.status, { interval: 10 }).toBe(200);
        expect(isAnswered).toBe(false);
        expect((await answer).body).toMatchObject({ expires_in: 7 });
        expect(performance.now() - begin).toBeGreaterThan(1_490);
        server.delayTokenAnswers(0);
        server.setAccessTokenTtl(3_600);
    });
});

describe('faulty token server', () => {
    let server: FaultyTokenServer;
    beforeAll(async () => {
        server = await startFaultyTokenServer();
    });
    afterAll(() => server.close());

    const credentials = () => ({ client_id: server.clientId, client_secret: server.clientSecret });
    const refresh = (token: string, signal?: AbortSignal) =>
        fetch(server.tokenEndpoint, {
            method: 'POST',
            redirect: 'manual',
            body: new URLSearchParams({ ...credentials(), grant_type: 'refresh_token', refresh_token: token }),
            ...(signal && { signal }),
        });

    test('healthy: a code with PKCE becomes tokens', async () => {
        const query = { client_id: server.clientId, redirect_uri: 'http://127.0.0.1:1/cb', state: 'x', scope: 'read' };
        const challenge = createHash('sha256').update('verifier').digest('base64url');
        const url = `${server.authorizationEndpoint}?${new URLSearchParams({ ...query, code_challenge: challenge })}`;
        const exchange = async (code_verifier: string) => {
            const callback = new URL((await fetch(url, { redirect: 'manual' })).headers.get('location') ?? '');
            expect(callback.searchParams.get('state')).toBe('x');
            const form = { ...credentials(), grant_type: 'authorization_code', redirect_uri: query.redirect_uri, code_verifier };
            const body = new URLSearchParams({ ...form, code: callback.searchParams.get('code') ?? '' });
            return fetch(server.tokenEndpoint, { method: 'POST', body });
        };
        expect(await (await exchange('verifier')).json()).toMatchObject({ token_type: 'Bearer', expires_in: 3600, scope: 'read' });
        expect((await exchange('other')).status).toBe(400);
    });

    test('healthy: counts presentations per generation; the second of one token kills the grant', async () => {
        server.setExpiresIn(60);
        const first = server.issueTokens();
        const second = (await (await refresh(first.refresh_token)).json()) as { refresh_token: string; expires_in: number };
        expect(second.expires_in).toBe(60);
        expect(server.presentedTwice()).toBe(false);
        expect((await refresh(first.refresh_token)).status).toBe(400);
        expect(server.presentedTwice()).toBe(true);
        expect((await refresh(second.refresh_token)).status).toBe(400);
        const family = server.refreshTokens.filter(({ grant }) => grant === server.refreshTokens.at(-1)?.grant);
        expect(family.map(({ generation, presented }) => [generation, presented.length])).toEqual([
            [0, 2],
            [1, 1],
        ]);
    });

    test.each([
        ['html', 200, 'text/html; charset=utf-8', /<!doctype html>/],
        ['empty', 200, 'application/json', /^$/],
        ['not-json', 200, 'application/json', /^\{"access_token": "unfinis$/],
        ['status:500', 500, 'text/plain', /fault/],
        ['status:429', 429, 'text/plain', /fault/],
        ['huge', 200, 'application/json', /^\{"access_token":"huge",/],
        ['error-in-200', 200, 'application/json', /"error":"bad_refresh_token"/],
        ['deny', 400, 'application/json', /"error":"invalid_grant"/],
        ['redirect', 302, null, /^$/],
        ['retry-after', 503, null, /^$/],
    ] as const)('%s leaves the grant as it was', async (fault, status, type, text) => {
        const { refresh_token } = server.issueTokens();
        server.fail(fault, 1);
        const response = await refresh(refresh_token);
        expect([response.status, response.headers.get('content-type')]).toEqual([status, type]);
        const body = await response.text();
        expect(body).toMatch(text);
        if (fault === 'huge') expect(body.length).toBeGreaterThan(10_000_000);
        if (fault === 'redirect') expect(response.headers.get('location')).toBe('/elsewhere');
        if (fault === 'retry-after') expect(response.headers.get('retry-after')).toBe('1');
        expect(server.requests.at(-1)).toMatchObject({ method: 'POST', path: '/token', fault, params: { refresh_token } });
        expect((await refresh(refresh_token)).status).toBe(200);
    });

    test('timeout and hang-up give no answer and leave the grant as it was', async () => {
        const { refresh_token } = server.issueTokens();
        server.fail('timeout', 1);
        await expect(refresh(refresh_token, AbortSignal.timeout(300))).rejects.toThrow('timeout');
        server.fail('hang-up', 1);
        await expect(refresh(refresh_token)).rejects.toThrow('fetch failed');
        expect((await refresh(refresh_token)).status).toBe(200);
    });

    test('hang-up-after-redeeming has used the token up', async () => {
        const { refresh_token } = server.issueTokens();
        server.fail('hang-up-after-redeeming', 1);
        await expect(refresh(refresh_token)).rejects.toThrow('fetch failed');
        expect((await refresh(refresh_token)).status).toBe(400);
    });

    test('slow, clock-skew, form and no-refresh-token answer right in the wrong way', async () => {
        let { refresh_token } = server.issueTokens('read');
        server.fail('slow:300', 1);
        const begin = performance.now();
        ({ refresh_token } = (await (await refresh(refresh_token)).json()) as { refresh_token: string });
        expect(performance.now() - begin).toBeGreaterThan(290);

        server.fail('clock-skew:-3600000', 1);
        const skewed = await refresh(refresh_token);
        expect(Date.now() - Date.parse(skewed.headers.get('date') ?? '')).toBeGreaterThan(3_590_000);
        ({ refresh_token } = (await skewed.json()) as { refresh_token: string });

        server.fail('form', 1);
        const form = await refresh(refresh_token);
        expect(form.headers.get('content-type')).toBe('application/x-www-form-urlencoded');
        refresh_token = new URLSearchParams(await form.text()).get('refresh_token') ?? '';

        server.fail('no-refresh-token');
        for (let time = 0; time < 2; time++) {
            const body = (await (await refresh(refresh_token)).json()) as object;
            expect(body).toHaveProperty('access_token');
            expect(body).not.toHaveProperty('refresh_token');
        }
        server.fail(null);
        expect(await (await refresh(refresh_token)).json()).toHaveProperty('refresh_token');
    });

    test('deny at the authorization endpoint is the user refusing', async () => {
        server.fail('deny', 1);
        const query = new URLSearchParams({ client_id: server.clientId, redirect_uri: 'http://127.0.0.1:1/cb?a=b', state: 'x' });
        const response = await fetch(`${server.authorizationEndpoint}?${query}`, { redirect: 'manual' });
        expect(response.headers.get('location')).toBe('http://127.0.0.1:1/cb?a=b&error=access_denied&state=x');
    });
});

describe('webhook receiver', () => {
    let receiver: WebhookReceiver;
    beforeAll(async () => {
        receiver = await startWebhookReceiver();
    });
    afterAll(() => receiver.close());
    const send = (body: Uint8Array<ArrayBuffer> | string, signal?: AbortSignal) =>
        fetch(`${receiver.url}hook?a=1`, { method: 'POST', headers: { 'x-signature': 's' }, body, ...(signal && { signal }) });

    test('records the exact bytes and answers by the script, then 200', async () => {
        const bytes = Uint8Array.from([0x7b, 0xff, 0x00, 0x7d]);
        receiver.answer(500, 503);
        const statuses = [await send(bytes), await send('b'), await send('c')].map(({ status }) => status);
        expect(statuses).toEqual([500, 503, 200]);
        expect(receiver.deliveries).toMatchObject([
            { method: 'POST', path: '/hook?a=1', headers: { 'x-signature': 's' }, body: Buffer.from(bytes), status: 500 },
            { status: 503 },
            { status: 200 },
        ]);
    });

    test('waitFor finds past and coming deliveries, and says what came instead', async () => {
        expect((await receiver.waitFor(({ body }) => body.equals(Buffer.from('b')), 0)).status).toBe(503);
        const coming = receiver.waitFor(({ body }) => body.equals(Buffer.from('later')), 5_000);
        await send('later');
        expect((await coming).at).toBeGreaterThan(Date.now() - 5_000);
        await expect(receiver.waitFor(() => false, 50)).rejects.toThrow('POST /hook?a=1 200 later');
    });

    test('can leave a call unanswered, be down, and come back on its port', async () => {
        receiver.answer('never');
        await expect(send('x', AbortSignal.timeout(200))).rejects.toThrow('timeout');
        await receiver.stop();
        await expect(send('x')).rejects.toThrow('fetch failed');
        await receiver.start();
        expect((await send('y')).status).toBe(200);
    });
});

describe('browser and host page', () => {
    let browser: Browser;
    beforeAll(async () => {
        browser = await launchBrowser();
    });
    afterAll(() => browser.close());

    test('the official SDK, from a real click, through the popup, login and consent, to its result', async () => {
        const api = await startApiStandIn();
        const provider = await startAuthorizationServer({ redirectUris: [`${api.url}/oauth/callback`], host: '127.0.0.2' });
        api.sendTo(provider);
        const host = await startHostPage();
        const context = await browser.newContext();
        const page = await context.newPage();
        await page.goto(host.url);
        await page.evaluate(`window.onConnect = () => new Nango({ host: '${api.url}', connectSessionToken: 'token' }).auth('key')`);

        const opened = page.waitForEvent('popup');
        await page.click('#connect');
        const popup = await opened;
        await popup.click('#login');
        expect(new URL(popup.url()).origin).toBe(provider.issuer);
        await popup.click('#approve');
        await page.waitForFunction('window.outcome');
        expect(await page.evaluate('window.outcome')).toEqual({
            resolved: { providerConfigKey: 'key', connectionId: 'connection', isPending: false },
        });

        // The same browser, still logged in there, is asked again, and refuses.
        const openedAgain = page.waitForEvent('popup');
        await page.click('#connect');
        await (await openedAgain).click('#deny');
        await page.waitForFunction('window.outcome');
        expect(await page.evaluate('window.outcome')).toEqual({
            rejected: { name: 'AuthError', type: 'callback_err', message: 'access_denied' },
        });
        await context.close();
        await Promise.all([host.close(), api.close(), provider.close()]);
    });

    test('keeps the rules that users’ browsers keep: CORS, and storage of a frame apart from that of its site', async () => {
        const host = await startHostPage();
        const other = await listen((_request, response) => {
            response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>other</title>');
        });
        const otherUrl = `http://127.0.0.1:${other.port}/`;
        const context = await browser.newContext();
        const page = await context.newPage();
        await page.goto(host.url);
        expect(await page.evaluate(`fetch('${otherUrl}').then(() => 'allowed', (error) => error.message)`)).toBe('Failed to fetch');

        const top = await context.newPage();
        await top.goto(otherUrl);
        await top.evaluate("localStorage.setItem('seen', 'at the top')");
        await top.evaluate("window.heard = []; new BroadcastChannel('c').onmessage = ({ data }) => heard.push(data)");
        await page.evaluate(`new Promise((loaded) => {
            const frame = Object.assign(document.createElement('iframe'), { src: '${otherUrl}', onload: loaded });
            document.body.append(frame);
        })`);
        const frame = page.frame({ url: otherUrl });
        expect(await frame?.evaluate("localStorage.getItem('seen')")).toBe(null);
        await frame?.evaluate("new BroadcastChannel('c').postMessage('from the frame')");
        await page.waitForTimeout(300);
        expect(await top.evaluate('window.heard')).toEqual([]);
        await context.close();
        await Promise.all([host.close(), other.close()]);
    });
});

/** As much of the API as the SDK's popup flow needs: socket, redirect to the provider, callback. */
async function startApiStandIn(): Promise<{ url: string; sendTo(provider: AuthorizationServer): void; close: HttpServer['close'] }> {
    const sockets = new Map<string, WebSocket>();
    let provider: AuthorizationServer;
    const server = createServer((request, response) => {
        const { pathname, searchParams } = new URL(request.url ?? '/', url);
        if (pathname === '/oauth/connect/key') {
            const query = new URLSearchParams({
                response_type: 'code',
                client_id: provider.clientId,
                redirect_uri: `${url}/oauth/callback`,
                scope: 'read',
                state: searchParams.get('ws_client_id') ?? '',
                code_challenge: createHash('sha256').update('v').digest('base64url'),
                code_challenge_method: 'S256',
            });
            response.writeHead(302, { location: `${provider.authorizationEndpoint}?${query}` }).end();
        } else {
            const error = searchParams.get('error');
            const result =
                error === null
                    ? { message_type: 'success', provider_config_key: 'key', connection_id: 'connection', is_pending: false }
                    : { message_type: 'error', error_type: 'callback_err', error_desc: error };
            sockets.get(searchParams.get('state') ?? '')?.send(JSON.stringify(result));
            response.end();
        }
    });
    new WebSocketServer({ server }).on('connection', (socket) => {
        const id = randomBytes(8).toString('hex');
        sockets.set(id, socket);
        socket.send(JSON.stringify({ message_type: 'connection_ack', ws_client_id: id }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return {
        url,
        sendTo: (to) => {
            provider = to;
        },
        close: async () => {
            for (const socket of sockets.values()) socket.terminate();
            server.closeAllConnections();
            await new Promise((resolve) => server.close(resolve));
        },
    };
}
