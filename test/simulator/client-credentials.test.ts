import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { sampleKey } from '../../src/simulator/sample-keys.ts';
import { basic, bearer, startTwins, type Twins } from './twins.ts';

const token = 'https://acme.example/token';
const plain = {
    auth_mode: 'OAUTH2_CC',
    token_url: token,
    token_params: { grant_type: 'client_credentials' },
    proxy: { base_url: 'https://api.acme.example' },
};
const start = (quirks: object = {}): Promise<Twins> => startTwins({ acme: { ...plain, ...quirks } });
const grant = { grant_type: 'client_credentials' };
const client = { client_id: 'acme.twin', client_secret: 'client_secret-of-acme' };

test('a token for a client, good for the API', async () => {
    const twins = await start();
    const { status, body } = await twins.form(token, { ...grant, ...client, scope: 'a b' });
    expect({ status, body }).toMatchObject({ status: 200, body: { token_type: 'Bearer', expires_in: 3600, scope: 'a b' } });
    expect((await twins.get('https://api.acme.example/x', bearer(body.access_token))).status).toBe(200);
    expect(body.refresh_token).toBeUndefined();
});

test.each<[string, Record<string, string>, string]>([
    ['another grant type', { ...grant, ...client, grant_type: 'password' }, 'grant_type'],
    ['no secret', { ...grant, client_id: 'acme.twin' }, 'client_secret'],
    ['another secret', { ...grant, ...client, client_secret: 'guess' }, 'client_secret'],
    ['an empty scope', { ...grant, ...client, scope: '' }, 'scope'],
])('is refused with %s', async (_what, params, word) => {
    const reply = await (await start()).form(token, params);
    expect(reply.status).toBeGreaterThanOrEqual(400);
    expect(reply.body.error_description).toContain(word);
});

describe('the client stands', () => {
    test('in a Basic header, and then not in the body', async () => {
        const twins = await start({ token_request_auth_method: 'basic' });
        expect((await twins.form(token, grant, basic('acme.twin', client.client_secret))).status).toBe(200);
        expect((await twins.form(token, { ...grant, ...client }, basic('acme.twin', client.client_secret))).status).toBe(401);
        expect((await twins.form(token, { ...grant, ...client })).status).toBe(401);
    });

    test('in username and password', async () => {
        const twins = await start({ token_request_auth_method: 'custom', body_format: 'json', token_params: {} });
        expect((await twins.json(token, { username: 'acme.twin', password: client.client_secret })).status).toBe(200);
        expect((await twins.json(token, client)).status).toBe(400);
        expect((await twins.json(token, { username: 'acme.twin', password: 'guess' })).status).toBe(401);
    });

    test('in an assertion that it signed', async () => {
        const twins = await start({ token_request_auth_method: 'private_key_jwt' });
        const sign = (
            claims: { aud?: string; sub?: string; exp?: number },
            key = createPrivateKey(sampleKey('rsa').privateKey),
            alg = 'RS256',
        ): Promise<string> => {
            const now = Math.floor(Date.now() / 1000);
            return new SignJWT({
                iss: 'acme.twin',
                sub: claims.sub ?? 'acme.twin',
                aud: claims.aud ?? token,
                iat: now,
                exp: now + (claims.exp ?? 300),
                jti: 'j',
            })
                .setProtectedHeader({ alg })
                .sign(key);
        };
        const ask = async (assertion: string, more: Record<string, string> = {}): Promise<number> => {
            const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
            return (await twins.form(token, { ...grant, client_id: 'acme.twin', client_assertion_type: type, client_assertion: assertion, ...more }))
                .status;
        };
        expect(await ask(await sign({}))).toBe(200);
        expect(await ask(await sign({ aud: 'https://elsewhere.example' }))).toBe(401);
        expect(await ask(await sign({ sub: 'other' }))).toBe(401);
        expect(await ask(await sign({ exp: 3600 }))).toBe(401);
        expect(await ask(await sign({ exp: -120 }))).toBe(401);
        expect(await ask(await sign({}), { client_secret: 'x' })).toBe(401);
        expect(await ask(await sign({}), { client_assertion_type: 'other' })).toBe(401);
        const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
        expect(await ask(await sign({}, stranger))).toBe(401);
        expect(await ask(await sign({}, createPrivateKey(sampleKey('ec').privateKey), 'ES256'))).toBe(401);
        expect(await ask('not.a.jwt')).toBe(401);
    });
});

describe('parameters stand', () => {
    test('in JSON', async () => {
        const twins = await start({ body_format: 'json' });
        expect((await twins.json(token, { ...grant, ...client })).status).toBe(200);
        expect((await twins.form(token, { ...grant, ...client })).status).toBe(415);
    });

    test('in the query, without a body', async () => {
        const twins = await start({ body_format: 'query', token_request_auth_method: 'basic' });
        const header = basic('acme.twin', client.client_secret);
        expect((await twins.call(`${token}?grant_type=client_credentials`, { method: 'POST', headers: header })).status).toBe(200);
        expect((await twins.form(token, grant, header)).status).toBe(400);
    });

    test('in the query of the token URL, where that has one', async () => {
        const twins = await start({
            token_url: `${token}?grant_type=client_credentials`,
            token_params: { sub: '${connectionConfig.sub}' },
            connection_config: { sub: { type: 'string' } },
        });
        expect((await twins.form(`${token}?grant_type=client_credentials`, { ...client, sub: '1' })).status).toBe(200);
        expect((await twins.form(token, { ...client, sub: '1' })).body.error).toBe('no_twin');
    });
});

test('a configuration value is the same in the URL and in the parameters', async () => {
    const twins = await start({
        token_url: 'https://acme.example/${connectionConfig.tenant}/token',
        token_params: { ...grant, tenant_alias: '${connectionConfig.tenant}' },
        connection_config: { tenant: { type: 'string', pattern: '^[a-z]+$' } },
    });
    const ask = async (tenant: string, alias: string): Promise<number> =>
        (await twins.form(`https://acme.example/${tenant}/token`, { ...grant, ...client, tenant_alias: alias })).status;
    expect([await ask('one', 'one'), await ask('one', 'two'), await ask('one1', 'one1')]).toEqual([200, 400, 400]);
});

test('a value may be missing where its field is optional, and a fallback stands in', async () => {
    const twins = await start({
        token_params: { ...grant, organization: '${connectionConfig.org}', audience: '${connectionConfig.audience} || https://api.acme.example' },
        connection_config: { org: { type: 'string', optional: true }, audience: { type: 'string', optional: true } },
    });
    expect((await twins.form(token, { ...grant, ...client, audience: 'https://api.acme.example' })).status).toBe(200);
    expect((await twins.form(token, { ...grant, ...client, audience: 'mine', organization: 'org' })).status).toBe(200);
});
