/**
 * Every method of the official backend client that concerns authentication (http-api §14.1): what it puts on the wire, what
 * comes back, and what it makes of it. A proxy in between keeps both sides.
 */
import { createHmac } from 'node:crypto';
import { Nango } from '@nangohq/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startRecordingProxy, type Exchange, type RecordingProxy } from '../peers/recording-proxy.ts';
import { isOwn, useTarget } from './target.ts';

const target = useTarget();
let proxy: RecordingProxy;
let client: Nango;
let github: string;

beforeAll(async () => {
    proxy = await startRecordingProxy(() => target.url);
    client = new Nango({ apiKey: target.key, host: proxy.url });
    github = await target.oauthIntegration();
});

afterAll(() => proxy?.close());

interface Call<Result> {
    result: Result;
    wire: Exchange;
    /** The answer's JSON. */
    answer: unknown;
    /** The request's JSON. */
    sent: unknown;
}

/** Runs one client method. */
async function call<Result>(method: () => Promise<Result>): Promise<Call<Result>> {
    const before = proxy.exchanges.length;
    const result = await method();
    const [wire, ...more] = proxy.exchanges.slice(before);
    expect(more).toEqual([]);
    return { result, wire: wire!, answer: parsed(wire!.answer), sent: parsed(wire!.body) };
}

/** A server may say more than the reference does; a client ignores it. */
function referenceMembers(shown: object): object {
    const ours = ['post_connection_status', 'credentials_expires_at', 'credentials_expires_at_source', 'refresh_token_expires_at'];
    return Object.fromEntries(Object.entries(shown).filter(([name]) => !ours.includes(name)));
}

const parsed = (text: string): unknown => (text === '' ? undefined : JSON.parse(text));
const line = ({ wire }: Call<unknown>): string => `${wire.method} ${decodeURIComponent(wire.target)}`;

describe('providers', () => {
    test('listProviders', async () => {
        const made = await call(() => client.listProviders({ search: 'github' }));
        expect(line(made)).toBe('GET /providers?search=github');
        expect(made.result).toEqual(made.answer);
        expect(made.result.data.find((provider) => provider.name === 'github')).toMatchObject({
            name: 'github',
            display_name: expect.any(String) as string,
            auth_mode: 'OAUTH2',
            logo_url: expect.stringMatching(/\/images\/template-logos\/github\.svg$/) as string,
        });
        const all = await call(() => client.listProviders({}));
        expect(line(all)).toBe('GET /providers');
        expect(all.result.data.length).toBeGreaterThan(made.result.data.length);
    });

    test('getProvider', async () => {
        const made = await call(() => client.getProvider({ provider: 'github' }));
        expect(line(made)).toBe('GET /providers/github');
        expect(made.result).toEqual(made.answer);
        expect(made.result.data.auth_mode).toBe('OAUTH2');
    });
});

describe('integrations', () => {
    const unique_key = `client-${Date.now()}`;
    const credentials = { type: 'OAUTH2' as const, client_id: 'id', client_secret: 'secret', scopes: 'repo,user' };

    test('createIntegration', async () => {
        const body = { provider: 'github', unique_key, display_name: 'Mine', credentials };
        const made = await call(() => client.createIntegration(body));
        expect([line(made), made.sent, made.wire.status]).toEqual(['POST /integrations', body, 200]);
        expect(made.result).toEqual(made.answer);
        expect(made.result.data).toEqual({
            unique_key,
            provider: 'github',
            display_name: 'Mine',
            logo: expect.stringMatching(/github\.svg$/) as string,
            forward_webhooks: true,
            created_at: expect.stringMatching(/Z$/) as string,
            updated_at: expect.stringMatching(/Z$/) as string,
        });
    });

    test('listIntegrations', async () => {
        const made = await call(() => client.listIntegrations());
        expect(line(made)).toBe('GET /integrations');
        expect(made.result).toEqual({ configs: (made.answer as { data: unknown }).data });
        expect(made.result.configs.map((config) => config.unique_key)).toEqual(expect.arrayContaining([unique_key, github]));
    });

    test('getIntegration, of whose include only the last element is sent', async () => {
        const plain = await call(() => client.getIntegration({ uniqueKey: unique_key }));
        expect(line(plain)).toBe(`GET /integrations/${unique_key}`);
        expect(plain.wire.headers['content-type']).toMatch(/^application\/json/);
        expect(Object.keys(plain.result.data)).not.toContain('credentials');
        const made = await call(() => client.getIntegration({ uniqueKey: unique_key }, { include: ['webhook', 'credentials'] }));
        expect(line(made)).toBe(`GET /integrations/${unique_key}?include=credentials`);
        expect(made.result).toEqual(made.answer);
        expect(made.result.data.credentials).toEqual({ ...credentials, webhook_secret: null });
        const webhook = await call(() => client.getIntegration({ uniqueKey: unique_key }, { include: ['webhook'] }));
        expect(Object.keys(webhook.result.data)).toContain('webhook_url');
    });

    test('updateIntegration', async () => {
        const body = { display_name: 'Renamed', forward_webhooks: false };
        const made = await call(() => client.updateIntegration({ uniqueKey: unique_key }, body));
        expect([line(made), made.sent, made.wire.status]).toEqual([`PATCH /integrations/${unique_key}`, body, 200]);
        expect(made.result).toEqual(made.answer);
        expect(made.result.data).toMatchObject({ ...body, unique_key });
    });

    test('deleteIntegration', async () => {
        const made = await call(() => client.deleteIntegration(unique_key));
        expect(line(made)).toBe(`DELETE /integrations/${unique_key}`);
        expect([made.result.status, made.result.data]).toEqual([200, { success: true }]);
        await expect(client.getIntegration({ uniqueKey: unique_key })).rejects.toMatchObject({
            response: { status: 404, data: { error: { code: 'not_found' } } },
        });
    });

    test('createQuickstartIntegration, where no app is preloaded', async () => {
        const before = proxy.exchanges.length;
        await expect(client.createQuickstartIntegration({ provider: 'github', unique_key: 'quick' })).rejects.toMatchObject({
            response: { status: 400, data: { error: { code: 'invalid_body' } } },
        });
        expect(proxy.exchanges[before]).toMatchObject({ method: 'POST', target: '/integrations/quickstart' });
    });
});

describe('connect sessions', () => {
    test('createConnectSession', async () => {
        const body = {
            end_user: { id: 'u-1', email: 'u@example.org', display_name: 'U' },
            organization: { id: 'o-1' },
            allowed_integrations: [github],
            integrations_config_defaults: { [github]: { connection_config: { subdomain: 'acme' } } },
        };
        const made = await call(() => client.createConnectSession(body));
        expect([line(made), made.sent, made.wire.status]).toEqual(['POST /connect/sessions', body, 201]);
        expect(made.result).toEqual(made.answer);
        expect(made.result.data.token).toMatch(/^nango_connect_session_[a-f0-9]{64}$/);
        expect(Date.parse(made.result.data.expires_at) - Date.now()).toBeGreaterThan(29 * 60_000);
        const read = await target.call('GET', '/connect/session', { key: made.result.data.token });
        expect(read.body.data).toMatchObject({
            endUser: {
                id: 'u-1',
                email: 'u@example.org',
                display_name: 'U',
                tags: null,
                organization: { id: 'o-1', display_name: null },
            },
            allowed_integrations: [github],
            integrations_config_defaults: { [github]: { connection_config: { subdomain: 'acme' } } },
            websocketsPath: '/',
        });
    });

    test('createReconnectSession', async () => {
        const id = await target.connection(github);
        const body = { connection_id: id, integration_id: github };
        const made = await call(() => client.createReconnectSession(body));
        expect([line(made), made.sent, made.wire.status]).toEqual(['POST /connect/sessions/reconnect', body, 201]);
        expect(made.result).toEqual(made.answer);
        const read = await target.call('GET', '/connect/session', { key: made.result.data.token });
        expect(read.body.data).toMatchObject({ isReconnecting: true, allowed_integrations: [github] });
    });
});

describe('connections', () => {
    let id: string;
    const mark = `mark-${Date.now()}`;

    beforeAll(async () => {
        id = await target.connection(github, {
            tags: { mark, end_user_display_name: 'Ada', end_user_email: 'ada@example.org' },
            end_user: { id: `u-${mark}` },
            metadata: { plan: 'free' },
        });
    });

    test('listConnections, with positional arguments', async () => {
        const made = await call(() => client.listConnections(id, id.slice(2, 12), { limit: 5, page: 0 }));
        expect(line(made)).toBe(`GET /connections?connectionId=${id}&search=${id.slice(2, 12)}&limit=5`);
        expect(made.result).toEqual(made.answer);
        expect(made.result.connections.map(referenceMembers)).toEqual([
            {
                id: expect.any(Number) as number,
                connection_id: id,
                provider: 'github',
                provider_config_key: github,
                created: expect.stringMatching(/\+00:00$/) as string,
                metadata: { plan: 'free' },
                tags: expect.objectContaining({ mark }) as object,
                errors: [],
                end_user: { id: `u-${mark}`, display_name: null, email: null, tags: null, organization: null },
            },
        ]);
        const found = await call(() => client.listConnections(undefined, undefined, { endUserId: `u-${mark}` }));
        expect(line(found)).toBe(`GET /connections?endUserId=u-${mark}`);
        expect(found.result.connections).toHaveLength(1);
    });

    test('listConnections, with an object', async () => {
        const made = await call(() =>
            client.listConnections({ userId: `u-${mark}`, integrationId: [github, 'another'], tags: { Mark: mark, displayName: 'Ada' }, limit: 10 }),
        );
        const query = new URLSearchParams(made.wire.target.split('?')[1]);
        expect(Object.fromEntries(query)).toEqual({
            endUserId: `u-${mark}`,
            integrationId: `${github},another`,
            'tags[mark]': mark,
            'tags[end_user_display_name]': 'Ada',
            limit: '10',
        });
        expect(made.result.connections.map((connection) => connection.connection_id)).toEqual([id]);
        const none = await call(() => client.listConnections({ tags: { mark, email: 'bob@example.org' } }));
        expect(none.result.connections).toEqual([]);
    });

    test('getConnection: all four parameters, always', async () => {
        const made = await call(() => client.getConnection(github, id));
        const query = `provider_config_key=${github}&force_refresh=false&refresh_token=false&refresh_github_app_jwt_token=false`;
        expect(line(made)).toBe(`GET /connections/${id}?${query}`);
        expect(made.result).toEqual(made.answer);
        expect(referenceMembers(made.result)).toEqual({
            id: expect.any(Number) as number,
            connection_id: id,
            provider: 'github',
            provider_config_key: github,
            errors: [],
            end_user: { id: `u-${mark}`, display_name: null, email: null, tags: null, organization: null },
            tags: expect.objectContaining({ mark }) as object,
            metadata: { plan: 'free' },
            connection_config: {},
            webhook_url_override: null,
            created_at: expect.stringMatching(/\+00:00$/) as string,
            updated_at: expect.stringMatching(/\+00:00$/) as string,
            last_fetched_at: expect.stringMatching(/\+00:00$/) as string,
            credentials: { type: 'OAUTH2', access_token: 'an-access-token', raw: expect.any(Object) as object },
        });
        const asked = await call(() => client.getConnection(github, id, false, true));
        expect(line(asked)).toContain('refresh_token=true');
        expect((asked.result.credentials as { refresh_token?: string }).refresh_token).toBe('a-refresh-token');
    });

    test('getToken, getRawTokenResponse, getMetadata', async () => {
        expect((await call(() => client.getToken(github, id))).result).toBe('an-access-token');
        expect((await call(() => client.getRawTokenResponse(github, id))).result).toMatchObject({ access_token: 'an-access-token' });
        expect((await call(() => client.getMetadata(github, id))).result).toEqual({ plan: 'free' });
    });

    test('getToken of other types is their credentials object', async () => {
        const stripe = await target.integration('stripe-api-key');
        const key = { username: 'rk_test_0123456789abcdef01', password: '' };
        const imported = await target.connection(stripe, { credentials: { type: 'BASIC', ...key } });
        expect((await call(() => client.getToken(stripe, imported))).result).toEqual({ type: 'BASIC', ...key });
    });

    test('patchConnection', async () => {
        const body = { tags: { mark, stage: 'two' } };
        const made = await call(() => client.patchConnection({ connectionId: id, provider_config_key: github }, body));
        expect([line(made), made.sent, made.result]).toEqual([`PATCH /connections/${id}?provider_config_key=${github}`, body, { success: true }]);
        expect((await client.getConnection(github, id)).tags).toEqual({ mark, stage: 'two' });
    });

    test('setMetadata replaces, updateMetadata merges; for one id or several', async () => {
        const other = await target.connection(github);
        const set = await call(() => client.setMetadata(github, id, { a: 1, b: { c: 2 } }));
        const body = { metadata: { a: 1, b: { c: 2 } }, connection_id: id, provider_config_key: github };
        expect([line(set), set.sent, set.result.status, set.result.data]).toEqual(['POST /connections/metadata', body, 201, body]);
        const update = await call(() => client.updateMetadata(github, [id, other], { b: 3 }));
        expect([line(update), update.result.status]).toEqual(['PATCH /connections/metadata', 200]);
        expect(update.result.data).toEqual({ metadata: { b: 3 }, connection_id: [id, other], provider_config_key: github });
        expect([await client.getMetadata(github, id), await client.getMetadata(github, other)]).toEqual([{ a: 1, b: 3 }, { b: 3 }]);
    });

    test('deleteConnection: a JSON content type and no body', async () => {
        const made = await call(() => client.deleteConnection(github, id));
        expect(line(made)).toBe(`DELETE /connections/${id}?provider_config_key=${github}`);
        expect([made.wire.headers['content-type'], made.wire.body]).toEqual([expect.stringMatching(/^application\/json/), '']);
        expect([made.result.status, made.result.data]).toEqual([200, { success: true }]);
        await expect(client.getConnection(github, id)).rejects.toMatchObject({ response: { status: 404, data: { error: { code: 'not_found' } } } });
    });

    test('waitForConnection finds the end user’s new connection', async () => {
        const userId = `waited-${mark}`;
        const waiting = client.waitForConnection(github, userId);
        const connected = await target.connection(github, { end_user: { id: userId } });
        expect(await waiting).toMatchObject({ connection_id: connected, provider_config_key: github, end_user: { id: userId } });
        expect(proxy.exchanges.at(-1)!.target).toBe(`/connections?endUserId=${userId}`);
    });
});

test('getEnvironmentVariables', async () => {
    if (isOwn) {
        await target.call('PUT', '/environment-variables', { body: [{ name: 'A', value: '1' }] });
    }
    const made = await call(() => client.getEnvironmentVariables());
    expect([line(made), made.result]).toEqual(['GET /environment-variables', made.answer]);
    expect(made.result).toEqual(isOwn ? [{ name: 'A', value: '1' }] : expect.any(Array));
});

test('verifyIncomingWebhookRequest and verifyWebhookSignature are local: nothing goes over the wire', () => {
    const before = proxy.exchanges.length;
    const key = '6d9a1c1a-1f43-4d4b-9d2a-0d5b3c1f2e11';
    const verifier = new Nango({ apiKey: target.key, host: proxy.url, webhookSigningKey: key });
    const body = '{"type":"auth"}';
    const signature = createHmac('sha256', key).update(body).digest('hex');
    expect(verifier.verifyIncomingWebhookRequest(body, { 'x-nango-hmac-sha256': signature })).toBe(true);
    expect(verifier.verifyIncomingWebhookRequest(`${body} `, { 'x-nango-hmac-sha256': signature })).toBe(false);
    expect(proxy.exchanges.length).toBe(before);
});

test('a wrong key fails every method with the envelope as the error’s response', async () => {
    const stranger = new Nango({ apiKey: '11111111-2222-4333-8444-555555555555', host: proxy.url });
    const refused = { response: { status: 401, data: { error: { code: 'unknown_account', message: expect.any(String) as string, payload: {} } } } };
    for (const method of [
        () => stranger.listProviders({}),
        () => stranger.listIntegrations(),
        () => stranger.listConnections(),
        () => stranger.getConnection(github, 'x'),
        () => stranger.createConnectSession({ end_user: { id: 'u' } }),
        () => stranger.getEnvironmentVariables(),
    ]) {
        await expect(method()).rejects.toMatchObject(refused);
    }
});
