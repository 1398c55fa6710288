/** Connect sessions: issued to a backend, read by a browser, renewing a connection (http-api §4, tags of §5). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apiKeyEntry, providersFile } from '../e2e/provider-entries.ts';
import { connectKey, createIntegration, createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';

let valetkey: TestApp;

beforeAll(async () => {
    // nothing listens on port 9, so every key of "refused" fails its test
    valetkey = await startTestApp({ providers: providersFile(untestedKeyEntry('keys'), apiKeyEntry('refused', 'http://127.0.0.1:9')) });
    await createIntegration(valetkey, 'keys', 'keys');
    await createIntegration(valetkey, 'more-keys', 'keys');
    await createIntegration(valetkey, 'refused', 'refused');
});

afterAll(() => valetkey?.close());

const create = (body: unknown): Promise<Answer<{ data: { token: string; connect_link: string; expires_at: string } }>> =>
    valetkey.call('POST', '/connect/sessions', { body });
const issues = (answer: Answer<unknown>): unknown =>
    (answer.body as { error: { errors?: { code: string; path: string[] }[] } }).error.errors?.map(({ code, path }) => [code, path]);
const readSession = async (token: string): Promise<Record<string, unknown>> => {
    const answer = await valetkey.call<{ data: Record<string, unknown> }>('GET', '/connect/session', { key: token });
    expect(answer.status, answer.text).toBe(200);
    return answer.body.data;
};
interface Connection {
    tags: Record<string, string>;
    end_user: unknown;
    metadata: unknown;
    connection_config: Record<string, unknown>;
    webhook_url_override: string | null;
    credentials: unknown;
}
const readConnection = async (id: string, integration = 'keys'): Promise<Connection> =>
    (await valetkey.call<Connection>('GET', `/connections/${id}?provider_config_key=${integration}`)).body;
/** The tags that a session with this body gives its connection. */
const tagsOf = async (body: Record<string, unknown>): Promise<Record<string, string>> =>
    (await readConnection(await connectKey(valetkey, 'keys', await createSession(valetkey, body)))).tags;

describe('POST /connect/sessions', () => {
    test('issues a token, a link with it, and the end of its 30 minutes; nobody in between may keep the answer', async () => {
        const answer = await create({ end_user: { id: 'u1' } });
        expect(answer.status).toBe(201);
        const { token, connect_link, expires_at } = answer.body.data;
        expect(Object.keys(answer.body.data)).toEqual(['token', 'connect_link', 'expires_at']);
        expect(token).toMatch(/^nango_connect_session_[a-f0-9]{64}$/);
        expect(connect_link).toBe(`${valetkey.url}/connect-ui/?session_token=${token}`);
        expect(expires_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        expect(Date.parse(expires_at) - Date.now()).toBeGreaterThan(29.9 * 60_000);
        expect(Date.parse(expires_at) - Date.now()).toBeLessThanOrEqual(30 * 60_000 + 1000);
        expect(answer.headers['cache-control']).toBe('no-store');
    });

    test('tags may stand in for an end user', async () => {
        expect((await create({ tags: {} })).status).toBe(201);
        expect((await create({ tags: { team: 'blue' }, allowed_integrations: ['keys'] })).status).toBe(201);
        expect(issues(await create({ tags: {}, end_user: null }))).toEqual([['invalid_type', ['end_user']]]);
        expect(issues(await create({ organization: { id: 'o' } }))).toEqual([['invalid_type', ['end_user']]]);
        expect(issues(await create({ tags: null }))).toEqual([['invalid_type', ['tags']]]);
    });

    const user = { id: 'u' };
    test.each<[string, object, [string, string[]][]]>([
        ['an unknown member', { end_user: user, surprise: 1, other: 2 }, [['unrecognized_keys', []]]],
        ['an unknown member of the end user', { end_user: { ...user, name: 'x' } }, [['unrecognized_keys', ['end_user']]]],
        ['an empty id', { end_user: { id: '' } }, [['too_small', ['end_user', 'id']]]],
        ['an id of 256', { end_user: { id: 'x'.repeat(256) } }, [['too_big', ['end_user', 'id']]]],
        ['an id that is a number', { end_user: { id: 7 } }, [['invalid_type', ['end_user', 'id']]]],
        [
            'an email that is neither long enough nor one',
            { end_user: { ...user, email: 'a@b' } },
            [
                ['invalid_format', ['end_user', 'email']],
                ['too_small', ['end_user', 'email']],
            ],
        ],
        [
            'several mistakes, in the order of the schema',
            { end_user: { id: '', display_name: 'x'.repeat(256) }, allowed_integrations: 'keys' },
            [
                ['invalid_type', ['allowed_integrations']],
                ['too_small', ['end_user', 'id']],
                ['too_big', ['end_user', 'display_name']],
            ],
        ],
        [
            'an impossible integration key',
            { end_user: user, allowed_integrations: ['keys', 'no/slash'] },
            [['invalid_format', ['allowed_integrations', '1']]],
        ],
        [
            'defaults for an impossible key',
            { end_user: user, integrations_config_defaults: { 'a/b': {} } },
            [['invalid_key', ['integrations_config_defaults', 'a/b']]],
        ],
        [
            'defaults with an unknown member',
            { end_user: user, integrations_config_defaults: { keys: { scopes: 'x' } } },
            [['unrecognized_keys', ['integrations_config_defaults', 'keys']]],
        ],
        [
            'authorization parameters that are no text',
            { end_user: user, integrations_config_defaults: { keys: { authorization_params: { a: 1 } } } },
            [['invalid_type', ['integrations_config_defaults', 'keys', 'authorization_params', 'a']]],
        ],
        [
            'scopes that are no text',
            { end_user: user, integrations_config_defaults: { keys: { connection_config: { oauth_scopes_override: ['a'] } } } },
            [['invalid_type', ['integrations_config_defaults', 'keys', 'connection_config', 'oauth_scopes_override']]],
        ],
        [
            'a nested webhook URL that is none',
            { end_user: user, integrations_config_defaults: { keys: { connection_config: { webhook_url: 'nope' } } } },
            [['invalid_union', ['integrations_config_defaults', 'keys', 'connection_config', 'webhook_url']]],
        ],
        ['a webhook URL that is none', { end_user: user, webhook_url_override: 'nope' }, [['invalid_union', ['webhook_url_override']]]],
        ['a private webhook URL', { end_user: user, webhook_url_override: 'https://10.0.0.1/hook' }, [['custom', ['webhook_url_override']]]],
        ['an organization without id', { end_user: user, organization: {} }, [['invalid_type', ['organization', 'id']]]],
    ])('refuses %s', async (_name, body, expected) => {
        const answer = await create(body);
        expect([answer.status, issues(answer)]).toEqual([400, expected]);
        expect(answer.body).not.toHaveProperty('error.message');
    });

    test('an organization may have an empty id, and overrides may hold what is not known yet', async () => {
        expect((await create({ end_user: user, organization: { id: '' } })).status).toBe(201);
        expect((await create({ end_user: user, overrides: { keys: { docs_connect: 'https://docs.example.com', later: true } } })).status).toBe(201);
    });

    test('every integration that does not exist is named, in the order of the contract', async () => {
        const answer = await create({
            end_user: user,
            overrides: { ghost: {}, keys: {} },
            integrations_config_defaults: { phantom: {} },
            allowed_integrations: ['none', 'keys', 'nobody'],
        });
        expect(issues(answer)).toEqual([
            ['custom', ['allowed_integrations', '0']],
            ['custom', ['allowed_integrations', '2']],
            ['custom', ['integrations_config_defaults', 'phantom']],
            ['custom', ['overrides', 'ghost']],
        ]);
    });

    test('the same token makes several connections until it expires', async () => {
        const token = await createSession(valetkey);
        const [first, second] = [await connectKey(valetkey, 'keys', token), await connectKey(valetkey, 'keys', token)];
        expect(first).not.toBe(second);
    });

    test('an empty list of allowed integrations is no restriction; a list is one', async () => {
        await connectKey(valetkey, 'keys', await createSession(valetkey, { end_user: user, allowed_integrations: [] }));
        const token = await createSession(valetkey, { end_user: user, allowed_integrations: ['keys'] });
        await connectKey(valetkey, 'keys', token);
        await expect(connectKey(valetkey, 'more-keys', token)).rejects.toThrow('integration_not_allowed');
    });

    test('the webhook URL of a session: its own, else the first one nested in the defaults, which is not stored there', async () => {
        const nested = {
            integrations_config_defaults: {
                keys: { connection_config: { webhook_url: 'https://hooks.example.com/n', region: 'eu' } },
                'more-keys': { connection_config: { webhook_url: '' } },
            },
        };
        const urlOf = async (body: object): Promise<Connection> =>
            readConnection(await connectKey(valetkey, 'keys', await createSession(valetkey, { end_user: user, ...body })));
        expect(await urlOf({ webhook_url_override: 'https://hooks.example.com/o' })).toMatchObject({
            webhook_url_override: 'https://hooks.example.com/o',
        });
        expect(await urlOf(nested)).toMatchObject({ webhook_url_override: 'https://hooks.example.com/n', connection_config: { region: 'eu' } });
        expect((await urlOf(nested)).connection_config).not.toHaveProperty('webhook_url');
        expect(await urlOf({ ...nested, webhook_url_override: '' })).toMatchObject({ webhook_url_override: null });
    });

    test('presets win over what the browser sends', async () => {
        const token = await createSession(valetkey, {
            end_user: user,
            integrations_config_defaults: { keys: { connection_config: { region: 'eu', level: 3 } } },
        });
        const id = await connectKey(valetkey, 'keys', token, 'k', '&params[region]=us&params[note]=mine');
        expect((await readConnection(id)).connection_config).toEqual({ region: 'eu', level: 3, note: 'mine' });
    });
});

describe('tags', () => {
    test.each<[string, Record<string, unknown>, [string, string[]]]>([
        ['eleven', Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`t${index}`, 'x'])), ['custom', ['tags']]],
        ['two that differ in letter case', { team: 'a', Team: 'b' }, ['custom', ['tags']]],
        ['an end_user_email that is none', { End_User_Email: 'nobody' }, ['custom', ['tags']]],
        ['an end_user_email that is too short', { end_user_email: 'a@b' }, ['custom', ['tags']]],
        ['a name that begins with a digit', { '1a': 'x' }, ['invalid_key', ['tags', '1a']]],
        ['a name with a blank', { 'a b': 'x' }, ['invalid_key', ['tags', 'a b']]],
        ['a name of 65', { ['a'.repeat(65)]: 'x' }, ['invalid_key', ['tags', 'a'.repeat(65)]]],
        ['an empty name', { '': 'x' }, ['invalid_key', ['tags', '']]],
        ['an empty value', { a: '' }, ['too_small', ['tags', 'a']]],
        ['a value of 256', { a: 'x'.repeat(256) }, ['too_big', ['tags', 'a']]],
        ['a number', { a: 1 }, ['invalid_type', ['tags', 'a']]],
        ['null', { a: null }, ['invalid_type', ['tags', 'a']]],
        ['a list', { a: ['x'] }, ['invalid_type', ['tags', 'a']]],
    ])('%s: refused', async (_name, tags, expected) => {
        expect(issues(await create({ tags }))).toEqual([expected]);
    });

    test('too many are not reported while one of them has the wrong type', async () => {
        const tags = { ...Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`t${index}`, 'x'])), t3: 7 };
        expect(issues(await create({ tags }))).toEqual([['invalid_type', ['tags', 't3']]]);
    });

    test('the limits themselves are fine; names are stored in lower case, values as they are', async () => {
        const tags = { ['A'.repeat(64)]: 'X'.repeat(255), 'a-_./9': 'ü ☃ 😀', End_User_Email: 'Ann@Example.com' };
        expect(await tagsOf({ tags })).toEqual({ ['a'.repeat(64)]: 'X'.repeat(255), 'a-_./9': 'ü ☃ 😀', end_user_email: 'Ann@Example.com' });
    });

    test('are generated from end user and organization, the end user’s own over those, explicit ones over all', async () => {
        expect(
            await tagsOf({
                end_user: { id: 'u1', email: 'u@example.com', display_name: '', tags: { Plan: 'pro', organization_id: 'own' } },
                organization: { id: 'o1', display_name: 'Org' },
                tags: { plan: 'explicit', end_user_id: 'mine' },
            }),
        ).toEqual({
            end_user_id: 'mine',
            end_user_email: 'u@example.com',
            organization_id: 'own',
            organization_display_name: 'Org',
            plan: 'explicit',
        });
    });

    test('an organization counts without an end user too', async () => {
        expect(await tagsOf({ tags: { a: '1' }, organization: { id: 'o1' } })).toEqual({ organization_id: 'o1', a: '1' });
    });

    test('an end user’s own tags are all dropped when they do not fit or one is empty', async () => {
        const nine = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`t${index}`, 'x']));
        expect(await tagsOf({ end_user: { id: 'u', tags: nine } })).toEqual({ end_user_id: 'u', ...nine });
        expect(await tagsOf({ end_user: { id: 'u', tags: { ...nine, t9: 'x' } } })).toEqual({ end_user_id: 'u' });
        expect(await tagsOf({ end_user: { id: 'u', tags: { a: 'x', b: '' } } })).toEqual({ end_user_id: 'u' });
    });

    test('an end user’s own tags keep their case on the end user, and follow the same rules', async () => {
        const token = await createSession(valetkey, { end_user: { id: 'u', tags: { Plan: 'Pro', note: '' } } });
        expect(await readSession(token)).toMatchObject({ endUser: { tags: { Plan: 'Pro', note: '' } } });
        expect(issues(await create({ end_user: { id: 'u', tags: { a: 'x', A: 'y' } } }))).toEqual([['custom', ['end_user', 'tags']]]);
        expect(issues(await create({ end_user: { id: 'u', tags: { '-': 'x' } } }))).toEqual([['invalid_key', ['end_user', 'tags', '-']]]);
    });

    test('explicit and generated ones together beyond ten are a mistake of the request, not of the server', async () => {
        const tags = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`t${index}`, 'x']));
        expect((await create({ tags })).status).toBe(201);
        expect(issues(await create({ tags, end_user: { id: 'u' } }))).toEqual([['custom', ['tags']]]);
    });
});

describe('GET /connect/session', () => {
    test('says what the session allows, and keeps secrets and backend matters to itself', async () => {
        const token = await createSession(valetkey, {
            end_user: { id: 'u1', email: 'u@example.com' },
            organization: { id: 'o1' },
            allowed_integrations: ['keys'],
            integrations_config_defaults: {
                keys: {
                    user_scopes: 'hidden',
                    authorization_params: { prompt: 'consent' },
                    connection_config: { region: 'eu', oauth_client_secret_override: 'do-not-show', oauth_client_id_override: '' },
                },
            },
            overrides: { keys: { docs_connect: 'https://docs.example.com' } },
            webhook_url_override: 'https://hooks.example.com',
            tags: { team: 'blue' },
        });
        const answer = await valetkey.call('GET', '/connect/session', { key: token });
        expect(answer.headers['cache-control']).toBe('no-store');
        expect(answer.body).toEqual({
            data: {
                endUser: { id: 'u1', display_name: null, email: 'u@example.com', tags: null, organization: { id: 'o1', display_name: null } },
                connectUISettings: {
                    showWatermark: expect.any(Boolean) as boolean,
                    defaultTheme: 'system',
                    theme: {
                        light: { primary: expect.stringMatching(/^#[0-9a-f]{6}$/) as string },
                        dark: { primary: expect.stringMatching(/^#[0-9a-f]{6}$/) as string },
                    },
                },
                allowed_integrations: ['keys'],
                integrations_config_defaults: {
                    keys: {
                        authorization_params: { prompt: 'consent' },
                        connection_config: { region: 'eu', oauth_client_secret_override: '********', oauth_client_id_override: '' },
                    },
                },
                overrides: { keys: { docs_connect: 'https://docs.example.com' } },
                websocketsPath: '/',
                outcome: null,
            },
        });
    });

    test('leaves out what is not set', async () => {
        const data = await readSession(await createSession(valetkey, { tags: {} }));
        expect(data['endUser']).toBeNull();
        expect(Object.keys(data).toSorted()).toEqual(['connectUISettings', 'endUser', 'outcome', 'websocketsPath']);
    });

    test('takes no query', async () => {
        const answer = await valetkey.call('GET', '/connect/session?x=1', { key: await createSession(valetkey) });
        expect([answer.status, issues(answer)]).toEqual([400, [['unrecognized_keys', []]]]);
    });

    test('tells how the last attempt ended', async () => {
        const token = await createSession(valetkey);
        await expect(connectKey(valetkey, 'refused', token, 'a-key-nobody-may-see')).rejects.toThrow('connection_test_failed');
        const failed = await readSession(token);
        expect(failed['outcome']).toMatchObject({
            status: 'error',
            provider_config_key: 'refused',
            error: { type: 'connection_test_failed', description: expect.any(String) as string },
        });
        expect(JSON.stringify(failed)).not.toContain('a-key-nobody-may-see');
        const id = await connectKey(valetkey, 'keys', token);
        expect((await readSession(token))['outcome']).toEqual({
            status: 'success',
            provider_config_key: 'keys',
            connection_id: id,
            is_pending: false,
            at: expect.any(String) as string,
        });
    });
});

describe('a reconnect session', () => {
    const reconnect = (body: unknown): Promise<Answer<{ data: { token: string } }>> => valetkey.call('POST', '/connect/sessions/reconnect', { body });
    const tokenFor = async (id: string, more: object = {}): Promise<string> => {
        const answer = await reconnect({ connection_id: id, integration_id: 'keys', ...more });
        expect(answer.status, answer.text).toBe(201);
        return answer.body.data.token;
    };
    const connection = async (body?: Record<string, unknown>, query = ''): Promise<string> =>
        connectKey(valetkey, 'keys', await createSession(valetkey, body), 'first-key', query);

    test('is for a connection that exists, and says so without a list of issues', async () => {
        const id = await connection();
        for (const body of [
            { connection_id: 'none', integration_id: 'keys' },
            { connection_id: id, integration_id: 'more-keys' },
            { connection_id: id, integration_id: 'none' },
        ]) {
            const answer = await reconnect(body);
            expect([answer.status, answer.body]).toEqual([400, { error: { code: 'invalid_body', message: expect.any(String) as string } }]);
        }
        // only then are the integrations of its defaults looked at
        const answer = await reconnect({ connection_id: id, integration_id: 'keys', overrides: { none: {} } });
        expect(issues(answer)).toEqual([['custom', ['overrides', 'none']]]);
    });

    test.each<[string, object, [string, string[]][]]>([
        [
            'nothing',
            {},
            [
                ['invalid_type', ['connection_id']],
                ['invalid_type', ['integration_id']],
            ],
        ],
        [
            'allowed integrations, which it sets itself',
            { connection_id: 'c', integration_id: 'keys', allowed_integrations: ['keys'] },
            [['unrecognized_keys', []]],
        ],
        ['an impossible connection id', { connection_id: 'c\n', integration_id: 'keys' }, [['invalid_format', ['connection_id']]]],
        [
            'eleven tags',
            { connection_id: 'c', integration_id: 'keys', tags: Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`t${index}`, 'x'])) },
            [['custom', ['tags']]],
        ],
    ])('refuses %s', async (_name, body, expected) => {
        expect(issues(await reconnect(body))).toEqual(expected);
    });

    test('allows its own integration only, and shows whose connection it is', async () => {
        const id = await connection({ end_user: { id: 'u7', display_name: 'Seven' } });
        const token = await tokenFor(id);
        expect(await readSession(token)).toMatchObject({
            isReconnecting: true,
            allowed_integrations: ['keys'],
            endUser: { id: 'u7', display_name: 'Seven' },
        });
        await expect(connectKey(valetkey, 'more-keys', token)).rejects.toThrow('integration_not_allowed');
    });

    test('renews the same connection, and leaves alone what it does not mention', async () => {
        const id = await connection(
            { end_user: { id: 'u1' }, tags: { team: 'blue' }, webhook_url_override: 'https://hooks.example.com/a' },
            '&params[region]=eu&params[password]=old',
        );
        await valetkey.query(
            `update connections set metadata = '{"kept": true}', auth_state = 'needs_reauth', auth_error = '{"type": "x", "log_id": "op"}' where connection_id = $1`,
            [id],
        );
        const before = await readConnection(id);
        expect(await connectKey(valetkey, 'keys', await tokenFor(id), 'second-key', '&params[note]=new')).toBe(id);
        expect(await readConnection(id)).toMatchObject({
            credentials: { type: 'API_KEY', apiKey: 'second-key' },
            tags: before.tags,
            end_user: before.end_user,
            metadata: { kept: true },
            webhook_url_override: 'https://hooks.example.com/a',
            connection_config: { region: 'eu', password: 'old', note: 'new' },
            errors: [],
        });
    });

    test('replaces what it does mention', async () => {
        const id = await connection(
            { end_user: { id: 'u1' }, tags: { team: 'blue' }, webhook_url_override: 'https://hooks.example.com/a' },
            '&params[region]=eu',
        );
        const token = await tokenFor(id, {
            end_user: { id: 'u2' },
            tags: { team: 'red' },
            webhook_url_override: '',
            integrations_config_defaults: { keys: { connection_config: { region: 'us' } } },
        });
        await connectKey(valetkey, 'keys', token);
        expect(await readConnection(id)).toMatchObject({
            tags: { end_user_id: 'u2', team: 'red' },
            end_user: { id: 'u2' },
            webhook_url_override: null,
            connection_config: { region: 'us' },
        });
        await connectKey(valetkey, 'keys', await tokenFor(id, { tags: {} }));
        expect((await readConnection(id)).tags).toEqual({});
    });

    test('is told as an override; a failed one leaves the old credentials in place', async () => {
        await valetkey.call('PATCH', '/environment/webhooks', { body: { primary_url: 'https://hooks.example.com/primary' } });
        const id = await connection();
        await connectKey(valetkey, 'keys', await tokenFor(id), 'second-key');
        const answer = await valetkey.call('POST', `/api-auth/api-key/keys?connect_session_token=${await tokenFor(id)}`, {
            key: null,
            body: { apiKey: '\t' },
        });
        expect(answer.status).toBe(400);
        expect(await readConnection(id)).toMatchObject({ credentials: { apiKey: 'second-key' } });
        const events = await valetkey.query<{ body: string }>(`select body from webhook_events where body like $1 order by created_at`, [`%${id}%`]);
        expect(events.map(({ body }) => (JSON.parse(body) as { operation: string }).operation)).toEqual(['creation', 'override']);
    });

    test('fails when its connection was deleted meanwhile', async () => {
        const id = await connection();
        const token = await tokenFor(id);
        await valetkey.call('DELETE', `/connections/${id}?provider_config_key=keys`);
        const answer = await valetkey.call('POST', `/api-auth/api-key/keys?connect_session_token=${token}`, { key: null, body: { apiKey: 'k' } });
        expect([answer.status, answer.body]).toEqual([400, { error: { code: 'invalid_connection', message: expect.any(String) as string } }]);
        expect(await readSession(token)).toMatchObject({ isReconnecting: true, endUser: null });
    });
});

describe('a Connect UI at another address', () => {
    test('the link keeps its path and nothing else of it', async () => {
        const elsewhere = await startTestApp({ env: { VALETKEY_CONNECT_UI_URL: 'https://connect.example.org/ui?theme=dark#top' } });
        try {
            const answer = await elsewhere.call<{ data: { token: string; connect_link: string } }>('POST', '/connect/sessions', {
                body: { tags: {} },
            });
            const { token, connect_link } = answer.body.data;
            expect(connect_link).toBe(`https://connect.example.org/ui/?session_token=${token}`);
        } finally {
            await elsewhere.close();
        }
    });
});

test('thirty minutes later the token is worth nothing; using it did not prolong it', async () => {
    const token = await createSession(valetkey);
    valetkey.advance(29 * 60_000);
    await connectKey(valetkey, 'keys', token);
    valetkey.advance(61_000);
    await expect(connectKey(valetkey, 'keys', token)).rejects.toThrow('unknown_connect_session_token');
});
