/** How connect sessions end before their time: deleted, or used up (http-api §4.4; frontend contract §7.19). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSocket } from '../e2e/popup.ts';
import { openCallback, startConnect } from '../e2e/user.ts';
import { oauth2Entry, providersFile } from '../e2e/provider-entries.ts';
import { listen, type HttpServer } from '../peers/http-server.ts';
import { connectKey, createIntegration, createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';
import { issues, readSession } from './sessions.ts';

let valetkey: TestApp;
let provider: HttpServer;
/** How often a code was exchanged, and what happens while one is. */
let exchanges = 0;
let duringExchange: (() => Promise<void>) | undefined;

beforeAll(async () => {
    provider = await listen((_request, response) => {
        exchanges += 1;
        void (duringExchange?.() ?? Promise.resolve()).then(() =>
            response.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token":"t","token_type":"bearer"}'),
        );
    });
    const url = `http://127.0.0.1:${provider.port}`;
    valetkey = await startTestApp({
        providers: providersFile(
            untestedKeyEntry('keys'),
            oauth2Entry('oauth', { authorizationEndpoint: `${url}/authorize`, tokenEndpoint: `${url}/token` }),
        ),
    });
    await valetkey.listen();
    await createIntegration(valetkey, 'keys', 'keys');
    await createIntegration(valetkey, 'oauth', 'oauth', {
        credentials: { type: 'OAUTH2', client_id: 'i', client_secret: 's' },
    });
    await valetkey.call('PATCH', '/environment/webhooks', { body: { primary_url: 'https://hooks.example.com' } });
});

afterAll(async () => {
    await valetkey?.close();
    await provider?.close();
});

const remove = (token: string, options: object = {}, query = ''): Promise<Answer<unknown>> =>
    valetkey.call('DELETE', `/connect/session${query}`, { key: token, ...options });
const unknownToken = { error: { code: 'unknown_connect_session_token', message: expect.any(String) as string, payload: {} } };
const connections = async (): Promise<number> => (await valetkey.query('select 1 from connections')).length;
const webhooks = async (): Promise<number> => (await valetkey.query('select 1 from webhook_events')).length;
const operationOf = async (token: string): Promise<unknown> =>
    (
        await valetkey.query<{ state: string }>(
            'select o.state from operations o join connect_sessions s on s.operation_id = o.id where s.token_hash = $1',
            [valetkey.vault.hash(token)],
        )
    )[0]?.state;

/** Opens a popup and consents. @returns what brings the browser back. */
async function consent(token: string, query: Record<string, string> = {}): Promise<{ callback: string; cookie: string }> {
    const started = await startConnect(valetkey.url, 'oauth', token, query);
    const state = new URL(started.authorizationUrl).searchParams.get('state');
    return { callback: `${valetkey.url}/oauth/callback?code=c&state=${state}`, cookie: started.cookie };
}

const shownType = (html: string): string | undefined => /<code>([^<]*)<\/code>/.exec(html)?.[1];

describe('DELETE /connect/session', () => {
    test('ends the token: 204 without a body, and it is unknown from then on', async () => {
        const token = await createSession(valetkey);
        const answer = await remove(token);
        expect([answer.status, answer.text]).toEqual([204, '']);
        for (const [method, path] of [
            ['GET', '/connect/session'],
            ['DELETE', '/connect/session'],
            ['GET', '/providers'],
            ['POST', '/oauth/flows'],
        ] as const) {
            const after = await valetkey.call(method, path, { key: token, ...(method === 'POST' ? { body: { provider_config_key: 'oauth' } } : {}) });
            expect([after.status, after.body]).toEqual([401, unknownToken]);
        }
        await expect(connectKey(valetkey, 'keys', token)).rejects.toThrow('unknown_connect_session_token');
    });

    test('takes no query, and no body but an empty one', async () => {
        const token = await createSession(valetkey);
        const query = await remove(token, {}, '?x=1');
        expect([query.status, issues(query)]).toEqual([400, [['unrecognized_keys', []]]]);
        const body = await remove(token, { body: { a: 1 } });
        expect([body.status, issues(body)]).toEqual([400, [['unrecognized_keys', []]]]);
        expect((await remove(token, { headers: { 'content-type': 'application/json' } })).status).toBe(204);
        expect((await remove(await createSession(valetkey), { body: {} })).status).toBe(204);
    });

    test('is for the session itself, not for the key that issued it', async () => {
        const answer = await remove(valetkey.key);
        expect([answer.status, answer.body]).toMatchObject([401, { error: { code: 'invalid_connect_session_token_format' } }]);
    });

    test('what it waited for is not waited for any longer; what became of it stays', async () => {
        const [waiting, done] = [await createSession(valetkey), await createSession(valetkey)];
        await connectKey(valetkey, 'keys', done);
        const rows = async () => valetkey.query<{ id: string; state: string }>('select id, state from operations order by created_at desc, id desc');
        const before = new Map((await rows()).map(({ id, state }) => [id, state]));
        await remove(waiting);
        await remove(done);
        const changed = (await rows()).filter(({ id, state }) => before.get(id) !== state);
        expect(changed.map(({ state }) => state)).toEqual(['cancelled']);
    });

    test('a flow that it began fails when it comes back: on the page, on the socket, and nothing is stored', async () => {
        const token = await createSession(valetkey);
        const socket = await openSocket(valetkey.url);
        const { callback, cookie } = await consent(token, { ws_client_id: socket.id });
        const [requests, before, told] = [exchanges, await connections(), await webhooks()];
        expect((await remove(token)).status).toBe(204);
        const { status, html } = await openCallback(callback, cookie);
        expect([status, shownType(html)]).toEqual([400, 'unknown_err']);
        expect(await socket.outcome()).toMatchObject({ message_type: 'error', provider_config_key: 'oauth', error_type: 'unknown_err' });
        expect([exchanges, await connections(), await webhooks()]).toEqual([requests, before, told]);
        socket.close();
    });

    test('while an attempt is at the provider: it is not stored', async () => {
        const token = await createSession(valetkey);
        const { callback, cookie } = await consent(token);
        const before = await connections();
        // Between the callback's look at the session and its write.
        duringExchange = async () => void (await remove(token));
        const { status, html } = await openCallback(callback, cookie).finally(() => (duringExchange = undefined));
        expect([status, shownType(html)]).toEqual([400, 'unknown_connect_session_token']);
        expect(await connections()).toBe(before);
    });
});

test('a deleted environment ends its sessions, and the flows they began', async () => {
    const token = await createSession(valetkey);
    const { callback, cookie } = await consent(token);
    const prepared = await valetkey.call<{ data: { url: string } }>('POST', '/oauth/flows', { key: token, body: { provider_config_key: 'oauth' } });
    const exchanged = exchanges;
    const setDeleted = (at: string) => valetkey.query(`update environments set deleted_at = ${at} where name = 'dev'`);
    await setDeleted('now()');
    try {
        const answers = [
            await valetkey.call('GET', '/connect/session', { key: token }),
            await valetkey.call('GET', `/oauth/connect/oauth?connect_session_token=${token}`, { key: null }),
        ];
        for (const answer of answers) {
            expect([answer.status, answer.body]).toMatchObject([401, { error: { code: 'unknown_account', payload: {} } }]);
        }
        expect((await valetkey.call('GET', prepared.body.data.url.slice(valetkey.url.length), { key: null })).status).toBe(401);
        const { status, html } = await openCallback(callback, cookie);
        expect([status, shownType(html), exchanges]).toEqual([400, 'account_or_environment_retrieval_err', exchanged]);
    } finally {
        await setDeleted('null');
    }
});

describe('single_use', () => {
    const singleUse = (): Promise<string> => createSession(valetkey, { tags: {}, single_use: true });

    test('the session ends with its first success, and still tells what became of it', async () => {
        const token = await singleUse();
        const id = await connectKey(valetkey, 'keys', token);
        const before = await connections();
        await expect(connectKey(valetkey, 'keys', token)).rejects.toThrow('401');
        const popup = await valetkey.call('GET', `/oauth/connect/oauth?connect_session_token=${token}`, { key: null });
        expect([popup.status, popup.body]).toEqual([401, unknownToken]);
        const prepared = await valetkey.call('POST', '/oauth/flows', { key: token, body: { provider_config_key: 'oauth' } });
        expect([prepared.status, prepared.body]).toEqual([401, unknownToken]);
        expect(await readSession(valetkey, token)).toMatchObject({ outcome: { status: 'success', connection_id: id } });
        expect(await connections()).toBe(before);
        expect((await remove(token)).status).toBe(204);
    });

    test('a failure does not use it up', async () => {
        const token = await singleUse();
        await expect(connectKey(valetkey, 'keys', token, '\t')).rejects.toThrow('connection_test_failed');
        await connectKey(valetkey, 'keys', token);
    });

    test('false is as if it were left out', async () => {
        const token = await createSession(valetkey, { tags: {}, single_use: false });
        const first = await connectKey(valetkey, 'keys', token);
        expect(await connectKey(valetkey, 'keys', token)).not.toBe(first);
    });

    test('of eight attempts at once one succeeds, and its outcome stays', async () => {
        const token = await singleUse();
        const [before, told] = [await connections(), await webhooks()];
        const answers = await Promise.all(
            Array.from({ length: 8 }, () =>
                valetkey.call<{ connectionId?: string }>('POST', `/api-auth/api-key/keys?connect_session_token=${token}`, {
                    key: null,
                    body: { apiKey: 'k' },
                }),
            ),
        );
        expect(answers.map(({ status }) => status).toSorted()).toEqual([200, ...Array.from({ length: 7 }, () => 401)]);
        for (const answer of answers.filter(({ status }) => status === 401)) {
            expect(answer.body).toEqual(unknownToken);
        }
        const id = answers.find(({ status }) => status === 200)!.body.connectionId;
        expect([await connections(), await webhooks()]).toEqual([before + 1, told + 1]);
        expect(await readSession(valetkey, token)).toMatchObject({ outcome: { status: 'success', connection_id: id } });
        expect(await operationOf(token)).toBe('success');
    });

    test('a popup that was open when another one succeeded gets nothing, and its code is not exchanged', async () => {
        const token = await singleUse();
        const [first, second] = [await consent(token), await consent(token)];
        expect((await openCallback(first.callback, first.cookie)).status).toBe(200);
        const [requests, told] = [exchanges, await webhooks()];
        const late = await openCallback(second.callback, second.cookie);
        expect([late.status, shownType(late.html)]).toEqual([400, 'unknown_connect_session_token']);
        expect([exchanges, await webhooks()]).toEqual([requests, told]);
        expect(await readSession(valetkey, token)).toMatchObject({ outcome: { status: 'success' } });
    });

    test('a flow that was prepared before is not begun afterwards', async () => {
        const token = await singleUse();
        const prepared = await valetkey.call<{ data: { url: string } }>('POST', '/oauth/flows', {
            key: token,
            body: { provider_config_key: 'oauth' },
        });
        await connectKey(valetkey, 'keys', token);
        const answer = await valetkey.call('GET', prepared.body.data.url.slice(valetkey.url.length), { key: null });
        expect([answer.status, answer.body]).toEqual([401, unknownToken]);
    });

    test('goes for reconnects too', async () => {
        const id = await connectKey(valetkey, 'keys', await createSession(valetkey));
        const answer = await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', {
            body: { connection_id: id, integration_id: 'keys', single_use: true },
        });
        const { token } = answer.body.data;
        expect(await connectKey(valetkey, 'keys', token)).toBe(id);
        await expect(connectKey(valetkey, 'keys', token)).rejects.toThrow('unknown_connect_session_token');
    });

    test('is a boolean', async () => {
        const answer = await valetkey.call('POST', '/connect/sessions', { body: { tags: {}, single_use: 'yes' } });
        expect(issues(answer)).toEqual([['invalid_type', ['single_use']]]);
    });
});
