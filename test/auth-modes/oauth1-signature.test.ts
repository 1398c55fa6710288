/** OAuth 1.0 (RFC 5849): what is signed, character by character, against the examples of the RFC. */
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { baseString, oauth1Header, signatureOf, type SigningKeys } from '../../src/auth-modes/oauth1-signature.ts';
import { systemSources } from '../../src/sources.ts';

const sources = { ...systemSources, now: () => 137_131_201_000, random: (size: number) => Buffer.alloc(size, 0xab) };
const nonce = 'ab'.repeat(16);

describe('RFC 5849 §1.2, the printer and its photos', () => {
    const client = { consumerKey: 'dpf43f3p2l4k3l03', consumerSecret: 'kd94hf93k423kf44', method: 'HMAC-SHA1' as const };
    const protocol = (more: Record<string, string>) => ({ oauth_consumer_key: 'dpf43f3p2l4k3l03', oauth_signature_method: 'HMAC-SHA1', ...more });

    test('temporary credentials', () => {
        const request = { method: 'POST', url: new URL('https://photos.example.net/initiate') };
        const parameters = protocol({
            oauth_timestamp: '137131200',
            oauth_nonce: 'wIjqoS',
            oauth_callback: 'http://printer.example.com/ready',
        });
        expect(signatureOf(request, parameters, client)).toBe('74KNZJeDHnMBp0EMJ9ZHt/XKycU=');
    });

    test('the token', () => {
        const request = { method: 'POST', url: new URL('https://photos.example.net/token') };
        const parameters = protocol({
            oauth_token: 'hh5s93j4hdidpola',
            oauth_timestamp: '137131201',
            oauth_nonce: 'walatlh',
            oauth_verifier: 'hfdp7dh39dks9884',
        });
        expect(signatureOf(request, parameters, { ...client, tokenSecret: 'hdhd0244k9j7ao03' })).toBe('gKgrFCywp7rO0OXSjdot/IHF7IU=');
    });

    test('a photo', () => {
        const request = { method: 'GET', url: new URL('http://photos.example.net/photos?file=vacation.jpg&size=original') };
        const parameters = protocol({ oauth_token: 'nnch734d00sl2jdk', oauth_timestamp: '137131202', oauth_nonce: 'chapoH' });
        expect(signatureOf(request, parameters, { ...client, tokenSecret: 'pfkkdhi9sl3r4s00' })).toBe('MdpQcU8iPSUjWoN/UDMsK2sui9I=');
    });
});

describe('RFC 5849 §3.4', () => {
    const query = 'b5=%3D%253D&a3=a&c%40=&a2=r%20b';
    const protocol = {
        oauth_consumer_key: '9djdj82h48djs9d2',
        oauth_token: 'kkk9d7dh3k39sjv7',
        oauth_signature_method: 'HMAC-SHA1',
        oauth_timestamp: '137131201',
        oauth_nonce: '7d8f3e4a',
    };
    const keys = { consumerKey: '9djdj82h48djs9d2', consumerSecret: 'j49sn3j29djd', method: 'HMAC-SHA1' as const };

    test('§3.4.1.1: the base string has the parameters of URL, header and form', () => {
        const parameters = [...new URLSearchParams('c2&a3=2+q')];
        expect(baseString({ method: 'post', url: new URL(`http://EXAMPLE.COM:80/request?${query}`), parameters }, protocol, keys)).toBe(
            'POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26' +
                'oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26' +
                'oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7',
        );
    });

    test('§3.4.1.2: the port counts where it is not the default', () => {
        const base = (url: string) => baseString({ method: 'GET', url: new URL(url) }, protocol, keys).split('&')[1];
        expect(base('https://www.example.net:8080/?q=1')).toBe(encodeURIComponent('https://www.example.net:8080/'));
        expect(base('http://EXAMPLE.COM:80/r%20v/X?id=123')).toBe(encodeURIComponent('http://example.com/r%20v/X'));
    });

    test('§3.4.2: the key is both secrets', () => {
        const request = { method: 'GET', url: new URL(`http://example.com/request?${query}`) };
        const key = `${encodeURIComponent('j49&')}&${encodeURIComponent('dh/9')}`;
        expect(signatureOf(request, protocol, { ...keys, consumerSecret: 'j49&', tokenSecret: 'dh/9' })).toBe(
            createHmac('sha1', key)
                .update(baseString(request, protocol, keys))
                .digest('base64'),
        );
    });

    test('§3.4.4: PLAINTEXT is the secrets, and so goes over https or stays on the machine', () => {
        const plain = { ...keys, consumerSecret: 'a&b', tokenSecret: 'c', method: 'PLAINTEXT' as const };
        const header = (url: string) => oauth1Header({ method: 'GET', url: new URL(url) }, plain, sources);
        expect(header('https://example.com/')).toContain('oauth_signature_method="PLAINTEXT"');
        expect(header('https://example.com/')).toContain('oauth_signature="a%2526b%26c"');
        for (const url of ['http://127.0.0.1:3000/', 'http://[::1]/', 'http://localhost/', 'http://twin.localhost/']) {
            expect(header(url)).toContain('oauth_signature="a%2526b%26c"');
        }
        for (const url of ['http://example.com/', 'http://10.0.0.1/', 'http://localhost.example.com/', 'http://127.0.0.1.example.com/']) {
            expect(() => header(url)).toThrow(expect.objectContaining({ name: 'ConnectFailure', type: 'unsupported_auth' }));
        }
    });

    test('every parameter of a query is signed, whatever it is called', () => {
        const pair = fc
            .tuple(fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }), fc.string({ unit: 'binary', maxLength: 8 }))
            .filter(([name]) => name !== '__proto__');
        fc.assert(
            fc.property(fc.array(pair, { maxLength: 6 }), (pairs) => {
                const search = new URLSearchParams(pairs);
                const url = new URL(`https://example.com/?${search}`);
                const signed = decodeURIComponent(baseString({ method: 'GET', url }, {}, keys).split('&')[2] ?? '');
                expect([...new URLSearchParams(signed)].toSorted()).toEqual([...search].toSorted());
            }),
        );
    });
});

describe('the header of an API request', () => {
    const keys: SigningKeys = { consumerKey: 'ck', consumerSecret: 'c&s', token: 'to k', tokenSecret: 't/s', method: 'HMAC-SHA256' };

    test('signs method, address and every parameter, sorted and encoded twice', () => {
        const signature = (base: string): string => encodeURIComponent(createHmac('sha256', 'c%26s&t%2Fs').update(base).digest('base64'));
        const url = new URL('https://EXAMPLE.com:443/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b');
        const oauth = `oauth_consumer_key%3Dck%26oauth_nonce%3D${nonce}%26oauth_signature_method%3DHMAC-SHA256%26oauth_timestamp%3D137131201%26oauth_token%3Dto%2520k%26oauth_version%3D1.0`;
        const base = `GET&https%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26${oauth}`;
        expect(oauth1Header({ method: 'get', url }, keys, sources)).toBe(
            `OAuth oauth_consumer_key="ck", oauth_nonce="${nonce}", oauth_signature="${signature(base)}", oauth_signature_method="HMAC-SHA256", ` +
                'oauth_timestamp="137131201", oauth_token="to%20k", oauth_version="1.0"',
        );
    });

    test('carries the parameters of the protocol, and signs those of a form', () => {
        const header = (parameters: Record<string, string>) =>
            oauth1Header({ method: 'POST', url: new URL('https://a.example/'), parameters }, { ...keys, method: 'HMAC-SHA1' }, sources);
        expect(header({ oauth_callback: 'https://b.example/?x=1' })).toContain('oauth_callback="https%3A%2F%2Fb.example%2F%3Fx%3D1"');
        expect(header({ status: 'hello' })).not.toContain('status');
        expect(header({ status: 'hello' })).not.toBe(header({ status: 'bye' }));
    });

    test('has no token before there is one', () => {
        const { token: _token, tokenSecret: _secret, ...client } = keys;
        expect(oauth1Header({ method: 'POST', url: new URL('https://a.example/') }, client, sources)).not.toContain('oauth_token=');
    });

    test('orders equal names by value', () => {
        const header = (query: string) => oauth1Header({ method: 'GET', url: new URL(`https://a.example/?${query}`) }, keys, sources);
        expect(header('a=2&a=1')).toBe(header('a=1&a=2'));
        expect(header('a=2&a=1')).not.toBe(header('a=1&a=3'));
    });

    test('names the realm first, outside the signature', () => {
        const request = { method: 'GET', url: new URL('https://a.example/') };
        const plain = oauth1Header(request, keys, sources);
        expect(oauth1Header(request, { ...keys, realm: 'R"1' }, sources)).toBe(plain.replace('OAuth ', 'OAuth realm="R1", '));
    });
});
