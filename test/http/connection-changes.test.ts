/** PATCH /connections/:connectionId (http-api §8.5). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { providersFile } from '../e2e/provider-entries.ts';
import { connectKey, createIntegration, createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';

let valetkey: TestApp;
let id: string;

beforeAll(async () => {
    valetkey = await startTestApp({ providers: providersFile(untestedKeyEntry('keys')) });
    await createIntegration(valetkey, 'keys', 'keys');
    await valetkey.call('PATCH', '/environment/webhooks', { body: { primary_url: 'https://hooks.example.com/' } });
});
afterAll(() => valetkey?.close());
beforeEach(async () => {
    id = await connectKey(
        valetkey,
        'keys',
        await createSession(valetkey, {
            end_user: { id: 'ann', email: 'ann@example.com', tags: { Seats: '3' } },
            organization: { id: 'org' },
            tags: { team: 'blue' },
            webhook_url_override: 'https://override.example.com/',
        }),
    );
});

const path = (connectionId = id, integration = 'keys') => `/connections/${connectionId}?provider_config_key=${integration}`;
const patch = (body: unknown, url = path()) => valetkey.call('PATCH', url, { body });
const read = async (): Promise<Record<string, unknown>> => (await valetkey.call('GET', path())).body;
const changed = async (body: unknown): Promise<Record<string, unknown>> => {
    const answer = await patch(body);
    expect([answer.status, answer.body]).toEqual([200, { success: true }]);
    return read();
};
const issues = (answer: Answer<unknown>): unknown =>
    (answer.body as { error: { errors?: { code: string; path: string[] }[] } }).error.errors?.map(({ code, path: at }) => [code, at]);
const initialTags = { end_user_id: 'ann', end_user_email: 'ann@example.com', organization_id: 'org', seats: '3', team: 'blue' };

describe('what is changed', () => {
    test('nothing by an empty body', async () => {
        const { last_fetched_at: _now, ...before } = await read();
        expect(await changed({})).toMatchObject(before);
        expect(before['tags']).toEqual(initialTags);
    });

    test('tags replace all tags, with their keys in lower case; none clear them', async () => {
        expect(await changed({ tags: { Plan: 'Pro' } })).toMatchObject({ tags: { plan: 'Pro' }, end_user: { id: 'ann' } });
        expect((await changed({ tags: {} }))['tags']).toEqual({});
    });

    test('an end user alone replaces what was generated, and leaves explicit tags', async () => {
        const after = await changed({ end_user: { id: 'bob', display_name: 'Bob', tags: { Plan: 'pro' } } });
        expect(after['tags']).toEqual({ end_user_id: 'bob', end_user_display_name: 'Bob', plan: 'pro', team: 'blue' });
        expect(after['end_user']).toEqual({ id: 'bob', email: null, display_name: 'Bob', tags: { Plan: 'pro' }, organization: null });
        const { connections } = (await valetkey.call<{ connections: { connection_id: string }[] }>('GET', '/connections?endUserId=bob')).body;
        expect(connections.map((connection) => connection.connection_id)).toContain(id);
    });

    test('an end user with tags: theirs and the generated ones', async () => {
        const after = await changed({ end_user: { id: 'bob', email: 'bob@example.com' }, tags: { plan: 'pro', end_user_email: 'b@example.com' } });
        expect(after['tags']).toEqual({ end_user_id: 'bob', end_user_email: 'b@example.com', plan: 'pro' });
    });

    test('the webhook URL: set, left alone, cleared', async () => {
        expect((await changed({ webhook_url_override: 'https://new.example.com/hook' }))['webhook_url_override']).toBe(
            'https://new.example.com/hook',
        );
        expect((await changed({ tags: {} }))['webhook_url_override']).toBe('https://new.example.com/hook');
        expect((await changed({ webhook_url_override: '' }))['webhook_url_override']).toBeNull();
    });

    test('neither credentials, metadata nor updated_at; and no webhook tells of it', async () => {
        const row = async () => {
            const [{ end_user: _user, tags: _tags, webhook_url_override: _url, ...rest }] = (await valetkey.query(
                'select * from connections where connection_id = $1',
                [id],
            )) as [Record<string, unknown>];
            return rest;
        };
        const events = () => valetkey.query('select id from webhook_events order by id');
        const [before, sent] = [await row(), await events()];
        valetkey.advance(60_000);
        expect((await patch({ end_user: { id: 'x' }, tags: { a: 'b' }, webhook_url_override: '' })).status).toBe(200);
        expect([await row(), await events()]).toEqual([before, sent]);
    });
});

describe('what is refused', () => {
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`t${index}`, 'x']));

    test('more than ten tags in the end, before anything is written', async () => {
        for (const [setup, body] of [
            [{}, { end_user: { id: 'bob' }, tags: many(10), webhook_url_override: '' }],
            [{ tags: many(9) }, { end_user: { id: 'bob', email: 'bob@example.com' }, webhook_url_override: '' }],
        ]) {
            const before = await changed(setup);
            const answer = await patch(body);
            expect([answer.status, answer.body]).toEqual([400, { error: { code: 'invalid_body', message: expect.any(String) as string } }]);
            const { last_fetched_at: _now, ...rest } = before;
            expect(await read()).toMatchObject(rest);
        }
    });

    test('an unknown integration is 400, an unknown connection 404, also in another environment', async () => {
        const unknown = (code: string) => ({ error: { code, message: expect.any(String) as string } });
        const integration = await patch({}, path(id, 'none'));
        expect([integration.status, integration.body]).toEqual([400, unknown('unknown_provider_config')]);
        const connection = await patch({}, path('none'));
        expect([connection.status, connection.body]).toEqual([404, unknown('not_found')]);
        const foreign = await valetkey.call('PATCH', path(), { body: {}, key: valetkey.prodKey });
        expect(foreign.status).toBe(400);
    });

    test('mistakes are named in the order query, body, path', async () => {
        const code = async (body: unknown, url: string) => ((await patch(body, url)).body['error'] as { code: string }).code;
        expect(await code({ x: 1 }, '/connections/%C3%A9')).toBe('invalid_query_params');
        expect(await code({ x: 1 }, path('%C3%A9'))).toBe('invalid_body');
        expect(await code({}, path('%C3%A9'))).toBe('invalid_uri_params');
        expect(await code({ tags: many(11) }, path('none', 'none'))).toBe('invalid_body');
    });

    test.each<[unknown, unknown]>([
        [{ metadata: {} }, [['unrecognized_keys', []]]],
        [[], [['invalid_type', []]]],
        [{ tags: { '1a': 'x' } }, [['invalid_key', ['tags', '1a']]]],
        [{ tags: many(11) }, [['custom', ['tags']]]],
        [{ tags: { end_user_email: 'nobody' } }, [['custom', ['tags']]]],
        [{ end_user: { email: 'a@b.example' } }, [['invalid_type', ['end_user', 'id']]]],
        [{ end_user: { id: 'x', organization: { id: 'y' } } }, [['unrecognized_keys', ['end_user']]]],
        [{ webhook_url_override: 'nonsense' }, [['invalid_union', ['webhook_url_override']]]],
        [{ webhook_url_override: null }, [['invalid_union', ['webhook_url_override']]]],
        [{ webhook_url_override: 'https://10.0.0.1/' }, [['custom', ['webhook_url_override']]]],
    ])('%j', async (body, expected) => {
        const answer = await patch(body);
        expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'invalid_body' } }]);
        expect(issues(answer)).toEqual(expected);
    });

    test('the singular path has no PATCH', async () => {
        expect((await patch({}, path().replace('/connections/', '/connection/'))).status).toBe(404);
    });
});

test('two changes at once do not lose each other', async () => {
    const answers = await Promise.all([
        patch({ end_user: { id: 'one', tags: { a: '1' } } }),
        patch({ end_user: { id: 'two', email: 'two@example.com' } }),
        patch({ webhook_url_override: '' }),
    ]);
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200]);
    const {
        tags,
        end_user: endUser,
        webhook_url_override: url,
    } = (await read()) as { tags: Record<string, string>; end_user: { id: string }; webhook_url_override: unknown };
    expect(url).toBeNull();
    expect(tags).toEqual(
        endUser.id === 'one' ? { end_user_id: 'one', a: '1', team: 'blue' } : { end_user_id: 'two', end_user_email: 'two@example.com', team: 'blue' },
    );
});
