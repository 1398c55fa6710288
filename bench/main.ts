/**
 * The performance suite: `npm run bench [-- --only read|list|start] [--seconds N]`.
 *
 * Every figure is taken beside something to compare it with, in one run on one machine: reads beside a bare server that does
 * nothing but the work itself, lists of many connections beside lists of few, starts and memory beside their targets. Figures
 * are printed, never asserted: the exit code is 0 unless something broke. Lives here: what measures. Does not live here:
 * whether what is measured is right (`test/`).
 */
import { parseArgs } from 'node:util';
import { measureLists } from './list.ts';
import { startPostgres } from './postgres.ts';
import { measureReads } from './read.ts';
import { measureStarts } from './start.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '5' }, only: { type: 'string' } } });
const seconds = Number(values.seconds);
const suites = ['read', 'list', 'start'];
if (!(seconds >= 1) || (values.only !== undefined && !suites.includes(values.only))) {
    console.error(`Usage: npm run bench -- [--only ${suites.join('|')}] [--seconds N]`);
    process.exit(2);
}

const postgres = await startPostgres();
console.log(`Node ${process.versions.node}, ${postgres.description}`);
try {
    const isWanted = (suite: string): boolean => values.only === undefined || values.only === suite;
    if (isWanted('read')) {
        await measureReads(postgres, seconds);
    }
    if (isWanted('list')) {
        await measureLists(postgres, seconds);
    }
    if (isWanted('start')) {
        await measureStarts(postgres);
    }
} finally {
    await postgres.stop();
}
