/** Which status says that it worked, and which that there is no such thing (http-api §16 nos. 3, 4). */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { codeOf, useTarget } from './target.ts';

const target = useTarget();
let github: string;
let connection: string;

beforeAll(async () => {
    github = await target.oauthIntegration();
    connection = await target.connection(github);
});

describe('3. success', () => {
    test('connect sessions: 201, and 204 when deleted', async () => {
        const created = await target.call('POST', '/connect/sessions', { body: { tags: {} } });
        expect(created.status).toBe(201);
        const reconnect = { connection_id: connection, integration_id: github };
        expect((await target.call('POST', '/connect/sessions/reconnect', { body: reconnect })).status).toBe(201);
        const token = created.body.data.token as string;
        expect((await target.call('GET', '/connect/session', { key: token })).status).toBe(200);
        const deleted = await target.call('DELETE', '/connect/session', { key: token });
        expect([deleted.status, deleted.text]).toEqual([204, '']);
        expect(codeOf(await target.call('GET', '/connect/session', { key: token }))).toBe('401 unknown_connect_session_token');
    });

    test('integrations: 200 to create and change, 200 {"success":true} to delete', async () => {
        const unique_key = `conformance-${randomUUID().slice(0, 8)}`;
        expect((await target.call('POST', '/integrations', { body: { provider: 'stripe-api-key', unique_key } })).status).toBe(200);
        expect((await target.call('PATCH', `/integrations/${unique_key}`, { body: { display_name: 'Renamed' } })).status).toBe(200);
        const deleted = await target.call('DELETE', `/integrations/${unique_key}`);
        expect([deleted.status, deleted.body]).toEqual([200, { success: true }]);
    });

    test('an import: 201, also over an existing connection', async () => {
        const body = { provider_config_key: github, connection_id: `c-${randomUUID()}`, credentials: { type: 'OAUTH2', access_token: 't' } };
        expect([(await target.call('POST', '/connections', { body })).status, (await target.call('POST', '/connections', { body })).status]).toEqual([
            201, 201,
        ]);
    });

    test('metadata: 201 to replace, 200 to merge, the body echoed', async () => {
        for (const id of [connection, [connection]]) {
            const body = { connection_id: id, provider_config_key: github, metadata: { a: 1, nested: { b: [true, null] } } };
            const replaced = await target.call('POST', '/connections/metadata', { body });
            expect([replaced.status, replaced.body]).toEqual([201, body]);
            const merged = await target.call('PATCH', '/connections/metadata', { body });
            expect([merged.status, merged.body]).toEqual([200, body]);
        }
    });

    test('a changed connection: 200 {"success":true}; a deleted one too', async () => {
        const id = await target.connection(github);
        const changed = await target.call('PATCH', `/connections/${id}?provider_config_key=${github}`, { body: {} });
        expect([changed.status, changed.body]).toEqual([200, { success: true }]);
        const deleted = await target.call('DELETE', `/connections/${id}?provider_config_key=${github}`);
        expect([deleted.status, deleted.body]).toEqual([200, { success: true }]);
    });

    test('environments: 200 to create, 204 to delete; their keys: 200 both', async (context) => {
        const key = target.accountKey;
        if (key === undefined) {
            return context.skip('needs CONFORMANCE_ACCOUNT_KEY');
        }
        const created = await target.call('POST', '/environments', { key, body: { name: `conformance-${randomUUID().slice(0, 8)}` } });
        expect([created.status, created.body]).toEqual([200, { data: { id: expect.any(Number) as number, name: expect.any(String) as string } }]);
        const environment_id = created.body.data.id as number;
        const made = await target.call('POST', '/environment/api-keys', { key, body: { environment_id, display_name: 'ci' } });
        expect(made.status).toBe(200);
        expect(made.body.data).toMatchObject({ display_name: 'ci', scopes: ['environment:*'], secret: expect.any(String) as string });
        const used = await target.call('GET', '/connections', { key: made.body.data.secret as string });
        expect([used.status, used.body]).toEqual([200, { connections: [] }]);
        const removed = await target.call('DELETE', '/environment/api-keys', { key, body: { environment_id, key_id: made.body.data.id } });
        expect([removed.status, removed.body]).toEqual([200, { success: true }]);
        expect(codeOf(await target.call('GET', '/connections', { key: made.body.data.secret as string }))).toBe('401 unknown_account');
        const deleted = await target.call('DELETE', `/environments/${environment_id}`, { key });
        expect([deleted.status, deleted.text]).toEqual([204, '']);
    });
});

describe('4. not found', () => {
    const unknown = 'no-such-thing';
    const cases: [string, string, string, unknown, string][] = [
        ['reading, unknown integration', 'GET', `/connections/x?provider_config_key=${unknown}`, undefined, '400 unknown_provider_config'],
        ['reading, unknown connection', 'GET', `/connections/${unknown}?provider_config_key=GITHUB`, undefined, '404 not_found'],
        ['changing, unknown integration', 'PATCH', `/connections/x?provider_config_key=${unknown}`, {}, '400 unknown_provider_config'],
        ['changing, unknown connection', 'PATCH', `/connections/${unknown}?provider_config_key=GITHUB`, {}, '404 not_found'],
        [
            'importing, unknown integration',
            'POST',
            '/connections',
            { provider_config_key: unknown, credentials: { type: 'API_KEY', apiKey: 'k' } },
            '404 not_found',
        ],
        ['deleting, unknown connection', 'DELETE', `/connections/${unknown}?provider_config_key=GITHUB`, undefined, '400 unknown_connection'],
        ['deleting, unknown integration', 'DELETE', `/connections/x?provider_config_key=${unknown}`, undefined, '400 unknown_connection'],
        [
            'metadata, unknown connection',
            'POST',
            '/connections/metadata',
            { connection_id: unknown, provider_config_key: 'GITHUB', metadata: {} },
            '404 unknown_connection',
        ],
        [
            'metadata, unknown integration',
            'PATCH',
            '/connections/metadata',
            { connection_id: 'x', provider_config_key: unknown, metadata: {} },
            '404 unknown_connection',
        ],
        [
            'reconnecting, unknown connection',
            'POST',
            '/connect/sessions/reconnect',
            { connection_id: unknown, integration_id: 'GITHUB' },
            '400 invalid_body',
        ],
        ['an integration', 'GET', `/integrations/${unknown}`, undefined, '404 not_found'],
        ['its deprecated form', 'GET', `/config/${unknown}`, undefined, '400 unknown_provider_config'],
        ['a provider', 'GET', `/providers/${unknown}`, undefined, '404 not_found'],
        ['a path', 'GET', `/${unknown}`, undefined, '404 not_found'],
        ['a path, posted to', 'POST', `/${unknown}`, {}, '404 not_found'],
    ];
    test.each(cases)('%s', async (_name, method, path, body, code) => {
        const named = (text: string): string => text.replaceAll('GITHUB', github);
        const reply = await target.call(
            method,
            named(path),
            body === undefined ? {} : { body: named(JSON.stringify(body)), headers: { 'content-type': 'application/json' } },
        );
        expect(codeOf(reply)).toBe(code);
    });

    test('direct auth, unknown integration', async () => {
        const reply = await target.call('POST', `/api-auth/api-key/${unknown}?connect_session_token=${await target.session()}`, {
            key: null,
            body: { apiKey: 'k' },
        });
        expect(codeOf(reply)).toBe('404 unknown_provider_config');
    });

    test('one unknown id among metadata targets changes nothing', async () => {
        const id = await target.connection(github);
        const body = { connection_id: [id, unknown], provider_config_key: github, metadata: { changed: true } };
        expect(codeOf(await target.call('POST', '/connections/metadata', { body }))).toBe('404 unknown_connection');
        expect((await target.call('GET', `/connections/${id}?provider_config_key=${github}`)).body.metadata ?? {}).toEqual({});
    });
});
