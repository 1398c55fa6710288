/**
 * Vitest's global setup for `npm run test:poolers`: between the run's Postgres and everybody, the tests included, stands PgBouncer in
 * transaction mode, so that no two statements outside a transaction can count on the same session. Debian's is
 * of the kind that tracks no prepared statements.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { freePort } from '../peers/free-port.ts';
import startPostgres from '../peers/global-postgres.ts';

/** Fewer than Valetkey's clients, so that each is served by many. */
const serverConnections = 4;

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
    let url = '';
    const stopPostgres = await startPostgres({ provide: (_: string, provided: string) => (url = provided) } as unknown as TestProject);
    const directory = await mkdtemp(join(tmpdir(), 'valetkey-pgbouncer-'));
    const { hostname, port: serverPort, username, password } = new URL(url);
    const port = await freePort();
    await writeFile(join(directory, 'users.txt'), `"${decodeURIComponent(username)}" "${decodeURIComponent(password)}"\n`);
    await writeFile(
        join(directory, 'pgbouncer.ini'),
        [
            '[databases]',
            `* = host=${hostname} port=${serverPort || 5432}`,
            '[pgbouncer]',
            'listen_addr = 127.0.0.1',
            `listen_port = ${port}`,
            'unix_socket_dir =',
            'pool_mode = transaction',
            'auth_type = trust',
            `auth_file = ${join(directory, 'users.txt')}`,
            `default_pool_size = ${serverConnections}`,
            'max_client_conn = 1000',
            'ignore_startup_parameters = extra_float_digits',
        ].join('\n'),
    );
    // It refuses to run as root, and then has to be able to read these.
    const asUser = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
    await chmod(directory, 0o755);
    const pooler = spawn('pgbouncer', [...asUser, join(directory, 'pgbouncer.ini')], {
        stdio: ['ignore', 'ignore', 'pipe'],
        // Where Debian puts it, which is not on everybody's path.
        env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` },
    });
    let log = '';
    pooler.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
    const ended = once(pooler, 'exit').catch((error: unknown) => {
        throw new Error(`PgBouncer cannot be started (${String(error)}): install it, as pgbouncer of Debian`);
    });
    const pooled = new URL(url);
    pooled.host = `127.0.0.1:${port}`;
    await Promise.race([answers(pooled.href), ended.then(() => Promise.reject(new Error(`PgBouncer ended:\n${log}`)))]);
    project.provide('databaseUrl', pooled.href);
    return async () => {
        pooler.kill();
        await ended;
        await rm(directory, { recursive: true });
        await stopPostgres();
    };
}

async function answers(url: string): Promise<void> {
    for (;;) {
        const client = new pg.Client({ connectionString: url });
        try {
            await client.connect();
            return;
        } catch {
            await delay(50);
        } finally {
            await client.end().catch(() => {});
        }
    }
}
