/** The loop around the work queue, in virtual time. */
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { ClaimedRow } from '../../src/store/leased-work.ts';
import { LeasedWorker } from '../../src/store/leased-work.ts';
import { virtualSources, withFraction, type VirtualSources } from '../virtual-sources.ts';

const pollMs = 1_000;

/** A worker over a queue in memory, whose items end when the test says so. */
function workbench(options: { concurrency?: number; sources?: VirtualSources; gather?: { slots: number; ms: number } } = {}) {
    const sources = options.sources ?? virtualSources();
    const due: ClaimedRow[] = [];
    const under = new Map<string, PromiseWithResolvers<void>>();
    const claims: { at: number; limit: number; busyGroups: Record<string, number> }[] = [];
    const errors: unknown[] = [];
    const failures: Error[] = [];
    let largest = 0;
    const worker = new LeasedWorker({
        sources,
        concurrency: options.concurrency ?? 2,
        pollMs,
        ...(options.gather && { gather: options.gather }),
        claim: async (limit, busyGroups) => {
            claims.push({ at: sources.now(), limit, busyGroups: { ...busyGroups } });
            const failure = failures.shift();
            if (failure) {
                throw failure;
            }
            await setImmediate();
            return due.splice(0, limit);
        },
        work: (item) => {
            const done = Promise.withResolvers<void>();
            under.set(item.id, done);
            largest = Math.max(largest, under.size);
            return done.promise.finally(() => under.delete(item.id));
        },
        onError: (error) => errors.push(error),
    });
    return {
        worker,
        sources,
        claims,
        errors,
        failures,
        add: (id: string, group = 'g') => due.push({ id, epoch: 1, group }),
        working: () => [...under.keys()],
        finish: (id: string) => under.get(id)!.resolve(),
        fail: (id: string, error: Error) => under.get(id)!.reject(error),
        largest: () => largest,
    };
}

describe('LeasedWorker', () => {
    test('looks at once, then every poll, spread by ±20 %', async () => {
        for (const [fraction, pause] of [
            [0, 800],
            [0.5, 1_000],
            [0.999999, 1_199.9996],
        ] as const) {
            const time = virtualSources();
            const bench = workbench({ sources: { ...time, random: withFraction(time, fraction).random } });
            const start = time.now();
            bench.worker.start();
            await time.advance(3_700);
            const looks = bench.claims.map(({ at }) => at - start);
            expect(looks).toHaveLength(1 + Math.floor(3_700 / pause));
            looks.forEach((look, index) => expect(look).toBeCloseTo(index * pause, 1));
            await bench.worker.stop();
        }
    });

    test('works on at most `concurrency` items, and takes the next the moment one ends', async () => {
        const bench = workbench({ concurrency: 2 });
        ['a', 'b', 'c', 'd'].forEach((id) => bench.add(id));
        bench.worker.start();
        await bench.sources.advance(0);
        expect(bench.working()).toEqual(['a', 'b']);
        bench.finish('a');
        await bench.sources.advance(0);
        expect(bench.working()).toEqual(['b', 'c']);
        bench.finish('b');
        bench.finish('c');
        await bench.sources.advance(0);
        expect(bench.working()).toEqual(['d']);
        bench.finish('d');
        await bench.worker.stop();
        expect(bench.largest()).toBe(2);
        expect(bench.claims.every(({ limit }) => limit >= 1 && limit <= 2)).toBe(true);
    });

    test('fills slots together where it is told to: so many at once, fewer after a while', async () => {
        const bench = workbench({ concurrency: 24, gather: { slots: 3, ms: 50 } });
        Array.from({ length: 40 }, (_, index) => bench.add(`i${index}`));
        bench.worker.start();
        await bench.sources.advance(0);
        expect(bench.claims.map(({ limit }) => limit)).toEqual([24]);
        bench.finish('i0');
        bench.finish('i1');
        await bench.sources.advance(49);
        expect(bench.claims).toHaveLength(1);
        await bench.sources.advance(1);
        expect(bench.claims.map(({ limit }) => limit)).toEqual([24, 2]);
        ['i2', 'i3', 'i4'].forEach((id) => bench.finish(id));
        await bench.sources.advance(0);
        expect(bench.claims.map(({ limit }) => limit)).toEqual([24, 2, 3]);
        bench.working().forEach((id) => bench.finish(id));
        await bench.worker.stop();
    });

    test('tells each claim how many of each group are at work', async () => {
        const bench = workbench({ concurrency: 4 });
        [['a', 'x'] as const, ['b', 'x'] as const, ['c', 'y'] as const].forEach(([id, group]) => bench.add(id, group));
        bench.worker.start();
        await bench.sources.advance(0);
        expect(bench.claims.at(-1)?.busyGroups).toEqual({ x: 2, y: 1 });
        bench.finish('a');
        bench.finish('c');
        await bench.sources.advance(0);
        expect(bench.claims.at(-1)?.busyGroups).toEqual({ x: 1 });
        bench.finish('b');
        await bench.sources.advance(0);
        expect(bench.claims.at(-1)?.busyGroups).toEqual({});
        await bench.worker.stop();
    });

    test('wake() brings the next look forward', async () => {
        const bench = workbench();
        bench.worker.start();
        await bench.sources.advance(10);
        bench.add('a');
        bench.worker.wake();
        await bench.sources.advance(0);
        expect(bench.working()).toEqual(['a']);
        bench.finish('a');
        await bench.worker.stop();
    });

    test('a wake() during a look is not lost', async () => {
        const bench = workbench();
        bench.worker.start();
        // The look has begun and has not answered; what is added now may have been missed by it.
        expect(bench.claims).toHaveLength(1);
        bench.worker.wake();
        await bench.sources.advance(0);
        expect(bench.claims).toHaveLength(2);
        await bench.worker.stop();
    });

    test('a claim that fails is reported, and tried again at the next poll, not sooner', async () => {
        const bench = workbench();
        const outage = new Error('no database');
        bench.failures.push(outage, outage);
        bench.add('a');
        bench.worker.start();
        await bench.sources.advance(0);
        expect([bench.errors, bench.claims.length]).toEqual([[outage], 1]);
        await bench.sources.advance(2_400);
        expect(bench.errors).toEqual([outage, outage]);
        expect(bench.working()).toEqual(['a']);
        bench.finish('a');
        await bench.worker.stop();
    });

    test('work that rejects is reported and frees its slot', async () => {
        const bench = workbench({ concurrency: 1 });
        ['a', 'b'].forEach((id) => bench.add(id));
        bench.worker.start();
        await bench.sources.advance(0);
        bench.fail('a', new Error('broken'));
        await bench.sources.advance(0);
        expect(bench.errors).toEqual([new Error('broken')]);
        expect(bench.working()).toEqual(['b']);
        bench.finish('b');
        await bench.worker.stop();
    });

    test('stop() claims nothing more and waits for what is at work', async () => {
        const bench = workbench({ concurrency: 2 });
        ['a', 'b', 'c'].forEach((id) => bench.add(id));
        bench.worker.start();
        await bench.sources.advance(0);
        let stopped = false;
        const stop = bench.worker.stop().then(() => {
            stopped = true;
        });
        bench.finish('a');
        await bench.sources.advance(5_000);
        expect([stopped, bench.working()]).toEqual([false, ['b']]);
        bench.finish('b');
        await stop;
        await bench.sources.advance(5_000);
        expect(bench.working()).toEqual([]);
        expect(bench.sources.sleeping()).toEqual([]);
    });

    test('stop() during a look waits for what that look still brings', async () => {
        const bench = workbench();
        bench.add('a');
        bench.worker.start();
        const stop = bench.worker.stop();
        await bench.sources.advance(0);
        expect(bench.working()).toEqual(['a']);
        bench.finish('a');
        await stop;
        expect(bench.claims).toHaveLength(1);
    });

    test('a worker that was never started stops', async () => {
        const bench = workbench();
        await bench.worker.stop();
        expect(bench.claims).toEqual([]);
    });
});
