/** How far background work is behind, as both dialects tell it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readWorkLag } from '../../src/store/work-lag.ts';
import { dialects, type TestStore } from './dialects.ts';
import { after, insertConnection, insertDelivery, insertEnvironment, insertIntegration, madeAt } from './rows.ts';

describe.each(dialects)('the lag of background work ($name)', ({ open }) => {
    let store: TestStore;
    beforeAll(async () => {
        store = await open();
    });
    afterAll(() => store.close());
    beforeEach(() => store.empty());
    const lag = (ms: number) => readWorkLag(store.database.db, madeAt.getTime() + ms);

    test('is nothing when nothing is due', async () => {
        const { db } = store.database;
        const environmentId = await insertEnvironment(db);
        const integration = await insertIntegration(db, environmentId);
        await insertConnection(db, integration, { next_refresh_at: after(1_001) });
        await insertConnection(db, integration, { next_refresh_at: null });
        await insertConnection(db, integration, { next_refresh_at: after(-1), deleted_at: madeAt });
        expect(await lag(1_000)).toEqual({
            renewals: { oldestOverdueMs: 0, overdue: 0 },
            deliveries: { oldestOverdueMs: 0, overdue: 0 },
            hooks: { oldestOverdueMs: 0, overdue: 0 },
        });
    });

    test('counts from the oldest, those at work included', async () => {
        const { db } = store.database;
        const environmentId = await insertEnvironment(db);
        const integration = await insertIntegration(db, environmentId);
        await insertConnection(db, integration, { next_refresh_at: after(-2_000), refresh_lease_owner: 'a', refresh_lease_until: after(45_000) });
        await insertConnection(db, integration, { next_refresh_at: after(-1_000) });
        await insertDelivery(db, environmentId, 'https://a.example', after(-500));
        await insertDelivery(db, environmentId, 'https://b.example', after(60_000));
        const settled = await insertDelivery(db, environmentId, 'https://c.example', after(-9_000));
        await db.updateTable('webhook_deliveries').set({ state: 'delivered' }).where('id', '=', settled).execute();
        expect(await lag(1_000)).toEqual({
            renewals: { oldestOverdueMs: 3_000, overdue: 2 },
            deliveries: { oldestOverdueMs: 1_500, overdue: 1 },
            hooks: { oldestOverdueMs: 0, overdue: 0 },
        });
    });
});
