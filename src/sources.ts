/**
 * The three sources of nondeterminism: time, randomness, and waiting.
 *
 * Everything that needs one is given a `Sources`; nothing in `src/` calls `Date.now()`, `crypto.randomBytes()` or
 * `setTimeout()` to decide anything. Tests and simulations pass their own and can live months in seconds.
 */
import { randomBytes } from 'node:crypto';
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
    random: (size) => (size > largestDrawn ? randomBytes(size) : drawn(size)),
    sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
            // Not `timers/promises`, which makes an error with a stack trace of every deadline that was not needed.
            const stop = (): void => {
                clearTimeout(timer);
                reject(signal?.reason as Error);
            };
            const timer = setTimeout(() => {
                signal?.removeEventListener('abort', stop);
                resolve();
            }, ms);
            if (signal?.aborted) {
                stop();
            } else {
                signal?.addEventListener('abort', stop, { once: true });
            }
        }),
};

/** Asking the generator costs more than what it gives: initialisation vectors, ids and jitter are met from one answer; keys and tokens never are. */
const largestDrawn = 16;
let pool = Buffer.alloc(0);

/** Bytes that nobody else gets; the pool forgets them. */
function drawn(size: number): Buffer {
    if (pool.length < size) {
        pool = randomBytes(4096);
    }
    const bytes = Buffer.from(pool.subarray(0, size));
    pool.fill(0, 0, size);
    pool = pool.subarray(size);
    return bytes;
}

/** By this the clocks of two processes differ at most: two readings that are each wrong by what `store/database-clock.ts` tolerates. One that steps back by more was set, and is followed. */
export const clocksDifferMs = 2_000;

/**
 * Sources whose `now()` runs on another clock: replicas agree on what is due because they share the database's (R11).
 * Whole milliseconds, whatever the offset: `now()` becomes part of ids and dates.
 *
 * A reading that steps back is caught up with at half the pace, so that what comes later never has an earlier time, nor, for long,
 * the same one: what was obtained before must not count as obtained after (R10).
 */
export function withClockOffset(sources: Sources, offsetMs: () => number): Sources {
    let shared = -Infinity;
    let askedAt = 0;
    const now = (): number => {
        const local = sources.now();
        const read = local + offsetMs();
        const passed = Math.max(0, local - askedAt);
        shared = shared - read > clocksDifferMs ? read : Math.max(read, shared + passed / 2);
        askedAt = local;
        return Math.round(shared);
    };
    return { ...sources, now };
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
