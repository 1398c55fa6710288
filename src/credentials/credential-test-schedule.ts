/** When typed-in credentials are tried at their provider again (auth-modes §17.1), and what an answer means (R5). Pure. */
import { randomFraction, type Sources } from '../sources.ts';
import { backoff, TokenFailure } from './token-failure.ts';

const minute = 60 * 1000;
const day = 24 * 60 * minute;

/** Of credentials that were stored although nobody could be asked. */
const soon = 5 * minute;
/** R5: a refusal is confirmed once. Not at once, as a provider may be in the middle of something. */
const confirmAfter = 5 * minute;
/** Later than this, a test waits once more: after a day without workers all are due, and renewals go first. */
const longestDelay = 60 * minute;
/** While tests are switched off, and where the entry names none: either may change. */
const idle = day;

export type TestVerdict =
    | { kind: 'accepted' }
    /** `rejected`: they are not valid; `unconfirmed`: an answer that is neither; `unavailable`: nothing was said about them. */
    | { kind: 'rejected' | 'unconfirmed' | 'unavailable'; description: string; retryAfterMs?: number | undefined };

/** What is remembered between tests. `refusals`, `attempts`: in a row, of the provider and of ours to reach it. */
export interface TestProgress {
    isRejected: boolean;
    refusals: number;
    attempts: number;
}

export interface TestOutcome {
    /** `null`: as before. */
    verdict: 'accepted' | 'rejected' | null;
    refusals: number;
    attempts: number;
    nextAt: number;
}

/** @param isProven what was stored had passed its test, or needed none @param retryAfterMs what the provider asked for, which did not test it */
export const firstTestAt = (isProven: boolean, intervalMs: number, sources: Sources, retryAfterMs = 0): number =>
    isProven ? nextTestAt(intervalMs, sources) : sources.now() + Math.max(spread(soon, sources), retryAfterMs);

/** Spread by ±10 %: what was stored together is not tested together for ever. */
export const nextTestAt = (intervalMs: number, sources: Sources): number => sources.now() + spread(intervalMs === 0 ? idle : intervalMs, sources);

/** Of a test that comes too late: anywhere in the next quarter of the interval; `null`: it is in time. */
export function postponedTo(dueAt: number, intervalMs: number, sources: Sources): number | null {
    const now = sources.now();
    return now - dueAt > longestDelay ? now + (randomFraction(sources) * intervalMs) / 4 : null;
}

export const nextLookAt = (sources: Sources): number => sources.now() + spread(idle, sources);

/** Not before the provider wants to be asked again (R5, RFC 9110 §10.2.3). */
export function afterTest(verdict: TestVerdict, before: TestProgress, intervalMs: number, sources: Sources): TestOutcome {
    const outcome = outcomeOf(verdict, before, intervalMs, sources);
    const patience = verdict.kind === 'accepted' ? 0 : (verdict.retryAfterMs ?? 0);
    return { ...outcome, nextAt: Math.max(outcome.nextAt, sources.now() + patience) };
}

function outcomeOf(verdict: TestVerdict, before: TestProgress, intervalMs: number, sources: Sources): TestOutcome {
    const tomorrow = nextTestAt(intervalMs, sources);
    if (verdict.kind === 'accepted') {
        return { verdict: 'accepted', refusals: 0, attempts: 0, nextAt: tomorrow };
    }
    if (verdict.kind === 'unavailable') {
        const attempts = before.attempts + 1;
        const wait = backoff(new TokenFailure('transient', ''), attempts, sources) ?? 0;
        return { verdict: null, refusals: before.refusals, attempts, nextAt: sources.now() + wait };
    }
    const refusals = before.refusals + 1;
    const wait =
        verdict.kind === 'rejected'
            ? before.refusals === 0
                ? spread(confirmAfter, sources)
                : null
            : backoff(new TokenFailure('unknown', ''), refusals, sources);
    // What is known to be refused is asked once a day, in case the key was allowed again.
    return wait === null || before.isRejected
        ? { verdict: 'rejected', refusals, attempts: 0, nextAt: tomorrow }
        : { verdict: null, refusals, attempts: 0, nextAt: sources.now() + wait };
}

const spread = (ms: number, sources: Sources): number => ms * (0.9 + randomFraction(sources) / 5);
