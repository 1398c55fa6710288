/** Reading connections: dates, scopes, refresh tokens, credentials that cannot be had (http-api §16 nos. 9–12). */
import { beforeAll, describe, expect, test } from 'vitest';
import { codeOf, isOwn, useTarget } from './target.ts';

const target = useTarget();
let github: string;

beforeAll(async () => {
    github = await target.oauthIntegration();
});

const get = (id: string, query = '', key = target.key) => target.call('GET', `/connections/${id}?provider_config_key=${github}${query}`, { key });

describe('9. dates', () => {
    const utc = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
    const offset = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$/;
    const database = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+00:00$/;
    const expires_at = '2099-01-02T03:04:05.000Z';
    const credentials = { type: 'OAUTH2', access_token: 't', expires_at: '2099-01-02T04:04:05+01:00' };

    test('an import: milliseconds and Z, the credentials’ expiry too', async () => {
        const { body } = await target.call('POST', '/connections', { body: { provider_config_key: github, credentials } });
        expect([body.created_at, body.updated_at]).toEqual([expect.stringMatching(utc), expect.stringMatching(utc)]);
        expect(body.credentials.expires_at).toBe(expires_at);
    });

    test('a connection: milliseconds and +00:00; its credentials: Z', async () => {
        const { body } = await get(await target.connection(github, { credentials }));
        for (const date of [body.created_at, body.updated_at, body.last_fetched_at]) {
            expect(date).toMatch(offset);
        }
        expect(body.credentials.expires_at).toBe(expires_at);
    });

    test('the list: as the database writes it, with +00:00', async () => {
        const id = await target.connection(github);
        const { body } = await target.call('GET', `/connections?connectionId=${id}`);
        expect(body.connections[0].created).toMatch(database);
    });

    test('integrations: milliseconds and Z', async () => {
        const { data } = (await target.call('GET', `/integrations/${github}`)).body;
        expect([data.created_at, data.updated_at]).toEqual([expect.stringMatching(utc), expect.stringMatching(utc)]);
    });
});

describe('10. keys that may not read credentials', () => {
    test('get {} for them, and may not ask for more', async () => {
        const id = await target.connection(github);
        const reader = await target.keyWith('environment:connections:read');
        const plain = await get(id, '', reader);
        expect([plain.status, plain.body.credentials, plain.body.last_fetched_at]).toEqual([200, {}, null]);
        for (const flag of ['refresh_token', 'force_refresh', 'refresh_github_app_jwt_token']) {
            expect(codeOf(await get(id, `&${flag}=false`, reader))).toBe('200 undefined');
            expect(codeOf(await get(id, `&${flag}=true`, reader))).toBe('403 forbidden');
        }
    });

    test('asking for an integration’s credentials without the scope is not an error', async () => {
        const reader = await target.keyWith('environment:integrations:read');
        const reply = await target.call('GET', `/integrations/${github}?include=credentials`, { key: reader });
        expect([reply.status, Object.keys(reply.body.data).includes('credentials')]).toEqual([200, false]);
        const full = await target.call('GET', `/integrations/${github}?include=credentials`);
        expect(full.body.data.credentials).toMatchObject({ type: 'OAUTH2', client_id: 'a-client', client_secret: 'a-client-secret' });
    });
});

describe('11. refresh tokens', () => {
    test('stand nowhere in an answer that was not asked for them', async () => {
        const id = await target.connection(github, {
            credentials: { type: 'OAUTH2', access_token: 't', refresh_token: 'canary-refresh-token' },
            connection_config: {
                nested: { 'Refresh-Token': 'canary-refresh-token', refreshToken: 'canary-refresh-token' },
                refresh_token_expires_in: 5,
            },
        });
        const without = await get(id);
        expect(without.text).not.toContain('canary-refresh-token');
        expect(without.body.connection_config).toEqual({ nested: {}, refresh_token_expires_in: 5 });
        const asked = await get(id, '&refresh_token=true');
        expect(asked.body.credentials.refresh_token).toBe('canary-refresh-token');
        expect((await target.call('GET', `/connections?connectionId=${id}`)).text).not.toContain('canary-refresh-token');
    });

    test.each(['true', '1', 'YES', 'on', 'y', 'Enabled'])('are asked for with %s', async (yes) => {
        const id = await target.connection(github);
        expect((await get(id, `&refresh_token=${yes}`)).body.credentials.refresh_token).toBe('a-refresh-token');
    });

    test('and with nothing else', async () => {
        const id = await target.connection(github);
        for (const word of ['', 'maybe', '2']) {
            expect(codeOf(await get(id, `&refresh_token=${word}`))).toBe('400 invalid_query_params');
        }
    });
});

describe.skipIf(!isOwn)('12. credentials that cannot be had (needs a token server that the target calls)', () => {
    let integration: string;
    let id: string;
    const read = (query = '') => target.call('GET', `/connections/${id}?provider_config_key=${integration}${query}`);

    beforeAll(async () => {
        const { tokens } = target.own!;
        integration = await target.oauthIntegration('faulty', { id: tokens.clientId, secret: tokens.clientSecret });
        const issued = tokens.issueTokens();
        id = await target.connection(integration, {
            credentials: {
                type: 'OAUTH2',
                access_token: issued.access_token,
                refresh_token: issued.refresh_token,
                expires_at: new Date(Date.now() + 60_000).toISOString(),
            },
        });
    });

    const unusable = (type: string) => ({
        error: {
            code: 'invalid_credentials',
            message: expect.any(String) as string,
            payload: { type, connection: expect.objectContaining({ connection_id: id, credentials: {} }) as object },
        },
    });

    test('in the cool-down after a failure: 424 with the connection, a refresh that is forced asks again: 400', async () => {
        const { app, tokens } = target.own!;
        app.advance(120_000);
        tokens.fail('status:500');
        const failed = await read();
        expect([failed.status, failed.body]).toEqual([424, unusable('connection_refresh_backoff')]);
        const asked = tokens.requests.length;
        expect((await read()).status).toBe(424);
        expect(tokens.requests.length).toBe(asked);
        const forced = await read('&force_refresh=true');
        expect([forced.status, forced.body.error.payload.connection.credentials]).toEqual([400, {}]);
        expect(tokens.requests.length).toBeGreaterThan(asked);
    });

    test('exhausted: 424, and a forced refresh that works brings it back', async () => {
        const { app, tokens } = target.own!;
        tokens.fail('deny');
        app.advance(60_000);
        expect(codeOf(await read())).toBe('424 invalid_credentials');
        tokens.fail(null);
        const exhausted = await read();
        expect([exhausted.status, exhausted.body]).toEqual([424, unusable('connection_refresh_exhausted')]);
        const forced = await read('&force_refresh=true');
        expect([forced.status, forced.body.errors]).toEqual([200, []]);
        expect((await read()).status).toBe(200);
    });
});
