/** OAuth 1.0 with HMAC-SHA256 (RFC 5849 §3): what is signed, character by character. */
import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { oauth1Header, type SigningKeys } from '../../src/auth-modes/oauth1-signature.ts';
import { systemSources } from '../../src/sources.ts';

const sources = { ...systemSources, now: () => 137_131_201_000, random: (size: number) => Buffer.alloc(size, 0xab) };
const keys: SigningKeys = { consumerKey: 'ck', consumerSecret: 'c&s', token: 'to k', tokenSecret: 't/s' };
const nonce = 'ab'.repeat(16);

const signatureOf = (base: string): string => encodeURIComponent(createHmac('sha256', 'c%26s&t%2Fs').update(base).digest('base64'));

describe('the header', () => {
    test('signs method, address and every parameter, sorted and encoded twice', () => {
        // the query of RFC 5849 §3.4.1.3.1
        const url = new URL('https://EXAMPLE.com:443/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b');
        const oauth = `oauth_consumer_key%3Dck%26oauth_nonce%3D${nonce}%26oauth_signature_method%3DHMAC-SHA256%26oauth_timestamp%3D137131201%26oauth_token%3Dto%2520k%26oauth_version%3D1.0`;
        const base = `GET&https%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26${oauth}`;
        expect(oauth1Header({ method: 'get', url }, keys, sources)).toBe(
            `OAuth oauth_consumer_key="ck", oauth_nonce="${nonce}", oauth_signature_method="HMAC-SHA256", oauth_timestamp="137131201", ` +
                `oauth_token="to%20k", oauth_version="1.0", oauth_signature="${signatureOf(base)}"`,
        );
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
