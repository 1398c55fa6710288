/** 10 000 connections of one provider falling due within a minute, and as many at one moment, with one worker: how late is the latest? */
import type pg from 'pg';
import { watchInterference } from './interference.ts';
import type { Postgres } from './postgres.ts';
import { watchPostgres } from './processor-time.ts';
import { lifetimeMs, prepareRenewals, untilRenewed } from './renewals.ts';
import { printFigures } from './table.ts';

const count = 10_000;
const tokenServerMs = 200;
const minute = 60_000;
const leadMs = 8_000;
/** R8: 900 s, at most a quarter of the lifetime. */
const marginMs = Math.min(900_000, lifetimeMs / 4);
const mostOfACore = 0.5;

export async function measureDue(postgres: Postgres): Promise<void> {
    const bench = await prepareRenewals(postgres, tokenServerMs);
    const worker = await bench.startValetkey({ VALETKEY_ROLES: 'worker' });
    try {
        const interference = watchInterference();
        const spreadFrom = Date.now() + leadMs;
        await bench.addConnections(count, (index) => spreadFrom + (index * minute) / count);
        const ofSpread = await watchPostgres(bench.client);
        await untilRenewed(bench, count, leadMs + 3 * minute);
        const spread = { core: ofSpread(), ...(await lateness(bench.client, spreadFrom)) };

        const allAt = Date.now() + leadMs;
        await bench.addConnections(count, () => allAt);
        const ofAll = await watchPostgres(bench.client);
        await untilRenewed(bench, 2 * count, leadMs + 3 * minute);
        const all = { core: ofAll(), ...(await lateness(bench.client, allAt)) };

        const late = (ms: number) => ({ value: `${(ms / 1000).toFixed(2)} s`, target: `< ${marginMs / 1000} s`, isMet: ms < marginMs });
        const core = (share: number | undefined) => ({
            value: share === undefined ? '?' : percent(share),
            target: `< ${percent(mostOfACore)}`,
            ...(share === undefined ? {} : { isMet: share < mostOfACore }),
        });
        printFigures(`${count} connections of one provider falling due within a minute; token server at ${tokenServerMs} ms, one worker`, [
            { name: 'lateness, median', ...late(spread.p50) },
            { name: 'lateness, p99', ...late(spread.p99) },
            { name: 'Postgres, share of a core', ...core(spread.core) },
            { name: 'all due at one moment: lateness, median', ...late(all.p50) },
            { name: 'all due at one moment: lateness, p99', ...late(all.p99) },
            { name: 'all due at one moment: renewals per second', value: (count / (all.last / 1000)).toFixed(0) },
            { name: 'all due at one moment: Postgres, share of a core', ...core(all.core) },
            { name: 'processor time the host kept for others', value: percent(interference() ?? NaN) },
        ]);
    } finally {
        await worker.stop();
        await bench.close();
    }
}

interface Lateness {
    /** Milliseconds from the moment they were due to the moment they were stored. */
    p50: number;
    p99: number;
    last: number;
}

async function lateness(client: pg.Client, dueFrom: number): Promise<Lateness> {
    const { rows } = await client.query<Lateness & { count: number }>(
        `select count(*)::int, percentile_cont(0.5) within group (order by late) as p50, percentile_cont(0.99) within group (order by late) as p99, max(late) as last
         from (select extract(epoch from last_refresh_success)::float8 * 1000 - (metadata ->> 'due')::float8 as late
               from connections where (metadata ->> 'due')::float8 >= $1 and credentials_version = 2) renewed`,
        [dueFrom],
    );
    if (rows[0]?.count !== count) {
        throw new Error(`${rows[0]?.count} of ${count} connections were renewed once`);
    }
    return rows[0];
}

const percent = (ratio: number): string => `${(ratio * 100).toFixed(0)} %`;
