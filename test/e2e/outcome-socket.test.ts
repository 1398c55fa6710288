/** The socket on which a page waits for its popup's outcome (http-api §11.5, frontend contract §1.7–§1.9, §7.7). */
import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import WebSocket, { type ClientOptions } from 'ws';
import { createIntegration, createSession, untestedKeyEntry } from '../http/accounts.ts';
import { startTestApp, type TestApp } from '../http/app.ts';
import { startFaultyTokenServer, type FaultyTokenServer } from '../peers/faulty-token-server.ts';
import { consent, finishPopup, openPopup, openSocket, sentenceOf, type Popup } from './popup.ts';
import { oauth2Entry, providersFile } from './provider-entries.ts';
import { openCallback, startConnect } from './user.ts';
import { eventually } from './valetkey.ts';

let server: FaultyTokenServer;
let valetkey: TestApp;
let token: string;

beforeAll(async () => {
    server = await startFaultyTokenServer();
    valetkey = await startTestApp({ providers: providersFile(oauth2Entry('plain', server), untestedKeyEntry('keys')) });
    await valetkey.listen();
    await createIntegration(valetkey, 'keys', 'keys');
    await createIntegration(valetkey, 'plain', 'plain', {
        credentials: { type: 'OAUTH2', client_id: server.clientId, client_secret: server.clientSecret },
    });
});

afterAll(async () => {
    await valetkey?.close();
    await server?.close();
});

beforeEach(async () => {
    token = await createSession(valetkey);
});

const open = (query = '', origin?: string): Promise<Popup> =>
    openPopup(valetkey.url, `/oauth/connect/plain?connect_session_token=${token}${query}`, origin);

/** The status that a socket is refused with. */
const refusedWith = (url: string, options: ClientOptions = {}): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
        const socket = new WebSocket(url.replace('http', 'ws'), options);
        socket.on('unexpected-response', (request, response) => {
            resolve(response.statusCode);
            request.destroy();
        });
        socket.on('open', () => reject(new Error(`${url} was opened`)));
        socket.on('error', () => {});
    });

describe('the outcome socket', () => {
    test('greets first, with an id of its own for everybody, and only at the root', async () => {
        const sockets = await Promise.all([
            openSocket(valetkey.url),
            openSocket(valetkey.url, 'https://anywhere.example'),
            openSocket(valetkey.url, undefined, '/?x=1'),
        ]);
        for (const socket of sockets) {
            expect(socket.frames).toEqual([
                {
                    message_type: 'connection_ack',
                    ws_client_id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/) as string,
                },
            ]);
            socket.close();
        }
        expect(new Set(sockets.map((socket) => socket.id)).size).toBe(3);
        for (const path of ['/ws', '/ws/', '//', '/connections', '/oauth/callback']) {
            expect([path, await refusedWith(valetkey.url + path)]).toEqual([path, 400]);
        }
    });

    test.each<[string, () => Promise<string>, number, string]>([
        ['no session', () => Promise.resolve('/oauth/connect/plain?a=b'), 401, 'missing_public_key'],
        ['a malformed session', () => Promise.resolve('/oauth/connect/plain?connect_session_token=x'), 401, 'invalid_connect_session_token_format'],
        [
            'an unknown session',
            () => Promise.resolve(`/oauth/connect/plain?connect_session_token=nango_connect_session_${'0'.repeat(64)}`),
            401,
            'unknown_connect_session_token',
        ],
        [
            'an expired session',
            async () => {
                await valetkey.query(`update connect_sessions set expires_at = now() - interval '1 second' where token_hash = $1`, [
                    valetkey.vault.hash(token),
                ]);
                return `/oauth/connect/plain?connect_session_token=${token}`;
            },
            401,
            'unknown_connect_session_token',
        ],
        [
            'a public key',
            () => Promise.resolve('/oauth/connect/plain?public_key=0f8fad5b-d9cb-469f-a165-70867728950e'),
            401,
            'deprecated_authentication',
        ],
        ['a used flow', () => Promise.resolve('/oauth/connect/plain?flow=used'), 401, 'unknown_connect_session_token'],
        [
            'a connection id of its own',
            () => Promise.resolve(`/oauth/connect/plain?connect_session_token=${token}&connection_id=mine`),
            400,
            'invalid_query_params',
        ],
        [
            'parameters that cannot be stored',
            () => Promise.resolve(`/oauth/connect/plain?connect_session_token=${token}&params[a]=%00`),
            400,
            'invalid_query_params',
        ],
        ['an impossible key', () => Promise.resolve(`/oauth/connect/a%2Fb?connect_session_token=${token}`), 400, 'provider_config_err'],
        ['an unknown integration', () => Promise.resolve(`/oauth/connect/none?connect_session_token=${token}`), 400, 'provider_config_err'],
        [
            'an integration that is not allowed',
            async () => `/oauth/connect/plain?connect_session_token=${await createSession(valetkey, { tags: {}, allowed_integrations: ['keys'] })}`,
            400,
            'integration_not_allowed',
        ],
        [
            'a connection that is gone',
            async () => {
                const popup = await open();
                const { outcome } = await finishPopup(popup, await consent(popup.authorizationUrl));
                popup.socket.close();
                const body = { connection_id: outcome.connection_id, integration_id: 'plain' };
                const session = await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', { body });
                await valetkey.call('DELETE', `/connections/${outcome.connection_id}?provider_config_key=plain`);
                return `/oauth/connect/plain?connect_session_token=${session.body.data.token}`;
            },
            400,
            'invalid_connection',
        ],
    ])('%s: the popup shows a page, and whoever waits is told', async (_name, path, status, type) => {
        const popup = await openPopup(valetkey.url, await path());
        expect([popup.first.status, popup.first.headers.get('content-type')]).toEqual([status, 'text/html; charset=utf-8']);
        expect(sentenceOf(popup.firstText).length).toBeGreaterThan(10);
        expect(await popup.socket.outcome()).toMatchObject({ message_type: 'error', error_type: type, error_desc: sentenceOf(popup.firstText) });
        popup.socket.close();
    });

    test('hears one outcome and no more, and a missing socket fails nothing', async () => {
        const popup = await open();
        await finishPopup(popup, await consent(popup.authorizationUrl));
        await fetch(`${valetkey.url}/oauth/connect/none?connect_session_token=${token}&ws_client_id=${popup.socket.id}`);
        await new Promise((resolve) => setTimeout(resolve, 900));
        expect(popup.socket.frames.map((frame) => frame.message_type)).toEqual(['connection_ack', 'success']);
        popup.socket.close();

        const alone = await open();
        alone.socket.close();
        expect((await openCallback(await consent(alone.authorizationUrl), alone.cookie)).status).toBe(200);
    });

    test('and the page says what was stored, although that it was delivered cannot be noted', async () => {
        await valetkey.query(`create function refuse() returns trigger language plpgsql as $$ begin raise 'refused'; end $$`);
        await valetkey.query(
            `create trigger refused before update on oauth_flows for each row when (new.outcome_delivered_at is not null) execute function refuse()`,
        );
        const popup = await open();
        const { page, outcome } = await finishPopup(popup, await consent(popup.authorizationUrl));
        await valetkey.query('drop function refuse cascade');
        expect([page.status, outcome.message_type]).toEqual([200, 'success']);
        popup.socket.close();
    });

    test.each<[string | undefined, string]>([
        ['https://app.example', '"https://app.example"'],
        ['http://localhost:5173', '"http://localhost:5173"'],
        // a sandboxed frame or a file: there is no origin to post to, and the page must live on to close itself
        ['null', 'null'],
        ['nonsense', 'null'],
    ])('the result page posts to the page at %s only', async (origin, written) => {
        const popup = await open('', origin);
        const { page } = await finishPopup(popup, await consent(popup.authorizationUrl));
        expect(page.html).toContain(`const openerOrigin = ${written};`);
        popup.socket.close();
    });
});

describe('an installation', () => {
    test('may have the socket elsewhere, and says so', async () => {
        const elsewhere = await startTestApp({ env: { NANGO_SERVER_WEBSOCKETS_PATH: 'ws' } });
        await elsewhere.listen();
        const socket = await openSocket(elsewhere.url, undefined, '/ws');
        socket.close();
        expect(await refusedWith(elsewhere.url)).toBe(400);
        const session = await elsewhere.call<{ data: object }>('GET', '/connect/session', { key: await createSession(elsewhere) });
        expect(session.body.data).toMatchObject({ websocketsPath: '/ws' });
        await elsewhere.close();
    });

    test('gives one subscriber five hundred sockets, and another after one was closed', async () => {
        const proxied = await startTestApp({ env: { VALETKEY_TRUST_PROXY: '1' } });
        await proxied.listen();
        const from = (address: string) => ({ headers: { 'x-forwarded-for': `203.0.113.9, ${address}` } });
        const sockets: WebSocket[] = [];
        for (let round = 0; round < 10; round += 1) {
            const opened = Array.from({ length: 50 }, (_, index) => new WebSocket(proxied.url.replace('http', 'ws'), from(`2001:db8::${index + 1}`)));
            await Promise.all(opened.map((socket) => once(socket, 'message')));
            sockets.push(...opened);
        }
        expect(await refusedWith(proxied.url, from('2001:db8::ffff'))).toBe(429);
        const neighbour = new WebSocket(proxied.url.replace('http', 'ws'), from('2001:db8:0:1::1'));
        await once(neighbour, 'message');
        neighbour.terminate();
        sockets[0]!.close();
        await eventually(async () => {
            const another = new WebSocket(proxied.url.replace('http', 'ws'), from('2001:db8::ffff'));
            sockets.push(another);
            await once(another, 'message');
        });
        sockets.forEach((socket) => socket.terminate());
        await proxied.close();
    });
});

async function startReplica(): Promise<TestApp> {
    const { database, encryptionKeys } = valetkey.config;
    const replica = await startTestApp({
        env: {
            DATABASE_URL: (database as { url: string }).url,
            VALETKEY_ENCRYPTION_KEY: encryptionKeys![0]!.key.toString('base64'),
            VALETKEY_SECRET_KEY_DEV: valetkey.key,
            VALETKEY_SECRET_KEY_PROD: valetkey.prodKey,
        },
        providers: providersFile(oauth2Entry('plain', server), untestedKeyEntry('keys')),
    });
    await replica.listen();
    return replica;
}

test.each<[string, (token: string) => Promise<void> | void, string, string]>([
    ['an unknown integration', () => {}, 'none', 'provider_config_err'],
    [
        'an expired session',
        async (sessionToken) =>
            void (await valetkey.query(`update connect_sessions set expires_at = now() - interval '1 second' where token_hash = $1`, [
                valetkey.vault.hash(sessionToken),
            ])),
        'plain',
        'unknown_connect_session_token',
    ],
])('so does a failure that another replica found before the browser was sent off: %s', async (_name, prepare, integration, type) => {
    const replica = await startReplica();
    const socket = await openSocket(valetkey.url);
    await prepare(token);
    const page = await fetch(`${replica.url}/oauth/connect/${integration}?connect_session_token=${token}&ws_client_id=${socket.id}`);
    expect(await socket.outcome()).toMatchObject({
        message_type: 'error',
        provider_config_key: integration,
        error_type: type,
        error_desc: sentenceOf(await page.text()),
    });
    socket.close();
    await replica.close();
});

test('an outcome reaches its socket although another replica handled the callback', async () => {
    const replica = await startReplica();
    const socket = await openSocket(valetkey.url);
    const started = await startConnect(replica.url, 'plain', token, { ws_client_id: socket.id });
    expect((await openCallback(await consent(started.authorizationUrl), started.cookie)).status).toBe(200);
    expect(await socket.outcome()).toMatchObject({ message_type: 'success', provider_config_key: 'plain' });
    socket.close();
    await replica.close();
});

test('a flow that was prepared in a body goes all the way', async () => {
    const body = {
        provider_config_key: 'plain',
        credentials: { oauth_client_id_override: server.clientId, oauth_client_secret_override: server.clientSecret },
    };
    const answer = await valetkey.call<{ data: { url: string } }>('POST', '/oauth/flows', { key: token, body });
    const popup = await openPopup(valetkey.url, answer.body.data.url.slice(valetkey.url.length), 'https://app.example');
    const { page, outcome } = await finishPopup(popup, await consent(popup.authorizationUrl));
    expect([page.status, outcome.message_type]).toEqual([200, 'success']);
    const connection = await valetkey.call('GET', `/connections/${outcome.connection_id}?provider_config_key=plain`);
    expect(connection.body).toMatchObject({ credentials: { config_override: { client_id: server.clientId, client_secret: server.clientSecret } } });
    expect(connection.body['connection_config']).toEqual({});
    popup.socket.close();
});
