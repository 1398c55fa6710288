/** Which return URLs an environment's list allows. */
import { expect, test } from 'vitest';
import { allowedReturnUrl } from '../../src/connect/return-url.ts';

test.each<[string, string, string?]>([
    ['https://app.example.com', 'https://app.example.com', 'https://app.example.com/'],
    ['https://app.example.com', 'https://app.example.com/any/where?state=1#there'],
    ['https://app.example.com/', 'https://app.example.com/any'],
    ['https://app.example.com', 'HTTPS://APP.example.com:443/x', 'https://app.example.com/x'],
    ['https://app.example.com:8443', 'https://app.example.com:8443/x'],
    ['https://app.example.com/done', 'https://app.example.com/done'],
    ['https://app.example.com/done', 'https://app.example.com/done/'],
    ['https://app.example.com/done/', 'https://app.example.com/done'],
    ['https://app.example.com/done', 'https://app.example.com/done/now?x=1'],
    ['https://app.example.com/done', 'https://app.example.com/other/../done', 'https://app.example.com/done'],
    ['https://app.example.com/cb?tenant=1', 'https://app.example.com/cb?tenant=1'],
    ['http://localhost:3000', 'http://localhost:3000/x'],
    ['http://dev.localhost:3000', 'http://dev.localhost:3000/x'],
    ['http://127.0.0.1:3000', 'http://127.0.0.1:3000/x'],
    ['http://[::1]:3000', 'http://[::1]:3000/x'],
])('%s allows %s', (entry, url, judged = url) => {
    expect(allowedReturnUrl(url, ['https://unrelated.example', entry])).toBe(judged);
});

test.each<[string, string]>([
    // another origin
    ['https://app.example.com', 'https://app.example.com.evil.com/'],
    ['https://app.example.com', 'https://app.example.community/'],
    ['https://app.example.com', 'https://evil.com/https://app.example.com'],
    ['https://app.example.com', 'https://sub.app.example.com/'],
    ['https://app.example.com', 'https://app.example.com:8443/'],
    ['https://app.example.com', String.raw`https://evil.com\@app.example.com`],
    ['https://app.example.com', 'https://app.example.com./'],
    ['https://app.example.com', '//app.example.com/'],
    ['https://app.example.com', '/done'],
    ['http://localhost:3000', 'http://localhost:3001/'],
    ['http://localhost:3000', 'https://localhost:3000/'],
    // a name that looks like a host
    ['https://app.example.com', 'https://app.example.com@evil.com/'],
    ['https://app.example.com', 'https://user@app.example.com/'],
    ['https://app.example.com', 'https://:pw@app.example.com/'],
    // another path
    ['https://app.example.com/done', 'https://app.example.com/'],
    ['https://app.example.com/done', 'https://app.example.com/donetoo'],
    ['https://app.example.com/done', 'https://app.example.com/Done'],
    ['https://app.example.com/done', 'https://app.example.com/x/done'],
    ['https://app.example.com/done', 'https://app.example.com/done/../admin'],
    ['https://app.example.com/done', 'https://app.example.com/done/%2e%2e/admin'],
    ['https://app.example.com/done', 'https://app.example.com/done/..%2fadmin'],
    ['https://app.example.com/done', 'https://app.example.com/done/..%5Cadmin'],
    ['https://app.example.com/done', String.raw`https://app.example.com/done\..\admin`],
    ['https://app.example.com/cb?tenant=1', 'https://app.example.com/cb?tenant=2'],
    // not encrypted, or no page at all
    ['http://app.example.com', 'http://app.example.com/'],
    ['https://app.example.com', 'http://app.example.com/'],
    ['http://localhost.example.com', 'http://localhost.example.com/'],
    ['http://127.0.0.1.example.com', 'http://127.0.0.1.example.com/'],
    ['javascript:alert(1)', 'javascript:alert(1)'],
    ['myapp://done', 'myapp://done'],
    ['data:text/html,x', 'data:text/html,x'],
    // entries that allow nothing
    ['app.example.com', 'https://app.example.com/'],
    ['*', 'https://app.example.com/'],
    ['', 'https://app.example.com/'],
])('%s does not allow %s', (entry, url) => {
    expect(allowedReturnUrl(url, [entry])).toBeUndefined();
});

test('an empty list allows nothing', () => {
    expect(allowedReturnUrl('https://app.example.com/', [])).toBeUndefined();
});
