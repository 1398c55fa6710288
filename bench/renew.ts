/** Renewals per second of one worker against a token server that answers at once, beside a bare loop that calls and updates. */
import { watchInterference } from './interference.ts';
import type { Postgres } from './postgres.ts';
import { prepareRenewals, untilRenewed, type RenewalBench } from './renewals.ts';
import { startServer, type ServerProcess } from './server-process.ts';
import { layOut, median, printFigures } from './table.ts';

const count = 5_000;
const pairs = 5;
/** V8 compiles both for so long. */
const warmUps = 2;
const leadMs = 4_000;
/** As many as a worker has slots for one provider. */
const concurrency = 320;
const targetRatio = 0.6;

/** Alternates between the two, so that what else the machine does meets both alike; the first two pairs warm up. */
export async function measureRenewals(postgres: Postgres): Promise<void> {
    const bench = await prepareRenewals(postgres, 0);
    const bare = await startServer('bench/bare-renewals.ts', {
        DATABASE_URL: bench.databaseUrl,
        TOKEN_URL: bench.tokenServer.url,
        CONCURRENCY: String(concurrency),
    });
    const worker = await bench.startValetkey({ VALETKEY_ROLES: 'worker' });
    try {
        const results: { ours: number; theirs: number }[] = [];
        let interference = watchInterference();
        for (let pair = 1 - warmUps; pair <= pairs; pair++) {
            const result = { ours: await runOurs(bench), theirs: await runTheirs(bench, bare) };
            if (pair > 0) {
                results.push(result);
            } else {
                interference = watchInterference();
            }
        }
        report(results, interference());
    } finally {
        await Promise.all([worker.stop(), bare.stop()]);
        await bench.close();
    }
}

async function runOurs(bench: RenewalBench): Promise<number> {
    const before = await bench.answered();
    const dueAt = Date.now() + leadMs;
    await bench.addConnections(count, () => dueAt);
    await untilRenewed(bench, before + count, 60_000);
    const { rows } = await bench.client.query<{ seconds: number; count: number }>(
        `select extract(epoch from max(last_refresh_success) - min(credentials_obtained_at))::float8 as seconds, count(*)::int
         from connections where (metadata ->> 'due')::float8 = $1 and credentials_version = 2`,
        [dueAt],
    );
    if (rows[0]?.count !== count) {
        throw new Error(`${rows[0]?.count} of ${count} connections were renewed once`);
    }
    return count / rows[0].seconds;
}

/** The worker must leave them alone: they are made to look leased. */
async function runTheirs(bench: RenewalBench, bare: ServerProcess): Promise<number> {
    const dueAt = Date.now() + 3600_000;
    await bench.addConnections(count, () => dueAt);
    await bench.client.query(
        `update connections set next_refresh_at = now() - interval '1 second', refresh_lease_until = now() + interval '1 hour'
         where (metadata ->> 'due')::float8 = $1`,
        [dueAt],
    );
    await bench.client.query('vacuum analyze connections');
    return Number(await (await fetch(`${bare.url}/run`)).text());
}

function report(results: readonly { ours: number; theirs: number }[], interference: number | undefined): void {
    const ratios = results.map(({ ours, theirs }) => ours / theirs);
    console.log(`\nRenewals against a token server that answers at once: ${count} each`);
    console.log(
        layOut([
            ['', 'Valetkey', 'bare loop', 'ratio'],
            ...results.map(({ ours, theirs }, index) => [
                `pair ${index + 1}`,
                `${ours.toFixed(0)}/s`,
                `${theirs.toFixed(0)}/s`,
                percent(ratios[index]!),
            ]),
        ]),
    );
    printFigures('Renewals', [
        { name: 'ratio, median', value: percent(median(ratios)), target: `>= ${percent(targetRatio)}`, isMet: median(ratios) >= targetRatio },
        { name: 'ratio, lowest to highest', value: `${percent(Math.min(...ratios))} to ${percent(Math.max(...ratios))}` },
        { name: 'processor time the host kept for others', value: interference === undefined ? '?' : percent(interference) },
    ]);
}

const percent = (ratio: number): string => `${(ratio * 100).toFixed(0)} %`;
