/**
 * The performance suite: `npm run bench [-- --only SUITE] [--seconds N]`.
 *
 * Every figure is taken beside something to compare it with, in one run on one machine: reads beside a bare server that does
 * nothing but the work itself, lists of many connections beside lists of few, starts and memory beside their targets. Figures
 * are printed, never asserted: the exit code is 0 unless something broke. Lives here: what measures. Does not live here:
 * whether what is measured is right (`test/`).
 */
import { parseArgs } from 'node:util';
import { measureClaims } from './claim.ts';
import { measureDue } from './due.ts';
import { measureLists } from './list.ts';
import { startPostgres, type Postgres } from './postgres.ts';
import { measureReadsWhileRenewing } from './read-while-renewing.ts';
import { measureReads } from './read.ts';
import { measureRenewals } from './renew.ts';
import { measureStarts } from './start.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '5' }, only: { type: 'string' } } });
const seconds = Number(values.seconds);
const suites: Record<string, (postgres: Postgres) => Promise<void>> = {
    read: (postgres) => measureReads(postgres, seconds),
    list: (postgres) => measureLists(postgres, seconds),
    start: measureStarts,
    due: measureDue,
    claim: measureClaims,
    renew: measureRenewals,
    'read-while-renewing': measureReadsWhileRenewing,
};
if (!(seconds >= 1) || (values.only !== undefined && !Object.hasOwn(suites, values.only))) {
    console.error(`Usage: npm run bench -- [--only ${Object.keys(suites).join('|')}] [--seconds N]`);
    process.exit(2);
}

const postgres = await startPostgres();
console.log(`Node ${process.versions.node}, ${postgres.description}`);
try {
    for (const [name, measure] of Object.entries(suites)) {
        if (values.only === undefined || values.only === name) {
            await measure(postgres);
        }
    }
} finally {
    await postgres.stop();
}
