/** What the answers to tests of typed-in credentials come to, one after the other (§17.1, R5). */
import { describe, expect, test } from 'vitest';
import { afterTest, firstTestAt, postponedTo, type TestProgress, type TestVerdict } from '../../src/credentials/credential-test-schedule.ts';
import { virtualSources, withFraction } from '../virtual-sources.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const sources = withFraction(virtualSources(), 0.5);
const now = sources.now();

const accepted: TestVerdict = { kind: 'accepted' };
const rejected: TestVerdict = { kind: 'rejected', description: 'no' };
const unconfirmed: TestVerdict = { kind: 'unconfirmed', description: '404' };
const unavailable: TestVerdict = { kind: 'unavailable', description: '503' };

/** Each outcome with the pause after it. */
function run(...verdicts: TestVerdict[]): { verdict: string | null; wait: number }[] {
    let progress: TestProgress = { isRejected: false, refusals: 0, attempts: 0 };
    return verdicts.map((verdict) => {
        const outcome = afterTest(verdict, progress, day, sources);
        progress = {
            isRejected: outcome.verdict === null ? progress.isRejected : outcome.verdict === 'rejected',
            refusals: outcome.refusals,
            attempts: outcome.attempts,
        };
        return { verdict: outcome.verdict, wait: Math.round(outcome.nextAt - now) };
    });
}

describe('a test of typed-in credentials', () => {
    test('accepted: again tomorrow', () => {
        expect(run(accepted)).toEqual([{ verdict: 'accepted', wait: day }]);
    });

    test('a refusal is confirmed minutes later, and asked again once a day, until it is taken back', () => {
        expect(run(rejected, rejected, rejected, accepted, rejected)).toEqual([
            { verdict: null, wait: 5 * minute },
            { verdict: 'rejected', wait: day },
            { verdict: 'rejected', wait: day },
            { verdict: 'accepted', wait: day },
            { verdict: null, wait: 5 * minute },
        ]);
    });

    test('a refusal that is not repeated was none', () => {
        expect(run(rejected, accepted)).toEqual([
            { verdict: null, wait: 5 * minute },
            { verdict: 'accepted', wait: day },
        ]);
    });

    test('an answer that is neither is given five chances over a day', () => {
        const waits = run(unconfirmed, unconfirmed, unconfirmed, unconfirmed, unconfirmed);
        expect(waits.map(({ verdict }) => verdict)).toEqual([null, null, null, null, 'rejected']);
        expect(waits.slice(0, 4).reduce((sum, { wait }) => sum + wait, 0)).toBeGreaterThanOrEqual(day);
        expect(waits.at(-1)!.wait).toBe(day);
    });

    test('an outage says nothing, however long: asked again ever more rarely, and neither begins nor ends a doubt', () => {
        const outage = run(...Array.from({ length: 30 }, () => unavailable));
        expect(new Set(outage.map(({ verdict }) => verdict))).toEqual(new Set([null]));
        expect(outage[0]!.wait).toBe(30_000);
        expect(Math.max(...outage.map(({ wait }) => wait))).toBeLessThanOrEqual(6 * hour);
        expect(run(rejected, unavailable, rejected).map(({ verdict }) => verdict)).toEqual([null, null, 'rejected']);
        expect(run(rejected, rejected, unavailable, rejected).map(({ verdict }) => verdict)).toEqual([null, 'rejected', null, 'rejected']);
        expect(run(unavailable, rejected).map(({ verdict }) => verdict)).toEqual([null, null]);
    });

    test('whatever was answered: not before the provider wants to be asked again', () => {
        const asking = (retryAfterMs: number): TestVerdict[] => [
            { kind: 'unavailable', description: '503', retryAfterMs },
            { kind: 'rejected', description: 'no', retryAfterMs },
            { kind: 'unconfirmed', description: '404', retryAfterMs },
        ];
        for (const verdict of asking(3 * hour)) {
            expect(run(verdict)).toEqual([{ verdict: null, wait: 3 * hour }]);
        }
        expect(run(...asking(1)).map(({ wait }) => wait)).toEqual([30_000, 5 * minute, 2 * hour]);
        expect(firstTestAt(false, day, sources, hour) - now).toBe(hour);
        expect(firstTestAt(false, day, sources, 1) - now).toBe(5 * minute);
    });

    test('one that comes more than an hour late waits once more, spread over a quarter of the interval: renewals go first', () => {
        expect(postponedTo(now - hour, day, sources)).toBeNull();
        const late = [0, 0.5, 0.75].map((fraction) => postponedTo(now - 2 * hour, day, withFraction(sources, fraction))! - now);
        expect(late).toEqual([0, 3 * hour, 4.5 * hour]);
    });

    test('first within the interval; within minutes, where nobody could be asked before; tests that are off are looked for daily', () => {
        expect(firstTestAt(true, 2 * day, sources) - now).toBe(2 * day);
        expect(firstTestAt(false, 2 * day, sources) - now).toBe(5 * minute);
        expect(firstTestAt(true, 0, sources) - now).toBe(day);
        const spread = [0, 0.999].map((fraction) => firstTestAt(true, day, withFraction(sources, fraction)) - now);
        expect(spread[1]! - spread[0]!).toBeGreaterThan(4 * hour);
    });
});
