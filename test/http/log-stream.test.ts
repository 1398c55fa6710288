/** GET /logs/stream (O2), read by a real HTTP client. */
import { get, type IncomingMessage } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import * as operations from '../../src/store/operations.ts';
import { startTestApp, type TestApp } from './app.ts';

interface Event {
    id: string;
    data: { id: string; state: string; message: string; connectionName: string | null; operation: { type: string; action: string } };
}

/** What came, as a browser would read it: the last id counts whether or not an event came with it. */
class Reader {
    readonly response: IncomingMessage;
    readonly #request: ReturnType<typeof get>;
    text = '';
    isEnded = false;

    constructor(request: ReturnType<typeof get>, response: IncomingMessage) {
        this.#request = request;
        this.response = response;
        response.on('data', (chunk: Buffer) => (this.text += chunk.toString()));
        response.on('end', () => (this.isEnded = true));
        response.on('error', () => {});
    }

    get events(): Event[] {
        return this.text
            .split('\n\n')
            .slice(0, -1)
            .map((block) => Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/, 2))) as Record<string, string>)
            .flatMap(({ event, id, data }) => (event === 'operation' ? [{ id: id!, data: JSON.parse(data!) as Event['data'] }] : []));
    }

    get seen(): string[] {
        return this.events.map(({ data }) => `${data.id} ${data.state}`);
    }

    get lastId(): string {
        return [...this.text.matchAll(/^id: (.*)$/gm)].at(-1)![1]!;
    }

    leave(): void {
        this.#request.destroy();
    }
}

let valetkey: TestApp;
let environments: Record<string, string>;
const readers: Reader[] = [];

beforeAll(async () => {
    // Looks come fifty times as often.
    valetkey = await startTestApp({ waits: { 1_000: 20 }, env: { VALETKEY_RATE_LIMIT_PER_MIN: '1000000' } });
    await valetkey.listen();
    const rows = await valetkey.query<{ id: string; name: string }>('select id, name from environments');
    environments = Object.fromEntries(rows.map(({ id, name }) => [name, id]));
});
afterAll(() => valetkey.close());
afterEach(() => {
    for (const reader of readers.splice(0)) reader.leave();
});

/** Everything that came, once so much has come. */
const seenBy = async (reader: Reader, events: number): Promise<string[]> => {
    await expect.poll(() => reader.seen.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(events);
    return reader.seen;
};

function listen(query = '', headers: Record<string, string> = {}, key = valetkey.key, server = valetkey): Promise<Reader> {
    return new Promise((resolve, reject) => {
        const request = get(`${server.url}/logs/stream${query}`, { headers: { authorization: `Bearer ${key}`, ...headers } }, (response) => {
            const reader = new Reader(request, response);
            readers.push(reader);
            // Its first id is there: what is written from now on comes.
            response.once(response.statusCode === 200 ? 'data' : 'end', () => resolve(reader));
        });
        request.on('error', reject);
    });
}

let count = 0;
async function begin(connection: string, environment = 'dev', db = valetkey.app.database.db): Promise<string> {
    const id = `${Date.now()}_${String((count += 1)).padStart(4, '0')}`;
    await operations.open(db, {
        id,
        environment_id: environments[environment]!,
        type: 'auth',
        action: 'create_connection',
        state: 'waiting',
        level: 'info',
        message: 'Begun',
        integration_id: null,
        connection_row_id: null,
        connection_id: connection,
        error: null,
        meta: null,
        created_at: operations.beganAt(id),
        ended_at: null,
        expires_at: null,
    });
    return id;
}
const end = (id: string, state: 'success' | 'failed' = 'success'): Promise<void> =>
    operations.end(valetkey.app.database.db, id, { state, message: 'Done', at: new Date() });

describe('GET /logs/stream', () => {
    test('tells of operations as they open and end, of its environment only, as the list shows them', async () => {
        const before = await begin('early');
        const reader = await listen();
        expect(reader.response.headers).toMatchObject({
            'content-type': 'text/event-stream',
            'cache-control': 'no-store',
            'access-control-allow-origin': '*',
        });
        await begin('c-1', 'prod');
        const id = await begin('c-1');
        expect(await seenBy(reader, 1)).toEqual([`${id} waiting`]);
        await end(id);
        expect(await seenBy(reader, 2)).toEqual([`${id} waiting`, `${id} success`]);
        await end(before, 'failed');
        expect(await seenBy(reader, 3)).toEqual([`${id} waiting`, `${id} success`, `${before} failed`]);
        const listed = await valetkey.call<{ data: unknown[] }>('GET', '/logs/operations?connections=c-1');
        expect(reader.events[1]!.data).toEqual(listed.body.data[0]);
    });

    test('filtered as the list is', async () => {
        const wanted = await listen('?states=failed,success&types=auth:create_connection&connections=c-2,c-3');
        const other = await listen('?types=webhook');
        const unknown = await listen('?integrations=github');
        const [first, second, third] = [await begin('c-1'), await begin('c-2'), await begin('c-3')];
        await end(first);
        await end(second);
        await end(third, 'failed');
        expect(await seenBy(wanted, 2)).toEqual([`${second} success`, `${third} failed`]);
        expect([other.seen, unknown.seen]).toEqual([[], []]);
    });

    test('goes on where it was cut off, without a gap, by header or by cursor, and from its beginning before anything came', async () => {
        const cut = await listen();
        cut.leave();
        const [first, second] = [await begin('c-1'), await begin('c-2')];
        await begin('c-1', 'prod');
        const resumed = await listen('', { 'last-event-id': cut.lastId });
        expect(await seenBy(resumed, 2)).toEqual([`${first} waiting`, `${second} waiting`]);
        resumed.leave();
        await end(first);
        const third = await begin('c-3');
        // A browser comes back with the URL that it began with.
        const again = await listen(`?cursor=${cut.lastId}`, { 'last-event-id': resumed.events[0]!.id });
        const bare = await listen(`?cursor=${resumed.events[1]!.id}`);
        expect(await seenBy(again, 3)).toEqual([`${second} waiting`, `${first} success`, `${third} waiting`]);
        expect(await seenBy(bare, 2)).toEqual([`${first} success`, `${third} waiting`]);
    });

    test('more than a page at once comes whole, once each, and for one who resumes too', async () => {
        const live = await listen();
        const start = live.lastId;
        const ids: string[] = [];
        for (let index = 0; index < 450; index += 1) ids.push(await begin('many'));
        const expected = ids.map((id) => `${id} waiting`);
        expect(await seenBy(live, expected.length)).toEqual(expected);
        const resumed = await listen(`?cursor=${start}`);
        expect(await seenBy(resumed, expected.length)).toEqual(expected);
    });

    test('nothing overtakes what a slow transaction writes, and what it wrote is not missed', async () => {
        const reader = await listen();
        const written = Promise.withResolvers<string>();
        const mayCommit = Promise.withResolvers<void>();
        const slow = valetkey.app.database.db.transaction().execute(async (transaction) => {
            written.resolve(await begin('slow', 'dev', transaction));
            await mayCommit.promise;
        });
        const slowId = await written.promise;
        const quick = await begin('quick');
        // A reader that begins now has them both before it, or none.
        const late = await listen();
        mayCommit.resolve();
        await slow;
        expect(await seenBy(reader, 2)).toEqual([`${slowId} waiting`, `${quick} waiting`]);
        expect(await seenBy(late, 2)).toEqual([`${slowId} waiting`, `${quick} waiting`]);
    });

    test('routine renewals do not come', async () => {
        const reader = await listen();
        const connection = { environmentId: environments['dev']!, integrationId: environments['dev']!, connectionRowId: environments['dev']! };
        await operations.recordRenewal(valetkey.app.database.db, {
            id: `${Date.now()}_renewed`,
            ...connection,
            connectionId: 'c-1',
            reason: 'expiry',
            expiresAt: null,
        });
        const id = await begin('c-1');
        expect(await seenBy(reader, 1)).toEqual([`${id} waiting`]);
    });

    test('tells every 15 s that it is alive, and how far it is', async () => {
        const reader = await listen('?types=webhook');
        await begin('c-1');
        const start = reader.lastId;
        const isFurther = (): boolean => {
            valetkey.advance(15_000);
            return BigInt(reader.lastId) > BigInt(start);
        };
        await expect.poll(isFurther, { timeout: 10_000 }).toBe(true);
        expect(reader.text).toMatch(/\n: .*\nid: \d+\n\n$/);
        expect(reader.seen).toEqual([]);
        const resumed = await listen(`?cursor=${reader.lastId}`);
        const id = await begin('c-2');
        expect(await seenBy(resumed, 1)).toEqual([`${id} waiting`]);
    });

    test('ends when its key is deleted, and not otherwise', async () => {
        const key = await valetkey.insertKey({ scopes: ['environment:logs:read'] });
        const [deleted, kept] = [await listen('', {}, key), await listen()];
        valetkey.advance(60_000);
        const id = await begin('c-1');
        expect([await seenBy(deleted, 1), await seenBy(kept, 1)]).toEqual([[`${id} waiting`], [`${id} waiting`]]);
        expect([deleted.isEnded, kept.isEnded]).toEqual([false, false]);
        await valetkey.query('update api_keys set deleted_at = now() where key_hash = $1', [valetkey.vault.hash(key)]);
        valetkey.advance(60_000);
        await expect.poll(() => deleted.isEnded, { timeout: 10_000 }).toBe(true);
        expect(kept.isEnded).toBe(false);
    });

    test('ten of an environment at a time', async () => {
        const others: Reader[] = [];
        for (let index = 0; index < 10; index += 1) others.push(await listen());
        const refused = await listen();
        expect(refused.response.statusCode).toBe(429);
        expect(JSON.parse(refused.text)).toMatchObject({ error: { code: 'too_many_streams' } });
        expect(refused.response.headers['retry-after']).toBe('60');
        expect((await listen('', {}, valetkey.prodKey)).response.statusCode).toBe(200);
        others[0]!.leave();
        await expect.poll(async () => (await listen()).response.statusCode, { timeout: 10_000 }).toBe(200);
    });

    test.each([
        ['?cursor=x', {}, 'invalid_query_params'],
        ['?states=lost', {}, 'invalid_query_params'],
        ['?since=1', {}, 'invalid_query_params'],
        ['', { 'last-event-id': "1' or 1" }, 'invalid_cursor'],
        ['?cursor=9000000000000000000', {}, 'invalid_cursor'],
    ])('refuses %s %o', async (query, headers, code) => {
        const answer = await valetkey.call<{ error: { code: string } }>('GET', `/logs/stream${query}`, { headers });
        expect([answer.status, answer.body.error.code]).toEqual([400, code]);
    });

    test('HEAD opens nothing', async () => {
        expect((await valetkey.call('HEAD', '/logs/stream')).status).toBe(404);
    });
});

test('shutdown ends streams, also one whose reader reads nothing, and does not wait for them', async () => {
    const other = await startTestApp();
    await other.listen();
    const reader = await listen('', {}, other.key, other);
    const asleep = await listen('', {}, other.key, other);
    asleep.response.pause();
    await other.close();
    await expect.poll(() => reader.isEnded).toBe(true);
});
