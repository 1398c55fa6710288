import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { newRandomId, newRowId, randomFraction, systemSources, withClockOffset } from '../src/sources.ts';
import { newOperationId } from '../src/store/operations.ts';
import { virtualSources, withFraction } from './virtual-sources.ts';

describe('ids', () => {
    test('of rows are UUIDv7: ordered by time, never the same (RFC 9562 §5.7)', () => {
        const at = (time: number): string => newRowId({ ...systemSources, now: () => time });
        expect(at(0x0199_0000_0000)).toMatch(/^01990000-0000-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        expect(at(1_767_225_600_000) < at(1_767_225_600_001)).toBe(true);
        expect(new Set(Array.from({ length: 1000 }, () => at(1_767_225_600_000))).size).toBe(1000);
    });

    test('that must not be guessed are UUIDv4 (RFC 9562 §5.4)', () => {
        expect(newRandomId(systemSources)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        expect(newRandomId(systemSources)).not.toBe(newRandomId(systemSources));
    });
});

test('a fraction is in [0, 1), and uses all of it', () => {
    expect(randomFraction(withFraction(systemSources, 0))).toBe(0);
    expect(randomFraction({ ...systemSources, random: (size) => Buffer.alloc(size, 0xff) })).toBe(1 - 2 ** -32);
    fc.assert(
        fc.property(
            fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
            (fraction) => Math.abs(randomFraction(withFraction(systemSources, fraction)) - fraction) <= 2 ** -32,
        ),
    );
});

describe('another clock', () => {
    test('is ahead or behind by an offset that may change, in whole milliseconds', () => {
        const time = virtualSources(1_000_000);
        let offset = 250.4;
        const shared = withClockOffset(time, () => offset);
        expect(shared.now()).toBe(1_000_250);
        offset = 3_600_000.5;
        expect(shared.now()).toBe(4_600_001);
        expect(newOperationId(shared)).toMatch(/^\d+_[0-9a-f]{8}$/);
    });

    test('that steps back by as much as readings may differ goes on at half its pace until it is right again', async () => {
        const time = virtualSources(1_000_000);
        let offset = 900;
        const shared = withClockOffset(time, () => offset);
        expect(shared.now()).toBe(1_000_900);
        offset = -100;
        expect(shared.now()).toBe(1_000_900);
        await time.advance(2);
        expect(shared.now()).toBe(1_000_901);
        await time.advance(1_000);
        expect(shared.now()).toBe(1_001_401);
        await time.advance(998);
        expect(shared.now()).toBe(1_001_900);
        await time.advance(500);
        expect(shared.now()).toBe(1_002_400);
    });

    test('never goes back and never stands still, whatever the readings and this process’s own clock say within their error', () => {
        const moments = fc.array(
            fc.record({ passed: fc.integer({ min: 0, max: 5_000 }), error: fc.double({ min: -1_000, max: 1_000, noNaN: true }) }),
        );
        fc.assert(
            fc.property(moments, (each) => {
                let [local, offset] = [1_000_000, 0];
                const shared = withClockOffset({ ...systemSources, now: () => local }, () => offset);
                let last = shared.now();
                for (const { passed, error } of each) {
                    local += passed;
                    offset = error;
                    const now = shared.now();
                    expect(now - last).toBeGreaterThanOrEqual(Math.floor(passed / 2));
                    expect(now - local).toBeLessThanOrEqual(1_000);
                    last = now;
                }
            }),
        );
    });

    test('is followed when it steps back by more: the one before was wrong', () => {
        let offset = 5_000;
        const shared = withClockOffset(virtualSources(1_000_000), () => offset);
        expect(shared.now()).toBe(1_005_000);
        offset = 0;
        expect(shared.now()).toBe(1_000_000);
    });

    test('does not go back with the clock of this process', () => {
        let local = 1_000_000;
        const shared = withClockOffset({ ...systemSources, now: () => local }, () => 0);
        expect(shared.now()).toBe(1_000_000);
        local -= 500;
        expect(shared.now()).toBe(1_000_000);
        local += 100;
        expect(shared.now()).toBe(1_000_050);
    });
});

describe('sleeping', () => {
    test('ends after its time, or with the reason of its abort', async () => {
        await systemSources.sleep(1);
        const abort = new AbortController();
        const sleep = systemSources.sleep(60_000, abort.signal);
        abort.abort();
        await expect(sleep).rejects.toMatchObject({ name: 'AbortError' });
    });
});
