import { createHash, createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { sampleKey } from '../../src/simulator/sample-keys.ts';
import { basic, bearer, send, startTwins } from './twins.ts';

const api = 'https://api.acme.example';
const status = async (reply: Promise<{ status: number }>): Promise<number> => (await reply).status;

describe('an API key', () => {
    const inHeader = {
        auth_mode: 'API_KEY',
        proxy: { base_url: api, headers: { authorization: 'Token ${apiKey}', 'x-version': '2' } },
        credentials: { apiKey: { type: 'string', pattern: '^k_[0-9]+$' } },
    };
    const versioned = { 'x-version': '2' };

    test('is accepted in the declared header, in the declared form, and nowhere else', async () => {
        const twins = await startTwins({ acme: inHeader });
        expect(await status(twins.get(`${api}/me`, { ...versioned, authorization: 'Token k_1' }))).toBe(200);
        expect(await status(twins.get(`${api}/me`, { ...versioned, ...bearer('k_1') }))).toBe(401);
        expect(await status(twins.get(`${api}/me?apiKey=k_1`, versioned))).toBe(401);
        expect(await status(twins.get(`${api}/me`, { ...versioned, authorization: 'Token other' }))).toBe(401);
        expect(await status(twins.get(`${api}/me`, { ...versioned, authorization: 'Token ' }))).toBe(401);
    });

    test('comes with the other headers of the entry', async () => {
        const twins = await startTwins({ acme: inHeader });
        expect((await twins.get(`${api}/me`, { authorization: 'Token k_1' })).body.error_description).toContain('x-version');
    });

    test('is accepted in the declared query parameter', async () => {
        const twins = await startTwins({ acme: { auth_mode: 'API_KEY', proxy: { base_url: api, query: { key: '${apiKey}' } } } });
        expect(await status(twins.get(`${api}/me?key=abc`))).toBe(200);
        expect(await status(twins.get(`${api}/me`, bearer('abc')))).toBe(401);
    });

    test('is accepted in the declared place of the body, nested or not', async () => {
        const body = { auth: { account: '${connectionConfig.account}', key: '${apiKey}' } };
        const twins = await startTwins({
            acme: { auth_mode: 'API_KEY', proxy: { base_url: api, body }, connection_config: { account: { type: 'string' } } },
        });
        expect(await status(twins.json(`${api}/orders`, { auth: { account: 'a', key: 'abc' }, more: 1 }))).toBe(200);
        expect(await status(twins.json(`${api}/orders`, { key: 'abc' }))).toBe(401);
    });

    test('is accepted in the address', async () => {
        const twins = await startTwins({
            bot: {
                auth_mode: 'API_KEY',
                proxy: { base_url: `${api}/bot\${apiKey}` },
                credentials: { apiKey: { type: 'string', pattern: '^[0-9]+:[a-z]+$' } },
            },
        });
        expect(await status(twins.get(`${api}/bot12:ab/getMe`))).toBe(200);
        expect(await status(twins.get(`${api}/botnone/getMe`))).toBe(401);
    });

    test('that calls itself wrong is refused, and so is one that was revoked, or is another provider’s sample', async () => {
        const entry = { auth_mode: 'API_KEY', proxy: { base_url: api, headers: { 'x-api-key': '${apiKey}' } } };
        const twins = await startTwins({ acme: entry, other: { ...entry, proxy: { ...entry.proxy, base_url: 'https://other.example' } } });
        const read = (key: string): Promise<number> => status(twins.get(`${api}/me`, { 'x-api-key': key }));
        expect([await read('fine'), await read('wrong-key'), await read('apiKey-of-acme'), await read('apiKey-of-other')]).toEqual([
            200, 401, 200, 401,
        ]);
        await twins.control('/_twin/revoke', { provider: 'acme', value: 'fine' });
        expect(await read('fine')).toBe(401);
    });
});

describe('a user name and a password', () => {
    const plain = { auth_mode: 'BASIC', proxy: { base_url: api } };

    test('come in a Basic header; the same user has the same password from then on', async () => {
        const twins = await startTwins({ acme: plain });
        const read = (user: string, password: string): Promise<number> => status(twins.get(`${api}/me`, basic(user, password)));
        expect([await read('me', 'secret'), await read('me', 'other'), await read('me', 'secret')]).toEqual([200, 401, 200]);
        expect([await read('username-of-acme', 'password-of-acme'), await read('username-of-acme', 'guess')]).toEqual([200, 401]);
        expect(await status(twins.get(`${api}/me`))).toBe(401);
        expect(await status(twins.get(`${api}/me`, { authorization: 'Basic !!' }))).toBe(401);
    });

    test('may have halves that the entry fixes', async () => {
        const credentials = { username: { type: 'string' }, password: { type: 'string', hidden: true, default_value: '' } };
        const twins = await startTwins({ acme: { ...plain, credentials } });
        expect(await status(twins.get(`${api}/me`, basic('key', '')))).toBe(200);
    });

    test('may travel in another form', async () => {
        const twins = await startTwins({
            acme: { ...plain, proxy: { base_url: api, headers: { authorization: 'Basic ${base64(${username}/token:${password})}' } } },
        });
        expect(await status(twins.get(`${api}/me`, basic('me/token', 'secret')))).toBe(200);
        expect(await status(twins.get(`${api}/me`, basic('me', 'secret')))).toBe(401);
    });
});

describe('a signature over the request', () => {
    const date = 'Sat, 28 Nov 2026 01:00:00 +0000';

    test('by HMAC-SHA1 is verified for a sample account', async () => {
        const authorization =
            '${base64(${credentials.username}:${hmacSha1Hex(${now:ddd}\n${method}\n${host}\n${path}\n${params}, ${credentials.password})})}';
        const twins = await startTwins({
            duo: { auth_mode: 'BASIC', proxy: { base_url: api, headers: { date: '${now:ddd}', authorization: `Basic ${authorization}` } } },
        });
        const { username, password } = twins.simulator.world.samples.of('duo').credentials;
        const header = (params: string, key = password!): Record<string, string> => ({
            date,
            ...basic(username!, createHmac('sha1', key).update([date, 'GET', 'api.acme.example', '/v1/users', params].join('\n')).digest('hex')),
        });
        const url = `${api}/v1/users?b=2&a=x%20y`;
        expect(await status(twins.get(url, header('a=x%20y&b=2')))).toBe(200);
        expect(await status(twins.get(url, header('b=2&a=x%20y')))).toBe(401);
        expect(await status(twins.get(url, header('a=x%20y&b=2', 'guess')))).toBe(401);
    });

    test('by Ed25519 is verified for a sample account', async () => {
        const headers = {
            'content-digest': 'sha-256=:${sha256Base64(${bodyCanonicalParams})}:',
            signature: 'sig=:${ed25519Sign(${method} ${sha256Base64(${bodyCanonicalParams})}, ${credentials.password})}:',
            authorization: 'Signature keyid="${credentials.username}"',
        };
        const twins = await startTwins({ sai: { auth_mode: 'BASIC', proxy: { base_url: api, headers } } });
        const { username } = twins.simulator.world.samples.of('sai').credentials;
        const body = '{"a":1}';
        const digest = createHash('sha256').update(body).digest('base64');
        const signed = (key: string): Record<string, string> => ({
            'content-digest': `sha-256=:${digest}:`,
            signature: `sig=:${sign(null, Buffer.from(`POST ${digest}`), key).toString('base64')}:`,
            authorization: `Signature keyid="${username}"`,
        });
        const stranger = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
        const post = (headersOf: Record<string, string>, text = body): Promise<number> =>
            status(twins.call(`${api}/x`, { method: 'POST', headers: headersOf, body: text }));
        expect(await post(signed(sampleKey('ed25519').privateKey))).toBe(200);
        expect(await post(signed(stranger))).toBe(401);
        expect(await post(signed(sampleKey('ed25519').privateKey), '{"a":2}')).toBe(401);
    });

    test('by a digest of values that are not all sent is checked where the twin knows them', async () => {
        const token = {
            'x-app': '${credentials.appId}',
            'x-id': '${random}',
            'x-sig': '${sha256Hex(${base64(${random}${credentials.appId}${credentials.secretKey})})}',
        };
        const credentials = { appId: { type: 'string' }, secretKey: { type: 'string' } };
        const entry = {
            auth_mode: 'TWO_STEP',
            token_url: `${api}/auth`,
            token_request_method: 'GET',
            token_headers: token,
            token_response: { token: '' },
            credentials,
        };
        const twins = await startTwins({ ava: entry });
        const sample = twins.simulator.world.samples.of('ava').credentials;
        const id = '11111111-2222-4333-8444-555555555555';
        const signed = (secret: string): Record<string, string> => ({
            'x-app': sample['appId']!,
            'x-id': id,
            'x-sig': createHash('sha256')
                .update(Buffer.from(`${id}${sample['appId']}${secret}`).toString('base64'))
                .digest('hex'),
        });
        expect((await twins.get(`${api}/auth`, signed(sample['secretKey']!))).text).toMatch(/^access_/);
        expect(await status(twins.get(`${api}/auth`, signed('guess')))).toBe(401);
        expect(await status(twins.get(`${api}/auth`, { ...signed(sample['secretKey']!), 'x-id': 'no-uuid' }))).toBe(401);
    });
});

test('an address that is nobody’s is 404, and one without an origin is told how to call', async () => {
    const twins = await startTwins({ acme: { auth_mode: 'BASIC', proxy: { base_url: api } } });
    expect((await twins.get('https://nobody.example/')).body.error).toBe('no_twin');
    const port = Number(new URL(twins.origin).port);
    expect((await send(port, '/somewhere', {})).body.error_description).toContain('/at/');
    expect((await send(port, '/at/api.acme.example/me', { headers: basic('a', 'b') })).body.path).toBe('/me');
});
