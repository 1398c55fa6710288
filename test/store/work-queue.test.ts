/** Claiming due work: the same statement serves renewals and webhook deliveries. */
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { json, type Database } from '../../src/store/database.ts';
import { claimDue, deliveryQueue, refreshQueue, type Claim, type ClaimedRow } from '../../src/store/leased-work.ts';
import { dialects, openPostgresStore, type TestStore } from './dialects.ts';
import { after, insertConnection, insertDelivery, insertEnvironment, insertIntegration, madeAt } from './rows.ts';

const leaseMs = 45_000;
const t0 = madeAt.getTime();

/** Rows of either queue, by what both have: a group, a due time, a lease. */
const queues = {
    renewals: {
        queue: refreshQueue,
        insert: async ({ db }: Database, environmentId: string, group: string, dueAt: Date): Promise<string> => {
            const found = await db.selectFrom('integrations').selectAll().where('provider', '=', group).executeTakeFirst();
            const integration = found ?? (await insertIntegration(db, environmentId, { unique_key: group, provider: group }));
            return (await insertConnection(db, integration, { next_refresh_at: dueAt })).id;
        },
    },
    deliveries: {
        queue: deliveryQueue,
        insert: ({ db }: Database, environmentId: string, group: string, dueAt: Date): Promise<string> =>
            insertDelivery(db, environmentId, group, dueAt),
    },
};

describe.each(dialects)('the work queue ($name)', ({ open }) => {
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

    describe.each(Object.entries(queues))('of %s', (_, { queue, insert }) => {
        const add = (group: string, dueInMs: number): Promise<string> => insert(store.database, environmentId, group, after(dueInMs));
        const claim = (overrides: Partial<Claim> = {}): Promise<ClaimedRow[]> =>
            claimDue(store.database.db, queue, { owner: 'a', now: t0, leaseMs, limit: 10, groupLimit: 10, busyGroups: {}, ...overrides });
        const ids = (rows: ClaimedRow[]): string[] => rows.map((row) => row.id).toSorted();
        const lease = async (id: string) => {
            const { rows } = await sql<{ owner: string | null; until: Date | null; epoch: number }>`
                select ${sql.ref(queue.owner)} as owner, ${sql.ref(queue.until)} as until, ${sql.ref(queue.epoch)} as epoch
                from ${sql.table(queue.table)} where id = ${id}`.execute(store.database.db);
            return rows[0];
        };

        test('gives what is due, with a lease and an epoch, and nothing that is not', async () => {
            const due = await add('g', 0);
            const early = await add('g', 1);
            expect(await claim()).toEqual([{ id: due, epoch: 1, group: 'g' }]);
            expect(await lease(due)).toEqual({ owner: 'a', until: after(leaseMs), epoch: 1 });
            expect(await lease(early)).toEqual({ owner: null, until: null, epoch: 0 });
        });

        test('gives the longest overdue first', async () => {
            const rows = [await add('g', -1_000), await add('g', -3_000), await add('g', -2_000), await add('g', -4_000)];
            expect(ids(await claim({ limit: 2 }))).toEqual([rows[1]!, rows[3]!].toSorted());
            expect(ids(await claim({ limit: 1 }))).toEqual([rows[2]!]);
        });

        test('gives at most `groupLimit` of a group, those at work included', async () => {
            const slow = [await add('slow', -9_000), await add('slow', -8_000), await add('slow', -7_000)];
            const other = await add('other', -1_000);
            expect(ids(await claim({ groupLimit: 2, busyGroups: { slow: 1, idle: 2 } }))).toEqual([slow[0]!, other].toSorted());
            expect(await claim({ groupLimit: 2, busyGroups: { slow: 2 } })).toEqual([]);
            expect(await claim({ groupLimit: 2, busyGroups: { slow: 3 } })).toEqual([]);
            expect(ids(await claim({ groupLimit: 2 }))).toEqual([slow[1]!, slow[2]!].toSorted());
        });

        test('a group at its cap does not hide the others, however much of it is due', async () => {
            for (let index = 0; index < 150; index += 1) {
                await add('slow', -9_000);
            }
            const other = await add('other', -1_000);
            expect(ids(await claim({ groupLimit: 2, busyGroups: { slow: 2 } }))).toEqual([other]);
        });

        test('skips what is leased, and takes it again when the lease is over', async () => {
            const id = await add('g', 0);
            await claim();
            expect(await claim({ owner: 'b', now: t0 + leaseMs })).toEqual([]);
            expect(await claim({ owner: 'b', now: t0 + leaseMs + 1 })).toEqual([{ id, epoch: 2, group: 'g' }]);
            expect(await lease(id)).toMatchObject({ owner: 'b', until: after(2 * leaseMs + 1) });
        });

        test('claimers at work together never share a row and leave none behind', async () => {
            const added: string[] = [];
            for (let index = 0; index < 40; index += 1) {
                added.push(await add(`g${index % 4}`, -index));
            }
            const taken: ClaimedRow[] = [];
            const drain = async (owner: string): Promise<void> => {
                // Rows that another claimer looks at in this moment are skipped, so an empty harvest may be bad luck.
                for (let empty = 0; empty < 3;) {
                    const rows = await claim({ owner, limit: 3 });
                    taken.push(...rows);
                    empty = rows.length === 0 ? empty + 1 : 0;
                }
            };
            await Promise.all(['a', 'b', 'c', 'd'].map(drain));
            expect(ids(taken)).toEqual(added.toSorted());
            expect(taken.every((row) => row.epoch === 1)).toBe(true);
        });
    });

    test('a renewal whose holder vanished during its token call rests for 30 s more', async () => {
        const id = await queues.renewals.insert(store.database, environmentId, 'g', after(0));
        const claim = (now: number): Promise<ClaimedRow[]> =>
            claimDue(store.database.db, refreshQueue, { owner: 'a', now, leaseMs, limit: 10, groupLimit: 10, busyGroups: {} });
        await claim(t0);
        await store.database.db
            .updateTable('connections')
            .set({ refresh_intent: json({ epoch: 1, started_at: madeAt.toISOString(), fingerprint: 'f' }) })
            .execute();
        expect(await claim(t0 + leaseMs + 30_000)).toEqual([]);
        expect(await claim(t0 + leaseMs + 30_001)).toEqual([{ id, epoch: 2, group: 'g' }]);
    });

    test('deleted connections and those without a due time are not work, nor are settled deliveries', async () => {
        const { db } = store.database;
        const integration = await insertIntegration(db, environmentId);
        await insertConnection(db, integration, { next_refresh_at: after(-1), deleted_at: after(0) });
        await insertConnection(db, integration, { next_refresh_at: null });
        await insertDelivery(db, environmentId, 'u', after(-1));
        await insertDelivery(db, environmentId, 'u', after(-1));
        await db.updateTable('webhook_deliveries').set({ state: 'delivered' }).execute();
        for (const queue of [refreshQueue, deliveryQueue]) {
            expect(await claimDue(db, queue, { owner: 'a', now: t0, leaseMs, limit: 9, groupLimit: 9, busyGroups: {} })).toEqual([]);
        }
    });
});

// Not on the embedded dialect, which has one session: nobody else can hold a row there.
test('a row that somebody else holds is passed over, not waited for', async () => {
    const store = await openPostgresStore();
    const { db } = store.database;
    const environmentId = await insertEnvironment(db);
    const held = await queues.renewals.insert(store.database, environmentId, 'g', after(-2));
    const free = await queues.renewals.insert(store.database, environmentId, 'g', after(-1));
    await db.transaction().execute(async (transaction) => {
        await transaction.selectFrom('connections').select('id').where('id', '=', held).forUpdate().execute();
        const rows = await claimDue(db, refreshQueue, { owner: 'a', now: t0, leaseMs, limit: 9, groupLimit: 9, busyGroups: {} });
        expect(rows.map((row) => row.id)).toEqual([free]);
    });
    await store.close();
});
