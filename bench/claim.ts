/** Claiming a batch of due renewals among 1 000 000 connections and among 10 000: a claim must cost what a batch costs. */
import { randomBytes } from 'node:crypto';
import { PostgresDialect, Kysely } from 'kysely';
import pg from 'pg';
import { claimDue, refreshQueue, type Claim } from '../src/store/leased-work.ts';
import type { Schema } from '../src/store/schema.ts';
import { watchInterference } from './interference.ts';
import type { Postgres } from './postgres.ts';
import { startServer } from './server-process.ts';
import { layOut, median, printFigures } from './table.ts';

const sizes = { small: 10_000, large: 1_000_000 };
const batch = 100;
const rounds = 15;
const mostTimes = 1.5;

interface Situation {
    name: string;
    claim: Partial<Claim>;
    /** Rows that are claimed. */
    expected: number;
    /** SQL, before each round. */
    prepare?: string;
}

/** Of 20 providers; 5 000 renewals are due, 4 000 of them of one provider and longest overdue. */
const situations: Situation[] = [
    { name: 'nothing due', claim: { now: 0 }, expected: 0 },
    { name: `${batch} of all that is due`, claim: {}, expected: batch },
    {
        name: 'none of the provider that has most',
        claim: { busyGroups: { 'provider-0': 80 }, limit: 20, groupLimit: 80, perFreeSlot: 4 },
        expected: 19,
    },
    { name: 'beside 1 000 that are leased', claim: {}, expected: batch, prepare: leaseSql(1_000) },
];

function leaseSql(count: number): string {
    return `update connections set refresh_lease_until = now() + interval '1 hour' where id in (
        select id from connections where next_refresh_at <= now() and refresh_lease_until is null order by next_refresh_at limit ${count})`;
}

export async function measureClaims(postgres: Postgres): Promise<void> {
    const databases = { small: await prepare(postgres, sizes.small), large: await prepare(postgres, sizes.large) };
    try {
        const interference = watchInterference();
        const results: Result[] = [];
        for (const situation of situations) {
            const taken: Record<keyof typeof sizes, number[]> = { small: [], large: [] };
            const buffers: Record<keyof typeof sizes, number[]> = { small: [], large: [] };
            for (let round = -3; round < rounds; round++) {
                for (const size of ['small', 'large'] as const) {
                    const measured = await databases[size].measure(situation);
                    if (round >= 0) {
                        taken[size].push(measured.ms);
                        buffers[size].push(measured.buffers);
                    }
                }
            }
            results.push({
                name: situation.name,
                ms: { small: median(taken.small), large: median(taken.large) },
                buffers: { small: median(buffers.small), large: median(buffers.large) },
            });
        }
        report(results, interference());
    } finally {
        await databases.small.close();
        await databases.large.close();
    }
}

interface Result {
    name: string;
    ms: Record<keyof typeof sizes, number>;
    buffers: Record<keyof typeof sizes, number>;
}

function report(results: readonly Result[], interference: number | undefined): void {
    console.log(`\nClaiming a batch of ${batch} renewals, 5 000 due: ${sizes.small} and ${sizes.large} connections, medians of ${rounds}`);
    console.log(
        layOut([
            ['', `of ${sizes.small}`, `of ${sizes.large}`, 'ratio', 'pages', 'pages', 'ratio'],
            ...results.map(({ name, ms, buffers }) => [
                name,
                `${ms.small.toFixed(2)} ms`,
                `${ms.large.toFixed(2)} ms`,
                times(ms.large / ms.small),
                String(buffers.small),
                String(buffers.large),
                times(buffers.large / buffers.small),
            ]),
        ]),
    );
    const figure = (name: string, ratio: number) => ({ name, value: times(ratio), target: `<= ${mostTimes} x`, isMet: ratio <= mostTimes });
    printFigures('Claims', [
        figure('time, the worst of them', Math.max(...results.map(({ ms }) => ms.large / ms.small))),
        figure('pages read, the worst of them', Math.max(...results.map(({ buffers }) => buffers.large / buffers.small))),
        { name: 'processor time the host kept for others', value: interference === undefined ? '?' : `${(interference * 100).toFixed(0)} %` },
    ]);
}

const times = (ratio: number): string => `${ratio.toFixed(2)} x`;

interface Measured {
    ms: number;
    /** Pages that the statement touched, by EXPLAIN (ANALYZE, BUFFERS). */
    buffers: number;
}

/** A database of that many connections, of which 5 000 are due. Every claim is rolled back, so that each finds the same. */
async function prepare(postgres: Postgres, count: number): Promise<{ measure(situation: Situation): Promise<Measured>; close(): Promise<void> }> {
    const created = await postgres.createDatabase();
    const key = randomBytes(32).toString('base64');
    await (
        await startServer('bin/valetkey', { DATABASE_URL: created.url, VALETKEY_ENCRYPTION_KEY: key, LOG_LEVEL: 'warn', VALETKEY_ROLES: 'api' })
    ).stop();
    const pool = new pg.Pool({ connectionString: created.url, max: 1 });
    const explained: { text: string; values: unknown[] }[] = [];
    const db = new Kysely<Schema>({
        dialect: new PostgresDialect({ pool }),
        log: ({ query }) => {
            explained.push({ text: query.sql, values: [...query.parameters] });
        },
    });
    await seed(pool, count);
    const claim = (overrides: Partial<Claim>): Promise<unknown[]> =>
        claimDue(db, refreshQueue, {
            owner: 'bench',
            now: Date.now(),
            leaseMs: 45_000,
            limit: batch,
            groupLimit: batch,
            busyGroups: {},
            ...overrides,
        });
    return {
        measure: async ({ name, claim: overrides, expected, prepare: before }) => {
            await pool.query('begin');
            if (before !== undefined) {
                await pool.query(before);
            }
            await pool.query('savepoint before');
            const begin = performance.now();
            const rows = await claim(overrides);
            const ms = performance.now() - begin;
            if (rows.length !== expected) {
                throw new Error(`${name}: ${rows.length} rows of ${count} connections, not ${expected}`);
            }
            await pool.query('rollback to before');
            const { text, values } = explained.pop()!;
            const plan = await pool.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(
                `explain (analyze, buffers, format json) ${text}`,
                values,
            );
            await pool.query('rollback');
            const top = plan.rows[0]!['QUERY PLAN'][0].Plan;
            return { ms, buffers: top['Shared Hit Blocks']! + top['Shared Read Blocks']! };
        },
        close: async () => {
            await pool.end();
            await created.drop();
        },
    };
}

/** Nothing of these is ever opened, so that Postgres can make them up; they have the size of a usual grant. */
async function seed(pool: pg.Pool, count: number): Promise<void> {
    // Filling the listing's table takes minutes, and no claim looks at it.
    await pool.query('alter table connections disable trigger user');
    await pool.query(
        `with integration as (
            insert into integrations (id, environment_id, unique_key, provider, created_at, updated_at)
            select gen_random_uuid(), environments.id, 'provider-' || n, 'provider-' || n, now(), now()
            from environments, generate_series(0, 19) n where name = 'dev'
            returning id, environment_id, provider
        )
        insert into connections (id, environment_id, integration_id, provider, connection_id, credential_type, sealed_credentials,
            credentials_obtained_at, credentials_expires_at, auth_state, next_refresh_at, created_at, updated_at)
        select gen_random_uuid(), environment_id, id, provider, 'connection-' || n, 'OAUTH2', rpad('sealed', 700, md5(n::text)), now(),
            now() + interval '1 hour', 'ok',
            case when n <= 4000 then now() - interval '1 hour' when n <= 5000 then now() - interval '1 minute'
                else now() + interval '1 day' + n * interval '10 milliseconds' end,
            now(), now()
        from generate_series(1, $1::int) n join integration on provider = 'provider-' || (case when n <= 4000 then 0 else n % 20 end)`,
        [count],
    );
    await pool.query('alter table connections enable trigger user');
    await pool.query('vacuum analyze connections');
}
