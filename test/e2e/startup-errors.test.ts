/** Everything that keeps Valetkey from starting: one sentence that names the fix, exit code 1, nothing half-written. */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildApp } from '../../src/app.ts';
import { loadConfig, StartupError } from '../../src/config.ts';
import { assertPortFree } from '../../src/port.ts';
import { systemSources } from '../../src/sources.ts';
import { freePort } from '../peers/free-port.ts';
import { createDatabase } from '../peers/postgres.ts';
import { newEncryptionKey, spawnValetkey, watch } from './valetkey.ts';

interface Ended {
    code: number | null;
    stdout: string;
    stderr: string;
}

let directory: string;
let database: Awaited<ReturnType<typeof createDatabase>>;
let sql: pg.Client;

beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'valetkey-startup-'));
    database = await createDatabase();
    sql = new pg.Client({ connectionString: database.url });
    await sql.connect();
});

afterAll(async () => {
    await sql?.end();
    await database?.drop();
    await rm(directory, { recursive: true, force: true });
});

/** How long to wait before a process counts as hung: what a busy machine needs for initdb, with room. */
const hungAfterMs = 60_000;

/** Runs Valetkey to its end; one that hangs is killed, and has no exit code then. */
async function run(env: Record<string, string>, argv: string[] = []): Promise<Ended> {
    const child = spawnValetkey('src/main.ts', { PORT: String(await freePort()), HOST: '127.0.0.1', ...env }, argv);
    let stderr = '';
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const { exited, output } = watch(child);
    const timer = setTimeout(() => child.kill('SIGKILL'), hungAfterMs);
    const { code } = await exited;
    clearTimeout(timer);
    return { code, stdout: output().replace(stderr, ''), stderr };
}

/** Starts Valetkey, waits until it serves, and ends it. @returns what it printed. */
async function runUntilReady(env: Record<string, string>): Promise<string> {
    const child = spawnValetkey('src/main.ts', { PORT: String(await freePort()), HOST: '127.0.0.1', ...env });
    const { exited, output } = watch(child);
    let hasEnded = false;
    void exited.then(() => (hasEnded = true));
    await expect.poll(() => hasEnded || output().includes('is ready'), { timeout: hungAfterMs, interval: 20 }).toBe(true);
    child.kill('SIGTERM');
    expect(await exited, output()).toMatchObject({ code: 0 });
    return output();
}

/** One sentence on stderr, nothing on stdout, exit code 1. */
function expectSentence(ended: Ended, words: RegExp): void {
    expect(ended.stderr).toMatch(/^Valetkey cannot start\. [A-Z/].*[^.]\.?\n$/);
    expect(ended.stderr).toMatch(words);
    expect(ended.stderr).not.toMatch(/\n\s+at |Error:|undefined|\[object/);
    expect([ended.code, ended.stdout]).toEqual([1, '']);
}

/** Every table with its rows. */
async function dump(): Promise<Record<string, unknown[]>> {
    const { rows } = await sql.query<{ table_name: string }>(
        `select table_name from information_schema.tables where table_schema = 'public' order by 1`,
    );
    const tables: Record<string, unknown[]> = {};
    for (const { table_name } of rows) {
        tables[table_name] = (await sql.query(`select * from "${table_name}" order by 1`)).rows;
    }
    return tables;
}

const file = async (name: string, content: string): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, content);
    return path;
};

const key = newEncryptionKey();
const occupied = createServer();
beforeAll(() => new Promise<void>((resolve) => occupied.listen(0, '127.0.0.1', resolve)));
afterAll(() => new Promise((resolve) => occupied.close(resolve)));

type Env = () => Promise<Record<string, string>> | Record<string, string>;
const entry = (rest: string): string => `mine:\n  display_name: Mine\n  auth_mode: OAUTH2\n  categories: [other]\n${rest}`;
const urls = '  authorization_url: https://a.example/a\n  token_url: https://a.example/t\n';

describe('the process, before anything is written', () => {
    test.each<[string, Env, RegExp]>([
        ['no encryption key', () => ({ VALETKEY_ENCRYPTION_KEY: '' }), /VALETKEY_ENCRYPTION_KEY is not set.*openssl rand -base64 32/],
        ['an occupied port', () => ({ PORT: String((occupied.address() as AddressInfo).port) }), /Port \d+ is in use; stop .* PORT/],
        [
            'an occupied port for the Connect UI',
            () => ({ VALETKEY_CONNECT_UI_PORT: String((occupied.address() as AddressInfo).port) }),
            /Port \d+ is in use; stop .* VALETKEY_CONNECT_UI_PORT/,
        ],
        [
            'a bad egress entry',
            () => ({ VALETKEY_EGRESS_ALLOW: '127.0.0.0/8,10/8' }),
            /^Valetkey cannot start\. VALETKEY_EGRESS_ALLOW: "10\/8" is not a host name.*CIDR/,
        ],
        [
            'a provider file that is no YAML',
            async () => ({ VALETKEY_PROVIDERS: await file('broken.yaml', 'a: [1,\nb: }') }),
            /broken\.yaml.*correct the YAML.*line \d/,
        ],
        [
            'a database that refuses connections',
            () => ({ DATABASE_URL: 'postgres://u:a-database-password@127.0.0.1:1/d' }),
            /Postgres at 127\.0\.0\.1:1\/d cannot be reached \(.*ECONNREFUSED.*\).*DATABASE_URL/,
        ],
    ])('%s', async (_name, env, words) => {
        const ended = await run({ DATABASE_URL: database.url, VALETKEY_ENCRYPTION_KEY: key, ...(await env()) });
        expectSentence(ended, words);
        expect(ended.stderr).not.toContain('a-database-password');
        expect(await dump()).toEqual({});
    });
});

describe('further reasons, told in the same way', () => {
    /** What `serve` does before it serves, in this process. @returns the sentence. */
    const refusal = async (env: Record<string, string>): Promise<string> => {
        try {
            const config = loadConfig({
                PORT: String(await freePort()),
                HOST: '127.0.0.1',
                DATABASE_URL: database.url,
                VALETKEY_ENCRYPTION_KEY: key,
                ...env,
            });
            await assertPortFree(config);
            await (await buildApp({ config, logger: pino({ level: 'silent' }), sources: systemSources })).close();
        } catch (error) {
            expect(error).toBeInstanceOf(StartupError);
            return (error as Error).message;
        }
        throw new Error('it started');
    };

    test.each<[string, Env, RegExp]>([
        ['an address that is not ours', () => ({ HOST: '192.0.2.1' }), /listen on 192\.0\.2\.1:\d+ \(EADDRNOTAVAIL\).*HOST/],
        [
            'a provider file that is not there',
            () => ({ VALETKEY_PROVIDERS: join(directory, 'none.yaml') }),
            /none\.yaml.*make the file readable \(ENOENT\)/,
        ],
        ['a provider file that is no map', async () => ({ VALETKEY_PROVIDERS: await file('list.yaml', '- a\n- b\n') }), /list\.yaml.*write a map/],
        [
            'an unknown member of an entry',
            async () => ({ VALETKEY_PROVIDERS: await file('unknown.yaml', entry(`${urls}  authorisation_url: x\n`)) }),
            /unknown\.yaml, entry "mine".*"authorisation_url"/,
        ],
        [
            'a missing member of an entry',
            async () => ({ VALETKEY_PROVIDERS: await file('missing.yaml', entry('  token_url: https://a.example/t\n')) }),
            /missing\.yaml, entry "mine": add the key "authorization_url"/,
        ],
        [
            'an alias of nobody',
            async () => ({ VALETKEY_PROVIDERS: await file('alias.yaml', 'mine:\n  alias: nobody\n  display_name: Mine\n') }),
            /alias\.yaml, entry "mine", alias: .*there is no "nobody"/,
        ],
        [
            'plain http to a host that is not opened',
            async () => ({ VALETKEY_PROVIDERS: await file('http.yaml', entry(urls.replaceAll('https', 'http'))) }),
            /http\.yaml, entry "mine".*(https|VALETKEY_EGRESS_ALLOW)/,
        ],
        [
            'a database on a host that does not exist',
            () => ({ DATABASE_URL: 'postgres://u:secret-word@no-such-host.invalid/d' }),
            /cannot be reached \(.*(ENOTFOUND|EAI_AGAIN).*\).*DATABASE_URL/,
        ],
        [
            'a database that does not exist',
            () => ({ DATABASE_URL: database.url.replace(/[^/]+$/, 'no_such_database') }),
            /cannot be reached \(.*does not exist.*\).*DATABASE_URL/,
        ],
        ['a database of another kind', () => ({ DATABASE_URL: 'mysql://root:secret-word@db/x' }), /DATABASE_URL must look like postgres:/],
    ])('%s', async (_name, env, words) => {
        const sentence = await refusal(await env());
        expect(sentence).toMatch(words);
        expect(sentence).not.toMatch(/\n|secret-word|undefined/);
        expect(await dump()).toEqual({});
    });
});

describe('with a database that was used before', () => {
    const first = newEncryptionKey();
    const fixed = randomUUID();
    const env = { VALETKEY_ENCRYPTION_KEY: first, VALETKEY_SECRET_KEY_DEV: fixed };

    test('a fixed key for an environment that does not exist: no environment, and no key that nobody would ever see, is left behind', async () => {
        const ended = await run({ DATABASE_URL: database.url, VALETKEY_ENCRYPTION_KEY: first, VALETKEY_SECRET_KEY_STAGING: randomUUID() });
        expectSentence(ended, /VALETKEY_SECRET_KEY_STAGING names no environment; there are: dev, prod\./);
        const { rows } = await sql.query('select ((select count(*) from environments) + (select count(*) from api_keys))::int as made');
        expect(rows).toEqual([{ made: 0 }]);
        const output = await runUntilReady({ DATABASE_URL: database.url, ...env });
        expect(output).toMatch(/API key \(prod\) +vk_prod_/);
        expect(output).not.toContain(fixed);
    });

    test('another encryption key: nothing is changed', async () => {
        const before = await dump();
        const wrong = `new:${newEncryptionKey()},other:${newEncryptionKey()}`;
        const ended = await run({ DATABASE_URL: database.url, ...env, VALETKEY_ENCRYPTION_KEY: wrong });
        expectSentence(ended, /VALETKEY_ENCRYPTION_KEY is not the key this database was created with.*ring/);
        expect(await dump()).toEqual(before);
    });

    test('a role that may not create tables, or read those there are', async () => {
        const own = await createDatabase();
        const name = `low_${randomUUID().slice(0, 8)}`;
        await sql.query(`create role ${name} login password 'low-password'`);
        const as = (url: string): string => Object.assign(new URL(url), { username: name, password: 'low-password' }).href;
        const env = { VALETKEY_ENCRYPTION_KEY: first };
        expectSentence(await run({ ...env, DATABASE_URL: as(own.url) }), /role "low_\w+" may not create tables;.*grant create on schema public/);
        expectSentence(await run({ ...env, DATABASE_URL: as(database.url) }), /permission denied for table .*owner/);
        await own.drop();
        await sql.query(`drop role ${name}`);
    });

    test('two that start at once on the same port: one serves, the other says why not', async () => {
        const port = String(await freePort());
        const own = await createDatabase();
        const children = [0, 1].map(() =>
            spawnValetkey('src/main.ts', { PORT: port, HOST: '127.0.0.1', DATABASE_URL: own.url, VALETKEY_ENCRYPTION_KEY: first }),
        );
        const watched = children.map(watch);
        await expect.poll(() => watched.some(({ output }) => output().includes('is ready')), { timeout: hungAfterMs }).toBe(true);
        const loser = await Promise.race(watched.map(({ exited, output }) => exited.then(({ code }) => ({ code, output: output() }))));
        expect(loser.code).toBe(1);
        expect(loser.output).toMatch(/^Valetkey cannot start\. Port \d+ is in use/m);
        expect(loser.output).not.toMatch(/\n\s+at /);
        children.forEach((child) => child.kill('SIGTERM'));
        await Promise.all(watched.map(({ exited }) => exited));
        await own.drop();
    });
});

describe('the embedded database', () => {
    test('a data directory that is a file, or lies below one', async () => {
        const path = await file('not-a-directory', 'x');
        for (const dataDir of [path, join(path, 'data')]) {
            expectSentence(
                await run({ VALETKEY_DATA_DIR: dataDir }),
                /data directory .*not-a-directory.* cannot be used \((EEXIST|ENOTDIR)\).*VALETKEY_DATA_DIR/,
            );
        }
        expect(await readFile(path, 'utf8')).toBe('x');
    });

    test('a damaged key file, a lost one, a second process: all told apart, and the data is there when the key is back', async () => {
        const dataDir = join(directory, 'data');
        const env = { VALETKEY_DATA_DIR: dataDir };
        const keyFile = join(dataDir, 'encryption.key');
        expect(await runUntilReady(env)).toMatch(/API key \(dev\) +vk_dev_/);
        const saved = await readFile(keyFile, 'utf8');

        await writeFile(keyFile, 'c2hvcnQ=\n');
        expectSentence(await run(env), /key file .*encryption\.key is damaged.*backup/);
        expect(await readFile(keyFile, 'utf8')).toBe('c2hvcnQ=\n');

        await rm(keyFile);
        const before = (await readdir(dataDir)).toSorted();
        expectSentence(await run(env), /key file .*encryption\.key is missing.*backup/);
        // no new key beside data that it does not open
        expect((await readdir(dataDir)).toSorted()).toEqual(before);

        await writeFile(keyFile, `${newEncryptionKey()}\n`);
        expectSentence(await run(env), /key file .*encryption\.key does not hold the key.*backup/);

        await writeFile(keyFile, saved, { mode: 0o600 });
        const child = spawnValetkey('src/main.ts', { PORT: String(await freePort()), HOST: '127.0.0.1', ...env });
        const { exited, output } = watch(child);
        await expect.poll(output, { timeout: hungAfterMs }).toContain('is ready');
        expect(output()).not.toMatch(/API key \(/);
        expectSentence(await run(env), /Another Valetkey process is using the data directory .*data; stop it.*DATABASE_URL/);
        child.kill('SIGTERM');
        expect(await exited).toMatchObject({ code: 0 });
    }, 180_000);
});

test('an unknown command is answered with the ones there are', async () => {
    const ended = await run({}, ['sreve']);
    expect([ended.code, ended.stdout]).toEqual([2, '']);
    expect(ended.stderr).toMatch(/^Usage: valetkey/);
});
