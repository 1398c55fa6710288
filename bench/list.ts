/** GET /connections?limit=100 in an environment of 1 000 connections and in one of 100 000: a page must cost what a page costs. */
import { randomBytes, randomUUID } from 'node:crypto';
import pg from 'pg';
import { Client } from 'undici';
import { watchInterference } from './interference.ts';
import type { Postgres } from './postgres.ts';
import { startServer } from './server-process.ts';
import { layOut, median, printFigures } from './table.ts';

const sizes = { small: 1_000, large: 100_000 };
const limit = 100;
const mostTimes = 5;
const warmUpRounds = 100;

/** Tags are spread alike over both environments: of half of all, of the older half, of ten. */
const pages = [
    { name: 'no filter', query: '', rows: limit },
    { name: 'tag of every second', query: '&tags[parity]=even', rows: limit },
    { name: 'tag of the older half', query: '&tags[age]=old', rows: limit },
    { name: 'tag of ten', query: '&tags[ten]=yes', rows: 10 },
    { name: 'tag of one', query: '&tags[end_user_id]=user-7', rows: 1 },
    { name: 'tag of none', query: '&tags[ten]=no', rows: 0 },
    { name: 'two common tags', query: '&tags[parity]=even&tags[age]=old', rows: limit },
    { name: 'common and rare tag', query: '&tags[parity]=even&tags[ten]=yes', rows: 10 },
    { name: 'end user', query: '&endUserId=user-7', rows: 1 },
    { name: 'integration', query: '&integrationId=github', rows: limit },
] as const;

/** One request at a time, the two environments in turn, so that what else the machine does meets both alike. */
export async function measureLists(postgres: Postgres, seconds: number): Promise<void> {
    const database = await postgres.createDatabase();
    const keys = { small: randomUUID(), large: randomUUID() };
    const server = await startServer('bin/valetkey', {
        DATABASE_URL: database.url,
        VALETKEY_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
        VALETKEY_SECRET_KEY_DEV: keys.small,
        VALETKEY_SECRET_KEY_PROD: keys.large,
        VALETKEY_RATE_LIMIT_PER_MIN: '1000000000',
        LOG_LEVEL: 'warn',
    });
    const client = new Client(server.url);
    /** @returns milliseconds */
    const time = async (size: keyof typeof sizes, { query, rows }: (typeof pages)[number]): Promise<number> => {
        const begin = performance.now();
        const { statusCode, body } = await client.request({
            method: 'GET',
            path: `/connections?limit=${limit}${query}`,
            headers: { authorization: `Bearer ${keys[size]}` },
        });
        const text = await body.text();
        const taken = performance.now() - begin;
        if (statusCode !== 200 || text.split('"connection_id":').length - 1 !== rows) {
            throw new Error(`${query} of the ${size} environment: ${statusCode}, not the ${rows} rows that it should be`);
        }
        return taken;
    };
    try {
        await seedLists(database.url);
        const results: Result[] = [];
        const interference = watchInterference();
        for (const page of pages) {
            for (let round = 0; round < warmUpRounds; round++) {
                await time('small', page);
                await time('large', page);
            }
            const times: { small: number[]; large: number[] } = { small: [], large: [] };
            const end = performance.now() + seconds * 1000;
            while (performance.now() < end) {
                times.small.push(await time('small', page));
                times.large.push(await time('large', page));
            }
            results.push({ name: page.name, small: median(times.small), large: median(times.large), rounds: times.small.length });
        }
        report(results, seconds, interference());
    } finally {
        await client.close();
        await server.stop();
        await database.drop();
    }
}

interface Result {
    name: string;
    /** Milliseconds. */
    small: number;
    large: number;
    rounds: number;
}

function report(results: readonly Result[], seconds: number, interference: number | undefined): void {
    console.log(`\nGET /connections?limit=${limit}: ${sizes.small} and ${sizes.large} connections, one request at a time, ${seconds} s each`);
    console.log(
        layOut([
            ['median', `of ${sizes.small}`, `of ${sizes.large}`, 'ratio', 'rounds'],
            ...results.map(({ name, small, large, rounds }) => [name, shown(small), shown(large), times(large / small), String(rounds)]),
        ]),
    );
    const worst = (some: readonly Result[]): number => Math.max(...some.map(({ small, large }) => large / small));
    const figure = (name: string, ratio: number) => ({ name, value: times(ratio), target: `<= ${mostTimes} x`, isMet: ratio <= mostTimes });
    printFigures('Lists', [
        figure('page without filter', worst(results.slice(0, 1))),
        figure('page under a filter, the worst of them', worst(results.slice(1))),
        { name: 'processor time the host kept for others', value: interference === undefined ? '?' : `${(interference * 100).toFixed(0)} %` },
    ]);
}

const shown = (ms: number): string => `${ms.toFixed(2)} ms`;
const times = (ratio: number): string => `${ratio.toFixed(2)} x`;

/** Nothing of these is ever opened, so that Postgres can make them up; they have the size of a usual grant. */
async function seedLists(url: string): Promise<void> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
        for (const [environment, count] of [
            ['dev', sizes.small],
            ['prod', sizes.large],
        ] as const) {
            await client.query(
                `with integration as (
                    insert into integrations (id, environment_id, unique_key, provider, created_at, updated_at)
                    select gen_random_uuid(), id, 'github', 'github', now(), now() from environments where name = $1
                    returning id, environment_id
                )
                insert into connections (id, environment_id, integration_id, provider, connection_id, credential_type, sealed_credentials,
                    credentials_obtained_at, credentials_expires_at, auth_state, metadata, tags, end_user, created_at, updated_at)
                select gen_random_uuid(), environment_id, id, 'github', 'connection-' || n, 'OAUTH2',
                    (select string_agg(md5(n::text || part), '') from generate_series(1, 22) part), now(), now() + interval '1 year', 'ok',
                    '{"plan": "team"}',
                    jsonb_build_object('end_user_id', 'user-' || n, 'end_user_email', 'user-' || n || '@example.com',
                        'parity', case n % 2 when 0 then 'even' else 'odd' end, 'age', case when n <= $2 / 2 then 'old' else 'new' end)
                        || case n % ($2 / 10) when 0 then '{"ten": "yes"}'::jsonb else '{}' end,
                    jsonb_build_object('id', 'user-' || n, 'email', 'user-' || n || '@example.com', 'display_name', null, 'tags', null, 'organization', null),
                    now() - ($2 - n) * interval '1 second', now()
                from integration, generate_series(1, $2::int) n`,
                [environment, count],
            );
        }
        // as autovacuum would, some time later
        await client.query('vacuum analyze');
    } finally {
        await client.end();
    }
}
