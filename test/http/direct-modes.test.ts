/** TBA, JWT, SIGNATURE, BILL, AWS_SIGV4 and OAUTH2_CC over HTTP: connecting, refusals, reconnecting, renewal, import (http-api §12). */
import { jwtVerify } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { providersFile } from '../e2e/provider-entries.ts';
import { createSession } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';
import { clientCredentialsEntry, insertIntegration, startAccountServer, type AccountServer } from './import-entries.ts';

let valetkey: TestApp;
let account: AccountServer;
let token: string;

const text = { type: 'string' };
const secret = '0f'.repeat(32);
const ghostKey = `${'a'.repeat(24)}:${secret}`;

const entry = (name: string, auth_mode: string, members: Record<string, unknown>): Record<string, unknown> => ({
    [name]: { display_name: `Test ${name}`, categories: ['other'], auth_mode, ...members },
});

beforeAll(async () => {
    account = await startAccountServer();
    const { url } = account;
    valetkey = await startTestApp({
        providers: providersFile(
            entry('ghost', 'JWT', {
                signature: { protocol: 'HMAC' },
                token: {
                    signing_key: '${credentials.privateKey.secret}',
                    expires_in_ms: 300_000,
                    header: { alg: 'HS256', kid: '${credentials.privateKey.id}' },
                    payload: { aud: '/admin/' },
                },
                credentials: { privateKey: { ...text, title: 'API Key', pattern: '^[a-fA-F0-9]{24}:[a-fA-F0-9]{64}$', secret: true } },
                proxy: { base_url: url, headers: { authorization: 'Ghost ${accessToken}' }, verification: { method: 'GET', endpoints: ['/users'] } },
            }),
            entry('emarsys', 'SIGNATURE', {
                signature: { protocol: 'WSSE' },
                token: { expires_in_ms: 300_000 },
                credentials: { username: { ...text, title: 'ID' }, password: { ...text, title: 'Secret', secret: true } },
                proxy: { base_url: url, headers: { 'x-wsse': '${accessToken}' }, verification: { method: 'GET', endpoints: ['/settings'] } },
            }),
            entry('bill', 'BILL', { token_url: `${url}/login`, proxy: { base_url: url } }),
            entry('tba', 'TBA', {
                proxy: { base_url: url, verification: { method: 'GET', endpoints: ['/me?limit=1'] } },
                connection_config: { accountId: { ...text, title: 'Account ID' } },
            }),
            entry('aws', 'AWS_SIGV4', {
                credentials: { role_arn: { ...text, title: 'IAM Role ARN' } },
                connection_config: { region: { ...text, optional: true }, service: { ...text, automated: true } },
                proxy: { base_url: 'https://${connectionConfig.service}.${connectionConfig.region}.amazonaws.com' },
                integration_config: {
                    service: text,
                    stsMode: { ...text, enum: ['builtin', 'custom'], optional: true },
                    stsEndpointUrl: { ...text, optional: true },
                },
            }),
            entry('two-step', 'TWO_STEP', {
                token_url: `${url}/login`,
                token_response: { token: 'token' },
                credentials: { client_id: text, client_secret: text },
            }),
            clientCredentialsEntry('cc', `${url}/\${connectionConfig.tenant}/token`, { connection_config: { tenant: { ...text, title: 'Tenant' } } }),
        ),
    });
    for (const provider of ['ghost', 'emarsys', 'bill', 'two-step', 'cc']) await insertIntegration(valetkey, { provider, scopes: 'a,b' });
    await insertIntegration(valetkey, { provider: 'tba', clientId: 'consumer', clientSecret: 'consumer-secret' });
    await insertIntegration(valetkey, { provider: 'aws' });
    const config = { service: 's3', stsMode: 'custom', stsEndpointUrl: `${url}/assume` };
    await insertIntegration(valetkey, { provider: 'aws', key: 'aws-set', extras: { config } });
});

afterAll(async () => {
    await valetkey?.close();
    await account?.close();
});

beforeEach(async () => {
    account.requests.length = 0;
    account.answer = { status: 200, body: {} };
    token = await createSession(valetkey);
});

type Connected = { connectionId: string; providerConfigKey: string };
const post = (path: string, body?: unknown, query = ''): Promise<Answer<Connected>> =>
    valetkey.call('POST', `${path}?connect_session_token=${token}${query}`, { key: null, ...(body === undefined ? {} : { body }) });
const codeOf = (answer: Answer<unknown>): unknown => [answer.status, (answer.body as { error: { code: string } }).error.code];
type Read = { credentials: Record<string, unknown>; connection_config: Record<string, unknown>; metadata: unknown; updated_at: string };
const read = (id: string, integration: string, query = ''): Promise<Answer<Read>> =>
    valetkey.call('GET', `/connections/${id}?provider_config_key=${integration}${query}`);
const rowOf = async (id: string): Promise<unknown> =>
    (
        await valetkey.query(
            'select credentials_version, refresh_epoch, updated_at, sealed_credentials, next_refresh_at from connections where connection_id = $1',
            [id],
        )
    )[0];
async function reconnect(integration: string, id: string): Promise<void> {
    const answer = await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', {
        body: { connection_id: id, integration_id: integration },
    });
    token = answer.body.data.token;
}

const signedHere = [
    [
        '/auth/jwt/ghost',
        'ghost',
        { privateKey: ghostKey, type: 'JWT' },
        { type: 'JWT', privateKey: { id: 'a'.repeat(24), secret } },
        { type: 'JWT', privateKey: ghostKey },
    ],
    [
        '/auth/signature/emarsys',
        'emarsys',
        { username: 'ann', password: 'pw', type: 'SIGNATURE' },
        { type: 'SIGNATURE', username: 'ann', password: 'pw' },
        { type: 'SIGNATURE', username: 'ann', password: 'pw' },
    ],
] as const;

describe.each(signedHere)('%s', (path, integration, body, stored, imported) => {
    test('is proved with the token, and a reader gets a good one without a write (R8)', async () => {
        const { connectionId: id } = (await post(path, body)).body;
        const [asked] = account.requests;
        const shown = (await read(id, integration)).body.credentials;
        expect(shown).toEqual({ ...stored, token: expect.any(String) as string, expires_at: expect.any(String) as string });
        expect(String(asked!.headers['x-wsse'] ?? asked!.headers['authorization'])).toMatch(/^(Ghost ey|UsernameToken )/);
        const before = await rowOf(id);
        expect(before).toMatchObject({ next_refresh_at: null });
        expect((await read(id, integration)).body.credentials).toEqual(shown);
        valetkey.advance(240_000);
        const later = (await read(id, integration)).body.credentials;
        const forced = (await read(id, integration, '&force_refresh=true')).body.credentials;
        expect(later['token']).not.toBe(shown['token']);
        expect(Date.parse(String(later['expires_at'])) - Date.parse(String(shown['expires_at']))).toBeGreaterThanOrEqual(239_000);
        expect(forced).toMatchObject(stored);
        expect(await rowOf(id)).toEqual(before);
    });

    test.each([
        [401, 400, 'connection_test_failed'],
        [503, 503, 'verification_unavailable'],
    ])('the provider answers %i', async (status, expected, code) => {
        account.answer = { status, body: {} };
        const answer = await post(path, body);
        expect(codeOf(answer)).toEqual([expected, code]);
        expect(answer.text).not.toContain(secret);
    });

    test('in an environment that keeps what cannot be tested, an outage does not refuse it, and a refusal does (A3)', async () => {
        await valetkey.query('update environments set accept_unverified_credentials = true');
        try {
            account.answer = { status: 429, body: {} };
            const { body: connected } = await post(path, body);
            expect((await read(connected.connectionId, integration)).body.credentials).toMatchObject(stored);
            account.answer = { status: 403, body: {} };
            expect(codeOf(await post(path, body))).toEqual([400, 'connection_test_failed']);
        } finally {
            await valetkey.query('update environments set accept_unverified_credentials = false');
        }
    });

    test('a reconnect keeps metadata, an import makes a token, a deleted connection is gone', async () => {
        const { connectionId: id } = (await post(path, body)).body;
        await valetkey.call('POST', '/connections/metadata', { body: { connection_id: id, provider_config_key: integration, metadata: { a: 1 } } });
        await reconnect(integration, id);
        expect((await post(path, body)).body.connectionId).toBe(id);
        expect((await read(id, integration)).body.metadata).toEqual({ a: 1 });
        const answer = await valetkey.call<Read>('POST', '/connections', { body: { provider_config_key: integration, credentials: imported } });
        expect([answer.status, answer.body.credentials]).toMatchObject([201, { ...stored, token: expect.any(String) as string }]);
        expect((await valetkey.call('DELETE', `/connections/${id}?provider_config_key=${integration}`)).status).toBe(200);
        expect((await read(id, integration)).status).toBe(404);
    });
});

describe('JWT', () => {
    test('a key in two parts is the same key; the token that is read verifies', async () => {
        const answer = await post('/auth/jwt/ghost', { privateKey: { id: 'a'.repeat(24), secret } });
        const { credentials } = (await read(answer.body.connectionId, 'ghost')).body;
        const now = new Date(Date.parse(String(credentials['expires_at'])) - 60_000);
        await expect(jwtVerify(String(credentials['token']), Buffer.from(secret, 'hex'), { currentDate: now })).resolves.toBeDefined();
    });

    test('where the client 0.71.1 and 0.71.2 sends a key with its id and issuer, it is the same', async () => {
        const body = { privateKeyId: 'k', issuerId: 'i', privateKey: ghostKey, scope: ['GET /v1/apps'] };
        const answer = await post('/app-store-auth/ghost', body);
        expect([answer.status, answer.body.providerConfigKey]).toEqual([200, 'ghost']);
        expect((await read(answer.body.connectionId, 'ghost')).body.credentials).toMatchObject({ type: 'JWT', privateKeyId: 'k', issuerId: 'i' });
    });

    test.each([[{}], [{ privateKey: 'not-a-key' }]])('%j cannot be right, and nobody is asked', async (body) => {
        expect(codeOf(await post('/auth/jwt/ghost', body))).toEqual([400, 'connection_test_failed']);
        expect(account.requests).toEqual([]);
    });
});

describe('BILL', () => {
    const body = { username: 'ann', password: 'pw', organization_id: 'org', dev_key: 'dev' };

    test('logs in, and logs in again when it is due or asked for', async () => {
        account.answer.body = { sessionId: 's1', organizationId: 'org-1', userId: 'u1' };
        const { connectionId: id } = (await post('/auth/bill/bill', body)).body;
        expect([account.requests[0]!.url, JSON.parse(account.requests[0]!.body)]).toEqual([
            '/login',
            { username: 'ann', password: 'pw', organizationId: 'org', devKey: 'dev' },
        ]);
        const first = (await read(id, 'bill')).body.credentials;
        const { raw, expires_at, ...rest } = first;
        expect(rest).toEqual({ type: 'BILL', ...body, organization_id: 'org-1', session_id: 's1', user_id: 'u1' });
        expect([raw, typeof expires_at]).toEqual([account.answer.body, 'string']);
        account.answer.body = { sessionId: 's2', organizationId: 'org-1', userId: 'u1' };
        expect((await read(id, 'bill', '&force_refresh=true')).body.credentials).toMatchObject({ session_id: 's2' });
        account.answer.body = { sessionId: 's3', organizationId: 'org-1', userId: 'u1' };
        valetkey.advance(30 * 60_000);
        expect((await read(id, 'bill')).body.credentials).toMatchObject({ session_id: 's3' });
        account.answer = { status: 401, body: [{ code: 'BDC_1109' }] };
        expect(codeOf(await read(id, 'bill', '&force_refresh=true'))).toEqual([400, 'invalid_credentials']);
    });

    test.each([
        [401, [{ code: 'BDC_1109' }], 400, 'invalid_credentials'],
        [200, { sessionId: '' }, 400, 'invalid_credentials'],
        [500, {}, 503, 'verification_unavailable'],
    ])('the login is answered %i %j', async (status, said, expected, code) => {
        account.answer = { status, body: said };
        const answer = await post('/auth/bill/bill', body);
        expect(codeOf(answer)).toEqual([expected, code]);
        expect(answer.text).not.toMatch(/"pw"|"dev"/);
    });

    test('is imported by logging in', async () => {
        account.answer.body = { sessionId: 's9', organizationId: 'org', userId: 'u' };
        const answer = await valetkey.call<Read>('POST', '/connections', {
            body: { provider_config_key: 'bill', credentials: { type: 'BILL', ...body } },
        });
        expect([answer.status, answer.body.credentials]).toMatchObject([201, { session_id: 's9' }]);
    });
});

describe('TBA', () => {
    const body = { token_id: 'ti', token_secret: 'ts' };

    test('is proved by a signed call; the consumer’s secret is not copied (E4)', async () => {
        const { connectionId: id } = (await post('/auth/tba/tba', body, '&params[accountId]=123-sb1-x')).body;
        expect(account.requests[0]).toMatchObject({ url: '/me?limit=1' });
        expect(account.requests[0]!.headers.authorization).toMatch(/^OAuth realm="123_SB1_X".*oauth_consumer_key="consumer".*HMAC-SHA256/);
        const answer = await read(id, 'tba');
        expect(answer.body).toMatchObject({
            credentials: { type: 'TBA', ...body, config_override: {} },
            connection_config: { accountId: '123-sb1-x' },
        });
        expect(answer.text).not.toContain('consumer');
    });

    test('with a consumer of its own, whole or not at all', async () => {
        const own = { ...body, oauth_client_id_override: 'own', oauth_client_secret_override: 'own-secret' };
        const { connectionId: id } = (await post('/auth/tba/tba', own, '&params[accountId]=1')).body;
        expect(account.requests[0]!.headers.authorization).toContain('oauth_consumer_key="own"');
        expect((await read(id, 'tba')).body.credentials['config_override']).toEqual({ client_id: 'own', client_secret: 'own-secret' });
        expect(codeOf(await post('/auth/tba/tba', { ...body, oauth_client_id_override: 'own' }))).toEqual([400, 'invalid_body']);
    });

    test('a refusal is 400, not 200', async () => {
        account.answer = { status: 403, body: {} };
        expect(codeOf(await post('/auth/tba/tba', body, '&params[accountId]=1'))).toEqual([400, 'connection_test_failed']);
    });
});

describe('AWS_SIGV4', () => {
    const body = { role_arn: 'arn:aws:iam::123456789012:role/app', region: 'eu-central-1' };
    test.each<[string, string, unknown, [number, string]]>([
        ['an integration without a service', 'aws', body, [400, 'missing_aws_sigv4_service']],
        ['a region that is none', 'aws-set', { ...body, region: 'EU!' }, [400, 'invalid_body']],
        ['no region', 'aws-set', { role_arn: body.role_arn }, [400, 'missing_aws_sigv4_region']],
        ['a role that is none', 'aws-set', { ...body, role_arn: 'app' }, [400, 'invalid_body']],
        ['an STS that answers without keys', 'aws-set', body, [502, 'aws_sigv4_sts_request_failed']],
    ])('%s', async (_name, key, submitted, expected) => {
        expect(codeOf(await post(`/auth/aws-sigv4/${key}`, submitted))).toEqual(expected);
    });

    test('an import says the same', async () => {
        account.answer = { status: 403, body: {} };
        const answer = await valetkey.call('POST', '/connections', {
            body: { provider_config_key: 'aws-set', credentials: { type: 'AWS_SIGV4', ...body } },
        });
        expect(codeOf(answer)).toEqual([502, 'aws_sigv4_sts_request_failed']);
    });
});

describe('OAUTH2_CC', () => {
    const path = '/oauth2/auth/cc';
    const client = { client_id: 'i', client_secret: 's' };
    const tenant = '&params[tenant]=acme';

    test('connects, keeps the session’s parameters, follows the integration’s scopes (R19), and renews', async () => {
        account.answer.body = { access_token: 't1', expires_in: 600 };
        token = await createSession(valetkey, {
            end_user: { id: 'u' },
            integrations_config_defaults: { cc: { authorization_params: { audience: 'x' } } },
        });
        const { connectionId: id } = (await post(path, client, tenant)).body;
        const sent = () => Object.fromEntries(new URLSearchParams(account.requests.at(-1)!.body));
        expect([account.requests[0]!.url, sent()]).toEqual([
            '/acme/token',
            { grant_type: 'client_credentials', ...client, scope: 'a b', audience: 'x' },
        ]);
        expect((await read(id, 'cc')).body).toMatchObject({
            credentials: { type: 'OAUTH2_CC', token: 't1', ...client, raw: account.answer.body },
            connection_config: { tenant: 'acme', authorization_params: { audience: 'x' } },
        });
        await valetkey.query(`update integrations set oauth_scopes = 'c' where unique_key = 'cc'`);
        account.answer.body = { access_token: 't2', expires_in: 600 };
        expect((await read(id, 'cc', '&force_refresh=true')).body.credentials).toMatchObject({ token: 't2' });
        expect(sent()).toMatchObject({ scope: 'c', audience: 'x' });
    });

    test.each<[string, unknown, string, [number, string]]>([
        ['no body', undefined, tenant, [400, 'missing_client_id']],
        ['{}, and an id of its own', {}, '&connection_id=x', [400, 'missing_client_id']],
        ['no secret', { client_id: 'i' }, '&connection_id=x', [400, 'missing_client_secret']],
        ['an id of its own', client, '&connection_id=x', [400, 'invalid_query_params']],
        ['a parameter that is missing', client, '', [400, 'invalid_body']],
    ])('%s', async (_name, body, query, expected) => {
        const answer = await post(path, body, query);
        expect(codeOf(answer)).toEqual(expected);
        if (query === '') expect(answer.text).toContain('tenant');
        expect(account.requests).toEqual([]);
    });

    test('any content type, an unknown integration, another mode, a refused client', async () => {
        const form = { key: null, headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'client_id=i&client_secret=s' };
        account.answer.body = { access_token: 't' };
        expect((await valetkey.call('POST', `${path}?connect_session_token=${token}${tenant}`, form)).status).toBe(200);
        token = await createSession(valetkey);
        expect(codeOf(await post('/oauth2/auth/nothing', client))).toEqual([404, 'unknown_provider_config']);
        expect(codeOf(await post('/oauth2/auth/bill', client))).toEqual([400, 'invalid_auth_mode']);
        // where clients before 0.71.9 send part of a login
        expect(codeOf(await post('/oauth2/auth/two-step', client))).toEqual([400, 'outdated_client']);
        account.answer = { status: 401, body: { error: 'invalid_client', error_description: 'secret-of-theirs s3cr3t' } };
        const refused = await post(path, { client_id: 'i', client_secret: 's3cr3t' }, tenant);
        expect([codeOf(refused), refused.text.includes('s3cr3t')]).toEqual([[400, 'client_credentials_fetch_error'], false]);
        expect(valetkey.log()).not.toContain('s3cr3t');
    });
});
