/** `Sources` for tests whose time moves only when the test moves it, so that months pass in milliseconds. */
import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Sources } from '../src/sources.ts';

export interface VirtualSources extends Sources {
    /** Moves time on, waking sleepers in the order in which they are due, each at its own moment. */
    advance(ms: number): Promise<void>;
    /** The sleeps under way, in milliseconds from now, soonest first. */
    sleeping(): number[];
}

interface Sleeper {
    dueAt: number;
    wake(): void;
}

export function virtualSources(start = Date.UTC(2026, 0, 1)): VirtualSources {
    let time = start;
    const sleepers = new Set<Sleeper>();

    return {
        now: () => time,
        random: randomBytes,
        sleep: (ms, signal) =>
            new Promise((resolve, reject) => {
                const sleeper: Sleeper = { dueAt: time + ms, wake: resolve };
                const abort = (): void => {
                    sleepers.delete(sleeper);
                    reject(signal?.reason as Error);
                };
                if (signal?.aborted) {
                    return abort();
                }
                signal?.addEventListener('abort', abort, { once: true });
                sleepers.add(sleeper);
            }),
        advance: async (ms) => {
            const target = time + ms;
            for (;;) {
                await settle();
                const next = [...sleepers].toSorted((a, b) => a.dueAt - b.dueAt)[0];
                if (next === undefined || next.dueAt > target) {
                    break;
                }
                time = Math.max(time, next.dueAt);
                sleepers.delete(next);
                next.wake();
            }
            time = target;
        },
        sleeping: () => [...sleepers].map(({ dueAt }) => dueAt - time).toSorted((a, b) => a - b),
    };
}

/** Lets what was woken run until it sleeps again, as far as it does not wait for the outside world. */
async function settle(): Promise<void> {
    for (let turn = 0; turn < 5; turn += 1) {
        await setImmediate();
    }
}

/** `Sources` whose jitter is always `fraction`, in [0, 1). */
export const withFraction = (sources: Sources, fraction: number): Sources => ({
    ...sources,
    random: (size) => {
        const bytes = Buffer.alloc(Math.max(size, 4));
        bytes.writeUInt32BE(Math.floor(fraction * 2 ** 32));
        return bytes.subarray(0, size);
    },
});
