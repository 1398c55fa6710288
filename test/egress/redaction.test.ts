/** What of a call may be written down: addresses made of words, an allow-list of headers, and known secrets nowhere. */
import { describe, expect, test } from 'vitest';
import { Redaction } from '../../src/egress/redaction.ts';

const none = new Redaction([]);

describe('an address', () => {
    test.each([
        ['https://login.example.com/oauth2/v2.0/token', 'https://login.example.com/oauth2/v2.0/token'],
        ['https://example.com:8443/.well-known/openid-configuration', 'https://example.com:8443/.well-known/openid-configuration'],
        ['https://api.example.com/users/@me?fields=id,name&v=7', 'https://api.example.com/users/@me?fields=id,name&v=REDACTED'],
        ['https://api.example.com/t?grant_type=client_credentials&code=x#f', 'https://api.example.com/t?grant_type=client_credentials&code=REDACTED'],
        ['https://api.telegram.example/bot123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/getMe', 'https://api.telegram.example/REDACTED/getMe'],
        [
            'https://api.example.com/access-tokens/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N',
            'https://api.example.com/access-tokens/REDACTED',
        ],
        ['https://api.example.com/a/8d4e5f60-8a3f-4c13-9d52-7c8a1b2c3d4e/b', 'https://api.example.com/a/REDACTED/b'],
        ['https://api.example.com/a%2Fb/c', 'https://api.example.com/REDACTED/c'],
        ['https://api.example.com/?Zx81kQ92mmPq77', 'https://api.example.com/?REDACTED=REDACTED'],
        ['https://user:pass@api.example.com/me', 'https://api.example.com/me'],
        ['no address', 'REDACTED'],
        ['mailto:a@b.example', 'REDACTED'],
    ])('%s', (address, shown) => {
        expect(none.url(address)).toBe(shown);
    });

    test.each([
        ['hunter', 'https://api.example.com/keys/hunter/me', 'https://api.example.com/keys/REDACTED/me'],
        ['hunter', 'https://api.example.com/keys/HUNTER-x', 'https://api.example.com/keys/REDACTED'],
        ['hunter', 'https://my-hunter.example.com/', 'https://REDACTED.example.com/'],
        ['hunter', 'https://api.example.com/?hunter=1', 'https://api.example.com/?REDACTED=REDACTED'],
        ['openid', 'https://api.example.com/?scope=openid', 'https://api.example.com/?scope=REDACTED'],
        ['a/b=c', 'https://api.example.com/x/a/b=c/y', 'https://api.example.com/REDACTED'],
        ['pass word', 'https://api.example.com/x/pass%20word/y', 'https://api.example.com/x/REDACTED/y'],
        // too short to be looked for within words
        ['v1', 'https://api.example.com/v1/v1.0', 'https://api.example.com/REDACTED/v1.0'],
        ['', 'https://api.example.com/v1', 'https://api.example.com/v1'],
    ])('with the secret "%s": %s', (secret, address, shown) => {
        expect(new Redaction([secret]).url(address)).toBe(shown);
    });

    test('shows what is stored in the clear anyway, unless it is a secret as well', () => {
        const tenant = '8d4e5f60-8a3f-4c13-9d52-7c8a1b2c3d4e';
        expect(new Redaction([], [tenant]).url(`https://a.example/${tenant}/token`)).toBe(`https://a.example/${tenant}/token`);
        expect(new Redaction([tenant], [tenant]).url(`https://a.example/${tenant}/token`)).toBe('https://a.example/REDACTED/token');
    });
});

describe('headers', () => {
    test('are shown if they are known to say nothing of anybody', () => {
        const sent = { Authorization: 'Bearer x', accept: 'a/b', 'x-api-key': 'k', 'notion-version': '2022-06-28', cookie: 'c=1', 'user-agent': 'u' };
        expect(none.requestHeaders(sent)).toEqual({
            authorization: 'REDACTED',
            accept: 'a/b',
            'notion-version': '2022-06-28',
            'user-agent': 'u',
        });
        const received = {
            'content-type': 'application/json',
            'retry-after': '30',
            'x-request-id': 'r-1',
            'x-ratelimit-remaining': '0',
            'x-auth-token': 't',
            'www-authenticate': 'Bearer realm="hunter", error="invalid_token", error_description="hunter"',
            location: '/login?next=/secret',
            etag: 'e',
        };
        expect(none.responseHeaders(received, 'https://api.example.com/me')).toEqual({
            'content-type': 'application/json',
            'retry-after': '30',
            'x-request-id': 'r-1',
            'x-ratelimit-remaining': '0',
            'www-authenticate': 'Bearer error="invalid_token"',
            location: 'https://api.example.com/login?next=REDACTED',
        });
    });

    test.each([
        ['content-type', 'application/vnd.github.v3+json; charset=utf-8', true],
        ['date', 'Sat, 28 Nov 2026 08:00:00 GMT', true],
        ['server', 'Microsoft-IIS/10.0 (Unix)', true],
        ['server', 'Bearer eyJhbGciOiJIUzI1NiJ9', false],
        ['server', 'é', false],
        ['ratelimit-policy', '"burst";q=100;w=60', true],
        ['x-ratelimit-reset', '1795854899000', true],
        ['x-ratelimit-reset', 'a1b2c3d4', false],
        ['x-amzn-requestid', '8d4e5f60-8a3f-4c13-9d52-7c8a1b2c3d4e', true],
        ['cf-ray', '8d4e5f608a3f4c13-FRA', true],
        ['x-request-id', 'two words', false],
        ['x-request-id', 'a-THE-SECRET', false],
    ])('%s: %s', (name, value, isShown) => {
        const shown = new Redaction(['the-secret']).responseHeaders({ [name]: value }, 'https://api.example.com');
        expect(shown).toEqual({ [name]: isShown ? value : 'REDACTED' });
    });
});

test('text loses every secret in it, even one that is called like its replacement', () => {
    expect(new Redaction(['redacted', 'p@ss.word', 'abc']).text('P@SS.WORD, p@ss.word\u0000 and abc: redacted')).toBe(
        'REDACTED, REDACTED  and abc: REDACTED',
    );
});
