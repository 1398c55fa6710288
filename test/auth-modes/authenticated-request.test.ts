/** Each type of credentials in a call to an API, as the table of webhooks-proxy §3.4 has it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { authenticatedRequest } from '../../src/auth-modes/authenticated-request.ts';
import type { ModeContext } from '../../src/auth-modes/auth-mode.ts';
import { oauth1Header } from '../../src/auth-modes/oauth1-signature.ts';
import type { Credentials } from '../../src/credentials/credential.ts';
import type { ApiCall } from '../../src/providers/api-request.ts';
import { signAwsRequest } from '../../src/providers/aws-signature.ts';
import type { ProviderEntry, ProxyEntry } from '../../src/providers/provider.ts';
import { systemSources } from '../../src/sources.ts';
import { makeProvider } from '../providers/make-provider.ts';
import { selfSigned } from '../egress/certificate.ts';
import { noClients } from './no-clients.ts';

const now = Date.UTC(2024, 0, 2);
const sources = { ...systemSources, now: () => now, random: (size: number) => Buffer.alloc(size, 0xab) };
const url = new URL('https://api.acme.example/me?a=1');

function context(entry: Partial<ProviderEntry>, changes: Partial<ModeContext> = {}): ModeContext {
    return {
        provider: makeProvider({ proxy: { base_url: 'https://api.acme.example' }, ...entry }),
        integration: {
            id: 'i',
            environmentId: 'e',
            uniqueKey: 'acme',
            clientId: 'integration-id',
            clientSecret: 'integration-secret',
            scopes: null,
            extras: {},
            allowedHosts: null,
            isProduction: true,
        },
        clients: noClients,
        connectionConfig: {},
        // Nothing is sent here.
        egress: undefined as unknown as ModeContext['egress'],
        sources,
        ...changes,
    };
}

const headersOf = async (entry: Partial<ProviderEntry>, credentials: Credentials, call: Partial<ApiCall> = {}, changes: Partial<ModeContext> = {}) =>
    (await authenticatedRequest(context(entry, changes), credentials, { method: 'GET', endpoint: '/me?a=1', ...call })).headers;

const proxy = (headers: ProxyEntry['headers'] = {}): { proxy: ProxyEntry } => ({ proxy: { base_url: 'https://api.acme.example', headers } });
const oauth2: Credentials = { type: 'OAUTH2', access_token: 'at', raw: {} };
const twoStep: Credentials = { type: 'TWO_STEP', token: 't', raw: {}, _cookies: 'a=b' };
const dates = { expires_at: '2030-01-01T00:00:00.000Z' };

describe('the header of each type', () => {
    test.each<[Credentials, string | undefined]>([
        [oauth2, 'Bearer at'],
        [{ type: 'APP', access_token: 'at', raw: {} }, 'Bearer at'],
        [{ type: 'APP', access_token: '', raw: {} }, undefined],
        [{ type: 'OAUTH2_CC', token: 't', client_id: 'i', client_secret: 's', raw: {} }, 'Bearer t'],
        [{ type: 'JWT', token: 't', ...dates, privateKey: 'k' }, 'Bearer t'],
        [{ type: 'SIGNATURE', token: 't', ...dates, username: 'u', password: 'p' }, 'Bearer t'],
        [twoStep, 'Bearer t'],
        // RFC 7617 §2.1, the example in UTF-8
        [{ type: 'BASIC', username: 'test', password: '123£' }, 'Basic dGVzdDoxMjPCow=='],
        [{ type: 'BASIC', username: 'u', password: '' }, 'Basic dTo='],
        [{ type: 'API_KEY', apiKey: 'k' }, undefined],
        [
            { type: 'BILL', username: 'u', password: 'p', organization_id: 'o', dev_key: 'd', session_id: 's', user_id: 'x', ...dates, raw: {} },
            undefined,
        ],
        [{}, undefined],
    ])('%j', async (credentials, authorization) => {
        expect((await headersOf({}, credentials))['authorization']).toBe(authorization);
    });

    test('an entry replaces it, and a caller replaces that', async () => {
        const entry = proxy({ authorization: 'Ghost ${accessToken}' });
        expect((await headersOf(entry, oauth2))['authorization']).toBe('Ghost at');
        expect((await headersOf(entry, oauth2, { headers: { Authorization: 'own' } }))['authorization']).toBe('own');
    });

    test('an entry’s key that is missing does not show user name and password instead', async () => {
        const entry = proxy({ authorization: '${awsSigV4(${username}, ${password}, ${connectionConfig.region}, iam)}' });
        expect(await headersOf(entry, { type: 'BASIC', username: 'u', password: 'p' })).toEqual({});
    });
});

test('a client certificate goes along where the entry demands one (N6)', async () => {
    const { cert, key } = selfSigned(['client.example']);
    const credentials: Credentials = {
        type: 'OAUTH2_CC',
        token: 't',
        client_id: 'i',
        client_secret: 's',
        raw: {},
        client_certificate: cert,
        client_private_key: key,
    };
    const requestOf = (entry: Partial<ProviderEntry>, own = credentials) =>
        authenticatedRequest(context(entry), own, { method: 'GET', endpoint: '/me' });
    expect((await requestOf({ require_client_certificate: true })).clientCertificate?.certificate).toContain('BEGIN CERTIFICATE');
    expect(await requestOf({})).not.toHaveProperty('clientCertificate');
    await expect(requestOf({ require_client_certificate: true }, { ...credentials, client_certificate: '' })).rejects.toMatchObject({
        type: 'unsupported_auth',
    });
});

describe('TWO_STEP', () => {
    test.each<[string, ProxyEntry['headers'], string | undefined]>([
        ['a cookie of the login', { cookie: '${credentials._cookies}' }, undefined],
        ['the token in a header of its own', { 'x-token': '${accessToken}' }, undefined],
        ['the token inside a function', { 'x-token': '${base64(${accessToken})}' }, undefined],
        ['another cookie', { cookie: 'lang=en' }, 'Bearer t'],
        ['the cookie in another header', { 'x-session': '${credentials._cookies}' }, 'Bearer t'],
        ['its token as a credential', { 'x-token': '${credentials.token}' }, 'Bearer t'],
    ])('%s', async (_name, headers, authorization) => {
        expect((await headersOf(proxy(headers), twoStep))['authorization']).toBe(authorization);
    });
});

describe('what templates draw on', () => {
    test.each<[Credentials, string]>([
        [oauth2, 'at'],
        [{ type: 'APP', access_token: 'a', raw: {} }, 'a'],
        [twoStep, 't'],
        [{ type: 'JWT', token: 'j', ...dates }, 'j'],
        [{ type: 'OAUTH1', oauth_token: 'o', oauth_token_secret: 's', raw: {} }, 'o'],
        [{ type: 'TBA', token_id: 'i', token_secret: 's', config_override: {} }, 'i'],
        [{ type: 'API_KEY', apiKey: 'k' }, 'k'],
    ])('${accessToken} of %j', async (credentials, expected) => {
        const entry = { ...proxy({ 'x-token': '${accessToken}' }), signature_method: 'HMAC-SHA1' as const };
        expect((await headersOf(entry, credentials))['x-token']).toBe(expected);
    });

    const client = proxy({ 'x-client': '${clientId}:${clientSecret}' });

    test('the client of OAuth 2.0: the connection’s own, else the integration’s', async () => {
        expect((await headersOf(client, oauth2))['x-client']).toBe('integration-id:integration-secret');
        expect((await headersOf(client, { ...oauth2, config_override: { client_id: 'i', client_secret: 's' } }))['x-client']).toBe('i:s');
        expect((await headersOf(client, { type: 'OAUTH2_CC', token: 't', client_id: 'i', client_secret: 's', raw: {} }))['x-client']).toBe('i:s');
    });

    test('no other mode shows the integration’s secret, which may be a private key', async () => {
        for (const credentials of [{ type: 'APP', access_token: 'a', raw: {} }, { type: 'API_KEY', apiKey: 'k' }, twoStep] as Credentials[]) {
            expect((await headersOf(client, credentials))['x-client']).toBeUndefined();
        }
    });

    test('one nonce and one moment in the whole request', async () => {
        const random = '${random} ${now:X}';
        let calls = 0;
        const moving = { ...sources, now: () => now + 1000 * calls++, random: (size: number) => Buffer.alloc(size, calls++) };
        const headers = await headersOf(proxy({ a: random, b: `\${sha256Hex(\${method})} ${random}`, c: random }), oauth2, {}, { sources: moving });
        expect(headers['a']).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12} \d+$/);
        expect([headers['b']?.slice(65), headers['c']]).toEqual([headers['a'], headers['a']]);
    });

    test('nothing that a caller writes is evaluated', async () => {
        await fc.assert(
            fc.asyncProperty(
                fc.constantFrom('${accessToken}', '${credentials.access_token}', '${clientSecret}', '${base64(${accessToken})}'),
                async (text) => {
                    const request = await authenticatedRequest(context(proxy({ 'x-own': 'a' })), oauth2, {
                        method: 'POST',
                        endpoint: `/${text}?q=${text}`,
                        headers: { 'x-own': text },
                        query: { p: text },
                        body: text,
                    });
                    expect([request.headers['x-own'], request.body]).toEqual([text, text]);
                    expect([decodeURIComponent(request.url.pathname), request.url.searchParams.get('p')]).toEqual([`/${text}`, text]);
                    expect(request.url.href).not.toMatch(/Bearer|at%24|integration-secret/);
                },
            ),
        );
    });
});

describe('OAUTH1', () => {
    const credentials: Credentials = { type: 'OAUTH1', oauth_token: 'to', oauth_token_secret: 'ts', raw: {} };
    const keys = { consumerKey: 'integration-id', consumerSecret: 'integration-secret', token: 'to', tokenSecret: 'ts' };

    test.each(['HMAC-SHA1', 'HMAC-SHA256', 'PLAINTEXT'] as const)('is signed with %s, as the entry says', async (method) => {
        expect((await headersOf({ signature_method: method }, credentials))['authorization']).toBe(
            oauth1Header({ method: 'GET', url }, { ...keys, method }, sources),
        );
    });

    test('a form is part of it, JSON is not', async () => {
        const post = async (type: string, body: string): Promise<string | undefined> =>
            (await headersOf({ signature_method: 'HMAC-SHA1' }, credentials, { method: 'POST', headers: { 'content-type': type }, body }))[
                'authorization'
            ];
        const signed = (parameters: [string, string][]): string =>
            oauth1Header({ method: 'POST', url, parameters }, { ...keys, method: 'HMAC-SHA1' }, sources);
        expect(await post('application/x-www-form-urlencoded', 'status=hello+world&b=1&b=0')).toBe(
            signed([
                ['status', 'hello world'],
                ['b', '1'],
                ['b', '0'],
            ]),
        );
        expect(await post('application/json', '{"status":"hello"}')).toBe(signed([]));
        expect(await post('application/x-www-form-urlencoded', 'oauth_token=forged')).toBe(signed([]));
    });

    test('an unknown method is refused', async () => {
        await expect(headersOf({ signature_method: 'RSA-SHA1' }, credentials)).rejects.toMatchObject({ type: 'unsupported_auth' });
        await expect(headersOf({}, credentials)).rejects.toMatchObject({ type: 'unsupported_auth' });
    });
});

describe('TBA', () => {
    const tba = (config_override: { client_id?: string; client_secret?: string }): Credentials => ({
        type: 'TBA',
        token_id: 'ti',
        token_secret: 'ts',
        config_override,
    });
    const signedBy = (consumerKey: string, consumerSecret: string): string =>
        oauth1Header(
            { method: 'GET', url },
            { consumerKey, consumerSecret, token: 'ti', tokenSecret: 'ts', realm: 'ACME_SB_1', method: 'HMAC-SHA256' },
            sources,
        );
    const authorization = async (credentials: Credentials): Promise<string | undefined> =>
        (await headersOf({}, credentials, {}, { connectionConfig: { accountId: 'acme-sb-1', oauth_client_id: 'x', oauth_client_secret: 'y' } }))[
            'authorization'
        ];

    test('names the account in the realm, every dash an underscore', async () => {
        expect(await authorization(tba({}))).toBe(signedBy('integration-id', 'integration-secret'));
    });

    test('takes the consumer of the connection, both halves or none', async () => {
        expect(await authorization(tba({ client_id: 'i', client_secret: 's' }))).toBe(signedBy('i', 's'));
        expect(await authorization(tba({ client_id: 'i' }))).toBe(signedBy('integration-id', 'integration-secret'));
    });
});

describe('AWS_SIGV4', () => {
    const aws: Credentials = {
        type: 'AWS_SIGV4',
        role_arn: 'arn:aws:iam::1:role/r',
        region: 'eu-west-1',
        service: 's3',
        access_key_id: 'AK',
        secret_access_key: 'SK',
        session_token: 'ST',
        external_id: 'e',
        ...dates,
        raw: {},
    };
    const entry: Partial<ProviderEntry> = {
        auth_mode: 'AWS_SIGV4',
        proxy: { base_url: 'https://${connectionConfig.service}.${connectionConfig.region}.amazonaws.com', headers: { accept: 'text/xml' } },
        connection_config: { service: { type: 'string' }, region: { type: 'string' } },
    };
    const connectionConfig = { service: 's3', region: 'eu-west-1' };

    test('signs the finished request, last of all', async () => {
        const call: ApiCall = { method: 'PUT', endpoint: "/b/it's?x", headers: { 'X-Amz-Acl': 'private', authorization: 'caller' }, body: 'text' };
        const request = await authenticatedRequest(context(entry, { connectionConfig }), aws, call);
        const address = new URL("https://s3.eu-west-1.amazonaws.com/b/it's?x");
        const signed = signAwsRequest(
            { method: 'PUT', url: address, headers: { accept: 'text/xml', 'x-amz-acl': 'private' }, body: 'text' },
            { accessKeyId: 'AK', secretAccessKey: 'SK', sessionToken: 'ST', region: 'eu-west-1', service: 's3' },
            now,
        );
        expect(request).toEqual({ method: 'PUT', url: address, headers: { accept: 'text/xml', 'x-amz-acl': 'private', ...signed }, body: 'text' });
    });

    test('at the connection’s own endpoint', async () => {
        const changes = { connectionConfig: { ...connectionConfig, base_url: 'https://vpce-1.s3.eu-west-1.vpce.amazonaws.com' } };
        const request = await authenticatedRequest(context(entry, changes), aws, { method: 'GET', endpoint: '/b' });
        expect(request.url.href).toBe('https://vpce-1.s3.eu-west-1.vpce.amazonaws.com/b');
        const nonsense = context(entry, { connectionConfig: { ...connectionConfig, base_url: 'nonsense' } });
        await expect(authenticatedRequest(nonsense, aws, { method: 'GET', endpoint: '/b' })).rejects.toMatchObject({ code: 'invalid_base_url' });
    });

    test('no other type may choose its host so', async () => {
        const request = await authenticatedRequest(context({}, { connectionConfig: { base_url: 'https://evil.example' } }), oauth2, {
            method: 'GET',
            endpoint: '/',
        });
        expect(request.url.host).toBe('api.acme.example');
    });
});

describe('a generic API', () => {
    test('takes the settings of the integration that are in effect', async () => {
        const entry: Partial<ProviderEntry> = {
            auth_mode: 'API_KEY',
            proxy: { base_url: 'https://base-url.invalid' },
            integration_config: {
                keyPlacement: { type: 'string', enum: ['header', 'query'], default_value: 'header' },
                keyName: { type: 'string' },
                valueTemplate: { type: 'string', default_value: '${apiKey}' },
                baseUrl: { type: 'string' },
            },
        };
        const base = context(entry);
        const config = { keyName: 'X-Key', baseUrl: 'https://private.example', undeclared: 'x' };
        const request = await authenticatedRequest(
            { ...base, integration: { ...base.integration, extras: { config } } },
            { type: 'API_KEY', apiKey: 'k' },
            { method: 'GET', endpoint: '/a' },
        );
        expect([request.url.href, request.headers]).toEqual(['https://private.example/a', { 'x-key': 'k' }]);
    });
});
