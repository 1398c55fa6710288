/** Attacks on redirect flows: state, browser binding, issuer, parameters (auth-modes §19.2 S1–S9, §19.3 N3, §20.2 no. 8). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createIntegration, createSession } from '../http/accounts.ts';
import { startTestApp, type TestApp } from '../http/app.ts';
import { startFaultyTokenServer, type FaultyTokenServer } from '../peers/faulty-token-server.ts';
import { listen, type HttpServer } from '../peers/http-server.ts';
import { consent, finishPopup, openPopup, sentenceOf, type Frame, type Popup } from './popup.ts';
import { oauth2Entry, providersFile } from './provider-entries.ts';
import { openCallback } from './user.ts';

let server: FaultyTokenServer;
/** A token endpoint that also names where the account lives. */
let namer: HttpServer;
let valetkey: TestApp;
let token: string;

beforeAll(async () => {
    server = await startFaultyTokenServer();
    namer = await listen(
        (_request, response) => void response.end(JSON.stringify({ access_token: 'named', instance_url: 'https://na1.example.com', extra: 'x' })),
    );
    valetkey = await startTestApp({
        providers: providersFile(
            oauth2Entry('plain', server),
            oauth2Entry(
                'named',
                { ...server, tokenEndpoint: `http://127.0.0.1:${namer.port}/` },
                { token_response_metadata: ['instance_url'], redirect_uri_metadata: ['realm'] },
            ),
        ),
    });
    await valetkey.listen();
    const credentials = { type: 'OAUTH2', client_id: server.clientId, client_secret: server.clientSecret };
    await createIntegration(valetkey, 'plain', 'plain', { credentials });
    await createIntegration(valetkey, 'named', 'named', { credentials });
});

afterAll(async () => {
    await valetkey?.close();
    await Promise.all([server?.close(), namer?.close()]);
});

beforeEach(async () => {
    token = await createSession(valetkey);
});

const open = (integration = 'plain', query = ''): Promise<Popup> =>
    openPopup(valetkey.url, `/oauth/connect/${integration}?connect_session_token=${token}${query}`);
const tokenCalls = (): number => server.requests.filter((request) => request.path === '/token').length;
const connections = async (): Promise<number> => (await valetkey.query('select 1 from connections where deleted_at is null')).length;
const isSpent = async (): Promise<boolean> =>
    (await valetkey.query('select 1 from oauth_flows where consumed_at is null or sealed_secrets is not null')).length === 0;
const sessionOutcome = async (): Promise<{ status: string; error?: { type: string } } | null> =>
    (await valetkey.call<{ data: { outcome: { status: string; error?: { type: string } } | null } }>('GET', '/connect/session', { key: token })).body
        .data.outcome;

/** A callback that must come to nothing: no token call, no connection, the flow spent. */
async function refused(popup: Popup, callbackUrl: string, cookie: string): Promise<{ sentence: string; outcome: Frame }> {
    const before = [tokenCalls(), await connections()];
    const page = await openCallback(callbackUrl, cookie);
    expect([page.status, page.headers.get('content-type')]).toEqual([400, 'text/html; charset=utf-8']);
    const outcome = await popup.socket.outcome();
    expect([tokenCalls(), await connections(), await isSpent()]).toEqual([...before, true]);
    // the honest browser cannot finish what was spent
    expect((await openCallback(callbackUrl, popup.cookie)).status).toBe(400);
    expect([tokenCalls(), await connections()]).toEqual(before);
    popup.socket.close();
    return { sentence: sentenceOf(page.html), outcome };
}

describe('state', () => {
    test('is good once, also when two use it at the same moment', async () => {
        const popup = await open();
        const callbackUrl = await consent(popup.authorizationUrl);
        const calls = tokenCalls();
        const pages = await Promise.all(Array.from({ length: 6 }, () => openCallback(callbackUrl, popup.cookie)));
        expect(pages.map((page) => page.status).toSorted()).toEqual([200, 400, 400, 400, 400, 400]);
        expect(tokenCalls() - calls).toBe(1);
        expect((await popup.socket.outcome()).message_type).toBe('success');
        // the losers do not speak on the socket, nor over the session's outcome
        await new Promise((resolve) => setTimeout(resolve, 100));
        expect(popup.socket.frames.map((frame) => frame.message_type)).toEqual(['connection_ack', 'success']);
        expect(await sessionOutcome()).toMatchObject({ status: 'success' });
        const replay = await openCallback(callbackUrl, popup.cookie);
        expect([replay.status, sentenceOf(replay.html)]).toEqual([400, expect.stringMatching(/unknown or was finished before/) as string]);
        popup.socket.close();
    });

    test('dies after ten minutes', async () => {
        const popup = await open();
        const callbackUrl = await consent(popup.authorizationUrl);
        await valetkey.query(`update oauth_flows set expires_at = now() - interval '1 second' where consumed_at is null`);
        const { sentence, outcome } = await refused(popup, callbackUrl, popup.cookie);
        expect([outcome.error_type, sentence]).toEqual(['state_err', expect.stringMatching(/expired/) as string]);
        expect(await sessionOutcome()).toMatchObject({ status: 'error', error: { type: 'state_err' } });
    });

    test.each([
        ['missing', ''],
        ['empty', '?state=&code=c'],
        ['made up', '?state=made-up&code=c'],
        ['a UUID', '?state=0f8fad5b-d9cb-469f-a165-70867728950e&code=c'],
        ['given twice', '?state=a&state=b&code=c'],
        ['an object', '?state[a]=b&code=c'],
        ['hostile', `?state=${encodeURIComponent("'; drop table connections; --")}%00&code=c`],
        ['markup', '?state=%3Cscript%3E&error=%3Cscript%3Ealert(1)%3C%2Fscript%3E'],
    ])('%s: a page, and nobody is told', async (_name, query) => {
        const page = await openCallback(`${valetkey.url}/oauth/callback${query}`, '');
        expect([page.status, page.headers.get('content-type')]).toEqual([400, 'text/html; charset=utf-8']);
        expect(page.headers.get('cache-control')).toBe('no-store');
        expect(page.html).not.toContain('<script>');
        expect(await valetkey.query('select 1 from oauth_flows where outcome is not null and consumed_at is null')).toEqual([]);
    });

    test('an installation callback without state is not sent on to wherever the request came from', async () => {
        const response = await fetch(`${valetkey.url}/oauth/callback?installation_id=1&setup_action=install`, {
            headers: { referer: 'https://evil.example/' },
            redirect: 'manual',
        });
        expect([response.status, response.headers.get('location')]).toEqual([200, null]);
    });

    test('a code given twice is no code', async () => {
        const popup = await open();
        const callbackUrl = await consent(popup.authorizationUrl);
        const { outcome } = await refused(popup, `${callbackUrl}&code=mine`, popup.cookie);
        expect(outcome.error_type).toBe('callback_err');
    });
});

describe('the browser that began', () => {
    test.each<[string, (cookie: string) => string]>([
        ['no cookie', () => ''],
        ['another value', (cookie) => cookie.replace(/=.*/, '=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA')],
        ['an empty value', (cookie) => cookie.replace(/=.*/, '=')],
        ['the value under another name', (cookie) => cookie.replace(/^[^=]*/, 'valetkey-flow-000000000000')],
    ])('%s: refused, the flow spent, the backend not told', async (_name, forge) => {
        const popup = await open();
        const { outcome } = await refused(popup, await consent(popup.authorizationUrl), forge(popup.cookie));
        expect(outcome.error_type).toBe('state_cookie_err');
        expect(await sessionOutcome()).toMatchObject({ status: 'error', error: { type: 'state_cookie_err' } });
    });

    test('the cookie of another flow of the same browser does not do either', async () => {
        const [mine, other] = [await open(), await open()];
        const otherCallback = await consent(other.authorizationUrl);
        const callbackUrl = await consent(mine.authorizationUrl);
        const page = await openCallback(callbackUrl, other.cookie);
        expect([page.status, (await mine.socket.outcome()).error_type]).toEqual([400, 'state_cookie_err']);
        // both at once is what a browser with two popups sends
        expect((await openCallback(otherCallback, `${mine.cookie}; ${other.cookie}`)).status).toBe(200);
        mine.socket.close();
        other.socket.close();
    });

    test('the cookie is taken back when the flow is over', async () => {
        const popup = await open();
        const { page } = await finishPopup(popup, await consent(popup.authorizationUrl));
        const name = popup.cookie.split('=')[0];
        expect(page.headers.getSetCookie()).toEqual([expect.stringMatching(new RegExp(`^${name}=; .*Expires=Thu, 01 Jan 1970`))]);
        popup.socket.close();
    });

    test('where callbacks are forwarded by a server, a missing cookie passes and a wrong one does not', async () => {
        await valetkey.call('PATCH', '/environment', { body: { accepts_forwarded_callbacks: true } });
        const forwarded = await open();
        expect((await openCallback(await consent(forwarded.authorizationUrl), '')).status).toBe(200);
        const foreign = await open();
        const { outcome } = await refused(foreign, await consent(foreign.authorizationUrl), foreign.cookie.replace(/=.*/, '=wrong'));
        expect(outcome.error_type).toBe('state_cookie_err');
        await valetkey.call('PATCH', '/environment', { body: { accepts_forwarded_callbacks: false } });
        forwarded.socket.close();
    });
});

describe('the issuer (RFC 9207)', () => {
    test.each(['https://evil.example', 'http://127.0.0.1:1', '', 'not a url', '__own__&iss=https://evil.example'])(
        '"%s" was not asked',
        async (issuer) => {
            const popup = await open();
            const callbackUrl = await consent(popup.authorizationUrl);
            const value = issuer.startsWith('__own__') ? `${server.url}${issuer.slice('__own__'.length)}` : encodeURIComponent(issuer);
            const { outcome } = await refused(popup, `${callbackUrl}&iss=${value}`, popup.cookie);
            expect(outcome.error_type).toBe('state_err');
        },
    );

    test('its own name is accepted', async () => {
        const popup = await open();
        const { page } = await finishPopup(popup, `${await consent(popup.authorizationUrl)}&iss=${encodeURIComponent(`${server.url}/tenant`)}`);
        expect(page.status).toBe(200);
        popup.socket.close();
    });
});

describe('parameters that only the server sets', () => {
    const reserved = [
        'response_type',
        'client_id',
        'redirect_uri',
        'state',
        'code_challenge',
        'code_challenge_method',
        'request',
        'request_uri',
        'nonce',
        'Redirect_URI',
        'STATE',
    ];

    test.each([...reserved, 'scope', 'resource'])('authorization_params[%s] from a browser', async (name) => {
        for (const query of [`&authorization_params[${name}]=evil`, `&authorization_params%5B${name}%5D=undefined`]) {
            const popup = await open('plain', query);
            expect(popup.first.status).toBe(400);
            expect(popup.first.headers.get('location')).toBeNull();
            expect(sentenceOf(popup.firstText)).toContain(`"${name}"`);
            expect(await popup.socket.outcome()).toMatchObject({ message_type: 'error', provider_config_key: 'plain', error_type: 'url_param_err' });
            popup.socket.close();
        }
        expect(await valetkey.query('select 1 from oauth_flows where consumed_at is null')).toEqual([]);
    });

    test.each(reserved)('authorization_params %s from a backend', async (name) => {
        token = await createSession(valetkey, { tags: {}, integrations_config_defaults: { plain: { authorization_params: { [name]: 'x' } } } });
        const popup = await open();
        expect([popup.first.status, (await popup.socket.outcome()).error_type]).toEqual([400, 'url_param_err']);
        popup.socket.close();
    });

    test('they cannot be smuggled in through a prepared flow', async () => {
        const answer = await valetkey.call<{ data: { url: string } }>('POST', '/oauth/flows', {
            key: token,
            body: { provider_config_key: 'plain', authorization_params: { state: 'mine' } },
        });
        const popup = await openPopup(valetkey.url, answer.body.data.url.slice(valetkey.url.length));
        expect([popup.first.status, (await popup.socket.outcome()).error_type]).toEqual([400, 'url_param_err']);
        popup.socket.close();
    });

    test.each([
        'instance_url', // of the token answer
        'realm', // of the callback
        'pending',
        'oauth_client_secret_override',
        'userCredentials',
        'jwtToken',
        'overrideTokenRefresh',
    ])('params[%s] from a browser', async (name) => {
        const popup = await open('named', `&params[${name}]=https://evil.example`);
        expect(popup.first.status).toBe(400);
        expect(sentenceOf(popup.firstText)).toContain(`"${name}"`);
        expect(popup.firstText).not.toContain('evil.example');
        expect((await popup.socket.outcome()).error_type).toBe('url_param_err');
        popup.socket.close();
    });

    test('what the provider says of the account is taken from the provider', async () => {
        const popup = await open('named', '&params[note]=mine');
        const { page, outcome } = await finishPopup(popup, `${await consent(popup.authorizationUrl)}&realm=r-1&instance_url=https://evil.example`);
        expect(page.status, page.html).toBe(200);
        const connection = await valetkey.call('GET', `/connections/${outcome.connection_id}?provider_config_key=named`);
        expect(connection.body).toMatchObject({ connection_config: { note: 'mine', instance_url: 'https://na1.example.com', realm: 'r-1' } });
        expect(connection.text).not.toContain('evil.example');
        popup.socket.close();
    });
});
