/** Providers with a token exception, from consent to renewal through the whole server: what is stored, sealed and handed out. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createIntegration, createSession } from '../http/accounts.ts';
import { startTestApp, type TestApp } from '../http/app.ts';
import { listen, readBody, type HttpServer } from '../peers/http-server.ts';
import { consent, finishPopup, openPopup } from './popup.ts';
import { oauth2Entry, providersFile } from './provider-entries.ts';

interface Connection {
    credentials: Record<string, unknown> & { raw: Record<string, unknown> };
    connection_config: Record<string, unknown>;
}

const minute = 60_000;
const tenant = 'a1b2c3d4-e5f6-47a8-9b0c-d1234567890f';
const graphToken = (n: number): string => `h.${Buffer.from(JSON.stringify({ tid: tenant, n })).toString('base64url')}.s`;

/** Answers of the provider by path; each call is counted. */
let answers: Record<string, (form: Record<string, string>) => { status?: number; body: Record<string, unknown> }>;
let calls: { path: string; form: Record<string, string> }[];

let provider: HttpServer;
let valetkey: TestApp;

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, 'http://provider.test');
    if (url.pathname === '/authorize') {
        const back = new URL(url.searchParams.get('redirect_uri')!);
        back.search = new URLSearchParams({ code: 'the-code', state: url.searchParams.get('state')! }).toString();
        response.writeHead(302, { location: back.href }).end();
        return;
    }
    const form = Object.fromEntries(new URLSearchParams((await readBody(request)).toString()));
    calls.push({ path: url.pathname, form });
    const { status = 200, body } = answers[url.pathname]?.(form) ?? { status: 404, body: {} };
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

const exceptional = (name: string, tokenPath: string, extra: Record<string, unknown> = {}): Record<string, unknown> => {
    const base = `http://127.0.0.1:${provider.port}`;
    const endpoints = { authorizationEndpoint: `${base}/authorize`, tokenEndpoint: base + tokenPath };
    return oauth2Entry(`my-${name}`, endpoints, { token_exchange_script: name, ...extra });
};

beforeAll(async () => {
    provider = await listen((request, response) => void answer(request, response));
    valetkey = await startTestApp({
        providers: providersFile(
            exceptional('one-drive', '/common/token'),
            exceptional('salesforce', '/token', { token_response_metadata: ['instance_url'] }),
            exceptional('slack', '/token', { token_response_metadata: ['team.id'] }),
        ),
        // the pause before a refusal is confirmed
        waits: { 1_000: 10 },
    });
    await valetkey.listen();
    for (const name of ['my-one-drive', 'my-salesforce', 'my-slack']) {
        await createIntegration(valetkey, name, name, { credentials: { type: 'OAUTH2', client_id: 'client-1', client_secret: 'secret-1' } });
    }
});
afterAll(async () => {
    await valetkey?.close();
    await provider?.close();
});
beforeEach(() => {
    calls = [];
});

/** By the clock of the server under test, which skips. */
let skipped = 0;
const time = (): number => Date.now() + skipped;
const advance = (ms: number): void => {
    skipped += ms;
    valetkey.advance(ms);
};

/** @returns the id of a new connection. */
async function connect(name: string): Promise<string> {
    const popup = await openPopup(valetkey.url, `/oauth/connect/${name}?connect_session_token=${await createSession(valetkey)}`);
    const { page, outcome } = await finishPopup(popup, await consent(popup.authorizationUrl));
    popup.socket.close();
    expect(page.status, page.html).toBe(200);
    return outcome.connection_id!;
}
const ask = (name: string, id: string, query = '') => valetkey.call<Connection>('GET', `/connections/${id}?provider_config_key=${name}${query}`);
const read = async (name: string, id: string, query = ''): Promise<Connection> => {
    const { status, text, body } = await ask(name, id, query);
    expect(status, text).toBe(200);
    return body;
};

describe('a second token', () => {
    test('is sealed, handed out with the credentials, renewed with the first, and kept where its renewal fails', async () => {
        let generation = 0;
        let secondIsDown = false;
        answers = {
            '/common/token': () => {
                generation += 1;
                return { body: { access_token: graphToken(generation), refresh_token: `graph-refresh-${generation}`, expires_in: 3600 } };
            },
            [`/${tenant}/token`]: ({ refresh_token }) =>
                secondIsDown
                    ? { status: 503, body: {} }
                    : { body: { access_token: `sharepoint-after-${refresh_token}`, refresh_token: `sp-refresh-${generation}`, expires_in: 3600 } },
        };
        const id = await connect('my-one-drive');
        const { connection_config: config } = await read('my-one-drive', id);
        expect(config).toEqual({
            tenantId: tenant,
            sharepointAccessToken: { access_token: 'sharepoint-after-graph-refresh-1', expires_at: expect.any(String) as string },
        });
        const [row] = await valetkey.query<{ connection_config: unknown }>('select connection_config from connections where connection_id = $1', [
            id,
        ]);
        expect(row).toEqual({ connection_config: { tenantId: tenant } });

        const renewed = await read('my-one-drive', id, '&force_refresh=true&refresh_token=true');
        expect([renewed.credentials['refresh_token'], renewed.connection_config['sharepointAccessToken']]).toEqual([
            'graph-refresh-2',
            { access_token: 'sharepoint-after-sp-refresh-1', refresh_token: 'sp-refresh-2', expires_at: expect.any(String) as string },
        ]);

        secondIsDown = true;
        const half = await read('my-one-drive', id, '&force_refresh=true&refresh_token=true');
        expect(half.credentials['refresh_token']).toBe('graph-refresh-3');
        expect(half.connection_config).toEqual(renewed.connection_config);
        expect(valetkey.log()).toContain('The second token (sharepointAccessToken) was not obtained');
        expect(valetkey.log()).not.toContain('sp-refresh-2');

        // and tried again before the first needs it
        secondIsDown = false;
        advance(6 * minute);
        const mended = await read('my-one-drive', id);
        expect(mended.connection_config['sharepointAccessToken']).toMatchObject({ access_token: 'sharepoint-after-sp-refresh-2' });
    });
});

describe('a lifetime that only the provider knows', () => {
    test('is asked for at connect and before a renewal; reads ask nothing', async () => {
        const instance_url = `http://127.0.0.1:${provider.port}`;
        let generation = 0;
        let lifetime = 7200;
        const asked = () => calls.filter(({ path }) => path.endsWith('/introspect')).length;
        answers = {
            '/token': () => {
                generation += 1;
                return { body: { access_token: `access-${generation}`, refresh_token: 'refresh', instance_url } };
            },
            '/services/oauth2/introspect': () => ({
                body: lifetime > 0 ? { active: true, exp: Math.floor(time() / 1000) + lifetime } : { active: false },
            }),
        };
        const id = await connect('my-salesforce');
        const { credentials, connection_config } = await read('my-salesforce', id);
        expect(connection_config).toEqual({ instance_url });
        expect(Date.parse(credentials['expires_at'] as string) - time()).toBeGreaterThan(7_100_000);
        await read('my-salesforce', id);
        expect(asked()).toBe(1);

        // within the margin, but the session was used and goes on
        advance(110 * minute);
        const prolonged = await read('my-salesforce', id);
        expect([prolonged.credentials['access_token'], asked()]).toEqual(['access-1', 2]);
        expect(Date.parse(prolonged.credentials['expires_at'] as string) - time()).toBeGreaterThan(7_100_000);

        advance(110 * minute);
        lifetime = 0;
        expect((await read('my-salesforce', id)).credentials['access_token']).toBe('access-2');
    });
});

describe('two halves', () => {
    test('are both renewed; a refusal in a 200 ends the connection like any other', async () => {
        let isRevoked = false;
        answers = {
            '/token': ({ grant_type, refresh_token }) =>
                grant_type === 'authorization_code'
                    ? {
                          body: {
                              ok: true,
                              access_token: 'bot-1',
                              refresh_token: 'bot-refresh',
                              expires_in: 43_200,
                              team: { id: 'T1' },
                              authed_user: { id: 'U1', access_token: 'user-1', refresh_token: 'user-refresh', expires_in: 43_200 },
                          },
                      }
                    : isRevoked
                      ? { body: { ok: false, error: 'token_revoked' } }
                      : { body: { ok: true, access_token: `after-${refresh_token}`, refresh_token, expires_in: 43_200, team: { id: 'T2' } } },
        };
        const id = await connect('my-slack');
        const before = await read('my-slack', id);
        expect([before.credentials['access_token'], before.connection_config]).toEqual(['bot-1', { 'team.id': 'T1' }]);
        const after = await read('my-slack', id, '&force_refresh=true');
        expect(after.credentials).toMatchObject({
            access_token: 'after-bot-refresh',
            raw: { authed_user: { id: 'U1', access_token: 'after-user-refresh' } },
        });
        // R18
        expect(after.connection_config).toEqual({ 'team.id': 'T2' });

        isRevoked = true;
        const refused = await valetkey.call<{ error: { code: string } }>('GET', `/connections/${id}?provider_config_key=my-slack&force_refresh=true`);
        expect([refused.status, refused.body.error.code]).toEqual([400, 'invalid_credentials']);
        const [row] = await valetkey.query('select auth_state from connections where connection_id = $1', [id]);
        expect(row).toEqual({ auth_state: 'needs_reauth' });
    });
});
