import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { systemSources } from '../../src/sources.ts';
import { nextWait } from '../../src/webhooks/retry-schedule.ts';
import { withFraction } from '../virtual-sources.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const steps = [5 * second, 30 * second, 2 * minute, 10 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 24 * hour];

const spread = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const wait = (failed: number, status: number | null, fraction = 0.5, retryAfterMs?: number): number | null =>
    nextWait(failed, status, retryAfterMs, withFraction(systemSources, fraction));

describe('the retry schedule (W8)', () => {
    test.each([null, 408, 409, 425, 429, 500, 502, 599])('after %s: ten attempts over some 42 hours', (status) => {
        expect(steps.map((_, index) => wait(index + 1, status))).toEqual(steps);
        expect(wait(steps.length + 1, status)).toBeNull();
        expect(steps.reduce((sum, step) => sum + step)).toBeGreaterThan(41 * hour);
    });

    test.each([300, 302, 304, 400, 401, 403, 404, 422, 451])('after %i: half an hour at least, and no fewer attempts', (status) => {
        expect(steps.map((_, index) => wait(index + 1, status))).toEqual(steps.map((step) => Math.max(step, 30 * minute)));
        expect(wait(steps.length + 1, status)).toBeNull();
    });

    test('a receiver that was away, and then refuses for want of a route, gets the rest of the schedule', () => {
        const answers = [503, 503, null, 502, 503, 404, 404, 404, 503];
        expect(answers.map((status, index) => wait(index + 1, status))).toEqual(steps);
    });

    test('every wait is spread by a fifth either way', () => {
        fc.assert(
            fc.property(fc.integer({ min: 1, max: steps.length }), spread, (failed, fraction) => {
                const step = steps[failed - 1]!;
                const ms = wait(failed, 500, fraction)!;
                expect(ms).toBeGreaterThanOrEqual(0.8 * step);
                expect(ms).toBeLessThanOrEqual(1.2 * step);
            }),
        );
        expect([wait(1, 500, 0), wait(1, 500, 1 - 2 ** -32)!].map((ms) => Math.round(ms!))).toEqual([4_000, 6_000]);
    });

    test('Retry-After makes it later, never sooner, and by a day at most', () => {
        expect(wait(1, 503, 0.5, 90 * second)).toBe(90 * second);
        expect(wait(5, 503, 0.5, 90 * second)).toBe(30 * minute);
        expect(wait(1, 503, 0.5, 30 * 24 * hour)).toBe(24 * hour);
        expect(wait(10, 503, 0.5, 90 * second)).toBeNull();
    });

    test('whatever happened, the wait is none or bounded', () => {
        const status = fc.option(fc.integer({ min: 100, max: 599 }), { nil: null });
        const retryAfter = fc.option(fc.nat(), { nil: undefined });
        fc.assert(
            fc.property(fc.integer({ min: 1, max: 100 }), status, retryAfter, spread, (failed, answered, asked, fraction) => {
                const ms = wait(failed, answered, fraction, asked);
                expect(ms === null || (ms >= 4 * second && ms <= 1.2 * 24 * hour)).toBe(true);
                expect(ms === null).toBe(failed > 9);
            }),
        );
    });
});
