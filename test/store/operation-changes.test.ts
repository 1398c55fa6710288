/** The order in which the operation log is streamed (O2): by the transaction that last wrote a row, up to the oldest that runs. */
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { adoptRestored } from '../../src/store/event-log.ts';
import { changesAfter, type Changes, type Place } from '../../src/store/operation-changes.ts';
import { keepPartitions } from '../../src/store/operation-partitions.ts';
import * as operations from '../../src/store/operations.ts';
import type { Db } from '../../src/store/database.ts';
import { readHorizon } from '../../src/store/transaction-horizon.ts';
import { dialects, openPostgresStore, type TestStore } from './dialects.ts';
import { after, insertEnvironment, insertIntegration, madeAt } from './rows.ts';

const day = 24 * 3600 * 1000;
const beginning: Place = { xid: 0n, id: '' };

async function begin(db: Db, environmentId: string, name: string, ms = 0, integrationId: string | null = null): Promise<string> {
    const id = `${madeAt.getTime() + ms}_${name}`;
    await operations.open(db, {
        id,
        environment_id: environmentId,
        type: 'auth',
        action: 'create_connection',
        state: 'waiting',
        level: 'info',
        message: 'Begun',
        integration_id: integrationId,
        connection_row_id: null,
        connection_id: null,
        error: null,
        meta: null,
        created_at: operations.beganAt(id),
        ended_at: null,
        expires_at: after(day),
    });
    return id;
}

const read = async (db: Db, environmentId: string, from: Place, limit = 100): Promise<Changes> =>
    changesAfter(db, environmentId, from, await readHorizon(db), limit);
const idsOf = ({ operations: rows }: Changes): string[] => rows.map(({ id }) => id);

describe.each(dialects)('changes of the operation log ($name)', ({ open }) => {
    let store: TestStore;
    let environmentId: string;
    beforeAll(async () => {
        store = await open();
        // Some days have their partition, the others are in the default one.
        await keepPartitions(store.database.db, madeAt.getTime(), 15 * day);
    });
    afterAll(() => store.close());
    beforeEach(async () => {
        await store.empty();
        environmentId = await insertEnvironment(store.database.db);
    });

    test('are in the order of writing, whatever their times and partitions, and of their environment', async () => {
        const { db } = store.database;
        const integration = await insertIntegration(db, environmentId, { unique_key: 'github' });
        const late = await begin(db, environmentId, 'a', 2 * day, integration.id);
        await begin(db, await insertEnvironment(db), 'foreign');
        const early = await begin(db, environmentId, 'b', -40 * day);
        const changes = await read(db, environmentId, beginning);
        expect(idsOf(changes)).toEqual([late, early]);
        expect(changes.operations[0]).toMatchObject({ integration_key: 'github', provider: integration.provider });
        expect(changes.isAll).toBe(true);
        expect(idsOf(await read(db, environmentId, changes.end))).toEqual([]);
    });

    test.each<[string, (db: Db, id: string) => Promise<unknown>]>([
        ['ended', (db, id) => operations.end(db, id, { state: 'success', message: 'Done', at: after(1) })],
        ['cancelled', (db, id) => operations.cancel(db, id, 'No more', after(1))],
        ['amended', (db, id) => operations.amend(db, [id], { level: 'warn', message: 'More is known', meta: {}, at: after(1) })],
        ['expired', (db) => operations.expire(db, after(2 * day))],
    ])('one that is %s comes again', async (_name, change) => {
        const { db } = store.database;
        const id = await begin(db, environmentId, 'a');
        const { end } = await read(db, environmentId, beginning);
        await change(db, id);
        expect(idsOf(await read(db, environmentId, end))).toEqual([id]);
    });

    test('are walked in pages, also through one transaction’s', async () => {
        const { db } = store.database;
        const written = await db.transaction().execute(async (transaction) => {
            const ids: string[] = [];
            for (const name of ['e', 'd', 'c', 'b', 'a']) ids.push(await begin(transaction, environmentId, name));
            return ids;
        });
        written.push(await begin(db, environmentId, 'f'));
        const seen: string[] = [];
        let changes: Changes;
        let from = beginning;
        do {
            changes = await read(db, environmentId, from, 2);
            seen.push(...idsOf(changes));
            from = changes.end;
        } while (!changes.isAll);
        // Of one transaction in the order of ids: any that does not change will do.
        expect(seen).toEqual([...written.slice(0, 5).toSorted(), written[5]]);
    });

    test('what is moved to the partition of its day does not come again', async () => {
        const { db } = store.database;
        await begin(db, environmentId, 'a', 20 * day);
        const { end } = await read(db, environmentId, beginning);
        await keepPartitions(db, madeAt.getTime() + 20 * day, 40 * day);
        expect(idsOf(await read(db, environmentId, end))).toEqual([]);
    });

    test('rows of another server, from a backup, are history', async () => {
        const { db } = store.database;
        const restored = await begin(db, environmentId, 'a');
        await sql`update operations set xid = (xid::text::bigint + 1000000)::text::xid8`.execute(db);
        const { xid } = await readHorizon(db);
        const id = await begin(db, environmentId, 'b');
        expect(idsOf(await read(db, environmentId, beginning))).toEqual([id]);
        await adoptRestored(db);
        expect(idsOf(await read(db, environmentId, beginning))).toEqual([restored, id]);
        expect(idsOf(await read(db, environmentId, { xid, id: '' }))).toEqual([id]);
    });
});

describe('changes that several transactions write at once (postgres)', () => {
    let store: TestStore;
    beforeAll(async () => {
        store = await openPostgresStore();
    });
    afterAll(() => store.close());

    test('each comes exactly once to a reader that reads all the while, in an order that a later reader finds too', async () => {
        const { db } = store.database;
        const environmentId = await insertEnvironment(db);
        const write = async (writer: number): Promise<string[]> => {
            const ids: string[] = [];
            for (let index = 0; index < 10; index += 1) {
                await db.transaction().execute(async (transaction) => {
                    ids.push(await begin(transaction, environmentId, `w${writer}i${index}a`));
                    // Others commit in between.
                    await sql`select pg_sleep(${((writer * 7 + index * 3) % 5) / 1000})`.execute(transaction);
                    ids.push(await begin(transaction, environmentId, `w${writer}i${index}b`));
                });
            }
            return ids;
        };
        let isWriting = true;
        const writing = Promise.all([0, 1, 2, 3].map(write)).finally(() => (isWriting = false));
        const seen: string[] = [];
        let from = beginning;
        const look = async (): Promise<void> => {
            const changes = await read(db, environmentId, from, 7);
            seen.push(...idsOf(changes));
            from = changes.end;
            if (!changes.isAll) await look();
        };
        while (isWriting) await look();
        const written = (await writing).flat();
        await look();
        expect(seen.toSorted()).toEqual(written.toSorted());
        expect(idsOf(await read(db, environmentId, beginning))).toEqual(seen);
    });
});
