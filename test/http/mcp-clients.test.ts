/** Where the OAuth client of an MCP integration comes from: at its creation, in a settings document, and what becomes of it (auth-modes §13.1, M3). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { mcpEntry, mcpGenericEntry, oauth2Entry, providersFile } from '../e2e/provider-entries.ts';
import { eventually } from '../e2e/valetkey.ts';
import { startMcpServer, type McpServer, type ReceivedRequest, type ScriptedAnswer } from '../peers/mcp-server.ts';
import { createIntegration, createSession } from './accounts.ts';
import { startTestApp, type TestApp } from './app.ts';

let server: McpServer;
let valetkey: TestApp;
let registered = 0;

/** As a server that manages registrations answers (RFC 7591 §3.2.1, RFC 7592 §3). */
const registration = (request: ReceivedRequest, members: Record<string, unknown> = {}): ScriptedAnswer => {
    registered += 1;
    const client_id = `client-${registered}`;
    return {
        status: 201,
        body: {
            ...(JSON.parse(request.body) as object),
            client_id,
            registration_access_token: `management-token-${registered}`,
            registration_client_uri: `${server.origin}/register/${client_id}`,
            ...members,
        },
    };
};

beforeAll(async () => {
    server = await startMcpServer();
    const endpoints = { authorizationEndpoint: `${server.origin}/authorize`, tokenEndpoint: `${server.origin}/token` };
    const dynamic = { registration_url: `${server.origin}/register` };
    valetkey = await startTestApp({
        providers: providersFile(
            mcpEntry('dynamic', endpoints, 'dynamic', dynamic),
            mcpEntry('particular', endpoints, 'dynamic', {
                ...dynamic,
                registration_params: { grant_types: ['authorization_code', 'refresh_token'], response_types: 'code' },
            }),
            mcpEntry('static', endpoints, 'static'),
            mcpEntry('cimd', endpoints, 'cimd'),
            mcpGenericEntry('generic'),
            oauth2Entry('oauth', endpoints),
        ),
    });
});

afterAll(async () => {
    await valetkey?.close();
    await server?.close();
});

beforeEach(() => {
    server.requests.length = 0;
    server.answers.clear();
    server.answers.set('POST /register', (request) => registration(request));
    for (let number = 1; number <= registered + 20; number++) {
        server.answers.set(`DELETE /register/client-${number}`, { status: 204 });
    }
});

const create = (provider: string, key: string, rest: Record<string, unknown> = {}) =>
    valetkey.call<{ error?: { code: string; message: string } }>('POST', '/integrations', { body: { provider, unique_key: key, ...rest } });
const exists = async (key: string): Promise<boolean> => (await valetkey.call('GET', `/integrations/${key}`)).status === 200;
const registrationsOf = (key: string) =>
    valetkey.query(`select 1 from client_registrations r join integrations i on i.id = r.integration_id where i.unique_key = $1`, [key]);
const start = async (key: string): Promise<URLSearchParams> => {
    const token = await createSession(valetkey);
    const answer = await valetkey.call('GET', `/oauth/connect/${key}?connect_session_token=${token}`, { key: null });
    expect(answer.status, answer.text).toBe(302);
    return new URL(answer.headers['location']!).searchParams;
};
const unregistered = (): string[] => server.requests.filter(({ method }) => method === 'DELETE').map(({ path }) => path);

describe('an integration of a server that registers clients', () => {
    test('is created with one: asked for as the contract says, kept sealed, used by the first flow', async () => {
        expect((await create('dynamic', 'plain')).status).toBe(200);
        const [request, ...others] = server.requestsTo('/register');
        expect(others).toEqual([]);
        expect(request!.headers['content-type']).toBe('application/json');
        expect(JSON.parse(request!.body)).toEqual({
            client_name: 'Valetkey',
            redirect_uris: [`${valetkey.url}/oauth/callback`],
            token_endpoint_auth_method: 'none',
        });
        const [row] = await valetkey.query<{ text: string }>('select r::text as text from client_registrations r order by created_at desc limit 1');
        expect(row!.text).not.toMatch(/client-\d|management-token|register/);
        expect((await start('plain')).get('client_id')).toBe(`client-${registered}`);
        expect(server.requestsTo('/register')).toHaveLength(1);
        // §7.4: it is nobody's to read
        const { body } = await valetkey.call<{ data: Record<string, unknown> }>('GET', '/integrations/plain?include=credentials');
        expect(body.data['credentials']).toBeNull();
    });

    test('under the operator’s own name, with the parameters that the entry adds', async () => {
        const custom = { oauth_client_name: 'Acme', oauth_client_uri: 'https://acme.example', oauth_client_logo_uri: 'no address' };
        expect((await create('particular', 'named', { custom })).status).toBe(200);
        expect(JSON.parse(server.requestsTo('/register')[0]!.body)).toEqual({
            client_name: 'Acme',
            client_uri: 'https://acme.example',
            redirect_uris: [`${valetkey.url}/oauth/callback`],
            token_endpoint_auth_method: 'none',
            grant_types: ['authorization_code', 'refresh_token'],
            response_types: ['code'],
        });
    });

    test('takes a client that was registered by hand instead', async () => {
        const credentials = { type: 'OAUTH2', client_id: 'by-hand', client_secret: 'a-client-secret' };
        expect((await create('dynamic', 'by-hand', { credentials })).status).toBe(200);
        expect(server.requests).toEqual([]);
        expect((await start('by-hand')).get('client_id')).toBe('by-hand');
    });

    test.each<[string, ScriptedAnswer, number, string, RegExp]>([
        [
            'refuses',
            { status: 400, body: { error: 'invalid_redirect_uri', error_description: 'the secret text' } },
            400,
            'client_registration_failed',
            /invalid_redirect_uri/,
        ],
        ['refuses in words of its own', { status: 403, body: { error: '<b>Nope</b>' } }, 400, 'client_registration_failed', /answered 403\.$/],
        ['is down', { status: 502, body: '<html>bad gateway' }, 503, 'client_registration_unavailable', /answered 502/],
        ['redirects', { status: 302, headers: { location: '/register-here' } }, 400, 'client_registration_failed', /answered 302/],
        ['answers without an id', { status: 201, body: { client_name: 'x' } }, 400, 'client_registration_failed', /without a client id/],
        ['answers nothing readable', { status: 200, body: 'ok' }, 400, 'client_registration_failed', /answered 200/],
        [
            'grants a method that needs a key',
            { status: 201, body: { client_id: 'x', token_endpoint_auth_method: 'private_key_jwt' } },
            400,
            'client_registration_failed',
            /client authentication/,
        ],
        [
            'keeps the secret to itself',
            { status: 201, body: { client_id: 'x', token_endpoint_auth_method: 'client_secret_basic' } },
            400,
            'client_registration_failed',
            /client secret/,
        ],
        [
            'registers another redirect URI',
            { status: 201, body: { client_id: 'x', redirect_uris: ['https://evil.example'] } },
            400,
            'client_registration_failed',
            /redirect URIs/,
        ],
        [
            'answers without end',
            { status: 201, body: `{"client_id":"${'x'.repeat(1_100_000)}"}` },
            400,
            'client_registration_failed',
            /response_too_large/,
        ],
    ])('is not created when the server %s', async (_what, answer, status, code, message) => {
        server.answers.set('POST /register', answer);
        const created = await create('dynamic', 'never');
        expect([created.status, created.body.error!.code]).toEqual([status, code]);
        expect(created.body.error!.message).toMatch(message);
        expect(created.text).not.toContain('secret text');
        expect([await exists('never'), await registrationsOf('never')]).toEqual([false, []]);
    });

    test('whose key is taken meanwhile: the client is unregistered again', async () => {
        server.answers.set('POST /register', async (request) => {
            await createIntegration(valetkey, 'raced', 'static');
            return registration(request);
        });
        const created = await create('dynamic', 'raced');
        expect([created.status, created.body.error!.code]).toEqual([400, 'invalid_body']);
        await eventually(() => expect(unregistered()).toEqual([`/register/client-${registered}`]));
        expect(server.requests.at(-1)!.headers.authorization).toBe(`Bearer management-token-${registered}`);
    });

    test('and a key that is taken already registers nothing', async () => {
        await createIntegration(valetkey, 'taken', 'static');
        expect((await create('dynamic', 'taken')).status).toBe(400);
        expect(server.requests).toEqual([]);
    });

    test('registers again for another redirect URI, when a flow starts with it', async () => {
        await createIntegration(valetkey, 'moved', 'dynamic');
        await valetkey.call('PATCH', '/environment', { body: { callback_url: 'https://relay.example.com/callback' } });
        try {
            const sent = await start('moved');
            expect([sent.get('client_id'), sent.get('redirect_uri')]).toEqual([`client-${registered}`, 'https://relay.example.com/callback']);
            expect(JSON.parse(server.requestsTo('/register').at(-1)!.body)).toMatchObject({ redirect_uris: ['https://relay.example.com/callback'] });
        } finally {
            await valetkey.call('PATCH', '/environment', { body: { callback_url: null } });
        }
        expect((await start('moved')).get('client_id')).toBe(`client-${registered - 1}`);
        expect(await registrationsOf('moved')).toHaveLength(2);
        await valetkey.call('DELETE', '/integrations/moved');
        await eventually(() =>
            expect(unregistered().toSorted()).toEqual([`/register/client-${registered - 1}`, `/register/client-${registered}`].toSorted()),
        );
    });

    test('is deleted although its server does not answer, or says where else to send the token', async () => {
        server.answers.set('POST /register', (request) => registration(request, { registration_client_uri: 'http://127.0.0.2:9/steal' }));
        await createIntegration(valetkey, 'elsewhere', 'dynamic');
        await createIntegration(valetkey, 'silent', 'dynamic');
        server.answers.clear();
        for (const key of ['elsewhere', 'silent']) {
            expect((await valetkey.call('DELETE', `/integrations/${key}`)).status).toBe(200);
            expect(await registrationsOf(key)).toEqual([]);
        }
        expect(unregistered()).toEqual([]);
    });

    test('goes with its environment', async () => {
        const key = await valetkey.insertKey({ scopes: ['account:*'], environment: null });
        const { body } = await valetkey.call<{ data: { id: number } }>('POST', '/environments', { key, body: { name: 'short-lived' } });
        const own = await valetkey.insertKey({ scopes: ['environment:*'], environment: 'short-lived' });
        expect((await valetkey.call('POST', '/integrations', { key: own, body: { provider: 'dynamic', unique_key: 'there' } })).status).toBe(200);
        expect((await valetkey.call('DELETE', `/environments/${body.data.id}`, { key })).status).toBe(204);
        await eventually(() => expect(unregistered()).toEqual([`/register/client-${registered}`]));
        expect(await valetkey.query(`select sealed_registration from client_registrations where sealed_registration = ''`)).toHaveLength(1);
    });
});

describe('a secret that was registered', () => {
    /** A connection over the flow whose callback this answers. */
    async function connect(key: string): Promise<string> {
        const token = await createSession(valetkey);
        const first = await valetkey.call('GET', `/oauth/connect/${key}?connect_session_token=${token}`, { key: null });
        const state = new URL(first.headers['location']!).searchParams.get('state');
        const cookie = String(first.headers['set-cookie']).split(';')[0]!;
        const page = await valetkey.call('GET', `/oauth/callback?state=${state}&code=a-code`, { key: null, headers: { cookie } });
        expect(page.status, page.text).toBe(200);
        const { body } = await valetkey.call<{ data: { outcome: { connection_id: string } } }>('GET', '/connect/session', { key: token });
        return body.data.outcome.connection_id;
    }
    const refresh = (id: string, key: string) => valetkey.call('GET', `/connections/${id}?provider_config_key=${key}&force_refresh=true`);
    const tokenCalls = (): ReceivedRequest[] => server.requestsTo('/token');
    const basic = (id: string, secret: string): string => `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
    const tokens = { access_token: 'an-access-token', refresh_token: 'a-refresh-token', expires_in: 3600 };
    const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

    test.each([
        ['client_secret_basic', { client_secret: 'registered secret', token_endpoint_auth_method: 'client_secret_basic' }],
        // RFC 7591 §2: the default where the answer does not say
        ['client_secret_basic', { client_secret: 'registered secret', token_endpoint_auth_method: null }],
        ['client_secret_post', { client_secret: 'registered secret', token_endpoint_auth_method: 'client_secret_post' }],
        ['none', { client_secret: 'registered secret', token_endpoint_auth_method: 'none' }],
        ['none', {}],
    ])('is presented as it was granted: %s', async (method, granted) => {
        server.answers.set('POST /register', (request) => registration(request, granted));
        server.answers.set('POST /token', { body: tokens });
        const key = `granted-${registered}`;
        await createIntegration(valetkey, key, 'dynamic');
        const id = await connect(key);
        await refresh(id, key);
        const client = `client-${registered}`;
        const seen = tokenCalls().map(({ headers, params }) => [headers.authorization, params['client_id'], params['client_secret']]);
        const expected = {
            client_secret_basic: [`Basic ${Buffer.from(`${client}:registered+secret`).toString('base64')}`, undefined, undefined],
            client_secret_post: [undefined, client, 'registered secret'],
            // no parameter at all, not an empty one
            none: [undefined, client, undefined],
        }[method];
        expect(seen).toEqual([expected, expected]);
        expect(valetkey.log()).not.toContain('registered secret');
        const [{ tables }] = (await valetkey.query<{ tables: string }>(
            `select string_agg(query_to_xml('select * from ' || quote_ident(table_name), true, false, '')::text, '') as tables
             from information_schema.tables where table_schema = 'public'`,
        )) as [{ tables: string }];
        expect(tables).toContain(key);
        expect(tables).not.toMatch(/registered secret|management-token/);
    });

    test('and has expired is read again where the server replaces it: the client keeps its id', async () => {
        const expiring = {
            client_secret: 'first-secret',
            client_secret_expires_at: inSeconds(60),
            token_endpoint_auth_method: 'client_secret_basic',
        };
        server.answers.set('POST /register', (request) => registration(request, expiring));
        server.answers.set('POST /token', { body: tokens });
        await createIntegration(valetkey, 'expiring', 'dynamic');
        const id = await connect('expiring');
        const client = `client-${registered}`;
        valetkey.advance(61_000);
        server.answers.set(`GET /register/${client}`, {
            body: {
                client_id: client,
                client_secret: 'second-secret',
                client_secret_expires_at: 0,
                registration_access_token: 'management-token-again',
            },
        });
        await refresh(id, 'expiring');
        expect(tokenCalls().at(-1)!.headers.authorization).toBe(basic(client, 'second-secret'));
        expect(server.requestsTo('/register')).toHaveLength(1);
        // kept with the connection, and with the registration
        await refresh(id, 'expiring');
        expect(server.requestsTo(`/register/${client}`)).toHaveLength(1);
        server.answers.set(`DELETE /register/${client}`, { status: 204 });
        await valetkey.call('DELETE', '/integrations/expiring');
        await eventually(() =>
            expect(server.requests.at(-1)).toMatchObject({ method: 'DELETE', headers: { authorization: 'Bearer management-token-again' } }),
        );
    });

    test('and has expired is replaced with its client elsewhere: before a flow, and before a renewal', async () => {
        const expiring = () => ({
            client_secret: `secret-of-${registered}`,
            client_secret_expires_at: inSeconds(3600),
            token_endpoint_auth_method: 'client_secret_post',
        });
        server.answers.set('POST /register', (request) => registration(request, expiring()));
        server.answers.set('POST /token', { body: tokens });
        await createIntegration(valetkey, 'replaced', 'dynamic');
        const id = await connect('replaced');
        const client = registered;
        valetkey.advance(7_200_000);
        server.answers.set('POST /register', (request) =>
            registration(request, { client_secret: 'for-good', token_endpoint_auth_method: 'client_secret_post' }),
        );
        const answers = await Promise.all([refresh(id, 'replaced'), start('replaced')]);
        expect(answers[1].get('client_id')).toBe(`client-${client + 1}`);
        expect(tokenCalls().at(-1)!.params).toMatchObject({
            grant_type: 'refresh_token',
            client_id: `client-${client + 1}`,
            client_secret: 'for-good',
        });
        expect(registered).toBe(client + 1);
        // the one that is of no use any more is given back
        await eventually(() => expect(unregistered()).toEqual([`/register/client-${client}`]));
    });

    test('and is refused, while the server registers nobody: the renewal is tried again later, the grant is not given up', async () => {
        server.answers.set('POST /register', (request) =>
            registration(request, { client_secret: 'refused', token_endpoint_auth_method: 'client_secret_post' }),
        );
        server.answers.set('POST /token', { body: tokens });
        await createIntegration(valetkey, 'refused', 'dynamic');
        const id = await connect('refused');
        server.answers.set('POST /token', { status: 401, body: { error: 'invalid_client' } });
        server.answers.set('POST /register', { status: 503 });
        await refresh(id, 'refused');
        const [row] = await valetkey.query<{ auth_state: string }>('select auth_state from connections where connection_id = $1', [id]);
        expect(row!.auth_state).toBe('degraded');
    });
});

describe('an integration of a server that reads a document', () => {
    test('is not created where nobody could fetch the document', async () => {
        const created = await create('cimd', 'unreachable');
        expect([created.status, created.body.error!.code]).toEqual([400, 'invalid_body']);
        expect(created.body.error!.message).toContain('VALETKEY_PUBLIC_URL');
        expect(await exists('unreachable')).toBe(false);
    });
});

describe('an integration of a server that neither registers nor reads', () => {
    test('needs a client before a flow can start', async () => {
        await createIntegration(valetkey, 'unfinished', 'static');
        const token = await createSession(valetkey);
        const answer = await valetkey.call('GET', `/oauth/connect/unfinished?connect_session_token=${token}`, { key: null });
        expect([answer.status, answer.text.includes('provider_config_err')]).toEqual([400, true]);
        await valetkey.call('PATCH', '/integrations/unfinished', {
            body: { credentials: { type: 'OAUTH2', client_id: 'by-hand', client_secret: 'a-client-secret' } },
        });
        expect((await start('unfinished')).get('client_id')).toBe('by-hand');
    });
});

describe('a settings document', () => {
    const apply = (document: Record<string, unknown>, query = '') =>
        valetkey.call<{ data?: { changes: { path: string }[] }; error?: { code: string } }>('PUT', `/environment/config${query}`, { body: document });

    test('registers for the integrations that it makes, once, and at the address that it sets', async () => {
        const document = {
            version: 1,
            environment: { callback_url: 'https://relay.example.com/callback' },
            integrations: { declared: { provider: 'dynamic', custom: { oauth_client_name: { secret: 'name' } } }, other: { provider: 'static' } },
            secrets: { name: 'Acme' },
        };
        expect((await apply(document, '?dry_run=true')).status).toBe(200);
        expect(server.requests).toEqual([]);
        try {
            const applied = await apply(document);
            expect(applied.status, applied.text).toBe(200);
            expect(JSON.parse(server.requestsTo('/register')[0]!.body)).toMatchObject({
                client_name: 'Acme',
                redirect_uris: ['https://relay.example.com/callback'],
            });
            expect(await registrationsOf('declared')).toHaveLength(1);
            expect((await apply(document)).body.data!.changes).toEqual([]);
            expect(server.requestsTo('/register')).toHaveLength(1);
            expect((await start('declared')).get('client_id')).toBe(`client-${registered}`);
        } finally {
            await valetkey.call('PATCH', '/environment', { body: { callback_url: null } });
        }
    });

    test('with a mistake registers nothing; with a server that refuses it makes nothing, and gives back what others gave', async () => {
        expect((await apply({ version: 1, integrations: { one: { provider: 'dynamic' }, two: { provider: 'no-such' } } })).status).toBe(400);
        expect(server.requests).toEqual([]);
        let calls = 0;
        server.answers.set('POST /register', (request) => {
            calls += 1;
            return calls === 1 ? registration(request) : { status: 400, body: { error: 'invalid_client_metadata' } };
        });
        const refused = await apply({ version: 1, integrations: { one: { provider: 'dynamic' }, two: { provider: 'dynamic' } } });
        expect([refused.status, refused.body.error!.code]).toEqual([400, 'client_registration_failed']);
        expect([await exists('one'), await exists('two')]).toEqual([false, false]);
        await eventually(() => expect(unregistered()).toEqual([`/register/client-${registered}`]));
    });
});

test('a connection of an MCP provider is imported with OAUTH2 credentials (A6)', async () => {
    const credentials = {
        type: 'OAUTH2',
        access_token: 'imported',
        refresh_token: 'imported-too',
        config_override: { client_id: 'public-elsewhere' },
    };
    await createIntegration(valetkey, 'importing', 'dynamic');
    await createIntegration(valetkey, 'importing-generic', 'generic');
    server.answers.set('POST /token', { body: { access_token: 'renewed', expires_in: 3600 } });
    const imported = async (provider: string, extra: Record<string, unknown> = {}) => {
        const body = { provider_config_key: provider, connection_id: `of-${provider}`, credentials, ...extra };
        const answer = await valetkey.call('POST', '/connections', { body });
        expect(answer.status, answer.text).toBe(201);
        await valetkey.call('GET', `/connections/of-${provider}?provider_config_key=${provider}&force_refresh=true`);
        return server.requestsTo('/token').at(-1)?.params;
    };
    expect(await imported('importing')).toEqual({ grant_type: 'refresh_token', refresh_token: 'imported-too', client_id: 'public-elsewhere' });
    server.requests.length = 0;
    // as the reference stores it: the client as text
    const connection_config = {
        mcp_server_url: server.url,
        oauth_metadata: { issuer: server.origin, token_endpoint: `${server.origin}/token` },
        oauth_client_info: JSON.stringify({ client_id: 'theirs', redirect_uris: ['https://elsewhere.example'] }),
        oauth_resource_url: server.url,
    };
    expect(await imported('importing-generic', { connection_config })).toEqual({
        grant_type: 'refresh_token',
        refresh_token: 'imported-too',
        client_id: 'theirs',
        resource: server.url,
    });
    const { body } = await valetkey.call('GET', '/connections/of-importing-generic?provider_config_key=importing-generic');
    expect(body['connection_config']).toEqual({ mcp_server_url: server.url });
    expect(await valetkey.query('select 1 from connections where connection_config ? $1', ['oauth_client_info'])).toEqual([]);
});
