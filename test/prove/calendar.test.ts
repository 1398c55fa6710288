/** 400 days of 5 000 connections on a virtual clock, by the schedule and the failure rules that production runs (R5, R8, R12, R15). */
import { describe, expect, test } from 'vitest';
import { liveThrough, usualManners, type CalendarResult } from '../../src/prove/calendar.ts';

const day = 24 * 3600 * 1000;

describe('400 days of 5 000 connections', () => {
    const result: CalendarResult = liveThrough({ days: 400, connections: 5_000, seed: 20_261_128 });

    test('no grant lapses, though nobody reads and providers are away for up to three days', () => {
        expect(result.renewals).toBeGreaterThan(1_000_000);
        expect(result.failures).toBeGreaterThan(10_000);
        expect(result.lapsed).toBe(0);
    });

    test('an outage never gives a connection up, and a withdrawn grant is given up once, with one event', () => {
        expect(result.withdrawn).toBeGreaterThan(100);
        expect(result.marked).toBe(result.withdrawn);
        expect([result.wronglyMarked, result.attemptsAfterEnd]).toEqual([0, 0]);
    });

    test('nobody is told of the same outage twice in a day', () => {
        expect(result.events).toBeGreaterThan(result.withdrawn);
        expect(result.hastyEvents).toBe(0);
    });

    test('tokens are renewed before they expire', () => {
        expect(result.longestWithoutToken).toBe(0);
    });

    test('connections that were made in one hour do not fall due together', () => {
        expect(result.busiestMinute).toBeLessThan(5_000 / 20);
    });
});

test('it would show grants that lapse: a provider that drops tokens sooner than they are kept alive', () => {
    const impatient = [{ ...usualManners[2]!, share: 1, idleMs: 6 * day }];
    expect(liveThrough({ days: 60, connections: 100, seed: 1, manners: impatient }).lapsed).toBeGreaterThan(50);
});

test('the same seed lives the same life', () => {
    const options = { days: 60, connections: 200, seed: 5 };
    expect(liveThrough(options)).toEqual(liveThrough(options));
    expect(liveThrough(options)).not.toEqual(liveThrough({ ...options, seed: 6 }));
});
