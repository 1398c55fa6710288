/** Idempotency-Key on requests that create something. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { providersFile } from '../e2e/provider-entries.ts';
import { createIntegration, createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type TestApp } from './app.ts';

let valetkey: TestApp;

beforeAll(async () => {
    valetkey = await startTestApp({ providers: providersFile(untestedKeyEntry('keys')) });
    await createIntegration(valetkey, 'keys', 'keys');
});
afterAll(() => valetkey?.close());

const body = { end_user: { id: 'user-1' } };
const create = (key: string, { path = '/connect/sessions', sent = body as unknown, apiKey = valetkey.key } = {}) =>
    valetkey.call('POST', path, { body: sent, key: apiKey, headers: { 'idempotency-key': key } });
const sessions = async () => (await valetkey.query<{ count: number }>('select count(*)::int as count from connect_sessions'))[0]!.count;

describe('a repeated request', () => {
    test('gets the first answer, status and body, and creates nothing', async () => {
        const key = randomUUID();
        const first = await create(key);
        const count = await sessions();
        const second = await create(key);
        expect([first.status, second.status, second.text]).toEqual([201, 201, first.text]);
        expect([first.headers['idempotent-replayed'], second.headers['idempotent-replayed']]).toEqual([undefined, 'true']);
        expect(second.headers).toMatchObject({ 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' });
        expect(await sessions()).toBe(count);
    });

    test('for a day, and then the key is free', async () => {
        const key = randomUUID();
        const first = await create(key);
        valetkey.advance(24 * 3600 * 1000 - 60_000);
        expect((await create(key)).text).toBe(first.text);
        valetkey.advance(120_000);
        const later = await create(key);
        expect([later.status, later.text === first.text]).toEqual([201, false]);
        expect((await create(key)).text).toBe(later.text);
    });

    test('also when what it asked for could not be asked for any more', async () => {
        const key = randomUUID();
        const inHalfAnHour = ((await create(randomUUID())).body as { data: { expires_at: string } }).data.expires_at;
        const sent = { display_name: 'short', scopes: ['environment:mcp'], expires_at: inHalfAnHour };
        const first = await create(key, { path: '/environment/api-keys', sent });
        valetkey.advance(31 * 60_000);
        const second = await create(key, { path: '/environment/api-keys', sent });
        expect([first.status, second.status, second.text]).toEqual([200, 200, first.text]);
        const fresh = await create(randomUUID(), { path: '/environment/api-keys', sent: { ...sent, display_name: 'too late' } });
        expect(fresh).toMatchObject({ status: 400, body: { error: { errors: [{ code: 'custom', path: ['expires_at'] }] } } });
    });

    test('with another body, query or path is refused', async () => {
        const key = randomUUID();
        await create(key);
        for (const other of [
            { sent: { end_user: { id: 'user-2' } } },
            { path: '/integrations', sent: { provider: 'keys', unique_key: 'another' } },
        ]) {
            expect(await create(key, other)).toMatchObject({ status: 422, body: { error: { code: 'idempotency_key_reused' } } });
        }
    });

    test('of another environment has nothing to do with it', async () => {
        const key = randomUUID();
        const first = await create(key);
        const other = await create(key, { apiKey: valetkey.prodKey });
        expect([other.status, other.text === first.text]).toEqual([201, false]);
    });

    test('by another key of the environment has nothing to do with it either: its answer may hold what that key may not have', async () => {
        const key = randomUUID();
        const sent = { display_name: 'made once' };
        const first = await create(key, { path: '/environment/api-keys', sent });
        expect(first.status, first.text).toBe(200);
        expect((await create(key, { path: '/environment/api-keys', sent })).text).toBe(first.text);
        const weaker = await valetkey.insertKey({ scopes: ['environment:api_keys:write'] });
        const other = await create(key, { path: '/environment/api-keys', sent, apiKey: weaker });
        expect([other.status, other.text.includes('vk_dev_')]).toEqual([403, false]);
    });
});

test('of twenty at once, one creates; the others get its answer or are told to wait', async () => {
    const key = randomUUID();
    const before = await sessions();
    const answers = await Promise.all(Array.from({ length: 20 }, () => create(key)));
    expect(await sessions()).toBe(before + 1);
    const created = new Set(answers.filter(({ status }) => status === 201).map(({ text }) => text));
    expect(created.size).toBe(1);
    for (const answer of answers.filter(({ status }) => status !== 201)) {
        expect(answer).toMatchObject({ status: 409, body: { error: { code: 'idempotency_key_in_progress' } } });
        expect(answer.headers['retry-after']).toBe('1');
    }
    expect((await create(key)).text).toBe([...created][0]);
});

test('an answer that created nothing is not kept', async () => {
    const key = randomUUID();
    const sent = { provider: 'keys', unique_key: 'later' };
    await createIntegration(valetkey, 'later', 'keys');
    expect((await create(key, { path: '/integrations', sent })).status).toBe(400);
    await valetkey.query("update integrations set deleted_at = now() where unique_key = 'later'");
    const created = await create(key, { path: '/integrations', sent });
    expect(created.status).toBe(200);
    expect((await create(key, { path: '/integrations', sent })).text).toBe(created.text);
});

test('a request whose process died holds its key for two minutes, and then can be made again', async () => {
    const key = randomUUID();
    const first = await create(key);
    await valetkey.query('update idempotent_requests set status = null, sealed_body = null where key = $1', [key]);
    expect((await create(key)).status).toBe(409);
    valetkey.advance(121_000);
    expect((await create(key, { sent: { end_user: { id: 'another' } } })).status).toBe(422);
    const again = await create(key);
    expect([again.status, again.text === first.text]).toEqual([201, false]);
});

test('what is not a key is refused before anything happens', async () => {
    const before = await sessions();
    for (const key of ['', 'with blank', 'x'.repeat(256), 'ünïcode']) {
        const answer = await create(key);
        expect([key, answer.status]).toEqual([key, 400]);
    }
    expect(await sessions()).toBe(before);
});

test('a connect session has keys of its own', async () => {
    const [one, two] = [await createSession(valetkey), await createSession(valetkey)];
    const key = randomUUID();
    const connect = (token: string) =>
        valetkey.call<{ connectionId: string }>('POST', `/api-auth/api-key/keys?connect_session_token=${token}`, {
            key: null,
            body: { apiKey: 'an-account-key' },
            headers: { 'idempotency-key': key },
        });
    const first = await connect(one);
    expect((await connect(one)).body).toEqual(first.body);
    expect((await connect(two)).body.connectionId).not.toBe(first.body.connectionId);
});

test('a single-use session hears again how its one success went, and nothing else', async () => {
    const token = await createSession(valetkey, { tags: {}, single_use: true } as never);
    const connect = (key: string | undefined) =>
        valetkey.call<{ connectionId: string }>('POST', `/api-auth/api-key/keys?connect_session_token=${token}`, {
            key: null,
            body: { apiKey: 'an-account-key' },
            headers: key === undefined ? {} : { 'idempotency-key': key },
        });
    const first = await connect('only');
    expect(first.status).toBe(200);
    const again = await connect('only');
    expect([again.status, again.text]).toEqual([200, first.text]);
    for (const key of [undefined, 'another']) {
        expect(await connect(key)).toMatchObject({ status: 401, body: { error: { code: 'unknown_connect_session_token' } } });
    }
});

test('the kept answer is sealed: the token stands nowhere in the table', async () => {
    const key = randomUUID();
    const answer = await create(key);
    const { token } = (answer.body as { data: { token: string } }).data;
    const [row] = await valetkey.query<{ row: string }>('select row_to_json(r)::text as row from idempotent_requests r where key = $1', [key]);
    expect(row!.row).toContain('v1.');
    expect(row!.row).not.toContain(token.slice(-40));
});

test('without the header nothing is kept', async () => {
    const count = async () => (await valetkey.query<{ count: number }>('select count(*)::int as count from idempotent_requests'))[0]!.count;
    const before = await count();
    await createSession(valetkey);
    expect(await count()).toBe(before);
});
