/** What a provider may do wrong while somebody connects: the page is readable, the socket and the session know why, nothing is left behind. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createIntegration, createSession } from '../http/accounts.ts';
import { startTestApp, type TestApp } from '../http/app.ts';
import { startFaultyTokenServer, type Fault, type FaultyTokenServer } from '../peers/faulty-token-server.ts';
import { freePort } from '../peers/free-port.ts';
import { listen, readBody, type HttpServer } from '../peers/http-server.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../peers/webhook-receiver.ts';
import { consent, finishPopup, openPopup, sentenceOf } from './popup.ts';
import { oauth2Entry, providersFile } from './provider-entries.ts';
import { openCallback } from './user.ts';

const clientSecret = 'a client secret with / and & in it';

let server: FaultyTokenServer;
/** A token endpoint that answers as the test says. */
let scripted: HttpServer;
let script: (params: Record<string, string>) => { status: number; type?: string; body: string };
let receiver: WebhookReceiver;
let valetkey: TestApp;

beforeAll(async () => {
    server = await startFaultyTokenServer();
    scripted = await listen((request, response) => {
        void readBody(request).then((body) => {
            const answer = script(Object.fromEntries(new URLSearchParams(body.toString())));
            response.writeHead(answer.status, { 'content-type': answer.type ?? 'application/json' }).end(answer.body);
        });
    });
    receiver = await startWebhookReceiver();
    const at = (tokenEndpoint: string) => ({ authorizationEndpoint: server.authorizationEndpoint, tokenEndpoint });
    valetkey = await startTestApp({
        // the deadline of a token call
        waits: { 20_000: 2_500 },
        providers: providersFile(
            oauth2Entry('faulty', server),
            oauth2Entry('scripted', at(`http://127.0.0.1:${scripted.port}/token`)),
            oauth2Entry('nobody', at(`http://127.0.0.1:${await freePort()}/token`)),
        ),
    });
    await valetkey.listen();
    valetkey.app.startWork();
    await createIntegration(valetkey, 'faulty', 'faulty', {
        credentials: { type: 'OAUTH2', client_id: server.clientId, client_secret: server.clientSecret },
    });
    await createIntegration(valetkey, 'scripted', 'scripted', {
        credentials: { type: 'OAUTH2', client_id: server.clientId, client_secret: clientSecret },
    });
    await createIntegration(valetkey, 'nobody', 'nobody', {
        credentials: { type: 'OAUTH2', client_id: server.clientId, client_secret: clientSecret },
    });
    await valetkey.call('PATCH', '/environment/webhooks', { body: { primary_url: receiver.url } });
});

afterAll(async () => {
    await valetkey?.close();
    await Promise.all([server?.close(), scripted?.close(), receiver?.close()]);
});

beforeEach(() => server.fail(null));

/** Everything of one attempt that must not be seen by anybody. */
const secretsOf = (callbackUrl: string, token: string): string[] => [
    server.clientSecret,
    clientSecret,
    token,
    ...['code', 'state'].flatMap((name) => new URL(callbackUrl).searchParams.get(name) ?? []),
    ...server.requests.flatMap((request) => request.params['code_verifier'] ?? []),
];

/** Connects into a fault and asserts all that holds for every one of them. */
async function failing(
    integration: string,
    expected: { type: string; words: RegExp; webhook: string },
    fault?: { when: 'consent' | 'exchange'; is: Fault },
): Promise<void> {
    const token = await createSession(valetkey);
    const popup = await openPopup(valetkey.url, `/oauth/connect/${integration}?connect_session_token=${token}`, 'https://app.example');
    if (fault?.when === 'consent') {
        server.fail(fault.is);
    }
    const callbackUrl = await consent(popup.authorizationUrl);
    if (fault?.when === 'exchange') {
        server.fail(fault.is);
    }
    const { page, outcome } = await finishPopup(popup, callbackUrl);
    server.fail(null);
    popup.socket.close();

    // a page that a person can read, and that keeps the URL's secrets to itself
    expect(page.status).toBe(400);
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.headers.get('cache-control')).toBe('no-store');
    expect(page.headers.get('referrer-policy')).toBe('no-referrer');
    const csp = page.headers.get('content-security-policy') ?? '';
    const nonce = /script-src 'nonce-([\w+/=]+)'/.exec(csp)?.[1];
    expect(csp).toContain("default-src 'none'");
    expect(csp).toContain("frame-ancestors 'none'");
    expect(page.html).toContain(`<script nonce="${nonce}">`);
    expect(page.headers.get('cross-origin-opener-policy')).toBeNull();
    const sentence = sentenceOf(page.html);
    expect(sentence).toMatch(expected.words);
    expect(page.html).toContain('const openerOrigin = "https://app.example";');
    expect(page.html).toContain('"type":"nango_oauth_callback_error"');

    // the socket: a greeting and one error
    expect(popup.socket.frames.map((frame) => frame.message_type)).toEqual(['connection_ack', 'error']);
    expect(outcome).toMatchObject({
        provider_config_key: integration,
        connection_id: expect.any(String) as string,
        error_type: expected.type,
        error_desc: sentence,
    });

    // the session
    const session = await valetkey.call<{ data: { outcome: unknown } }>('GET', '/connect/session', { key: token });
    expect(session.body.data.outcome).toMatchObject({
        status: 'error',
        provider_config_key: integration,
        error: { type: expected.type, description: sentence },
    });

    // nothing stored, the flow spent
    expect(await valetkey.query('select 1 from connections')).toEqual([]);
    expect(await valetkey.query('select 1 from oauth_flows where consumed_at is null or sealed_secrets is not null')).toEqual([]);

    // the backend
    const delivery = await receiver.waitFor(({ body }) => body.toString().includes(outcome.connection_id!));
    expect(JSON.parse(delivery.body.toString())).toEqual({
        from: 'nango',
        type: 'auth',
        connectionId: outcome.connection_id,
        providerConfigKey: integration,
        authMode: 'OAUTH2',
        provider: integration,
        environment: 'dev',
        operation: 'creation',
        success: false,
        error: { type: expected.webhook, description: sentence },
    });

    const seen = [page.html, JSON.stringify(outcome), session.text, delivery.body.toString(), valetkey.log()].join('\n');
    for (const secret of secretsOf(callbackUrl, token)) {
        expect(seen).not.toContain(secret);
    }
}

test('the user refuses', () =>
    failing(
        'faulty',
        { type: 'callback_err', words: /did not grant access .*access_denied/, webhook: 'invalid_callback' },
        { when: 'consent', is: 'deny' },
    ));

describe('the token endpoint', () => {
    const unknown = (words: RegExp) => ({ type: 'unknown_err', words, webhook: 'unknown' });
    const unreadable = (words: RegExp) => ({ type: 'unknown_err', words, webhook: 'unable_to_parse_token_response' });

    test.each<[Fault, { type: string; words: RegExp; webhook: string }]>([
        ['deny', unknown(/answered 400 \(invalid_grant: denied\)/)],
        ['timeout', unknown(/did not answer in time/)],
        ['slow:5000', unknown(/did not answer in time/)],
        ['hang-up', unknown(/hung up/)],
        ['hang-up-after-redeeming', unknown(/hung up/)],
        ['html', unreadable(/an HTML page/)],
        ['empty', unreadable(/neither JSON nor form-encoded/)],
        ['not-json', unreadable(/neither JSON nor form-encoded/)],
        ['status:500', unknown(/answered 500/)],
        ['status:404', unknown(/answered 404/)],
        ['retry-after:7', unknown(/answered 503/)],
        ['huge', unknown(/far more than a token answer/)],
        ['redirect', unknown(/redirect \(302\), which is never followed/)],
        ['error-in-200', unknown(/answered 200 \(bad_refresh_token: incorrect or expired\)/)],
    ])('%s', async (fault, expected) => {
        await failing('faulty', expected, { when: 'exchange', is: fault });
        expect(server.requests.some((request) => request.path === '/elsewhere')).toBe(false);
    });

    test('nobody there', () => failing('nobody', unknown(/could not be reached \(connection_failed\)/)));

    test.each<[string, string]>([
        ['no token', '{"token_type":"bearer","expires_in":3600}'],
        ['an empty token', '{"access_token":""}'],
        ['a token that is no text', '{"access_token":{"value":"x"}}'],
        ['nothing but null', 'null'],
        ['a list', '["access_token"]'],
    ])('%s', async (_name, body) => {
        script = () => ({ status: 200, body });
        await failing('scripted', unreadable(/without an access token|neither JSON nor form-encoded/));
    });

    test('repeats our secrets, with control characters and characters that a cut goes through', async () => {
        script = (params) => ({
            status: 400,
            body: JSON.stringify({
                error: 'invalid_grant',
                error_description: `no\u0000 ${params['client_secret']} ${params['code']} ${params['code_verifier']} ${'😀'.repeat(200)}`,
            }),
        });
        await failing('scripted', unknown(/answered 400 \(invalid_grant: no \[redacted\] \[redacted\] \[redacted\] 😀/u));
    });

    test('answers with markup: it is shown as text', async () => {
        script = () => ({ status: 400, body: JSON.stringify({ error: '</script><img src=x onerror=alert(1)>' }) });
        await failing('scripted', unknown(/<img src=x/));
    });
});

describe('what is no fault', () => {
    const connect = async (integration: string, body?: Record<string, unknown>): Promise<{ token: string; connection: Record<string, unknown> }> => {
        const token = await createSession(valetkey, body);
        const popup = await openPopup(valetkey.url, `/oauth/connect/${integration}?connect_session_token=${token}`);
        const { page, outcome } = await finishPopup(popup, await consent(popup.authorizationUrl));
        popup.socket.close();
        expect([page.status, outcome], page.html).toEqual([
            200,
            { message_type: 'success', provider_config_key: integration, connection_id: expect.any(String) as string, is_pending: false },
        ]);
        const path = `/connections/${outcome.connection_id}?provider_config_key=${integration}&refresh_token=true`;
        const connection = (await valetkey.call<Record<string, unknown>>('GET', path)).body;
        await valetkey.query('delete from connections');
        return { token, connection };
    };

    test('a form-encoded answer, whatever was accepted', async () => {
        server.fail('form');
        const { connection } = await connect('faulty');
        expect(connection).toMatchObject({
            credentials: {
                type: 'OAUTH2',
                access_token: expect.stringMatching(/^access-/) as string,
                refresh_token: expect.stringMatching(/^refresh-/) as string,
                expires_at: expect.any(String) as string,
            },
        });
    });

    test('a clock that is wrong by a day', async () => {
        server.fail('clock-skew:-86400000');
        const { connection } = await connect('faulty');
        const { expires_at } = connection['credentials'] as { expires_at: string };
        expect(Math.abs(Date.parse(expires_at) - Date.now() - 3_600_000)).toBeLessThan(10_000);
    });

    test('after a fault the same session connects at the next attempt', async () => {
        const token = await createSession(valetkey);
        for (const fault of ['status:500', null] as const) {
            const popup = await openPopup(valetkey.url, `/oauth/connect/faulty?connect_session_token=${token}`);
            server.fail(fault);
            const { outcome } = await finishPopup(popup, await consent(popup.authorizationUrl));
            popup.socket.close();
            expect(outcome.message_type).toBe(fault === null ? 'success' : 'error');
        }
        const session = await valetkey.call('GET', '/connect/session', { key: token });
        expect(session.body).toMatchObject({ data: { outcome: { status: 'success' } } });
        await valetkey.query('delete from connections');
    });
});

test('the failure of a session with a webhook URL of its own is told there, and only there', async () => {
    const token = await createSession(valetkey, { tags: {}, webhook_url_override: `${receiver.url}own` });
    const popup = await openPopup(valetkey.url, `/oauth/connect/faulty?connect_session_token=${token}`);
    server.fail('status:500');
    const { outcome } = await finishPopup(popup, await consent(popup.authorizationUrl));
    popup.socket.close();
    const delivery = await receiver.waitFor(({ body }) => body.toString().includes(outcome.connection_id!));
    expect(delivery.path).toBe('/own');
});

test('a failed reconnect leaves the connection as it was', async () => {
    const first = await openPopup(valetkey.url, `/oauth/connect/faulty?connect_session_token=${await createSession(valetkey)}`);
    const { outcome } = await finishPopup(first, await consent(first.authorizationUrl));
    const path = `/connections/${outcome.connection_id}?provider_config_key=faulty&refresh_token=true`;
    const before = (await valetkey.call<{ credentials: unknown }>('GET', path)).body.credentials;
    const session = await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', {
        body: { connection_id: outcome.connection_id, integration_id: 'faulty' },
    });
    const again = await openPopup(valetkey.url, `/oauth/connect/faulty?connect_session_token=${session.body.data.token}`);
    const callbackUrl = await consent(again.authorizationUrl);
    server.fail('html');
    const { page, outcome: failed } = await finishPopup(again, callbackUrl);
    expect([page.status, failed.error_type, failed.connection_id]).toEqual([400, 'unknown_err', outcome.connection_id]);
    expect(await valetkey.call('GET', path)).toMatchObject({ status: 200, body: { credentials: before, errors: [] } });
    first.socket.close();
    again.socket.close();
});

test('a database that fails in the middle of a callback: a page, not JSON', async () => {
    const popup = await openPopup(valetkey.url, `/oauth/connect/faulty?connect_session_token=${await createSession(valetkey)}`);
    const callbackUrl = await consent(popup.authorizationUrl);
    await valetkey.query('alter table oauth_flows rename to oauth_flows_away');
    const page = await openCallback(callbackUrl, popup.cookie);
    await valetkey.query('alter table oauth_flows_away rename to oauth_flows');
    expect([page.status, page.headers.get('content-type')]).toEqual([500, 'text/html; charset=utf-8']);
    expect(sentenceOf(page.html)).toMatch(/unexpected/);
    // nothing was spent: the user reloads, and is connected
    const { outcome } = await finishPopup(popup, callbackUrl);
    expect(outcome.message_type).toBe('success');
    popup.socket.close();
});
