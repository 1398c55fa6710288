/** MCP servers that the catalogue knows, over HTTP and against a real authorization server, with each kind of client (auth-modes §13.1, §13.3). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createIntegration, createSession } from '../http/accounts.ts';
import { startTestApp, type TestApp } from '../http/app.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../peers/authorization-server.ts';
import { freePort } from '../peers/free-port.ts';
import { startMcpServer, type McpServer } from '../peers/mcp-server.ts';
import { mcpEntry, mcpGenericEntry, oauth2Entry, providersFile } from './provider-entries.ts';
import { openCallback, type CallbackAnswer } from './user.ts';

const publicUrl = 'https://valetkey.example.org';
const resource = 'https://mcp.example.com/mcp';
const grants = { registration_params: { grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] } };

let server: AuthorizationServer;
let mcp: McpServer;
let valetkey: TestApp;
let token: string;
let environment: string;
/** What the authorization server fetched. */
const fetched: string[] = [];

beforeAll(async () => {
    mcp = await startMcpServer();
    const port = await freePort();
    server = await startAuthorizationServer({
        redirectUris: [`${publicUrl}/oauth/callback`],
        mcp: {
            resources: [resource, mcp.url],
            fetchDocument: async (url) => {
                fetched.push(url);
                return fetch(url.replace(publicUrl, `http://127.0.0.1:${port}`));
            },
        },
    });
    const named = { authorization_params: { resource, state: 'the-entry’s', scope: 'everything', client_id: 'the-entry’s' } };
    const registration_url = `${server.issuer}/reg`;
    valetkey = await startTestApp({
        env: { VALETKEY_PUBLIC_URL: publicUrl, PORT: String(port) },
        providers: providersFile(
            mcpEntry('static', server, 'static', named),
            mcpEntry('unnamed', server, 'static'),
            mcpEntry('dynamic', server, 'dynamic', { ...named, ...grants, registration_url, default_scopes: ['read'] }),
            mcpEntry('raw', server, 'dynamic', { ...grants, registration_url, scope_separator: '+', authorization_url_skip_encode: ['scopes'] }),
            mcpEntry('cimd', server, 'cimd', { ...named, default_scopes: ['read'] }),
            mcpGenericEntry('generic'),
            oauth2Entry('oauth', server),
        ),
    });
    await valetkey.app.server.listen({ host: '127.0.0.1', port });
    [{ id: environment }] = (await valetkey.query<{ id: string }>(`select id from environments where name = 'dev'`)) as [{ id: string }];
});

afterAll(async () => {
    await valetkey?.close();
    await Promise.all([server?.close(), mcp?.close()]);
});

beforeEach(async () => {
    token = await createSession(valetkey);
});

interface Connected {
    id: string;
    asked: Record<string, string>;
}

async function begin(key: string, query = ''): Promise<{ url: string; cookie: string }> {
    const first = await valetkey.call('GET', `/oauth/connect/${key}?connect_session_token=${token}${query}`, { key: null });
    expect(first.status, first.text).toBe(302);
    return { url: first.headers['location']!, cookie: String(first.headers['set-cookie']).split(';')[0]! };
}

const loopback = (url: string): string => url.replace(publicUrl, `http://127.0.0.1:${valetkey.config.port}`);
const comeBack = async (url: string, cookie: string): Promise<CallbackAnswer> => openCallback(loopback(await server.authorize(url)), cookie);

async function connect(key: string, query = ''): Promise<Connected> {
    const { url, cookie } = await begin(key, query);
    const page = await comeBack(url, cookie);
    expect(page.status, page.html).toBe(200);
    const { body } = await valetkey.call<{ data: { outcome: { connection_id: string } } }>('GET', '/connect/session', { key: token });
    return { id: body.data.outcome.connection_id, asked: Object.fromEntries(new URL(url).searchParams) };
}

const refresh = (id: string, key: string) =>
    valetkey.call<{ credentials: Record<string, unknown>; connection_config: Record<string, unknown> }>(
        'GET',
        `/connections/${id}?provider_config_key=${key}&force_refresh=true`,
    );
const lastToken = () => server.tokenRequests.at(-1)!;

test('a client that was typed in: the operator’s, with its secret', async () => {
    const credentials = { type: 'OAUTH2', client_id: server.clientId, client_secret: server.clientSecret, scopes: 'read' };
    await createIntegration(valetkey, 'static', 'static', { credentials });
    const { id, asked } = await connect('static', '&authorization_params[prompt]=login&params[any]=thing');
    // what ties the answer to the flow is ours, whatever the entry says; and the browser's parameters are not taken
    expect(asked).toEqual({
        response_type: 'code',
        client_id: server.clientId,
        redirect_uri: `${publicUrl}/oauth/callback`,
        scope: 'read',
        resource,
        state: expect.stringMatching(/^[\w-]{43}$/) as string,
        code_challenge: expect.stringMatching(/^[\w-]{43}$/) as string,
        code_challenge_method: 'S256',
    });
    const client = { client_id: server.clientId, client_secret: server.clientSecret };
    expect(lastToken().params).toMatchObject({ grant_type: 'authorization_code', resource, ...client });
    const { body } = await refresh(id, 'static');
    expect(body.credentials['type']).toBe('OAUTH2');
    expect(lastToken().params).toMatchObject({ grant_type: 'refresh_token', resource, ...client });
});

test('where the entry names no resource, none is sent: a server that knows resources refuses a guess', async () => {
    const credentials = { type: 'OAUTH2', client_id: server.clientId, client_secret: server.clientSecret, scopes: 'openid,offline_access' };
    await createIntegration(valetkey, 'unnamed', 'unnamed', { credentials });
    const { id, asked } = await connect('unnamed');
    await refresh(id, 'unnamed');
    expect([asked['resource'], lastToken().params['resource'], lastToken().status]).toEqual([undefined, undefined, 200]);
});

test('a client that registered itself: public, renewed without a secret', async () => {
    await createIntegration(valetkey, 'dynamic', 'dynamic');
    const { id, asked } = await connect('dynamic');
    expect(asked).toMatchObject({ client_id: expect.stringMatching(/^registered-/) as string, scope: 'read', resource });
    const { body } = await refresh(id, 'dynamic');
    expect(lastToken()).not.toHaveProperty('authorization');
    expect(lastToken().params).toEqual({
        grant_type: 'refresh_token',
        refresh_token: expect.any(String) as string,
        client_id: asked['client_id'],
        resource,
    });
    expect(body.connection_config).toEqual({});
    expect(server.registeredClients()).toContain(asked['client_id']);
});

test('a person may bring a client of their own', async () => {
    await createIntegration(valetkey, 'brought', 'dynamic');
    const own = `&credentials[oauth_client_id_override]=${server.clientId}&credentials[oauth_client_secret_override]=${server.clientSecret}`;
    const { id, asked } = await connect('brought', own);
    await refresh(id, 'brought');
    expect([asked['client_id'], lastToken().params['client_id'], lastToken().status]).toEqual([server.clientId, server.clientId, 200]);
});

test('scopes that are sent raw are encoded one by one', async () => {
    await createIntegration(valetkey, 'raw', 'raw');
    await valetkey.query(`update integrations set oauth_scopes = 'read:all,write/x&y' where unique_key = 'raw'`);
    expect((await begin('raw')).url).toMatch(/&scope=read%3Aall\+write%2Fx%26y$/);
});

test('the provider’s refusal is told in its words', async () => {
    await createIntegration(valetkey, 'denied', 'dynamic');
    const { url, cookie } = await begin('denied');
    const page = await openCallback(loopback(await server.deny(url)), cookie);
    expect([page.status, page.html.includes('The account owner refused')]).toEqual([400, true]);
});

describe('a client that is a document', () => {
    const address = (key: string) => `${publicUrl}/oauth/client-metadata/${environment}/${key}`;

    test('is fetched by the server, needs no registration and no secret', async () => {
        await createIntegration(valetkey, 'my docs:1', 'cimd');
        const before = server.registeredClients().length;
        const { id, asked } = await connect('my%20docs:1');
        expect(asked['client_id']).toBe(address('my%20docs%3A1'));
        expect(fetched).toEqual([asked['client_id']]);
        await refresh(id, 'my%20docs:1');
        expect(lastToken().params).toEqual({
            grant_type: 'refresh_token',
            refresh_token: expect.any(String) as string,
            client_id: asked['client_id'],
            resource,
        });
        expect([lastToken().status, server.registeredClients().length]).toEqual([200, before]);
    });

    test('follows the integration to another key', async () => {
        await createIntegration(valetkey, 'before', 'cimd');
        await valetkey.call('PATCH', '/integrations/before', { body: { unique_key: 'after' } });
        expect((await connect('after')).asked['client_id']).toBe(address('after'));
    });

    test('is preferred where a discovered server knows documents', async () => {
        mcp.answers.set('/mcp', { status: 401, headers: { 'www-authenticate': 'Bearer scope="read"' } });
        mcp.answers.set('/.well-known/oauth-protected-resource/mcp', { body: { resource: mcp.url, authorization_servers: [server.issuer] } });
        await createIntegration(valetkey, 'generic', 'generic');
        const { id, asked } = await connect('generic', `&params[mcp_server_url]=${encodeURIComponent(mcp.url)}`);
        expect(asked['client_id']).toBe(address('generic'));
        await refresh(id, 'generic');
        expect([lastToken().params['client_id'], lastToken().status]).toEqual([asked['client_id'], 200]);
    });
});

describe('GET /oauth/client-metadata', () => {
    const read = (environmentUuid: string, key: string, query = '') =>
        valetkey.call<Record<string, unknown>>('GET', `/oauth/client-metadata/${environmentUuid}/${key}${query}`, {
            key: null,
            headers: { 'content-type': 'text/plain' },
        });

    test('is public, may be kept for five minutes, and names itself', async () => {
        const custom = { oauth_client_name: 'Acme', oauth_client_logo_uri: 'https://acme.example/logo.svg', secret: 'unrelated' };
        await createIntegration(valetkey, 'doc', 'cimd', { custom });
        const { status, headers, body } = await read(environment, 'doc');
        expect([status, headers['cache-control']]).toEqual([200, 'public, max-age=300']);
        expect(body).toEqual({
            client_id: `${publicUrl}/oauth/client-metadata/${environment}/doc`,
            client_name: 'Acme',
            client_uri: publicUrl,
            logo_uri: 'https://acme.example/logo.svg',
            redirect_uris: [`${publicUrl}/oauth/callback`],
            grant_types: ['authorization_code', 'refresh_token'],
            response_types: ['code'],
            token_endpoint_auth_method: 'none',
        });
        expect((await read(environment.toUpperCase(), 'doc', '?x=1')).body).toEqual(body);
    });

    test('has the environment’s callback address', async () => {
        await createIntegration(valetkey, 'relayed', 'generic');
        await valetkey.call('PATCH', '/environment', { body: { callback_url: 'https://relay.example.com/callback' } });
        expect((await read(environment, 'relayed')).body['redirect_uris']).toEqual(['https://relay.example.com/callback']);
        await valetkey.call('PATCH', '/environment', { body: { callback_url: null } });
    });

    test.each([
        ['no-uuid', 'doc', 400, 'invalid_uri_params'],
        ['', 'a%2Fb', 400, 'invalid_uri_params'],
        ['00000000-0000-4000-8000-000000000000', 'doc', 404, 'unknown_environment'],
        ['', 'no-such', 404, 'unknown_provider_config'],
    ])('%s/%s: %s %s', async (environmentUuid, key, status, code) => {
        const answer = await read(environmentUuid || environment, key);
        expect([answer.status, (answer.body['error'] as { code: string }).code]).toEqual([status, code]);
    });

    test('an OAUTH2 integration has none', async () => {
        await createIntegration(valetkey, 'plain', 'oauth', { credentials: { type: 'OAUTH2', client_id: 'a', client_secret: 'b' } });
        expect((await read(environment, 'plain')).status).toBe(404);
    });

    test('nor has a server without an https address', async () => {
        const other = await startTestApp({ providers: providersFile(mcpGenericEntry('generic')) });
        await createIntegration(other, 'there', 'generic');
        const [row] = await other.query<{ id: string }>(`select id from environments where name = 'dev'`);
        const answer = await other.call<{ error: { code: string } }>('GET', `/oauth/client-metadata/${row!.id}/there`, { key: null });
        expect([answer.status, answer.body.error.code]).toEqual([404, 'feature_disabled']);
        await other.close();
    });
});
