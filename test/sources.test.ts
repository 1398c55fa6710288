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
        offset = -99.5;
        expect(shared.now()).toBe(999_901);
        expect(newOperationId(shared)).toMatch(/^\d+_[0-9a-f]{8}$/);
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
