/** What was imported is kept alive like what was connected: refresh tokens, client credentials, installation tokens (auth-modes §4.4, §5, §12). */
import { generateKeyPairSync } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, importSPKI, jwtVerify } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ConnectionObject } from '../../src/http/connection-schema.ts';
import { oauth2Entry, providersFile } from '../e2e/provider-entries.ts';
import { startFaultyTokenServer, type FaultyTokenServer } from '../peers/faulty-token-server.ts';
import { startTestApp, type TestApp } from './app.ts';
import {
    appKey,
    clientCredentialsEntry,
    everyEntry,
    insertEveryIntegration,
    insertIntegration,
    startAccountServer,
    type AccountServer,
} from './import-entries.ts';

const minute = 60_000;
const hour = 60 * minute;

let valetkey: TestApp;
let account: AccountServer;
let server: FaultyTokenServer;

const clientKey = generateKeyPairSync('rsa', { modulusLength: 2048 });

beforeAll(async () => {
    [account, server] = await Promise.all([startAccountServer(), startFaultyTokenServer()]);
    const url = account.url;
    valetkey = await startTestApp({
        providers: providersFile(
            ...everyEntry(url),
            oauth2Entry('rotating', server),
            clientCredentialsEntry('cc-basic', `${url}/token`, { token_request_auth_method: 'basic', body_format: 'json' }),
            clientCredentialsEntry('cc-custom', `${url}/token`, { token_request_auth_method: 'custom', body_format: 'query', scope_separator: ',' }),
            clientCredentialsEntry('cc-key', `${url}/token`, { token_request_auth_method: 'private_key_jwt' }),
            clientCredentialsEntry('cc-milliseconds', `${url}/token`, { expires_in_unit: 'milliseconds' }),
            clientCredentialsEntry('cc-certificate', `${url}/token`, { require_client_certificate: true }),
            clientCredentialsEntry('cc-tenant', `${url}/\${connectionConfig.tenant}/token`, {
                token_params: { grant_type: 'client_credentials', account: '${connectionConfig.tenant}' },
                connection_config: { tenant: { type: 'string', title: 'Tenant', description: 'Its id.', example: 't1' } },
            }),
        ),
        // the pause before a refusal is confirmed
        waits: { 1000: 0 },
    });
    await insertEveryIntegration(valetkey);
    await insertIntegration(valetkey, { provider: 'rotating', clientId: server.clientId, clientSecret: server.clientSecret });
    for (const provider of ['cc-basic', 'cc-custom', 'cc-key', 'cc-milliseconds', 'cc-certificate', 'cc-tenant']) {
        await insertIntegration(valetkey, { provider, scopes: 'a,b' });
    }
    await insertIntegration(valetkey, { provider: 'app', key: 'app without key', clientId: '1' });
    await insertIntegration(valetkey, { provider: 'app', key: 'app with a wrong key', clientId: '1', clientSecret: 'not a PEM' });
});
afterAll(async () => {
    await valetkey?.close();
    await Promise.all([account?.close(), server?.close()]);
});
beforeEach(() => {
    account.requests = [];
    account.answer = { status: 200, body: {} };
});

type Connection = Record<string, unknown> & {
    connection_id: string;
    credentials: Record<string, unknown>;
    connection_config: Record<string, unknown>;
};
const post = (body: unknown) => valetkey.call<Connection>('POST', '/connections', { body });
const imported = async (integration: string, credentials: Record<string, unknown>, rest: Record<string, unknown> = {}): Promise<Connection> => {
    const answer = await post({ provider_config_key: integration, credentials, ...rest });
    expect(answer.status, answer.text).toBe(201);
    return answer.body;
};
const ask = (id: string, integration: string, query = '') =>
    valetkey.call<Connection>('GET', `/connections/${id}?provider_config_key=${encodeURIComponent(integration)}${query}`);
const read = async (id: string, integration: string, query = ''): Promise<Connection> => {
    const answer = await ask(id, integration, query);
    expect(answer.status, answer.text).toBe(200);
    expect(ConnectionObject.parse(answer.body)).toEqual(answer.body);
    return answer.body;
};
const inFuture = (ms: number): string => new Date(Date.now() + ms).toISOString();

describe('OAUTH2', () => {
    const tokens = () => {
        const { access_token, refresh_token } = server.issueTokens();
        return { type: 'OAUTH2', access_token, refresh_token };
    };

    test('an imported token that has expired long ago is renewed by the first read, with the app of the integration', async () => {
        const submitted = tokens();
        const { connection_id } = await imported('rotating', { ...submitted, expires_at: '2020-01-01T00:00:00Z' });
        const { credentials, ...connection } = await read(connection_id, 'rotating', '&refresh_token=true');
        expect(connection['credentials_expires_at_source']).toBe('expires_in');
        expect(credentials['access_token']).not.toBe(submitted.access_token);
        expect(credentials['refresh_token']).not.toBe(submitted.refresh_token);
        expect(server.requests.at(-1)?.params).toMatchObject({ grant_type: 'refresh_token', refresh_token: submitted.refresh_token });
        expect(Date.parse(credentials['expires_at'] as string)).toBeGreaterThan(Date.now() + 50 * minute);
        // from now on it is the provider's answer
        expect(credentials['raw']).toMatchObject({ access_token: credentials['access_token'], token_type: 'Bearer' });
        expect(server.presentedTwice()).toBe(false);
    });

    test('a living one is left alone until it is asked for with force', async () => {
        const submitted = tokens();
        const { connection_id } = await imported('rotating', { ...submitted, expires_at: inFuture(10 * hour) });
        expect((await read(connection_id, 'rotating')).credentials['access_token']).toBe(submitted.access_token);
        expect((await read(connection_id, 'rotating', '&force_refresh=true')).credentials['access_token']).not.toBe(submitted.access_token);
    });

    test('its own app is presented, and stays with the renewed credentials', async () => {
        const config_override = { client_id: 'own', client_secret: 'own-secret' };
        const { connection_id } = await imported('oauth2', { type: 'OAUTH2', access_token: 'a', refresh_token: 'r', config_override });
        account.answer.body = { access_token: 'b' };
        const { credentials } = await read(connection_id, 'oauth2', '&force_refresh=true&refresh_token=true');
        expect(credentials).toEqual({ type: 'OAUTH2', access_token: 'b', refresh_token: 'r', config_override, raw: { access_token: 'b' } });
        expect(Object.fromEntries(new URLSearchParams(account.requests[0]!.body))).toMatchObject({ client_id: 'own', client_secret: 'own-secret' });
    });

    test('one that cannot be renewed is returned as it is, expired or forced, and said to be so', async () => {
        const { connection_id } = await imported('oauth2', { type: 'OAUTH2', access_token: 'a', expires_at: '2020-01-01' });
        for (const query of ['', '&force_refresh=true']) {
            const connection = await read(connection_id, 'oauth2', query);
            expect(connection.credentials['access_token']).toBe('a');
            expect(connection['errors']).toHaveLength(1);
        }
        expect(account.requests).toEqual([]);
    });

    test('over a renewal that failed: the new tokens are served at once', async () => {
        const id = (await imported('rotating', { ...tokens(), refresh_token: 'unknown', expires_at: '2020-01-01' })).connection_id;
        expect((await ask(id, 'rotating')).status).toBe(424);
        const submitted = { ...tokens(), expires_at: inFuture(hour) };
        await imported('rotating', submitted, { connection_id: id });
        expect((await read(id, 'rotating')).credentials['access_token']).toBe(submitted.access_token);
    });
});

describe('OAUTH2_CC', () => {
    const client = { type: 'OAUTH2_CC', token: 'old', client_id: 'ci', client_secret: 'c secret' };
    const form = (): Record<string, string> => Object.fromEntries(new URLSearchParams(account.requests.at(-1)!.body));

    test('is renewed with its own client, under the scopes of the integration, once 55 minutes are nearly over', async () => {
        const { connection_id, credentials } = await imported('cc', client);
        const lifetime = Date.parse(credentials['expires_at'] as string) - Date.now();
        expect(lifetime).toBeGreaterThan(54 * minute);
        expect(lifetime).toBeLessThanOrEqual(55 * minute);
        account.answer.body = { access_token: 'new', expires_in: 7200, scope: 'a b' };
        expect((await read(connection_id, 'cc')).credentials['token']).toBe('old');

        const renewed = await read(connection_id, 'cc', '&force_refresh=true');
        expect(renewed.credentials).toEqual({
            ...client,
            token: 'new',
            expires_at: expect.any(String) as string,
            raw: { access_token: 'new', expires_in: 7200, scope: 'a b' },
        });
        expect(Math.round((Date.parse(renewed.credentials['expires_at'] as string) - Date.now()) / minute)).toBe(120);
        expect(account.requests).toMatchObject([
            { method: 'POST', url: '/token?tenant=7', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
        ]);
        expect(account.requests[0]!.headers.authorization).toBeUndefined();
        expect(form()).toEqual({ grant_type: 'client_credentials', scope: 'a b', client_id: 'ci', client_secret: 'c secret' });
    });

    test('is due by itself before it expires', async () => {
        const { connection_id } = await imported('cc', { ...client, expires_at: inFuture(10 * minute) });
        account.answer.body = { access_token: 'new' };
        const [row] = await valetkey.query<{ at: Date }>('select next_refresh_at as at from connections where connection_id = $1', [connection_id]);
        const ahead = row!.at.getTime() - Date.now();
        // a quarter of its life before its end, give or take a tenth of that
        expect(ahead).toBeGreaterThan(7 * minute);
        expect(ahead).toBeLessThan(8 * minute);
    });

    test('the connection’s scopes go before the integration’s, and its parameters over all', async () => {
        const connection_config = { oauth_scopes: 'x,y', authorization_params: { audience: 'api', grant_type: 'other', number: 1 } };
        const { connection_id } = await imported('cc', client, { connection_config });
        account.answer.body = { access_token: 'new' };
        await read(connection_id, 'cc', '&force_refresh=true');
        expect(form()).toMatchObject({ scope: 'x y', audience: 'api', grant_type: 'other' });
        expect(form()).not.toHaveProperty('number');
        await imported('cc', client, { connection_id, connection_config: { oauth_scopes_override: ['z', 'w'] } });
        await read(connection_id, 'cc', '&force_refresh=true');
        expect(form()).toMatchObject({ scope: 'z w' });
    });

    test.each([
        [{ data: { token: 'nested' } }, 'nested'],
        [{ jwt: 'j' }, 'j'],
        [{ access_token: 'a', jwt: 'j' }, 'a'],
    ])('the token in %j is %s', async (body, token) => {
        const { connection_id } = await imported('cc', client);
        account.answer.body = body;
        expect((await read(connection_id, 'cc', '&force_refresh=true')).credentials['token']).toBe(token);
    });

    test.each([
        ['cc', { expires_in: 60 }, 1],
        ['cc', { expires_in: '120' }, 2],
        ['cc', {}, 55],
        ['cc-milliseconds', { expires_in: 600_000 }, 10],
    ])('%s: lifetime in %j is %i minutes', async (integration, lifetime, minutes) => {
        const { connection_id } = await imported(integration, client);
        account.answer.body = { access_token: 'new', ...lifetime };
        const { credentials } = await read(connection_id, integration, '&force_refresh=true');
        expect(Math.round((Date.parse(credentials['expires_at'] as string) - Date.now()) / minute)).toBe(minutes);
    });

    test('an answer without a token, and a refusal, leave the old one and are told', async () => {
        const { connection_id } = await imported('cc', client, { connection_config: { nested: { refresh_token: 'x', region: 'eu' } } });
        account.answer.body = { hello: 1 };
        const without = await ask(connection_id, 'cc', '&force_refresh=true');
        expect([without.status, without.body]).toMatchObject([
            400,
            {
                error: {
                    code: 'invalid_credentials',
                    payload: { type: 'incomplete_raw_credentials', connection: { credentials: {}, connection_config: { nested: { region: 'eu' } } } },
                },
            },
        ]);
        expect(without.text).not.toContain('refresh_token"');
        account.answer = { status: 401, body: { error: 'invalid_client', error_description: 'c secret is wrong, ci' } };
        const refused = await ask(connection_id, 'cc', '&force_refresh=true');
        expect([refused.status, refused.body]).toMatchObject([400, { error: { payload: { type: 'client_credentials_fetch_error' } } }]);
        expect(refused.text).not.toContain('c secret');
        // R4: it lives still
        expect((await read(connection_id, 'cc')).credentials['token']).toBe('old');
    });

    test('basic and JSON', async () => {
        const { connection_id } = await imported('cc-basic', client);
        account.answer.body = { access_token: 'new' };
        await read(connection_id, 'cc-basic', '&force_refresh=true');
        const [request] = account.requests;
        expect(request!.headers.authorization).toBe(`Basic ${btoa('ci:c+secret')}`);
        expect(JSON.parse(request!.body)).toEqual({ grant_type: 'client_credentials', scope: 'a b' });
    });

    test('user name and password, in the query', async () => {
        const { connection_id } = await imported('cc-custom', client);
        account.answer.body = { access_token: 'new' };
        await read(connection_id, 'cc-custom', '&force_refresh=true');
        const [request] = account.requests;
        expect(request).toMatchObject({ body: '', headers: { 'content-length': '0' } });
        expect(request!.headers['content-type']).toBeUndefined();
        expect(Object.fromEntries(new URL(request!.url!, account.url).searchParams)).toEqual({
            grant_type: 'client_credentials',
            scope: 'a,b',
            username: 'ci',
            password: 'c secret',
        });
    });

    test('an assertion by the client’s own key', async () => {
        const jwk = { ...clientKey.privateKey.export({ format: 'jwk' }), kid: 'k1' };
        const { connection_id } = await imported('cc-key', { ...client, client_private_key: JSON.stringify(jwk) });
        account.answer.body = { access_token: 'new' };
        await read(connection_id, 'cc-key', '&force_refresh=true');
        const { client_assertion, ...others } = form();
        expect(others).toEqual({
            grant_type: 'client_credentials',
            scope: 'a b',
            client_id: 'ci',
            client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        });
        const { payload, protectedHeader } = await jwtVerify(client_assertion!, clientKey.publicKey, {
            audience: `${account.url}/token`,
            issuer: 'ci',
            subject: 'ci',
        });
        expect(protectedHeader).toEqual({ alg: 'RS256', kid: 'k1' });
        expect(payload.exp! - payload.iat!).toBe(300);
        expect(payload.jti).toMatch(/^[0-9a-f-]{36}$/);
    });

    test('a key that is none is a failure that does not repeat it', async () => {
        const { connection_id } = await imported('cc-key', { ...client, client_private_key: '{"kty":"oops"}' });
        const answer = await ask(connection_id, 'cc-key', '&force_refresh=true');
        expect([answer.status, answer.body]).toMatchObject([400, { error: { payload: { type: 'client_credentials_fetch_error' } } }]);
        expect(answer.text).not.toContain('oops');
        expect(account.requests).toEqual([]);
    });

    test('placeholders are filled in; what is missing is named', async () => {
        account.answer.body = { access_token: 'new' };
        const { connection_id } = await imported('cc-tenant', client, { connection_config: { tenant: 't/1' } });
        await read(connection_id, 'cc-tenant', '&force_refresh=true');
        expect(account.requests.at(-1)!.url).toBe('/t%2F1/token');
        expect(form()['account']).toBe('t/1');
        const without = await imported('cc-tenant', client);
        const answer = await ask(without.connection_id, 'cc-tenant', '&force_refresh=true');
        expect([answer.status, answer.body]).toMatchObject([400, { error: { message: expect.stringContaining('"tenant"') as string } }]);
    });

    test('a provider that wants a client certificate is not asked without one', async () => {
        const { connection_id } = await imported('cc-certificate', client);
        expect((await read(connection_id, 'cc-certificate', '&force_refresh=true')).credentials['token']).toBe('old');
        expect(account.requests).toEqual([]);
    });
});

describe.each([
    ['app', 'APP', '4711', '/app/installations/77/access_tokens'],
    ['custom', 'CUSTOM', '4712', '/custom/77/access_tokens'],
])('%s', (integration, type, appId, path) => {
    const installation = { type, app_id: appId, installation_id: '77' };
    const granted = (token: string, lifeMs = hour) => ({ token, expires_at: inFuture(lifeMs), permissions: { issues: 'write' } });

    test('an installation token is fetched with the app’s JWT, and app and installation are kept', async () => {
        account.answer = { status: 201, body: granted('first') };
        const created = await imported(integration, installation, { connection_config: { installation_id: '1', own: 'x' } });
        expect(account.requests).toMatchObject([
            { method: 'POST', url: path, body: '', headers: { accept: 'application/vnd.github.v3+json', authorization: /^Bearer / } },
        ]);
        const jwt = account.requests[0]!.headers.authorization!.slice('Bearer '.length);
        const { payload } = await jwtVerify(jwt, await importSPKI(appKey.publicKey, 'RS256'), { issuer: appId });
        expect(decodeProtectedHeader(jwt).alg).toBe('RS256');
        expect(payload.exp! - payload.iat!).toBeLessThanOrEqual(600);
        // back-dated for clocks that are behind
        expect(payload.iat! * 1000).toBeLessThan(Date.now() - 25_000);

        const credentials = {
            type: 'APP',
            access_token: 'first',
            expires_at: (account.answer.body as { expires_at: string }).expires_at,
            raw: account.answer.body,
            jwtToken: jwt,
        };
        expect(created.credentials).toEqual(credentials);
        const connection = await read(created.connection_id, integration);
        expect(connection.credentials).toEqual(credentials);
        expect(connection.connection_config).toEqual({ installation_id: '77', app_id: appId, own: 'x', jwtToken: jwt });
        const rows = await valetkey.query('select connection_config, credential_type from connections where connection_id = $1', [
            created.connection_id,
        ]);
        expect(rows).toEqual([{ connection_config: { installation_id: '77', app_id: appId, own: 'x' }, credential_type: 'APP' }]);
    });

    test('is renewed before it ends', async () => {
        account.answer = { status: 201, body: granted('first', 20_000) };
        const { connection_id } = await imported(integration, installation);
        await valetkey.query(`update connections set next_refresh_at = now() - interval '1 second' where connection_id = $1`, [connection_id]);
        account.answer.body = granted('second');
        expect((await read(connection_id, integration)).credentials['access_token']).toBe('second');
        expect(account.requests).toHaveLength(2);
    });

    test('an installation that gives no token cannot be imported, and is told when it is renewed', async () => {
        account.answer = { status: 404, body: { message: 'Not Found' } };
        const refused = await post({ provider_config_key: integration, credentials: installation, connection_id: `none-${type}` });
        expect([refused.status, refused.body]).toEqual([500, { error: { code: 'server_error', message: expect.stringContaining('404') as string } }]);
        expect((await ask(`none-${type}`, integration)).status).toBe(404);

        account.answer = { status: 201, body: granted('first') };
        const { connection_id } = await imported(integration, installation);
        account.answer = { status: 404, body: {} };
        const answer = await ask(connection_id, integration, '&force_refresh=true');
        expect([answer.status, answer.body]).toMatchObject([400, { error: { payload: { type: 'github_app_token_fetch_error' } } }]);
        expect(answer.text).not.toContain('Bearer');
    });

    test('an installation id that cannot stand in the URL is refused where it was given', async () => {
        const answer = await post({ provider_config_key: integration, credentials: { ...installation, installation_id: '../1' } });
        expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'invalid_body' } }]);
        expect(account.requests).toEqual([]);
    });

    test('the app’s JWT is renewed on request alone, once it has nearly expired', async () => {
        account.answer = { status: 201, body: granted('first', 8 * hour) };
        const { connection_id, connection_config } = await imported(integration, installation);
        const first = connection_config['jwtToken'] as string;
        const flag = '&refresh_github_app_jwt_token=true';
        expect((await read(connection_id, integration, flag)).connection_config['jwtToken']).toBe(first);

        // as if it had been signed nine minutes ago
        const old = (decodeJwt(first).iat ?? 0) - 540;
        const stale = `${first.split('.')[0]}.${Buffer.from(JSON.stringify({ iat: old, exp: old + 600 })).toString('base64url')}.x`;
        await imported(integration, installation, { connection_id });
        await setSecret(connection_id, { jwtToken: stale, other_token: 'kept' });
        expect((await read(connection_id, integration)).connection_config['jwtToken']).toBe(stale);
        const before = account.requests.length;
        const renewed = await read(connection_id, integration, flag);
        const second = renewed.connection_config['jwtToken'] as string;
        await jwtVerify(second, await importSPKI(appKey.publicKey, 'RS256'), { issuer: appId });
        expect(renewed.connection_config).toMatchObject({ other_token: 'kept', installation_id: '77' });
        // stored, and nobody was asked
        expect((await read(connection_id, integration)).connection_config['jwtToken']).toBe(second);
        expect(account.requests).toHaveLength(before);
    });
});

/** Replaces the sealed part of a connection's configuration. */
async function setSecret(connectionId: string, secrets: Record<string, string>): Promise<void> {
    const [row] = await valetkey.query<{ id: string; environment_id: string }>(
        'select id, environment_id from connections where connection_id = $1',
        [connectionId],
    );
    const place = { environmentId: row!.environment_id, table: 'connections', column: 'sealed_secrets', rowId: row!.id };
    await valetkey.query('update connections set sealed_secrets = $1 where id = $2', [valetkey.vault.sealJson(secrets, place), row!.id]);
}

describe('apps that cannot sign', () => {
    test.each(['app without key', 'app with a wrong key'])('%s: 500, and nothing of the key is said', async (provider_config_key) => {
        const answer = await post({ provider_config_key, credentials: { type: 'APP', app_id: '1', installation_id: '77' } });
        expect([answer.status, answer.body]).toMatchObject([500, { error: { code: 'server_error' } }]);
        expect(answer.text).not.toContain('not a PEM');
        expect(account.requests).toEqual([]);
    });

    test('a JWT that cannot be signed any more is invalid_credentials', async () => {
        const app_id = '1';
        await insertIntegration(valetkey, { provider: 'app', key: 'fading', clientId: app_id, clientSecret: appKey.privateKey });
        account.answer = { status: 201, body: { token: 't' } };
        const { connection_id } = await imported('fading', { type: 'APP', app_id, installation_id: '77' });
        await valetkey.query(`update integrations set sealed_oauth_client_secret = null where unique_key = 'fading'`);
        await setSecret(connection_id, {});
        const answer = await ask(connection_id, 'fading', '&refresh_github_app_jwt_token=true');
        expect([answer.status, answer.body]).toMatchObject([
            400,
            {
                error: {
                    code: 'invalid_credentials',
                    payload: { type: 'github_app_token_fetch_error', connection: { connection_id, credentials: {} } },
                },
            },
        ]);
        expect((await ask(connection_id, 'fading')).status).toBe(200);
    });
});

test('without an app behind it, asking for its JWT changes nothing', async () => {
    const { connection_id } = await imported('none', { type: 'NONE' });
    const connection = await read(connection_id, 'none', '&refresh_github_app_jwt_token=true');
    expect([connection.credentials, connection.connection_config]).toEqual([{}, {}]);
});

test('a read that fails in an unexpected way is a server_error', async () => {
    const { connection_id } = await imported('cc', { type: 'OAUTH2_CC', token: 't', client_id: 'i', client_secret: 's' });
    await valetkey.query('alter table credential_journal rename to credential_journal_away');
    try {
        const answer = await ask(connection_id, 'cc', '&refresh_github_app_jwt_token=true');
        expect([answer.status, answer.body]).toEqual([500, { error: { code: 'server_error', message: expect.any(String) as string } }]);
    } finally {
        await valetkey.query('alter table credential_journal_away rename to credential_journal');
    }
});
