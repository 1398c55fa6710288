/** Connect sessions: issued to a backend, read by a browser (http-api §4.1, §4.3). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apiKeyEntry, providersFile } from '../e2e/provider-entries.ts';
import { connectKey, createIntegration, createSession, untestedKeyEntry } from './accounts.ts';
import { SessionAnswer } from '../../src/http/endpoints/connect-sessions/session-view.ts';
import { startTestApp, type TestApp } from './app.ts';
import { create, issues, readConnection, readSession, type Connection } from './sessions.ts';

let valetkey: TestApp;

/** A field of its configuration is secret although it is not named like one. */
const markedEntry = {
    marked: {
        ...(untestedKeyEntry('marked')['marked'] as object),
        connection_config: { jwt: { type: 'string', title: 'JWT', description: 'Of an administrator.', secret: true } },
    },
};

beforeAll(async () => {
    // nothing listens on port 9, so every key of "refused" fails its test
    const providers = providersFile(untestedKeyEntry('keys'), apiKeyEntry('refused', 'http://127.0.0.1:9'), markedEntry);
    valetkey = await startTestApp({ providers });
    await createIntegration(valetkey, 'marked', 'marked');
    await createIntegration(valetkey, 'keys', 'keys');
    await createIntegration(valetkey, 'more-keys', 'keys');
    await createIntegration(valetkey, 'refused', 'refused');
});

afterAll(() => valetkey?.close());

describe('POST /connect/sessions', () => {
    test('issues a token, a link with it, and the end of its 30 minutes; nobody in between may keep the answer', async () => {
        const answer = await create(valetkey, { end_user: { id: 'u1' } });
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
        expect((await create(valetkey, { tags: {} })).status).toBe(201);
        expect((await create(valetkey, { tags: { team: 'blue' }, allowed_integrations: ['keys'] })).status).toBe(201);
        expect(issues(await create(valetkey, { tags: {}, end_user: null }))).toEqual([['invalid_type', ['end_user']]]);
        expect(issues(await create(valetkey, { organization: { id: 'o' } }))).toEqual([['invalid_type', ['end_user']]]);
        expect(issues(await create(valetkey, { tags: null }))).toEqual([['invalid_type', ['tags']]]);
    });

    test('which body a mistake is reported against: `tags` without `end_user` asks for tags, anything else for an end user', async () => {
        expect(issues(await create(valetkey, {}))).toEqual([['invalid_type', ['end_user']]]);
        expect((await create(valetkey, { tags: {} })).status).toBe(201);
        expect(issues(await create(valetkey, { tags: { a: 1 } }))).toEqual([['invalid_type', ['tags', 'a']]]);
        expect(issues(await create(valetkey, { tags: { a: 1 }, end_user: {} }))).toEqual([
            ['invalid_type', ['end_user', 'id']],
            ['invalid_type', ['tags', 'a']],
        ]);
        expect(issues(await create(valetkey, []))).toEqual([['invalid_type', []]]);
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
        const answer = await create(valetkey, body);
        expect([answer.status, issues(answer)]).toEqual([400, expected]);
        expect(answer.body).not.toHaveProperty('error.message');
    });

    test('an organization may have an empty id, and overrides may hold what is not known yet', async () => {
        expect((await create(valetkey, { end_user: user, organization: { id: '' } })).status).toBe(201);
        expect(
            (await create(valetkey, { end_user: user, overrides: { keys: { docs_connect: 'https://docs.example.com', later: true } } })).status,
        ).toBe(201);
    });

    test('every integration that does not exist is named, in the order of the contract', async () => {
        const answer = await create(valetkey, {
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

    test('nested webhook URLs are looked at when the rest has its shape, and before integrations are looked up', async () => {
        const nested = (url: unknown, key = 'keys') => ({ [key]: { connection_config: { webhook_url: url } } });
        const at = (key: string) => ['integrations_config_defaults', key, 'connection_config', 'webhook_url'];
        const shape = await create(valetkey, { end_user: user, integrations_config_defaults: nested('nope'), surprise: 1 });
        expect(issues(shape)).toEqual([['unrecognized_keys', []]]);
        const urls = { ...nested('nope', 'none'), ...nested(7), ...nested('https://10.0.0.1', 'more-keys') };
        const all = await create(valetkey, { end_user: user, integrations_config_defaults: urls, allowed_integrations: ['ghost'] });
        expect(issues(all)).toEqual([
            ['invalid_union', at('none')],
            ['invalid_union', at('keys')],
            ['custom', at('more-keys')],
        ]);
        expect(issues(await create(valetkey, { end_user: user, integrations_config_defaults: nested('', 'none') }))).toEqual([
            ['custom', ['integrations_config_defaults', 'none']],
        ]);
    });

    test('a preset of which nothing is left but the webhook URL is absent; an empty one stays', async () => {
        const shown = async (config: object): Promise<unknown> =>
            (await readSession(valetkey, await createSession(valetkey, { tags: {}, integrations_config_defaults: { keys: config } })))[
                'integrations_config_defaults'
            ];
        expect(await shown({ user_scopes: 'a', connection_config: { webhook_url: '' } })).toEqual({ keys: {} });
        expect(await shown({ connection_config: { webhook_url: '', region: 'eu' } })).toEqual({ keys: { connection_config: { region: 'eu' } } });
        expect(await shown({ connection_config: {} })).toEqual({ keys: { connection_config: {} } });
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
            readConnection(valetkey, await connectKey(valetkey, 'keys', await createSession(valetkey, { end_user: user, ...body })));
        expect(await urlOf({ webhook_url_override: 'https://hooks.example.com/o' })).toMatchObject({
            webhook_url_override: 'https://hooks.example.com/o',
        });
        expect(await urlOf(nested)).toMatchObject({ webhook_url_override: 'https://hooks.example.com/n', connection_config: { region: 'eu' } });
        expect((await urlOf(nested)).connection_config).not.toHaveProperty('webhook_url');
        expect(await urlOf({ ...nested, webhook_url_override: '' })).toMatchObject({ webhook_url_override: null });
        const second = { keys: { connection_config: { webhook_url: '' } }, 'more-keys': nested.integrations_config_defaults.keys };
        expect(await urlOf({ integrations_config_defaults: second })).toMatchObject({ webhook_url_override: 'https://hooks.example.com/n' });
    });

    test('presets win over what the browser sends', async () => {
        const token = await createSession(valetkey, {
            end_user: user,
            integrations_config_defaults: { keys: { connection_config: { region: 'eu', level: 3 } } },
        });
        const id = await connectKey(valetkey, 'keys', token, 'k', '&params[region]=us&params[note]=mine');
        expect((await readConnection(valetkey, id)).connection_config).toEqual({ region: 'eu', level: 3, note: 'mine' });
    });
});

test('an external id of AWS that is preset is a UUID (§7.29); of others it is theirs', async () => {
    await createIntegration(valetkey, 'aws', 'aws-sigv4');
    const preset = (key: string, external_id: unknown) =>
        create(valetkey, { tags: {}, integrations_config_defaults: { [key]: { connection_config: { external_id } } } });
    expect(issues(await preset('aws', 'mine'))).toEqual([['custom', ['integrations_config_defaults', 'aws', 'connection_config', 'external_id']]]);
    expect((await preset('aws', '5C1F7D2E-8a44-0d7b-0f0e-2b6f3a1c9d55')).status).toBe(201);
    expect((await preset('keys', 'mine')).status).toBe(201);
});

describe('return_url', () => {
    const allow = (...urls: string[]): Promise<unknown> =>
        valetkey.query(
            `update environment_settings set allowed_return_urls = $1 where environment_id = (select id from environments where name = 'dev')`,
            [urls],
        );
    const ask = (return_url: unknown, more: object = {}) => create(valetkey, { tags: {}, return_url, ...more });

    test('is one that the environment allows, and is told to the page', async () => {
        await allow('https://other.example', 'https://app.example.com/done');
        const answer = await ask('https://APP.example.com/done/x/../now?state=1');
        expect(answer.status, answer.text).toBe(201);
        expect(await readSession(valetkey, answer.body.data.token)).toMatchObject({ return_url: 'https://app.example.com/done/now?state=1' });
        const id = await connectKey(valetkey, 'keys', answer.body.data.token);
        const renewed = await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', {
            body: { connection_id: id, integration_id: 'keys', return_url: 'https://other.example' },
        });
        expect(await readSession(valetkey, renewed.body.data.token)).toMatchObject({ return_url: 'https://other.example/' });
    });

    test.each(['https://evil.example', 'https://app.example.com/donetoo', 'http://app.example.com/done', '/done', 'javascript:alert(1)', ''])(
        '%j is refused, together with integrations that are missing',
        async (url) => {
            await allow('https://app.example.com/done');
            expect(issues(await ask(url))).toEqual([['custom', ['return_url']]]);
            expect(issues(await ask(url, { overrides: { ghost: {} } }))).toEqual([
                ['custom', ['overrides', 'ghost']],
                ['custom', ['return_url']],
            ]);
        },
    );

    test('is text of at most 2048 characters, and the list is the environment’s own', async () => {
        await allow('https://app.example.com');
        expect(issues(await ask(1))).toEqual([['invalid_type', ['return_url']]]);
        expect(issues(await ask(`https://app.example.com/${'x'.repeat(2048)}`))).toEqual([['too_big', ['return_url']]]);
        const body = { tags: {}, return_url: 'https://app.example.com/' };
        const prod = await valetkey.call('POST', '/connect/sessions', { key: valetkey.prodKey, body });
        expect(issues(prod)).toEqual([['custom', ['return_url']]]);
        expect((await create(valetkey, body)).status).toBe(201);
        await allow();
        expect(issues(await create(valetkey, body))).toEqual([['custom', ['return_url']]]);
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
                    closeOnSuccess: false,
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

    test('shows no preset that the entry marks as secret, or that we would seal for its name (§7.18)', async () => {
        const connection_config = { jwt: 'do-not-show', passphrase: 'do-not-show', region: 'eu' };
        const session = await createSession(valetkey, { tags: {}, integrations_config_defaults: { marked: { connection_config } } });
        expect((await readSession(valetkey, session))['integrations_config_defaults']).toEqual({
            marked: { connection_config: { jwt: '********', passphrase: '********', region: 'eu' } },
        });
    });

    test('leaves out what is not set', async () => {
        const data = await readSession(valetkey, await createSession(valetkey, { tags: {} }));
        expect(data['endUser']).toBeNull();
        expect(Object.keys(data).toSorted()).toEqual(['connectUISettings', 'endUser', 'outcome', 'websocketsPath']);
    });

    test('looks as its environment wants it to', async () => {
        const settings = {
            defaultTheme: 'dark',
            theme: { light: { primary: '#112233' }, dark: { primary: '#ddeeff' } },
            showWatermark: true,
            closeOnSuccess: true,
        };
        const set = await valetkey.call('PUT', '/environment/connect-ui', { key: valetkey.prodKey, body: settings });
        expect(set.status, set.text).toBe(200);
        const token = await createSession(valetkey, undefined, valetkey.prodKey);
        expect((await valetkey.call('GET', '/connect/session', { key: token })).body).toMatchObject({ data: { connectUISettings: settings } });
    });

    test('takes no query, and no body but an empty one', async () => {
        const key = await createSession(valetkey);
        const answer = await valetkey.call('GET', '/connect/session?x=1', { key });
        expect([answer.status, issues(answer)]).toEqual([400, [['unrecognized_keys', []]]]);
        const get = (body: string) => valetkey.call('GET', '/connect/session', { key, body });
        expect((await get('{}')).status).toBe(200);
        expect((await get('')).status).toBe(200);
        expect(issues(await get('{"a":1}'))).toEqual([['unrecognized_keys', []]]);
        expect(issues(await get('[]'))).toEqual([['invalid_type', []]]);
        expect([(await get('{')).status, (await get(`{"a":"${'x'.repeat(5000)}"}`)).status]).toEqual([400, 400]);
    });

    test('is what its description says', async () => {
        const id = await connectKey(valetkey, 'keys', await createSession(valetkey));
        const renewal = await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', {
            body: { connection_id: id, integration_id: 'keys' },
        });
        const failed = await createSession(valetkey, {
            end_user: { id: 'u', tags: { A: '' } },
            organization: { id: '' },
            integrations_config_defaults: { keys: { authorization_params: {}, connection_config: { a: [1] } }, refused: {} },
            overrides: { keys: {}, refused: { docs_connect: 'x', later: 1 } },
        });
        await expect(connectKey(valetkey, 'refused', failed)).rejects.toThrow('verification_unavailable');
        for (const token of [renewal.body.data.token, failed, await createSession(valetkey, { tags: {} })]) {
            expect(SessionAnswer.safeParse({ data: await readSession(valetkey, token) }).error).toBeUndefined();
        }
    });

    test('tells how the last attempt ended', async () => {
        const token = await createSession(valetkey);
        await expect(connectKey(valetkey, 'refused', token, 'a-key-nobody-may-see')).rejects.toThrow('verification_unavailable');
        const failed = await readSession(valetkey, token);
        expect(failed['outcome']).toMatchObject({
            status: 'error',
            provider_config_key: 'refused',
            error: { type: 'verification_unavailable', description: expect.any(String) as string },
        });
        expect(JSON.stringify(failed)).not.toContain('a-key-nobody-may-see');
        const id = await connectKey(valetkey, 'keys', token);
        expect((await readSession(valetkey, token))['outcome']).toEqual({
            status: 'success',
            provider_config_key: 'keys',
            connection_id: id,
            is_pending: false,
            at: expect.any(String) as string,
        });
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
