/** Settings of an environment: its webhooks and how its redirect flows come back (webhooks §1.1, §4.6, §8.3). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase } from '../peers/postgres.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';

let valetkey: TestApp;

beforeAll(async () => {
    valetkey = await startTestApp({
        env: { VALETKEY_EGRESS_ALLOW: '127.0.0.0/8,hooks.internal,10.1.0.0/16:8443', VALETKEY_PUBLIC_URL: 'https://valetkey.example.org' },
    });
});

afterAll(() => valetkey?.close());

const issues = (answer: Answer<unknown>): unknown =>
    (answer.body as { error: { errors?: { code: string; path: string[] }[] } }).error.errors?.map(({ code, path }) => [code, path]);
const patch = (path: string, body: unknown): Promise<Answer<{ data: Record<string, unknown> }>> => valetkey.call('PATCH', path, { body });

describe('/environment/webhooks', () => {
    const untouched = {
        primary_url: null,
        secondary_url: null,
        on_auth_creation: true,
        on_auth_refresh_error: true,
        on_sync_completion_always: true,
        on_sync_error: true,
        on_async_action_completion: true,
        primary_disabled_reason: null,
        secondary_disabled_reason: null,
        updated_at: expect.stringMatching(/Z$/) as string,
    };

    test('begins with no URL and every switch on', async () => {
        expect((await valetkey.call('GET', '/environment/webhooks', { key: valetkey.prodKey })).body).toEqual({ data: untouched });
    });

    test('changes what is named and nothing else; null and "" clear', async () => {
        const first = await patch('/environment/webhooks', { primary_url: 'https://hooks.example.com/a?b=c', on_auth_creation: false });
        expect([first.status, first.body.data]).toEqual([
            200,
            { ...untouched, primary_url: 'https://hooks.example.com/a?b=c', on_auth_creation: false },
        ]);
        const second = await patch('/environment/webhooks', { secondary_url: 'https://hooks.example.com/b' });
        expect(second.body.data).toMatchObject({
            primary_url: 'https://hooks.example.com/a?b=c',
            secondary_url: 'https://hooks.example.com/b',
            on_auth_creation: false,
        });
        expect((await patch('/environment/webhooks', { primary_url: '', secondary_url: null, on_auth_creation: true })).body.data).toEqual(untouched);
    });

    test('a URL written anew is tried again, whatever its receiver said before', async () => {
        await patch('/environment/webhooks', { primary_url: 'https://hooks.example.com/a' });
        await valetkey.query(`update webhook_settings set primary_disabled_reason = 'the receiver answered 410 Gone'`);
        expect((await valetkey.call<{ data: object }>('GET', '/environment/webhooks')).body.data).toMatchObject({
            primary_disabled_reason: 'the receiver answered 410 Gone',
        });
        expect((await patch('/environment/webhooks', { on_sync_error: false })).body.data).toMatchObject({
            primary_disabled_reason: 'the receiver answered 410 Gone',
        });
        expect((await patch('/environment/webhooks', { primary_url: 'https://hooks.example.com/a' })).body.data).toMatchObject({
            primary_disabled_reason: null,
        });
    });

    test.each([
        'https://hooks.example.com',
        'https://hooks.internal:8443/x',
        'http://hooks.internal/plain-http-where-opened',
        'http://127.0.0.1:9999/',
        'https://10.1.2.3:8443/',
        'https://[2606:4700::1]/',
    ])('%s is accepted', async (url) => {
        expect((await patch('/environment/webhooks', { primary_url: url })).status).toBe(200);
    });

    test.each([
        // not https
        'http://hooks.example.com/',
        // private, link-local, metadata, and the ways of writing them
        'https://10.0.0.1/',
        'https://10.1.2.3/',
        'https://192.168.1.1/',
        'https://169.254.169.254/latest/meta-data',
        'https://metadata.google.internal/',
        'https://[::1]/',
        'https://[::ffff:10.0.0.1]/',
        'https://0x0a000001/',
        'https://[fd00::1]/',
        // no scheme of the web
        'ftp://hooks.example.com/',
        'file:///etc/passwd',
        'javascript:alert(1)',
        // a password in a URL
        'https://user:pass@hooks.example.com/',
        // this Valetkey itself
        'https://valetkey.example.org/hooks',
        'https://VALETKEY.example.org.:443/',
    ])('%s is refused by policy', async (url) => {
        for (const name of ['primary_url', 'secondary_url']) {
            const answer = await patch('/environment/webhooks', { [name]: url });
            expect([answer.status, issues(answer)]).toEqual([400, [['custom', [name]]]]);
        }
        const session = await valetkey.call('POST', '/connect/sessions', { body: { tags: {}, webhook_url_override: url } });
        expect([session.status, issues(session)]).toEqual([400, [['custom', ['webhook_url_override']]]]);
    });

    test.each<[string, unknown, unknown]>([
        ['nothing', {}, [['custom', []]]],
        ['an unknown setting', { tertiary_url: null }, [['unrecognized_keys', []]]],
        ['a switch that is text', { on_auth_creation: 'true' }, [['invalid_type', ['on_auth_creation']]]],
        ['what is no URL', { primary_url: 'hooks.example.com' }, [['invalid_union', ['primary_url']]]],
        ['a number', { primary_url: 1 }, [['invalid_union', ['primary_url']]]],
    ])('%s is refused', async (_name, body, expected) => {
        const answer = await patch('/environment/webhooks', body);
        expect([answer.status, issues(answer)]).toEqual([400, expected]);
    });

    test('a record that is missing reads as off, and is made with the first change', async () => {
        await valetkey.query(`delete from webhook_settings where environment_id = (select id from environments where name = 'prod')`);
        const none = await valetkey.call<{ data: Record<string, unknown> }>('GET', '/environment/webhooks', { key: valetkey.prodKey });
        expect(none.body.data).toEqual({ ...Object.fromEntries(Object.keys(untouched).map((name) => [name, null])), ...off });
        const set = await valetkey.call('PATCH', '/environment/webhooks', { key: valetkey.prodKey, body: { on_sync_error: false } });
        expect(set.body).toEqual({ data: { ...untouched, on_sync_error: false } });
    });
    const off = {
        on_auth_creation: false,
        on_auth_refresh_error: false,
        on_sync_completion_always: false,
        on_sync_error: false,
        on_async_action_completion: false,
    };
});

describe.each([
    ['/environment', { slack_notifications: true }],
    ['/environment/webhooks', { on_sync_error: true }],
])('If-Match on %s', (path, body) => {
    const tag = async (): Promise<string> => (await valetkey.call('GET', path)).headers['etag']!;
    const change = (ifMatch: string) => valetkey.call<{ error: { code: string } }>('PATCH', path, { body, headers: { 'if-match': ifMatch } });

    test('lets a change through that knows what it changes', async () => {
        const before = await tag();
        expect(before).toMatch(/^"\d{4}-.*Z"$/);
        const answer = await change(before);
        expect([answer.status, answer.headers['etag']]).toEqual([200, await tag()]);
        expect(answer.headers['etag']).not.toBe(before);
    });

    test('refuses one that was overtaken, even within a millisecond', async () => {
        const before = await tag();
        const answers = await Promise.all(Array.from({ length: 6 }, () => change(before)));
        expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 412, 412, 412, 412, 412]);
        expect(answers.find(({ status }) => status === 412)!.body.error.code).toBe('precondition_failed');
    });

    test('takes *, one of several, and a tag that a proxy made weak', async () => {
        expect((await change('*')).status).toBe(200);
        expect((await change(`"other", ${await tag()}`)).status).toBe(200);
        expect((await change(`W/${await tag()}`)).status).toBe(200);
        expect((await change('"other"')).status).toBe(412);
    });
});

describe('/environment', () => {
    test('says which environment a key opens, and all of its settings', async () => {
        const answer = await valetkey.call<{ data: { uuid: string } }>('GET', '/environment', { key: valetkey.prodKey });
        expect(answer.body.data).toEqual({
            id: expect.any(Number) as number,
            uuid: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
            name: 'prod',
            is_production: true,
            callback_url: 'https://valetkey.example.org/oauth/callback',
            previous_callback_urls: [],
            accepts_forwarded_callbacks: false,
            accept_unverified_credentials: false,
            hmac_enabled: false,
            hmac_key_set: false,
            slack_notifications: false,
            otlp_endpoint: null,
            otlp_headers: [],
            allowed_return_urls: [],
            webhook_receive_url: `https://valetkey.example.org/webhook/${answer.body.data.uuid}`,
            created_at: expect.stringMatching(/Z$/) as string,
            updated_at: expect.stringMatching(/Z$/) as string,
        });
    });

    test('changes what is named and nothing else; null and "" return to the default', async () => {
        expect((await patch('/environment', { callback_url: 'https://app.example.com/cb' })).body.data).toMatchObject({
            callback_url: 'https://app.example.com/cb',
            accepts_forwarded_callbacks: false,
        });
        expect((await patch('/environment', { accepts_forwarded_callbacks: true })).body.data).toMatchObject({
            callback_url: 'https://app.example.com/cb',
            accepts_forwarded_callbacks: true,
            accept_unverified_credentials: false,
        });
        expect((await patch('/environment', { accept_unverified_credentials: true })).body.data).toMatchObject({
            accept_unverified_credentials: true,
        });
        expect((await patch('/environment', { accept_unverified_credentials: false })).body.data).toMatchObject({
            accept_unverified_credentials: false,
        });
        for (const value of [null, '']) {
            expect((await patch('/environment', { callback_url: value })).body.data).toMatchObject({
                callback_url: 'https://valetkey.example.org/oauth/callback',
            });
        }
    });

    test('every setting can be set, and cleared', async () => {
        const set = await patch('/environment', {
            hmac_enabled: true,
            hmac_key: 'an-hmac-key',
            slack_notifications: true,
            otlp_endpoint: 'https://otlp.example.com/v1',
            otlp_headers: [
                { name: 'authorization', value: 'otlp-secret' },
                { name: 'x-team', value: 'a' },
            ],
            allowed_return_urls: ['https://app.example.com', 'http://localhost:3000/done?a=b'],
        });
        const expected = {
            hmac_enabled: true,
            hmac_key_set: true,
            slack_notifications: true,
            otlp_endpoint: 'https://otlp.example.com/v1',
            otlp_headers: [{ name: 'authorization' }, { name: 'x-team' }],
            allowed_return_urls: ['https://app.example.com', 'http://localhost:3000/done?a=b'],
        };
        expect(set.body.data).toMatchObject(expected);
        const read = await valetkey.call<{ data: object }>('GET', '/environment');
        expect(read.body.data).toMatchObject(expected);
        expect(set.text + read.text).not.toMatch(/an-hmac-key|otlp-secret/);
        const cleared = { hmac_key: null, otlp_endpoint: '', otlp_headers: null, allowed_return_urls: null };
        expect((await patch('/environment', cleared)).body.data).toMatchObject({
            hmac_enabled: true,
            hmac_key_set: false,
            otlp_endpoint: null,
            otlp_headers: [],
            allowed_return_urls: [],
        });
        await patch('/environment', { hmac_key: 'x' });
        expect((await patch('/environment', { hmac_key: '' })).body.data).toMatchObject({ hmac_key_set: false });
        expect((await patch('/environment', { otlp_headers: [] })).body.data).toMatchObject({ otlp_headers: [] });
    });

    test('secrets are sealed to their row', async () => {
        await patch('/environment', { hmac_key: 'an-hmac-key', otlp_headers: [{ name: 'authorization', value: 'otlp-secret' }] });
        const [row] = await valetkey.query<Record<string, string>>(
            `select s.* from environment_settings s join environments e on e.id = s.environment_id where e.name = 'dev'`,
        );
        const place = { environmentId: row!['environment_id']!, table: 'environment_settings', rowId: row!['id']! };
        expect(valetkey.vault.open(row!['sealed_hmac_key']!, { ...place, column: 'sealed_hmac_key' })).toBe('an-hmac-key');
        expect(valetkey.vault.openJson(row!['sealed_otlp_headers']!, { ...place, column: 'sealed_otlp_headers' })).toEqual([
            { name: 'authorization', value: 'otlp-secret' },
        ]);
        expect(JSON.stringify(row)).not.toMatch(/an-hmac-key|otlp-secret/);
    });

    test('earlier callback URLs are remembered, newest first, each once, without the present one (S8)', async () => {
        const previous = async (url: string | null): Promise<unknown> =>
            (await patch('/environment', { callback_url: url })).body.data['previous_callback_urls'];
        await valetkey.query('update environment_settings set previous_callback_urls = default');
        const standard = 'https://valetkey.example.org/oauth/callback';
        expect(await previous('https://a.example.com/')).toEqual([standard]);
        expect(await previous('https://b.example.com/')).toEqual(['https://a.example.com/', standard]);
        expect(await previous('https://b.example.com/')).toEqual(['https://a.example.com/', standard]);
        expect(await previous(null)).toEqual(['https://b.example.com/', 'https://a.example.com/']);
        expect(await previous('https://a.example.com/')).toEqual([standard, 'https://b.example.com/']);
        for (let index = 0; index < 25; index += 1) {
            await previous(`https://${index}.example.com/`);
        }
        expect(await previous(null)).toHaveLength(20);
    });

    test.each<[unknown, unknown]>([
        [{}, [['custom', []]]],
        [{ nickname: 'x' }, [['unrecognized_keys', []]]],
        [{ uuid: 'x' }, [['unrecognized_keys', []]]],
        [{ name: 'With Space' }, [['invalid_format', ['name']]]],
        [{ name: 'account' }, [['custom', ['name']]]],
        [{ callback_url: 'nope' }, [['invalid_format', ['callback_url']]]],
        [{ callback_url: 'javascript:alert(1)' }, [['invalid_format', ['callback_url']]]],
        [{ callback_url: 'https://user:pass@app.example.com/' }, [['custom', ['callback_url']]]],
        [{ callback_url: 'https://app.example.com/#here' }, [['custom', ['callback_url']]]],
        [{ otlp_endpoint: 'https://user:pass@app.example.com/' }, [['custom', ['otlp_endpoint']]]],
        [{ allowed_return_urls: ['app.example.com'] }, [['invalid_format', ['allowed_return_urls', '0']]]],
        [{ allowed_return_urls: ['myapp://done'] }, [['invalid_format', ['allowed_return_urls', '0']]]],
        [{ hmac_key: 'k'.repeat(1001) }, [['too_big', ['hmac_key']]]],
        [{ otlp_headers: [{ name: 'a', value: '' }] }, [['too_small', ['otlp_headers', '0', 'value']]]],
        [{ accepts_forwarded_callbacks: 'yes' }, [['invalid_type', ['accepts_forwarded_callbacks']]]],
        [{ accept_unverified_credentials: null }, [['invalid_type', ['accept_unverified_credentials']]]],
    ])('%j is refused', async (body, expected) => {
        const answer = await patch('/environment', body);
        expect([answer.status, issues(answer)]).toEqual([400, expected]);
    });

    test('whether it is a production environment is for an account key to say', async () => {
        const dev = await valetkey.call<{ data: { id: number; is_production: boolean } }>('GET', '/environment');
        const refused = await valetkey.call<{ error: { code: string; message: string } }>('PATCH', '/environment', { body: { is_production: true } });
        expect([refused.status, refused.body.error.code]).toEqual([403, 'forbidden']);
        expect(refused.body.error.message).toContain('account:environments:set_production');
        expect((await patch('/environment', { is_production: false })).status).toBe(200);

        const account = await valetkey.insertKey({ scopes: ['account:environments:set_production'], environment: null });
        const set = (id: number | string, body: unknown) =>
            valetkey.call<{ data: object; error: { code: string } }>('PATCH', `/environments/${id}`, { key: account, body });
        expect((await set(dev.body.data.id, { is_production: true })).body.data).toMatchObject({ name: 'dev', is_production: true });
        expect((await valetkey.call<{ data: object }>('GET', '/environment')).body.data).toMatchObject({ is_production: true });
        expect((await set(dev.body.data.id, { is_production: false })).body.data).toMatchObject({ is_production: false });

        const prod = await valetkey.call<{ data: { id: number } }>('GET', '/environment', { key: valetkey.prodKey });
        const toggled = await set(prod.body.data.id, { is_production: false });
        expect([toggled.status, toggled.body.error.code]).toEqual([400, 'cannot_toggle_prod_environment']);
        expect((await set(prod.body.data.id, { is_production: true })).status).toBe(200);
        expect((await set(999_999, { is_production: true })).status).toBe(404);
        expect((await set('x', { is_production: true })).body.error.code).toBe('invalid_uri_params');
        expect((await set(dev.body.data.id, { is_production: true, name: 'x' })).body.error.code).toBe('invalid_body');
    });

    test('prod keeps its name, and so does an environment whose key the configuration fixes by it', async () => {
        const rename = async (key: string, name: string): Promise<unknown[]> => {
            const answer = await valetkey.call<{ error?: { code: string } }>('PATCH', '/environment', { key, body: { name } });
            return [answer.status, answer.body.error?.code];
        };
        expect(await rename(valetkey.prodKey, 'production')).toEqual([400, 'cannot_rename_prod_environment']);
        expect(await rename(valetkey.prodKey, 'prod')).toEqual([200, undefined]);
        expect(await rename(valetkey.key, 'development')).toEqual([400, 'cannot_rename_environment_with_fixed_key']);
    });
});

describe('renaming', () => {
    test('keeps uuid and keys, refuses taken names, and survives a restart', async () => {
        const database = await createDatabase();
        const env = {
            DATABASE_URL: database.url,
            VALETKEY_ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64'),
            VALETKEY_SECRET_KEY_DEV: '',
        };
        const first = await startTestApp({ env });
        const key = await first.insertKey({ scopes: ['environment:*'] });
        const before = await first.call<{ data: { uuid: string } }>('GET', '/environment', { key });
        const rename = (name: string) => first.call<{ data: object; error: { code: string } }>('PATCH', '/environment', { key, body: { name } });
        const taken = await rename('prod');
        expect([taken.status, taken.body.error.code]).toEqual([409, 'conflict']);
        expect((await rename('staging')).body.data).toMatchObject({ name: 'staging', uuid: before.body.data.uuid });
        await first.close();

        const second = await startTestApp({ env });
        try {
            expect((await second.call<{ data: object }>('GET', '/environment', { key })).body.data).toMatchObject({ name: 'staging' });
            expect(await second.query('select name from environments order by name')).toEqual([{ name: 'prod' }, { name: 'staging' }]);
        } finally {
            await second.close();
            await database.drop();
        }
    });
});
