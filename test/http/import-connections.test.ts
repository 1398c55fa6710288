/** POST /connections: credentials that the backend holds already (http-api §8.3). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ConnectionObject } from '../../src/http/connection-schema.ts';
import { providersFile } from '../e2e/provider-entries.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';
import { everyEntry, insertEveryIntegration, insertIntegration, startAccountServer, type AccountServer } from './import-entries.ts';

let valetkey: TestApp;
let account: AccountServer;

const tenant = {
    tenant: {
        display_name: 'Tenant',
        categories: ['other'],
        auth_mode: 'API_KEY',
        proxy: { base_url: 'https://${connectionConfig.subdomain}.example.com/${connectionConfig.version}' },
        connection_config: {
            subdomain: { type: 'string', title: 'Subdomain', description: 'As in your address.', example: 'acme', pattern: '^[a-z0-9-]+$' },
            version: { type: 'string', title: 'Version', description: 'Of the API.', default_value: 'v1', example: 'v1' },
        },
        credentials: {
            apiKey: { type: 'string', title: 'API key', description: 'Starts with k-.', pattern: '^k-[a-z]+$', example: 'k-abc', secret: true },
        },
    },
};

beforeAll(async () => {
    account = await startAccountServer();
    valetkey = await startTestApp({
        providers: providersFile(...everyEntry(account.url), tenant),
        env: { VALETKEY_OAUTH2_TOKEN_MAX_LENGTH: '100' },
    });
    await insertEveryIntegration(valetkey);
    await insertIntegration(valetkey, { provider: 'tenant' });
    await insertIntegration(valetkey, { provider: 'gone', key: 'leaving' });
    await valetkey.call('PATCH', '/environment/webhooks', { body: { primary_url: 'https://hooks.example.com' } });
});
afterAll(async () => {
    await valetkey?.close();
    await account?.close();
});
beforeEach(async () => {
    account.requests = [];
    account.answer = { status: 200, body: {} };
    account.meanwhile = undefined;
    await valetkey.query('delete from webhook_deliveries');
    await valetkey.query('delete from webhook_events');
});

type Connection = Record<string, unknown> & { connection_id: string; credentials: Record<string, unknown> };
const post = (body: unknown, key?: string) => valetkey.call<Connection>('POST', '/connections', { body, ...(key === undefined ? {} : { key }) });
const imported = async (body: Record<string, unknown>): Promise<Connection> => {
    const answer = await post(body);
    expect(answer.status, answer.text).toBe(201);
    // exactly what the description of the API says
    expect(ConnectionObject.parse(answer.body)).toEqual(answer.body);
    return answer.body;
};
const read = async (id: string, integration: string, query = ''): Promise<Connection> => {
    const answer = await valetkey.call<Connection>('GET', `/connections/${id}?provider_config_key=${integration}${query}`);
    expect(answer.status, answer.text).toBe(200);
    expect(ConnectionObject.parse(answer.body)).toEqual(answer.body);
    return answer.body;
};
const issues = (answer: Answer<unknown>): unknown =>
    (answer.body as { error: { errors?: { code: string; path: string[] }[] } }).error.errors?.map(({ code, path }) => [code, path]);
const simple = (code: string) => ({ error: { code, message: expect.stringMatching(/.{10}/) as string } });
const webhooks = async (): Promise<Record<string, unknown>[]> =>
    (await valetkey.query<{ body: string }>('select body from webhook_events')).map(({ body }) => JSON.parse(body) as Record<string, unknown>);

const oauth2 = { type: 'OAUTH2', access_token: 'a-token', refresh_token: 'r-token', expires_at: '2031-01-02T03:04:05Z' };
const ofOauth2 = (rest: Record<string, unknown> = {}) => ({ provider_config_key: 'oauth2', credentials: oauth2, ...rest });
const ofNone = (rest: Record<string, unknown> = {}) => ({ provider_config_key: 'none', credentials: { type: 'NONE' }, ...rest });

describe('the answer', () => {
    test('is the whole connection, with dates in Z, a new id, and every secret that was sent', async () => {
        const date = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string;
        const answer = await post(ofOauth2());
        expect(answer.status).toBe(201);
        expect(answer.headers['cache-control']).toBe('no-store');
        expect(answer.body).toEqual({
            id: expect.any(Number) as number,
            connection_id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab]/) as string,
            provider: 'oauth2',
            provider_config_key: 'oauth2',
            errors: [],
            post_connection_status: null,
            end_user: null,
            tags: {},
            metadata: {},
            connection_config: {},
            webhook_url_override: null,
            created_at: date,
            updated_at: date,
            last_fetched_at: null,
            credentials_expires_at: '2031-01-02T03:04:05.000Z',
            credentials_expires_at_source: 'import',
            refresh_token_expires_at: null,
            credentials: { ...oauth2, expires_at: '2031-01-02T03:04:05.000Z', raw: oauth2 },
        });
    });

    test('names the end user of this call, and no other', async () => {
        const end_user = { id: 'ann', email: 'ann@example.com', tags: { Plan: 'gold' } };
        const first = await imported(ofNone({ connection_id: 'with-user', end_user }));
        expect(first['end_user']).toEqual({ id: 'ann', email: 'ann@example.com', display_name: null, tags: { Plan: 'gold' }, organization: null });
        const second = await imported(ofNone({ connection_id: 'with-user' }));
        expect(second['end_user']).toBeNull();
        expect((await read('with-user', 'none'))['end_user']).toEqual(first['end_user']);
    });

    test('shows stored secrets of the configuration only to those who may read credentials', async () => {
        await imported(ofNone({ connection_id: 'secretive', connection_config: { client_secret: 'hidden', region: 'eu' } }));
        const key = await valetkey.insertKey({ scopes: ['environment:connections:create'] });
        const body = ofNone({ connection_id: 'secretive', connection_config: { api_token: 'mine' } });
        expect((await post(body, key)).body['connection_config']).toEqual({ region: 'eu', api_token: 'mine' });
        expect((await imported(body))['connection_config']).toEqual({ region: 'eu', client_secret: 'hidden', api_token: 'mine' });
        const rows = await valetkey.query(`select connection_config from connections where connection_id = 'secretive'`);
        expect(rows).toEqual([{ connection_config: { region: 'eu' } }]);
    });

    test('shows nobody what a flow has left for renewals (M5)', async () => {
        await imported(ofNone({ connection_id: 'flow-left', connection_config: { oauth_client_info: { client_secret: 'hidden' }, region: 'eu' } }));
        expect((await imported(ofNone({ connection_id: 'flow-left' })))['connection_config']).toEqual({ region: 'eu' });
    });
});

describe('credentials, as they are read back', () => {
    const submitted: [string, Record<string, unknown>, Record<string, unknown>, Record<string, unknown>?][] = [
        [
            'oauth2',
            { type: 'OAUTH2', access_token: 'a', config_override: { client_id: 'i', client_secret: 's' } },
            {
                type: 'OAUTH2',
                access_token: 'a',
                config_override: { client_id: 'i', client_secret: 's' },
                raw: { type: 'OAUTH2', access_token: 'a', config_override: { client_id: 'i', client_secret: 's' } },
            },
        ],
        [
            'cc',
            {
                type: 'OAUTH2_CC',
                token: 't',
                client_id: 'i',
                client_secret: 's',
                client_certificate: 'c',
                client_private_key: 'k',
                expires_at: 1925000000,
            },
            {
                type: 'OAUTH2_CC',
                token: 't',
                client_id: 'i',
                client_secret: 's',
                client_certificate: 'c',
                client_private_key: 'k',
                expires_at: '2031-01-01T02:13:20.000Z',
                raw: {
                    type: 'OAUTH2_CC',
                    token: 't',
                    client_id: 'i',
                    client_secret: 's',
                    client_certificate: 'c',
                    client_private_key: 'k',
                    expires_at: 1925000000,
                },
            },
        ],
        [
            'oauth1',
            { type: 'OAUTH1', oauth_token: 't', oauth_token_secret: 's' },
            {
                type: 'OAUTH1',
                oauth_token: 't',
                oauth_token_secret: 's',
                raw: { type: 'OAUTH1', oauth_token: 't', oauth_token_secret: 's' },
            },
        ],
        ['basic', { type: 'BASIC', username: '', password: '' }, { type: 'BASIC', username: '', password: '' }],
        ['keys', { type: 'API_KEY', apiKey: 'k' }, { type: 'API_KEY', apiKey: 'k' }],
        ['none', { type: 'NONE' }, {}],
        [
            'tba',
            { type: 'TBA', token_id: 'i', token_secret: 's' },
            { type: 'TBA', token_id: 'i', token_secret: 's', config_override: {} },
            { accountId: 'a1' },
        ],
        [
            'tba',
            { type: 'TBA', token_id: 'i', token_secret: 's', config_override: { client_id: 'ci' } },
            { type: 'TBA', token_id: 'i', token_secret: 's', config_override: { client_id: 'ci' } },
            { accountId: 'a1' },
        ],
    ];
    test.each(submitted)('%s: %j', async (integration, credentials, expected, connection_config = {}) => {
        const created = await imported({ provider_config_key: integration, credentials, connection_config });
        expect(created.credentials).toEqual(expected);
        const connection = await read(created.connection_id, integration, '&refresh_token=true');
        expect(connection.credentials).toEqual(expected);
        // no consumer secret, or anything else, is added to what was given
        expect(connection['connection_config']).toEqual(connection_config);
        const rows = await valetkey.query(`select credential_type, auth_state from connections where connection_id = $1`, [created.connection_id]);
        expect(rows).toEqual([{ credential_type: credentials['type'], auth_state: 'ok' }]);
    });

    test('refresh tokens are left out at any depth unless asked for', async () => {
        const { connection_id } = await imported(ofOauth2({ connection_config: { nested: { refreshToken: 'x', refresh_token_expires_in: 5 } } }));
        const plain = await read(connection_id, 'oauth2');
        const { refresh_token: _, ...raw } = oauth2;
        expect(plain.credentials).toEqual({ ...raw, expires_at: '2031-01-02T03:04:05.000Z', raw });
        expect(plain['connection_config']).toEqual({ nested: { refresh_token_expires_in: 5 } });
        const whole = await read(connection_id, 'oauth2', '&refresh_token=true');
        expect(whole.credentials).toEqual({ ...oauth2, expires_at: '2031-01-02T03:04:05.000Z', raw: oauth2 });
        expect(whole['connection_config']).toEqual({ nested: { refreshToken: 'x', refresh_token_expires_in: 5 } });
    });

    test.each([
        ['2031-01-02T03:04:05+02:00', '2031-01-02T01:04:05.000Z'],
        ['2031-01-02', '2031-01-02T00:00:00.000Z'],
        [1_925_000_000_000, '2031-01-01T02:13:20.000Z'],
        [1_925_000_000, '2031-01-01T02:13:20.000Z'],
        ['1925000000', '2031-01-01T02:13:20.000Z'],
        ['2120-01-01T00:00:00Z', '2120-01-01T00:00:00.000Z'],
        [null, undefined],
        [undefined, undefined],
    ])('expires_at %j is %s', async (expires_at, expected) => {
        const { credentials } = await imported({ ...ofOauth2(), credentials: { type: 'OAUTH2', access_token: 'a', expires_at } });
        expect(credentials['expires_at']).toBe(expected);
    });
});

describe('what is refused', () => {
    const of = (credentials: Record<string, unknown>): Record<string, unknown> => ({ ...ofOauth2(), credentials });
    test.each([
        [{}, ['invalid_type', ['provider_config_key']], ['invalid_type', ['credentials']]],
        [ofOauth2({ provider_config_key: 'a/b' }), ['invalid_format', ['provider_config_key']]],
        [ofOauth2({ connection_id: '' }), ['invalid_format', ['connection_id']]],
        [ofOauth2({ connection_id: 'é' }), ['invalid_format', ['connection_id']]],
        [ofOauth2({ connection_id: 'x'.repeat(256) }), ['too_big', ['connection_id']]],
        [ofOauth2({ secret: 1 }), ['unrecognized_keys', []]],
        [ofOauth2({ credentials: 'x' }), ['invalid_type', ['credentials']]],
        [of({ type: 'MCP_OAUTH2' }), ['invalid_union', ['credentials', 'type']]],
        [of({ type: 'INSTALL_PLUGIN', token: 'x' }), ['invalid_union', ['credentials', 'type']]],
        [of({ type: 'OAUTH2' }), ['invalid_type', ['credentials', 'access_token']]],
        [of({ type: 'OAUTH2', access_token: '' }), ['too_small', ['credentials', 'access_token']]],
        // configurable
        [of({ type: 'OAUTH2', access_token: 'x'.repeat(101) }), ['too_big', ['credentials', 'access_token']]],
        [of({ type: 'OAUTH2', access_token: 'x', refresh_token: 'x'.repeat(101) }), ['too_big', ['credentials', 'refresh_token']]],
        [of({ type: 'OAUTH2', access_token: 'x', raw: {} }), ['unrecognized_keys', ['credentials']]],
        [of({ type: 'OAUTH2', access_token: 'x', expires_at: 'soon' }), ['invalid_type', ['credentials', 'expires_at']]],
        [of({ type: 'OAUTH2', access_token: 'x', expires_at: true }), ['invalid_type', ['credentials', 'expires_at']]],
        [
            of({ type: 'OAUTH2', access_token: 'x', config_override: { client_id: 'x'.repeat(256) } }),
            ['too_big', ['credentials', 'config_override', 'client_id']],
        ],
        [
            of({ type: 'OAUTH2', access_token: 'x', config_override: { client_secret: '', scopes: '' } }),
            ['too_small', ['credentials', 'config_override', 'client_secret']],
            ['unrecognized_keys', ['credentials', 'config_override']],
        ],
        [
            of({ type: 'OAUTH2_CC', token: 'x'.repeat(4097), client_id: 'i' }),
            ['too_big', ['credentials', 'token']],
            ['invalid_type', ['credentials', 'client_secret']],
        ],
        [
            of({ type: 'OAUTH2_CC', token: 't', client_id: 'i', client_secret: 's', client_certificate: 'x'.repeat(10_001) }),
            ['too_big', ['credentials', 'client_certificate']],
        ],
        [of({ type: 'OAUTH1', oauth_token: 't' }), ['invalid_type', ['credentials', 'oauth_token_secret']]],
        [of({ type: 'BASIC', username: 'u' }), ['invalid_type', ['credentials', 'password']]],
        [of({ type: 'BASIC', username: 'u', password: 'x'.repeat(1025) }), ['too_big', ['credentials', 'password']]],
        [of({ type: 'API_KEY', apiKey: '' }), ['too_small', ['credentials', 'apiKey']]],
        [of({ type: 'NONE', apiKey: 'x' }), ['unrecognized_keys', ['credentials']]],
        [of({ type: 'TBA', token_id: '', token_secret: 's' }), ['too_small', ['credentials', 'token_id']]],
        [of({ type: 'APP', app_id: '1' }), ['invalid_type', ['credentials', 'installation_id']]],
        [of({ type: 'CUSTOM', app_id: 'x'.repeat(256), installation_id: '1' }), ['too_big', ['credentials', 'app_id']]],
        [ofOauth2({ metadata: [] }), ['invalid_type', ['metadata']]],
        [ofOauth2({ connection_config: { oauth_scopes_override: 'a,b' } }), ['invalid_type', ['connection_config', 'oauth_scopes_override']]],
        [ofOauth2({ webhook_url_override: 'here' }), ['invalid_union', ['webhook_url_override']]],
        [ofOauth2({ webhook_url_override: 'https://10.0.0.1/x' }), ['custom', ['webhook_url_override']]],
        [ofOauth2({ end_user: { id: 'u', organization: { id: 'o' } } }), ['unrecognized_keys', ['end_user']]],
        [ofOauth2({ tags: { '1a': 'x' } }), ['invalid_key', ['tags', '1a']]],
    ])('%j', async (body, ...expected) => {
        const answer = await post(body);
        expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'invalid_body' } }]);
        expect(issues(answer)).toEqual(expected);
    });

    test('a query, before the body is looked at', async () => {
        const answer = await valetkey.call('POST', '/connections?x=1', { body: {} });
        expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'invalid_query_params' } }]);
    });

    test('an unknown integration and a provider that is gone are 404 here', async () => {
        for (const provider_config_key of ['unknown', 'leaving']) {
            const answer = await post(ofOauth2({ provider_config_key }));
            expect([answer.status, answer.body]).toEqual([404, simple('not_found')]);
        }
    });

    test.each(['integration', 'environment'])('an %s that is deleted while the provider is asked is 404 too', async (what) => {
        const accountKey = valetkey.app.newApiKeys.get('account')!;
        const environment = await valetkey.call<{ data: { id: number } }>('POST', '/environments', {
            key: accountKey,
            body: { name: `busy-${what}` },
        });
        const key = await valetkey.insertKey({ scopes: ['environment:*'], environment: `busy-${what}` });
        await insertIntegration(valetkey, { provider: 'keys', environment: `busy-${what}` });
        account.meanwhile = async () => {
            const deletion =
                what === 'integration'
                    ? await valetkey.call('DELETE', '/integrations/keys', { key })
                    : await valetkey.call('DELETE', `/environments/${environment.body.data.id}`, { key: accountKey });
            expect([200, 204]).toContain(deletion.status);
        };
        const answer = await post({ provider_config_key: 'keys', connection_id: 'late', credentials: { type: 'API_KEY', apiKey: 'k' } }, key);
        expect(account.requests).toHaveLength(1);
        expect([answer.status, answer.body]).toEqual([404, simple('not_found')]);
        expect(await valetkey.query(`select 1 from connections where connection_id = 'late'`)).toEqual([]);
    });

    test('credentials of another mode than the provider’s', async () => {
        const answer = await post({ provider_config_key: 'keys', credentials: oauth2 });
        expect([answer.status, answer.body]).toEqual([400, simple('invalid_body')]);
    });

    test('TBA without an account', async () => {
        const answer = await post({ provider_config_key: 'tba', credentials: { type: 'TBA', token_id: 'i', token_secret: 's' } });
        expect([answer.status, answer.body]).toEqual([400, simple('invalid_body')]);
        expect(account.requests).toEqual([]);
    });

    test('metadata that is nested too deep, and anything that recursion would not survive', async () => {
        const nested = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels));
        for (const levels of [101, 20_000]) {
            expect(issues(await post(ofNone({ metadata: { a: nested(levels) } })))).toEqual([['custom', ['metadata']]]);
            const untyped = await valetkey.call('POST', '/connection', { body: { provider_config_key: 'none', metadata: { a: nested(levels) } } });
            expect([untyped.status, issues(untyped)]).toEqual([400, [['custom', ['metadata']]]]);
        }
        expect(issues(await post(ofNone({ connection_config: { a: nested(20_000) } })))).toEqual([['custom', ['connection_config']]]);
    });

    test('more than ten tags with the generated ones', async () => {
        const tags = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`t${index}`, 'x']));
        const answer = await post(ofNone({ connection_id: 'tagged', tags, end_user: { id: 'u' } }));
        expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'invalid_body' } }]);
        expect(issues(answer)).toEqual([['custom', ['tags']]]);
        await imported(ofNone({ connection_id: 'tagged', tags }));
        // also where only the stored tags are too many for the new end user's
        expect(issues(await post(ofNone({ connection_id: 'tagged', end_user: { id: 'u' } })))).toEqual([['custom', ['tags']]]);
        expect((await read('tagged', 'none'))['end_user']).toBeNull();
    });

    test('configuration that the provider’s entry does not accept', async () => {
        const answer = await post({
            provider_config_key: 'tenant',
            credentials: { type: 'API_KEY', apiKey: 'k-a' },
            connection_config: { subdomain: 'evil.example/#' },
        });
        expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'invalid_body' } }]);
        expect(issues(answer)).toEqual([['invalid_format', ['connection_config', 'subdomain']]]);
        expect(answer.text).not.toContain('evil');
    });

    test('a key that the entry’s pattern cannot mean', async () => {
        const answer = await post({
            provider_config_key: 'tenant',
            credentials: { type: 'API_KEY', apiKey: 'K' },
            connection_config: { subdomain: 'a' },
        });
        expect([answer.status, answer.body]).toEqual([400, simple('connection_test_failed')]);
    });
});

describe('trying the credentials at the provider', () => {
    const typedIn: [string, Record<string, unknown>, Record<string, unknown>, string, RegExp][] = [
        ['keys', { type: 'API_KEY', apiKey: 'the-key' }, {}, '/me', /^Bearer the-key$/],
        ['basic', { type: 'BASIC', username: 'u', password: 'p' }, {}, '/me', /^Basic dTpw$/],
        [
            'tba',
            { type: 'TBA', token_id: 'ti', token_secret: 'ts' },
            { accountId: 'acme-sb-1' },
            '/acme-sb-1/me?limit=1',
            /^OAuth realm="ACME_SB_1", oauth_consumer_key="consumer", oauth_nonce="[0-9a-f]{32}", oauth_signature="[^"]+", oauth_signature_method="HMAC-SHA256", oauth_timestamp="\d+", oauth_token="ti", oauth_version="1.0"$/,
        ],
    ];
    test.each(typedIn)('%s: the entry says how', async (provider_config_key, credentials, connection_config, url, authorization) => {
        await imported({ provider_config_key, credentials, connection_config });
        expect(account.requests).toMatchObject([{ method: 'GET', url, headers: { authorization: expect.stringMatching(authorization) as string } }]);
    });

    test.each(typedIn)('%s: what the provider rejects is not stored', async (provider_config_key, credentials, connection_config) => {
        account.answer = { status: 401, body: {} };
        const connection_id = `rejected-${provider_config_key}`;
        const answer = await post({ provider_config_key, connection_id, credentials, connection_config });
        expect([answer.status, answer.body]).toEqual([400, simple('connection_test_failed')]);
        expect(await valetkey.query('select 1 from connections where connection_id = $1', [connection_id])).toEqual([]);
        expect(await webhooks()).toEqual([]);
        const log = await valetkey.query(`select type, action, state, error from operations where type = 'auth' and connection_id = $1`, [
            connection_id,
        ]);
        expect(log).toMatchObject([{ type: 'auth', action: 'create_connection', state: 'failed', error: { type: 'connection_test_failed' } }]);
    });

    test.each(typedIn)('%s: what the provider cannot be asked about is not stored', async (provider_config_key, credentials, connection_config) => {
        account.answer = { status: 503, body: {} };
        const connection_id = `unproven-${provider_config_key}`;
        const answer = await post({ provider_config_key, connection_id, credentials, connection_config });
        expect([answer.status, answer.body]).toEqual([503, simple('verification_unavailable')]);
        expect(await valetkey.query('select 1 from connections where connection_id = $1', [connection_id])).toEqual([]);
    });

    test.each(typedIn)('%s: … unless the environment keeps it all the same (A3)', async (provider_config_key, credentials, connection_config) => {
        await valetkey.call('PATCH', '/environment', { body: { accept_unverified_credentials: true } });
        try {
            account.answer = { status: 503, body: {} };
            const connection_id = `kept-${provider_config_key}`;
            const body = { provider_config_key, connection_id, credentials, connection_config };
            expect(await imported(body)).toMatchObject({ connection_id, errors: [], credentials });
            expect(await webhooks()).toMatchObject([{ operation: 'creation', success: true, connectionId: connection_id }]);
            const log = await valetkey.query(`select state, level, message from operations where type = 'auth' and connection_id = $1`, [
                connection_id,
            ]);
            expect(log).toEqual([
                { state: 'success', level: 'warn', message: expect.stringMatching(/^Connection imported, untested: .*\(503\)\.$/) as string },
            ]);
            account.answer = { status: 401, body: {} };
            expect((await post({ ...body, connection_id: `${connection_id}-wrong` })).body).toEqual(simple('connection_test_failed'));
        } finally {
            await valetkey.call('PATCH', '/environment', { body: { accept_unverified_credentials: false } });
        }
    });

    test('an override is tried with the configuration that is stored', async () => {
        const tba = { provider_config_key: 'tba', connection_id: 'kept-account', credentials: { type: 'TBA', token_id: 'i', token_secret: 's' } };
        await imported({ ...tba, connection_config: { accountId: 'a-1' } });
        await imported(tba);
        expect(account.requests.map(({ url }) => url)).toEqual(['/a-1/me?limit=1', '/a-1/me?limit=1']);
    });

    test('tokens are not: the provider is not asked', async () => {
        await imported(ofOauth2());
        await imported({ provider_config_key: 'oauth1', credentials: { type: 'OAUTH1', oauth_token: 't', oauth_token_secret: 's' } });
        expect(account.requests).toEqual([]);
    });
});

describe('side effects', () => {
    test('a webhook of a creation, then of an override, both without an end user', async () => {
        await imported(ofNone({ connection_id: 'told', end_user: { id: 'ann' }, tags: { team: 'blue' } }));
        const event = {
            from: 'nango',
            type: 'auth',
            connectionId: 'told',
            providerConfigKey: 'none',
            provider: 'none',
            authMode: 'NONE',
            environment: 'dev',
            success: true,
            tags: { end_user_id: 'ann', team: 'blue' },
        };
        expect(await webhooks()).toEqual([{ ...event, operation: 'creation' }]);
        await valetkey.query('delete from webhook_deliveries');
        await valetkey.query('delete from webhook_events');
        await imported(ofNone({ connection_id: 'told' }));
        expect(await webhooks()).toEqual([{ ...event, operation: 'override' }]);
    });

    test('the webhook goes to the override of the connection', async () => {
        await imported(ofNone({ webhook_url_override: 'https://own.example.com/hook' }));
        expect(await valetkey.query('select destination, url from webhook_deliveries')).toEqual([
            { destination: 'override', url: 'https://own.example.com/hook' },
        ]);
    });

    test('an operation in the log', async () => {
        const { connection_id } = await imported(ofNone());
        const log = await valetkey.query(`select type, action, state, error from operations where type = 'auth' and connection_id = $1`, [
            connection_id,
        ]);
        expect(log).toEqual([{ type: 'auth', action: 'create_connection', state: 'success', error: null }]);
    });

    test('an override clears the error of the connection and its failures', async () => {
        const { connection_id } = await imported(ofOauth2());
        await valetkey.query(
            `update connections set auth_state = 'needs_reauth', refresh_attempts = 5, last_refresh_failure = now(),
             auth_error = '{"type": "x", "description": "y", "log_id": "op_1", "since": "z"}' where connection_id = $1`,
            [connection_id],
        );
        expect((await imported(ofOauth2({ connection_id })))['errors']).toEqual([]);
        const rows = await valetkey.query(
            'select auth_state, auth_error, refresh_attempts, last_refresh_failure from connections where connection_id = $1',
            [connection_id],
        );
        expect(rows).toEqual([{ auth_state: 'ok', auth_error: null, refresh_attempts: 0, last_refresh_failure: null }]);
    });

    test('another environment’s connection of the same id is another one', async () => {
        await insertIntegration(valetkey, { provider: 'none', environment: 'prod' });
        const dev = await imported(ofNone({ connection_id: 'same', metadata: { of: 'dev' } }));
        const prod = await post(ofNone({ connection_id: 'same', metadata: { of: 'prod' } }), valetkey.prodKey);
        expect(prod.body['id']).not.toBe(dev['id']);
        expect((await read('same', 'none'))['metadata']).toEqual({ of: 'dev' });
    });

    test('of many that create the same connection at once, one does and the others override it', async () => {
        const answers = await Promise.all(Array.from({ length: 6 }, (_, n) => post(ofNone({ connection_id: 'raced', metadata: { n } }))));
        expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => 201));
        expect(new Set(answers.map(({ body }) => body['id'])).size).toBe(1);
        const operations = (await webhooks()).map((event) => event['operation']);
        expect(operations.toSorted()).toEqual(['creation', ...Array.from({ length: 5 }, () => 'override')]);
    });

    test('a store that fails is a server_error that gives nothing away', async () => {
        await valetkey.query('alter table webhook_events rename to webhook_events_away');
        try {
            const answer = await post(ofOauth2());
            expect([answer.status, answer.body]).toEqual([500, simple('server_error')]);
            expect(answer.text).not.toMatch(/webhook_events|a-token/);
        } finally {
            await valetkey.query('alter table webhook_events_away rename to webhook_events');
        }
    });
});
