/** Valetkey in this process, over a database of its own: for tests of what can be asked of it over HTTP, and of its time. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InjectOptions } from 'fastify';
import { pino } from 'pino';
import { buildApp, type App } from '../../src/app.ts';
import { loadConfig, type Config } from '../../src/config.ts';
import { openVault } from '../../src/credentials/key-ring.ts';
import type { Vault } from '../../src/credentials/vault.ts';
import { newRowId, systemSources, type Sources } from '../../src/sources.ts';
import { freePort } from '../peers/free-port.ts';
import { createDatabase } from '../peers/postgres.ts';
import { DeclaredAnswers } from './declared-answers.ts';

export interface TestAppOptions {
    /** Environment variables beside, or in place of, the usual ones. */
    env?: Record<string, string>;
    /** Provider entries, as JSON or YAML text. */
    providers?: string;
    /** Simulate mode: where the twins are. */
    twinServer?: URL;
    /** A built Connect UI; default none, whatever was built. */
    connectUiDirectory?: string;
    /** Waits of exactly this many milliseconds take that many instead: a deadline that a test need not sit out. */
    waits?: Readonly<Record<number, number>> | ((ms: number) => number);
}

export interface Answer<Body = Record<string, unknown>> {
    status: number;
    headers: Record<string, string>;
    text: string;
    /** The JSON body; `undefined` where there is none. */
    body: Body;
}

export interface CallOptions {
    /** JSON, unless it is text already. */
    body?: unknown;
    headers?: Record<string, string>;
    /** Instead of the key with full access to `dev`; `null`: no Authorization header. */
    key?: string | null;
}

export interface NewKey {
    scopes: readonly string[];
    /** Default `dev`; `null`: an account key. */
    environment?: string | null;
    expiresAt?: Date;
    deletedAt?: Date;
}

export interface TestApp {
    app: App;
    config: Config;
    vault: Vault;
    /** Where it listens, once `listen()` was called; its public URL too, unless `env` names another. */
    url: string;
    /** Full access to `dev`, and to `prod`. */
    key: string;
    prodKey: string;
    /** Everything that was logged. */
    log(): string;
    /** Moves the clock on. Nothing is woken by it: a poll that is under way sees the new time. */
    advance(ms: number): void;
    listen(): Promise<void>;
    call<Body = Record<string, unknown>>(method: string, path: string, options?: CallOptions): Promise<Answer<Body>>;
    /** A key straight into the store. */
    insertKey(key: NewKey): Promise<string>;
    /** Rows of one statement. */
    query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<Row[]>;
    close(): Promise<void>;
}

export async function startTestApp(options: TestAppOptions = {}): Promise<TestApp> {
    const directory = await mkdtemp(join(tmpdir(), 'valetkey-http-'));
    const providersFile = join(directory, 'providers.yaml');
    await writeFile(providersFile, options.providers ?? '{}');
    const database = await createDatabase();
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const [key, prodKey] = [randomUUID(), randomUUID()];
    const config = loadConfig({
        PORT: String(port),
        HOST: '127.0.0.1',
        VALETKEY_PUBLIC_URL: url,
        DATABASE_URL: database.url,
        VALETKEY_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
        VALETKEY_SECRET_KEY_DEV: key,
        VALETKEY_SECRET_KEY_PROD: prodKey,
        VALETKEY_EGRESS_ALLOW: '127.0.0.0/8',
        VALETKEY_PROVIDERS: providersFile,
        LOG_LEVEL: 'trace',
        ...options.env,
    });

    let skipped = 0;
    const sources: Sources = {
        ...systemSources,
        now: () => systemSources.now() + skipped,
        sleep: (ms, signal) => systemSources.sleep(typeof options.waits === 'function' ? options.waits(ms) : (options.waits?.[ms] ?? ms), signal),
    };
    let logged = '';
    const logger = pino({ level: config.logLevel }, { write: (line: string) => void (logged += line) });
    const app = await buildApp({
        config,
        logger,
        sources,
        twinServer: options.twinServer,
        connectUiDirectory: options.connectUiDirectory ?? directory,
    });
    const declared = new DeclaredAnswers();
    declared.watch(app.server);
    const vault = await openVault(app.database.db, config.encryptionKeys!, sources);
    const query = <Row>(text: string, values: readonly unknown[] = []): Promise<Row[]> => app.database.read<Row>('', text, values);

    return {
        app,
        config,
        vault,
        url,
        key,
        prodKey,
        log: () => logged,
        advance: (ms) => void (skipped += ms),
        listen: async () => void (await app.server.listen({ host: config.host, port })),
        call: async <Body>(method: string, path: string, { body, headers = {}, key: otherKey = key }: CallOptions = {}) => {
            const response = await app.server.inject({
                method: method as NonNullable<InjectOptions['method']>,
                url: path,
                headers: {
                    ...(otherKey === null ? {} : { authorization: `Bearer ${otherKey}` }),
                    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
                    ...headers,
                },
                ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
            });
            declared.assertKept();
            const isJson = response.payload !== '' && String(response.headers['content-type']).startsWith('application/json');
            return {
                status: response.statusCode,
                headers: response.headers as Record<string, string>,
                text: response.payload,
                body: (isJson ? JSON.parse(response.payload) : undefined) as Body,
            };
        },
        insertKey: async ({ scopes, environment = 'dev', expiresAt, deletedAt }: NewKey) => {
            const text = randomUUID();
            const [row] = await query<{ id: string }>('select id from environments where name = $1', [environment]);
            await query(
                `insert into api_keys (id, environment_id, display_name, key_hash, scopes, origin, created_at, expires_at, deleted_at)
                 values ($1, $2, 'test ' || $1::uuid, $3, $4, 'created', now(), $5, $6)`,
                [newRowId(sources), row?.id ?? null, vault.hash(text), [...scopes], expiresAt ?? null, deletedAt ?? null],
            );
            return text;
        },
        query,
        close: async () => {
            await app.close();
            await database.drop();
            await rm(directory, { recursive: true, force: true });
            // What came back to others than `call`.
            declared.assertKept();
        },
    };
}
