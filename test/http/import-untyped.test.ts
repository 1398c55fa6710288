/** POST /connection: the import of old clients (http-api §8.4). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { oauth2Entry, providersFile } from '../e2e/provider-entries.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';
import { appKey, everyEntry, insertEveryIntegration, insertIntegration, startAccountServer, type AccountServer } from './import-entries.ts';

let valetkey: TestApp;
let account: AccountServer;

beforeAll(async () => {
    account = await startAccountServer();
    valetkey = await startTestApp({
        providers: providersFile(
            ...everyEntry(account.url),
            oauth2Entry(
                'tenant',
                { authorizationEndpoint: `${account.url}/a`, tokenEndpoint: 'https://${connectionConfig.tenant}.example.com/token' },
                {
                    connection_config: {
                        tenant: { type: 'string', title: 'Tenant', description: 'Its name.', pattern: '^[a-z]+$', example: 'acme' },
                    },
                },
            ),
        ),
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
    account.answer = { status: 401, body: {} };
    account.meanwhile = undefined;
    await valetkey.query('delete from webhook_deliveries');
    await valetkey.query('delete from webhook_events');
});

const post = (body: unknown) => valetkey.call<Record<string, unknown> & { connection_id: string }>('POST', '/connection', { body });
const read = async (id: string, integration: string, query = ''): Promise<Record<string, unknown> & { credentials: Record<string, unknown> }> => {
    const answer = await valetkey.call<Record<string, unknown> & { credentials: Record<string, unknown> }>(
        'GET',
        `/connection/${id}?provider_config_key=${integration}${query}`,
    );
    expect(answer.status, answer.text).toBe(200);
    return answer.body;
};
const legacy = (code: string) => ({ error: { code, message: expect.stringMatching(/.{10}/) as string, payload: {} } });
const simple = (code: string) => ({ error: { code, message: expect.stringMatching(/.{10}/) as string } });
const issues = (answer: Answer<unknown>): unknown =>
    (answer.body as { error: { errors?: { code: string; path: string[] }[] } }).error.errors?.map(({ code, path }) => [code, path]);
const oauth2 = { provider_config_key: 'oauth2', access_token: 'secret-a', no_expiration: true };

describe('credentials, as they are read back', () => {
    test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
        [
            'oauth2',
            { access_token: 'a', refresh_token: 'r', expires_at: '2031-01-01T00:00:00Z', raw: { team: 'x', refresh_token: 'r' } },
            { type: 'OAUTH2', access_token: 'a', refresh_token: 'r', expires_at: '2031-01-01T00:00:00.000Z', raw: { team: 'x', refresh_token: 'r' } },
        ],
        [
            'oauth2',
            { access_token: 'a', no_expiration: true, expires_at: 'never', oauth_client_id_override: 'i', oauth_client_secret_override: 's' },
            {
                type: 'OAUTH2',
                access_token: 'a',
                config_override: { client_id: 'i', client_secret: 's' },
                raw: { type: 'OAUTH2', access_token: 'a', config_override: { client_id: 'i', client_secret: 's' } },
            },
        ],
        [
            'cc',
            { access_token: 't', expires_at: '2031-01-01T00:00:00Z', oauth_client_id_override: 'i', oauth_client_secret_override: 's' },
            {
                type: 'OAUTH2_CC',
                token: 't',
                client_id: 'i',
                client_secret: 's',
                expires_at: '2031-01-01T00:00:00.000Z',
                raw: { type: 'OAUTH2_CC', token: 't', client_id: 'i', client_secret: 's', expires_at: '2031-01-01T00:00:00Z' },
            },
        ],
        [
            'cc',
            { access_token: 't' },
            {
                type: 'OAUTH2_CC',
                token: 't',
                client_id: '',
                client_secret: '',
                raw: { type: 'OAUTH2_CC', token: 't', client_id: '', client_secret: '' },
            },
        ],
        [
            'oauth1',
            { oauth_token: 't', oauth_token_secret: 's' },
            { type: 'OAUTH1', oauth_token: 't', oauth_token_secret: 's', raw: { type: 'OAUTH1', oauth_token: 't', oauth_token_secret: 's' } },
        ],
        ['basic', { username: 'u', password: 'p' }, { type: 'BASIC', username: 'u', password: 'p' }],
        ['basic', { username: '', password: 'p' }, { type: 'BASIC', username: '', password: 'p' }],
        ['basic', { username: 'u' }, { type: 'BASIC', username: 'u', password: '' }],
        ['keys', { api_key: 'k' }, { type: 'API_KEY', apiKey: 'k' }],
        [
            'tba',
            { token_id: 'i', token_secret: 's', oauth_client_id_override: 'ci', connection_config: { accountId: 'a' } },
            { type: 'TBA', token_id: 'i', token_secret: 's', config_override: { client_id: 'ci' } },
        ],
        ['none', {}, {}],
    ])('%s: %j', async (provider_config_key, body, expected) => {
        const answer = await post({ provider_config_key, ...body });
        expect(answer.status, answer.text).toBe(201);
        expect((await read(answer.body.connection_id, provider_config_key, '&refresh_token=true')).credentials).toEqual(expected);
        // the provider, which would refuse, is not asked
        expect(account.requests).toEqual([]);
    });

    test('an installation’s token is fetched: there is nothing to store without it', async () => {
        account.answer = { status: 201, body: { token: 'installed' } };
        const answer = await post({ provider_config_key: 'app', app_id: 4711, installation_id: '77' });
        expect(answer.status, answer.text).toBe(201);
        const connection = await read(answer.body.connection_id, 'app');
        expect(connection).toMatchObject({
            credentials: { type: 'APP', access_token: 'installed' },
            connection_config: { app_id: '4711', installation_id: '77' },
        });
        account.answer = { status: 404, body: {} };
        const refused = await post({ provider_config_key: 'app', app_id: '4711', installation_id: '77' });
        expect([refused.status, refused.body]).toEqual([500, simple('server_error')]);
    });

    test.each([
        [3600, 60],
        ['60', 1],
        [60.5, 1],
    ])('expires_in %j', async (expires_in, minutes) => {
        const { body } = await post({ provider_config_key: 'oauth2', access_token: 'a', expires_in });
        const { credentials } = await read(body.connection_id, 'oauth2');
        expect(Math.round((Date.parse(credentials['expires_at'] as string) - Date.now()) / 60_000)).toBe(minutes);
    });
});

describe('what is refused', () => {
    test.each([
        ['a body that is missing', undefined, 'missing_provider_config'],
        ['a list', [], 'missing_provider_config'],
        ['nothing of importance', { access_token: 'a' }, 'missing_provider_config'],
        ['an integration that is no text', { provider_config_key: 5 }, 'missing_provider_config'],
        ['an unknown integration', { provider_config_key: 'unknown' }, 'unknown_provider_config'],
        ['no access token', { ...oauth2, access_token: '' }, 'missing_access_token'],
        ['no access token of a client', { provider_config_key: 'cc' }, 'missing_access_token'],
        ['no date', { provider_config_key: 'oauth2', access_token: 'a' }, 'missing_expires_at'],
        ['a date that is none', { provider_config_key: 'oauth2', access_token: 'a', expires_at: 'never' }, 'missing_expires_at'],
        ['no_expiration as text', { ...oauth2, no_expiration: 'true' }, 'missing_expires_at'],
        ['a lifetime that is no number', { provider_config_key: 'oauth2', access_token: 'a', expires_in: 'long' }, 'invalid_expires_at'],
        ['a client’s date that is none', { provider_config_key: 'cc', access_token: 'a', expires_at: 'never' }, 'invalid_expires_at'],
        ['no OAuth 1 token', { provider_config_key: 'oauth1', oauth_token_secret: 's' }, 'missing_oauth_token'],
        ['no OAuth 1 secret', { provider_config_key: 'oauth1', oauth_token: 't' }, 'missing_oauth_token_secret'],
        ['no user name', { provider_config_key: 'basic', password: 'p' }, 'missing_basic_username'],
        ['neither name nor password', { provider_config_key: 'basic', username: '', password: '' }, 'missing_basic_username'],
        ['no API key', { provider_config_key: 'keys', api_key: null }, 'missing_api_key'],
        ['no app', { provider_config_key: 'app', installation_id: '1' }, 'missing_app_id'],
        ['no installation', { provider_config_key: 'app', app_id: '1' }, 'missing_installation_id'],
        ['no token id', { provider_config_key: 'tba', token_secret: 's' }, 'missing_token_id'],
        ['no token secret', { provider_config_key: 'tba', token_id: 'i' }, 'missing_token_secret'],
        ['a mode that this import does not have', { provider_config_key: 'custom', app_id: '1', installation_id: '1' }, 'unknown_oauth_type'],
    ])('%s: 400 %j %s', async (_name, body, code) => {
        const answer = await post(body);
        expect([answer.status, answer.body]).toEqual([400, legacy(code)]);
        expect(await valetkey.query('select 1 from webhook_events')).toEqual([]);
    });

    test('TBA without an account, and a provider that is gone, in the short form', async () => {
        const tba = await post({ provider_config_key: 'tba', token_id: 'i', token_secret: 's' });
        expect([tba.status, tba.body]).toEqual([400, simple('missing_account_id')]);
        const gone = await post({ provider_config_key: 'leaving' });
        expect([gone.status, gone.body]).toEqual([404, simple('unknown_provider_template')]);
    });

    test('an integration that is deleted while its token is fetched', async () => {
        await insertIntegration(valetkey, { provider: 'app', key: 'going', clientId: '4711', clientSecret: appKey.privateKey });
        account.answer = { status: 201, body: { token: 'installed' } };
        account.meanwhile = async () => expect((await valetkey.call('DELETE', '/integrations/going')).status).toBe(200);
        const answer = await post({ provider_config_key: 'going', app_id: '4711', installation_id: '77' });
        expect(account.requests).toHaveLength(1);
        expect([answer.status, answer.body]).toEqual([400, legacy('unknown_provider_config')]);
    });

    test.each([
        [{ webhook_url_override: 'here' }, 'invalid_union', ['webhook_url_override']],
        [{ connection_id: 'é' }, 'invalid_format', ['connection_id']],
        [{ connection_id: 5 }, 'invalid_type', ['connection_id']],
        [{ metadata: 'x' }, 'invalid_type', ['metadata']],
        [{ connection_config: [] }, 'invalid_type', ['connection_config']],
    ])('%j', async (rest, code, path) => {
        const answer = await post({ ...oauth2, ...rest });
        expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'invalid_body' } }]);
        expect(issues(answer)).toEqual([[code, path]]);
    });

    test('configuration that the entry does not accept', async () => {
        const answer = await post({ ...oauth2, provider_config_key: 'tenant', connection_config: { tenant: 'a.evil/' } });
        expect(issues(answer)).toEqual([['invalid_format', ['connection_config', 'tenant']]]);
    });
});

describe('the answer', () => {
    test('is the request without its secrets, and the id', async () => {
        const shown = {
            provider_config_key: 'oauth2',
            metadata: { plan: 'gold' },
            webhook_url_override: 'https://own.example.com/hook',
            expires_at: '2031-01-01T00:00:00Z',
            oauth_client_id_override: 'i',
        };
        const answer = await post({
            ...shown,
            connection_id: null,
            connection_config: { region: 'eu', api_key: 'secret-b', oauth_scopes_override: 'a, b' },
            access_token: 'secret-a',
            refresh_token: 'secret-c',
            oauth_client_secret_override: 'secret-d',
            raw: { x: 'secret-e' },
            unknown: 'secret-f',
        });
        expect([answer.status, answer.headers['cache-control']]).toEqual([201, 'no-store']);
        expect(answer.body).toEqual({
            ...shown,
            connection_config: { region: 'eu', oauth_scopes_override: ['a', 'b'] },
            connection_id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4/) as string,
        });
        expect(answer.text).not.toContain('secret-');
        const connection = await read(answer.body.connection_id, 'oauth2');
        expect(connection).toMatchObject({
            metadata: { plan: 'gold' },
            tags: {},
            end_user: null,
            webhook_url_override: shown.webhook_url_override,
            connection_config: { region: 'eu', api_key: 'secret-b', oauth_scopes_override: ['a', 'b'] },
        });
    });

    test.each([
        ['basic', { username: 'secret-u', password: 'secret-p' }],
        ['keys', { api_key: 'secret-k' }],
        ['oauth1', { oauth_token: 'secret-t', oauth_token_secret: 'secret-s' }],
        ['tba', { token_id: 'secret-i', token_secret: 'secret-s', connection_config: { accountId: 'a' } }],
    ])('%s', async (provider_config_key, body) => {
        const answer = await post({ provider_config_key, connection_id: 'mine', ...body });
        expect([answer.status, answer.body]).toMatchObject([201, { provider_config_key, connection_id: 'mine' }]);
        expect(answer.text).not.toContain('secret-');
    });

    test('an override keeps what it does not mention, and is told as one', async () => {
        await valetkey.call('POST', '/connections', {
            body: {
                provider_config_key: 'oauth2',
                connection_id: 'kept',
                credentials: { type: 'OAUTH2', access_token: 'a' },
                metadata: { a: 1 },
                tags: { team: 'blue' },
                end_user: { id: 'ann' },
                webhook_url_override: 'https://own.example.com/hook',
            },
        });
        const before = await read('kept', 'oauth2');
        expect((await post({ ...oauth2, connection_id: 'kept' })).status).toBe(201);
        const { credentials, updated_at: _, last_fetched_at: __, ...rest } = await read('kept', 'oauth2');
        expect(before).toMatchObject(rest);
        expect(credentials['access_token']).toBe('secret-a');
        const events = await valetkey.query<{ operation: string; body: string }>(
            'select operation, body from webhook_events order by created_at, id',
        );
        expect(events.map(({ operation }) => operation)).toEqual(['creation', 'override']);
        expect(events.map(({ body }) => body).join()).not.toContain('endUser');
    });
});
