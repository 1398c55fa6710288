/** OAUTH1 against a server nobody here wrote: temporary credentials, consent, access token, a signed call; and what must come to nothing (S2, S16). */
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { oauth1Header } from '../../src/auth-modes/oauth1-signature.ts';
import { systemSources } from '../../src/sources.ts';
import { createIntegration, createSession } from '../http/accounts.ts';
import { startTestApp, type TestApp } from '../http/app.ts';
import { startOauth1Server, type Oauth1Server } from '../peers/oauth1-server.ts';
import { finishPopup, openPopup, sentenceOf, type Popup } from './popup.ts';
import { providersFile } from './provider-entries.ts';
import { openCallback } from './user.ts';

let server: Oauth1Server;
let valetkey: TestApp;
let token: string;

const entry = (name: string, extra: Record<string, unknown> = {}): Record<string, unknown> => ({
    [name]: {
        display_name: `Test ${name}`,
        categories: ['other'],
        auth_mode: 'OAUTH1',
        authorization_url: `${server.url}/authorize`,
        request_url: `${server.url}/request`,
        token_url: `${server.url}/token`,
        signature_method: 'HMAC-SHA1',
        proxy: { base_url: server.url },
        ...extra,
    },
});

beforeAll(async () => {
    server = await startOauth1Server();
    valetkey = await startTestApp({
        providers: providersFile(
            entry('plain'),
            // as trello and twitter are in the catalogue
            entry('particular', {
                authorization_params: { expiration: 'never' },
                request_params: { x_auth_access_type: 'write & read' },
                scope_separator: ',',
            }),
            entry('reading', { request_http_method: 'GET', token_http_method: 'GET', request_params: { tenant: 'a b' } }),
            entry('plaintext', { signature_method: 'PLAINTEXT' }),
        ),
    });
    await valetkey.listen();
    const credentials = { type: 'OAUTH1', client_id: server.consumerKey, client_secret: server.consumerSecret };
    for (const name of ['plain', 'reading', 'plaintext']) {
        await createIntegration(valetkey, name, name, { credentials });
    }
    await createIntegration(valetkey, 'particular', 'particular', { credentials: { ...credentials, scopes: 'read,write' } });
    await createIntegration(valetkey, 'wrong', 'plain', { credentials: { ...credentials, client_secret: 'another' } });
});

afterAll(async () => {
    await valetkey?.close();
    await server?.close();
});

beforeEach(async () => {
    server.faults.clear();
    server.requests.length = 0;
    token = await createSession(valetkey);
});

interface Connection {
    credentials: { type: string; oauth_token: string; oauth_token_secret: string; raw: Record<string, string> };
    connection_config: Record<string, unknown>;
    tags: Record<string, string>;
}

const open = (integration: string, query = '', session = token): Promise<Popup> =>
    openPopup(valetkey.url, `/oauth/connect/${integration}?connect_session_token=${session}${query}`);
const read = async (id: string, integration: string, query = ''): Promise<Connection> => {
    const answer = await valetkey.call<Connection>('GET', `/connections/${id}?provider_config_key=${integration}${query}`);
    expect(answer.status, answer.text).toBe(200);
    return answer.body;
};
const paths = (): string[] => server.requests.map(({ path }) => path);
const connections = async (): Promise<number> => (await valetkey.query('select 1 from connections where deleted_at is null')).length;

async function connect(integration: string, session = token): Promise<string> {
    const popup = await open(integration, '', session);
    const { page, outcome } = await finishPopup(popup, await server.authorize(popup.authorizationUrl));
    expect([page.status, outcome], page.html).toMatchObject([200, { message_type: 'success', is_pending: false }]);
    return outcome.connection_id!;
}

/** A callback that comes to nothing, and its sentence. */
async function refused(popup: Popup, callbackUrl: string, type: string, cookie = popup.cookie): Promise<string> {
    const before = await connections();
    const page = await openCallback(callbackUrl, cookie);
    expect([page.status, await popup.socket.outcome()], page.html).toMatchObject([400, { message_type: 'error', error_type: type }]);
    expect(await connections()).toBe(before);
    return sentenceOf(page.html);
}

describe('connecting', () => {
    test.each(['plain', 'particular', 'reading', 'plaintext'])('%s: the credentials are the provider’s answer, and sign a call', async (name) => {
        const connection = await read(await connect(name), name);
        expect(
            server.requests
                .filter(({ path }) => path !== '/authorize')
                .map(({ authorization }) => /signature_method="([^"]+)/.exec(authorization)?.[1]),
        ).toEqual(Array(2).fill(name === 'plaintext' ? 'PLAINTEXT' : 'HMAC-SHA1'));
        const { credentials } = connection;
        expect(credentials).toEqual({
            type: 'OAUTH1',
            oauth_token: credentials.raw['oauth_token'],
            oauth_token_secret: credentials.raw['oauth_token_secret'],
            raw: { oauth_token: expect.any(String) as string, oauth_token_secret: expect.any(String) as string, screen_name: 'ann & co' },
        });
        expect(connection.tags).toEqual({ end_user_id: 'user-1' });
        const url = new URL(`${server.url}/me?q=a%20b`);
        const keys = {
            consumerKey: server.consumerKey,
            consumerSecret: server.consumerSecret,
            token: credentials.oauth_token,
            tokenSecret: credentials.oauth_token_secret,
            method: 'HMAC-SHA1' as const,
        };
        const answer = await fetch(url, { headers: { authorization: oauth1Header({ method: 'GET', url }, keys, systemSources) } });
        expect([answer.status, await answer.text()]).toEqual([200, '{"name":"ann"}']);
    });

    test('the authorization page gets the temporary token, the scopes and the entry’s parameters; the callback carries the state', async () => {
        const popup = await open('particular', '&authorization_params[screen_name]=ann&authorization_params[oauth_token]=mine');
        const { oauth_callback, ...sent } = Object.fromEntries(new URL(popup.authorizationUrl).searchParams);
        expect(sent).toEqual({ oauth_token: expect.any(String) as string, scope: 'read,write', expiration: 'never', screen_name: 'ann' });
        expect(sent['oauth_token']).not.toBe('mine');
        expect(oauth_callback).toMatch(new RegExp(`^${valetkey.url}/oauth/callback\\?state=[\\w-]{43}$`));
        expect(server.requests[0]).toMatchObject({ method: 'POST', path: '/request', body: 'x_auth_access_type=write+%26+read' });
        expect(popup.cookie).toMatch(/^valetkey-flow-/);
        popup.socket.close();
    });

    test('nothing of the temporary credentials is stored in clear, and nothing secret is logged', async () => {
        const popup = await open('plain');
        const temporary = new URL(popup.authorizationUrl).searchParams.get('oauth_token')!;
        expect(JSON.stringify(await valetkey.query('select * from oauth_flows'))).not.toContain(temporary);
        const { outcome } = await finishPopup(popup, await server.authorize(popup.authorizationUrl));
        const { credentials } = await read(outcome.connection_id!, 'plain');
        const stored = JSON.stringify(await valetkey.query('select * from connections'));
        for (const secret of [credentials.oauth_token, credentials.oauth_token_secret, temporary, server.consumerSecret]) {
            expect([stored.includes(secret), valetkey.log().includes(secret)]).toEqual([false, false]);
        }
    });

    test('a reconnect replaces the credentials; a forced renewal asks nobody; a deletion frees the id', async () => {
        const id = await connect('plain');
        const before = await read(id, 'plain');
        const session = await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', {
            body: { connection_id: id, integration_id: 'plain' },
        });
        expect(await connect('plain', session.body.data.token)).toBe(id);
        const after = await read(id, 'plain');
        expect(after.credentials.oauth_token).not.toBe(before.credentials.oauth_token);
        expect(after.tags).toEqual(before.tags);
        const calls = server.requests.length;
        expect(await read(id, 'plain', '&force_refresh=true')).toMatchObject({ credentials: after.credentials, errors: [] });
        expect(server.requests.length).toBe(calls);
        expect((await valetkey.call('DELETE', `/connections/${id}?provider_config_key=plain`)).status).toBe(200);
        expect((await valetkey.call('GET', `/connections/${id}?provider_config_key=plain`)).status).toBe(404);
    });
});

describe('the first half fails with token_err', () => {
    const begin = async (integration = 'plain'): Promise<{ type: string; sentence: string }> => {
        const popup = await open(integration);
        expect(popup.first.status).toBe(400);
        const outcome = await popup.socket.outcome();
        expect(outcome.error_desc).toBe(sentenceOf(popup.firstText));
        return { type: outcome.error_type!, sentence: outcome.error_desc! };
    };

    test('a wrong consumer secret, in the words of the server', async () => {
        expect(await begin('wrong')).toEqual({ type: 'token_err', sentence: expect.stringContaining('401 (signature_invalid)') as string });
    });

    test('an outage', async () => {
        server.faults.set('/request', (response) => response.destroy());
        expect((await begin()).type).toBe('token_err');
        server.faults.set('/request', (response) => response.writeHead(503).end('later'));
        expect(await begin()).toEqual({ type: 'token_err', sentence: expect.stringContaining('503') as string });
    });

    test('a callback that is not confirmed (RFC 5849 §2.1)', async () => {
        server.faults.set('/request', (response) => response.end('oauth_token=t&oauth_token_secret=s'));
        expect(await begin()).toEqual({ type: 'token_err', sentence: expect.stringContaining('oauth_callback_confirmed') as string });
        server.faults.set('/request', (response) => response.end('oauth_token=t&oauth_token_secret=s&oauth_callback_confirmed=false'));
        expect((await begin()).type).toBe('token_err');
    });

    test('an answer without a token, or in HTML', async () => {
        server.faults.set('/request', (response) => response.end('oauth_token_secret=s&oauth_callback_confirmed=true'));
        expect((await begin()).type).toBe('token_err');
        server.faults.set('/request', (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>oauth_token=a</html>'));
        expect((await begin()).type).toBe('token_err');
    });

    test('a redirect, which is not followed', async () => {
        server.faults.set('/request', (response) => response.writeHead(307, { location: `${server.url}/elsewhere` }).end());
        expect(await begin()).toEqual({ type: 'token_err', sentence: expect.stringContaining('307') as string });
        expect(paths()).toEqual(['/request']);
    });
});

describe('the second half comes to nothing', () => {
    test('when the user refuses', async () => {
        const popup = await open('plain');
        await refused(popup, await server.authorize(popup.authorizationUrl, 'deny'), 'callback_err');
        expect(paths()).not.toContain('/token');
    });

    test('when the user refuses, in the words of Twitter: with the token that was issued, and no other', async () => {
        const deniedWith = async (change: (token: string) => string): Promise<string> => {
            const popup = await open('plain');
            const callback = new URL(await server.authorize(popup.authorizationUrl));
            const issued = callback.searchParams.get('oauth_token')!;
            for (const name of ['oauth_token', 'oauth_verifier']) callback.searchParams.delete(name);
            callback.searchParams.set('denied', change(issued));
            return refused(popup, callback.href, 'callback_err');
        };
        expect(await deniedWith((issued) => issued)).toBe('The provider did not grant access (denied).');
        expect(await deniedWith((issued) => `${issued}x`)).toBe('The provider sent no oauth_token.');
        expect(paths()).not.toContain('/token');
    });

    test('when the token is not the one that was issued', async () => {
        const [popup, other] = [await open('plain'), await open('plain')];
        const callback = new URL(await server.authorize(popup.authorizationUrl));
        const foreign = new URL(await server.authorize(other.authorizationUrl));
        for (const name of ['oauth_token', 'oauth_verifier']) {
            callback.searchParams.set(name, foreign.searchParams.get(name)!);
        }
        await refused(popup, callback.href, 'callback_err');
        expect(paths()).not.toContain('/token');
        other.socket.close();
    });

    test('without a verifier, or with another', async () => {
        const popup = await open('plain');
        const bare = new URL(await server.authorize(popup.authorizationUrl));
        bare.searchParams.delete('oauth_verifier');
        expect(await refused(popup, bare.href, 'callback_err')).toBe('The provider sent no oauth_verifier.');
        const second = await open('plain');
        const wrong = new URL(await server.authorize(second.authorizationUrl));
        wrong.searchParams.set('oauth_verifier', 'guessed');
        await refused(second, wrong.href, 'unknown_err');
    });

    test('in another browser, and then in this one too: the attempt is spent', async () => {
        const popup = await open('plain');
        const callback = await server.authorize(popup.authorizationUrl);
        await refused(popup, callback, 'state_cookie_err', '');
        const again = await openCallback(callback, popup.cookie);
        expect(again.status).toBe(400);
        expect(paths()).not.toContain('/token');
    });

    test('when it is replayed', async () => {
        const popup = await open('plain');
        const callback = await server.authorize(popup.authorizationUrl);
        await finishPopup(popup, callback);
        const before = [await connections(), server.requests.length];
        expect((await openCallback(callback, popup.cookie)).status).toBe(400);
        expect([await connections(), server.requests.length]).toEqual(before);
    });

    test('when the server is away, redirects, or answers without a secret', async () => {
        const faults: ((response: ServerResponse) => void)[] = [
            (response) => response.destroy(),
            (response) => void response.writeHead(302, { location: `${server.url}/me` }).end(),
            (response) => void response.end('oauth_token=only'),
        ];
        for (const fault of faults) {
            const popup = await open('plain');
            const callback = await server.authorize(popup.authorizationUrl);
            server.faults.set('/token', fault);
            await refused(popup, callback, 'unknown_err');
            server.faults.clear();
        }
        expect(paths()).not.toContain('/me');
    });
});

test('an integration without a consumer is not begun', async () => {
    await createIntegration(valetkey, 'unfinished', 'plain', {
        credentials: { type: 'OAUTH1', client_id: 'c', client_secret: 's' },
    });
    await valetkey.query(`update integrations set oauth_client_id = null where unique_key = 'unfinished'`);
    const popup = await open('unfinished');
    expect(await popup.socket.outcome()).toMatchObject({ error_type: 'provider_config_err' });
    expect(paths()).toEqual([]);
});
