import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { isSignedBy, percentEncode, signatureBase } from '../../src/simulator/oauth1-signature.ts';
import { startTwins, type Reply, type Twins } from './twins.ts';

describe('signatures', () => {
    // RFC 5849 §3.4.1.1
    const example = {
        method: 'POST',
        url: new URL('http://example.com/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b'),
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: 'c2&a3=2+q',
    };
    const oauth = {
        oauth_consumer_key: '9djdj82h48djs9d2',
        oauth_token: 'kkk9d7dh3k39sjv7',
        oauth_signature_method: 'HMAC-SHA1',
        oauth_timestamp: '137131201',
        oauth_nonce: '7d8f3e4a',
    };

    test('are over the base string of RFC 5849 §3.4.1.1', () => {
        expect(signatureBase(example, oauth)).toBe(
            'POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7',
        );
    });

    // RFC 5849 §1.2
    const photos = { method: 'GET', url: new URL('http://photos.example.net/photos?file=vacation.jpg&size=original'), headers: {}, body: '' };
    const signed = {
        oauth_consumer_key: 'dpf43f3p2l4k3l03',
        oauth_token: 'nnch734d00sl2jdk',
        oauth_signature_method: 'HMAC-SHA1',
        oauth_timestamp: '137131202',
        oauth_nonce: 'chapoH',
        oauth_signature: 'MdpQcU8iPSUjWoN/UDMsK2sui9I=',
    };

    test('of the example of RFC 5849 §1.2 hold, and not with other secrets', () => {
        expect(isSignedBy(photos, signed, { consumer: 'kd94hf93k423kf44', token: 'pfkkdhi9sl3r4s00' })).toBe(true);
        expect(isSignedBy(photos, signed, { consumer: 'kd94hf93k423kf44', token: 'x' })).toBe(false);
        expect(isSignedBy({ ...photos, method: 'POST' }, signed, { consumer: 'kd94hf93k423kf44', token: 'pfkkdhi9sl3r4s00' })).toBe(false);
    });
});

const urls = {
    request: 'https://acme.example/request_token',
    authorize: 'https://acme.example/authorize',
    token: 'https://acme.example/access_token',
    api: 'https://api.acme.example/1/me',
};
const entry = {
    auth_mode: 'OAUTH1',
    request_url: urls.request,
    authorization_url: urls.authorize,
    token_url: urls.token,
    signature_method: 'HMAC-SHA1',
    request_params: { x_auth_access_type: 'write' },
    authorization_params: { expiration: 'never' },
    proxy: { base_url: 'https://api.acme.example' },
};
const secret = 'secret-of-acme';

/** Signed by hand, as RFC 5849 §3 says. */
function header(
    method: string,
    url: string,
    extra: Record<string, string>,
    key: string,
    change: Record<string, string> = {},
): { authorization: string } {
    const params: Record<string, string> = {
        oauth_consumer_key: 'acme.twin',
        oauth_nonce: Math.random().toString(36),
        oauth_signature_method: 'HMAC-SHA1',
        oauth_timestamp: String(Math.floor(Date.now() / 1000)),
        oauth_version: '1.0',
        ...extra,
        ...change,
    };
    const all = [...Object.entries(params), ...new URL(url).searchParams]
        .map(([name, value]) => `${percentEncode(name)}=${percentEncode(value)}`)
        .toSorted();
    const { origin, pathname } = new URL(url);
    const base = [method, origin + pathname, all.join('&')].map(percentEncode).join('&');
    const oauth_signature = params['oauth_signature_method'] === 'PLAINTEXT' ? key : createHmac('sha1', key).update(base).digest('base64');
    const list = Object.entries({ ...params, oauth_signature }).filter(([name]) => name.startsWith('oauth_'));
    return { authorization: `OAuth ${list.map(([name, value]) => `${percentEncode(name)}="${percentEncode(value)}"`).join(', ')}` };
}

const back = 'http://localhost:3003/oauth/callback?state=s';
const post = (twins: Twins, url: string, headers: { authorization: string }): Promise<Reply> => twins.call(url, { method: 'POST', headers });
const requestToken = (twins: Twins, change: Record<string, string> = {}, key = `${secret}&`): Promise<Reply> => {
    const url = `${urls.request}?x_auth_access_type=write`;
    return post(twins, url, header('POST', url, { oauth_callback: back }, key, change));
};
const fields = (reply: Reply): Record<string, string> => Object.fromEntries(new URLSearchParams(reply.text));

async function approved(twins: Twins): Promise<{ temporary: Record<string, string>; verifier: string }> {
    const temporary = fields(await requestToken(twins));
    const page = await twins.get(`${urls.authorize}?oauth_token=${temporary['oauth_token']}&expiration=never&_decision=approve`);
    const url = new URL(page.headers['location']!);
    expect(url.searchParams.get('state')).toBe('s');
    expect(url.searchParams.get('oauth_token')).toBe(temporary['oauth_token']);
    return { temporary, verifier: url.searchParams.get('oauth_verifier')! };
}

const accessToken = (twins: Twins, temporary: Record<string, string>, oauth_verifier: string): Promise<Reply> =>
    post(
        twins,
        urls.token,
        header('POST', urls.token, { oauth_token: temporary['oauth_token']!, oauth_verifier }, `${secret}&${temporary['oauth_token_secret']}`),
    );

describe('three legs', () => {
    test('from temporary credentials to a signed call', async () => {
        const twins = await startTwins({ acme: entry });
        const { temporary, verifier } = await approved(twins);
        expect(temporary['oauth_callback_confirmed']).toBe('true');
        const token = fields(await accessToken(twins, temporary, verifier));
        const key = `${secret}&${token['oauth_token_secret']}`;
        const call = async (url: string, headers: { authorization: string }): Promise<number> => (await twins.get(url, headers)).status;
        expect(await call(`${urls.api}?x=1`, header('GET', `${urls.api}?x=1`, { oauth_token: token['oauth_token']! }, key))).toBe(200);
        expect(await call(`${urls.api}?x=2`, header('GET', `${urls.api}?x=1`, { oauth_token: token['oauth_token']! }, key))).toBe(401);
        expect(await call(urls.api, header('GET', urls.api, { oauth_token: token['oauth_token']! }, `${secret}&guess`))).toBe(401);
        expect(await call(urls.api, { authorization: `Bearer ${token['oauth_token']}` })).toBe(401);
    });

    test.each<[string, Record<string, string>, string | undefined]>([
        ['another secret', {}, 'guess&'],
        ['an old timestamp', { oauth_timestamp: '1' }, undefined],
        ['another method', { oauth_signature_method: 'PLAINTEXT' }, undefined],
        ['no callback', { oauth_callback: '' }, undefined],
        ['another version', { oauth_version: '2.0' }, undefined],
    ])('a request token is refused with %s', async (_what, change, key) => {
        expect((await requestToken(await startTwins({ acme: entry }), change, key)).status).toBeGreaterThanOrEqual(400);
    });

    test('a request token needs the parameters of the entry', async () => {
        const twins = await startTwins({ acme: entry });
        expect(
            (await post(twins, urls.request, header('POST', urls.request, { oauth_callback: back }, `${secret}&`))).body.error_description,
        ).toContain('x_auth_access_type');
    });

    test('an access token needs the verifier, and a temporary token is good once', async () => {
        const twins = await startTwins({ acme: entry });
        const { temporary, verifier } = await approved(twins);
        expect((await accessToken(twins, temporary, 'guess')).status).toBe(401);
        expect((await accessToken(twins, temporary, verifier)).status).toBe(200);
        expect((await accessToken(twins, temporary, verifier)).status).toBe(401);
    });

    test('an access token needs consent', async () => {
        const twins = await startTwins({ acme: entry });
        expect((await accessToken(twins, fields(await requestToken(twins)), '')).status).toBe(401);
    });

    test('the page needs the parameters of the entry and a token of its own', async () => {
        const twins = await startTwins({ acme: entry });
        const { oauth_token } = fields(await requestToken(twins));
        expect((await twins.get(`${urls.authorize}?oauth_token=${oauth_token}`)).status).toBe(400);
        expect((await twins.get(`${urls.authorize}?oauth_token=other&expiration=never`)).status).toBe(400);
        expect((await twins.get(`${urls.authorize}?oauth_token=${oauth_token}&expiration=never`)).text).toContain('Approve');
    });

    test('PLAINTEXT is both secrets and an ampersand', async () => {
        const twins = await startTwins({ acme: { ...entry, signature_method: 'PLAINTEXT', request_params: {} } });
        const ask = (key: string): Promise<Reply> =>
            post(twins, urls.request, header('POST', urls.request, { oauth_callback: back }, key, { oauth_signature_method: 'PLAINTEXT' }));
        expect([(await ask(`${secret}&`)).status, (await ask('guess&')).status]).toEqual([200, 401]);
    });
});

describe('token-based authentication', () => {
    const tba = {
        auth_mode: 'TBA',
        proxy: { base_url: 'https://${connectionConfig.accountId}.suitetalk.example/record' },
        connection_config: { accountId: { type: 'string' } },
    };
    const url = 'https://12-sb1-x.suitetalk.example/record/x';
    const sign = (realm: string, key: string): { authorization: string } => {
        const params: Record<string, string> = {
            oauth_consumer_key: 'ns.twin',
            oauth_nonce: 'n1',
            oauth_signature_method: 'HMAC-SHA256',
            oauth_timestamp: String(Math.floor(Date.now() / 1000)),
            oauth_token: 'token_id-of-ns',
            oauth_version: '1.0',
        };
        const list = Object.entries(params).map(([name, value]) => `${percentEncode(name)}=${percentEncode(value)}`);
        const base = ['GET', url, list.join('&')].map(percentEncode).join('&');
        const oauth_signature = createHmac('sha256', key).update(base).digest('base64');
        const text = Object.entries({ realm, ...params, oauth_signature }).map(([name, value]) => `${name}="${percentEncode(value)}"`);
        return { authorization: `OAuth ${text.join(',')}` };
    };

    test('is signed with both secrets, with the account as realm', async () => {
        const twins = await startTwins({ ns: tba });
        const key = 'secret-of-ns&token_secret-of-ns';
        expect((await twins.get(url, sign('12_SB1_X', key))).status).toBe(200);
        expect((await twins.get(url, sign('12-SB1-X', key))).status).toBe(401);
        expect((await twins.get(url, sign('12_SB1_X', 'secret-of-ns&guess'))).status).toBe(401);
        expect((await twins.get(url)).status).toBe(401);
    });
});
