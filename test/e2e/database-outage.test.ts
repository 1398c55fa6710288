/** The database goes away right after a provider has answered (auth-modes §20.2 no. 2): the new token is not lost, nor asked for again. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from '../peers/authorization-server.ts';
import { startDatabaseProxy, type DatabaseProxy } from '../peers/database-proxy.ts';
import { freePort } from '../peers/free-port.ts';
import { createDatabase } from '../peers/postgres.ts';
import { oauth2Entry, providersFile } from './provider-entries.ts';
import { connectThrough } from './user.ts';
import { eventually, newEncryptionKey, newTestApiKey, startValetkey, type Valetkey, type ValetkeyOptions } from './valetkey.ts';

describe('the database is away when the token answer comes', () => {
    let server: AuthorizationServer;
    let database: Awaited<ReturnType<typeof createDatabase>>;
    let proxy: DatabaseProxy;
    let sql: pg.Client;
    let replicas: Valetkey[];
    let id: string;

    const refreshes = () => server.tokenRequests.filter((request) => request.grantType === 'refresh_token');
    const read = (replica: Valetkey, query = '') =>
        replica.call<{ credentials: { access_token: string; refresh_token: string } }>(
            'GET',
            `/connections/${id}?provider_config_key=oidc&refresh_token=true${query}`,
        );

    beforeAll(async () => {
        const port = await freePort();
        server = await startAuthorizationServer({ redirectUris: [`http://127.0.0.1:${port}/oauth/callback`] });
        database = await createDatabase();
        proxy = await startDatabaseProxy(database.url);
        sql = new pg.Client({ connectionString: database.url });
        await sql.connect();
        const options: ValetkeyOptions = {
            port,
            databaseUrl: proxy.url,
            encryptionKey: newEncryptionKey(),
            apiKey: newTestApiKey(),
            providers: providersFile(oauth2Entry('oidc-test', server)),
        };
        // Both work on what is due, so that the second is ready to ask again as soon as it may.
        replicas = [await startValetkey(options), await startValetkey({ ...options, port: await freePort() })];
        await replicas[0]!.client.createIntegration({
            provider: 'oidc-test',
            unique_key: 'oidc',
            credentials: { type: 'OAUTH2', client_id: server.clientId, client_secret: server.clientSecret, scopes: 'openid,offline_access' },
        });
        const session = await replicas[0]!.client.createConnectSession({ end_user: { id: 'user-1' } });
        await connectThrough(server, replicas[0]!.url, 'oidc', session.data.token);
        id = (await replicas[0]!.client.listConnections()).connections[0]!.connection_id;
    });

    afterAll(async () => {
        await Promise.all((replicas ?? []).map((replica) => replica.stop()));
        await sql?.end();
        await Promise.all([server?.close(), proxy?.close()]);
        await database?.drop();
    });

    test('the answer is kept until the database is back; one token call, and the grant is alive', async () => {
        const before = (await read(replicas[0]!)).body.credentials;
        server.delayTokenAnswers(1_500);
        await sql.query('update connections set next_refresh_at = now()');
        // The server redeems a token when the request comes, and answers later: the old one is used up now.
        await eventually(() => expect(refreshes()).toHaveLength(1));
        proxy.cut();
        server.delayTokenAnswers(0);
        const holds = /outcome is held in memory/;
        await eventually(() => expect(replicas.map((replica) => replica.output().slice(-6_000)).join('\n')).toMatch(holds), 15_000);
        // As if it were away for longer than the lease, so that the row looks abandoned when it comes back.
        await sql.query(`update connections set refresh_lease_until = now() - interval '1 minute'`);
        expect(proxy.refused()).toBeGreaterThan(0);
        proxy.restore();

        await eventually(async () => {
            const { rows } = await sql.query('select credentials_version, auth_state, refresh_intent, refresh_attempts from connections');
            expect(rows).toEqual([{ credentials_version: '2', auth_state: 'ok', refresh_intent: null, refresh_attempts: 0 }]);
        }, 30_000);
        expect(refreshes()).toHaveLength(1);
        const after = (await read(replicas[1]!)).body.credentials;
        expect(after.access_token).not.toBe(before.access_token);
        expect(after.refresh_token).not.toBe(before.refresh_token);
        // presented twice, the old one would have ended the grant
        expect((await read(replicas[1]!, '&force_refresh=true')).status).toBe(200);
        expect(refreshes()).toHaveLength(2);
    });
});
