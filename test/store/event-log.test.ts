/** Numbers of a connection's events, and the order in which readers get to see events (W12, `GET /events`). */
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Db } from '../../src/store/database.ts';
import * as log from '../../src/store/event-log.ts';
import { purgeConnections, purgeWebhooks } from '../../src/store/retention.ts';
import * as outbox from '../../src/store/webhook-outbox.ts';
import { dialects, openPostgresStore, type TestStore } from './dialects.ts';
import { after, insertConnection, insertDelivery, insertEnvironment, insertIntegration, madeAt, newId } from './rows.ts';

let events = 0;
/** @returns its id. Ids are no order: the time in them is that of whichever process made them. */
async function insertEvent(db: Db, environmentId: string, connectionRowId: string | null = null, at = madeAt): Promise<string> {
    const id = `msg_${String(1_000_000 - (events += 1)).padStart(26, '0')}`;
    await outbox.insertEvent(db, {
        id,
        environment_id: environmentId,
        connection_row_id: connectionRowId,
        connection_id: 'c-1',
        type: 'auth',
        operation: 'creation',
        body: '{}',
        created_at: at,
    });
    return id;
}
const beginning: log.Start = { since: new Date(0) };
const idsOf = async (db: Db, environmentId: string, start: log.Start = beginning, limit = 100): Promise<string[] | undefined> =>
    (await log.read(db, environmentId, start, limit))?.events.map(({ id }) => id);

describe.each(dialects)('the event log ($name)', ({ open }) => {
    let store: TestStore;
    let environmentId: string;
    beforeAll(async () => {
        store = await open();
    });
    afterAll(() => store.close());
    beforeEach(async () => {
        await store.empty();
        environmentId = await insertEnvironment(store.database.db);
    });
    const sequences = async (): Promise<(number | null)[]> =>
        (await store.database.db.selectFrom('webhook_events').select('sequence').orderBy('position').execute()).map(({ sequence }) => sequence);

    test('numbers the events of each connection from one, and no others', async () => {
        const { db } = store.database;
        const [a, b] = [newId(), newId()];
        for (const connection of [a, a, null, b, a]) {
            await insertEvent(db, environmentId, connection);
        }
        expect(await sequences()).toEqual([1, 2, null, 1, 3]);
    });

    test('a change that is undone leaves no gap', async () => {
        const { db } = store.database;
        const connection = newId();
        const undone = db.transaction().execute(async (transaction) => {
            await insertEvent(transaction, environmentId, connection);
            throw new Error('undone');
        });
        await expect(undone).rejects.toThrow('undone');
        await insertEvent(db, environmentId, connection);
        expect(await sequences()).toEqual([1]);
    });

    test('is read in the order of writing, from a moment or after an event, a page at a time', async () => {
        const { db } = store.database;
        const ids: string[] = [];
        for (let index = 0; index < 5; index += 1) ids.push(await insertEvent(db, environmentId, null, after(index * 60_000)));
        await insertEvent(db, await insertEnvironment(db));
        expect(await idsOf(db, environmentId)).toEqual(ids);
        expect(await idsOf(db, environmentId, beginning, 2)).toEqual(ids.slice(0, 2));
        expect(await idsOf(db, environmentId, { after: ids[1]! }, 2)).toEqual(ids.slice(2, 4));
        expect(await idsOf(db, environmentId, { since: after(120_000) })).toEqual(ids.slice(2));
        expect(await log.read(db, environmentId, { since: after(900_000) }, 9)).toEqual({ events: [], end: ids[4] });
        expect(await log.read(db, environmentId, { after: ids[4]! }, 9)).toEqual({ events: [], end: ids[4] });
        expect(await log.read(db, environmentId, { after: 'msg_unknown' }, 9)).toBeUndefined();
    });

    test('two events of one transaction keep their order', async () => {
        const ids = await store.database.db
            .transaction()
            .execute(async (transaction) => [await insertEvent(transaction, environmentId), await insertEvent(transaction, environmentId)]);
        expect(await idsOf(store.database.db, environmentId)).toEqual(ids);
    });

    test('events of another server are adopted: shown first, in their order, and cursors go on', async () => {
        const { db } = store.database;
        const [first, second] = [await insertEvent(db, environmentId), await insertEvent(db, environmentId)];
        await sql`update webhook_events set xid = (xid::text::bigint + 1000000)::text::xid8`.execute(db);
        const third = await insertEvent(db, environmentId);
        expect(await idsOf(db, environmentId)).toEqual([third]);
        await log.adoptRestored(db);
        expect(await idsOf(db, environmentId)).toEqual([first, second, third]);
        expect(await idsOf(db, environmentId, { after: second })).toEqual([third]);
        await log.adoptRestored(db);
        expect(await idsOf(db, environmentId)).toEqual([first, second, third]);
    });

    test('events of another server are adopted together, also where their transaction ids are this one’s too', async () => {
        const { db } = store.database;
        const [first, second] = [await insertEvent(db, environmentId), await insertEvent(db, environmentId)];
        await sql`update webhook_events set xid = (xid::text::bigint + 1000000)::text::xid8 where id = ${second}`.execute(db);
        await log.adoptRestored(db);
        const third = await insertEvent(db, environmentId);
        expect(await idsOf(db, environmentId, { after: first })).toEqual([second, third]);
    });

    test('retention removes settled deliveries with their attempts, events that have none left, and numbers of connections that are gone', async () => {
        const { db } = store.database;
        const [old, pending] = [await insertDelivery(db, environmentId, 'u', madeAt), await insertDelivery(db, environmentId, 'u', madeAt)];
        // Ids carry the time of writing.
        const aged = '019b0000-0000-7000-8000-000000000000';
        await db.updateTable('webhook_deliveries').set({ id: aged, state: 'dead' }).where('id', '=', old).execute();
        await sql`update webhook_events set created_at = ${after(-3_600_000)} where id = (select event_id from webhook_deliveries where id = ${aged})`.execute(
            db,
        );
        await sql`insert into webhook_delivery_attempts (delivery_id, number, started_at, duration_ms) values (${aged}, 1, now(), 5)`.execute(db);
        const integration = await insertIntegration(db, environmentId);
        const [gone, live] = [await insertConnection(db, integration, { deleted_at: madeAt }), await insertConnection(db, integration)];
        await insertEvent(db, environmentId, gone.id, after(5000));
        await insertEvent(db, environmentId, live.id, after(5000));

        await purgeWebhooks(db, after(1));
        await purgeConnections(db, after(1));
        expect((await db.selectFrom('webhook_deliveries').select('id').execute()).map(({ id }) => id)).toEqual([pending]);
        expect(await db.selectFrom('webhook_delivery_attempts').selectAll().execute()).toEqual([]);
        expect(await db.selectFrom('webhook_events').select('id').execute()).toHaveLength(3);
        expect(await db.selectFrom('webhook_sequences').selectAll().execute()).toEqual([{ connection_row_id: live.id, last: 1 }]);
    });

    test('a reader that has everything can go on after its last event, however long ago that was; nothing else of it is kept', async () => {
        const { db } = store.database;
        const day = 24 * 3_600_000;
        const [first, last] = [await insertEvent(db, environmentId), await insertEvent(db, environmentId, null, after(day))];
        await purgeWebhooks(db, after(2 * day));
        expect(await log.read(db, environmentId, { after: first }, 9)).toBeUndefined();
        expect(await log.read(db, environmentId, { after: last }, 9)).toEqual({ events: [], end: last });
        expect(await log.read(db, environmentId, beginning, 9)).toEqual({ events: [], end: last });
        expect(await db.selectFrom('webhook_events').select(['id', 'body', 'connection_id']).execute()).toEqual([
            { id: last, body: '', connection_id: null },
        ]);

        const next = await insertEvent(db, environmentId, null, after(3 * day));
        expect(await log.read(db, environmentId, { after: last }, 9)).toMatchObject({ events: [{ id: next }], end: next });
        await purgeWebhooks(db, after(3 * day));
        expect(await idsOf(db, environmentId, { after: last })).toEqual([next]);
        // By now it has missed one.
        await purgeWebhooks(db, after(4 * day));
        expect(await log.read(db, environmentId, { after: last }, 9)).toBeUndefined();
        expect(await log.read(db, environmentId, { after: next }, 9)).toEqual({ events: [], end: next });
    });
});

// Not on the embedded dialect, which has one session and so no transactions that overlap.
describe('transactions that overlap', () => {
    let store: TestStore;
    let environmentId: string;
    beforeAll(async () => {
        store = await openPostgresStore();
    });
    afterAll(() => store.close());
    beforeEach(async () => {
        await store.empty();
        environmentId = await insertEnvironment(store.database.db);
    });

    const unfinished: (() => Promise<void>)[] = [];
    afterEach(async () => {
        await Promise.all(unfinished.splice(0).map((end) => end()));
    });

    /** A transaction that has written an event and not ended. */
    async function open(connectionRowId: string | null = null) {
        const [written, ending] = [Promise.withResolvers<string>(), Promise.withResolvers<void>()];
        const transaction = store.database.db.transaction().execute(async (db) => {
            written.resolve(await insertEvent(db, environmentId, connectionRowId));
            await ending.promise;
        });
        transaction.catch(written.reject);
        const undo = (): Promise<void> => (ending.reject(new Error('undone')), transaction.catch(() => {}));
        unfinished.push(undo);
        return { id: await written.promise, commit: () => (ending.resolve(), transaction), undo };
    }

    test('an event that commits late comes in its place, and nothing behind it is shown before', async () => {
        const { db } = store.database;
        const early = await insertEvent(db, environmentId);
        const late = await open();
        const quick = await insertEvent(db, environmentId);
        // Walking by the end of each page, as a reader does.
        expect(await log.read(db, environmentId, beginning, 9)).toMatchObject({ events: [{ id: early }], end: early });
        await late.commit();
        expect(await idsOf(db, environmentId, { after: early })).toEqual([late.id, quick]);
    });

    test('one that is undone holds nothing back afterwards', async () => {
        const { db } = store.database;
        const undone = await open();
        const quick = await insertEvent(db, environmentId);
        expect(await idsOf(db, environmentId)).toEqual([]);
        await undone.undo();
        expect(await idsOf(db, environmentId)).toEqual([quick]);
    });

    test('a transaction of another database of the same server holds nothing back', async () => {
        const other = await openPostgresStore();
        const [written, ending] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
        const foreign = other.database.db.transaction().execute(async (db) => {
            await insertEnvironment(db);
            written.resolve();
            await ending.promise;
        });
        await written.promise;
        const id = await insertEvent(store.database.db, environmentId);
        const seen = await idsOf(store.database.db, environmentId);
        ending.resolve();
        await foreign;
        await other.close();
        expect(seen).toEqual([id]);
    });

    test('a reader that begins after an event known from its webhook is led back to what is complete', async () => {
        const { db } = store.database;
        const early = await insertEvent(db, environmentId);
        const late = await open();
        const quick = await insertEvent(db, environmentId);
        const page = await log.read(db, environmentId, { after: quick }, 9);
        expect(page).toEqual({ events: [], end: early });
        await late.commit();
        expect(await idsOf(db, environmentId, { after: page!.end! })).toEqual([late.id, quick]);
    });

    test('two of one connection are numbered in the order in which they commit; another connection does not wait', async () => {
        const { db } = store.database;
        const connection = newId();
        const first = await open(connection);
        const second = insertEvent(db, environmentId, connection);
        await insertEvent(db, environmentId, newId());
        expect(await db.selectFrom('webhook_events').select('sequence').execute()).toEqual([{ sequence: 1 }]);
        await first.commit();
        const numbers = await db
            .selectFrom('webhook_events')
            .select(['id', 'sequence'])
            .where('id', 'in', [first.id, await second])
            .execute();
        expect(new Map(numbers.map(({ id, sequence }) => [id, sequence]))).toEqual(
            new Map([
                [first.id, 1],
                [await second, 2],
            ]),
        );
    });

    test('readers at work beside writers get every event once', async () => {
        const { db } = store.database;
        const written: string[] = [];
        let isDone = false;
        const writer = async (offset: number): Promise<void> => {
            for (let index = 0; index < 40; index += 1) {
                await db.transaction().execute(async (transaction) => {
                    written.push(await insertEvent(transaction, environmentId, null, after(((index * 7 + offset) % 40) * 1000)));
                    await sql`select pg_sleep(${((index * 3 + offset) % 5) / 1000})`.execute(transaction);
                });
            }
        };
        const reader = async (): Promise<string[]> => {
            const seen: string[] = [];
            let start: log.Start = beginning;
            for (let more = true; more;) {
                const isLast: boolean = isDone;
                const page: log.Page | undefined = await log.read(db, environmentId, start, 7);
                seen.push(...page!.events.map(({ id }) => id));
                start = page!.end === null ? beginning : { after: page!.end };
                more = !isLast || page!.events.length > 0;
            }
            return seen;
        };
        const reading = [reader(), reader()];
        await Promise.all([0, 1, 2, 3].map(writer));
        isDone = true;
        const [one, other] = await Promise.all(reading);
        expect(one!.toSorted()).toEqual(written.toSorted());
        expect(other).toEqual(one);
    });
});
