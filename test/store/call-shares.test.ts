/** Dividing a limit among replicas (R10): never more than it allows, a fair part for each, and nothing kept by the dead. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { divide, exchangeShare, type ShareRequest } from '../../src/store/call-shares.ts';
import type { CallShare } from '../../src/store/schema.ts';
import { dialects, type TestStore } from './dialects.ts';

const t0 = Date.UTC(2026, 0, 1);
const shareMs = 60_000;
const wants = (owner: string, request: Partial<ShareRequest> = {}): ShareRequest => ({
    owner,
    now: t0,
    until: (request.now ?? t0) + shareMs,
    inFlight: 0,
    waiting: 0,
    urgent: 0,
    calls: 0,
    ...request,
});

describe('dividing', () => {
    const limit = { concurrency: 20 };
    const held = (slots: number, needs = slots, until = t0 + 1): CallShare => ({ slots, needs, until });

    test('background work leaves a quarter to callers', () => {
        expect(divide({}, limit, wants('a', { waiting: 100 }))).toMatchObject({ slots: 15, backgroundSlots: 15 });
        expect(divide({}, limit, wants('a', { waiting: 100, urgent: 1 }))).toMatchObject({ slots: 20, backgroundSlots: 15 });
        expect(divide({ b: held(15) }, limit, wants('a', { waiting: 2 }))).toMatchObject({ slots: 0 });
        expect(divide({ b: held(15) }, limit, wants('a', { waiting: 2, urgent: 2 }))).toMatchObject({ slots: 3, backgroundSlots: 0 });
    });

    test('a limit of one is one, for background work too', () => {
        expect(divide({}, { concurrency: 1 }, wants('a', { waiting: 5 }))).toMatchObject({ slots: 1, backgroundSlots: 1 });
    });

    test('whoever has much gives way to whoever has too little, but only as its calls end', () => {
        const asking = divide({ b: held(20) }, limit, wants('a', { waiting: 8, urgent: 8 }));
        expect(asking).toMatchObject({ slots: 0, shares: { a: { slots: 0, needs: 8 } } });
        const giving = divide({ a: asking.shares['a']! }, limit, wants('b', { inFlight: 20, waiting: 50, urgent: 50 }));
        expect(giving).toMatchObject({ slots: 10, shares: { b: { slots: 20, needs: 70 } } });
        const given = divide({ b: held(10, 70) }, limit, wants('a', { waiting: 8, urgent: 8 }));
        expect(given).toMatchObject({ slots: 8 });
    });

    test('the share of a process that is gone ends by itself', () => {
        expect(divide({ gone: held(20, 20, t0) }, limit, wants('a', { waiting: 20, urgent: 1 }))).toMatchObject({ slots: 20 });
        expect(Object.keys(divide({ gone: held(20, 20, t0) }, limit, wants('a')).shares)).toEqual([]);
    });
});

describe.each(dialects)('exchanging ($name)', ({ open }) => {
    let store: TestStore;
    beforeAll(async () => {
        store = await open();
    });
    afterAll(() => store.close());
    beforeEach(() => store.empty());

    test('processes that ask together never get more than there is', async () => {
        const limit = { scope: 'host h', concurrency: 10 };
        const granted = await Promise.all(
            ['a', 'b', 'c', 'd'].map((owner) => exchangeShare(store.database.db, limit, wants(owner, { waiting: 4, urgent: 4 }))),
        );
        const total = granted.reduce((sum, { slots }) => sum + slots, 0);
        expect(total).toBeLessThanOrEqual(10);
        expect(total).toBeGreaterThan(0);
    });

    test('a limit that nobody uses leaves no row', async () => {
        const limit = { scope: 'host h', concurrency: 10 };
        await exchangeShare(store.database.db, limit, wants('a', { waiting: 4 }));
        expect(await store.database.db.selectFrom('token_call_shares').select('scope').execute()).toEqual([{ scope: 'host h' }]);
        await exchangeShare(store.database.db, limit, wants('a'));
        expect(await store.database.db.selectFrom('token_call_shares').select('scope').execute()).toEqual([]);
    });

    test('calls per minute come evenly, after a first few, whoever asks', async () => {
        const limit = { scope: 'provider p', concurrency: 10, perMinute: 60 };
        const ask = async (owner: string, at: number, calls: number): Promise<number> =>
            (await exchangeShare(store.database.db, limit, wants(owner, { now: t0 + at, calls }))).calls;
        expect(await ask('a', 0, 100)).toBe(10);
        expect(await ask('b', 0, 100)).toBe(0);
        expect(await ask('b', 2_500, 100)).toBe(2);
        expect(await ask('a', 3_000, 1)).toBe(1);
        // and nothing is saved up for longer than the first few
        expect(await ask('a', 3_600_000, 100)).toBe(10);
    });

    test('calls per minute are not given twice by processes whose clocks differ', async () => {
        const limit = { scope: 'provider p', concurrency: 10, perMinute: 60 };
        const clocks = { slow: 0, fast: 1_000 };
        let given = 0;
        for (let at = 0; at < 60_000; at += 200) {
            for (const [owner, ahead] of Object.entries(clocks)) {
                given += (await exchangeShare(store.database.db, limit, wants(owner, { now: t0 + at + ahead, calls: 100 }))).calls;
            }
        }
        expect(given).toBeLessThanOrEqual(60 + 10 + 1);
        // One that was set back does not stop them until it has caught up.
        await exchangeShare(store.database.db, limit, wants('slow', { now: t0 - 3_600_000, calls: 0 }));
        expect(await exchangeShare(store.database.db, limit, wants('slow', { now: t0 - 3_597_000, calls: 100 }))).toMatchObject({ calls: 3 });
    });
});
