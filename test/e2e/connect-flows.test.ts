/** GET /connect/flows/:flowId: a page learns what became of the window it opened, whichever replica it asks (frontend contract §7.3–§7.7). */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createIntegration, createSession, untestedKeyEntry } from '../http/accounts.ts';
import { startTestApp, type Answer, type TestApp } from '../http/app.ts';
import { startFaultyTokenServer, type FaultyTokenServer } from '../peers/faulty-token-server.ts';
import { consent, sentenceOf } from './popup.ts';
import { oauth2Entry, providersFile } from './provider-entries.ts';
import { openCallback, startConnect, type StartedConnect } from './user.ts';

let server: FaultyTokenServer;
let valetkey: TestApp;
/** Shares the database, and handles windows and callbacks where the test says so. */
let replica: TestApp;
let token: string;
let flowId: string;

const pollEveryMs = 700;

/** The variables of another process on the same database. */
const sharedWith = ({ config, key, prodKey }: TestApp): Record<string, string> => ({
    DATABASE_URL: (config.database as { url: string }).url,
    VALETKEY_ENCRYPTION_KEY: config.encryptionKeys![0]!.key.toString('base64'),
    VALETKEY_SECRET_KEY_DEV: key,
    VALETKEY_SECRET_KEY_PROD: prodKey,
});

beforeAll(async () => {
    server = await startFaultyTokenServer();
    const providers = providersFile(oauth2Entry('plain', server), untestedKeyEntry('keys'));
    const env = { VALETKEY_CONNECT_UI_URL: 'https://connect.example/ui/' };
    valetkey = await startTestApp({ providers, env });
    replica = await startTestApp({ env: { ...env, ...sharedWith(valetkey) }, providers });
    await Promise.all([valetkey.listen(), replica.listen()]);
    await createIntegration(valetkey, 'keys', 'keys');
    for (const key of ['plain', 'other']) {
        await createIntegration(valetkey, key, 'plain', {
            credentials: { type: 'OAUTH2', client_id: server.clientId, client_secret: server.clientSecret },
        });
    }
});

afterAll(async () => {
    await replica?.close();
    await valetkey?.close();
    await server?.close();
});

beforeEach(async () => {
    token = await createSession(valetkey);
    flowId = randomUUID();
});

interface Status {
    state: string;
    outcome: { status: string; connection_id?: string; error?: { type: string } } | null;
}

const ask = (id = flowId, wait = 0, key = token, of = valetkey): Promise<Answer<{ data: Status }>> =>
    of.call('GET', `/connect/flows/${id}${wait === 0 ? '' : `?wait=${wait}`}`, { key });
const status = async (...asked: Parameters<typeof ask>): Promise<Status> => {
    const answer = await ask(...asked);
    expect(answer.status, answer.text).toBe(200);
    return answer.body.data;
};
const open = (of: TestApp, query: Record<string, string> = {}, key = 'plain'): Promise<StartedConnect> =>
    startConnect(of.url, key, token, { flow_id: flowId, ...query });
const window = (of: TestApp, path: string): Promise<Response> => fetch(of.url + path, { redirect: 'manual' });
const comeBack = async (started: StartedConnect) => openCallback(await consent(started.authorizationUrl), started.cookie);
const nothing: Status = { state: 'unknown', outcome: null };

describe('a page that waits at one replica', () => {
    test('is told of the window and of the success by another', async () => {
        expect(await status()).toEqual(nothing);
        const opened = status(flowId, 20);
        const started = await open(replica);
        expect(await opened).toEqual({ state: 'started', outcome: null });
        const ended = status(flowId, 20);
        expect((await comeBack(started)).status).toBe(200);
        const told = await ended;
        // Between coming back and the tokens there is time enough to be seen.
        const done = told.state === 'returned' ? await status(flowId, 20) : told;
        expect(done).toEqual({
            state: 'done',
            outcome: {
                status: 'success',
                provider_config_key: 'plain',
                connection_id: expect.any(String) as string,
                is_pending: false,
                at: expect.any(String) as string,
            },
        });
        expect(await status()).toEqual(done);
        const connection = await valetkey.call('GET', `/connections/${done.outcome!.connection_id}?provider_config_key=plain`);
        expect(connection.status).toBe(200);
    });

    test('is told of a refusal, with the provider’s reason', async () => {
        const started = await open(replica);
        server.fail('deny', 1);
        const ended = status(flowId, 20);
        const page = await comeBack(started);
        const told = await ended;
        const { outcome } = told.state === 'returned' ? await status(flowId, 20) : told;
        expect(outcome).toMatchObject({ status: 'error', error: { type: 'callback_err', description: sentenceOf(page.html) } });
    });

    test('is answered as it was when nothing happens', async () => {
        expect(await status(flowId, 1)).toEqual(nothing);
    });

    test('is answered when the process stops', async () => {
        const waiting = Promise.withResolvers<void>();
        const stopping = await startTestApp({
            env: sharedWith(valetkey),
            waits: (ms) => {
                if (ms === pollEveryMs) waiting.resolve();
                return ms;
            },
        });
        await stopping.listen();
        const answer = fetch(`${stopping.url}/connect/flows/${flowId}?wait=25`, { headers: { authorization: `Bearer ${token}` } });
        await waiting.promise;
        await stopping.close();
        expect(await (await answer).json()).toEqual({ data: nothing });
    });

    test('waits beside three others of its session: one more, and the first is answered', async () => {
        const ids = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
        const first = status(flowId, 25);
        await status(randomUUID(), 1);
        const others = ids.map((id) => status(id, 25));
        expect(await first).toEqual(nothing);
        for (flowId of ids) {
            await open(replica);
        }
        const states = (await Promise.all(others)).map(({ state }) => state);
        expect(states).not.toContain('unknown');
    });
});

describe('what fails before anybody is sent off', () => {
    test.each<[string, () => Promise<string> | string, string]>([
        ['an unknown integration', () => `/oauth/connect/none?connect_session_token=${token}`, 'provider_config_err'],
        ['an impossible key', () => `/oauth/connect/a%00b?connect_session_token=${token}`, 'invalid_uri_params'],
        ['another mode', () => `/oauth/connect/keys?connect_session_token=${token}`, 'provider_config_err'],
        ['a parameter that nobody asks for', () => `/oauth/connect/plain?connect_session_token=${token}&params[a]=%00`, 'invalid_query_params'],
        ['a connection id', () => `/oauth/connect/plain?connect_session_token=${token}&connection_id=x`, 'invalid_query_params'],
        [
            'an integration that is not allowed',
            async () => {
                token = await createSession(valetkey, { tags: {}, allowed_integrations: ['keys'] });
                return `/oauth/connect/plain?connect_session_token=${token}`;
            },
            'integration_not_allowed',
        ],
        [
            'a session that is used up',
            async () => {
                token = await createSession(valetkey, { tags: {}, single_use: true });
                const started = await startConnect(valetkey.url, 'plain', token);
                await comeBack(started);
                return `/oauth/connect/plain?connect_session_token=${token}`;
            },
            'unknown_connect_session_token',
        ],
    ])('%s is told to the page, at another replica', async (_name, path, type) => {
        const answer = await window(replica, `${await path()}&flow_id=${flowId}`);
        const html = await answer.text();
        expect([answer.status >= 400, answer.headers.get('content-type')]).toEqual([true, 'text/html; charset=utf-8']);
        const { state, outcome } = await status(flowId, 5);
        expect([state, outcome]).toMatchObject(['done', { status: 'error', error: { type, description: sentenceOf(html) } }]);
    });

    test('a name that is no UUID is refused, and readable', async () => {
        for (const name of ['x', '', '1', `${randomUUID()}0`]) {
            const answer = await window(valetkey, `/oauth/connect/plain?connect_session_token=${token}&flow_id=${name}`);
            expect([name, answer.status, await answer.text()]).toEqual([name, 400, expect.stringContaining('invalid_query_params')]);
        }
        expect(await ask('x')).toMatchObject({ status: 400, body: { error: { code: 'invalid_uri_params' } } });
    });
});

describe('whose flow it is', () => {
    test('no other session sees it, and none can take its name', async () => {
        await open(valetkey);
        const stranger = await createSession(valetkey);
        expect(await status(flowId, 0, stranger)).toEqual(nothing);
        const taken = await window(valetkey, `/oauth/connect/plain?connect_session_token=${stranger}&flow_id=${flowId}`);
        expect([taken.status, await taken.text()]).toEqual([400, expect.stringContaining('This flow_id has been used')]);
        expect(await status(flowId, 0, stranger)).toEqual(nothing);
        expect(await status()).toEqual({ state: 'started', outcome: null });
    });

    test('the session token is needed to ask', async () => {
        expect((await valetkey.call('GET', `/connect/flows/${flowId}`, { key: null })).status).toBe(401);
        expect((await valetkey.call('GET', `/connect/flows/${flowId}`)).status).toBe(401);
    });
});

describe('a second attempt', () => {
    test('ends the first, whose window can connect nothing any more', async () => {
        const first = { id: flowId, started: await open(valetkey) };
        flowId = randomUUID();
        const second = await open(replica);
        expect(await status(first.id)).toMatchObject({ state: 'done', outcome: { status: 'error', error: { type: 'superseded' } } });
        expect((await comeBack(first.started)).status).toBe(400);
        expect((await comeBack(second)).status).toBe(200);
        expect(await status()).toMatchObject({ state: 'done', outcome: { status: 'success' } });
        const session = await valetkey.call<{ data: Status }>('GET', '/connect/session', { key: token });
        expect(session.body.data.outcome).toMatchObject({ status: 'success' });
    });

    test('of another integration, or without a name, ends nothing', async () => {
        const named = await open(valetkey);
        await startConnect(valetkey.url, 'plain', token);
        await startConnect(valetkey.url, 'other', token, { flow_id: randomUUID() });
        expect(await status()).toEqual({ state: 'started', outcome: null });
        expect((await comeBack(named)).status).toBe(200);
    });

    test('of several at once, one is left', async () => {
        const ids = Array.from({ length: 8 }, () => randomUUID());
        await Promise.all(
            ids.map((id, index) => window([valetkey, replica][index % 2]!, `/oauth/connect/plain?connect_session_token=${token}&flow_id=${id}`)),
        );
        const states = await Promise.all(ids.map(async (id) => (await status(id)).state));
        expect(states.toSorted()).toEqual([...Array.from({ length: 7 }, () => 'done'), 'started']);
    });

    test('may have the same name while nothing came of it, and not after a success', async () => {
        const first = await open(valetkey);
        const again = await open(valetkey);
        expect((await comeBack(first)).status).toBe(400);
        expect(await status()).toEqual({ state: 'started', outcome: null });
        server.fail('deny', 1);
        expect((await comeBack(again)).status).toBe(400);
        expect((await comeBack(await open(valetkey))).status).toBe(200);
        const late = await window(valetkey, `/oauth/connect/plain?connect_session_token=${token}&flow_id=${flowId}`);
        expect(late.status).toBe(400);
        expect(await status()).toMatchObject({ state: 'done', outcome: { status: 'success' } });
    });
});

test('a flow that was prepared in a body has its name too', async () => {
    const body = { provider_config_key: 'plain', flow_id: flowId };
    const prepared = await valetkey.call<{ data: { url: string } }>('POST', '/oauth/flows', { key: token, body });
    expect(await status()).toEqual(nothing);
    const first = await fetch(prepared.body.data.url, { redirect: 'manual' });
    expect([first.status, await status()]).toEqual([302, { state: 'started', outcome: null }]);
    const refused = await valetkey.call('POST', '/oauth/flows', { key: token, body: { ...body, flow_id: 'x' } });
    expect(refused.status).toBe(400);
});

test('a flow from which nobody comes back has ended when nobody can', async () => {
    await open(valetkey);
    await valetkey.query(`update oauth_flows set expires_at = now() - interval '1 second' where connect_flow_id = $1`, [flowId]);
    expect(await status()).toMatchObject({ state: 'done', outcome: { status: 'error', error: { type: 'state_err' } } });
});

test('a flow whose callback was cut off has ended when nothing can be written any more', async () => {
    await open(valetkey);
    const returned = (minutes: number) =>
        valetkey.query(`update oauth_flows set consumed_at = now() - $1 * interval '1 minute' where connect_flow_id = $2`, [minutes, flowId]);
    await returned(2);
    expect(await status()).toEqual({ state: 'returned', outcome: null });
    await returned(6);
    expect(await status()).toMatchObject({ state: 'done', outcome: { status: 'error', error: { type: 'interrupted' } } });
});

test('a flow that was begun before its session expired can be asked for after it, for as long as it can finish', async () => {
    const started = await open(valetkey);
    const expired = (minutes: number) =>
        valetkey.query(`update connect_sessions set expires_at = now() - $1 * interval '1 minute' where token_hash = $2`, [
            minutes,
            valetkey.vault.hash(token),
        ]);
    await expired(9);
    expect((await comeBack(started)).status).toBe(200);
    expect(await status()).toMatchObject({ state: 'done', outcome: { status: 'success' } });
    expect((await valetkey.call('GET', '/connect/session', { key: token })).status).toBe(401);
    await expired(11);
    expect((await ask()).status).toBe(401);
});

test('the page that a window ends on speaks to the page that opened it', async () => {
    const query = new URLSearchParams({ connect_session_token: token, flow_id: flowId });
    const first = await fetch(`${valetkey.url}/oauth/connect/plain?${query}`, {
        redirect: 'manual',
        headers: { referer: 'https://connect.example/' },
    });
    const cookie = first.headers.getSetCookie()[0]!.split(';')[0]!;
    const page = await openCallback(await consent(first.headers.get('location')!), cookie);
    expect(page.html).toContain('const openerOrigin = "https://connect.example";');
});

describe('in the only window', () => {
    const page = () => `https://connect.example/ui/?flow=${flowId}`;

    test('the callback leads back to the page, after a success and after a failure', async () => {
        for (const fault of [undefined, 'deny'] as const) {
            const started = await open(valetkey, { return_to: 'page' });
            if (fault !== undefined) {
                server.fail(fault, 1);
            }
            const answer = await comeBack(started);
            expect([answer.status, answer.headers.get('location'), answer.headers.get('referrer-policy')]).toEqual([302, page(), 'no-referrer']);
            expect(await status()).toMatchObject({ state: 'done', outcome: { status: fault === undefined ? 'success' : 'error' } });
            flowId = randomUUID();
        }
    });

    test('so does what fails before, where the page can ask for it; else a page has a link', async () => {
        const failed = await window(valetkey, `/oauth/connect/none?connect_session_token=${token}&flow_id=${flowId}&return_to=page`);
        expect([failed.status, failed.headers.get('location')]).toEqual([302, page()]);
        expect(await status()).toMatchObject({ state: 'done', outcome: { error: { type: 'provider_config_err' } } });
        const stranger = `nango_connect_session_${'0'.repeat(64)}`;
        const unknown = await window(valetkey, `/oauth/connect/plain?connect_session_token=${stranger}&flow_id=${flowId}&return_to=page`);
        expect([unknown.status, await unknown.text()]).toEqual([401, expect.stringContaining(`<a href="${page()}">Back</a>`)]);
    });
});
