/** The catalogue, logos, and what the dashboard's script is told: what is the same for everybody (http-api §3, §6). */
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { version } from '../../src/version.ts';
import { createSession } from './accounts.ts';
import { startTestApp, type TestApp } from './app.ts';
import { everyMode, settings } from './every-mode.ts';

let valetkey: TestApp;

beforeAll(async () => {
    valetkey = await startTestApp({ providers: everyMode() });
});

afterAll(() => valetkey?.close());

describe('the catalogue', () => {
    const names = async (query: string): Promise<unknown[]> => {
        const answer = await valetkey.call<{ data: { name: string }[] }>('GET', `/providers${query}`);
        expect(answer.status, answer.text).toBe(200);
        return answer.body.data.map((provider) => provider.name);
    };

    test('lists the built-in providers and the operator’s, for a key and for a session', async () => {
        const all = await names('');
        expect(all).toEqual(expect.arrayContaining(['github', 'slack', 'keys', 'oauth']));
        const bySession = await valetkey.call<{ data: unknown[] }>('GET', '/providers', { key: await createSession(valetkey) });
        expect(bySession.body.data).toHaveLength(all.length);
    });

    test('an entry has its name, logo and what a form is built from', async () => {
        const answer = await valetkey.call<{ data: Record<string, unknown> }>('GET', '/providers/keys');
        expect(answer.body.data).toMatchObject({
            name: 'keys',
            display_name: 'Test keys',
            auth_mode: 'API_KEY',
            logo_url: `${valetkey.url}/images/template-logos/keys.svg`,
            credentials: { apiKey: { type: 'string', title: 'API key', secret: true } },
        });
    });

    test('search looks at name and display name, ignores case, and is no pattern', async () => {
        expect(await names('?search=GITHUB')).toContain('github');
        expect(await names('?search=Test%20key')).toEqual(['keys']);
        expect(await names('?search=g.thub')).toEqual([]);
        expect(await names('?search=no-such-thing')).toEqual([]);
    });

    test('settings of integrations are shown as the entry declares them, every field with a title and a description', async () => {
        const answer = await valetkey.call<{ data: Record<string, unknown> }>('GET', '/providers/set-up');
        const expected = Object.entries(settings).map(([name, field]) => [name, { title: '', description: '', ...field }]);
        expect(answer.body.data['integration_config']).toEqual(Object.fromEntries(expected));
    });

    test.each(['/providers', '/providers/keys', '/providers.json'])('%s is sent once to whoever keeps it', async (path) => {
        const first = await valetkey.call('GET', path);
        expect([first.status, first.headers['etag'], first.headers['content-type']]).toEqual([
            200,
            expect.stringMatching(/^"[\w-]{22}"$/) as string,
            'application/json; charset=utf-8',
        ]);
        const etag = first.headers['etag']!;
        for (const held of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
            const again = await valetkey.call('GET', path, { headers: { 'if-none-match': held } });
            expect([again.status, again.text, again.headers['etag']]).toEqual([304, '', etag]);
        }
        expect((await valetkey.call('GET', path, { headers: { 'if-none-match': '"other"' } })).text).toBe(first.text);
    });

    test('what needs a key is kept by nobody in between', async () => {
        expect((await valetkey.call('GET', '/providers')).headers['cache-control']).toBe('private, no-cache');
        const unknown = await valetkey.call('GET', '/providers', { key: '0d7f2b1c-6a52-4b1e-9d58-3d5a4ad3a5b1', headers: { 'if-none-match': '*' } });
        expect(unknown.status).toBe(401);
    });

    test('a key of no environment is refused', async () => {
        const key = await valetkey.insertKey({ scopes: ['account:environments:list'], environment: null });
        for (const path of ['/providers', '/providers/keys']) {
            expect(await valetkey.call('GET', path, { key })).toMatchObject({ status: 403, body: { error: { code: 'forbidden' } } });
        }
    });

    test.each([
        ['/providers?search=', 400, 'invalid_query_params'],
        ['/providers?search=a%25', 400, 'invalid_query_params'],
        [`/providers?search=${'a'.repeat(256)}`, 400, 'invalid_query_params'],
        ['/providers?search=a&search=b', 400, 'invalid_query_params'],
        ['/providers?find=x', 400, 'invalid_query_params'],
        ['/providers/a%20b', 400, 'invalid_uri_params'],
        ['/providers/keys?x=1', 400, 'invalid_query_params'],
        ['/providers/nobody', 404, 'not_found'],
        ['/providers/constructor', 404, 'not_found'],
    ])('%s: %i %s', async (path, status, code) => {
        const answer = await valetkey.call('GET', path);
        expect([answer.status, answer.body]).toMatchObject([status, { error: { code } }]);
    });
});

describe('without a key', () => {
    test('logos are drawn for every provider and may be shown anywhere; an unknown one is 404', async () => {
        const answer = await valetkey.call('GET', '/images/template-logos/github.svg?v=2', { key: null });
        expect(answer.status).toBe(200);
        expect(answer.headers).toMatchObject({ 'content-type': 'image/svg+xml', 'cross-origin-resource-policy': 'cross-origin' });
        expect(answer.text).toMatch(/^<svg .*<\/svg>$/);
        for (const file of ['nobody.svg', 'github.png', '..%2Fgithub.svg']) {
            expect(await valetkey.call('GET', `/images/template-logos/${file}`, { key: null })).toMatchObject({
                status: 404,
                body: { error: { code: 'not_found' } },
            });
        }
    });

    test('the whole catalogue can be had by name', async () => {
        const answer = await valetkey.call<Record<string, { name: string }>>('GET', '/providers.json?v=1', { key: null });
        const list = await valetkey.call<{ data: { name: string }[] }>('GET', '/providers');
        expect(answer.status).toBe(200);
        expect(answer.headers).toMatchObject({ 'content-type': 'application/json; charset=utf-8', 'cache-control': 'public, max-age=300' });
        expect(Object.entries(answer.body)).toEqual(list.body.data.map((provider) => [provider.name, provider]));
    });

    test('the dashboard’s script is told where it is, and nothing else', async () => {
        const answer = await valetkey.call('GET', '/env.js?v=1', { key: null });
        expect([answer.status, answer.headers['content-type'], answer.headers['cache-control']]).toEqual([
            200,
            'text/javascript; charset=utf-8',
            'public, max-age=3600',
        ]);
        const window: { _env?: unknown } = {};
        runInNewContext(answer.text, { window });
        expect(window._env).toEqual({ publicUrl: valetkey.url, connectUiUrl: `${valetkey.url}/connect-ui`, version });
    });
});
