/** POST /api-auth/api-key and /api-auth/basic: credentials that a person types in (http-api §12). */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { apiKeyEntry, basicEntry, oauth2Entry, providersFile } from '../e2e/provider-entries.ts';
import { createIntegration, createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';

let valetkey: TestApp;
let account: Server;
/** What the account answers next, and what it was asked. */
let status = 200;
let asked: { url: string | undefined; authorization: string | undefined }[] = [];
let token: string;

/** A host slot in its API address, with a rule of its own. */
const tenantEntry = {
    tenant: {
        display_name: 'Tenant',
        categories: ['other'],
        auth_mode: 'API_KEY',
        proxy: {
            base_url: 'https://${connectionConfig.subdomain}.example.com',
            headers: { authorization: 'Bearer ${apiKey}' },
            verification: { method: 'GET', endpoints: ['/me'] },
        },
        connection_config: {
            subdomain: { type: 'string', title: 'Subdomain', description: 'As in your address.', example: 'acme', pattern: '^[a-z0-9-]+$' },
        },
        credentials: { apiKey: { type: 'string', title: 'API key', description: 'Starts with k-.', pattern: '^k-[a-z]+$', example: 'k-abc' } },
    },
};

beforeAll(async () => {
    account = createServer((request, response) => {
        asked.push({ url: request.url, authorization: request.headers.authorization });
        if (status === 0) {
            request.socket.destroy();
            return;
        }
        response.writeHead(status, { 'content-type': 'application/json', location: 'https://elsewhere.example' }).end('{"secret":"of the account"}');
    });
    await new Promise<void>((resolve) => account.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(account.address() as AddressInfo).port}`;
    const oauth = { authorizationEndpoint: `${url}/authorize`, tokenEndpoint: `${url}/token` };
    valetkey = await startTestApp({
        providers: providersFile(
            apiKeyEntry('keys', url),
            basicEntry('basic', url),
            oauth2Entry('oauth', oauth),
            untestedKeyEntry('untested'),
            tenantEntry,
            { open: { display_name: 'Open', categories: ['other'], auth_mode: 'NONE', proxy: { base_url: url } } },
        ),
    });
    await createIntegration(valetkey, 'keys', 'keys');
    await createIntegration(valetkey, 'basic', 'basic');
    await createIntegration(valetkey, 'tenant', 'tenant');
    await createIntegration(valetkey, 'open', 'open');
    await createIntegration(valetkey, 'oauth', 'oauth', { credentials: { type: 'OAUTH2', client_id: 'i', client_secret: 's' } });
    await createIntegration(valetkey, 'leaving', 'untested');
    // a provider that was taken out of the operator's file
    await valetkey.query(`update integrations set provider = 'no-longer-there' where unique_key = 'leaving'`);
    await valetkey.call('PATCH', '/environment/webhooks', { body: { primary_url: 'https://hooks.example.com' } });
});

afterAll(async () => {
    await valetkey?.close();
    await new Promise((resolve) => account?.close(resolve));
});

beforeEach(async () => {
    status = 200;
    asked = [];
    token = await createSession(valetkey);
    await valetkey.query('delete from webhook_deliveries');
    await valetkey.query('delete from webhook_events');
});

const post = (path: string, body: unknown, query = ''): Promise<Answer<{ connectionId: string; providerConfigKey: string }>> =>
    valetkey.call('POST', `/api-auth/${path}?connect_session_token=${token}${query}`, { key: null, body });
const issues = (answer: Answer<unknown>): unknown =>
    (answer.body as { error: { errors?: { code: string; path: string[] }[] } }).error.errors?.map(({ code, path }) => [code, path]);
const simple = (code: string) => ({ error: { code, message: expect.stringMatching(/.{10}/) as string } });
const webhooks = async (): Promise<unknown[]> =>
    (await valetkey.query<{ body: string }>('select body from webhook_events')).map(({ body }) => {
        const { operation, success, authMode } = JSON.parse(body) as Record<string, unknown>;
        return [authMode, operation, success];
    });
const outcome = async (): Promise<unknown> =>
    (await valetkey.call<{ data: { outcome: unknown } }>('GET', '/connect/session', { key: token })).body.data.outcome;
const count = async (): Promise<number> => (await valetkey.query('select 1 from connections')).length;

describe('success', () => {
    test('an API key is proved at the provider, stored and told', async () => {
        const answer = await post('api-key/keys', { apiKey: ' the-key ' });
        expect([answer.status, answer.body]).toEqual([
            200,
            { connectionId: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4/) as string, providerConfigKey: 'keys' },
        ]);
        // blanks around a pasted key are not part of it
        expect(asked).toEqual([{ url: '/me', authorization: 'Bearer the-key' }]);
        expect(await webhooks()).toEqual([['API_KEY', 'creation', true]]);
        expect(await outcome()).toMatchObject({ status: 'success', connection_id: answer.body.connectionId });
    });

    test('what cannot be told is not stored: connection and webhook are one transaction (W1)', async () => {
        const before = await count();
        await valetkey.query('alter table webhook_events rename to webhook_events_away');
        try {
            expect((await post('api-key/keys', { apiKey: 'the-key' })).status).toBe(500);
        } finally {
            await valetkey.query('alter table webhook_events_away rename to webhook_events');
        }
        expect(await count()).toBe(before);
    });

    test.each([
        [{ username: 'ann', password: ' p w ' }, 'ann: p w '],
        [{ username: 'ann' }, 'ann:'],
        [{ password: 'pw' }, ':pw'],
        [{ username: 'ü', password: '☃' }, 'ü:☃'],
    ])('Basic with %j', async (body, pair) => {
        const answer = await post('basic/basic', body);
        expect(answer.status, answer.text).toBe(200);
        expect(asked).toEqual([{ url: '/me', authorization: `Basic ${Buffer.from(pair).toString('base64')}` }]);
        const connection = await valetkey.call('GET', `/connections/${answer.body.connectionId}?provider_config_key=basic`);
        const [username, password] = [pair.slice(0, pair.indexOf(':')), pair.slice(pair.indexOf(':') + 1)];
        expect(connection.body).toMatchObject({ credentials: { type: 'BASIC', username, password } });
    });

    test('whatever else the client sends along is ignored', async () => {
        const query =
            '&hmac=x&user_scope=a&authorization_params[state]=evil&public_key=y&anything=z&params[a]=1&params[b][c]=2&params[webhook_url]=https://evil.example';
        const answer = await post('api-key/keys', { apiKey: 'k' }, query);
        expect(answer.status).toBe(200);
        const connection = await valetkey.call('GET', `/connections/${answer.body.connectionId}?provider_config_key=keys`);
        expect(connection.body).toMatchObject({ connection_config: { a: '1' }, webhook_url_override: null });
    });
});

describe('POST /auth/unauthenticated', () => {
    const connect = (options: object = {}, query = '', key = 'open'): Promise<Answer<{ connectionId: string }>> =>
        valetkey.call('POST', `/auth/unauthenticated/${key}?connect_session_token=${token}${query}`, { key: null, ...options });
    const json = { 'content-type': 'application/json' };

    test.each([
        ['no body', {}],
        ['an empty JSON body, as the official client sends it', { headers: { ...json, 'content-length': '0' }, body: '' }],
        ['{}', { body: {} }],
    ])('connects with %s: a configuration and no credentials', async (_name, options) => {
        const answer = await connect(options, '&params[region]=eu');
        expect([answer.status, answer.body]).toEqual([200, { connectionId: expect.any(String) as string, providerConfigKey: 'open' }]);
        const connection = await valetkey.call('GET', `/connections/${answer.body.connectionId}?provider_config_key=open&force_refresh=true`);
        expect([connection.status, connection.body]).toMatchObject([200, { connection_config: { region: 'eu' }, errors: [] }]);
        expect(connection.body['credentials']).toEqual({});
        expect([await webhooks(), asked]).toEqual([[['NONE', 'creation', true]], []]);
    });

    test('takes nothing else, and is for such providers only', async () => {
        const body = await connect({ body: { apiKey: 'k' } }, '&connection_id=a%7Cb', 'no%2Fsuch');
        expect([body.status, issues(body)]).toEqual([400, [['unrecognized_keys', []]]]);
        const mode = await connect({}, '', 'keys');
        expect([mode.status, mode.body]).toEqual([400, simple('invalid_auth_mode')]);
        const other = await post('api-key/open', { apiKey: 'k' });
        expect([other.status, other.body]).toEqual([400, simple('invalid_auth_mode')]);
    });
});

describe('order of checks', () => {
    test('body, then query, then path, then the connection id that a session decides itself, then what is named', async () => {
        const all = '&params=x&connection_id=mine';
        const body = await post('api-key/no%2Fsuch', {}, all);
        expect([body.status, body.body]).toMatchObject([400, { error: { code: 'invalid_body' } }]);
        const query = await post('api-key/no%2Fsuch', { apiKey: 'k' }, all);
        expect([query.body, issues(query)]).toMatchObject([{ error: { code: 'invalid_query_params' } }, [['invalid_type', ['params']]]]);
        const path = await post('api-key/no%2Fsuch', { apiKey: 'k' }, '&connection_id=mine');
        expect([path.body, issues(path)]).toMatchObject([{ error: { code: 'invalid_uri_params' } }, [['invalid_format', ['providerConfigKey']]]]);
        const id = await post('api-key/none', { apiKey: 'k' }, '&connection_id=mine');
        expect([id.body, issues(id)]).toMatchObject([{ error: { code: 'invalid_query_params' } }, [['custom', ['connection_id']]]]);
        const impossible = await post('api-key/none', { apiKey: 'k' }, '&connection_id=a%7Fb');
        expect(issues(impossible)).toEqual([['invalid_format', ['connection_id']]]);
        const integration = await post('api-key/none', { apiKey: 'k' });
        expect([integration.status, integration.body]).toEqual([404, simple('unknown_provider_config')]);
        expect(asked).toEqual([]);
    });

    test.each<[string, string, unknown, unknown]>([
        ['no key', 'api-key', {}, [['invalid_type', ['apiKey']]]],
        ['an empty key', 'api-key', { apiKey: '' }, [['too_small', ['apiKey']]]],
        ['a key of 1025', 'api-key', { apiKey: 'k'.repeat(1025) }, [['too_big', ['apiKey']]]],
        ['a key that is a number', 'api-key', { apiKey: 1 }, [['invalid_type', ['apiKey']]]],
        ['something beside the key', 'api-key', { apiKey: 'k', username: 'u' }, [['unrecognized_keys', []]]],
        ['a list', 'api-key', [], [['invalid_type', []]]],
        ['a user name of 1025', 'basic', { username: 'u'.repeat(1025) }, [['too_big', ['username']]]],
        ['a password that is null', 'basic', { username: 'u', password: null }, [['invalid_type', ['password']]]],
        ['something beside the two', 'basic', { username: 'u', type: 'BASIC' }, [['unrecognized_keys', []]]],
    ])('%s is refused', async (_name, kind, body, expected) => {
        const answer = await post(`${kind}/${kind === 'basic' ? 'basic' : 'keys'}`, body);
        expect([answer.status, issues(answer)]).toEqual([400, expected]);
    });
});

describe('refusals that a person can act on: a message, no webhook, no connection', () => {
    test.each<[string, () => Promise<Answer<unknown>>, number, string]>([
        ['another way of connecting', () => post('api-key/basic', { apiKey: 'k' }), 400, 'invalid_auth_mode'],
        ['an OAuth provider', () => post('basic/oauth', {}), 400, 'invalid_auth_mode'],
        ['a provider that is gone', () => post('api-key/leaving', { apiKey: 'k' }), 404, 'unknown_provider_template'],
        ['a control character in a user name', () => post('basic/basic', { username: 'a\nb' }), 400, 'connection_test_failed'],
        ['a key that cannot be right', () => post('api-key/tenant', { apiKey: 'wrong' }, '&params[subdomain]=acme'), 400, 'connection_test_failed'],
        ['a parameter that is missing', () => post('api-key/tenant', { apiKey: 'k-a' }), 400, 'invalid_query_params'],
        [
            'a parameter that is no label',
            () => post('api-key/tenant', { apiKey: 'k-a' }, '&params[subdomain]=evil.com%2F%23'),
            400,
            'invalid_query_params',
        ],
    ])('%s', async (_name, ask, expected, code) => {
        const before = await count();
        const answer = await ask();
        expect([answer.status, answer.body]).toEqual([expected, simple(code)]);
        expect([await webhooks(), asked, await count()]).toEqual([[], [], before]);
    });

    test('the parameter is named, its value is not', async () => {
        const answer = await post('api-key/tenant', { apiKey: 'k-a' }, '&params[subdomain]=evil.com%2F%23');
        expect(answer.text).toContain('subdomain');
        expect(answer.text).not.toContain('evil.com');
        expect(await outcome()).toMatchObject({ status: 'error', error: { type: 'url_param_err' } });
    });

    test.each([
        [401, 'rejected'],
        [403, 'rejected'],
        [302, 'did not confirm'],
        [404, 'did not confirm'],
    ])('the provider answers %i: it %s these credentials', async (answered, words) => {
        status = answered;
        const before = await count();
        const answer = await post('api-key/keys', { apiKey: 'a-wrong-key' });
        expect([answer.status, answer.body]).toEqual([
            400,
            { error: { code: 'connection_test_failed', message: expect.stringContaining(words) as string } },
        ]);
        expect(answer.text).not.toMatch(/a-wrong-key|of the account|elsewhere/);
        expect([await webhooks(), await count()]).toEqual([[], before]);
        expect(await outcome()).toMatchObject({ status: 'error', error: { type: 'connection_test_failed' } });
    });

    test.each([429, 500, 503, 0])('the provider answers %i: that says nothing about the credentials', async (answered) => {
        status = answered;
        const before = await count();
        const answer = await post('api-key/keys', { apiKey: 'perhaps-right' });
        expect([answer.status, answer.body]).toEqual([503, simple('verification_unavailable')]);
        expect(answer.text).not.toMatch(/perhaps-right|of the account/);
        expect([await webhooks(), await count()]).toEqual([[], before]);
        expect(await outcome()).toMatchObject({ status: 'error', error: { type: 'verification_unavailable' } });
        status = 200;
        expect((await post('api-key/keys', { apiKey: 'perhaps-right' })).status).toBe(200);
    });

    test('where the environment keeps what cannot be tested, the person sees a success (A3)', async () => {
        await valetkey.call('PATCH', '/environment', { body: { accept_unverified_credentials: true } });
        try {
            status = 503;
            const answer = await post('api-key/keys', { apiKey: 'perhaps-right' });
            const { connectionId } = answer.body;
            expect([answer.status, answer.body]).toEqual([200, { connectionId: expect.any(String) as string, providerConfigKey: 'keys' }]);
            expect(await webhooks()).toEqual([['API_KEY', 'creation', true]]);
            expect(await outcome()).toMatchObject({ status: 'success', connection_id: connectionId });
            const [row] = await valetkey.query('select auth_state, auth_error, next_refresh_at from connections where connection_id = $1', [
                connectionId,
            ]);
            expect(row).toEqual({ auth_state: 'ok', auth_error: null, next_refresh_at: null });
            const warnings = valetkey
                .log()
                .split('\n')
                .filter((line) => line.includes('credentials were kept untested'));
            expect(warnings).toEqual([expect.stringContaining('could not be asked about these credentials (503)')]);
            expect(valetkey.log()).not.toContain('perhaps-right');
            status = 401;
            expect((await post('api-key/keys', { apiKey: 'wrong' })).status).toBe(400);
        } finally {
            await valetkey.call('PATCH', '/environment', { body: { accept_unverified_credentials: false } });
        }
    });

    test('the way of connecting comes before what the session allows, and that before the connection to be renewed', async () => {
        const id = (await post('api-key/keys', { apiKey: 'k' })).body.connectionId;
        const renewal = await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', {
            body: { connection_id: id, integration_id: 'keys' },
        });
        token = renewal.body.data.token;
        await valetkey.call('DELETE', `/connections/${id}?provider_config_key=keys`);
        expect((await post('api-key/basic', { apiKey: 'k' })).body).toEqual(simple('invalid_auth_mode'));
        expect((await post('basic/basic', {})).body).toEqual(simple('integration_not_allowed'));
        asked = [];
        expect((await post('api-key/keys', { apiKey: 'k' })).body).toEqual(simple('invalid_connection'));
        expect(asked).toEqual([]);
    });

    test('an integration that the session does not allow', async () => {
        token = await createSession(valetkey, { tags: {}, allowed_integrations: ['basic'] });
        const answer = await post('api-key/keys', { apiKey: 'k' });
        expect([answer.status, answer.body]).toEqual([400, simple('integration_not_allowed')]);
        expect(asked).toEqual([]);
    });
});

test('what is broken in here is 500 with a number and a failure webhook, and says nothing else', async () => {
    await valetkey.query(`alter table connections add constraint refused check (tags = '{"never": "true"}') not valid`);
    try {
        const answer = await post('api-key/keys', { apiKey: 'a-key-to-be-kept-secret' });
        expect([answer.status, answer.body]).toEqual([
            500,
            {
                error: {
                    code: 'generic_error_support',
                    message: expect.any(String) as string,
                    payload: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
                },
            },
        ]);
        expect(answer.text).not.toMatch(/constraint|refused|a-key-to-be/);
        expect(await webhooks()).toEqual([['API_KEY', 'creation', false]]);
        expect(await outcome()).toMatchObject({ status: 'error', error: { type: 'unknown_err' } });
        const { payload } = (answer.body as unknown as { error: { payload: string } }).error;
        expect(valetkey.log()).toContain(payload);
        expect(valetkey.log()).not.toContain('a-key-to-be-kept-secret');
    } finally {
        await valetkey.query('alter table connections drop constraint refused');
    }
});
