/** The options of `valetkey prove`. */
import { parseArgs } from 'node:util';
import { StartupError } from '../config.ts';
import type { Sources } from '../sources.ts';

export interface ProofOptions {
    processes: number;
    callers: number;
    connections: number;
    /** How long the disturbances last, seconds on the wall. */
    seconds: number;
    /** How many times as fast time passes. */
    pace: number;
    seed: number;
}

const defaults = { processes: 3, callers: 60, connections: 60, seconds: 60, pace: 10 };

export const usage = `Usage: valetkey prove [--processes ${defaults.processes}] [--callers ${defaults.callers}] [--connections ${defaults.connections}] [--seconds ${defaults.seconds}] [--pace ${defaults.pace}] [--seed N]`;

/** @throws StartupError */
export function readProofOptions(words: readonly string[], sources: Sources): ProofOptions {
    const names = [...Object.keys(defaults), 'seed'] as (keyof ProofOptions)[];
    const given = parse(words, names);
    const read = (name: keyof ProofOptions, fallback: number, smallest: number): number => {
        const value = given[name] === undefined ? fallback : Number(given[name]);
        if (!Number.isInteger(value) || value < smallest) {
            throw new StartupError(`--${name} must be a whole number from ${smallest}. ${usage}`);
        }
        return value;
    };
    return {
        processes: read('processes', defaults.processes, 2),
        callers: read('callers', defaults.callers, 1),
        connections: read('connections', defaults.connections, 1),
        seconds: read('seconds', defaults.seconds, 1),
        pace: read('pace', defaults.pace, 1),
        seed: read('seed', sources.random(4).readUInt32BE(), 0),
    };
}

function parse(words: readonly string[], names: readonly string[]): Record<string, string | undefined> {
    try {
        const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
        return parseArgs({ args: [...words], options, strict: true }).values;
    } catch {
        throw new StartupError(usage);
    }
}
