/** OAuth 2.0 with a server of a second implementation: what one library forgives, another may not. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSession } from '../http/accounts.ts';
import { startTestApp, type TestApp } from '../http/app.ts';
import { freePort } from '../peers/free-port.ts';
import { startSecondAuthorizationServer, type SecondAuthorizationServer } from '../peers/second-authorization-server.ts';
import { oauth2Entry } from './provider-entries.ts';
import { connectThrough } from './user.ts';

let server: SecondAuthorizationServer;
let valetkey: TestApp;

beforeAll(async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    server = await startSecondAuthorizationServer(`${url}/oauth/callback`);
    const entries = {
        ...oauth2Entry('in-body', server),
        ...oauth2Entry('in-header', server, { token_request_auth_method: 'basic' }),
        machine: {
            display_name: 'Test machine',
            categories: ['other'],
            auth_mode: 'OAUTH2_CC',
            token_url: server.tokenEndpoint,
            token_params: { grant_type: 'client_credentials' },
        },
    };
    valetkey = await startTestApp({ providers: JSON.stringify(entries), env: { PORT: String(port), VALETKEY_PUBLIC_URL: url } });
    await valetkey.app.server.listen({ host: '127.0.0.1', port });
    for (const provider of ['in-body', 'in-header']) {
        const credentials = { type: 'OAUTH2', client_id: server.clientId, client_secret: server.clientSecret, scopes: 'read' };
        await valetkey.call('POST', '/integrations', { body: { provider, unique_key: provider, credentials } });
    }
    await valetkey.call('POST', '/integrations', { body: { provider: 'machine', unique_key: 'machine' } });
    valetkey.url = url;
});

afterAll(async () => {
    await valetkey?.close();
    await server?.close();
});

const tokenOf = async (key: string, query = ''): Promise<string> => {
    const { body: list } = await valetkey.call<{ connections: { connection_id: string }[] }>('GET', `/connections?integrationId=${key}`);
    const path = `/connections/${list.connections[0]!.connection_id}?provider_config_key=${key}${query}`;
    const { body } = await valetkey.call<{ credentials: Record<string, string> }>('GET', path);
    return body.credentials['access_token'] ?? body.credentials['token']!;
};

test.each(['in-body', 'in-header'])('code with PKCE, three rotations of the refresh token: the client %s', async (key) => {
    const page = await connectThrough(server, valetkey.url, key, await createSession(valetkey));
    expect(page.status, page.html).toBe(200);
    const seen = [await tokenOf(key)];
    for (let renewal = 0; renewal < 3; renewal++) seen.push(await tokenOf(key, '&force_refresh=true'));
    expect(new Set(seen).size).toBe(4);
    expect(server.isAlive(seen.at(-1)!)).toBe(true);
    expect(server.tokenRequests.splice(0)).toEqual([['authorization_code', 200], ...Array<[string, number]>(3).fill(['refresh_token', 200])]);
});

test('client credentials', async () => {
    const session = await createSession(valetkey);
    const body = { client_id: server.clientId, client_secret: server.clientSecret };
    const path = `/oauth2/auth/machine?connect_session_token=${session}`;
    expect(await valetkey.call('POST', path, { key: null, body: { ...body, client_secret: 'another' } })).toMatchObject({ status: 400 });
    expect(await valetkey.call('POST', path, { key: null, body })).toMatchObject({ status: 200 });
    const first = await tokenOf('machine');
    const second = await tokenOf('machine', '&force_refresh=true');
    expect([server.isAlive(first), server.isAlive(second), first === second]).toEqual([true, true, false]);
});
