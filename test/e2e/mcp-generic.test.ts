/** MCP servers whose address is typed in, over HTTP and against a real authorization server (auth-modes §13.2, §19.4). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createIntegration, createSession } from '../http/accounts.ts';
import { startTestApp, type TestApp } from '../http/app.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../peers/authorization-server.ts';
import { startMcpServer, type McpServer } from '../peers/mcp-server.ts';
import { mcpGenericEntry, providersFile } from './provider-entries.ts';
import { openCallback, startConnect } from './user.ts';
import { eventually } from './valetkey.ts';

const pathAware = '/.well-known/oauth-protected-resource/mcp';
const root = '/.well-known/oauth-protected-resource';
const elsewhere = '/metadata';

let mcp: McpServer;
let server: AuthorizationServer;
let valetkey: TestApp;
let token: string;
const resources: string[] = [];

beforeAll(async () => {
    mcp = await startMcpServer();
    resources.push(mcp.url, mcp.origin);
    valetkey = await startTestApp({ providers: providersFile(mcpGenericEntry('mcp')) });
    await valetkey.listen();
    server = await startAuthorizationServer({ redirectUris: [`${valetkey.url}/oauth/callback`], mcp: { resources } });
});

afterAll(async () => {
    await valetkey?.close();
    await Promise.all([mcp?.close(), server?.close()]);
});

beforeEach(async () => {
    token = await createSession(valetkey);
    mcp.answers.clear();
    mcp.answers.set('/mcp', { status: 401, headers: { 'www-authenticate': 'Bearer realm="mcp", scope="read"' } });
    mcp.answers.set(pathAware, { body: { resource: mcp.url, authorization_servers: [server.issuer] } });
});

const begin = (integration: string) => startConnect(valetkey.url, integration, token, { 'params[mcp_server_url]': mcp.url });

interface Connection {
    connection_config: Record<string, unknown>;
    credentials: Record<string, unknown>;
    errors: unknown[];
}

/** @returns the connection's id, and what the authorization request said. */
async function connect(integration: string): Promise<{ id: string; asked: Record<string, string> }> {
    const { authorizationUrl, cookie } = await begin(integration);
    const page = await openCallback(await server.authorize(authorizationUrl), cookie);
    expect(page.status, page.html).toBe(200);
    const { body } = await valetkey.call<{ data: { outcome: { connection_id: string } } }>('GET', '/connect/session', { key: token });
    return { id: body.data.outcome.connection_id, asked: Object.fromEntries(new URL(authorizationUrl).searchParams) };
}

const read = (id: string, integration: string, query = '') =>
    valetkey.call<Connection>('GET', `/connections/${id}?provider_config_key=${integration}${query}`);

describe('where the metadata of the server is found', () => {
    test.each([
        ['below its own path', pathAware, () => ({ resource: mcp.url }), undefined],
        ['for its whole origin', root, () => ({ resource: mcp.origin }), undefined],
        ['at the address in its challenge', elsewhere, () => ({ resource: mcp.url }), elsewhere],
        ['at a well-known address in its challenge', root, () => ({ resource: mcp.origin }), root],
    ])('%s', async (_where, path, metadata, challenged) => {
        mcp.answers.delete(pathAware);
        mcp.answers.set(path, { body: { ...metadata(), authorization_servers: [server.issuer] } });
        if (challenged !== undefined) {
            const value = `Basic realm="x", Bearer error="invalid_token", scope="read", resource_metadata="${mcp.origin}${challenged}"`;
            mcp.answers.set('/mcp', { status: 401, headers: { 'www-authenticate': value } });
        }
        const integration = `found-${path}-${challenged ?? ''}`.replaceAll('/', '_');
        await createIntegration(valetkey, integration, 'mcp');
        const { asked } = await connect(integration);
        expect(asked['resource']).toBe(metadata().resource);
        expect(server.tokenRequests.at(-1)!.params['resource']).toBe(metadata().resource);
    });

    test('a server without any is its own authorization server', async () => {
        mcp.answers.delete(pathAware);
        const document = await (await fetch(`${server.issuer}/.well-known/openid-configuration`)).json();
        // one spelling of the origin is as good as the other: nobody has named the issuer
        mcp.answers.set('/.well-known/openid-configuration', { body: { ...(document as object), issuer: `${mcp.origin}/` } });
        await createIntegration(valetkey, 'own', 'mcp');
        const { authorizationUrl } = await begin('own');
        expect(new URL(authorizationUrl).origin).toBe(server.issuer);
        expect(new URL(authorizationUrl).searchParams.get('resource')).toBe(mcp.url);
    });
});

describe('a flow', () => {
    test('registers a public client, says for which resource it is, and keeps to itself what it found', async () => {
        await createIntegration(valetkey, 'flow', 'mcp', { custom: { oauth_client_name: 'Acme' } });
        const { id, asked } = await connect('flow');
        expect(asked).toEqual({
            response_type: 'code',
            client_id: expect.stringMatching(/^registered-/) as string,
            redirect_uri: `${valetkey.url}/oauth/callback`,
            resource: mcp.url,
            scope: 'read',
            state: expect.any(String) as string,
            code_challenge: expect.any(String) as string,
            code_challenge_method: 'S256',
        });
        const exchange = server.tokenRequests.at(-1)!;
        expect(exchange.authorization).toBeUndefined();
        expect(exchange.params).toEqual({
            grant_type: 'authorization_code',
            client_id: asked['client_id'],
            code: expect.any(String) as string,
            redirect_uri: asked['redirect_uri'],
            code_verifier: expect.any(String) as string,
            resource: mcp.url,
        });
        const { body } = await read(id, 'flow');
        expect(body.connection_config).toEqual({ mcp_server_url: mcp.url });
        expect(body.credentials).toMatchObject({ type: 'OAUTH2', access_token: expect.any(String) as string });
        // M5: nothing of it in the clear, in any table; of the addresses that were called, the operation log says which they were
        const tablesWhere = async (condition: string): Promise<string> => {
            const [all] = await valetkey.query<{ tables: string }>(
                `select string_agg(xml, '') as tables from (select query_to_xml('select * from ' || quote_ident(table_name), true, false, '')::text as xml
                 from information_schema.tables where table_schema = 'public' and ${condition}) all_tables`,
            );
            return all!.tables;
        };
        const tables = await tablesWhere('true');
        expect(tables).toContain(mcp.url);
        for (const secret of [asked['client_id']!, exchange.params['code_verifier']!, 'registration_access_token', 'oauth_metadata']) {
            expect(tables.includes(secret), secret).toBe(false);
        }
        expect((await tablesWhere(`table_name not like 'operation_messages%'`)).includes(server.issuer)).toBe(false);
        const called = await valetkey.query<{ url: string }>(`select request ->> 'url' as url from operation_messages where type = 'http'`);
        expect(called.map(({ url }) => url)).toEqual(
            expect.arrayContaining([mcp.url, server.tokenEndpoint, `${server.issuer}/.well-known/oauth-authorization-server`]),
        );
        expect(valetkey.log().includes(exchange.params['code_verifier']!)).toBe(false);
    });

    test('is renewed for the same resource by the same client', async () => {
        await createIntegration(valetkey, 'renewed', 'mcp');
        const { id, asked } = await connect('renewed');
        const before = (await read(id, 'renewed')).body.credentials['access_token'];
        const { body } = await read(id, 'renewed', '&force_refresh=true');
        expect(body.credentials['access_token']).not.toBe(before);
        expect(server.tokenRequests.at(-1)!.params).toEqual({
            grant_type: 'refresh_token',
            client_id: asked['client_id'],
            refresh_token: expect.any(String) as string,
            resource: mcp.url,
        });
        expect(body.connection_config).toEqual({ mcp_server_url: mcp.url });
    });

    test('uses the client of the one before; another redirect URI is another client, and connections keep theirs', async () => {
        await createIntegration(valetkey, 'cached', 'mcp');
        const first = await connect('cached');
        token = await createSession(valetkey);
        const second = await connect('cached');
        expect(second.asked['client_id']).toBe(first.asked['client_id']);
        await valetkey.call('PATCH', '/environment', { body: { callback_url: 'https://relay.example.com/callback' } });
        try {
            token = await createSession(valetkey);
            const { searchParams } = new URL((await begin('cached')).authorizationUrl);
            expect(searchParams.get('redirect_uri')).toBe('https://relay.example.com/callback');
            expect(searchParams.get('client_id')).not.toBe(first.asked['client_id']);
        } finally {
            await valetkey.call('PATCH', '/environment', { body: { callback_url: null } });
        }
        await read(first.id, 'cached', '&force_refresh=true');
        expect(server.tokenRequests.at(-1)!.params['client_id']).toBe(first.asked['client_id']);
    });

    test('several at once register one client', async () => {
        await createIntegration(valetkey, 'at-once', 'mcp');
        const before = server.registeredClients().length;
        await Promise.all([begin('at-once'), begin('at-once'), begin('at-once')]);
        expect(server.registeredClients().length).toBe(before + 1);
    });

    test('asks for what the challenge asks for, else for what the integration does', async () => {
        await createIntegration(valetkey, 'scoped', 'mcp');
        await valetkey.query(`update integrations set oauth_scopes = 'write' where unique_key = 'scoped'`);
        expect(new URL((await begin('scoped')).authorizationUrl).searchParams.get('scope')).toBe('read');
        mcp.answers.set('/mcp', { status: 401 });
        expect(new URL((await begin('scoped')).authorizationUrl).searchParams.get('scope')).toBe('write');
        mcp.answers.set('/mcp', { status: 401, headers: { 'www-authenticate': 'Bearer scope="read offline_access"' } });
        const { searchParams } = new URL((await begin('scoped')).authorizationUrl);
        expect([searchParams.get('scope'), searchParams.get('prompt')]).toEqual(['read offline_access', 'consent']);
    });
});

describe('a client that its server has forgotten', () => {
    test('is replaced once, for all connections; what was granted to it has to be granted again', async () => {
        await createIntegration(valetkey, 'forgotten', 'mcp');
        const first = await connect('forgotten');
        token = await createSession(valetkey);
        const second = await connect('forgotten');
        const before = server.registeredClients().length;
        server.forgetClient(first.asked['client_id']!);
        await Promise.all([read(first.id, 'forgotten', '&force_refresh=true'), read(second.id, 'forgotten', '&force_refresh=true')]);
        expect(server.registeredClients().length).toBe(before);
        const states = await valetkey.query<{ auth_state: string; auth_error: { description: string } }>(
            'select auth_state, auth_error from connections where connection_id = any($1)',
            [[first.id, second.id]],
        );
        expect(states.map((row) => row.auth_state)).toEqual(['needs_reauth', 'needs_reauth']);
        expect(states[0]!.auth_error.description).toContain('please connect again');
        token = await createSession(valetkey);
        const third = await connect('forgotten');
        expect(third.asked['client_id']).not.toBe(first.asked['client_id']);
    });

    test('during a flow: the attempt fails with a sentence, and the next one succeeds', async () => {
        await createIntegration(valetkey, 'forgotten-now', 'mcp');
        const { authorizationUrl, cookie } = await begin('forgotten-now');
        const callback = await server.authorize(authorizationUrl);
        server.forgetClient(new URL(authorizationUrl).searchParams.get('client_id')!);
        const page = await openCallback(callback, cookie);
        expect([page.status, /please connect again/.test(page.html)]).toEqual([400, true]);
        await connect('forgotten-now');
    });
});

describe('the end', () => {
    test('of an integration is the end of its clients', async () => {
        await createIntegration(valetkey, 'leaving', 'mcp');
        const { asked } = await connect('leaving');
        expect(server.registeredClients()).toContain(asked['client_id']);
        expect((await valetkey.call('DELETE', '/integrations/leaving')).status).toBe(200);
        await eventually(() => expect(server.registeredClients()).not.toContain(asked['client_id']));
        expect(
            await valetkey.query(
                `select 1 from client_registrations r join integrations i on i.id = r.integration_id where i.unique_key = 'leaving'`,
            ),
        ).toEqual([]);
    });
});
