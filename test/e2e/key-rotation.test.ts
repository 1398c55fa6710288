/** Replacing keys beside a running server: the data key by `keys rotate`, the operator's key by a ring and restarts (E2). */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sealedColumns } from '../../src/store/sealed-columns.ts';
import { untestedKeyEntry } from '../http/accounts.ts';
import { startDatabaseProxy } from '../peers/database-proxy.ts';
import { startFaultyTokenServer, type FaultyTokenServer } from '../peers/faulty-token-server.ts';
import { freePort } from '../peers/free-port.ts';
import { startMcpServer, type McpServer } from '../peers/mcp-server.ts';
import { createDatabase } from '../peers/postgres.ts';
import { consent, finishPopup, openPopup } from './popup.ts';
import { mcpEntry, oauth2Entry, providersFile } from './provider-entries.ts';
import { openCallback } from './user.ts';
import { eventually, newEncryptionKey, newTestApiKey, spawnValetkey, startValetkey, watch, type Valetkey, type ValetkeyOptions } from './valetkey.ts';

let server: FaultyTokenServer;
/** Registers clients. */
let mcp: McpServer;
let database: Awaited<ReturnType<typeof createDatabase>>;
let sql: pg.Client;
let options: ValetkeyOptions;
let valetkey: Valetkey;
const ids = { oauth: '', key: '' };
let sessionToken: string;
const accountKey = newTestApiKey();

beforeAll(async () => {
    server = await startFaultyTokenServer();
    mcp = await startMcpServer();
    mcp.answers.set('/register', () => ({ status: 201, body: { client_id: `registered-${mcp.requests.length}` } }));
    database = await createDatabase();
    sql = new pg.Client({ connectionString: database.url });
    await sql.connect();
    options = {
        port: await freePort(),
        databaseUrl: database.url,
        encryptionKey: newEncryptionKey(),
        apiKey: newTestApiKey(),
        providers: providersFile(
            oauth2Entry('faulty', server),
            untestedKeyEntry('keys'),
            mcpEntry('mcp', server, 'dynamic', { registration_url: `${mcp.origin}/register` }),
        ),
        env: { VALETKEY_ACCOUNT_KEY: accountKey },
    };
    valetkey = await startValetkey(options);
});

afterAll(async () => {
    await valetkey?.stop();
    await sql?.end();
    await server?.close();
    await mcp?.close();
    await database?.drop();
});

const session = async (body: object): Promise<string> =>
    (await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions', body)).body.data.token;
const popup = async () => {
    const opened = await openPopup(valetkey.url, `/oauth/connect/faulty?connect_session_token=${await session({ tags: {} })}`);
    return { opened, callbackUrl: await consent(opened.authorizationUrl) };
};
const prepare = async (): Promise<string> => {
    const headers = { authorization: `Bearer ${await session({ tags: {} })}` };
    return (await valetkey.call<{ data: { url: string } }>('POST', '/oauth/flows', { provider_config_key: 'faulty' }, headers)).body.data.url;
};
/** Everything that is sealed, opened by whoever needs it. */
const expectEverythingOpens = async (): Promise<void> => {
    const oauth = await valetkey.call('GET', `/connections/${ids.oauth}?provider_config_key=faulty&force_refresh=true&refresh_token=true`);
    expect([oauth.status, oauth.body], JSON.stringify(oauth.body)).toMatchObject([
        200,
        { credentials: { type: 'OAUTH2', refresh_token: expect.any(String) as string }, errors: [] },
    ]);
    const key = await valetkey.call('GET', `/connections/${ids.key}?provider_config_key=keys`);
    expect(key.body).toMatchObject({ credentials: { apiKey: 'the-key' }, connection_config: { password: 'of-the-config' } });
    const read = await valetkey.call('GET', '/connect/session', undefined, { authorization: `Bearer ${sessionToken}` });
    expect(read.body).toMatchObject({ data: { integrations_config_defaults: { keys: { connection_config: { region: 'preset' } } } } });
    const flow = await fetch(`${valetkey.url}/oauth/connect/mcp?connect_session_token=${await session({ tags: {} })}`, { redirect: 'manual' });
    expect(new URL(flow.headers.get('location')!).searchParams.get('client_id')).toBe('registered-1');
    const signing = await valetkey.call('GET', '/environment/webhook-signing-key');
    expect(signing.status).toBe(200);
    const settings = await valetkey.call('GET', '/environment');
    expect(settings.body).toMatchObject({ data: { hmac_key_set: true, otlp_headers: [{ name: 'authorization' }] } });
    expect((await valetkey.call<unknown>('GET', '/environment-variables')).body).toEqual([{ name: 'A', value: 'of-the-environment' }]);
    // Compares what is stored with what is given, so it opens all of it.
    const config = await valetkey.call<unknown>('PUT', '/environment/config?dry_run=true', declared);
    expect(config.body).toEqual({ data: { dry_run: true, changes: [] } });
};
const declared = {
    version: 1,
    environment: { hmac_key: { secret: 'hmac' }, otlp_headers: [{ name: 'authorization', value: { secret: 'otlp' } }] },
    secrets: { hmac: 'the-hmac-key', otlp: 'the-otlp-token' },
};
/** Names of the keys under which values are sealed, by column. */
const keysInUse = async (): Promise<Record<string, string[]>> => {
    const found: Record<string, string[]> = {};
    for (const { table, column } of sealedColumns) {
        const { rows } = await sql.query<{ key: string }>(
            `select distinct split_part(${column}, '.', 2) as key from ${table} where ${column} like 'v1.%'`,
        );
        if (rows.length > 0) {
            found[`${table}.${column}`] = rows.map((row) => row.key);
        }
    }
    return found;
};
const startRotation = (databaseUrl = options.databaseUrl) =>
    watch(spawnValetkey('src/main.ts', { DATABASE_URL: databaseUrl, VALETKEY_ENCRYPTION_KEY: options.encryptionKey }, ['keys', 'rotate']));
const rotate = async (): Promise<string> => {
    const { exited, output } = startRotation();
    expect(await exited, output()).toMatchObject({ code: 0 });
    return output();
};
const restart = async (encryptionKey: string): Promise<void> => {
    await valetkey.stop();
    valetkey = await startValetkey({ ...options, encryptionKey });
};

test('a deployment with a value in every sealed column', async () => {
    await valetkey.client.createIntegration({
        provider: 'faulty',
        unique_key: 'faulty',
        credentials: { type: 'OAUTH2', client_id: server.clientId, client_secret: server.clientSecret, webhook_secret: 'of the webhooks' },
    });
    await valetkey.client.createIntegration({ provider: 'keys', unique_key: 'keys' });
    await valetkey.client.createIntegration({ provider: 'mcp', unique_key: 'mcp' });
    const settings = { hmac_key: 'of-the-hmac', otlp_headers: [{ name: 'authorization', value: 'of-the-collector' }] };
    const headers = { authorization: `Bearer ${accountKey}`, 'idempotency-key': 'once' };
    const environment = await valetkey.call('POST', '/environments', { name: 'other', ...settings }, headers);
    expect(environment.status).toBe(200);
    expect((await valetkey.call('PUT', '/environment/config', declared)).status).toBe(200);
    expect((await valetkey.call('PUT', '/environment-variables', [{ name: 'A', value: 'of-the-environment' }])).status).toBe(200);
    const { opened, callbackUrl } = await popup();
    ids.oauth = (await finishPopup(opened, callbackUrl)).outcome.connection_id!;
    opened.socket.close();
    sessionToken = await session({ tags: {}, integrations_config_defaults: { keys: { connection_config: { region: 'preset' } } } });
    const path = `/api-auth/api-key/keys?connect_session_token=${sessionToken}&params[password]=of-the-config`;
    ids.key = (await valetkey.call<{ connectionId: string }>('POST', path, { apiKey: 'the-key' })).body.connectionId;
    // An answer that nobody can read is all that stays in the journal.
    server.fail('html', 1);
    await valetkey.call('GET', `/connections/${ids.oauth}?provider_config_key=faulty&force_refresh=true`);
    await expectEverythingOpens();
});

test('keys rotate, while the server runs and flows are under way: all is sealed anew, and everything still opens', async () => {
    const { opened, callbackUrl } = await popup();
    const prepared = await prepare();
    const before = await keysInUse();
    expect(Object.keys(before).toSorted()).toEqual(sealedColumns.map(({ table, column }) => `${table}.${column}`).toSorted());
    const old = new Set(Object.values(before).flat());
    expect(old.size).toBe(1);

    const output = await rotate();
    const [, count, id] = /Sealed (\d+) values with data key (\w+)\./.exec(output) ?? [];
    expect(Number(count)).toBeGreaterThanOrEqual(Object.keys(before).length);
    expect(old.has(id!)).toBe(false);
    for (const [column, keys] of Object.entries(await keysInUse())) {
        expect([column, keys]).toEqual([column, [id]]);
    }

    // the running process has never seen the new key
    await expectEverythingOpens();
    expect((await openCallback(callbackUrl, opened.cookie)).status).toBe(200);
    expect((await fetch(prepared, { redirect: 'manual' })).status).toBe(302);
    opened.socket.close();
    expect(await rotate()).toMatch(/Sealed \d+ values/);
    await expectEverythingOpens();
});

test('keys rotate, when the database goes away: one sentence, and another run does the rest', async () => {
    const proxy = await startDatabaseProxy(options.databaseUrl);
    const holder = new pg.Client({ connectionString: options.databaseUrl });
    await holder.connect();
    // What it reseals it has to wait for.
    await holder.query('begin; lock table connections in access exclusive mode');
    const { exited, output } = startRotation(proxy.url);
    await eventually(async () => {
        const { rows } = await sql.query<{ n: number }>(
            `select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock' and query like '%as sealed from "connections"%'`,
        );
        expect(rows[0]!.n).toBe(1);
    });
    proxy.cut();
    expect(await exited, output()).toMatchObject({ code: 1 });
    expect(output()).toContain('run this again when it is back');
    expect(output()).not.toMatch(/^ +at /m);
    await holder.end();
    await proxy.close();
    expect(await rotate()).toMatch(/Sealed \d+ values/);
    await expectEverythingOpens();
});

test('the operator’s key: a ring with the new one first, a restart, then the new one alone', async () => {
    const next = newEncryptionKey();
    const wrapped = async (): Promise<string[]> =>
        (await sql.query<{ wrapped: string }>('select wrapped from data_keys')).rows.map((row) => row.wrapped.split('.')[1]!);
    const before = new Set(await wrapped());
    expect(before.size).toBe(1);
    await restart(`next:${next},first:${options.encryptionKey}`);
    await expectEverythingOpens();
    const after = new Set(await wrapped());
    expect(after.size).toBe(1);
    expect(after).not.toEqual(before);
    await restart(next);
    await expectEverythingOpens();
    options.encryptionKey = next;
    await rotate();
    await expectEverythingOpens();
});
