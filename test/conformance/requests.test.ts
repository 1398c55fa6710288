/** How requests are read and refused (http-api §16 nos. 1, 2, 5, 6). */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { codeOf, issuesOf, useTarget } from './target.ts';

const target = useTarget();
const json = { 'content-type': 'application/json' };
let github: string;

beforeAll(async () => {
    github = await target.oauthIntegration();
});

describe('1. a JSON content type without a body', () => {
    test('DELETE, as the backend client sends it', async () => {
        const id = await target.connection(github);
        const reply = await target.call('DELETE', `/connections/${id}?provider_config_key=${github}`, { headers: json });
        expect([reply.status, reply.body]).toEqual([200, { success: true }]);
    });

    test('POST, as the browser client sends it', async () => {
        const none = await target.call('POST', `/api-auth/basic/${github}?connect_session_token=${await target.session()}`, {
            key: null,
            headers: json,
        });
        // past the parser: what is missing is the right kind of integration
        expect(codeOf(none)).toBe('400 invalid_auth_mode');
    });

    test('POST /connect/sessions reads a length of zero as an empty object', async () => {
        const reply = await target.call('POST', '/connect/sessions', { headers: json });
        expect(issuesOf(reply)).toEqual(['400 invalid_body', 'invalid_type', [['end_user']]]);
    });
});

describe('2. queries', () => {
    test('tags[…] nests: a filter that is understood finds what it names', async () => {
        const mark = randomUUID();
        const id = await target.connection(github, { tags: { 'Mark.a/b': mark } });
        const reply = await target.call('GET', `/connections?tags[mark.a/b]=${mark}`);
        expect(reply.body.connections.map((connection: { connection_id: string }) => connection.connection_id)).toEqual([id]);
        expect((await target.call('GET', `/connections?tags%5Bmark.a%2Fb%5D=${mark}`)).body.connections).toHaveLength(1);
        expect((await target.call('GET', `/connections?tags[mark.a/b]=other`)).body.connections).toEqual([]);
    });

    test('params[…] nests: it reaches connection_config', async () => {
        const integration = await target.integration('stripe-api-key');
        const path = `/api-auth/basic/${integration}?connect_session_token=${await target.session()}&params[region]=eu`;
        const connected = await target.call('POST', path, { key: null, body: { username: 'rk_test_0123456789abcdef01' } });
        expect(connected.status, connected.text).toBe(200);
        const read = await target.call('GET', `/connections/${connected.body.connectionId}?provider_config_key=${integration}`);
        expect(read.body.connection_config).toEqual({ region: 'eu' });
    });

    test.each(['include=webhook&include=credentials', 'include[]=webhook&include[]=credentials', 'include[0]=webhook&include[1]=credentials'])(
        'a repeated include is a list: %s',
        async (query) => {
            const reply = await target.call('GET', `/integrations/${github}?${query}`);
            expect(reply.status).toBe(200);
            expect(Object.keys(reply.body.data)).toEqual(expect.arrayContaining(['webhook_url', 'credentials']));
        },
    );

    test('a scalar that is repeated is of the wrong type', async () => {
        const reply = await target.call('GET', '/connections?search=a&search=b');
        expect(issuesOf(reply)).toEqual(['400 invalid_query_params', 'invalid_type', [['search']]]);
    });
});

describe('5. envelopes', () => {
    test('a 401 carries an empty payload', async () => {
        const reply = await target.call('GET', '/connections', { key: null });
        expect([reply.status, reply.body]).toEqual([
            401,
            { error: { code: 'missing_auth_header', message: expect.any(String) as string, payload: {} } },
        ]);
    });

    test('a 403 carries code and message, nothing else', async () => {
        const reply = await target.call('GET', '/connections', { key: await target.keyWith('environment:integrations:list') });
        expect([reply.status, reply.body]).toEqual([
            403,
            { error: { code: 'forbidden', message: expect.stringContaining('environment:connections:list') as string } },
        ]);
    });

    test('a validation answer carries issues, and neither message nor payload', async () => {
        const reply = await target.call('GET', '/connections?nonsense=1');
        expect([reply.status, reply.body]).toEqual([
            400,
            { error: { code: 'invalid_query_params', errors: [{ code: 'unrecognized_keys', message: expect.any(String) as string, path: [] }] } },
        ]);
    });

    test('an invalid_body that is not about the schema carries no list of issues', async () => {
        const reply = await target.call('POST', '/connections', {
            body: { provider_config_key: github, credentials: { type: 'API_KEY', apiKey: 'k' } },
        });
        expect([reply.status, reply.body]).toEqual([400, { error: { code: 'invalid_body', message: expect.any(String) as string } }]);
    });

    test('what is not JSON, and JSON that is no object', async () => {
        for (const body of ['{"a":', '5', '"x"', 'null']) {
            expect([body, codeOf(await target.call('POST', '/connect/sessions', { body }))]).toEqual([body, '400 invalid_json']);
        }
        expect(issuesOf(await target.call('POST', '/connect/sessions', { body: '[]' }))).toEqual(['400 invalid_body', 'invalid_type', [[]]]);
    });

    test('another content type, on GET too', async () => {
        for (const [method, path] of [
            ['GET', '/connections'],
            ['POST', '/connect/sessions'],
        ] as const) {
            const reply = await target.call(method, path, { headers: { 'content-type': 'text/plain' } });
            expect([reply.status, reply.body]).toEqual([415, { error: { code: 'invalid_content_type', message: expect.any(String) as string } }]);
        }
    });
});

describe('6. the wrong kind of caller', () => {
    test('a connect session on an endpoint for keys', async () => {
        const token = await target.session();
        for (const [method, path] of [
            ['GET', '/connections'],
            ['GET', `/integrations/${github}`],
            ['POST', '/connect/sessions'],
            ['POST', '/connections'],
        ] as const) {
            expect([path, codeOf(await target.call(method, path, { key: token }))]).toEqual([path, '401 invalid_secret_key_format']);
        }
    });

    test('an API key on an endpoint for sessions', async () => {
        expect(codeOf(await target.call('GET', '/connect/session'))).toBe('401 invalid_connect_session_token_format');
        expect(codeOf(await target.call('DELETE', '/connect/session'))).toBe('401 invalid_connect_session_token_format');
    });

    test('an unknown key, and an unknown session', async () => {
        expect(codeOf(await target.call('GET', '/connections', { key: randomUUID() }))).toBe('401 unknown_account');
        const token = `nango_connect_session_${'0f'.repeat(32)}`;
        expect(codeOf(await target.call('GET', '/connect/session', { key: token }))).toBe('401 unknown_connect_session_token');
        expect(codeOf(await target.call('GET', '/integrations', { key: token }))).toBe('401 unknown_connect_session_token');
    });
});
