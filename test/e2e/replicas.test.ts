/** Two processes, one database, one expiring connection, 200 readers: one token request (auth-modes §20.2 no. 1). */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from '../peers/authorization-server.ts';
import { startFaultyTokenServer, type FaultyTokenServer } from '../peers/faulty-token-server.ts';
import { freePort } from '../peers/free-port.ts';
import { createDatabase } from '../peers/postgres.ts';
import { consent, finishPopup, openPopup } from './popup.ts';
import { oauth2Entry, providersFile } from './provider-entries.ts';
import { connectThrough } from './user.ts';
import { eventually, newEncryptionKey, newTestApiKey, startValetkey, type Valetkey, type ValetkeyOptions } from './valetkey.ts';

/** No worker may renew before the readers do. */
const apiOnly = (port: number, databaseUrl: string, entries: Record<string, unknown>): ValetkeyOptions => ({
    port,
    databaseUrl,
    encryptionKey: newEncryptionKey(),
    apiKey: newTestApiKey(),
    providers: providersFile(entries),
    env: { VALETKEY_ROLES: 'api' },
});

describe('two replicas', () => {
    let server: AuthorizationServer;
    let database: Awaited<ReturnType<typeof createDatabase>>;
    let sql: pg.Client;
    let replicas: Valetkey[];
    let connectionId: string;

    const refreshes = (): number => server.tokenRequests.filter((request) => request.grantType === 'refresh_token').length;
    const read = async (index: number, force = false) => {
        const path = `/connections/${connectionId}?provider_config_key=oidc${force ? '&force_refresh=true' : ''}`;
        return replicas[index % 2]!.call<{ credentials: { access_token: string } }>('GET', path);
    };

    beforeAll(async () => {
        const port = await freePort();
        server = await startAuthorizationServer({ redirectUris: [`http://127.0.0.1:${port}/oauth/callback`], accessTokenTtl: 4 });
        database = await createDatabase();
        sql = new pg.Client({ connectionString: database.url });
        await sql.connect();
        const options = apiOnly(port, database.url, oauth2Entry('oidc-test', server));
        // both at once, on an empty database: one migrates and makes the keys, the other waits and uses them
        replicas = await Promise.all([startValetkey(options), startValetkey({ ...options, port: await freePort() })]);
        await replicas[0]!.client.createIntegration({
            provider: 'oidc-test',
            unique_key: 'oidc',
            credentials: { type: 'OAUTH2', client_id: server.clientId, client_secret: server.clientSecret, scopes: 'openid,offline_access' },
        });
        const session = await replicas[1]!.client.createConnectSession({ end_user: { id: 'user-1' } });
        await connectThrough(server, replicas[0]!.url, 'oidc', session.data.token);
        connectionId = (await replicas[1]!.client.listConnections()).connections[0]!.connection_id;
    });

    afterAll(async () => {
        await Promise.all((replicas ?? []).map((replica) => replica.stop()));
        await sql?.end();
        await server?.close();
        await database?.drop();
    });

    test('200 concurrent reads of an expiring connection reach the token endpoint once, and all get the same new token', async () => {
        const old = (await read(0)).body.credentials.access_token;
        await delay(2_300);
        server.setAccessTokenTtl(3600);
        server.delayTokenAnswers(1_500);
        const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => read(index)));
        server.delayTokenAnswers(0);
        expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]));
        const tokens = new Set(answers.map((answer) => answer.body.credentials.access_token));
        expect(tokens.size).toBe(1);
        expect(tokens.has(old)).toBe(false);
        expect(refreshes()).toBe(1);
    });

    test('forced reads that come together share token calls, and the grant stays alive', async () => {
        server.delayTokenAnswers(500);
        const before = refreshes();
        const answers = await Promise.all(Array.from({ length: 40 }, (_, index) => read(index, true)));
        server.delayTokenAnswers(0);
        expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]));
        // a reader that began after the first call did may ask for one of its own
        expect(refreshes() - before).toBeLessThanOrEqual(2);
        expect((await read(0, true)).status).toBe(200);
    });

    test('an answer that takes 15 seconds is waited for by 200 readers, all of them', async () => {
        const old = (await read(0)).body.credentials.access_token;
        const before = refreshes();
        server.delayTokenAnswers(15_000);
        await sql.query(`update connections set next_refresh_at = now()`);
        const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => read(index)));
        server.delayTokenAnswers(0);
        expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]));
        const tokens = new Set(answers.map((answer) => answer.body.credentials.access_token));
        expect([tokens.size, tokens.has(old), refreshes() - before]).toEqual([1, false, 1]);
        expect((await read(1, true)).status).toBe(200);
    });
});

describe('the replica that renews is killed during its token call', () => {
    let server: FaultyTokenServer;
    let database: Awaited<ReturnType<typeof createDatabase>>;
    let sql: pg.Client;
    let replicas: Valetkey[];
    let connectionId: string;

    beforeAll(async () => {
        const port = await freePort();
        server = await startFaultyTokenServer();
        database = await createDatabase();
        sql = new pg.Client({ connectionString: database.url });
        await sql.connect();
        const options = apiOnly(port, database.url, oauth2Entry('faulty', server));
        replicas = [await startValetkey(options), await startValetkey({ ...options, port: await freePort() })];
        await replicas[0]!.client.createIntegration({
            provider: 'faulty',
            unique_key: 'faulty',
            credentials: { type: 'OAUTH2', client_id: server.clientId, client_secret: server.clientSecret },
        });
        const session = await replicas[0]!.client.createConnectSession({ end_user: { id: 'user-1' } });
        const popup = await openPopup(replicas[0]!.url, `/oauth/connect/faulty?connect_session_token=${session.data.token}`);
        const { outcome } = await finishPopup(popup, await consent(popup.authorizationUrl));
        popup.socket.close();
        connectionId = outcome.connection_id!;
    });

    afterAll(async () => {
        await Promise.all((replicas ?? []).map((replica) => replica.stop('SIGKILL')));
        await sql?.end();
        await server?.close();
        await database?.drop();
    });

    test('the readers of the other get the new token, by one call, when its lease is over', async () => {
        const [dying, living] = replicas as [Valetkey, Valetkey];
        const path = `/connections/${connectionId}?provider_config_key=faulty`;
        const calls = () => server.requests.filter(({ params }) => params['grant_type'] === 'refresh_token');
        const read = (replica: Valetkey) => replica.call<{ credentials: { access_token: string } }>('GET', path);
        const old = (await read(living)).body.credentials.access_token;
        // it reads the request, and neither redeems the token nor answers
        server.fail('timeout', 1);
        await sql.query('update connections set next_refresh_at = now()');
        const lost = read(dying).then(
            () => 'answered',
            () => 'lost',
        );
        await eventually(() => expect(calls()).toHaveLength(1));
        const reading = Promise.all(Array.from({ length: 200 }, () => read(living)));
        await eventually(async () => expect((await sql.query('select refresh_waited from connections')).rows).toEqual([{ refresh_waited: true }]));
        await dying.stop('SIGKILL');
        expect(await lost).toBe('lost');
        // as if the lease, and the rest that follows a holder who vanished, had run out
        await sql.query(`update connections set refresh_lease_until = now() - interval '1 minute'`);
        const answers = await reading;
        expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
        const tokens = new Set(answers.map(({ body }) => body.credentials.access_token));
        expect([tokens.size, tokens.has(old), calls().length]).toEqual([1, false, 2]);
        expect(server.presentedTwice()).toBe(false);
        expect((await living.call('GET', `${path}&force_refresh=true`)).status).toBe(200);
    });
});
