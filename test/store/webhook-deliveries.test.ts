/** What becomes of attempts, and what callers see of deliveries (W10–W12). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newRowId, systemSources } from '../../src/sources.ts';
import { replay } from '../../src/store/endpoint-health.ts';
import * as deliveries from '../../src/store/webhook-deliveries.ts';
import * as outbox from '../../src/store/webhook-outbox.ts';
import { dialects, type TestStore } from './dialects.ts';
import { after, insertEnvironment, madeAt, newId } from './rows.ts';

describe.each(dialects)('webhook deliveries ($name)', ({ open }) => {
    let store: TestStore;
    let environmentId: string;
    let made = 0;
    beforeAll(async () => {
        store = await open();
    });
    afterAll(() => store.close());
    beforeEach(async () => {
        await store.empty();
        environmentId = await insertEnvironment(store.database.db);
    });

    /** An event with one delivery, due when it was made. @returns the delivery's id; ids rise with `ms`. */
    async function add(connectionRowId: string | null, ms: number, url = 'u'): Promise<string> {
        const { db } = store.database;
        const eventId = `msg_${String((made += 1)).padStart(26, '0')}`;
        const event = { id: eventId, environment_id: environmentId, connection_row_id: connectionRowId, connection_id: 'c-1' };
        await outbox.insertEvent(db, { ...event, type: 'auth', operation: 'creation', body: '{"a":1}', created_at: after(ms) });
        const id = newRowId({ ...systemSources, now: () => after(ms).getTime() });
        const delivery = {
            id,
            event_id: eventId,
            environment_id: environmentId,
            destination: 'primary',
            endpoint_id: null,
            url,
            state: 'pending',
        } as const;
        await outbox.insertDeliveries(db, [{ ...delivery, next_attempt_at: after(ms), created_at: after(ms) }]);
        return id;
    }
    const record = async (id: string, outcome: Pick<outbox.AttemptOutcome, 'state' | 'nextAttemptAt' | 'at'>, epoch?: number): Promise<void> => {
        const row = (await outbox.loadDelivery(store.database.db, id, madeAt))!;
        const attempt = {
            started_at: outcome.at,
            duration_ms: 12,
            status: outcome.state === 'delivered' ? 200 : 503,
            error: outcome.state === 'delivered' ? null : 'http_503',
            resolved_ip: '203.0.113.7',
            response_headers: { server: 'nginx' },
            response_body: 'hello',
        };
        await outbox.recordAttempt(store.database.db, { ...row, lease_epoch: epoch ?? row.lease_epoch }, { ...outcome, attempt });
    };
    const dueAt = async (): Promise<(Date | null)[]> =>
        (await store.database.db.selectFrom('webhook_deliveries').select('next_attempt_at').orderBy('sequence').execute()).map(
            (row) => row.next_attempt_at,
        );

    test('an attempt ends the lease and is logged, unless its lease was taken over', async () => {
        const id = await add(null, 0);
        await record(id, { state: 'pending', nextAttemptAt: after(5000), at: after(10) });
        await record(id, { state: 'delivered', nextAttemptAt: null, at: after(20) }, 7);
        expect(await deliveries.find(store.database.db, environmentId, id)).toMatchObject({
            state: 'pending',
            attempts: 1,
            last_status: 503,
            last_error: 'http_503',
            next_attempt_at: after(5000),
            body: '{"a":1}',
            log: [
                {
                    number: 1,
                    started_at: after(10).toISOString(),
                    duration_ms: 12,
                    status: 503,
                    error: 'http_503',
                    resolved_ip: '203.0.113.7',
                    response_headers: { server: 'nginx' },
                    response_body: 'hello',
                },
            ],
        });
    });

    test('what was given up, held and replayed keeps its attempts: those that follow are logged behind them (W10, W11)', async () => {
        const { db } = store.database;
        const [id, endpoint] = [await add(null, 0), { id: newId(), url: 'u' }];
        await record(id, { state: 'pending', nextAttemptAt: after(5000), at: after(10) });
        await record(id, { state: 'dead', nextAttemptAt: null, at: after(5000) });
        await db.updateTable('webhook_deliveries').set({ state: 'held', endpoint_id: endpoint.id }).where('id', '=', id).execute();
        await replay(db, endpoint, madeAt);
        await record(id, { state: 'delivered', nextAttemptAt: null, at: after(9000) });
        const found = await deliveries.find(db, environmentId, id);
        expect(found).toMatchObject({ state: 'delivered', attempts: 1 });
        expect(found!.log.map(({ number, started_at: at, status }) => [number, at, status])).toEqual([
            [1, after(10).toISOString(), 503],
            [2, after(5000).toISOString(), 503],
            [3, after(9000).toISOString(), 200],
        ]);
    });

    test('what waits for an older event is due with it, what comes later too, and at once when it waits no longer', async () => {
        const connection = newId();
        const first = await add(connection, 0);
        await add(connection, 1);
        const elsewhere = await add(connection, 2, 'other');
        await record(first, { state: 'pending', nextAttemptAt: after(5000), at: after(10) });
        await add(connection, 3);
        expect(await dueAt()).toEqual([after(5000), after(5000), after(2), after(5000)]);
        await record(elsewhere, { state: 'delivered', nextAttemptAt: null, at: after(20) });
        expect(await dueAt()).toEqual([after(5000), after(5000), null, after(5000)]);
        await record(first, { state: 'delivered', nextAttemptAt: null, at: after(30) });
        expect(await dueAt()).toEqual([null, after(30), null, after(5000)]);
    });

    test('after its third attempt an event holds nothing back', async () => {
        const connection = newId();
        const first = await add(connection, 0);
        await add(connection, 1);
        for (const [ms, next] of [
            [10, 5000],
            [5010, 35_000],
        ] as const) {
            await record(first, { state: 'pending', nextAttemptAt: after(next), at: after(ms) });
            expect(await dueAt()).toEqual([after(next), after(next)]);
        }
        await record(first, { state: 'pending', nextAttemptAt: after(155_000), at: after(35_010) });
        // due already with the third
        expect(await dueAt()).toEqual([after(155_000), after(35_000)]);
        await add(connection, 40_000);
        expect((await dueAt())[2]).toEqual(after(40_000));
    });

    test('are listed newest first and repeated once', async () => {
        const { db } = store.database;
        const ids = [await add(null, 0), await add(null, 1000, 'v'), await add(null, 2000)];
        const list = async (filter: Partial<deliveries.DeliveryFilter>, limit = 9, before?: string): Promise<string[]> =>
            (await deliveries.list(db, { environmentId, ...filter }, limit, before)).map(({ id }) => id);
        expect(await list({})).toEqual(ids.toReversed());
        expect(await list({}, 1, ids[2])).toEqual([ids[1]]);
        expect(await list({ url: 'v' })).toEqual([ids[1]]);
        expect(await list({ since: after(1000), until: after(2000) })).toEqual([ids[1]]);

        await record(ids[0]!, { state: 'dead', nextAttemptAt: null, at: after(3000) });
        const repeatable = async (): Promise<string[]> => (await deliveries.lockRepeatable(db, { environmentId }, 9)).map(({ id }) => id);
        expect(await repeatable()).toEqual([ids[0]]);
        const again = newRowId(systemSources);
        await deliveries.repeat(
            db,
            [{ id: again, of: ids[0]!, endpoint_id: null, url: 'new', operation_id: `${madeAt.getTime()}_again` }],
            after(4000),
        );
        expect(await repeatable()).toEqual([]);
        // Of one that was locked by a statement that began before that was committed.
        const [newest, first] = await deliveries.list(db, { environmentId, ids: [ids[0]!, again] }, 2);
        expect(await deliveries.notRepeated(db, [first!, newest!])).toEqual(new Set([again]));
        expect((await deliveries.list(db, { environmentId }, 1))[0]).toMatchObject({
            id: again,
            url: 'new',
            state: 'pending',
            attempts: 0,
            is_redelivery: true,
            next_attempt_at: after(4000),
        });
    });
});
