/** Connections: the list and its filters, one connection, deletion (http-api §8.1, §8.2, §8.6). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { providersFile } from '../e2e/provider-entries.ts';
import { connectKey, createIntegration, createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';

let valetkey: TestApp;
/** Oldest first. */
let ids: { ann: string; bob: string; tagged: string };

beforeAll(async () => {
    valetkey = await startTestApp({ providers: providersFile(untestedKeyEntry('keys')) });
    await createIntegration(valetkey, 'keys', 'keys');
    await createIntegration(valetkey, 'more keys', 'keys');
    const connect = async (integration: string, body: Record<string, unknown>): Promise<string> =>
        connectKey(valetkey, integration, await createSession(valetkey, body));
    ids = {
        ann: await connect('keys', {
            end_user: { id: 'ann', email: 'ann@example.com', display_name: 'Ann 100%' },
            organization: { id: 'org-1' },
            tags: { team: 'blue' },
        }),
        bob: await connect('more keys', {
            end_user: { id: 'bob', email: 'bob_b@example.com' },
            organization: { id: 'org-2', display_name: 'Two' },
            tags: { team: 'blue', plan: 'pro' },
        }),
        tagged: await connect('keys', { tags: { end_user_id: 'carl', end_user_email: 'carl@example.org', End_User_Display_Name: 'Carl' } }),
    };
});

afterAll(() => valetkey?.close());

const issues = (answer: Answer<unknown>): unknown =>
    (answer.body as { error: { errors?: { code: string; path: string[] }[] } }).error.errors?.map(({ code, path }) => [code, path]);
const list = async (query = ''): Promise<Record<string, unknown>[]> => {
    const answer = await valetkey.call<{ connections: Record<string, unknown>[] }>('GET', `/connections${query}`);
    expect(answer.status, answer.text).toBe(200);
    return answer.body.connections;
};
/** Names of the connections that a query finds, in order. */
const found = async (query: string): Promise<string[]> =>
    (await list(query)).map((connection) => Object.entries(ids).find(([, id]) => id === connection['connection_id'])?.[0] ?? '?');

describe('GET /connections', () => {
    test('newest first, with everything but credentials, configuration and the last change', async () => {
        const [newest, , oldest] = await list();
        expect(newest).toEqual({
            id: expect.any(Number) as number,
            connection_id: ids.tagged,
            provider: 'keys',
            provider_config_key: 'keys',
            created: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}\+00:00$/) as string,
            metadata: null,
            tags: { end_user_id: 'carl', end_user_email: 'carl@example.org', end_user_display_name: 'Carl' },
            errors: [],
            post_connection_status: null,
            end_user: null,
        });
        expect(oldest).toMatchObject({
            connection_id: ids.ann,
            end_user: {
                id: 'ann',
                display_name: 'Ann 100%',
                email: 'ann@example.com',
                tags: null,
                organization: { id: 'org-1', display_name: null },
            },
        });
    });

    test.each([
        ['', ['tagged', 'bob', 'ann']],
        ['?integrationId=keys', ['tagged', 'ann']],
        ['?integrationId=none,%20more%20keys%20,', ['bob']],
        ['?integrationId=none', []],
        ['?endUserId=ann', ['ann']],
        // looks at the end user, not at tags
        ['?endUserId=carl', []],
        ['?tags[end_user_id]=carl', ['tagged']],
        ['?endUserOrganizationId=org-2', ['bob']],
        ['?endUserOrganizationId=two', []],
        ['?tags[team]=blue', ['bob', 'ann']],
        ['?tags[TEAM]=blue&tags[plan]=pro', ['bob']],
        ['?tags[team]=Blue', []],
        ['?search=ANN@', ['ann']],
        ['?search=carl', ['tagged']],
        ['?search=EXAMPLE.', ['tagged', 'bob', 'ann']],
        // wildcards are characters
        ['?search=100%25', ['ann']],
        ['?search=%25', ['ann']],
        ['?search=b_b', ['bob']],
        ['?search=n_n', []],
        ['?search=%5C', []],
        ['?endUserId=ann&tags[plan]=pro', []],
        ['?limit=2', ['tagged', 'bob']],
        ['?limit=2&page=1', ['ann']],
        ['?limit=1e0&page=1', ['bob']],
        ['?limit=2&page=2', []],
        ['?page=1', []],
        ['?page=9007199254740991', []],
    ])('%s finds %j', async (query, expected) => {
        expect(await found(query)).toEqual(expected);
    });

    test('by id, under several integrations if they share it; a substring of the id is a search', async () => {
        expect(await found(`?connectionId=${ids.ann}`)).toEqual(['ann']);
        expect(await found(`?search=${ids.bob.slice(3, 20).toUpperCase()}`)).toEqual(['bob']);
        expect(await found(`?connectionId=${ids.ann.slice(1)}`)).toEqual([]);
    });

    test.each([
        ['?limit=0', ['too_small', ['limit']]],
        ['?limit=2001', ['too_big', ['limit']]],
        ['?limit=', ['too_small', ['limit']]],
        ['?limit=1.5', ['invalid_type', ['limit']]],
        ['?limit=many', ['invalid_type', ['limit']]],
        ['?page=-1', ['too_small', ['page']]],
        ['?search=', ['too_small', ['search']]],
        [`?search=${'x'.repeat(256)}`, ['too_big', ['search']]],
        ['?connectionId=', ['too_small', ['connectionId']]],
        ['?integrationId=', ['too_small', ['integrationId']]],
        ['?tags[1a]=x', ['invalid_key', ['tags', '1a']]],
        ['?tags[a]=', ['too_small', ['tags', 'a']]],
        ['?tags[a][b]=c', ['invalid_type', ['tags', 'a']]],
        ['?tags=blue', ['invalid_type', ['tags']]],
        ['?userId=ann', ['unrecognized_keys', []]],
    ])('%s is refused', async (query, issue) => {
        const answer = await valetkey.call('GET', `/connections${query}`);
        expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'invalid_query_params' } }]);
        expect(issues(answer)).toEqual([issue]);
    });

    test('an active problem is named by its type and where to read about it', async () => {
        await valetkey.query(
            `update connections set auth_error = '{"type": "x", "description": "y", "log_id": "op_1", "since": "z"}' where connection_id = $1`,
            [ids.bob],
        );
        expect((await list('?endUserId=bob'))[0]).toMatchObject({ errors: [{ type: 'auth', log_id: 'op_1' }] });
        await valetkey.query(`update connections set auth_error = null`);
    });
});

describe('GET /connections/:connectionId', () => {
    const path = (id: string, query = ''): string => `/connections/${id}?provider_config_key=keys${query}`;

    test('is not wrapped, has every member, and may be kept by nobody', async () => {
        const answer = await valetkey.call<Record<string, unknown>>('GET', path(ids.ann));
        expect(answer.status).toBe(200);
        expect(answer.headers['cache-control']).toBe('no-store');
        const date = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$/) as string;
        expect(answer.body).toEqual({
            id: expect.any(Number) as number,
            connection_id: ids.ann,
            provider: 'keys',
            provider_config_key: 'keys',
            errors: [],
            post_connection_status: null,
            end_user: {
                id: 'ann',
                display_name: 'Ann 100%',
                email: 'ann@example.com',
                tags: null,
                organization: { id: 'org-1', display_name: null },
            },
            tags: {
                end_user_id: 'ann',
                end_user_email: 'ann@example.com',
                end_user_display_name: 'Ann 100%',
                organization_id: 'org-1',
                team: 'blue',
            },
            metadata: null,
            connection_config: {},
            webhook_url_override: null,
            created_at: date,
            credentials_expires_at: null,
            credentials_expires_at_source: null,
            refresh_token_expires_at: null,
            updated_at: date,
            last_fetched_at: date,
            credentials: { type: 'API_KEY', apiKey: 'an-account-key' },
        });
    });

    test('the deprecated alias is the same', async () => {
        const answer = await valetkey.call('GET', path(ids.ann).replace('/connections/', '/connection/'));
        expect(answer.body).toMatchObject({ connection_id: ids.ann, credentials: { type: 'API_KEY' } });
    });

    test('static credentials are returned as they are, forced or not; all four parameters of the official client are known', async () => {
        const answer = await valetkey.call('GET', path(ids.ann, '&force_refresh=true&refresh_token=false&refresh_github_app_jwt_token=false'));
        expect([answer.status, answer.body]).toMatchObject([200, { credentials: { apiKey: 'an-account-key' } }]);
    });

    test.each(['true', '1', 'YES', 'on', 'y', 'Enabled', 'false', '0', 'No', 'off', 'n', 'disabled'])('"%s" is a boolean', async (value) => {
        expect((await valetkey.call('GET', path(ids.ann, `&refresh_token=${value}`))).status).toBe(200);
    });

    test.each([
        [`/connections/c`, 'invalid_query_params', [['invalid_type', ['provider_config_key']]]],
        [`/connections/c?provider_config_key=a/b`, 'invalid_query_params', [['invalid_format', ['provider_config_key']]]],
        [path('c', '&refresh_token='), 'invalid_query_params', [['invalid_value', ['refresh_token']]]],
        [path('c', '&force_refresh=maybe'), 'invalid_query_params', [['invalid_value', ['force_refresh']]]],
        [path('c', '&force_refresh=1&force_refresh=1'), 'invalid_query_params', [['invalid_type', ['force_refresh']]]],
        [path('c', '&include=x'), 'invalid_query_params', [['unrecognized_keys', []]]],
        [path('%C3%A9'), 'invalid_uri_params', [['invalid_format', ['connectionId']]]],
        // the query is looked at first
        [path('%C3%A9', '&include=x'), 'invalid_query_params', [['unrecognized_keys', []]]],
    ])('%s is refused', async (url, code, expected) => {
        const answer = await valetkey.call('GET', url);
        expect([answer.status, answer.body]).toMatchObject([400, { error: { code } }]);
        expect(issues(answer)).toEqual(expected);
    });

    test('an unknown integration is 400, an unknown connection 404', async () => {
        const unknown = (code: string) => ({ error: { code, message: expect.any(String) as string } });
        const noIntegration = await valetkey.call('GET', `/connections/${ids.ann}?provider_config_key=none`);
        expect([noIntegration.status, noIntegration.body]).toEqual([400, unknown('unknown_provider_config')]);
        for (const url of [path('none'), path(ids.bob)]) {
            const noConnection = await valetkey.call('GET', url);
            expect([noConnection.status, noConnection.body]).toEqual([404, unknown('not_found')]);
        }
    });

    test('every character that an id may have comes back as it went in', async () => {
        const id = 'aZ9,.;:=+~[]|@${}"\'\\/_ -';
        await valetkey.query('update connections set connection_id = $1 where connection_id = $2', [id, ids.tagged]);
        const answer = await valetkey.call('GET', path(encodeURIComponent(id)));
        expect([answer.status, answer.body]).toMatchObject([200, { connection_id: id }]);
        await valetkey.query('update connections set connection_id = $2 where connection_id = $1', [id, ids.tagged]);
    });
});

describe('DELETE /connections/:connectionId', () => {
    test('the path is looked at before the query', async () => {
        const both = await valetkey.call('DELETE', '/connections/%C3%A9');
        expect([both.status, both.body]).toMatchObject([400, { error: { code: 'invalid_uri_params' } }]);
        const query = await valetkey.call('DELETE', '/connections/c?provider_config_key=keys&x=1');
        expect([query.status, issues(query)]).toEqual([400, [['unrecognized_keys', []]]]);
    });

    test('is gone at once, may be connected again under its own id, and is unknown the second time', async () => {
        const id = await connectKey(valetkey, 'keys', await createSession(valetkey));
        const url = `/connections/${id}?provider_config_key=keys`;
        for (const unknown of [url.replace('=keys', '=none'), url.replace(id, 'none'), url.replace('=keys', '=more%20keys')]) {
            const answer = await valetkey.call('DELETE', unknown);
            expect([answer.status, answer.body]).toEqual([400, { error: { code: 'unknown_connection', message: expect.any(String) as string } }]);
        }
        const deleted = await valetkey.call('DELETE', url.replace('/connections/', '/connection/'));
        expect([deleted.status, deleted.body]).toEqual([200, { success: true }]);
        expect((await valetkey.call('GET', url)).status).toBe(404);
        expect(await list(`?connectionId=${id}`)).toEqual([]);
        expect((await valetkey.call('DELETE', url)).status).toBe(400);
        // nothing that a key could open is left behind
        const rows = await valetkey.query('select sealed_credentials, sealed_secrets from connections where connection_id = $1', [id]);
        expect(rows).toEqual([{ sealed_credentials: '', sealed_secrets: null }]);
    });
});
