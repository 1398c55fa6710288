/** POST /integrations and its quickstart: what is set up before anybody connects (http-api §7.2, §7.3). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestApp, type Answer, type TestApp } from './app.ts';
import { codeOf, credentialsOf, everyMode, issues, pem, pkcs8 } from './every-mode.ts';

let valetkey: TestApp;

beforeAll(async () => {
    valetkey = await startTestApp({ providers: everyMode() });
});

afterAll(() => valetkey?.close());

const create = (body: unknown): Promise<Answer<{ data: Record<string, unknown> }>> => valetkey.call('POST', '/integrations', { body });
const app = credentialsOf.oauth;
const created = (unique_key: string) =>
    valetkey.query('select provider, display_name, forward_webhooks, oauth_scopes from integrations where unique_key = $1', [unique_key]);

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
            ['tba', 'tba-without'],
            ['mcp', 'mcp-without'],
            ['set-up', 'set-up-without'],
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
            'a key that is no PEM',
            { provider: 'app', unique_key: 'k', credentials: { ...credentialsOf.app, private_key: 'MIIBOgIBAAJBAKj34Gkx' } },
            [['invalid_format', ['credentials', 'private_key']]],
        ],
        [
            'a public key',
            { provider: 'app', unique_key: 'k', credentials: { ...credentialsOf.app, private_key: pem.replaceAll('RSA PRIVATE', 'PUBLIC') } },
            [['invalid_format', ['credentials', 'private_key']]],
        ],
        [
            'an app without its link and key',
            { provider: 'app', unique_key: 'k', credentials: { type: 'APP', app_id: '', app_link: '' } },
            [
                ['too_small', ['credentials', 'app_id']],
                ['too_small', ['credentials', 'app_link']],
                ['invalid_type', ['credentials', 'private_key']],
            ],
        ],
        [
            'a custom app without its client',
            { provider: 'custom', unique_key: 'k', credentials: { ...credentialsOf.app, type: 'CUSTOM' } },
            [
                ['invalid_type', ['credentials', 'client_id']],
                ['invalid_type', ['credentials', 'client_secret']],
            ],
        ],
        [
            'scopes of an app',
            { provider: 'app', unique_key: 'k', credentials: { ...credentialsOf.app, scopes: 'a' } },
            [['unrecognized_keys', ['credentials']]],
        ],
        [
            'a setting of more than 8192 characters',
            { provider: 'set-up', unique_key: 'k', integration_config: { keyLabel: 'x'.repeat(8193) } },
            [['too_big', ['integration_config', 'keyLabel']]],
        ],
        [
            'a setting that is no text',
            { provider: 'set-up', unique_key: 'k', integration_config: { timeout: 30 } },
            [['invalid_type', ['integration_config', 'timeout']]],
        ],
        [
            'a host that is a URL',
            { provider: 'oauth', unique_key: 'k', credentials: app, allowed_hosts: ['https://x.example'] },
            [['invalid_format', ['allowed_hosts', '0']]],
        ],
    ])('refuses %s', async (_name, body, expected) => {
        const answer = await create(body);
        expect([answer.status, codeOf(answer), issues(answer)]).toEqual([400, 'invalid_body', expected]);
    });

    test.each<[string, object]>([
        ['credentials of another mode', { provider: 'keys', unique_key: 'k', credentials: app }],
        ['OAuth 1 credentials for OAuth 2', { provider: 'oauth', unique_key: 'k', credentials: credentialsOf.oauth1 }],
        ['OAuth without an app', { provider: 'oauth', unique_key: 'k' }],
        ['OAuth 1 without an app', { provider: 'oauth1', unique_key: 'k' }],
        ['an app without an app', { provider: 'app', unique_key: 'k' }],
        ['a custom app without an app', { provider: 'custom', unique_key: 'k' }],
        ['settings of a provider that has none', { provider: 'keys', unique_key: 'k', integration_config: {} }],
        ['custom values beside settings', { provider: 'set-up', unique_key: 'k', custom: { a: 'b' } }],
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

    test.each(Object.entries(credentialsOf))(
        'takes the credentials of %s, and keeps what is secret of them sealed',
        async (provider, credentials) => {
            const answer = await create({ provider, unique_key: `with-${provider}`, credentials });
            expect([answer.status, Object.keys(answer.body.data)]).toEqual([200, expect.not.arrayContaining(['credentials'])]);
            const [row] = await valetkey.query<{ text: string }>('select i::text as text from integrations i where unique_key = $1', [
                `with-${provider}`,
            ]);
            expect(row!.text).not.toMatch(/a-client-secret|a-consumer-secret|BEGIN|apps\.example/);
        },
    );

    test.each([
        ['with blank lines around it', `\r\n  ${pem}\n\n`],
        ['as PKCS#8', pkcs8],
    ])('takes a private key %s', async (name, private_key) => {
        const credentials = { ...credentialsOf.app, private_key };
        expect((await create({ provider: 'app', unique_key: `key ${name.slice(0, 4)}`, credentials })).status).toBe(200);
    });

    test('keeps the settings that the provider declares, defaults left out', async () => {
        const integration_config = { keyPlacement: 'header', keyName: 'X-Key', baseUrl: '', keyLabel: 'Acme key' };
        const answer = await create({ provider: 'set-up', unique_key: 'set', integration_config });
        expect([answer.status, answer.body.data['credentials_label']]).toEqual([200, { apiKey: 'Acme key' }]);
        expect(await customOf('set')).toEqual({ keyPlacement: 'header', keyName: 'X-Key', keyLabel: 'Acme key' });
    });

    test.each<[string, Record<string, string>, RegExp]>([
        ['an undeclared setting', { keyPlacement: 'query', colour: 'red' }, /no setting "colour"/],
        ['a name that every object has', { keyPlacement: 'query', constructor: 'x' }, /no setting "constructor"/],
        ['a missing one', { keyLabel: 'x' }, /Placement \("keyPlacement"\) is required/],
        ['an empty one', { keyPlacement: '' }, /"keyPlacement"\) is required/],
        ['another than the choices', { keyPlacement: 'body' }, /one of header, query/],
        ['one that does not fit its pattern', { keyPlacement: 'header', keyName: 'X Key' }, /"keyName" is not written as expected/],
        ['an address that is none', { keyPlacement: 'query', baseUrl: 'api.example.com' }, /"baseUrl" must be an http or https URL/],
        ['an address of another kind', { keyPlacement: 'query', baseUrl: 'ftp://api.example.com' }, /"baseUrl" must be an http or https URL/],
        ['a default overwritten badly', { keyPlacement: 'query', timeout: 'long' }, /"timeout" is not written/],
        ['one that a choice makes visible', { keyPlacement: 'header' }, /"keyName" is required/],
        ['one that a chain of choices makes visible', { keyPlacement: 'header', keyName: 'Authorization' }, /"keyPrefix" is required/],
        ['several at once', { keyPlacement: 'body', timeout: 'long' }, /keyPlacement.*timeout/],
    ])('refuses settings with %s, in a sentence without the value', async (_name, integration_config, sentence) => {
        const answer = await create({ provider: 'set-up', unique_key: 'k', integration_config });
        expect([answer.status, answer.body]).toEqual([400, { error: { code: 'invalid_body', message: expect.stringMatching(sentence) as string } }]);
        expect(answer.text).not.toMatch(/X Key|ftp:|long/);
    });

    test('a setting that is not visible is neither demanded, nor judged, nor kept', async () => {
        const integration_config = { keyPlacement: 'query', keyName: 'no name at all!' };
        expect((await create({ provider: 'set-up', unique_key: 'hidden', integration_config })).status).toBe(200);
        expect(await customOf('hidden')).toEqual({ keyPlacement: 'query' });
    });

    test('the first of several mistakes is the one that is reported', async () => {
        await create({ provider: 'keys', unique_key: 'taken' });
        const unique_key = 'taken';
        // provider, type, presence, key, settings, custom
        const unknown = await create({ provider: 'nobody', unique_key, credentials: app });
        expect(issues(unknown)).toEqual([['invalid_string', ['provider']]]);
        expect(issues(await create({ provider: 'keys', unique_key, credentials: app }))).toBeUndefined();
        expect(issues(await create({ provider: 'oauth', unique_key }))).toBeUndefined();
        const taken = await create({ provider: 'set-up', unique_key, integration_config: { colour: 'red' }, custom: {} });
        expect(issues(taken)).toEqual([['invalid_string', ['unique_key']]]);
        const settings = await create({ provider: 'set-up', unique_key: 'k', integration_config: { colour: 'red' }, custom: {} });
        expect(settings.text).toContain('colour');
    });

    const customOf = async (key: string): Promise<unknown> =>
        (await valetkey.call<{ config: { custom: unknown } }>('GET', `/config/${key}?include_creds=true`)).body.config.custom;
});

describe('POST /integrations/quickstart', () => {
    const quickstart = (body: unknown): Promise<Answer> => valetkey.call('POST', '/integrations/quickstart', { body });

    test('has no shared app to offer', async () => {
        for (const provider of ['oauth', 'oauth1', 'app']) {
            const answer = await quickstart({ provider, unique_key: 'quick', display_name: 'Quick', forward_webhooks: true });
            expect([answer.status, answer.body]).toEqual([
                400,
                { error: { code: 'invalid_body', message: expect.stringMatching(/no shared app/i) as string } },
            ]);
        }
        expect(await created('quick')).toEqual([]);
    });

    test('says before that what else is wrong', async () => {
        await create({ provider: 'keys', unique_key: 'slow' });
        for (const [body, expected] of [
            [
                {},
                [
                    ['invalid_type', ['provider']],
                    ['invalid_type', ['unique_key']],
                ],
            ],
            [{ provider: 'oauth', unique_key: 'q', credentials: app }, [['unrecognized_keys', []]]],
            [{ provider: 'nobody', unique_key: 'slow' }, [['invalid_string', ['provider']]]],
            [{ provider: 'keys', unique_key: 'slow' }, [['invalid_string', ['unique_key']]]],
            [{ provider: 'oauth', unique_key: 'slow' }, [['invalid_string', ['unique_key']]]],
        ]) {
            const answer = await quickstart(body);
            expect([answer.status, codeOf(answer), issues(answer)]).toEqual([400, 'invalid_body', expected]);
        }
        const answer = await quickstart({ provider: 'custom', unique_key: 'q' });
        expect([answer.status, answer.body]).toEqual([
            400,
            { error: { code: 'invalid_body', message: expect.stringContaining('CUSTOM') as string } },
        ]);
    });
});
