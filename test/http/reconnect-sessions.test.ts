/** Sessions that renew a connection (http-api §4.2). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { providersFile } from '../e2e/provider-entries.ts';
import { connectKey, createIntegration, createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';
import { issues, readConnection, readSession } from './sessions.ts';

let valetkey: TestApp;

beforeAll(async () => {
    valetkey = await startTestApp({ providers: providersFile(untestedKeyEntry('keys')) });
    await createIntegration(valetkey, 'keys', 'keys');
    await createIntegration(valetkey, 'more-keys', 'keys');
});

afterAll(() => valetkey?.close());

describe('a reconnect session', () => {
    const reconnect = (body: unknown): Promise<Answer<{ data: { token: string } }>> => valetkey.call('POST', '/connect/sessions/reconnect', { body });
    const tokenFor = async (id: string, more: object = {}): Promise<string> => {
        const answer = await reconnect({ connection_id: id, integration_id: 'keys', ...more });
        expect(answer.status, answer.text).toBe(201);
        return answer.body.data.token;
    };
    const connection = async (body?: Record<string, unknown>, query = ''): Promise<string> =>
        connectKey(valetkey, 'keys', await createSession(valetkey, body), 'first-key', query);

    test('is for a connection that exists, and says so without a list of issues', async () => {
        const id = await connection();
        for (const body of [
            { connection_id: 'none', integration_id: 'keys' },
            { connection_id: id, integration_id: 'more-keys' },
            { connection_id: id, integration_id: 'none' },
        ]) {
            const answer = await reconnect(body);
            expect([answer.status, answer.body]).toEqual([400, { error: { code: 'invalid_body', message: expect.any(String) as string } }]);
        }
        // only then are the integrations of its defaults looked at
        const answer = await reconnect({ connection_id: id, integration_id: 'keys', overrides: { none: {} } });
        expect(issues(answer)).toEqual([['custom', ['overrides', 'none']]]);
    });

    test.each<[string, object, [string, string[]][]]>([
        [
            'nothing',
            {},
            [
                ['invalid_type', ['connection_id']],
                ['invalid_type', ['integration_id']],
            ],
        ],
        [
            'allowed integrations, which it sets itself',
            { connection_id: 'c', integration_id: 'keys', allowed_integrations: ['keys'] },
            [['unrecognized_keys', []]],
        ],
        ['an impossible connection id', { connection_id: 'c\n', integration_id: 'keys' }, [['invalid_format', ['connection_id']]]],
        [
            'eleven tags',
            { connection_id: 'c', integration_id: 'keys', tags: Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`t${index}`, 'x'])) },
            [['custom', ['tags']]],
        ],
    ])('refuses %s', async (_name, body, expected) => {
        expect(issues(await reconnect(body))).toEqual(expected);
    });

    test('allows its own integration only, and shows whose connection it is', async () => {
        const id = await connection({ end_user: { id: 'u7', display_name: 'Seven' } });
        const token = await tokenFor(id);
        expect(await readSession(valetkey, token)).toMatchObject({
            isReconnecting: true,
            allowed_integrations: ['keys'],
            endUser: { id: 'u7', display_name: 'Seven' },
        });
        await expect(connectKey(valetkey, 'more-keys', token)).rejects.toThrow('integration_not_allowed');
        // whom the connection belongs to, until it is renewed; the one of the request where it belongs to nobody
        expect(await readSession(valetkey, await tokenFor(id, { end_user: { id: 'u8' } }))).toMatchObject({ endUser: { id: 'u7' } });
        const nobodys = await connection({ tags: {} });
        expect(await readSession(valetkey, await tokenFor(nobodys, { end_user: { id: 'u8' } }))).toMatchObject({ endUser: { id: 'u8' } });
    });

    test('renews the same connection, and leaves alone what it does not mention', async () => {
        const id = await connection(
            { end_user: { id: 'u1' }, tags: { team: 'blue' }, webhook_url_override: 'https://hooks.example.com/a' },
            '&params[region]=eu&params[password]=old',
        );
        await valetkey.query(
            `update connections set metadata = '{"kept": true}', auth_state = 'needs_reauth', auth_error = '{"type": "x", "log_id": "op"}' where connection_id = $1`,
            [id],
        );
        const before = await readConnection(valetkey, id);
        expect(await connectKey(valetkey, 'keys', await tokenFor(id), 'second-key', '&params[note]=new')).toBe(id);
        expect(await readConnection(valetkey, id)).toMatchObject({
            credentials: { type: 'API_KEY', apiKey: 'second-key' },
            tags: before.tags,
            end_user: before.end_user,
            metadata: { kept: true },
            webhook_url_override: 'https://hooks.example.com/a',
            connection_config: { region: 'eu', password: 'old', note: 'new' },
            errors: [],
        });
    });

    test('replaces what it does mention', async () => {
        const id = await connection(
            { end_user: { id: 'u1' }, tags: { team: 'blue' }, webhook_url_override: 'https://hooks.example.com/a' },
            '&params[region]=eu',
        );
        const token = await tokenFor(id, {
            end_user: { id: 'u2' },
            tags: { team: 'red' },
            webhook_url_override: '',
            integrations_config_defaults: { keys: { connection_config: { region: 'us' } } },
        });
        await connectKey(valetkey, 'keys', token);
        expect(await readConnection(valetkey, id)).toMatchObject({
            tags: { end_user_id: 'u2', team: 'red' },
            end_user: { id: 'u2' },
            webhook_url_override: null,
            connection_config: { region: 'us' },
        });
        await connectKey(valetkey, 'keys', await tokenFor(id, { tags: {} }));
        expect((await readConnection(valetkey, id)).tags).toEqual({});
    });

    test('an end user or organization without tags renews the tags generated from them, and leaves the others alone', async () => {
        const id = await connection({
            end_user: { id: 'u1', email: 'u1@example.com', tags: { plan: 'free', seats: '3' } },
            organization: { id: 'o1', display_name: 'One' },
            tags: { team: 'blue' },
        });
        const renewed = async (more: object): Promise<{ tags: unknown; end_user: unknown }> => {
            await connectKey(valetkey, 'keys', await tokenFor(id, more));
            return readConnection(valetkey, id);
        };
        expect(await renewed({ organization: { id: 'o2' } })).toMatchObject({
            tags: { end_user_id: 'u1', end_user_email: 'u1@example.com', plan: 'free', seats: '3', team: 'blue', organization_id: 'o2' },
            // the end user is renewed only when it is given
            end_user: { id: 'u1', organization: { id: 'o1' } },
        });
        const second = await renewed({ end_user: { id: 'u2', tags: { Plan: 'pro' } } });
        expect(second.tags).toEqual({ end_user_id: 'u2', plan: 'pro', team: 'blue' });
        expect(second.end_user).toEqual({ id: 'u2', email: null, display_name: null, tags: { Plan: 'pro' }, organization: null });
        expect((await renewed({ end_user: { id: 'u3' }, tags: { only: '1' } })).tags).toEqual({ end_user_id: 'u3', only: '1' });
    });

    test('tags that were written while it was open stay', async () => {
        const id = await connection({ tags: { team: 'blue' } });
        const token = await tokenFor(id, { end_user: { id: 'u' } });
        await valetkey.query(`update connections set tags = '{"team": "red"}' where connection_id = $1`, [id]);
        await connectKey(valetkey, 'keys', token);
        expect((await readConnection(valetkey, id)).tags).toEqual({ team: 'red', end_user_id: 'u' });
    });

    test('more than ten tags together are refused, the connection’s own counted', async () => {
        const nine = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`t${index}`, 'x']));
        const id = await connection({ tags: nine });
        const ask = (more: object) => reconnect({ connection_id: id, integration_id: 'keys', ...more });
        expect((await ask({ end_user: { id: 'u' } })).status).toBe(201);
        expect(issues(await ask({ end_user: { id: 'u', email: 'u@example.com' } }))).toEqual([['custom', ['tags']]]);
        expect(issues(await ask({ organization: { id: 'o', display_name: 'O' }, tags: nine }))).toEqual([['custom', ['tags']]]);
        expect((await ask({ end_user: { id: 'u', email: 'u@example.com' }, tags: {} })).status).toBe(201);
    });

    test('is told as an override; a failed one leaves the old credentials in place', async () => {
        await valetkey.call('PATCH', '/environment/webhooks', { body: { primary_url: 'https://hooks.example.com/primary' } });
        const id = await connection();
        await connectKey(valetkey, 'keys', await tokenFor(id), 'second-key');
        const answer = await valetkey.call('POST', `/api-auth/api-key/keys?connect_session_token=${await tokenFor(id)}`, {
            key: null,
            body: { apiKey: '\t' },
        });
        expect(answer.status).toBe(400);
        expect(await readConnection(valetkey, id)).toMatchObject({ credentials: { apiKey: 'second-key' } });
        const events = await valetkey.query<{ body: string }>(`select body from webhook_events where body like $1 order by created_at`, [`%${id}%`]);
        expect(events.map(({ body }) => (JSON.parse(body) as { operation: string }).operation)).toEqual(['creation', 'override']);
    });

    test('fails when its connection was deleted meanwhile', async () => {
        const id = await connection();
        const token = await tokenFor(id);
        await valetkey.call('DELETE', `/connections/${id}?provider_config_key=keys`);
        const answer = await valetkey.call('POST', `/api-auth/api-key/keys?connect_session_token=${token}`, { key: null, body: { apiKey: 'k' } });
        expect([answer.status, answer.body]).toEqual([400, { error: { code: 'invalid_connection', message: expect.any(String) as string } }]);
        expect(await readSession(valetkey, token)).toMatchObject({ isReconnecting: true, endUser: null });
    });
});
