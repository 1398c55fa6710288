/** Settings of an environment: its webhooks and how its redirect flows come back (webhooks §1.1, §4.6, §8.3). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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
});

describe('/environment', () => {
    test('says which environment a key opens, and where redirect flows come back', async () => {
        const answer = await valetkey.call<{ data: object }>('GET', '/environment', { key: valetkey.prodKey });
        expect(answer.body.data).toEqual({
            id: expect.any(Number) as number,
            uuid: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
            name: 'prod',
            is_production: true,
            callback_url: 'https://valetkey.example.org/oauth/callback',
            accepts_forwarded_callbacks: false,
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
        });
        for (const value of [null, '']) {
            expect((await patch('/environment', { callback_url: value })).body.data).toMatchObject({
                callback_url: 'https://valetkey.example.org/oauth/callback',
            });
        }
    });

    test.each<[unknown, unknown]>([
        [{}, [['custom', []]]],
        [{ name: 'x' }, [['unrecognized_keys', []]]],
        [{ callback_url: 'nope' }, [['invalid_format', ['callback_url']]]],
        [{ callback_url: 'javascript:alert(1)' }, [['invalid_format', ['callback_url']]]],
        [{ accepts_forwarded_callbacks: 'yes' }, [['invalid_type', ['accepts_forwarded_callbacks']]]],
    ])('%j is refused', async (body, expected) => {
        const answer = await patch('/environment', body);
        expect([answer.status, issues(answer)]).toEqual([400, expected]);
    });
});
