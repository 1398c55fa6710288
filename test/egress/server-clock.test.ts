import { describe, expect, it } from 'vitest';
import { estimateSkew } from '../../src/egress/server-clock.ts';

const noon = Date.parse('2026-03-05T12:00:00Z');

describe('estimateSkew', () => {
    it('is near zero for a server that agrees, at any point of the second', () => {
        for (let ms = 0; ms < 1000; ms += 125) {
            const skew = estimateSkew('Thu, 05 Mar 2026 12:00:00 GMT', noon + ms - 100, noon + ms + 100);
            expect(Math.abs(skew ?? Number.NaN)).toBeLessThanOrEqual(500);
        }
    });

    it('measures from the middle of the exchange', () => {
        expect(estimateSkew('Thu, 05 Mar 2026 12:01:30 GMT', noon - 4_000, noon + 4_000)).toBe(90_500);
        expect(estimateSkew('Thu, 05 Mar 2026 11:50:00 GMT', noon, noon + 1_000)).toBe(-600_000);
    });

    it('reads the two obsolete forms as the same instant, in GMT', () => {
        expect(estimateSkew('Thursday, 05-Mar-26 12:00:00 GMT', noon, noon)).toBe(500);
        expect(estimateSkew('Thu Mar  5 12:00:00 2026', noon, noon)).toBe(500);
        const then = Date.parse('1994-11-06T08:49:37Z');
        expect(estimateSkew('Sunday, 06-Nov-94 08:49:37 GMT', then, then)).toBe(500);
        expect(estimateSkew('Tuesday, 05-Mar-85 12:00:00 GMT', noon, noon)).toBe(Date.parse('1985-03-05T12:00:00Z') + 500 - noon);
    });

    it.each([
        undefined,
        '',
        '0',
        '2',
        'now',
        '2026-03-05T12:00:00Z',
        'Thu, 05 Mar 2026 12:00:00 CET',
        'Thu, 05 Xyz 2026 12:00:00 GMT',
        'Thu, 05 Mar 2026 12:00:00 GMT, Thu, 05 Mar 2026 12:00:00 GMT',
    ])('does not guess from %j', (header) => {
        expect(estimateSkew(header, noon, noon)).toBeUndefined();
    });
});
