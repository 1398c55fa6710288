/** Claiming renewals in turns: no provider waits behind another, however much is due of it, and alone it gets what there is (R12). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { claimDue, refreshQueue, type Claim } from '../../src/store/leased-work.ts';
import type { IntegrationRow } from '../../src/store/schema.ts';
import { dialects, type TestStore } from './dialects.ts';
import { after, insertConnection, insertEnvironment, insertIntegration, madeAt } from './rows.ts';

describe.each(dialects)('claiming in turns ($name)', ({ open }) => {
    let store: TestStore;
    let environmentId: string;
    const integrations = new Map<string, IntegrationRow>();
    beforeAll(async () => {
        store = await open();
    });
    afterAll(() => store.close());
    beforeEach(async () => {
        await store.empty();
        integrations.clear();
        environmentId = await insertEnvironment(store.database.db);
    });

    /** @returns the ids of `count` renewals of a provider, a millisecond apart, the first of them due the longest. */
    async function addDue(provider: string, count: number, sinceMs: number): Promise<string[]> {
        const { db } = store.database;
        const integration = integrations.get(provider) ?? (await insertIntegration(db, environmentId, { unique_key: provider, provider }));
        integrations.set(provider, integration);
        const ids: string[] = [];
        for (let index = 0; index < count; index += 1) {
            ids.push((await insertConnection(db, integration, { next_refresh_at: after(index - sinceMs) })).id);
        }
        return ids;
    }
    /** How many were claimed of each provider. */
    async function claim(overrides: Partial<Claim>): Promise<Record<string, number>> {
        const usual = { owner: 'a', now: madeAt.getTime(), leaseMs: 45_000, limit: 10, groupLimit: 100, busyGroups: {} };
        const rows = await claimDue(store.database.db, refreshQueue, { ...usual, ...overrides });
        return Object.fromEntries(
            Map.groupBy(rows, ({ group }) => group)
                .entries()
                .map(([group, some]) => [group, some.length]),
        );
    }

    test('one that is due has its turn, whatever is due before it of another', async () => {
        await addDue('many', 120, 9_000);
        await addDue('one', 1, 10);
        expect(await claim({ limit: 10 })).toEqual({ many: 9, one: 1 });
    });

    test('slots go to those with the fewest at work', async () => {
        await addDue('a', 10, 9_000);
        await addDue('b', 10, 100);
        expect(await claim({ limit: 6 })).toEqual({ a: 3, b: 3 });
        expect(await claim({ limit: 3, busyGroups: { a: 3 } })).toEqual({ b: 3 });
        expect(await claim({ limit: 3, busyGroups: { a: 1, b: 2 } })).toEqual({ a: 2, b: 1 });
    });

    test('of one provider, the longest overdue come first', async () => {
        const { db } = store.database;
        const [first, second] = await addDue('a', 5, 9_000);
        await claim({ limit: 2 });
        const leased = await db
            .selectFrom('connections')
            .select('id')
            .where('refresh_lease_owner', 'is not', null)
            .orderBy('next_refresh_at')
            .execute();
        expect(leased.map(({ id }) => id)).toEqual([first, second]);
    });

    test('one alone gets every slot, or all but what is kept free for others', async () => {
        await addDue('alone', 40, 9_000);
        expect(await claim({ limit: 10 })).toEqual({ alone: 10 });
        // of ten slots eight: four for each that stays free
        expect(await claim({ limit: 10, perFreeSlot: 4 })).toEqual({ alone: 8 });
        expect(await claim({ limit: 2, perFreeSlot: 4, busyGroups: { alone: 8 } })).toEqual({});
        expect(await claim({ limit: 3, perFreeSlot: 4, busyGroups: { alone: 7 } })).toEqual({ alone: 1 });
    });

    test('however many hold what they may, a slot is left for the next', async () => {
        for (const provider of ['a', 'b', 'c', 'd', 'e']) {
            await addDue(provider, 30, 9_000);
        }
        const busyGroups: Record<string, number> = {};
        for (let free = 100; ;) {
            const claimed = Object.entries(await claim({ limit: free, perFreeSlot: 4, busyGroups }));
            claimed.forEach(([group, count]) => (busyGroups[group] = (busyGroups[group] ?? 0) + count));
            free -= claimed.reduce((sum, [, count]) => sum + count, 0);
            if (claimed.length === 0) {
                break;
            }
        }
        expect(busyGroups).toEqual({ a: 19, b: 19, c: 19, d: 19, e: 19 });
        await addDue('late', 10, 5);
        expect(await claim({ limit: 5, perFreeSlot: 4, busyGroups })).toEqual({ late: 4 });
    });

    test('what some do not need goes to the others', async () => {
        await addDue('many', 40, 9_000);
        for (const provider of ['b', 'c', 'd', 'e']) {
            await addDue(provider, 1, 100);
        }
        const first = await claim({ limit: 20 });
        expect(first).toMatchObject({ b: 1, c: 1, d: 1, e: 1 });
        expect(await claim({ limit: 20 - 4 - first['many']!, busyGroups: first })).toEqual({ many: 16 - first['many']! });
    });
});
