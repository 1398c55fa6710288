/** Who may ask for what, and how often (http-api §1.3, §1.4, §1.10). */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newApiKey } from '../../src/environments/api-key-format.ts';
import { systemSources } from '../../src/sources.ts';
import { providersFile } from '../e2e/provider-entries.ts';
import { connectKey, createIntegration, createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';

let valetkey: TestApp;
let token: string;

beforeAll(async () => {
    valetkey = await startTestApp({ providers: providersFile(untestedKeyEntry('keys')) });
    await createIntegration(valetkey, 'keys', 'keys');
    token = await createSession(valetkey);
});

afterAll(() => valetkey?.close());

/** Shape C. */
const legacy = (code: string) => ({ error: { message: expect.any(String) as string, code, payload: {} } });
const forbidden = (message: string) => ({ error: { code: 'forbidden', message: expect.stringContaining(message) as string } });
const unknownToken = `nango_connect_session_${'ab'.repeat(32)}`;

const keyOnly: [string, string][] = [
    ['POST', '/connect/sessions'],
    ['POST', '/connect/sessions/reconnect'],
    ['POST', '/integrations'],
    ['GET', '/connections'],
    ['GET', '/connections/c'],
    ['DELETE', '/connections/c'],
    ['GET', '/environment'],
    ['PATCH', '/environment'],
    ['GET', '/environment/webhooks'],
    ['PATCH', '/environment/webhooks'],
    ['GET', '/environment/webhook-signing-key'],
];

describe.each(keyOnly)('%s %s takes an API key', (method, path) => {
    const ask = (authorization: string | undefined): Promise<Answer> =>
        valetkey.call(method, path, { key: null, headers: authorization === undefined ? {} : { authorization } });

    test.each<[string, string | undefined, string]>([
        ['nothing', undefined, 'missing_auth_header'],
        ['an empty header', '', 'missing_auth_header'],
        ['the bare word', 'Bearer', 'invalid_secret_key_format'],
        ['no key at all', 'Bearer not-a-key', 'invalid_secret_key_format'],
        ['a session token', `Bearer ${unknownToken}`, 'invalid_secret_key_format'],
        ['a mistyped key', `Bearer ${newApiKey('dev', systemSources).slice(0, -1)}!`, 'invalid_secret_key_format'],
        ['a key whose checksum is wrong', `Bearer ${newApiKey('dev', systemSources).replace(/.{6}$/, '000000')}`, 'invalid_secret_key_format'],
        ['an unknown key', `Bearer ${newApiKey('dev', systemSources)}`, 'unknown_account'],
        ['an unknown UUID', `Bearer ${randomUUID()}`, 'unknown_account'],
    ])('%s: 401', async (_name, authorization, code) => {
        const answer = await ask(authorization);
        expect([answer.status, answer.body]).toEqual([401, legacy(code)]);
    });
});

describe('keys that were good once', () => {
    test('deleted, expired: 401; of a deleted environment, or of an account: 403', async () => {
        const scopes = ['environment:*'];
        const status = async (key: string): Promise<[number, unknown]> => {
            const answer = await valetkey.call('GET', '/connections', { key });
            return [answer.status, answer.body];
        };
        expect(await status(await valetkey.insertKey({ scopes, deletedAt: new Date() }))).toEqual([401, legacy('unknown_account')]);
        expect(await status(await valetkey.insertKey({ scopes, expiresAt: new Date(Date.now() - 1000) }))).toEqual([401, legacy('unknown_account')]);
        expect((await status(await valetkey.insertKey({ scopes, expiresAt: new Date(Date.now() + 60_000) })))[0]).toBe(200);
        expect(await status(await valetkey.insertKey({ scopes: ['account:*'], environment: null }))).toEqual([
            403,
            forbidden('Insufficient scope. Required one of: environment:connections:list'),
        ]);

        await valetkey.query(
            `insert into environments (id, name, is_production, created_at, updated_at) values (gen_random_uuid(), 'gone', false, now(), now())`,
        );
        const orphan = await valetkey.insertKey({ scopes, environment: 'gone' });
        expect((await status(orphan))[0]).toBe(200);
        await valetkey.query(`update environments set deleted_at = now() where name = 'gone'`);
        expect(await status(orphan)).toEqual([403, forbidden('was deleted')]);
        for (const path of ['/providers', '/connections/c?provider_config_key=keys', '/environment']) {
            expect(await valetkey.call('GET', path, { key: orphan })).toMatchObject({ status: 403, body: { error: { code: 'forbidden' } } });
        }
    });

    test('the text after the last "Bearer " counts, and a header without that word is the key itself', async () => {
        for (const authorization of [`Bearer ${valetkey.key}`, valetkey.key, `Bearer Bearer ${valetkey.key}`, `Bearer   ${valetkey.key}  `]) {
            expect((await valetkey.call('GET', '/connections', { key: null, headers: { authorization } })).status).toBe(200);
        }
    });

    test('headers that the official client may add change nothing', async () => {
        const headers = { 'nango-is-sync': 'true', 'nango-is-script': 'true', 'nango-is-dry-run': 'true' };
        expect((await valetkey.call('GET', '/connections', { headers })).status).toBe(200);
    });

    test('the last use is noted, at most once a minute', async () => {
        const key = await valetkey.insertKey({ scopes: ['environment:*'] });
        const lastUse = async (): Promise<Date | null> => {
            const [row] = await valetkey.query<{ last_used_at: Date | null }>('select last_used_at from api_keys where key_hash = $1', [
                valetkey.vault.hash(key),
            ]);
            return row!.last_used_at;
        };
        expect(await lastUse()).toBeNull();
        await valetkey.call('GET', '/connections', { key });
        await expect.poll(lastUse).toBeInstanceOf(Date);
        const first = await lastUse();
        await valetkey.call('GET', '/connections', { key });
        await new Promise((resolve) => setTimeout(resolve, 50));
        expect(await lastUse()).toEqual(first);
    });
});

describe.each<[string, string]>([
    ['GET', '/connect/session'],
    ['POST', '/oauth/flows'],
])('%s %s takes a connect session', (method, path) => {
    test.each<[string, () => string | undefined, string]>([
        ['nothing', () => undefined, 'missing_auth_header'],
        ['the bare word', () => 'Bearer', 'invalid_connect_session_token_format'],
        ['an API key', () => `Bearer ${valetkey.key}`, 'invalid_connect_session_token_format'],
        ['a token in capitals', () => `Bearer nango_connect_session_${'AB'.repeat(32)}`, 'invalid_connect_session_token_format'],
        ['an unknown token', () => `Bearer ${unknownToken}`, 'unknown_connect_session_token'],
    ])('%s: 401', async (_name, authorization, code) => {
        const value = authorization();
        const answer = await valetkey.call(method, path, { key: null, headers: value === undefined ? {} : { authorization: value } });
        expect([answer.status, answer.body]).toEqual([401, legacy(code)]);
    });
});

test('an expired session is unknown, everywhere', async () => {
    const old = await createSession(valetkey);
    await valetkey.query(`update connect_sessions set expires_at = now() - interval '1 second' where token_hash = $1`, [valetkey.vault.hash(old)]);
    const expected = [401, legacy('unknown_connect_session_token')];
    for (const answer of [
        await valetkey.call('GET', '/connect/session', { key: old }),
        await valetkey.call('GET', '/providers', { key: old }),
        await valetkey.call('POST', '/oauth/flows', { key: old, body: {} }),
        await valetkey.call('POST', `/api-auth/api-key/keys?connect_session_token=${old}`, { key: null, body: { apiKey: 'k' } }),
        await valetkey.call('GET', `/oauth/connect/keys?connect_session_token=${old}`, { key: null }),
    ]) {
        expect([answer.status, answer.body]).toEqual(expected);
    }
});

describe('either a session or a key', () => {
    test.each<[string, () => string | null, number, string | undefined]>([
        ['a key', () => valetkey.key, 200, undefined],
        ['a session', () => token, 200, undefined],
        ['a key without any scope', () => '', 401, 'missing_auth_header'],
        ['a malformed session token', () => 'nango_connect_session_x', 401, 'invalid_connect_session_token_format'],
        ['an unknown session token', () => unknownToken, 401, 'unknown_connect_session_token'],
        ['anything else', () => 'whatever', 401, 'invalid_secret_key_format'],
        ['nothing', () => null, 401, 'missing_auth_header'],
    ])('%s', async (_name, key, status, code) => {
        for (const path of ['/providers', '/providers/github']) {
            const presented = key();
            const answer = await valetkey.call('GET', path, presented === '' ? { key: null, headers: { authorization: '' } } : { key: presented });
            expect(answer.status).toBe(status);
            if (code !== undefined) {
                expect(answer.body).toEqual(legacy(code));
            }
        }
    });

    test('a key needs no scope for them, but an environment', async () => {
        const key = await valetkey.insertKey({ scopes: [] });
        expect((await valetkey.call('GET', '/providers', { key })).status).toBe(200);
        const account = await valetkey.insertKey({ scopes: ['account:*'], environment: null });
        expect((await valetkey.call('GET', '/providers', { key: account })).status).toBe(403);
    });
});

describe.each(['/api-auth/api-key/keys', '/api-auth/basic/keys'])('POST %s takes a session in the query', (path) => {
    test.each<[string, string, object]>([
        ['nothing', '', legacy('missing_public_key')],
        ['an empty token', '?connect_session_token=', legacy('missing_public_key')],
        ['a malformed token', '?connect_session_token=abc', legacy('invalid_connect_session_token_format')],
        [
            'an unknown token, whatever stands beside it',
            `?connect_session_token=${unknownToken}&public_key=${randomUUID()}`,
            legacy('unknown_connect_session_token'),
        ],
        ['a public key', `?public_key=${randomUUID()}`, { error: { code: 'deprecated_authentication', message: expect.any(String) as string } }],
    ])('%s: 401', async (_name, query, body) => {
        const answer = await valetkey.call('POST', path + query, { key: null, body: {} });
        expect([answer.status, answer.body]).toEqual([401, body]);
    });

    test('a session is nothing in the header, and a key is nothing there either', async () => {
        expect(await valetkey.call('POST', path, { body: {} })).toMatchObject({ status: 401, body: { error: { code: 'missing_public_key' } } });
        expect(await valetkey.call('POST', path, { key: token, body: {} })).toMatchObject({
            status: 401,
            body: { error: { code: 'missing_public_key' } },
        });
    });
});

describe('scopes', () => {
    test.each<[string, string, string[], string[]]>([
        [
            'POST',
            '/connect/sessions',
            ['environment:connect_sessions:write', 'environment:*', 'environment:connect_sessions:*'],
            ['environment:connections:*', 'account:*', 'environment:connect_sessions'],
        ],
        ['POST', '/connect/sessions/reconnect', ['environment:connect_sessions:write'], ['environment:connections:update']],
        ['POST', '/integrations', ['environment:integrations:create', 'environment:integrations:*'], ['environment:integrations:update']],
        ['GET', '/connections', ['environment:connections:list', 'environment:connections:list_credentials'], ['environment:connections:read']],
        [
            'GET',
            '/connections/c',
            ['environment:connections:read', 'environment:connections:read_credentials', 'environment:connections:*'],
            ['environment:connections:list'],
        ],
        ['DELETE', '/connections/c', ['environment:connections:delete'], ['environment:connections:read_credentials']],
        ['GET', '/environment/webhooks', ['environment:webhooks:read'], ['environment:webhooks:write']],
        ['PATCH', '/environment/webhooks', ['environment:webhooks:write'], ['environment:webhooks:read']],
        ['GET', '/environment/webhook-signing-key', ['environment:webhooks:read'], ['environment:webhooks:write']],
        ['GET', '/environment', ['environment:settings:read'], ['environment:settings:update']],
        ['PATCH', '/environment', ['environment:settings:update'], ['environment:settings:read']],
    ])('%s %s', async (method, path, enough, tooLittle) => {
        for (const scope of enough) {
            const answer = await valetkey.call(method, path, { key: await valetkey.insertKey({ scopes: [scope] }) });
            expect([scope, answer.status]).not.toEqual([scope, 403]);
        }
        for (const scope of tooLittle) {
            const answer = await valetkey.call(method, path, { key: await valetkey.insertKey({ scopes: [scope] }) });
            expect([scope, answer.status, answer.body]).toEqual([scope, 403, forbidden('environment:')]);
        }
    });

    test('a key that may not read credentials gets a connection without them, and no way to ask for more', async () => {
        const id = await connectKey(valetkey, 'keys', token, 'the-account-secret', '&params[password]=also-secret&params[region]=eu');
        const key = await valetkey.insertKey({ scopes: ['environment:connections:read'] });
        const path = `/connections/${id}?provider_config_key=keys`;
        const answer = await valetkey.call('GET', path, { key });
        expect(answer.body).toMatchObject({ connection_id: id, credentials: {}, last_fetched_at: null, connection_config: { region: 'eu' } });
        expect(answer.text).not.toMatch(/the-account-secret|also-secret/);
        for (const flag of ['force_refresh', 'refresh_token', 'refresh_github_app_jwt_token']) {
            const refused = await valetkey.call('GET', `${path}&${flag}=true`, { key });
            expect([refused.status, refused.body]).toEqual([403, forbidden('environment:connections:read_credentials')]);
            expect((await valetkey.call('GET', `${path}&${flag}=false`, { key })).status).toBe(200);
        }
        // before what it names is even looked up
        expect((await valetkey.call('GET', '/connections/none?provider_config_key=none&force_refresh=true', { key })).status).toBe(403);
        await new Promise((resolve) => setTimeout(resolve, 50));
        expect((await valetkey.call<{ last_fetched_at: unknown }>('GET', path, { key })).body.last_fetched_at).toBeNull();
        const full = await valetkey.call('GET', path, { key: await valetkey.insertKey({ scopes: ['environment:connections:read_credentials'] }) });
        expect(full.body).toMatchObject({
            credentials: { apiKey: 'the-account-secret' },
            connection_config: { password: 'also-secret', region: 'eu' },
        });
    });

    test('a key sees its own environment only', async () => {
        const id = await connectKey(valetkey, 'keys', token);
        const prod = { key: valetkey.prodKey };
        expect((await valetkey.call('GET', '/connections', prod)).body).toEqual({ connections: [] });
        expect(await valetkey.call('GET', `/connections/${id}?provider_config_key=keys`, prod)).toMatchObject({
            status: 400,
            body: { error: { code: 'unknown_provider_config' } },
        });
        expect(await valetkey.call('DELETE', `/connections/${id}?provider_config_key=keys`, prod)).toMatchObject({
            status: 400,
            body: { error: { code: 'unknown_connection' } },
        });
        const reconnect = await valetkey.call('POST', '/connect/sessions/reconnect', {
            ...prod,
            body: { connection_id: id, integration_id: 'keys' },
        });
        expect(reconnect).toMatchObject({ status: 400, body: { error: { code: 'invalid_body' } } });
        const prodToken = await createSession(valetkey, { end_user: { id: 'u' } }, valetkey.prodKey);
        const direct = await valetkey.call('POST', `/api-auth/api-key/keys?connect_session_token=${prodToken}`, { key: null, body: { apiKey: 'k' } });
        expect(direct).toMatchObject({ status: 404, body: { error: { code: 'unknown_provider_config' } } });
    });
});
