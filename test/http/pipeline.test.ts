/** What every request goes through, whatever it asks for (http-api §1.1, §1.2, §1.5–§1.11, §1.13). */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { providersFile } from '../e2e/provider-entries.ts';
import { connectKey, createIntegration, createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';

let valetkey: TestApp;

beforeAll(async () => {
    valetkey = await startTestApp({ providers: providersFile(untestedKeyEntry('keys')), env: { VALETKEY_BODY_LIMIT: '64kb' } });
    await valetkey.listen();
    await createIntegration(valetkey, 'keys', 'keys');
});

afterAll(() => valetkey?.close());

const code = (answer: Answer): unknown => (answer.body as { error?: { code?: unknown } } | undefined)?.error?.code;
const issues = (answer: Answer): { code: string; path: string[] }[] =>
    (answer.body as { error: { errors: { code: string; path: string[] }[] } }).error.errors.map((issue) => ({ code: issue.code, path: issue.path }));

describe('which mistake is reported first', () => {
    const post = (options: Parameters<TestApp['call']>[2], query = '') => valetkey.call('POST', `/connect/sessions${query}`, options);

    test('a body that is not JSON comes before everything else', async () => {
        const answer = await post({ key: null, body: '{"end_user":' }, '?x=1');
        expect([answer.status, answer.body]).toEqual([400, { error: { code: 'invalid_json', message: expect.any(String) as string } }]);
    });

    test('then the content type', async () => {
        const answer = await post({ key: null, body: 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded' } }, '?x=1');
        expect([answer.status, answer.body]).toEqual([415, { error: { code: 'invalid_content_type', message: expect.any(String) as string } }]);
    });

    test('then who is asking: nobody learns about validation without credentials', async () => {
        const answer = await post({ key: null, body: {} }, '?x=1');
        expect([answer.status, code(answer)]).toEqual([401, 'missing_auth_header']);
    });

    test('then what the key may do, even when the body is wrong too', async () => {
        const key = await valetkey.insertKey({ scopes: ['environment:connections:list'] });
        const answer = await post({ key, body: {} }, '?x=1');
        expect([answer.status, answer.body]).toEqual([
            403,
            { error: { code: 'forbidden', message: expect.stringContaining('environment:connect_sessions:write') as string } },
        ]);
    });

    test('then the query, and the body last', async () => {
        const answer = await post({ body: {} }, '?x=1');
        expect([answer.status, code(answer), issues(answer)]).toEqual([400, 'invalid_query_params', [{ code: 'unrecognized_keys', path: [] }]]);
        const next = await post({ body: {} });
        expect([next.status, code(next), issues(next)]).toEqual([400, 'invalid_body', [{ code: 'invalid_type', path: ['end_user'] }]]);
    });
});

describe('the content-type gate', () => {
    test.each([
        ['GET', '/providers', 'text/plain', 415],
        ['GET', '/connections', 'multipart/form-data; boundary=x', 415],
        ['DELETE', '/connections/c', 'text/html', 415],
        ['POST', '/api-auth/api-key/keys', 'text/plain;charset=UTF-8', 415],
        ['GET', '/oauth/connect/keys', 'text/plain', 415],
        ['PATCH', '/environment/webhooks', 'application/xml', 415],
        ['GET', '/providers', 'application/json; charset=utf-8', 401],
        ['GET', '/providers', 'Application/JSON', 401],
        ['GET', '/providers', '', 401],
        ['GET', '/health', 'text/plain', 200],
        ['GET', '/oauth/callback', 'text/plain', 400],
    ])('%s %s as "%s" answers %i', async (method, path, type, status) => {
        const answer = await valetkey.call(method, path, { key: null, headers: { 'content-type': type } });
        expect(answer.status, answer.text).toBe(status);
        expect(code(answer) === 'invalid_content_type').toBe(status === 415);
    });
});

describe('bodies', () => {
    test.each(['5', '"text"', 'true', 'null', '{', '{"a":1,}', '{"__proto__":{"isAdmin":true},"end_user":{"id":"u"}}'])(
        '%s is not acceptable JSON',
        async (body) => {
            const answer = await valetkey.call('POST', '/connect/sessions', { body });
            expect([answer.status, answer.body]).toEqual([400, { error: { code: 'invalid_json', message: expect.any(String) as string } }]);
        },
    );

    test('an array is parsed, and then is no object', async () => {
        const answer = await valetkey.call('POST', '/connect/sessions', { body: [] });
        expect([code(answer), issues(answer)]).toEqual(['invalid_body', [{ code: 'invalid_type', path: [] }]]);
    });

    test('no body at all is an issue of the root; an empty JSON body of length 0 is {}', async () => {
        expect(issues(await valetkey.call('POST', '/connect/sessions'))).toEqual([{ code: 'invalid_type', path: [] }]);
        const json = { 'content-type': 'application/json' };
        expect(issues(await valetkey.call('POST', '/connect/sessions', { headers: json }))).toEqual([{ code: 'invalid_type', path: [] }]);
        const empty = await valetkey.call('POST', '/connect/sessions', { body: '', headers: { ...json, 'content-length': '0' } });
        expect(issues(empty)).toEqual([{ code: 'invalid_type', path: ['end_user'] }]);
    });

    test('DELETE with a JSON content type and no body works, as the official client sends it', async () => {
        const id = await connectKey(valetkey, 'keys', await createSession(valetkey));
        const response = await fetch(`${valetkey.url}/connections/${id}?provider_config_key=keys`, {
            method: 'DELETE',
            headers: { authorization: `Bearer ${valetkey.key}`, 'content-type': 'application/json' },
        });
        expect([response.status, await response.json()]).toEqual([200, { success: true }]);
    });

    test('a body beyond the limit is 413 before anybody is asked who they are, and readable in a browser', async () => {
        const answer = await valetkey.call('POST', '/connect/sessions', { key: null, body: { end_user: { id: 'x'.repeat(70_000) } } });
        expect([answer.status, answer.body]).toEqual([413, { error: { code: 'request_too_large', message: expect.any(String) as string } }]);
        expect(answer.headers['access-control-allow-origin']).toBe('*');
    });

    // Postgres keeps neither, and would answer with an error of its own.
    test.each([
        ['POST', '/connect/sessions', '{"end_user":{"id":"a\\u0000b"}}', 'invalid_body', ['end_user', 'id']],
        ['POST', '/connect/sessions', '{"tags":{"a":"\\ud83d"}}', 'invalid_body', ['tags', 'a']],
        [
            'POST',
            '/connect/sessions',
            '{"tags":{},"overrides":{"keys":{"docs_connect":"\\u0000"}}}',
            'invalid_body',
            ['overrides', 'keys', 'docs_connect'],
        ],
        ['POST', '/integrations', '{"provider":"keys","unique_key":"k2","display_name":"\\udc00"}', 'invalid_body', ['display_name']],
        ['GET', '/connections?search=%00', undefined, 'invalid_query_params', ['search']],
        ['GET', '/connections?endUserId=a%00', undefined, 'invalid_query_params', ['endUserId']],
        ['GET', '/connections?tags[a]=%00', undefined, 'invalid_query_params', ['tags', 'a']],
        ['GET', '/connections/c?provider_config_key=keys%00', undefined, 'invalid_query_params', ['provider_config_key']],
        ['GET', '/connections/c%00?provider_config_key=keys', undefined, 'invalid_uri_params', ['connectionId']],
        ['DELETE', '/connections/c%00?provider_config_key=keys', undefined, 'invalid_uri_params', ['connectionId']],
    ])('%s %s %s: text that cannot be stored is refused with its path', async (method, path, body, expected, at) => {
        const answer = await valetkey.call(method, path, body === undefined ? {} : { body });
        expect(answer.status, answer.text).toBe(400);
        expect([code(answer), issues(answer)]).toEqual([expected, [{ code: 'invalid_format', path: at }]]);
    });
});

describe('paths and queries', () => {
    test.each(['/connections', '/connections/', '/Connections', '/CONNECTION/', '/connection'])('%s is the list of connections', async (path) => {
        const answer = await valetkey.call('GET', path);
        expect([answer.status, Object.keys(answer.body)]).toEqual([200, ['connections']]);
    });

    test('an id of 255 characters, each percent-encoded, is an id like any other, and keeps its case', async () => {
        const id = `A/b ${'"'.repeat(251)}`;
        const encoded = [...id].map((character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`).join('');
        const path = `/connections/${encoded}?provider_config_key=keys`;
        expect(await valetkey.call('GET', path)).toMatchObject({ status: 404, body: { error: { code: 'not_found' } } });
        const [connection] = [await connectKey(valetkey, 'keys', await createSession(valetkey))];
        await valetkey.query('update connections set connection_id = $1 where connection_id = $2', [id, connection]);
        expect((await valetkey.call('GET', path)).body).toMatchObject({ connection_id: id });
        const tooLong = await valetkey.call('GET', `/connections/${encoded}%22?provider_config_key=keys`);
        expect([code(tooLong), issues(tooLong)]).toEqual(['invalid_uri_params', [{ code: 'too_big', path: ['connectionId'] }]]);
    });

    test.each([
        [`/connections/${'x'.repeat(1001)}?provider_config_key=keys`, 'invalid_uri_params'],
        ['/connections/%ZZ?provider_config_key=keys', 'invalid_uri_params'],
    ])('a path that the router refuses is answered in the envelope, with the headers of every answer', async (path, expected) => {
        const answer = await valetkey.call('GET', path);
        expect([answer.status, code(answer)]).toEqual([400, expected]);
        expect(answer.headers).toMatchObject({
            'access-control-allow-origin': '*',
            'x-content-type-options': 'nosniff',
            'referrer-policy': 'strict-origin',
        });
    });

    test.each([
        ['GET', '/nope'],
        ['POST', '/connections/a/b/c'],
        ['PUT', '/providers'],
        ['POST', '/sync/trigger'],
        ['GET', '/records'],
    ])('%s %s is 404 in JSON', async (method, path) => {
        const answer = await valetkey.call(method, path);
        expect([answer.status, answer.body]).toEqual([404, { error: { code: 'not_found', message: expect.any(String) as string } }]);
    });

    test('brackets nest, written as they are or percent-encoded; dots and slashes inside them are part of the name', async () => {
        const token = await createSession(valetkey, { tags: { 'team.name': 'blue', 'a/b': '1' } });
        const id = await connectKey(valetkey, 'keys', token);
        const found = async (query: string): Promise<string[]> => {
            const answer = await valetkey.call<{ connections: { connection_id: string }[] }>('GET', `/connections?${query}`);
            expect(answer.status, answer.text).toBe(200);
            return answer.body.connections.map((connection) => connection.connection_id);
        };
        expect(await found('tags[team.name]=blue&tags[a/b]=1')).toEqual([id]);
        expect(await found('tags%5Bteam.name%5D=blue&tags%5Ba%2Fb%5D=1')).toEqual([id]);
        expect(await found('tags[Team.Name]=blue')).toEqual([id]);
        expect(await found('tags[team.name]=blue&tags[a/b]=2')).toEqual([]);
        // a name that objects inherit is a filter like any other, not one that is silently dropped
        expect(await found('tags[constructor]=x')).toEqual([]);
    });

    test('params reach the connection from either encoding, plus signs being spaces', async () => {
        const token = await createSession(valetkey);
        const literal = await connectKey(
            valetkey,
            'keys',
            token,
            'k',
            '&params[note]=a%20b&params[x.y]=1&params[webhook_url]=https://evil.example&params[deep][er]=2',
        );
        const encoded = await connectKey(valetkey, 'keys', token, 'k', '&params%5Bnote%5D=a+b&params%5Bx.y%5D=1');
        for (const id of [literal, encoded]) {
            const connection = await valetkey.call<{ connection_config: object }>('GET', `/connections/${id}?provider_config_key=keys`);
            expect(connection.body.connection_config).toEqual({ note: 'a b', 'x.y': '1' });
        }
    });

    test('a scalar given twice is no scalar', async () => {
        const answer = await valetkey.call('GET', '/connections?limit=1&limit=2');
        expect([code(answer), issues(answer)]).toEqual(['invalid_query_params', [{ code: 'invalid_type', path: ['limit'] }]]);
    });
});

describe('headers of every answer', () => {
    test.each(['/connect/sessions', '/nope', '/connections/a/b/c', '/'])('preflight of %s: 204, empty, without authentication', async (path) => {
        const headers = { origin: 'https://app.example', 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' };
        const answer = await valetkey.call('OPTIONS', path, { key: null, headers });
        expect([answer.status, answer.text]).toEqual([204, '']);
        expect(answer.headers['access-control-allow-origin']).toBe('*');
        expect(answer.headers['access-control-allow-methods']?.split(/, ?/)).toEqual(['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE']);
        expect(answer.headers['access-control-max-age']).toBe('600');
        const allowed = answer.headers['access-control-allow-headers']?.split(/, ?/);
        expect(allowed).toEqual(
            expect.arrayContaining(['Authorization', 'Content-Type', 'Accept', 'Origin', 'X-Requested-With', 'Provider-Config-Key', 'Connection-Id']),
        );
    });

    test.each([
        ['GET', '/health', 200],
        ['GET', '/connections', 401],
        ['GET', '/nope', 404],
        ['POST', '/connect/sessions', 400],
        ['GET', '/providers', 415],
    ])('%s %s (%i) is readable from any origin and carries the security headers', async (method, path, status) => {
        const headers = status === 415 ? { 'content-type': 'text/plain' } : { origin: 'https://app.example' };
        const answer = await valetkey.call(method, path, { key: null, headers, ...(status === 400 ? { body: '{' } : {}) });
        expect(answer.status).toBe(status);
        expect(answer.headers).toMatchObject({
            'access-control-allow-origin': '*',
            'access-control-expose-headers': expect.stringContaining('X-RateLimit-Remaining') as string,
            'x-content-type-options': 'nosniff',
            'x-frame-options': 'SAMEORIGIN',
            'referrer-policy': 'strict-origin',
            'x-dns-prefetch-control': 'off',
            'x-download-options': 'noopen',
            'x-xss-protection': '0',
            'strict-transport-security': 'max-age=5184000; includeSubDomains',
        });
        expect(answer.headers).not.toHaveProperty('x-powered-by');
        expect(answer.headers).not.toHaveProperty('cross-origin-opener-policy');
    });

    test('the root answers browsers although the outcome socket shares its path', async () => {
        expect(await valetkey.call('GET', '/', { key: null })).toMatchObject({ status: 200, body: { name: 'Valetkey' } });
    });
});

describe('what is not even a request', () => {
    /** Writes raw bytes; resolves with everything that came back once the server hangs up. */
    const raw = (text: string): Promise<string> =>
        new Promise((resolve, reject) => {
            let answer = '';
            const socket = connect(valetkey.config.port, '127.0.0.1', () => socket.write(text));
            socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
            socket.on('close', () => resolve(answer));
            socket.on('error', reject);
        });

    test.each([
        ['headers beyond measure', `GET /health HTTP/1.1\r\nhost: a\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`, '431', 'request_too_large'],
        ['a URL beyond measure', `GET /health?${'a'.repeat(20_000)} HTTP/1.1\r\nhost: a\r\n\r\n`, '431', 'request_too_large'],
        ['noise', 'noise\r\n\r\n', '400', 'invalid_request'],
    ])('%s: the envelope, readable in a browser', async (_name, text, status, expected) => {
        const [head = '', body = ''] = (await raw(text)).split('\r\n\r\n');
        expect(head.split(' ')[1]).toBe(status);
        expect(head.toLowerCase()).toContain('access-control-allow-origin: *');
        expect(JSON.parse(body)).toEqual({ error: { code: expected, message: expect.any(String) as string } });
    });

    test('a client that upgrades on a wrong path and resets its connection does not take the server down', async () => {
        const errors: unknown[] = [];
        const note = (error: unknown): void => void errors.push(error);
        process.on('uncaughtExceptionMonitor', note);
        for (let attempt = 0; attempt < 30; attempt += 1) {
            await new Promise<void>((resolve) => {
                const socket = connect(valetkey.config.port, '127.0.0.1', () => {
                    socket.write('GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
                    setImmediate(() => {
                        socket.resetAndDestroy();
                        resolve();
                    });
                });
            });
        }
        expect((await valetkey.call('GET', '/health')).status).toBe(200);
        process.off('uncaughtExceptionMonitor', note);
        expect(errors).toEqual([]);
    });
});
