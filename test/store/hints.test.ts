/** Replicas wake each other (R10): a hint arrives, costs nothing where nobody waits, and is never needed. */
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { newRowId, systemSources } from '../../src/sources.ts';
import * as writes from '../../src/store/credential-writes.ts';
import { Hints } from '../../src/store/hints.ts';
import type { IntegrationRow } from '../../src/store/schema.ts';
import { eventually } from '../e2e/valetkey.ts';
import { openPostgresStore, type TestStore } from './dialects.ts';
import { insertConnection, insertSetting } from './rows.ts';

const logger = pino({ level: 'silent' });

let store: TestStore;
let integration: IntegrationRow;
let deliveries: number;
const open: Hints[] = [];
beforeAll(async () => {
    store = await openPostgresStore();
});
afterAll(() => store.close());
beforeEach(async () => {
    await store.empty();
    integration = await insertSetting(store.database.db);
    deliveries = 0;
});
afterEach(() => Promise.all(open.splice(0).map((hints) => hints.stop())));

async function replica(): Promise<Hints> {
    const hints = new Hints({ database: store.database, sources: systemSources, logger, owner: newRowId(systemSources) });
    open.push(hints);
    hints.start(() => void (deliveries += 1));
    await eventually(() => expect(hints.isHearing).toBe(true));
    return hints;
}
const lease = async (id: string): Promise<number> => (await writes.acquireLease(store.database.db, id, 'holder', systemSources.now(), 45_000))!;
const release = (id: string, epoch: number): Promise<boolean> => writes.releaseLease(store.database.db, id, epoch, { nextRefreshAt: null });
/** Everything that was notified before this call has been heard when it resolves. */
async function settled(hints: Hints): Promise<void> {
    const [before, told] = [deliveries, hints.tellOfDeliveries()];
    await eventually(() => expect(deliveries).toBeGreaterThan(before));
    return told;
}

test('whoever waits for a lease is told when it ends, once', async () => {
    const { db } = store.database;
    const { id } = await insertConnection(db, integration);
    const hints = await replica();
    const epoch = await lease(id);
    const watch = hints.watchRenewal(id);
    const told = watch.next();
    expect(await writes.waitForLease(db, id)).toBe(true);
    await release(id, epoch);
    await told;
    expect((await db.selectFrom('connections').select('refresh_waited').executeTakeFirstOrThrow()).refresh_waited).toBe(false);
    watch.end();
});

test('a renewal that nobody waits for tells nobody', async () => {
    const { id } = await insertConnection(store.database.db, integration);
    const hints = await replica();
    const watch = hints.watchRenewal(id);
    let isTold = false;
    void watch.next().then(() => (isTold = true));
    await release(id, await lease(id));
    await settled(hints);
    expect(isTold).toBe(false);
    // and nobody can begin to wait for one that is over
    expect(await writes.waitForLease(store.database.db, id)).toBe(false);
});

test('what is rolled back is not told of', async () => {
    const { db } = store.database;
    const { id } = await insertConnection(db, integration);
    const hints = await replica();
    const epoch = await lease(id);
    await writes.waitForLease(db, id);
    let isTold = false;
    void hints
        .watchRenewal(id)
        .next()
        .then(() => (isTold = true));
    await db
        .transaction()
        .execute(async (transaction) => {
            await writes.releaseLease(transaction, id, epoch, { nextRefreshAt: null });
            throw new Error('rolled back');
        })
        .catch(() => {});
    await settled(hints);
    expect(isTold).toBe(false);
});

test('events in the outbox wake the other replicas', async () => {
    const [one] = [await replica(), await replica()];
    one.tellOfDeliveries();
    await eventually(() => expect(deliveries).toBe(2));
});

test('a connection that is cut is made again', async () => {
    const hints = await replica();
    await store.database.read(
        '',
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'valetkey hints' and datname = current_database()`,
        [],
    );
    await eventually(() => expect(hints.isHearing).toBe(false));
    await eventually(() => expect(hints.isHearing).toBe(true));
    await settled(hints);
});
