/** Chance that can be had again: the same seed draws the same bytes, in SHA-256 counter mode. */
import { createHash } from 'node:crypto';
import { randomFraction, type Sources } from '../sources.ts';

/** @param purpose draws of one purpose do not depend on how many another one made */
export function seededRandom(seed: number, purpose: string): Sources['random'] {
    let counter = 0;
    let pool = Buffer.alloc(0);
    return (size) => {
        while (pool.length < size) {
            counter += 1;
            pool = Buffer.concat([pool, createHash('sha256').update(`${seed} ${purpose} ${counter}`).digest()]);
        }
        const bytes = pool.subarray(0, size);
        pool = pool.subarray(size);
        return bytes;
    };
}

export interface Dice {
    /** In [0, 1). */
    fraction(): number;
    /** In [from, to). */
    between(from: number, to: number): number;
    /** Whether something with this probability happens. */
    happens(probability: number): boolean;
    pick<T>(from: readonly T[]): T;
}

export function diceOf(random: Sources['random']): Dice {
    const source = { random } as Sources;
    const fraction = (): number => randomFraction(source);
    return {
        fraction,
        between: (from, to) => from + fraction() * (to - from),
        happens: (probability) => fraction() < probability,
        pick: (from) => from[Math.floor(fraction() * from.length)]!,
    };
}
