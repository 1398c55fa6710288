/** GET /connect-ui: the document and the assets of the Connect UI, on the API's port and on its own (frontend contract §2.1). */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { version } from '../../src/version.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';

const script = `console.log('${'x'.repeat(2000)}');\n`;
const icon = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 255]);

/** What Vite leaves behind. */
async function buildFixture(directory: string): Promise<void> {
    await mkdir(join(directory, 'assets'));
    const manifest = {
        'main.tsx': {
            file: 'assets/main-1a.js',
            isEntry: true,
            imports: ['_shared.js'],
            dynamicImports: ['words/de.ts'],
            css: ['assets/main-1a.css'],
        },
        '_shared.js': { file: 'assets/shared-2b.js', imports: ['_deeper.js'], css: ['assets/shared-2b.css'] },
        '_deeper.js': { file: 'assets/deeper-3c.js', imports: ['_shared.js'] },
        'words/de.ts': { file: 'assets/de-4d.js', isDynamicEntry: true },
    };
    await writeFile(join(directory, 'manifest.json'), JSON.stringify(manifest));
    await writeFile(join(directory, 'assets/main-1a.js'), script);
    await writeFile(join(directory, 'assets/main-1a.css'), 'body { margin: 0 }');
    await writeFile(join(directory, 'assets/icon-5e.png'), icon);
}

let directory: string;
let valetkey: TestApp;

beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'valetkey-ui-'));
    await buildFixture(directory);
    valetkey = await startTestApp({
        connectUiDirectory: directory,
        env: { VALETKEY_PUBLIC_URL: 'https://auth.example.com/base', VALETKEY_CONNECT_UI_PORT: '3009' },
    });
});
afterAll(async () => {
    await valetkey?.close();
    await rm(directory, { recursive: true, force: true });
});

const get = (path: string, headers: Record<string, string> = {}, of = valetkey): Promise<Answer<unknown>> =>
    of.call('GET', path, { key: null, headers });
const own = async (url: string) => valetkey.app.connectUiServer!.inject({ method: 'GET', url });

describe('the document', () => {
    test('is complete without a script, and carries what the script has to know', async () => {
        const { status, headers, text } = await get('/connect-ui/');
        expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
        expect(text).toMatch(/^<!doctype html>\n<html lang="en">/);
        expect(text).toContain('<meta name="robots" content="noindex">');
        expect(text).toContain('<div class="skeleton" role="status">');
        expect(text).toContain('<noscript>');
        const config = /data-config="([^"]*)"/.exec(text)?.[1]?.replaceAll('&quot;', '"') ?? '';
        expect(JSON.parse(config)).toEqual({ apiUrl: 'https://auth.example.com/base', version });
    });

    test('has nothing inline, and may load from here alone', async () => {
        const { headers, text } = await get('/connect-ui');
        expect(text).not.toMatch(/<style|style=|<script(?![^>]*\ssrc=)|\son\w+=|https?:\/\/(?!auth\.example\.com)/);
        expect(headers['content-security-policy']).toBe(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https://auth.example.com data:; " +
                "connect-src 'self' https://auth.example.com wss://auth.example.com; base-uri 'none'; form-action 'none'; frame-ancestors *",
        );
    });

    test('may be framed by anybody, keeps its opener, and is kept by nobody', async () => {
        for (const headers of [(await get('/connect-ui')).headers, (await own('/')).headers as Record<string, string>]) {
            expect(headers).toMatchObject({
                'cache-control': 'no-store',
                'referrer-policy': 'strict-origin',
                'x-robots-tag': 'noindex',
                'x-content-type-options': 'nosniff',
            });
            expect(headers).not.toHaveProperty('x-frame-options');
            expect(headers).not.toHaveProperty('cross-origin-opener-policy');
        }
    });

    test.each<[string, string]>([
        ['/connect-ui', 'connect-ui/'],
        ['/connect-ui?session_token=x', 'connect-ui/'],
        ['/connect-ui/', ''],
        ['/connect-ui/?apiURL=https%3A%2F%2Fapi.example&lang=en', ''],
        // clients up to 0.68.1, at the root of the API's port
        ['/?apiURL=https%3A%2F%2Fapi.example', 'connect-ui/'],
        ['/?session_token=x&apiURL=', 'connect-ui/'],
    ])('at %s leads to its assets by %j', async (path, prefix) => {
        const { status, text } = await get(path);
        expect(status).toBe(200);
        const links = [...text.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, link]) => link);
        expect(links).toEqual(
            ['main-1a.css', 'shared-2b.css', 'shared-2b.js', 'deeper-3c.js', 'main-1a.js'].map((file) => `${prefix}assets/${file}`),
        );
        // Wherever a proxy has put it, they resolve to what is served.
        const resolved = new URL(links.at(-1)!, `https://any.example${path}`);
        expect((await get(resolved.pathname)).status).toBe(200);
    });

    test('has a port of its own, at its root', async () => {
        const answer = await own('/?apiURL=x');
        expect([answer.statusCode, answer.payload]).toEqual([200, expect.stringContaining('src="assets/main-1a.js"')]);
        expect((await own('/assets/main-1a.js')).payload).toBe(script);
        for (const path of ['/connections', '/connect/session', '/assets', '/assets/none.js']) {
            expect([path, (await own(path)).statusCode]).toEqual([path, 404]);
        }
    });

    test('the root says who is here to everybody else', async () => {
        expect((await get('/?apiurl=x')).body).toMatchObject({ name: 'Valetkey' });
        expect((await get('/?xapiURL=x')).body).toMatchObject({ name: 'Valetkey' });
        expect((await get('/')).body).toMatchObject({ name: 'Valetkey' });
    });

    test.each<[string, string | undefined, string]>([
        ['', undefined, 'en'],
        ['', 'fr-CH, de;q=0.9', 'fr'],
        ['', 'nl, ja;q=0.5, de;q=0.9', 'de'],
        ['', 'de;q=0, *', 'en'],
        ['?lang=ja', 'fr', 'ja'],
        ['?lang=DE-at', 'fr', 'de'],
        ['?lang=xx', 'es', 'es'],
        ['?lang=constructor', undefined, 'en'],
        ['?lang=a&lang=b', 'es', 'es'],
    ])('%s %s is in %s', async (query, accepted, language) => {
        const { text } = await get(`/connect-ui${query}`, accepted === undefined ? {} : { 'accept-language': accepted });
        expect(text).toContain(`<html lang="${language}">`);
    });

    test('has the theme of its address before anything is painted, and nothing else of it', async () => {
        expect((await get('/connect-ui?theme=dark')).text).toContain('<html lang="en" class="dark">');
        expect((await get('/connect-ui?theme=%22%3E%3Cscript%3E')).text).toContain('<html lang="en">');
    });
});

describe('an asset', () => {
    test('is kept for good, compressed, and named by its content', async () => {
        const plain = await get('/connect-ui/assets/main-1a.js');
        expect([plain.status, plain.text]).toEqual([200, script]);
        expect(plain.headers).toMatchObject({
            'content-type': 'text/javascript; charset=utf-8',
            'cache-control': 'public, max-age=31536000, immutable',
            'x-content-type-options': 'nosniff',
        });
        for (const coding of ['gzip', 'br']) {
            const packed = await get('/connect-ui/assets/main-1a.js', { 'accept-encoding': coding });
            expect(packed.headers).toMatchObject({ 'content-encoding': coding, vary: 'Accept-Encoding' });
            expect(Number(packed.headers['content-length'])).toBeLessThan(script.length / 4);
        }
        const again = await get('/connect-ui/assets/main-1a.js', { 'if-none-match': plain.headers['etag']! });
        expect([again.status, again.text]).toEqual([304, '']);
    });

    test('may be no text', async () => {
        const answer = await valetkey.app.server.inject({ url: '/connect-ui/assets/icon-5e.png', headers: { 'accept-encoding': 'br' } });
        expect([answer.headers['content-type'], answer.headers['content-encoding'], answer.rawPayload]).toEqual(['image/png', undefined, icon]);
    });

    test.each(['manifest.json', '..%2Fmanifest.json', '../manifest.json', '%2e%2e/manifest.json', '', '.', 'toString', 'main-1a.js%00'])(
        '%j is none',
        async (name) => {
            expect([404, 400]).toContain((await get(`/connect-ui/assets/${name}`)).status);
        },
    );
});

describe('an installation', () => {
    test('says who may frame it', async () => {
        const chosen = await startTestApp({
            connectUiDirectory: directory,
            env: { VALETKEY_CONNECT_UI_FRAME_ANCESTORS: 'https://app.example.com, https://*.example.org' },
        });
        const policy = (await get('/connect-ui', {}, chosen)).headers['content-security-policy'];
        expect(policy).toMatch(/; frame-ancestors https:\/\/app\.example\.com https:\/\/\*\.example\.org$/);
        await chosen.close();
    });

    test('may do without it', async () => {
        const without = await startTestApp({ env: { FLAG_SERVE_CONNECT_UI: 'false', VALETKEY_CONNECT_UI_PORT: '3009' } });
        for (const path of ['/connect-ui', '/connect-ui/assets/main-1a.js']) {
            expect((await get(path, {}, without)).status).toBe(404);
        }
        expect((await get('/?apiURL=x', {}, without)).body).toMatchObject({ name: 'Valetkey' });
        expect(without.app.connectUiServer).toBeUndefined();
        await without.close();
    });

    test('that has not built it says how, and serves everything else', async () => {
        const unbuilt = await startTestApp();
        const answer = await get('/connect-ui', {}, unbuilt);
        expect([answer.status, answer.body]).toEqual([
            503,
            { error: { code: 'connect_ui_not_built', message: expect.stringContaining('npm run prepare') as string } },
        ]);
        expect(unbuilt.log()).toContain('npm run prepare');
        expect((await get('/health', {}, unbuilt)).status).toBe(200);
        await unbuilt.close();
    });

    test('that only works has no pages', async () => {
        const worker = await startTestApp({ env: { VALETKEY_ROLES: 'worker', VALETKEY_CONNECT_UI_PORT: '3009' }, connectUiDirectory: directory });
        expect((await get('/connect-ui', {}, worker)).status).toBe(404);
        expect(worker.app.connectUiServer).toBeUndefined();
        await worker.close();
    });
});
