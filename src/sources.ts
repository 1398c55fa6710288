/**
 * The three sources of nondeterminism: time, randomness, and waiting.
 *
 * Everything that needs one is given a `Sources`; nothing in `src/` calls `Date.now()`, `crypto.randomBytes()` or
 * `setTimeout()` to decide anything. Tests and simulations pass their own and can live months in seconds.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { v4, v7 } from 'uuid';

export interface Sources {
    /** Milliseconds since the Unix epoch, by the clock that replicas share (see `withClockOffset`). */
    now(): number;
    /** `size` bytes from a cryptographically secure generator. */
    random(size: number): Buffer;
    /** Resolves after `ms` milliseconds; rejects with the signal's reason when aborted. */
    sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemSources: Sources = {
    now: () => Date.now(),
    random: (size) => randomBytes(size),
    sleep: (ms, signal) => delay(ms, undefined, signal ? { signal } : {}),
};

/**
 * Sources whose `now()` runs on another clock: replicas agree on what is due because they share the database's (R11).
 * Whole milliseconds, whatever the offset: `now()` becomes part of ids and dates.
 */
export function withClockOffset(sources: Sources, offsetMs: () => number): Sources {
    return { ...sources, now: () => Math.round(sources.now() + offsetMs()) };
}

/** A time-ordered id for internal rows (UUIDv7, RFC 9562 §5.7). Not a secret: its first 48 bits are the time. */
export function newRowId(sources: Sources): string {
    return v7({ msecs: sources.now(), random: sources.random(16) });
}

/** A random id (UUIDv4, RFC 9562 §5.4) for values the reference defines as such: connection ids, socket ids. */
export function newRandomId(sources: Sources): string {
    return v4({ random: sources.random(16) });
}

/** A number in [0, 1) with 32 bits of resolution, for jitter. */
export function randomFraction(sources: Sources): number {
    return sources.random(4).readUInt32BE() / 2 ** 32;
}
