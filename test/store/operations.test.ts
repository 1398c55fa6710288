/** The operation log: rows found by their ids, a message for each thing said, days as partitions. */
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { keepPartitions } from '../../src/store/operation-partitions.ts';
import { find } from '../../src/store/operation-listing.ts';
import * as operations from '../../src/store/operations.ts';
import { dropRoutine } from '../../src/store/routine-operations.ts';
import { readWorkLag } from '../../src/store/work-lag.ts';
import { dialects, type TestStore } from './dialects.ts';
import { after, insertConnection, insertDelivery, insertEnvironment, insertIntegration, madeAt, waitingOperation } from './rows.ts';

const day = 24 * 3600 * 1000;
const t0 = madeAt.getTime();
const keptMs = 15 * day;

describe.each(dialects)('the operation log ($name)', ({ name, open }) => {
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

    /** The embedded database has one session: nobody writes beside another. */
    const isShared = name === 'postgres';
    const waiting = async (): Promise<number> =>
        (await store.database.read('', `select 1 from pg_locks where not granted and relation = 'operations'::regclass`, [])).length;
    const begin = async (ms: number, name: string, expiresAt: Date | null = null): Promise<string> => {
        const id = `${t0 + ms}_${name}`;
        await operations.open(store.database.db, { ...waitingOperation(environmentId, id), action: name, expires_at: expiresAt });
        return id;
    };
    const rows = async () =>
        (
            await sql<{
                id: string;
                state: string;
                place: string;
            }>`select id, state, tableoid::regclass::text as place from operations order by id`.execute(store.database.db)
        ).rows;
    const said = async (id: string) =>
        (
            await sql<{ text: string }>`
            select level || ' ' || message || ' ' || tableoid::regclass::text as text from operation_messages
            where operation_id = ${id} order by id`.execute(store.database.db)
        ).rows.map(({ text }) => text);

    test('says each thing in order, in the partition of the day on which the operation began', async () => {
        const { db } = store.database;
        await keepPartitions(db, t0, keptMs);
        const id = await begin(day - 1, 'create_connection');
        await operations.end(db, id, { state: 'failed', message: 'refused', error: { type: 'x', message: 'refused' }, at: after(day + 1) });
        await operations.cancel(db, id, 'too late', after(day + 2));
        expect(await rows()).toEqual([{ id, state: 'failed', place: 'operations_20260101' }]);
        const place = 'operation_messages_20260101';
        expect(await said(id)).toEqual([`info begun ${place}`, `error refused ${place}`]);
        await operations.amend(db, [id], { level: 'warn', message: 'known later', meta: { a: 1 }, at: after(day) });
        expect((await said(id)).at(-1)).toBe(`warn known later ${place}`);
    });

    test('tells steps and calls before what came of them', async () => {
        const { db } = store.database;
        const call = {
            type: 'http' as const,
            level: 'error' as const,
            message: 'POST a.example/token: 503',
            request: { method: 'POST', url: 'https://a.example/token', headers: { accept: 'a/b' } },
            response: { code: 503, headers: {} },
            retry: { attempt: 1, max: 3, waited: 0 },
            at: after(2),
            endedAt: after(9),
            durationMs: 7,
        };
        const said = [{ level: 'info' as const, message: 'begun', meta: { integration: 'i' }, at: after(1) }, call];
        const opened = { ...waitingOperation(environmentId, `${t0 + 1}_open`), message: 'failed' };
        await operations.open(db, opened, said);
        const id = await begin(2, 'create_connection');
        await operations.end(db, id, { state: 'failed', message: 'failed', said, at: after(10) });
        await operations.amend(db, [id], { level: 'info', message: 'known later', meta: {}, said: [call], at: after(11) });
        const rows = async (of: string) => db.selectFrom('operation_messages').selectAll().where('operation_id', '=', of).orderBy('id').execute();
        const texts = (all: { message: string }[]): string[] => all.map(({ message }) => message);
        expect(texts(await rows(opened.id))).toEqual(['begun', call.message, 'failed']);
        expect(texts(await rows(id))).toEqual(['begun', 'begun', call.message, 'failed', call.message, 'known later']);
        for (const row of [(await rows(opened.id))[1], (await rows(id))[2]]) {
            expect(row).toMatchObject({
                type: 'http',
                context: 'auth',
                level: 'error',
                request: call.request,
                response: call.response,
                retry: call.retry,
                meta: null,
                error: null,
                created_at: after(2),
                ended_at: after(9),
                duration_ms: 7,
            });
        }
        expect((await rows(id))[1]).toMatchObject({ type: 'log', meta: { integration: 'i' }, request: null, duration_ms: null });
    });

    test('takes what has no partition, makes its day later, and drops days whole, by several at once', async () => {
        const { db } = store.database;
        const stray = await begin(-2 * day, 'stray');
        const far = await begin(30 * day, 'far');
        const old = await begin(-20 * day, 'old');
        expect((await rows()).map(({ place }) => place)).toEqual(['operations_default', 'operations_default', 'operations_default']);
        await Promise.all([1, 2, 3].map(() => keepPartitions(db, t0, keptMs)));
        expect(await rows()).toEqual([
            { id: stray, state: 'waiting', place: 'operations_20251230' },
            { id: far, state: 'waiting', place: 'operations_default' },
        ]);
        expect(await said(old)).toEqual([]);
        expect(await said(stray)).toEqual(['info begun operation_messages_20251230']);
        await operations.end(db, stray, { state: 'success', message: 'done', at: madeAt });
        expect((await rows())[0]).toMatchObject({ id: stray, state: 'success' });
        await keepPartitions(db, t0 + 14 * day, keptMs);
        expect(await rows()).toEqual([{ id: far, state: 'waiting', place: 'operations_default' }]);
        await keepPartitions(db, t0 + 31 * day, keptMs);
        expect(await rows()).toEqual([{ id: far, state: 'waiting', place: 'operations_20260131' }]);
    });

    test('ends what nobody has ended in its time: a connect attempt as given up, anything else as unknown', async () => {
        const { db } = store.database;
        const connect = await begin(1, 'create_connection', after(10));
        const other = await begin(2, 'post_connection', after(10));
        const later = await begin(3, 'create_connection', after(12));
        await operations.expire(db, after(11));
        expect((await rows()).map(({ id, state }) => [id, state])).toEqual([
            [connect, 'cancelled'],
            [other, 'timeout'],
            [later, 'waiting'],
        ]);
        expect(await said(connect)).toHaveLength(2);
    });

    test('a renewal is one row without messages, written once', async () => {
        const { db } = store.database;
        const renewed = {
            id: `${t0}_renewed`,
            environmentId,
            integrationId: environmentId,
            connectionRowId: environmentId,
            connectionId: 'c',
            reason: 'expiry' as const,
            expiresAt: after(day),
        };
        await operations.recordRenewal(db, renewed);
        await operations.recordRenewal(db, renewed);
        expect((await rows()).map(({ state }) => state)).toEqual(['success']);
        expect(await said(renewed.id)).toEqual([]);
    });

    describe('when a day has outlived its routine renewals', () => {
        const renew = async (ms: number): Promise<string> => {
            const id = `${t0 + ms}_renewed`;
            const of = { environmentId, integrationId: environmentId, connectionRowId: environmentId, connectionId: 'c' };
            await operations.recordRenewal(store.database.db, { id, ...of, reason: 'expiry', expiresAt: null });
            return id;
        };
        const ids = async (): Promise<string[]> => (await rows()).map(({ id }) => id);

        test('they are gone, and nothing else is; what is left can be read, found and ended, until the day itself is over', async () => {
            const { db } = store.database;
            await keepPartitions(db, t0, keptMs);
            const [old, failed, next] = [await renew(1), await begin(2, 'failed'), await renew(day)];
            await dropRoutine(db, t0 + 4 * day - 1, 3 * day);
            expect(await ids()).toEqual([old, failed, next]);
            await Promise.all([1, 2].map(() => dropRoutine(db, t0 + 4 * day, 3 * day)));
            expect(await rows()).toEqual([
                { id: failed, state: 'waiting', place: 'operations_20260101' },
                { id: next, state: 'success', place: 'operations_20260102' },
            ]);
            await operations.end(db, failed, { state: 'failed', message: 'refused', at: after(4 * day) });
            expect(await find(db, environmentId, failed)).toMatchObject({ state: 'failed', connection_id: null });
            expect(await said(failed)).toHaveLength(2);
            // What comes late has its place still, and stays: the day is not looked through again.
            const late = await renew(3);
            await dropRoutine(db, t0 + 4 * day, 3 * day);
            expect(await ids()).toEqual([failed, late, next]);
            await keepPartitions(db, t0 + 16 * day, keptMs);
            expect(await ids()).toEqual([next]);
        });

        test('what changes while the day is exchanged keeps its change', async () => {
            const { db } = store.database;
            await keepPartitions(db, t0, keptMs);
            const id = await begin(1, 'slow');
            await renew(2);
            const ended = Promise.withResolvers<void>();
            // Holds the log, as every writer does, until it has been copied.
            const writer = db.transaction().execute(async (transaction) => {
                await operations.end(transaction, id, { state: 'success', message: 'done', at: after(4 * day) });
                await ended.promise;
            });
            if (isShared) {
                const exchange = dropRoutine(db, t0 + 4 * day, 3 * day);
                await expect.poll(() => waiting()).toBe(1);
                ended.resolve();
                await exchange;
            } else {
                ended.resolve();
                await writer;
                await dropRoutine(db, t0 + 4 * day, 3 * day);
            }
            await writer;
            expect(await rows()).toEqual([{ id, state: 'success', place: 'operations_20260101' }]);
        });
    });

    test('tells how far each queue is behind', async () => {
        const { db } = store.database;
        const integration = await insertIntegration(db, environmentId);
        await insertConnection(db, integration, { next_refresh_at: after(-5_000) });
        await insertConnection(db, integration, { next_refresh_at: after(-1_000) });
        await insertConnection(db, integration, { next_refresh_at: after(1_000) });
        await insertDelivery(db, environmentId, 'https://a.example', after(-7_000));
        expect(await readWorkLag(db, t0)).toEqual({
            renewals: { overdue: 2, oldestOverdueMs: 5_000 },
            deliveries: { overdue: 1, oldestOverdueMs: 7_000 },
            hooks: { overdue: 0, oldestOverdueMs: 0 },
        });
    });
});
