/** JWTs that Valetkey signs: claims and keys of the four entries of the catalogue, checked with the public half. */
import { createHash, createHmac, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { CompactSign, decodeProtectedHeader, jwtVerify } from 'jose';
import { describe, expect, test } from 'vitest';
import type { ModeContext } from '../../src/auth-modes/auth-mode.ts';
import { hmacKey, jwt } from '../../src/auth-modes/jwt.ts';
import type { JwtCredentials } from '../../src/credentials/credential.ts';
import type { ProviderEntry } from '../../src/providers/provider.ts';
import { makeProvider } from '../providers/make-provider.ts';
import { virtualSources } from '../virtual-sources.ts';

const start = Date.UTC(2026, 0, 1);
const seconds = start / 1000;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pemOf = (pair: { privateKey: typeof rsa.privateKey }): string => pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

const apple: Partial<ProviderEntry> = {
    signature: { protocol: 'EC' },
    token: {
        signing_key: '${credentials.privateKey}',
        expires_in_ms: 900_000,
        header: { alg: 'ES256', kid: '${credentials.privateKeyId}', typ: 'JWT' },
        payload: { iss: '${credentials.issuerId}', aud: 'appstoreconnect-v1', scope: ['${connectionConfig.scope}'] },
    },
};
const ghost: Partial<ProviderEntry> = {
    signature: { protocol: 'HMAC' },
    token: {
        signing_key: '${credentials.privateKey.secret}',
        expires_in_ms: 300_000,
        header: { alg: 'HS256', kid: '${credentials.privateKey.id}' },
        payload: { aud: '/admin/' },
    },
};
const heymarket: Partial<ProviderEntry> = {
    signature: { protocol: 'HMAC', hmac_secret_encoding: 'utf8' },
    token: {
        signing_key: '${credentials.apiSecretId}||${credentials.apiSecretKey}',
        expires_in_ms: 300_000,
        header: { alg: 'HS256', typ: 'JWT' },
        payload: { iss: '${credentials.apiSecretId}' },
    },
};
const snowflake: Partial<ProviderEntry> = {
    signature: { protocol: 'RSA' },
    token: {
        signing_key: '${credentials.privateKey}',
        expires_in_ms: 3_600_000,
        header: { alg: 'RS256', typ: 'JWT' },
        payload: {
            iss: '${credentials.accountIdentifier}.${credentials.userName}.${fingerprint(${credentials.privateKey})}',
            sub: '${credentials.accountIdentifier}.${credentials.userName}',
        },
    },
};

async function create(entry: Partial<ProviderEntry>, submitted: Record<string, unknown>, connectionConfig: Record<string, unknown> = {}, key = 'k') {
    const integration = { uniqueKey: key, clientId: null, clientSecret: null, scopes: null, extras: {}, allowedHosts: null, isProduction: true };
    return jwt.direct!.create({
        provider: makeProvider({ auth_mode: 'JWT', ...entry }),
        integration,
        connectionConfig,
        egress: undefined as unknown as ModeContext['egress'],
        sources: virtualSources(start),
        submitted,
    });
}

const tokenOf = async (...args: Parameters<typeof create>): Promise<string> => ((await create(...args)).credentials as JwtCredentials).token;
const verified = async (token: string, key: Parameters<typeof jwtVerify>[1]) => jwtVerify(token, key, { currentDate: new Date(start) });

describe('the entries', () => {
    test('apple-app-store: ES256, and dates within the lifetime, back-dated (R11)', async () => {
        const submitted = { issuerId: 'iss-1', privateKeyId: 'kid-1', privateKey: pemOf(ec), type: 'JWT' };
        const obtained = await create(apple, submitted);
        const { token, expires_at, ...rest } = obtained.credentials as JwtCredentials;
        const { payload, protectedHeader } = await verified(token, ec.publicKey);
        expect(protectedHeader).toEqual({ alg: 'ES256', kid: 'kid-1', typ: 'JWT' });
        // a scope that nobody gave is left out
        expect(payload).toEqual({ iss: 'iss-1', aud: 'appstoreconnect-v1', iat: seconds - 30, exp: seconds - 30 + 900 });
        expect([obtained.expiresAt, expires_at, rest]).toEqual([null, new Date((seconds + 870) * 1000).toISOString(), submitted]);
    });

    test('apple-app-store: scopes are a list', async () => {
        const submitted = { issuerId: 'i', privateKeyId: 'k', privateKey: pemOf(ec) };
        const { payload } = await verified(await tokenOf(apple, submitted, { scope: 'GET /v1/apps, GET /v1/users,' }), ec.publicKey);
        expect(payload['scope']).toEqual(['GET /v1/apps', 'GET /v1/users']);
    });

    test.each([
        ['as it is handed out', `${'a'.repeat(24)}:${'0f'.repeat(32)}`, 'my-integration'],
        ['in two parts', { id: 'a'.repeat(24), secret: '0f'.repeat(32) }, 'my-integration'],
        ['whatever the integration is called (A4)', `${'a'.repeat(24)}:${'0f'.repeat(32)}`, 'ghost-admin'],
    ])('ghost-admin: a key %s', async (_name, privateKey, key) => {
        const obtained = await create(ghost, { privateKey }, {}, key);
        const { token, privateKey: stored } = obtained.credentials as JwtCredentials;
        expect(stored).toEqual({ id: 'a'.repeat(24), secret: '0f'.repeat(32) });
        const { payload, protectedHeader } = await verified(token, Buffer.from('0f'.repeat(32), 'hex'));
        expect([protectedHeader, payload]).toEqual([
            { alg: 'HS256', kid: 'a'.repeat(24) },
            { aud: '/admin/', iat: seconds - 30, exp: seconds + 270 },
        ]);
    });

    test('a colon in a key of another entry is a character like any other', async () => {
        const obtained = await create(heymarket, { apiSecretId: 'a:b', apiSecretKey: 'c' });
        expect(obtained.credentials).toMatchObject({ apiSecretId: 'a:b' });
    });

    test('heymarket: the two bars are part of the secret', async () => {
        const token = await tokenOf(heymarket, { apiSecretId: 'id', apiSecretKey: 'secret' });
        const [header, payload, signature] = token.split('.');
        expect(createHmac('sha256', 'id||secret').update(`${header}.${payload}`).digest('base64url')).toBe(signature);
    });

    test.each([
        ['PEM', pemOf(rsa)],
        ['with \\n spelled out', pemOf(rsa).replaceAll('\n', '\\n')],
        ['on one line', pemOf(rsa).replaceAll('\n', ' ')],
        ['PKCS#1', rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()],
    ])('snowflake-jwt: fingerprint of the public key, from a key %s', async (_name, privateKey) => {
        const token = await tokenOf(snowflake, { accountIdentifier: 'ACME', userName: 'ANN', privateKey });
        const { payload } = await verified(token, rsa.publicKey);
        const spki = createPublicKey(pemOf(rsa)).export({ type: 'spki', format: 'der' });
        const fingerprint = createHash('sha256').update(spki).digest('base64');
        expect(payload).toEqual({ iss: `ACME.ANN.SHA256:${fingerprint}`, sub: 'ACME.ANN', iat: seconds - 30, exp: seconds + 3570 });
    });
});

describe('what cannot be signed', () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
    test.each<[string, Partial<ProviderEntry>, Record<string, unknown>]>([
        ['no key', snowflake, { privateKey: 'no-key-at-all' }],
        ['no key was given', snowflake, {}],
        ['a key of another family', snowflake, { privateKey: pemOf(ec) }],
        ['a weak key', snowflake, { privateKey: pemOf(weak) }],
        ['half a byte', ghost, { privateKey: 'id:abc' }],
        ['a secret that is not hexadecimal', ghost, { privateKey: 'id:wxyz' }],
        ['a key without its halves', ghost, { privateKey: 'abcd' }],
    ])('%s: named by its field, never shown', async (_name, entry, submitted) => {
        const failure = await create(entry, submitted).catch((error: unknown) => error);
        expect(failure).toMatchObject({ name: 'ConnectFailure', type: 'failed_to_sign', message: expect.stringContaining('"privateKey') as string });
        for (const value of Object.values(submitted)) expect(String(failure)).not.toContain(value);
    });

    test.each([
        [{ token: apple.token }, 'missing_signature_type'],
        [{ signature: apple.signature }, 'missing_token_body'],
    ])('an entry that does not say how (%#)', async (entry, type) => {
        await expect(create(entry as Partial<ProviderEntry>, {})).rejects.toMatchObject({ type });
    });
});

test('RFC 7515 A.1', async () => {
    const key = hmacKey(
        Buffer.from('AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow', 'base64url').toString('hex'),
    );
    const payload = '{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}';
    const [header] = 'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9'.split('.');
    const input = `${header}.${Buffer.from(payload).toString('base64url')}`;
    expect(createHmac('sha256', key!).update(input).digest('base64url')).toBe('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk');
    const signed = await new CompactSign(Buffer.from(payload)).setProtectedHeader({ typ: 'JWT', alg: 'HS256' }).sign(key!);
    expect([decodeProtectedHeader(signed), signed.split('.')[1]]).toEqual([{ typ: 'JWT', alg: 'HS256' }, input.split('.')[1]]);
});
