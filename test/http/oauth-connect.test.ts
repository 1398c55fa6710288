/** GET /oauth/connect and POST /oauth/flows: the first page of a popup, which redirects or says why it cannot (http-api §11.2). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { oauth2Entry, providersFile } from '../e2e/provider-entries.ts';
import { createIntegration, createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';

const server = { authorizationEndpoint: 'https://auth.example.com/authorize?tenant=7', tokenEndpoint: 'https://auth.example.com/token' };
const app = { type: 'OAUTH2', client_id: 'the-client', client_secret: 'the-client-secret' };
let valetkey: TestApp;

beforeAll(async () => {
    valetkey = await startTestApp({
        env: { VALETKEY_PUBLIC_URL: 'https://valetkey.example.org' },
        providers: providersFile(
            untestedKeyEntry('keys'),
            oauth2Entry('plain', server),
            oauth2Entry('special', server, {
                disable_pkce: true,
                scope_separator: ',',
                authorization_params: { prompt: 'login', audience: '${connectionConfig.audience}' },
                connection_config: { audience: { type: 'string', title: 'Audience', description: 'Of the API.', example: 'api' } },
            }),
        ),
    });
    for (const key of ['plain', 'special']) {
        await createIntegration(valetkey, key, key, { credentials: { ...app, scopes: 'read,write' } });
    }
    await createIntegration(valetkey, 'keys', 'keys');
    await createIntegration(valetkey, 'unfinished', 'plain', { credentials: app });
    await createIntegration(valetkey, 'special-unfinished', 'special', { credentials: app });
    await valetkey.query(`update integrations set oauth_client_id = null, sealed_oauth_client_secret = null where unique_key like '%unfinished'`);
    await createIntegration(valetkey, 'leaving', 'keys');
    await valetkey.query(`update integrations set provider = 'no-longer-there' where unique_key = 'leaving'`);
});

afterAll(() => valetkey?.close());

const open = (key: string, token: string, query = ''): Promise<Answer<unknown>> =>
    valetkey.call('GET', `/oauth/connect/${key}?connect_session_token=${token}${query}`, { key: null });
const params = (answer: Answer<unknown>): Record<string, string> => {
    expect(answer.status, answer.text).toBe(302);
    return Object.fromEntries(new URL(answer.headers['location']!).searchParams);
};
/** The sentence and the type that a page shows. */
const shown = (answer: Answer<unknown>): [string | undefined, string | undefined] => [
    /<h1>[^<]*<\/h1>\s*<p>([^<]*)<\/p>/.exec(answer.text)?.[1],
    /<code>([^<]*)<\/code>/.exec(answer.text)?.[1],
];
const outcome = async (token: string): Promise<unknown> =>
    (await valetkey.call<{ data: { outcome: unknown } }>('GET', '/connect/session', { key: token })).body.data.outcome;

describe('the redirect', () => {
    test('carries everything that ties the answer to this flow, and a cookie that ties it to this browser', async () => {
        const answer = await open('plain', await createSession(valetkey));
        expect(new URL(answer.headers['location']!).origin).toBe('https://auth.example.com');
        expect(params(answer)).toEqual({
            tenant: '7',
            response_type: 'code',
            client_id: 'the-client',
            redirect_uri: 'https://valetkey.example.org/oauth/callback',
            scope: 'read write',
            // 256 bits
            state: expect.stringMatching(/^[\w-]{43}$/) as string,
            code_challenge: expect.stringMatching(/^[\w-]{43}$/) as string,
            code_challenge_method: 'S256',
        });
        expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' });
        expect([answer.headers['set-cookie']].flat()).toEqual([
            expect.stringMatching(/^__Host-valetkey-flow-[\w-]{12}=[\w-]{43}; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/),
        ]);
    });

    test('state, verifier and cookie are stored as digests or sealed, and differ from flow to flow', async () => {
        const token = await createSession(valetkey);
        const answers = [await open('plain', token), await open('plain', token)];
        const states = answers.map((answer) => params(answer)['state']!);
        expect(new Set(states).size).toBe(2);
        const cookies = answers.map((answer) => String(answer.headers['set-cookie']).split(/[=;]/)[1]!);
        const stored = JSON.stringify(await valetkey.query('select * from oauth_flows'));
        for (const secret of [...states, ...cookies]) {
            expect(stored).not.toContain(secret);
        }
    });

    test('the entry’s own ways are followed', async () => {
        const token = await createSession(valetkey, {
            tags: {},
            integrations_config_defaults: { special: { connection_config: { audience: 'api' } } },
        });
        const sent = params(await open('special', token));
        expect(sent).toMatchObject({ scope: 'read,write', prompt: 'login', audience: 'api' });
        expect(sent).not.toHaveProperty('code_challenge');
    });

    test('the browser may add parameters, and remove the entry’s', async () => {
        const token = await createSession(valetkey);
        expect(params(await open('special', token, '&params[audience]=a&authorization_params[login_hint]=ann%40example.com'))).toMatchObject({
            login_hint: 'ann@example.com',
            prompt: 'login',
        });
        expect(params(await open('special', token, '&params[audience]=a&authorization_params%5Bprompt%5D=undefined'))).not.toHaveProperty('prompt');
    });

    test('the session’s parameters take the place of the browser’s, and may ask for other scopes', async () => {
        const token = await createSession(valetkey, {
            tags: {},
            integrations_config_defaults: {
                plain: { authorization_params: { resource: 'r' }, connection_config: { oauth_scopes_override: 'one,two' } },
            },
        });
        const sent = params(await open('plain', token, '&authorization_params[login_hint]=x&user_scope=y&params[oauth_scopes_override]=evil'));
        expect(sent).toMatchObject({ resource: 'r', scope: 'one two' });
        expect(sent).not.toHaveProperty('login_hint');
        expect(sent).not.toHaveProperty('user_scope');
    });

    test('a connection may bring its own OAuth app', async () => {
        const sent = params(
            await open(
                'plain',
                await createSession(valetkey),
                '&credentials[oauth_client_id_override]=own&credentials[oauth_client_secret_override]=secret',
            ),
        );
        expect(sent['client_id']).toBe('own');
        // also where the integration has none
        expect(
            params(
                await open(
                    'unfinished',
                    await createSession(valetkey),
                    '&credentials%5Boauth_client_id_override%5D=own&credentials%5Boauth_client_secret_override%5D=s',
                ),
            )['client_id'],
        ).toBe('own');
    });

    test('comes back to the environment’s own address where it has one', async () => {
        await valetkey.call('PATCH', '/environment', { body: { callback_url: 'https://app.example.com/cb' } });
        expect(params(await open('plain', await createSession(valetkey)))['redirect_uri']).toBe('https://app.example.com/cb');
        await valetkey.call('PATCH', '/environment', { body: { callback_url: null } });
    });
});

describe('pages that say why not', () => {
    test.each<[string, string, string, string]>([
        ['an unknown integration', 'none', '', 'provider_config_err'],
        ['an integration without an app', 'unfinished', '', 'provider_config_err'],
        ['a provider that is gone', 'leaving', '', 'unknown_config_key'],
        ['a provider that is connected otherwise, so that it has no app', 'keys', '', 'provider_config_err'],
        ['a key that no integration can have', 'no%2Fsuch', '', 'provider_config_err'],
        ['a parameter without a value', 'special', '', 'url_param_err'],
    ])('%s', async (_name, key, query, type) => {
        const token = await createSession(valetkey);
        const answer = await open(key, token, query);
        expect([answer.status, answer.headers['content-type']]).toEqual([400, 'text/html; charset=utf-8']);
        expect(shown(answer)).toEqual([expect.stringMatching(/.{20}/) as string, type]);
        expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' });
        expect(await outcome(token)).toMatchObject({ status: 'error', provider_config_key: decodeURIComponent(key), error: { type } });
    });

    test('what the session allows comes first, then the app, then the way of connecting, then its parameters', async () => {
        const elsewhere = await open('keys', await createSession(valetkey, { tags: {}, allowed_integrations: ['plain'] }));
        expect(elsewhere.body).toMatchObject({ error: { code: 'integration_not_allowed' } });
        const app = '&credentials[oauth_client_id_override]=i&credentials[oauth_client_secret_override]=s';
        expect(shown(await open('keys', await createSession(valetkey), app))[1]).toBe('auth_mode_err');
        expect(shown(await open('special-unfinished', await createSession(valetkey)))[1]).toBe('provider_config_err');
        expect(shown(await open('special-unfinished', await createSession(valetkey), app))[1]).toBe('url_param_err');
    });

    test('what is not what it should be counts as absent', async () => {
        const answer = await open(
            'plain',
            await createSession(valetkey),
            '&params=x&credentials=y&authorization_params=z&ws_client_id=a&ws_client_id=b',
        );
        expect(answer.status, answer.text).toBe(302);
    });

    test('reflects nothing that a page would run', async () => {
        const answer = await open(
            'plain',
            await createSession(valetkey),
            `&authorization_params[scope%3C/script%3E%3Cscript%3Ealert(1)%3C/script%3E]=x&authorization_params[state%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E]=y`,
        );
        expect(answer.status).toBe(302);
        const refused = await open('special', await createSession(valetkey), `&params[__proto__x%3Cimg%20src=x%3E]=${'x'.repeat(9000)}`);
        expect(refused.status).toBe(400);
        expect(refused.text).toContain('&lt;img');
        expect(refused.text).not.toContain('<img');
    });
});

describe('JSON where nobody waits in a popup', () => {
    test('a connection id beside a session, an integration that is not allowed, a connection that is gone', async () => {
        const id = await open('plain', await createSession(valetkey), '&connection_id=mine');
        expect([id.status, id.body]).toMatchObject([
            400,
            { error: { code: 'invalid_query_params', errors: [{ code: 'custom', path: ['connection_id'] }] } },
        ]);
        const allowed = await open('plain', await createSession(valetkey, { tags: {}, allowed_integrations: ['keys'] }));
        expect([allowed.status, allowed.body]).toEqual([400, { error: { code: 'integration_not_allowed', message: expect.any(String) as string } }]);
        const none = await valetkey.call('GET', '/oauth/connect/plain', { key: null });
        expect([none.status, none.body]).toMatchObject([401, { error: { code: 'missing_public_key', payload: {} } }]);
    });
});

describe('POST /oauth/flows', () => {
    const prepare = (token: string, body: Record<string, unknown>): Promise<Answer<{ data: { url: string; expires_at: string } }>> =>
        valetkey.call('POST', '/oauth/flows', { key: token, body });

    test('keeps what is secret out of the URL, and is good once', async () => {
        const answer = await prepare(await createSession(valetkey), {
            provider_config_key: 'special',
            params: { audience: 'api' },
            authorization_params: { login_hint: 'ann' },
            credentials: {
                oauth_client_id_override: 'own',
                oauth_client_secret_override: 'a-very-secret-override',
                oauth_refresh_token_override: 'a-refresh-override',
            },
        });
        expect(answer.status).toBe(201);
        expect(answer.headers['cache-control']).toBe('no-store');
        const { url, expires_at } = answer.body.data;
        expect(url).toMatch(/^https:\/\/valetkey\.example\.org\/oauth\/connect\/special\?flow=[\w-]{43}$/);
        expect(Date.parse(expires_at) - Date.now()).toBeLessThanOrEqual(5 * 60_000 + 1000);
        expect(JSON.stringify(await valetkey.query('select * from oauth_flow_requests'))).not.toMatch(/very-secret|a-refresh-override/);
        const path = url.slice('https://valetkey.example.org'.length);
        expect(params(await valetkey.call('GET', path, { key: null }))).toMatchObject({ client_id: 'own', audience: 'api', login_hint: 'ann' });
        const again = await valetkey.call('GET', path, { key: null });
        expect([again.status, again.body]).toMatchObject([401, { error: { code: 'unknown_connect_session_token' } }]);
    });

    test('expires, and opens nothing but what it was made for', async () => {
        const token = await createSession(valetkey);
        const pathOf = async (): Promise<string> =>
            (await prepare(token, { provider_config_key: 'plain' })).body.data.url.slice('https://valetkey.example.org'.length);
        const other = await valetkey.call('GET', (await pathOf()).replace('/plain?', '/special?'), { key: null });
        expect(other.status).toBe(401);
        const late = await pathOf();
        await valetkey.query(`update oauth_flow_requests set expires_at = now() - interval '1 second'`);
        expect((await valetkey.call('GET', late, { key: null })).status).toBe(401);
        expect((await valetkey.call('GET', '/oauth/connect/plain?flow=made-up', { key: null })).status).toBe(401);
    });

    test('two who open it at once: one is redirected', async () => {
        const path = (await prepare(await createSession(valetkey), { provider_config_key: 'plain' })).body.data.url.slice(
            'https://valetkey.example.org'.length,
        );
        const answers = await Promise.all(Array.from({ length: 8 }, () => valetkey.call('GET', path, { key: null })));
        expect(answers.map((answer) => answer.status).toSorted()).toEqual([302, 401, 401, 401, 401, 401, 401, 401]);
    });

    test('the session’s limits hold when it is opened', async () => {
        const token = await createSession(valetkey, { tags: {}, allowed_integrations: ['keys'] });
        const path = (await prepare(token, { provider_config_key: 'plain' })).body.data.url.slice('https://valetkey.example.org'.length);
        expect((await valetkey.call('GET', path, { key: null })).body).toMatchObject({ error: { code: 'integration_not_allowed' } });
    });

    test.each<[unknown, unknown]>([
        [{}, [['invalid_type', ['provider_config_key']]]],
        [{ provider_config_key: 'plain', params: { a: 1 } }, [['invalid_type', ['params', 'a']]]],
        [
            { provider_config_key: 'plain', credentials: { oauth_client_id_override: '' } },
            [['too_small', ['credentials', 'oauth_client_id_override']]],
        ],
        [{ provider_config_key: 'plain', credentials: { client_id: 'x' } }, [['unrecognized_keys', ['credentials']]]],
        [{ provider_config_key: 'plain', connection_id: 'mine' }, [['unrecognized_keys', []]]],
    ])('%j is refused', async (body, expected) => {
        const answer = await prepare(await createSession(valetkey), body as Record<string, unknown>);
        const { errors } = (answer.body as unknown as { error: { errors: { code: string; path: string[] }[] } }).error;
        expect([answer.status, errors.map(({ code, path }) => [code, path])]).toEqual([400, expected]);
    });
});
