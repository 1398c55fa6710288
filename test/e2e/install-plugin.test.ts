/** INSTALL_PLUGIN: a plugin installed in the browser, spoken for by the integration's own key pair (auth-modes §11.4, S2). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createIntegration, createSession } from '../http/accounts.ts';
import { startTestApp, type TestApp } from '../http/app.ts';
import { listen, type HttpServer } from '../peers/http-server.ts';
import { openPopup, type Frame, type Popup } from './popup.ts';
import { crispEntry, providersFile } from './provider-entries.ts';
import { openCallback, type CallbackAnswer } from './user.ts';

/** Crisp's API, as far as a plugin asks it who it is. */
let crisp: HttpServer;
let asked: IncomingMessage[] = [];
let fault: ((response: ServerResponse) => void) | undefined;
let valetkey: TestApp;

const keyPair = { username: 'plugin-identifier', password: 'plugin-key:with=signs' };
const authorization = `Basic ${Buffer.from(`${keyPair.username}:${keyPair.password}`).toString('base64')}`;

beforeAll(async () => {
    crisp = await listen((request, response) => {
        asked.push(request);
        if (fault !== undefined) {
            fault(response);
            return;
        }
        const isKnown = request.headers.authorization === authorization && request.headers['x-crisp-tier'] === 'plugin';
        response.writeHead(isKnown && request.url === '/v1/plugin/connect/account' ? 200 : 401).end('{}');
    });
    const url = `http://127.0.0.1:${crisp.port}`;
    valetkey = await startTestApp({ providers: providersFile(crispEntry('crisp', url)) });
    await valetkey.listen();
    await createIntegration(valetkey, 'crisp', 'crisp', { custom: { app_link: `${url}/initiate/plugin/abc/?tier=1`, ...keyPair } });
    await createIntegration(valetkey, 'wrong', 'crisp', { custom: { app_link: `${url}/initiate/plugin/abc`, ...keyPair, password: 'another' } });
});

afterAll(async () => {
    await valetkey?.close();
    await crisp?.close();
});

beforeEach(() => {
    asked = [];
    fault = undefined;
});

interface Connection {
    credentials: unknown;
    connection_config: Record<string, unknown>;
    tags: Record<string, string>;
    errors: unknown[];
}

const open = async (integration = 'crisp', token?: string, query = ''): Promise<Popup> =>
    openPopup(valetkey.url, `/oauth/connect/${integration}?connect_session_token=${token ?? (await createSession(valetkey))}${query}`);
const rows = async (): Promise<number> => (await valetkey.query('select 1 from connections where deleted_at is null')).length;
const read = async (id: string, query = ''): Promise<Connection> => {
    const answer = await valetkey.call<Connection>('GET', `/connections/${id}?provider_config_key=crisp${query}`);
    expect(answer.status, answer.text).toBe(200);
    return answer.body;
};

/** Installs the plugin and comes back. */
async function install(
    popup: Popup,
    change: Record<string, string | null> = {},
    cookie = popup.cookie,
): Promise<{ page: CallbackAnswer; outcome: Frame }> {
    const callback = new URL(`${valetkey.url}/oauth/callback`);
    callback.searchParams.set('payload', new URL(popup.authorizationUrl).searchParams.get('payload') ?? '');
    for (const [name, value] of Object.entries({ website_id: '8c842203-7ed8-4e29-a608-7cf78a7d2fcc', token: 'x', ...change })) {
        if (value !== null) callback.searchParams.set(name, value);
    }
    const page = await openCallback(callback.href, cookie);
    return { page, outcome: await popup.socket.outcome() };
}

async function connect(token?: string): Promise<string> {
    const { page, outcome } = await install(await open('crisp', token));
    expect([page.status, outcome], page.html).toMatchObject([200, { message_type: 'success', is_pending: false }]);
    return outcome.connection_id!;
}

describe('connecting', () => {
    test('the browser is sent to the link of the integration with the state as payload, and a cookie', async () => {
        const popup = await open();
        const location = new URL(popup.authorizationUrl);
        expect(location.pathname).toBe('/initiate/plugin/abc/');
        expect(Object.fromEntries(location.searchParams)).toEqual({ tier: '1', payload: expect.stringMatching(/^[\w-]{43}$/) as string });
        expect(popup.cookie).toMatch(/^valetkey-flow-/);
        popup.socket.close();
    });

    test('the key pair is the credential as it was set, the account and the tags are kept', async () => {
        const id = await connect();
        const connection = await read(id);
        expect(connection.credentials).toEqual({ type: 'BASIC', ...keyPair });
        // what the entry does not list is not taken over
        expect(connection.connection_config).toEqual({ website_id: '8c842203-7ed8-4e29-a608-7cf78a7d2fcc' });
        expect(connection.tags).toEqual({ end_user_id: 'user-1' });
        expect(asked.map(({ url, headers }) => [url, headers.authorization])).toEqual([['/v1/plugin/connect/account', authorization]]);
        expect(JSON.stringify(await valetkey.query('select * from integrations'))).not.toContain(keyPair.password);
        expect(valetkey.log()).not.toContain(keyPair.password);
    });

    test('the key pair can be changed; a reconnect takes the new one; nothing is renewed; a deletion frees the id', async () => {
        const id = await connect();
        const calls = asked.length;
        expect((await read(id, '&force_refresh=true')).errors).toEqual([]);
        expect(asked.length).toBe(calls);
        await valetkey.call('PATCH', '/integrations/crisp', { body: { custom: { note: 'x' } } });
        const session = await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', {
            body: { connection_id: id, integration_id: 'crisp' },
        });
        expect(await connect(session.body.data.token)).toBe(id);
        expect((await valetkey.call('DELETE', `/connections/${id}?provider_config_key=crisp`)).status).toBe(200);
    });
});

describe('nothing is connected', () => {
    test('when the provider rejects the key pair: JSON, and the socket', async () => {
        const before = await rows();
        const { page, outcome } = await install(await open('wrong'));
        expect([page.status, page.headers.get('content-type'), JSON.parse(page.html), outcome]).toMatchObject([
            400,
            'application/json; charset=utf-8',
            { error: { code: 'connection_test_failed' } },
            { message_type: 'error', error_type: 'connection_test_failed' },
        ]);
        expect(page.html).not.toContain('another');
        expect(await rows()).toBe(before);
    });

    test.each<[string, (response: ServerResponse) => void]>([
        ['is away', (response) => response.destroy()],
        ['fails', (response) => void response.writeHead(503).end()],
        ['redirects', (response) => void response.writeHead(302, { location: '/v1/plugin/connect/account' }).end()],
    ])('when the provider %s', async (_name, failing) => {
        fault = failing;
        const before = await rows();
        const { page } = await install(await open());
        expect(page.status).toBe(400);
        expect(await rows()).toBe(before);
        expect(asked.length).toBe(1);
    });

    test('without the account, or with a refusal', async () => {
        for (const change of [{ website_id: null }, { website_id: null, error: 'access_denied' }]) {
            const { page, outcome } = await install(await open(), change);
            expect([page.status, outcome.error_type]).toEqual([400, 'callback_err']);
        }
        expect(asked).toEqual([]);
    });

    test('in another browser, and when it is replayed', async () => {
        const foreign = await install(await open(), {}, '');
        expect([foreign.page.status, foreign.outcome.error_type]).toEqual([400, 'state_cookie_err']);
        const popup = await open();
        await install(popup);
        const before = [await rows(), asked.length];
        expect((await install(popup)).page.status).toBe(400);
        expect([await rows(), asked.length]).toEqual(before);
    });

    test.each<[string, Record<string, string>]>([
        ['no link', keyPair],
        ['a link that is none', { ...keyPair, app_link: 'javascript:alert(1)' }],
        ['a link in clear', { ...keyPair, app_link: 'http://app.example.com/x' }],
        ['no key pair', { app_link: 'https://app.example.com/x' }],
    ])('with %s: it is not begun', async (name, custom) => {
        await createIntegration(valetkey, name, 'crisp', { custom });
        const popup = await open(encodeURIComponent(name));
        expect(popup.first.status).toBe(400);
        expect(await popup.socket.outcome()).toMatchObject({ error_type: 'provider_config_err' });
    });
});
