/** POST /connect/telemetry: beacons of the Connect UI (http-api §4.5, §1.9). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSession } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';
import { issues } from './sessions.ts';

const connectUi = 'https://connect.example.org';
let valetkey: TestApp;
let token: string;

beforeAll(async () => {
    valetkey = await startTestApp({
        env: { VALETKEY_CONNECT_UI_URL: `${connectUi}/ui`, VALETKEY_PUBLIC_URL: 'https://api.example.org/vk', VALETKEY_CONNECT_UI_PORT: '3009' },
    });
    token = await createSession(valetkey);
});

afterAll(() => valetkey?.close());

const send = (body: unknown, headers: Record<string, string> = {}, query = ''): Promise<Answer<unknown>> =>
    valetkey.call('POST', `/connect/telemetry${query}`, { key: null, body, headers });
const hoursFromNow = (hours: number): string => new Date(Date.now() + hours * 3_600_000).toISOString();
const beacon = (more: object = {}): Record<string, unknown> => ({ token, event: 'open', timestamp: hoursFromNow(0), ...more });
const said = () =>
    valetkey.query<{ level: string; message: string; source: string; meta: Record<string, unknown> }>(
        `select level, message, source, meta from operation_messages where source = 'user' order by id`,
    );

describe('a beacon', () => {
    test('is a message of the attempt, which names the integration and not the token', async () => {
        const answer = await send(beacon({ event: 'click:connect', timestamp: 'x', dimensions: {} }));
        expect(answer.status).toBe(400);
        const at = hoursFromNow(0);
        const sent = await send(beacon({ event: 'click:connect', timestamp: at, dimensions: { integration: 'keys', later: 'ignored' } }));
        expect([sent.status, sent.text]).toEqual([204, '']);
        expect(await said()).toEqual([
            {
                level: 'info',
                message: 'Connect UI: click:connect',
                source: 'user',
                meta: { event: 'click:connect', sent_at: at, integration: 'keys' },
            },
        ]);
        const [session] = await valetkey.query<{ operation_id: string }>('select operation_id from connect_sessions');
        const operations = await valetkey.query('select operation_id from operation_messages where source = $1', ['user']);
        expect(operations).toEqual([session]);
        expect(valetkey.log()).not.toContain(token);
    });

    test.each([
        ['popup:blocked_by_browser', 'error'],
        ['popup:closed_early', 'error'],
        ['view:unknown_error', 'error'],
        ['view:credentials_error', 'error'],
        ['view:success', 'info'],
    ])('%s is of level %s', async (event, level) => {
        await send(beacon({ event }));
        expect((await said()).at(-1)).toMatchObject({ level, meta: { event } });
    });

    test('that opens says in which browser', async () => {
        await send(beacon(), { 'user-agent': `Mozilla/5.0 ${'x'.repeat(1000)}` });
        expect((await said()).at(-1)!.meta['user_agent']).toMatch(/^Mozilla\/5\.0 x{288}$/);
    });

    test('is dropped where there are two hundred', async () => {
        token = await createSession(valetkey);
        const before = (await said()).length;
        for (let sent = 0; sent < 205; sent += 1) {
            expect((await send(beacon({ event: 'view:list' }))).status).toBe(204);
        }
        expect((await said()).length - before).toBe(200);
        token = await createSession(valetkey);
    });

    test.each([
        'open',
        'view:list',
        'view:integration',
        'view:unknown_error',
        'view:credentials_error',
        'view:success',
        'click:integration',
        'click:doc',
        'click:doc_section',
        'click:connect',
        'click:close',
        'click:finish',
        'click:outside',
        'popup:blocked_by_browser',
        'popup:closed_early',
    ])('may say %s', async (event) => {
        expect((await send(beacon({ event }))).status).toBe(204);
    });

    test.each<[string, () => unknown]>([
        ['ISO 8601', () => hoursFromNow(0)],
        ['milliseconds', () => Date.now()],
        ['nearly two hours ago', () => hoursFromNow(-1.99)],
        ['nearly two hours ahead', () => hoursFromNow(1.99)],
        ['words', () => new Date().toUTCString()],
    ])('may tell its time as %s', async (_name, timestamp) => {
        expect((await send(beacon({ timestamp: timestamp() }))).status).toBe(204);
    });

    test.each<[string, object, unknown]>([
        ['another event', { event: 'click:anything' }, [['invalid_value', ['event']]]],
        ['no event', { event: undefined }, [['invalid_value', ['event']]]],
        ['more than two hours ago', { timestamp: hoursFromNow(-2.01) }, [['custom', ['timestamp']]]],
        ['more than two hours ahead', { timestamp: hoursFromNow(2.01) }, [['custom', ['timestamp']]]],
        ['no date', { timestamp: 'lately' }, [['invalid_type', ['timestamp']]]],
        ['no time', { timestamp: undefined }, [['invalid_type', ['timestamp']]]],
        ['a time that is true', { timestamp: true }, [['invalid_type', ['timestamp']]]],
        ['an impossible integration', { dimensions: { integration: 'a/b' } }, [['invalid_format', ['dimensions', 'integration']]]],
        ['something else', { surprise: 1 }, [['unrecognized_keys', []]]],
    ])('with %s is refused', async (_name, change, expected) => {
        const before = await said();
        const answer = await send(beacon(change));
        expect([answer.status, issues(answer)]).toEqual([400, expected]);
        expect(await said()).toEqual(before);
    });

    test('takes no query', async () => {
        const answer = await send(beacon(), {}, '?x=1');
        expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'invalid_query_params' } }]);
    });

    test.each<[string, unknown, string]>([
        ['no token', { event: 'open' }, 'missing_auth_header'],
        ['an empty token', { token: '' }, 'missing_auth_header'],
        ['a token that is no text', { token: 5 }, 'missing_auth_header'],
        ['a list', [], 'missing_auth_header'],
        ['no body', undefined, 'missing_auth_header'],
        ['another kind of token', { token: 'x' }, 'invalid_connect_session_token_format'],
        ['an unknown token', { token: `nango_connect_session_${'0'.repeat(64)}` }, 'unknown_connect_session_token'],
    ])('with %s is nobody’s: 401, whatever else is wrong', async (_name, body, code) => {
        const answer = await send(body, {}, '?x=1');
        expect([answer.status, answer.body]).toEqual([401, { error: { code, message: expect.any(String) as string, payload: {} } }]);
    });

    test('is JSON, and says so', async () => {
        expect((await send(JSON.stringify(beacon()), { 'content-type': 'text/plain;charset=UTF-8' })).status).toBe(415);
        expect((await send(JSON.stringify(beacon()), { 'content-type': 'application/json;charset=utf-8' })).status).toBe(204);
        expect((await send('{"token":')).status).toBe(400);
    });
});

describe('a browser', () => {
    const preflight = (origin: string, path = '/connect/telemetry'): Promise<Answer<unknown>> =>
        valetkey.call('OPTIONS', path, {
            key: null,
            headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' },
        });

    test.each([connectUi, 'https://api.example.org', 'https://api.example.org:3009'])('lets %s send beacons with cookies', async (origin) => {
        const asked = await preflight(origin);
        expect([asked.status, asked.text]).toEqual([204, '']);
        expect(asked.headers).toMatchObject({
            'access-control-allow-origin': origin,
            'access-control-allow-credentials': 'true',
            'access-control-allow-headers': 'Authorization, Content-type',
            'access-control-allow-methods': 'POST',
            'access-control-max-age': '36000',
            'access-control-expose-headers': 'content-type',
            vary: expect.stringContaining('Origin') as string,
        });
        for (const [body, status] of [
            [beacon(), 204],
            [{}, 401],
            [beacon({ event: 'x' }), 400],
        ] as const) {
            const answer = await send(body, { origin });
            expect(answer.status).toBe(status);
            expect(answer.headers).toMatchObject({
                'access-control-allow-origin': origin,
                'access-control-allow-credentials': 'true',
                'access-control-expose-headers': 'content-type',
            });
        }
    });

    test.each([
        'https://evil.example',
        'https://evil.example:3009',
        'https://connect.example.org.evil.example',
        'http://connect.example.org',
        'null',
    ])('does not let %s', async (origin) => {
        for (const answer of [await preflight(origin), await send(beacon(), { origin })]) {
            expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
            expect(answer.headers).not.toHaveProperty('access-control-allow-credentials');
        }
    });

    test('has the usual headers everywhere else, and no credentials', async () => {
        for (const path of ['/connect/session', '/connect/sessions', '/connect/telemetry/more']) {
            const answer = await preflight(connectUi, path);
            expect(answer.headers).toMatchObject({ 'access-control-allow-origin': '*', 'access-control-max-age': '600' });
            expect(answer.headers).not.toHaveProperty('access-control-allow-credentials');
        }
    });
});
