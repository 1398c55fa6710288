/**
 * The performance suite: `npm run bench [-- --only read|start] [--seconds N]`.
 *
 * Every figure is taken beside something to compare it with, in one run on one machine: reads beside a bare server that does
 * nothing but the work itself, starts and memory beside their targets. Figures are printed, never asserted: the exit code
 * is 0 unless something broke. Lives here: what measures. Does not live here: whether what is measured is right (`test/`).
 */
import { parseArgs } from 'node:util';
import { startPostgres } from './postgres.ts';
import { measureReads } from './read.ts';
import { measureStarts } from './start.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '5' }, only: { type: 'string' } } });
const seconds = Number(values.seconds);
if (!(seconds >= 1) || (values.only !== undefined && values.only !== 'read' && values.only !== 'start')) {
    console.error('Usage: npm run bench -- [--only read|start] [--seconds N]');
    process.exit(2);
}

const postgres = await startPostgres();
console.log(`Node ${process.versions.node}, ${postgres.description}`);
try {
    if (values.only !== 'start') {
        await measureReads(postgres, seconds);
    }
    if (values.only !== 'read') {
        await measureStarts(postgres);
    }
} finally {
    await postgres.stop();
}
