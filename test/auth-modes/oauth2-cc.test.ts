/** Client credentials: real clients at oidc-provider, a real mutual TLS server, and the shapes of request that the catalogue has. */
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import Provider from 'oidc-provider';
import { describe, expect, test } from 'vitest';
import type { DirectInput } from '../../src/auth-modes/auth-mode.ts';
import { oauth2ClientCredentials } from '../../src/auth-modes/oauth2-cc.ts';
import type { OAuth2ClientCredentials, Obtained } from '../../src/credentials/credential.ts';
import type { ProviderEntry } from '../../src/providers/provider.ts';
import { systemSources } from '../../src/sources.ts';
import { selfSigned } from '../egress/certificate.ts';
import { loopbackEgress, onCleanup, trust } from '../egress/servers.ts';
import { makeProvider } from '../providers/make-provider.ts';

type Submitted = Record<string, string>;

const input = (
    entry: Partial<ProviderEntry>,
    submitted: Submitted,
    rest: { config?: Record<string, unknown>; scopes?: string } = {},
): DirectInput => ({
    provider: makeProvider({ auth_mode: 'OAUTH2_CC', token_params: { grant_type: 'client_credentials' }, ...entry }, { plainHttpHost: '127.0.0.1' }),
    integration: {
        uniqueKey: 'a',
        clientId: null,
        clientSecret: null,
        scopes: rest.scopes ?? null,
        extras: {},
        allowedHosts: null,
        isProduction: true,
    },
    connectionConfig: rest.config ?? {},
    egress: loopbackEgress(),
    sources: systemSources,
    submitted,
});

const create = (...args: Parameters<typeof input>): Promise<Obtained> => oauth2ClientCredentials.direct!.create(input(...args));

async function authorizationServer(): Promise<{ url: string; key: string }> {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const jwk = { ...privateKey.export({ format: 'jwk' }), kid: 'key-1', alg: 'RS256', use: 'sig' };
    let handle: ReturnType<Provider['callback']>;
    const server = createServer((request, response) => void handle(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onCleanup(() => {
        server.closeAllConnections();
        server.close();
    });
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const client = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [], scope: 'read write' };
    const provider = new Provider(issuer, {
        clients: [
            { ...client, client_id: 'basic@client', client_secret: 's:ec+r/et', token_endpoint_auth_method: 'client_secret_basic' },
            { ...client, client_id: 'post', client_secret: 'secret', token_endpoint_auth_method: 'client_secret_post' },
            {
                ...client,
                client_id: 'jwt',
                token_endpoint_auth_method: 'private_key_jwt',
                token_endpoint_auth_signing_alg: 'RS256',
                jwks: { keys: [{ kty: 'RSA', n: jwk.n!, e: jwk.e!, kid: 'key-1', alg: 'RS256', use: 'sig' }] },
            },
        ],
        scopes: ['read', 'write'],
        features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
        ttl: { ClientCredentials: 600 },
    });
    handle = provider.callback();
    return { url: `${issuer}/token`, key: JSON.stringify(jwk) };
}

describe('at oidc-provider', () => {
    test.each<[string, Partial<ProviderEntry>, Submitted]>([
        ['client_secret_basic', { token_request_auth_method: 'basic' }, { client_id: 'basic@client', client_secret: 's:ec+r/et' }],
        ['client_secret_post', {}, { client_id: 'post', client_secret: 'secret' }],
        ['private_key_jwt', { token_request_auth_method: 'private_key_jwt' }, { client_id: 'jwt' }],
    ])('%s', async (_name, entry, submitted) => {
        const server = await authorizationServer();
        const client = submitted['client_secret'] === undefined ? { ...submitted, client_private_key: server.key } : submitted;
        const before = Date.now();
        const obtained = await create({ ...entry, token_url: server.url }, client, { scopes: 'read,write' });
        const credentials = obtained.credentials as OAuth2ClientCredentials;
        expect(credentials).toMatchObject({ type: 'OAUTH2_CC', ...client, raw: { token_type: 'Bearer', scope: 'read write' } });
        expect([credentials.token.length > 10, Math.round((obtained.expiresAt! - before) / 10_000)]).toEqual([true, 60]);
        expect(credentials.expires_at).toBe(new Date(obtained.expiresAt!).toISOString());
    });

    test('a wrong secret is refused, and never shown', async () => {
        const { url } = await authorizationServer();
        const failure = await create({ token_url: url }, { client_id: 'post', client_secret: 'a-wrong-secret' }).catch((error: unknown) => error);
        expect(failure).toMatchObject({ name: 'ConnectFailure', type: 'client_credentials_fetch_error' });
        expect(String(failure)).not.toContain('a-wrong-secret');
    });
});

/** Remembers the request, answers what it is told. */
async function tokenServer(answer: unknown = { access_token: 't' }) {
    const asked: { url: string; type: string | undefined; authorization: string | undefined; body: string }[] = [];
    const server = createServer((request, response) => {
        let body = '';
        request.on('data', (chunk: Buffer) => (body += chunk.toString()));
        request.on('end', () => {
            const { 'content-type': type, authorization } = request.headers;
            asked.push({ url: request.url!, type, authorization, body });
            response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
        });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onCleanup(() => {
        server.closeAllConnections();
        server.close();
    });
    return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const client = { client_id: 'i', client_secret: 's' };
const pair = `Basic ${Buffer.from('i:s').toString('base64')}`;

describe('shapes of the catalogue', () => {
    test('greenhouse-harvest-oauth2-cc: the query of the URL stays, an optional parameter that is missing is left out', async () => {
        const { asked, url } = await tokenServer();
        const entry = {
            token_url: `${url}/token?grant_type=client_credentials`,
            token_params: { sub: '${connectionConfig.sub}' },
            token_request_auth_method: 'basic' as const,
            body_format: 'json' as const,
            connection_config: { sub: { type: 'string' as const, optional: true } },
        };
        await create(entry, client);
        await create(entry, client, { config: { sub: '7' } });
        expect(asked).toEqual([
            { url: '/token?grant_type=client_credentials', type: 'application/json', authorization: pair, body: '{}' },
            { url: '/token?grant_type=client_credentials', type: 'application/json', authorization: pair, body: '{"sub":"7"}' },
        ]);
    });

    test('kno-commerce: everything in the URL, no body', async () => {
        const { asked, url } = await tokenServer();
        await create({ token_url: `${url}/token`, token_request_auth_method: 'basic', body_format: 'query' }, client, { scopes: 'a,b' });
        expect(asked).toEqual([{ url: '/token?grant_type=client_credentials&scope=a+b', type: undefined, authorization: pair, body: '' }]);
    });

    test('zoominfo: user name and password, a jwt comes back', async () => {
        const { asked, url } = await tokenServer({ jwt: 'the-jwt' });
        const entry = {
            token_url: url,
            token_params: undefined,
            token_request_auth_method: 'custom',
            body_format: 'json',
        } as unknown as ProviderEntry;
        const before = Date.now();
        const { credentials, expiresAt } = await create(entry, client);
        expect([asked[0]!.body, credentials]).toMatchObject(['{"username":"i","password":"s"}', { token: 'the-jwt', client_secret: 's' }]);
        // no lifetime: 55 minutes
        expect(Math.round((expiresAt! - before) / 60_000)).toBe(55);
    });

    test('personio: data.token', async () => {
        const { asked, url } = await tokenServer({ success: true, data: { token: 'nested' } });
        const entry = { token_url: url, token_params: undefined, body_format: 'json' } as unknown as ProviderEntry;
        expect((await create(entry, client)).credentials).toMatchObject({ token: 'nested' });
        expect(JSON.parse(asked[0]!.body)).toEqual({ client_id: 'i', client_secret: 's' });
    });

    test('acumatica: a password grant from the configuration', async () => {
        const { asked, url } = await tokenServer();
        const token_params = { grant_type: 'password', username: '${connectionConfig.username}', password: '${connectionConfig.password}' };
        const connection_config = { username: { type: 'string' as const }, password: { type: 'string' as const, secret: true } };
        await create({ token_url: url, token_params, connection_config }, client, { config: { username: 'ann', password: 'pw' } });
        expect(Object.fromEntries(new URLSearchParams(asked[0]!.body))).toEqual({
            grant_type: 'password',
            username: 'ann',
            password: 'pw',
            client_id: 'i',
            client_secret: 's',
        });
        const failure = create({ token_url: url, token_params, connection_config }, client, { config: { username: 'ann' } });
        await expect(failure).rejects.toMatchObject({ type: 'url_param_err', message: expect.stringContaining('"password"') as string });
        expect(asked).toHaveLength(1);
    });

    test('fiserv: milliseconds; salesforce-cc: where the account lives', async () => {
        const { url } = await tokenServer({ access_token: 't', expires_in: '600000', instance_url: 'https://acme.my.salesforce.com' });
        const before = Date.now();
        const obtained = await create(
            {
                token_url: url,
                expires_in_unit: 'milliseconds',
                token_response_metadata: ['instance_url'],
                connection_config: { instance_url: { type: 'string', automated: true } },
            },
            client,
        );
        expect(Math.round((obtained.expiresAt! - before) / 60_000)).toBe(10);
        expect(obtained.derivedConfig).toEqual({ instance_url: 'https://acme.my.salesforce.com' });
    });

    test('scopes: the connection’s, else the integration’s (R19); the session’s parameters come last', async () => {
        const { asked, url } = await tokenServer();
        const entry: Partial<ProviderEntry> = { token_url: url, scope_separator: ',' };
        await create(entry, client, { scopes: 'a,b', config: { authorization_params: { audience: 'x' } } });
        await create(entry, client, { scopes: 'a,b', config: { oauth_scopes: 'c, d', authorization_params: 'not an object' } });
        await create(entry, client, { config: { oauth_scopes: 'c', oauth_scopes_override: ['e'], authorization_params: { scope: 'f' } } });
        const sent = asked.map(({ body }) => Object.fromEntries(new URLSearchParams(body)));
        const common = { grant_type: 'client_credentials', client_id: 'i', client_secret: 's' };
        expect(sent).toEqual([
            { ...common, scope: 'a,b', audience: 'x' },
            { ...common, scope: 'c,d' },
            { ...common, scope: 'f' },
        ]);
    });

    test('certn-partner: no token URL; an answer without a token', async () => {
        await expect(create({ token_url: undefined } as unknown as ProviderEntry, client)).rejects.toMatchObject({ type: 'missing_token_url' });
        const { url } = await tokenServer({ ok: true });
        await expect(create({ token_url: url }, client)).rejects.toMatchObject({ type: 'incomplete_raw_credentials' });
    });
});

describe('mutual TLS (adp)', () => {
    const server = selfSigned(['127.0.0.1']);
    const own = selfSigned(['client.example']);
    const certified = { ...client, client_certificate: own.cert, client_private_key: own.key };

    async function mutualServer(certificate = server): Promise<{ url: string; peers: string[] }> {
        const peers: string[] = [];
        const https = createHttps({ ...certificate, requestCert: true, rejectUnauthorized: true, ca: [own.cert] }, (request, response) => {
            peers.push((request.socket as TLSSocket).getPeerCertificate().subjectaltname ?? '');
            response.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token":"certified","expires_in":3600}');
        });
        await new Promise<void>((resolve) => https.listen(0, '127.0.0.1', resolve));
        onCleanup(() => {
            https.closeAllConnections();
            https.close();
        });
        return { url: `https://127.0.0.1:${(https.address() as AddressInfo).port}/token`, peers };
    }

    test('the certificate is presented, to connect and to renew', async () => {
        trust(server);
        const { url, peers } = await mutualServer();
        const given = input(
            { token_url: url, require_client_certificate: true },
            { ...certified, client_private_key: own.key.replaceAll('\n', '\\n') },
        );
        const { credentials } = await oauth2ClientCredentials.direct!.create(given);
        const strategy = oauth2ClientCredentials.renewal!(given, credentials);
        expect([credentials, strategy.canRenew(credentials)]).toMatchObject([{ token: 'certified', client_certificate: own.cert }, true]);
        await strategy.present(credentials, undefined, 5_000);
        expect(peers).toEqual(['DNS:client.example', 'DNS:client.example']);
    });

    test('a server that nobody vouches for does not get to see the client', async () => {
        const { url, peers } = await mutualServer();
        const failure = create({ token_url: url, require_client_certificate: true }, certified);
        await expect(failure).rejects.toMatchObject({
            type: 'client_credentials_fetch_error',
            message: expect.stringContaining('tls_failure') as string,
        });
        expect(peers).toEqual([]);
    });

    const weak = generateKeyPairSync('rsa', {
        modulusLength: 1024,
        publicKeyEncoding: { type: 'spki', format: 'pem' },
        privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    test.each<[string, Submitted, string]>([
        ['no certificate', { ...certified, client_certificate: '' }, 'client_certificate'],
        ['something else', { ...certified, client_certificate: 'no certificate' }, 'client_certificate'],
        [
            'a broken certificate',
            { ...certified, client_certificate: '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----' },
            'client_certificate',
        ],
        ['no key', { ...certified, client_private_key: '' }, 'client_private_key'],
        ['a broken key', { ...certified, client_private_key: own.key.slice(0, 80) }, 'client_private_key'],
        ['a weak key', { ...certified, client_private_key: weak.privateKey }, 'client_private_key is too weak'],
        ['the key of another', { ...certified, client_private_key: selfSigned(['x.example']).key }, 'client_private_key is not the key'],
    ])('%s: named, never shown, and nobody is asked', async (_name, submitted, named) => {
        const entry = { token_url: 'https://127.0.0.1:1/token', require_client_certificate: true };
        const failure = await create(entry, submitted).catch((error: unknown) => error);
        expect(failure).toMatchObject({ type: 'invalid_credentials', message: expect.stringContaining(named) as string });
        expect(String(failure)).not.toMatch(/MII|BEGIN/);
    });
});
