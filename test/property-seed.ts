/**
 * Property tests draw the same examples on every run, so that a change is judged by what it changed. `npm run fuzz` draws
 * other ones, and more: what it finds is reproduced with the seed that fast-check prints.
 */
import { env } from 'node:process';
import fc from 'fast-check';

fc.configureGlobal(env['FUZZ_RUNS'] === undefined ? { seed: 20_261_120 } : { numRuns: Number(env['FUZZ_RUNS']) });
