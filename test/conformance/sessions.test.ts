/** Connect sessions, tags and the telemetry beacon (http-api §16 nos. 7, 8, 14, 15). */
import { beforeAll, describe, expect, test } from 'vitest';
import { codeOf, issuesOf, useTarget } from './target.ts';

const target = useTarget();
let stripe: string;

beforeAll(async () => {
    stripe = await target.integration('stripe-api-key');
});

const create = (body: unknown) => target.call('POST', '/connect/sessions', { body });
/** Connects with a session. @returns the connection as the API shows it. */
async function connect(token: string, query = '') {
    const reply = await target.call('POST', `/api-auth/basic/${stripe}?connect_session_token=${token}${query}`, {
        key: null,
        body: { username: 'rk_test_0123456789abcdef01' },
    });
    expect(reply.status, reply.text).toBe(200);
    return (await target.call('GET', `/connections/${reply.body.connectionId}?provider_config_key=${stripe}`)).body;
}

describe('7. who a session is for', () => {
    test('an empty object lacks end_user', async () => {
        expect(issuesOf(await create({}))).toEqual(['400 invalid_body', 'invalid_type', [['end_user']]]);
    });

    test('tags stand in for it, empty ones too', async () => {
        const reply = await create({ tags: {} });
        expect(reply.status).toBe(201);
        expect(reply.body.data).toEqual({
            token: expect.stringMatching(/^nango_connect_session_[a-f0-9]{64}$/) as string,
            connect_link: expect.stringContaining(`session_token=${reply.body.data.token}`) as string,
            expires_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
        });
    });

    test('an end_user that is null does not', async () => {
        expect(issuesOf(await create({ tags: {}, end_user: null }))).toEqual(['400 invalid_body', 'invalid_type', [['end_user']]]);
    });
});

describe('8. tags', () => {
    test('keys are lower-cased, values are not', async () => {
        expect((await connect(await target.session({ tags: { 'Team/A.b-C_d': 'Red' } }))).tags).toEqual({ 'team/a.b-c_d': 'Red' });
    });

    test('ten are allowed, eleven are not', async () => {
        const tags = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`t${index}`, 'x']));
        expect((await create({ tags: tags(10) })).status).toBe(201);
        expect(issuesOf(await create({ tags: tags(11) }))).toEqual(['400 invalid_body', 'custom', [['tags']]]);
    });

    test('a key has up to 64 characters, a value 1 to 255', async () => {
        expect((await create({ tags: { ['k'.repeat(64)]: 'v'.repeat(255) } })).status).toBe(201);
        const long = 'k'.repeat(65);
        expect(issuesOf(await create({ tags: { [long]: 'v' } }))).toEqual(['400 invalid_body', 'invalid_key', [['tags', long]]]);
        expect(issuesOf(await create({ tags: { '1st': 'v' } }))).toEqual(['400 invalid_body', 'invalid_key', [['tags', '1st']]]);
        expect(issuesOf(await create({ tags: { k: 'v'.repeat(256) } }))).toEqual(['400 invalid_body', 'too_big', [['tags', 'k']]]);
        expect(issuesOf(await create({ tags: { k: '' } }))).toEqual(['400 invalid_body', 'too_small', [['tags', 'k']]]);
        expect(issuesOf(await create({ tags: { k: null } }))).toEqual(['400 invalid_body', 'invalid_type', [['tags', 'k']]]);
    });

    test('keys that differ in case only are one too many', async () => {
        expect(issuesOf(await create({ tags: { team: 'a', Team: 'b' } }))).toEqual(['400 invalid_body', 'custom', [['tags']]]);
    });

    test('end_user_email is an email address, in any case', async () => {
        expect((await create({ tags: { End_User_Email: 'a@example.org' } })).status).toBe(201);
        expect(issuesOf(await create({ tags: { END_USER_EMAIL: 'nobody' } }))).toEqual(['400 invalid_body', 'custom', [['tags']]]);
    });

    test('are generated from the end user and its organization, and explicit ones win', async () => {
        const session = {
            end_user: { id: 'u-1', email: 'u@example.org', display_name: 'U', tags: { Plan: 'free' } },
            organization: { id: 'o-1', display_name: 'O' },
            tags: { end_user_display_name: 'Explicit' },
        };
        expect((await connect(await target.session(session))).tags).toEqual({
            end_user_id: 'u-1',
            end_user_email: 'u@example.org',
            end_user_display_name: 'Explicit',
            organization_id: 'o-1',
            organization_display_name: 'O',
            plan: 'free',
        });
    });
});

describe('14. what a session cannot choose', () => {
    test('the connection id', async () => {
        const path = `/api-auth/basic/${stripe}?connect_session_token=${await target.session()}&connection_id=mine`;
        expect(issuesOf(await target.call('POST', path, { key: null, body: { username: 'rk_test_0123456789abcdef01' } }))).toEqual([
            '400 invalid_query_params',
            'custom',
            [['connection_id']],
        ]);
        const github = await target.oauthIntegration();
        const popup = await target.call('GET', `/oauth/connect/${github}?connect_session_token=${await target.session()}&connection_id=mine`, {
            key: null,
        });
        expect(issuesOf(popup)).toEqual(['400 invalid_query_params', 'custom', [['connection_id']]]);
    });

    test('where webhooks go: params[webhook_url] is dropped', async () => {
        const connection = await connect(await target.session(), '&params[webhook_url]=https://evil.example.org/&params[region]=eu');
        expect([connection.connection_config, connection.webhook_url_override]).toEqual([{ region: 'eu' }, null]);
    });
});

describe('15. the telemetry beacon', () => {
    const origin = async (): Promise<string> => new URL((await create({ tags: {} })).body.data.connect_link as string).origin;

    test('its preflight and its answer name the origin of the Connect UI and allow credentials', async () => {
        const from = await origin();
        const preflight = await target.call('OPTIONS', '/connect/telemetry', {
            key: null,
            headers: { origin: from, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' },
        });
        expect(preflight.status).toBe(204);
        const body = { token: await target.session(), event: 'open', timestamp: new Date().toISOString() };
        const answer = await target.call('POST', '/connect/telemetry', { key: null, body, headers: { origin: from } });
        expect([answer.status, answer.text]).toEqual([204, '']);
        for (const reply of [preflight, answer]) {
            expect(reply.headers.get('access-control-allow-origin')).toBe(from);
            expect(reply.headers.get('access-control-allow-credentials')).toBe('true');
        }
    });

    test('other endpoints allow any origin, without credentials', async () => {
        const preflight = await target.call('OPTIONS', '/connections', {
            key: null,
            headers: { origin: 'https://app.example.org', 'access-control-request-method': 'GET' },
        });
        expect([preflight.status, preflight.headers.get('access-control-allow-origin'), preflight.headers.get('access-control-max-age')]).toEqual([
            204,
            '*',
            '600',
        ]);
        expect(preflight.headers.has('access-control-allow-credentials')).toBe(false);
    });

    test('without a token, or with a strange event or time', async () => {
        const token = await target.session();
        const send = (body: unknown) => target.call('POST', '/connect/telemetry', { key: null, body });
        expect(codeOf(await send({ event: 'open', timestamp: new Date().toISOString() }))).toBe('401 missing_auth_header');
        expect(issuesOf(await send({ token, event: 'dance', timestamp: new Date().toISOString() }))).toEqual([
            '400 invalid_body',
            'invalid_value',
            [['event']],
        ]);
        expect(issuesOf(await send({ token, event: 'open', timestamp: new Date(Date.now() - 3 * 3600 * 1000).toISOString() }))).toEqual([
            '400 invalid_body',
            'custom',
            [['timestamp']],
        ]);
    });
});
