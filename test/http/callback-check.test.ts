/** Whether a callback address of the customer's own leads back here (webhooks §4.6, S8), and what its change does to flows under way (§9 no. 25). */
import type { ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { listen, readBody, type HttpServer } from '../peers/http-server.ts';
import { createSession } from './accounts.ts';
import { startTestApp, type TestApp } from './app.ts';

interface Check {
    ok: boolean;
    status: number | null;
    location: string | null;
    reason: string | null;
}

/** What the provider's token endpoint was asked. */
const tokenCalls: string[] = [];

/** Does not listen: what the check calls here would fail it. */
let valetkey: TestApp;
let provider: HttpServer;
const cleanups: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
    provider = await listen((request, response) => {
        void readBody(request).then((body) => {
            tokenCalls.push(body.toString());
            response.setHeader('content-type', 'application/json').end('{"access_token":"a","token_type":"bearer"}');
        });
    });
    const flow = {
        display_name: 'Flow',
        categories: ['other'],
        auth_mode: 'OAUTH2',
        authorization_url: 'https://provider.example.com/authorize',
        token_url: `http://127.0.0.1:${provider.port}/token`,
    };
    valetkey = await startTestApp({ providers: JSON.stringify({ flow }) });
});
afterAll(async () => {
    await valetkey?.close();
    await provider?.close();
});
afterEach(async () => {
    for (const cleanup of cleanups.splice(0)) {
        await cleanup();
    }
});

const use = async (url: string | null): Promise<void> => {
    const answer = await valetkey.call('PATCH', '/environment', { body: { callback_url: url } });
    expect(answer.status).toBe(200);
};
const check = async (): Promise<Check> => (await valetkey.call<{ data: Check }>('POST', '/environment/callback-url/check')).body.data;

/** The customer's server. @returns where it listens. */
async function customer(answer: (query: string, response: ServerResponse, path: string) => void): Promise<string> {
    const server = await listen((request, response) => {
        const [path = '', query = ''] = request.url!.split('?');
        answer(query, response, path);
    });
    cleanups.push(() => server.close());
    return `http://127.0.0.1:${server.port}`;
}
const home = (): string => `${valetkey.url}/oauth/callback`;

describe('the check', () => {
    test('needs no call for the default', async () => {
        await use(null);
        expect(await check()).toEqual({ ok: true, status: null, location: home(), reason: null });
    });

    test.each([301, 302, 303, 307, 308])(
        'is content with a %d that keeps the query, here and behind a redirect of the customer’s own',
        async (status) => {
            const seen: string[] = [];
            const origin = await customer((query, response, path) => {
                seen.push(query);
                const target = path === '/cb' ? `/cb/?${query}` : `${home()}?${query}`;
                response.writeHead(status, { location: target }).end();
            });
            await use(`${origin}/cb/`);
            expect(await check()).toEqual({ ok: true, status, location: home(), reason: null });
            await use(`${origin}/cb?tenant=1`);
            expect(await check()).toEqual({ ok: true, status, location: home(), reason: null });
            expect(seen.at(-1)).toMatch(/^tenant=1&code=.+&state=[\w-]{43}&/);
            expect(new Set(seen).size).toBe(2);
        },
    );

    test.each<[string, (query: string) => Record<string, string>, Partial<Check>]>([
        ['drops the query', () => ({ location: home() }), { reason: 'query_changed' }],
        ['drops an empty parameter', (query) => ({ location: `${home()}?${query.replace('&empty=', '')}` }), { reason: 'query_changed' }],
        ['decodes the query', (query) => ({ location: `${home()}?${decodeURIComponent(query).replaceAll('#', '')}` }), { reason: 'query_changed' }],
        ['repeats the query', (query) => ({ location: `${home()}?${query}&${query}` }), { reason: 'query_changed' }],
        ['answers itself', () => ({}), { reason: 'no_redirect', location: null }],
        ['goes in circles', () => ({ location: '/again' }), { reason: 'too_many_redirects' }],
    ])('fails one that %s', async (_name, headersOf, expected) => {
        const origin = await customer((query, response) => {
            const headers = headersOf(query);
            response.writeHead('location' in headers ? 308 : 200, headers).end();
        });
        await use(`${origin}/cb`);
        expect(await check()).toMatchObject({ ok: false, status: expected.reason === 'no_redirect' ? 200 : 308, ...expected });
    });

    test('fails one that leads to another page', async () => {
        const origin = await customer((query, response, path) =>
            path === '/cb' ? response.writeHead(308, { location: `/elsewhere?${query}` }).end() : response.writeHead(404).end(),
        );
        await use(`${origin}/cb`);
        expect(await check()).toEqual({ ok: false, status: 404, location: `${origin}/elsewhere`, reason: 'wrong_location' });
    });

    test('fails one that cannot be reached, or must not be', async () => {
        const gone = await listen(() => {});
        await gone.close();
        await use(`http://127.0.0.1:${gone.port}/cb`);
        expect(await check()).toEqual({ ok: false, status: null, location: null, reason: 'unreachable' });
        await use('https://10.0.0.1/cb');
        expect(await check()).toEqual({ ok: false, status: null, location: null, reason: 'blocked_by_policy' });
    });
});

test('a change of the callback URL leaves flows alone that have begun (S6)', async () => {
    await valetkey.call('POST', '/integrations', {
        body: { provider: 'flow', unique_key: 'flow', credentials: { type: 'OAUTH2', client_id: 'id', client_secret: 'secret' } },
    });
    const begin = async () => {
        const token = await createSession(valetkey);
        const { headers } = await valetkey.call('GET', `/oauth/connect/flow?connect_session_token=${token}`, { key: null });
        const query = new URL(headers['location']!).searchParams;
        return { redirectUri: query.get('redirect_uri'), state: query.get('state')!, cookie: String(headers['set-cookie']).split(';')[0]! };
    };
    await use('https://app.example.com/old');
    const flow = await begin();
    expect(flow.redirectUri).toBe('https://app.example.com/old');
    await use('https://app.example.com/new');
    const page = await valetkey.call('GET', `/oauth/callback?code=c&state=${flow.state}`, { key: null, headers: { cookie: flow.cookie } });
    expect(page.status).toBe(200);
    expect(tokenCalls.map((body) => new URLSearchParams(body).get('redirect_uri'))).toEqual(['https://app.example.com/old']);
    expect((await valetkey.call<{ connections: unknown[] }>('GET', '/connections')).body.connections).toHaveLength(1);
    expect((await begin()).redirectUri).toBe('https://app.example.com/new');
});
