/** The clock that replicas share is read from the database; a reading that took long says little (R11). */
import { expect, test } from 'vitest';
import { systemSources } from '../../src/sources.ts';
import { DatabaseClock } from '../../src/store/database-clock.ts';
import type { ClockReading, Database } from '../../src/store/database.ts';

function clockOf(readings: ClockReading[]): { clock: DatabaseClock; left: () => number } {
    const readClock = (): Promise<ClockReading> => Promise.resolve(readings.shift()!);
    return { clock: new DatabaseClock({ readClock } as unknown as Database, systemSources), left: () => readings.length };
}
const exact = (offsetMs: number): ClockReading => ({ offsetMs, errorMs: 2 });
/** The process stood still for a minute in the middle of it. */
const interrupted = (offsetMs: number): ClockReading => ({ offsetMs: offsetMs - 30_000, errorMs: 30_000 });

test('an exact reading is taken at once', async () => {
    const { clock, left } = clockOf([exact(120), exact(500)]);
    await clock.read();
    expect([clock.offset(), left()]).toEqual([120, 1]);
});

test('a reading during which the process stood still is not believed, but another one is tried', async () => {
    const { clock } = clockOf([exact(120), interrupted(130), exact(140)]);
    await clock.read();
    await clock.read();
    expect(clock.offset()).toBe(140);
});

test('without an exact reading the last one stands, and at the start the best one is better than none', async () => {
    const { clock } = clockOf([interrupted(0), { offsetMs: 90, errorMs: 5_000 }, interrupted(0), interrupted(0), interrupted(0), interrupted(0)]);
    await clock.read();
    expect(clock.offset()).toBe(90);
    await clock.read();
    expect(clock.offset()).toBe(90);
});
