/** What the operation log tells of a connect, a renewal and a deletion: each step, what was said to the provider, what came back (§5.1, §5.2). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { apiKeyEntry, oauth2Entry, providersFile } from '../e2e/provider-entries.ts';
import { eventually } from '../e2e/valetkey.ts';
import { listen, readBody, type HttpServer } from '../peers/http-server.ts';
import { connectKey, createIntegration, createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type TestApp } from './app.ts';

interface Message {
    type: string;
    level: string;
    message: string;
    error: { type: string } | null;
    request: { method: string; url: string; headers: Record<string, string> } | null;
    response: { code: number; headers: Record<string, string> } | null;
    retry: unknown;
    meta: Record<string, unknown> | null;
    createdAt: string;
    endedAt: string | null;
    durationMs: number | null;
}
interface Logged {
    id: string;
    state: string;
    message: string;
    operation: { type: string; action: string };
    integrationName: string | null;
    expiresAt: string | null;
    createdAt: string;
}

let provider: HttpServer;
let valetkey: TestApp;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
const grant = (_request: IncomingMessage, response: ServerResponse): void =>
    void response
        .writeHead(200, { 'content-type': 'application/json', 'x-request-id': 'r-1' })
        .end(JSON.stringify({ access_token: 'the-access-token', refresh_token: 'the-refresh-token', expires_in: 3600, scope: 'read other' }));
const refuse = (_request: IncomingMessage, response: ServerResponse): void =>
    void response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ error: 'invalid_grant' }));

beforeAll(async () => {
    provider = await listen((request, response) => void readBody(request).then(() => answer(request, response)));
    const base = `http://127.0.0.1:${provider.port}`;
    const endpoints = { authorizationEndpoint: 'https://login.example.com/authorize', tokenEndpoint: `${base}/token` };
    valetkey = await startTestApp({
        providers: providersFile(
            oauth2Entry('oauth', endpoints, { revocation_url: `${base}/revoke`, scope_separator: ' ' }),
            apiKeyEntry('keys', base),
            untestedKeyEntry('untested'),
        ),
        waits: { 1000: 1 },
    });
    await createIntegration(valetkey, 'oauth', 'oauth', {
        credentials: { type: 'OAUTH2', client_id: 'the-client', client_secret: 'the-client-secret', scopes: 'read,write' },
    });
    await createIntegration(valetkey, 'keys', 'keys');
    await createIntegration(valetkey, 'untested', 'untested');
});
afterAll(async () => {
    await valetkey?.close();
    await provider?.close();
});
beforeEach(async () => {
    answer = grant;
    await valetkey.query('delete from operation_messages');
    await valetkey.query('delete from operations');
});

const operations = async (): Promise<Logged[]> => (await valetkey.call<{ data: Logged[] }>('GET', '/logs/operations')).body.data;
const messagesOf = async ({ id }: Logged): Promise<Message[]> =>
    (await valetkey.call<{ data: Message[] }>('GET', `/logs/operations/${id}/messages`)).body.data;
/** The one operation, as a person would read it. */
const story = async (): Promise<{ operation: Logged; messages: Message[]; told: string[] }> => {
    const [operation, ...others] = await operations();
    expect(others).toEqual([]);
    const messages = await messagesOf(operation!);
    return { operation: operation!, messages, told: messages.map(({ level, message }) => `${level}: ${message}`) };
};
const place = (path: string): string => `127.0.0.1:${provider.port}${path}`;

/** The popup, without a browser. @returns the callback's answer, and the moment at which the browser was sent away */
async function connect(token: string, query = 'code=the-code'): Promise<void> {
    const started = await valetkey.call('GET', `/oauth/connect/oauth?connect_session_token=${token}`, { key: null });
    expect(started.status).toBe(302);
    const state = new URL(started.headers['location']!).searchParams.get('state')!;
    const cookie = [started.headers['set-cookie']].flat().join('; ').split(';')[0]!;
    await valetkey.call('GET', `/oauth/callback?state=${state}&${query}`, { key: null, headers: { cookie } });
}

describe('a connect through consent', () => {
    test('is told from the session to the connection', async () => {
        await connect(await createSession(valetkey));
        const { operation, messages, told } = await story();
        expect(operation).toMatchObject({ state: 'success', operation: { type: 'auth', action: 'create_connection' }, integrationName: 'oauth' });
        expect(told).toEqual([
            'info: Connect session created',
            'info: Attempt begun: consent at the provider',
            'info: Browser sent to the provider',
            'info: Browser came back from the provider',
            `info: POST ${place('/token')}: 200`,
            'info: Access granted',
            'info: Connection created',
        ]);
        expect(messages[1]!.meta).toEqual({ integration: 'oauth', provider: 'oauth', auth_mode: 'OAUTH2' });
        expect(messages[2]!.meta).toEqual({ authorization_host: 'login.example.com' });
        expect(messages[5]!.meta).toMatchObject({ refresh_token: true, scopes_not_in_answer: ['write'] });
        expect(messages[4]).toMatchObject({
            type: 'http',
            error: null,
            request: { method: 'POST', url: `http://${place('/token')}`, headers: { 'content-type': 'application/x-www-form-urlencoded' } },
            response: { code: 200, headers: { 'content-type': 'application/json', 'x-request-id': 'r-1' } },
            durationMs: expect.any(Number) as number,
        });
        expect(messages[4]!.endedAt! >= messages[4]!.createdAt).toBe(true);
        expect(messages.map(({ createdAt }) => createdAt)).toEqual(messages.map(({ createdAt }) => createdAt).toSorted());
        expect(JSON.stringify(messages)).not.toMatch(/the-code|the-client|the-access-token|the-refresh-token|other/);
    });

    test('is told while the person is still away', async () => {
        const token = await createSession(valetkey);
        await valetkey.call('GET', `/oauth/connect/oauth?connect_session_token=${token}`, { key: null });
        const { operation, told } = await story();
        expect(operation).toMatchObject({ state: 'running', integrationName: 'oauth' });
        expect(told.at(-1)).toBe('info: Browser sent to the provider');
    });

    test('that fails says what came back, and one that nobody answered says that', async () => {
        answer = refuse;
        const token = await createSession(valetkey);
        await connect(token);
        expect((await story()).operation.state).toBe('failed');
        expect((await story()).told.slice(-2)).toEqual([
            `error: POST ${place('/token')}: 400`,
            'error: The token endpoint answered 400 (invalid_grant).',
        ]);
        answer = (request) => request.socket.destroy();
        await connect(token);
        const { messages } = await story();
        expect(messages.at(-2)).toMatchObject({ level: 'error', response: null, error: { type: 'connection_lost' } });
        await connect(token, 'error=access_denied&error_description=no');
        const { told } = await story();
        expect(told.slice(-2)).toEqual([
            'warn: Browser came back with an error of the provider',
            'error: The provider did not grant access (error: access_denied, error_description: no).',
        ]);
    });
});

test('typed-in credentials: what the provider said of them, or that it was not asked', async () => {
    const begun = 'info: Attempt begun: typed-in credentials';
    const token = await createSession(valetkey);
    answer = (_request, response) => void response.writeHead(401, { 'www-authenticate': 'Bearer realm="the-typed-key"' }).end();
    await valetkey.call('POST', `/api-auth/api-key/keys?connect_session_token=${token}`, { key: null, body: { apiKey: 'the-typed-key' } });
    const refused = await story();
    expect(refused.operation.state).toBe('failed');
    expect(refused.told.slice(1, 3)).toEqual([begun, `error: GET ${place('/me')}: 401`]);
    expect(refused.messages[2]).toMatchObject({
        request: { headers: { authorization: 'REDACTED' } },
        response: { headers: { 'www-authenticate': 'Bearer' } },
    });
    answer = grant;
    await connectKey(valetkey, 'keys', token);
    expect((await story()).told.slice(-4)).toEqual([
        begun,
        `info: GET ${place('/me')}: 200`,
        'info: The provider accepted the credentials',
        'info: Connection created',
    ]);
    await connectKey(valetkey, 'untested', token);
    expect((await story()).told.at(-2)).toBe('info: The credentials were taken as they are: there is nothing to test them with');
});

test('an import, and the reconnect of what it made', async () => {
    const body = { provider_config_key: 'keys', connection_id: 'imported', credentials: { type: 'API_KEY', apiKey: 'a-key-of-theirs' } };
    expect((await valetkey.call('POST', '/connections', { body })).status).toBe(201);
    const { operation, told } = await story();
    expect(operation).toMatchObject({ state: 'success', operation: { action: 'create_connection' } });
    expect(told[0]).toBe('info: Attempt begun: import');
    expect(told.at(-1)).toBe('info: Connection imported');

    await valetkey.query('delete from operations');
    const reconnect = { body: { connection_id: 'imported', integration_id: 'keys' } };
    const session = await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', reconnect);
    const [waiting] = await operations();
    expect(Date.parse(waiting!.expiresAt!) - Date.parse(waiting!.createdAt)).toBe(24 * 3600_000);
    await connectKey(valetkey, 'keys', session.body.data.token);
    expect((await story()).told.at(-1)).toBe('info: Connection renewed by its user');
});

test('a session that is deleted ends as cancelled', async () => {
    const token = await createSession(valetkey);
    await valetkey.call('DELETE', '/connect/session', { key: token });
    expect((await story()).operation.state).toBe('cancelled');
});

test('a renewal that fails tells of each attempt; one that succeeds is a row', async () => {
    await connect(await createSession(valetkey));
    const [{ connection_id: id }] = (await valetkey.query(
        'select connection_id from connections where deleted_at is null order by created_at desc',
    )) as [{ connection_id: string }];
    await valetkey.query('delete from operations');
    const renew = () => valetkey.call('GET', `/connections/${id}?provider_config_key=oauth&force_refresh=true`);
    expect((await renew()).status).toBe(200);
    const { told } = await story();
    expect(told).toEqual([]);

    await valetkey.query('delete from operations');
    answer = refuse;
    expect((await renew()).status).toBe(400);
    const { operation, messages } = await story();
    expect(operation).toMatchObject({ state: 'failed', operation: { action: 'refresh_token' } });
    expect(messages.map(({ response, retry }) => [response?.code, retry])).toEqual([
        [400, { attempt: 1, max: 3, waited: 0 }],
        [400, { attempt: 2, max: 3, waited: 1000 }],
        [undefined, null],
    ]);

    await valetkey.query('delete from operations');
    answer = (_request, response) => void response.writeHead(503).end();
    await valetkey.call('DELETE', `/connections/${id}?provider_config_key=oauth`);
    await eventually(async () => {
        const deletion = await story();
        expect(deletion.operation.operation).toEqual({ type: 'connection', action: 'delete' });
        expect(deletion.told).toEqual([
            'info: Connection deleted',
            `error: POST ${place('/revoke')}: 503`,
            'warn: Connection deleted; its grant could not be revoked',
        ]);
    });
});
