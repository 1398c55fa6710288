/** The API's description as it is served: the document and the page made from it. */
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { acceptedCoding, compress } from '../../src/http/content-coding.ts';
import { html } from '../../src/http/docs-page/html.ts';
import { markdown } from '../../src/http/docs-page/markdown.ts';
import { docsPage } from '../../src/http/docs-page/page.ts';
import { operationsOf, type ApiDescription } from '../../src/http/openapi/description.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';
import { description, publicUrl } from './declarations.ts';

let valetkey: TestApp;
let page: Answer;

beforeAll(async () => {
    valetkey = await startTestApp();
    page = await valetkey.call('GET', '/docs', { key: null });
});
afterAll(() => valetkey.close());

describe('served', () => {
    test.each([
        ['/openapi.json', 'application/json', 'public, max-age=300'],
        ['/docs', 'text/html', 'public, no-cache'],
        ['/docs/docs.css', 'text/css', 'public, max-age=31536000, immutable'],
        ['/docs/docs.js', 'text/javascript', 'public, max-age=31536000, immutable'],
        ['/docs/docs.svg', 'image/svg+xml', 'public, max-age=31536000, immutable'],
    ])('%s to anybody, and once to those who keep it', async (path, type, cacheControl) => {
        const first = await valetkey.call('GET', path, { key: null });
        expect([first.status, first.headers['content-type']]).toEqual([200, `${type}; charset=utf-8`]);
        expect(first.headers['cache-control']).toBe(cacheControl);
        expect(first.headers['access-control-allow-origin']).toBe('*');
        const etag = first.headers['etag']!;
        expect(etag).toMatch(/^"[\w-]{22}"$/);
        for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
            const again = await valetkey.call('GET', path, { key: null, headers: { 'if-none-match': known } });
            expect([again.status, again.text, again.headers['etag']]).toEqual([304, '', etag]);
        }
        expect(await valetkey.call('GET', path, { key: null, headers: { 'if-none-match': '"other"' } })).toMatchObject({
            status: 200,
            text: first.text,
        });
        expect(await valetkey.call('HEAD', path, { key: null })).toMatchObject({ status: 200, text: '' });
    });

    test.each([
        ['/openapi.json', 'gzip, deflate, br', 'br', brotliDecompressSync],
        ['/docs', 'gzip', 'gzip', gunzipSync],
        ['/docs/docs.css', 'br;q=0, *', 'gzip', gunzipSync],
        ['/providers', 'br', 'br', brotliDecompressSync, 'Accept-Language, Accept-Encoding'],
        ['/providers.json', 'br', 'br', brotliDecompressSync],
    ])('%s compressed to whoever accepts %j', async (path, accepted, coding, decompress, vary = 'Accept-Encoding') => {
        const plain = await valetkey.call('GET', path);
        expect([plain.headers['content-encoding'], plain.headers['vary']]).toEqual([undefined, vary]);
        const get = (headers: Record<string, string>) =>
            valetkey.app.server.inject({ url: path, headers: { authorization: `Bearer ${valetkey.key}`, 'accept-encoding': accepted, ...headers } });
        const { headers, rawPayload } = await get({});
        expect(headers).toMatchObject({ 'content-encoding': coding, vary, 'content-type': plain.headers['content-type'] });
        expect(headers['content-length']).toBe(String(rawPayload.length));
        expect(decompress(rawPayload).toString()).toBe(plain.text);
        // what is held in one coding is not held in another
        expect(headers['etag']).toBe(plain.headers['etag']!.replace(/"$/, `-${coding}"`));
        const again = await get({ 'if-none-match': headers['etag'] as string });
        expect([again.statusCode, again.payload, again.headers['vary']]).toEqual([304, '', vary]);
        expect(await get({ 'if-none-match': plain.headers['etag']! })).toMatchObject({ statusCode: 200 });
    });

    test('what is small as it is, whoever asks', async () => {
        const { headers } = await valetkey.call('GET', '/docs/docs.svg', { key: null, headers: { 'accept-encoding': 'br' } });
        expect([headers['content-encoding'], headers['vary']]).toEqual([undefined, undefined]);
    });

    test('with a policy that lets the page load from here alone, and nothing inline', () => {
        expect(page.headers['content-security-policy']).toBe(
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        );
        expect(page.text).not.toMatch(/<style|<script>|<script [^>]*>[^<]|\sstyle=|\son\w+=/);
        const loaded = [...page.text.matchAll(/<(?:link|script|img)[^>]+?(?:href|src)="([^"]+)"/g)].map(([, address]) => address);
        expect(loaded).toHaveLength(3);
        expect(loaded.filter((address) => !/^\/docs\/docs\.(css|js|svg)\?v=[\w-]{22}$/.test(address!))).toEqual([]);
    });

    test('not by a worker', async () => {
        const worker = await startTestApp({ env: { VALETKEY_ROLES: 'worker' } });
        expect(await worker.call('GET', '/openapi.json')).toMatchObject({ status: 404 });
        await worker.close();
    });
});

describe('the page', () => {
    const ids = () => [...page.text.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id!);

    test('shows every operation, aliases with what they are aliases of', () => {
        for (const { operation, path } of operationsOf(description)) {
            expect([operation.operationId, ids().includes(operation.operationId)]).toEqual([
                operation.operationId,
                operation['x-alias-of'] === undefined,
            ]);
            expect(page.text.replaceAll(/<wbr ?\/?>/g, '').includes(`<code>${path}</code>`), path).toBe(true);
        }
    });

    test('has every id once, and links only to what is there', () => {
        expect(ids()).toEqual([...new Set(ids())]);
        const targets = [...page.text.matchAll(/href="#([^"]*)"/g)].map(([, target]) => target!);
        expect(targets.length).toBeGreaterThan(50);
        expect(targets.filter((target) => !ids().includes(target))).toEqual([]);
    });

    test('says what an operation takes, answers and fails with', () => {
        const article = /<article id="getConnection"[^]*?<\/article>/.exec(page.text)![0];
        const text = article.replaceAll(/<[^>]+>/g, ' ').replaceAll(/\s+/g, ' ');
        for (const said of [
            'API key with environment: connections: read',
            'provider_config_key string required',
            'force_refresh boolean optional',
            'invalid_uri_params',
            'invalid_credentials',
            'As elsewhere 401 403 415 429',
        ]) {
            expect(text).toContain(said);
        }
    });

    test('tells once what every operation can fail with, and what a long schema has', () => {
        const times = (text: string): number => page.text.split(text).length - 1;
        expect([times('<code>request_too_large</code>'), times('<code>idempotency_key_reused</code>')]).toEqual([1, 1]);
        expect(times('<code>connection_config</code> <span class="type">map')).toBe(1);
        const importing = /<article id="importConnection"[^]*?<\/article>/.exec(page.text)![0];
        expect(importing).toContain('As in <a href="#getConnection">Read a connection with fresh credentials</a>.');
    });

    test('has what is deprecated at the end of its section, and says so in the contents', () => {
        const connections = /<section class="tag" id="about-connections"[^]*?<\/section>\s*<section class="tag"/.exec(page.text)![0];
        const isDeprecated = [...connections.matchAll(/<article [^]*?<\/header>/g)].map(([head]) => head.includes('class="deprecated"'));
        expect(isDeprecated).toEqual(isDeprecated.toSorted());
        expect(new Set(isDeprecated).size).toBe(2);
        expect(/<nav[^]*<\/nav>/.exec(page.text)![0]).toContain('Import a connection, for old clients <span class="deprecated">deprecated</span>');
    });

    test('folds long lists of values, and says of what may be null what it is', () => {
        const article = /<article id="createEnvironmentApiKey"[^]*?<\/article>/.exec(page.text)![0];
        expect(article).toMatch(/<details>\s*<summary>One of \d\d values<\/summary>[^]*?<code>environment:\*<\/code>[^]*?<\/details>/);
        expect(article).toMatch(/<code>expires_at<\/code>[^]*?<dd>\s*<p>When the key stops working\.<\/p>/);
    });

    test('stays below 640 kB, and 52 kB on its way', () => {
        expect(page.text.length).toBeLessThan(640_000);
        expect(brotliDecompressSync(compress(page.text, 'br')).toString()).toBe(page.text);
        expect(compress(page.text, 'gzip').length).toBeLessThan(52_000);
    });

    test('escapes whatever the document says', () => {
        const nasty = `<script>alert('1')</script>"&`;
        const poison = (part: unknown, key = ''): unknown => {
            if (typeof part === 'object' && part !== null) {
                const entries = Object.entries(part).map(([name, value]) => [name, poison(value, name)]);
                return Array.isArray(part) ? entries.map(([, value]) => value) : Object.fromEntries(entries);
            }
            return ['summary', 'description', 'title', 'pattern', 'source', 'example', 'default'].includes(key) ? nasty : part;
        };
        const poisoned = docsPage(poison(description) as ApiDescription, publicUrl);
        expect(poisoned.length).toBeGreaterThan(10_000);
        expect(poisoned).not.toContain('<script>');
        expect(poisoned).toContain('&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;');
    });

    test('finds its parts under the path of the public address', () => {
        const below = docsPage(description, 'https://example.com/auth');
        expect(below).toMatch(/href="\/auth\/docs\/docs\.css\?v=/);
        expect(below).toContain('href="/auth/openapi.json"');
    });
});

describe('Markdown', () => {
    test.each([
        ['a\nb\n\nc', '<p>a\nb</p><p>c</p>'],
        ['`a*b*<c>` and **b** and *i*', '<p><code>a*b*&lt;c&gt;</code> and <strong>b</strong> and <em>i</em></p>'],
        ['## Rate limits', '<h2 id="rate-limits">Rate limits</h2>'],
        ['- one\n- two `x`', '<ul><li>one</li><li>two <code>x</code></li></ul>'],
        ['[a](https://example.com/?b=1&c)', '<p><a href="https://example.com/?b=1&amp;c">a</a></p>'],
        ['[a](javascript:alert)', '<p>[a](javascript:alert)</p>'],
        ['<b onclick="x">', '<p>&lt;b onclick=&quot;x&quot;&gt;</p>'],
    ])('%j', (text, expected) => {
        expect(markdown(text).text.replaceAll(/>\n|\n(?=<)/g, (space) => space.trim())).toBe(expected);
    });

    test('a fence keeps its lines', () => {
        expect(markdown('before\n\n```json\n{\n\n  "a": 1\n}\n```\n\nafter').text).toMatch(
            /^<p>before<\/p><figure[^]*<code>\{\n\n {2}<b>&quot;a&quot;<\/b>: <u>1<\/u>\n\}<\/code>[^]*<\/figure><p>after<\/p>$/,
        );
    });
});

test.each([
    [undefined, undefined],
    ['', undefined],
    ['identity', undefined],
    ['gzip', 'gzip'],
    ['gzip, deflate, br, zstd', 'br'],
    ['GZIP;Q=1', 'gzip'],
    ['br;q=0.5, gzip;q=0.8', 'gzip'],
    ['br;q=0, gzip', 'gzip'],
    ['br;q=0', undefined],
    ['*', 'br'],
    ['*;q=0', undefined],
    ['br;q=0, *;q=0.1', 'gzip'],
    ['identity, gzip', 'gzip'],
    ['identity, gzip;q=0.5', undefined],
    ['identity;q=0, gzip;q=0.1', 'gzip'],
    ['gzip;q=x', undefined],
    [';;,,', undefined],
])('of %j there is %s', (header, coding) => {
    expect(acceptedCoding(header)).toBe(coding);
});

test('templates escape values, and keep what templates made', () => {
    const inner = html`<i>${'<&>"\''}</i>`;
    expect(html`<p title="${'"'}">${inner}${[1, undefined, false, 'x']}</p>`.text).toBe('<p title="&quot;"><i>&lt;&amp;&gt;&quot;&#39;</i>1x</p>');
});
