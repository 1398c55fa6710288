/** Two processes, one database, one expiring connection, 200 readers: one token request (auth-modes §20.2 no. 1). */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from '../peers/authorization-server.ts';
import { freePort } from '../peers/free-port.ts';
import { createDatabase } from '../peers/postgres.ts';
import { oauth2Entry, providersFile } from './provider-entries.ts';
import { connectThrough } from './user.ts';
import { newEncryptionKey, newTestApiKey, startValetkey, type Valetkey, type ValetkeyOptions } from './valetkey.ts';

describe('two replicas', () => {
    let server: AuthorizationServer;
    let database: Awaited<ReturnType<typeof createDatabase>>;
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
        const options: ValetkeyOptions = {
            port,
            databaseUrl: database.url,
            encryptionKey: newEncryptionKey(),
            apiKey: newTestApiKey(),
            providers: providersFile(oauth2Entry('oidc-test', server)),
            env: { VALETKEY_ROLES: 'api' },
        };
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
});
