/** Deleting a connection ends its grant at a real authorization server (E7, RFC 7009). */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { basicPair } from '../../src/auth-modes/token-endpoint.ts';
import { createIntegration, createSession } from '../http/accounts.ts';
import { startTestApp, type TestApp } from '../http/app.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../peers/authorization-server.ts';
import { freePort } from '../peers/free-port.ts';
import { oauth2Entry, providersFile } from './provider-entries.ts';
import { connectThrough } from './user.ts';
import { eventually } from './valetkey.ts';

let server: AuthorizationServer;
let valetkey: TestApp;

beforeAll(async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    server = await startAuthorizationServer({ redirectUris: [`${url}/oauth/callback`] });
    const entry = { default_scopes: ['openid', 'offline_access'], revocation_url: server.revocationEndpoint };
    valetkey = await startTestApp({
        providers: providersFile(oauth2Entry('oidc', server, entry)),
        env: { PORT: String(port), VALETKEY_PUBLIC_URL: url },
    });
    await valetkey.app.server.listen({ host: '127.0.0.1', port });
    await createIntegration(valetkey, 'oidc', 'oidc', {
        credentials: { type: 'OAUTH2', client_id: server.clientId, client_secret: server.clientSecret },
    });
});

afterAll(async () => {
    await valetkey?.close();
    await server?.close();
});

interface Connection {
    id: string;
    accessToken: string;
    refreshToken: string;
}

async function connect(): Promise<Connection> {
    const user = crypto.randomUUID();
    const answer = await connectThrough(server, valetkey.config.publicUrl, 'oidc', await createSession(valetkey, { end_user: { id: user } }));
    expect(answer.status, answer.html).toBe(200);
    const { connections } = (await valetkey.call<{ connections: { connection_id: string }[] }>('GET', `/connections?endUserId=${user}`)).body;
    const id = connections[0]!.connection_id;
    const { credentials } = (
        await valetkey.call<{ credentials: { access_token: string; refresh_token: string } }>(
            'GET',
            `/connections/${id}?provider_config_key=oidc&refresh_token=true&force_refresh=true`,
        )
    ).body;
    return { id, accessToken: credentials.access_token, refreshToken: credentials.refresh_token };
}

async function isActive(token: string): Promise<boolean> {
    const response = await fetch(server.introspectionEndpoint, {
        method: 'POST',
        headers: { authorization: `Basic ${basicPair(server.clientId, server.clientSecret)}` },
        body: new URLSearchParams({ token }),
    });
    return ((await response.json()) as { active: boolean }).active;
}

test('refresh token and access token of the deleted connection die, those of another live on', async () => {
    const [leaving, staying] = [await connect(), await connect()];
    expect(await isActive(leaving.accessToken)).toBe(true);
    const answer = await valetkey.call('DELETE', `/connections/${leaving.id}?provider_config_key=oidc`);
    expect([answer.status, answer.body]).toEqual([200, { success: true }]);
    await eventually(async () => expect(await isActive(leaving.refreshToken)).toBe(false));
    expect(await isActive(leaving.accessToken)).toBe(false);
    expect([await isActive(staying.refreshToken), await isActive(staying.accessToken)]).toEqual([true, true]);
});

test('revoke=false leaves them alive', async () => {
    const leaving = await connect();
    await valetkey.call('DELETE', `/connections/${leaving.id}?provider_config_key=oidc&revoke=false`);
    const [operation] = await valetkey.query(`select meta from operations where action = 'delete' and connection_id = $1`, [leaving.id]);
    expect(operation).toEqual({ meta: { revocation: { outcome: 'skipped', reason: 'not_asked_for' } } });
    expect([await isActive(leaving.refreshToken), await isActive(leaving.accessToken)]).toEqual([true, true]);
});
