/** When a webhook is tried again (W8). Durations in milliseconds. */
import { randomFraction, type Sources } from '../sources.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

/** Waits after the first, second, … failed attempt: about 42 hours in all. */
const waits = [5 * second, 30 * second, 2 * minute, 10 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 24 * hour];
/** Of one delivery, the first included. */
export const mostAttempts = waits.length + 1;
/** A refusal that a repaired receiver would take: tried again as often, but no sooner than the slow part of the schedule has it. */
const slowFrom = 4;
const longestRetryAfter = 24 * hour;

const soonRetried = new Set([408, 409, 425, 429]);

/**
 * @param failedAttempts including the one that just failed
 * @param status of the answer; `null` when there was none
 * @returns the wait, or `null` when the schedule is exhausted
 */
export function nextWait(failedAttempts: number, status: number | null, retryAfterMs: number | undefined, sources: Sources): number | null {
    const isRefusal = status !== null && status < 500 && !soonRetried.has(status);
    const wait = waits[isRefusal ? Math.max(failedAttempts - 1, slowFrom) : failedAttempts - 1];
    if (wait === undefined) {
        return null;
    }
    const spread = wait * (0.8 + 0.4 * randomFraction(sources));
    return Math.max(spread, Math.min(retryAfterMs ?? 0, longestRetryAfter));
}
