/** POST /integrations, the catalogue, logos: what is set up before anybody connects (http-api §6, §7.2). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { basicEntry, oauth2Entry, providersFile } from '../e2e/provider-entries.ts';
import { createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';

let valetkey: TestApp;

beforeAll(async () => {
    const server = { authorizationEndpoint: 'https://auth.example.com/authorize', tokenEndpoint: 'https://auth.example.com/token' };
    valetkey = await startTestApp({
        providers: providersFile(
            untestedKeyEntry('keys'),
            basicEntry('basic', 'https://api.example.com'),
            oauth2Entry('oauth', server),
            oauth2Entry('scoped', server, { default_scopes: ['read', 'write'] }),
        ),
    });
});

afterAll(() => valetkey?.close());

const create = (body: unknown): Promise<Answer<{ data: Record<string, unknown> }>> => valetkey.call('POST', '/integrations', { body });
const issues = (answer: Answer<unknown>): unknown =>
    (answer.body as { error: { errors?: { code: string; path: string[] }[] } }).error.errors?.map(({ code, path }) => [code, path]);
const app = { type: 'OAUTH2', client_id: 'id', client_secret: 'a-client-secret' };

describe('POST /integrations', () => {
    test('answers 200 with the public form, never with what is secret', async () => {
        const answer = await create({
            provider: 'oauth',
            unique_key: 'first',
            display_name: 'First',
            forward_webhooks: false,
            credentials: { ...app, scopes: 'a,b:c' },
        });
        expect(answer.status).toBe(200);
        const { data } = answer.body;
        expect(data).toEqual({
            unique_key: 'first',
            provider: 'oauth',
            display_name: 'First',
            logo: `${valetkey.url}/images/template-logos/oauth.svg`,
            forward_webhooks: false,
            created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
            updated_at: data['created_at'],
        });
        const [row] = await valetkey.query(
            'select oauth_client_id, oauth_scopes, sealed_oauth_client_secret from integrations where unique_key = $1',
            ['first'],
        );
        expect(row).toEqual({ oauth_client_id: 'id', oauth_scopes: 'a,b:c', sealed_oauth_client_secret: expect.stringMatching(/^v1\./) as string });
    });

    test('what else is secret is kept sealed: a webhook secret, values of the operator’s own', async () => {
        const webhook = { ...app, webhook_secret: 'a-webhook-secret' };
        const answer = await create({ provider: 'oauth', unique_key: 'sealed', credentials: webhook, custom: { partner: 'a-custom-value' } });
        expect([answer.status, Object.keys(answer.body.data)]).toEqual([200, expect.not.arrayContaining(['custom', 'credentials'])]);
        const [row] = await valetkey.query<{ text: string; sealed: string }>(
            `select i::text as text, sealed_custom as sealed from integrations i where unique_key = 'sealed'`,
        );
        expect(row!.text).not.toMatch(/a-webhook-secret|a-custom-value|a-client-secret/);
        expect(row!.sealed).toMatch(/^v1\./);
        expect(issues(await create({ provider: 'oauth', unique_key: 'k', credentials: { ...app, webhook_secret: 'x'.repeat(256) } }))).toEqual([
            ['too_big', ['credentials', 'webhook_secret']],
        ]);
        expect(issues(await create({ provider: 'keys', unique_key: 'k', custom: { a: 1 } }))).toEqual([['invalid_type', ['custom', 'a']]]);
    });

    test('fills in the provider’s name and default scopes', async () => {
        expect((await create({ provider: 'scoped', unique_key: 'scoped', credentials: app })).body.data).toMatchObject({
            display_name: 'Test scoped',
            forward_webhooks: true,
        });
        await create({ provider: 'scoped', unique_key: 'unscoped', credentials: { ...app, scopes: '' } });
        const rows = await valetkey.query('select unique_key, oauth_scopes from integrations where provider = $1 order by unique_key', ['scoped']);
        expect(rows).toEqual([
            { unique_key: 'scoped', oauth_scopes: 'read,write' },
            { unique_key: 'unscoped', oauth_scopes: '' },
        ]);
    });

    test('credentials are optional where the provider needs none, whatever the key is called', async () => {
        for (const [provider, unique_key] of [
            ['keys', 'A~z:0.@ _-'],
            ['basic', 'basic'],
        ]) {
            expect((await create({ provider, unique_key })).status).toBe(200);
        }
    });

    test.each<[string, object, [string, string[]][]]>([
        [
            'nothing',
            {},
            [
                ['invalid_type', ['provider']],
                ['invalid_type', ['unique_key']],
            ],
        ],
        ['an unknown member', { provider: 'keys', unique_key: 'k', environment: 'prod' }, [['unrecognized_keys', []]]],
        ['an impossible key', { provider: 'keys', unique_key: 'a/b' }, [['invalid_format', ['unique_key']]]],
        ['a key of 256', { provider: 'keys', unique_key: 'k'.repeat(256) }, [['too_big', ['unique_key']]]],
        ['an impossible provider', { provider: 'a.b', unique_key: 'k' }, [['invalid_format', ['provider']]]],
        ['an unknown provider', { provider: 'nobody', unique_key: 'k' }, [['invalid_string', ['provider']]]],
        ['an empty name', { provider: 'keys', unique_key: 'k', display_name: '' }, [['too_small', ['display_name']]]],
        [
            'an unknown type of credentials',
            { provider: 'oauth', unique_key: 'k', credentials: { type: 'MAGIC' } },
            [['invalid_union', ['credentials', 'type']]],
        ],
        ['credentials that are no object', { provider: 'oauth', unique_key: 'k', credentials: 'x' }, [['invalid_type', ['credentials']]]],
        [
            'credentials without a secret',
            { provider: 'oauth', unique_key: 'k', credentials: { type: 'OAUTH2', client_id: 'id' } },
            [['invalid_type', ['credentials', 'client_secret']]],
        ],
        [
            'an empty secret',
            { provider: 'oauth', unique_key: 'k', credentials: { ...app, client_secret: '' } },
            [['too_small', ['credentials', 'client_secret']]],
        ],
        [
            'scopes with blanks',
            { provider: 'oauth', unique_key: 'k', credentials: { ...app, scopes: 'a, b' } },
            [['invalid_union', ['credentials', 'scopes']]],
        ],
        [
            'a member that is not of these credentials',
            { provider: 'oauth', unique_key: 'k', credentials: { ...app, app_id: '1' } },
            [['unrecognized_keys', ['credentials']]],
        ],
        [
            'a host that is a URL',
            { provider: 'oauth', unique_key: 'k', credentials: app, allowed_hosts: ['https://x.example'] },
            [['invalid_format', ['allowed_hosts', '0']]],
        ],
    ])('refuses %s', async (_name, body, expected) => {
        const answer = await create(body);
        expect([answer.status, (answer.body as unknown as { error: { code: string } }).error.code, issues(answer)]).toEqual([
            400,
            'invalid_body',
            expected,
        ]);
    });

    test.each<[string, object]>([
        ['credentials of another mode', { provider: 'keys', unique_key: 'k', credentials: app }],
        ['OAuth without an app', { provider: 'oauth', unique_key: 'k' }],
    ])('refuses %s with a sentence', async (_name, body) => {
        const answer = await create(body);
        expect([answer.status, answer.body]).toEqual([400, { error: { code: 'invalid_body', message: expect.any(String) as string } }]);
    });

    test('a key that is taken is 400, in the same environment only, also when two ask at once', async () => {
        const answers = await Promise.all([create({ provider: 'keys', unique_key: 'twice' }), create({ provider: 'keys', unique_key: 'twice' })]);
        expect(answers.map((answer) => answer.status).toSorted()).toEqual([200, 400]);
        expect(issues(answers.find((answer) => answer.status === 400)!)).toEqual([['invalid_string', ['unique_key']]]);
        const elsewhere = await valetkey.call('POST', '/integrations', { key: valetkey.prodKey, body: { provider: 'keys', unique_key: 'twice' } });
        expect(elsewhere.status).toBe(200);
    });
});

describe('the catalogue', () => {
    const names = async (query: string): Promise<unknown[]> => {
        const answer = await valetkey.call<{ data: { name: string }[] }>('GET', `/providers${query}`);
        expect(answer.status, answer.text).toBe(200);
        return answer.body.data.map((provider) => provider.name);
    };

    test('lists the built-in providers and the operator’s, for a key and for a session', async () => {
        const all = await names('');
        expect(all).toEqual(expect.arrayContaining(['github', 'slack', 'keys', 'oauth']));
        const bySession = await valetkey.call<{ data: unknown[] }>('GET', '/providers', { key: await createSession(valetkey) });
        expect(bySession.body.data).toHaveLength(all.length);
    });

    test('an entry has its name, logo and what a form is built from', async () => {
        const answer = await valetkey.call<{ data: Record<string, unknown> }>('GET', '/providers/keys');
        expect(answer.body.data).toMatchObject({
            name: 'keys',
            display_name: 'Test keys',
            auth_mode: 'API_KEY',
            logo_url: `${valetkey.url}/images/template-logos/keys.svg`,
            credentials: { apiKey: { type: 'string', title: 'API key', secret: true } },
        });
    });

    test('search looks at name and display name, ignores case, and is no pattern', async () => {
        expect(await names('?search=GITHUB')).toContain('github');
        expect(await names('?search=Test%20key')).toEqual(['keys']);
        expect(await names('?search=g.thub')).toEqual([]);
        expect(await names('?search=no-such-thing')).toEqual([]);
    });

    test.each([
        ['/providers?search=', 400, 'invalid_query_params'],
        ['/providers?search=a%25', 400, 'invalid_query_params'],
        ['/providers?find=x', 400, 'invalid_query_params'],
        ['/providers/a%20b', 400, 'invalid_uri_params'],
        ['/providers/keys?x=1', 400, 'invalid_query_params'],
        ['/providers/nobody', 404, 'not_found'],
        ['/providers/constructor', 404, 'not_found'],
    ])('%s: %i %s', async (path, status, code) => {
        const answer = await valetkey.call('GET', path);
        expect([answer.status, answer.body]).toMatchObject([status, { error: { code } }]);
    });
});

describe('without a key', () => {
    test('logos are drawn for every provider and may be shown anywhere; an unknown one is 404', async () => {
        const answer = await valetkey.call('GET', '/images/template-logos/github.svg?v=2', { key: null });
        expect(answer.status).toBe(200);
        expect(answer.headers).toMatchObject({ 'content-type': 'image/svg+xml', 'cross-origin-resource-policy': 'cross-origin' });
        expect(answer.text).toMatch(/^<svg .*<\/svg>$/);
        for (const file of ['nobody.svg', 'github.png', '..%2Fgithub.svg']) {
            expect(await valetkey.call('GET', `/images/template-logos/${file}`, { key: null })).toMatchObject({
                status: 404,
                body: { error: { code: 'not_found' } },
            });
        }
    });
});
