/** /webhooks/endpoints: more places for webhooks than two, which events go there, and what becomes of them when one is away (W9, W18). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { defaultEventKinds, eventKinds } from '../../src/webhooks/event-kinds.ts';
import { providersFile } from '../e2e/provider-entries.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../peers/webhook-receiver.ts';
import { connectKey, createIntegration, createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';

interface Endpoint {
    id: string;
    role: string | null;
    url: string;
    events: string[];
    enabled: boolean;
    disabled_reason: string | null;
    updated_at: string;
}

const path = '/webhooks/endpoints';
const url = 'https://hooks.example.com/a';
let valetkey: TestApp;
const receivers: WebhookReceiver[] = [];

beforeAll(async () => {
    valetkey = await startTestApp({
        env: { VALETKEY_EGRESS_ALLOW: '127.0.0.0/8,hooks.internal', VALETKEY_PUBLIC_URL: 'https://valetkey.example.org' },
        providers: providersFile(untestedKeyEntry('keys')),
    });
    await createIntegration(valetkey, 'keys', 'keys');
    valetkey.app.startWork();
});
afterAll(async () => {
    await valetkey?.close();
    await Promise.all(receivers.map((receiver) => receiver.close()));
});
beforeEach(() => valetkey.query('delete from webhook_endpoints'));

async function receiver(): Promise<WebhookReceiver> {
    const started = await startWebhookReceiver();
    receivers.push(started);
    return started;
}

const code = (answer: Answer<unknown>): unknown => [answer.status, (answer.body as { error: { code: string } }).error.code];
const issues = (answer: Answer<unknown>): unknown =>
    (answer.body as { error: { errors?: { path: (string | number)[] }[] } }).error.errors?.map((issue) => issue.path.join('.'));
const create = (body: object): Promise<Answer<{ data: Endpoint }>> => valetkey.call('POST', path, { body });
const change = (id: string, body: object): Promise<Answer<{ data: Endpoint }>> => valetkey.call('PATCH', `${path}/${id}`, { body });
const enable = (id: string, since: string | null): Promise<Answer<{ data: Endpoint; replayed: number }>> =>
    valetkey.call('POST', `${path}/${id}/enable`, { body: { replay_since: since } });
const list = async (query = ''): Promise<Endpoint[]> => (await valetkey.call<{ data: Endpoint[] }>('GET', `${path}${query}`)).body.data;
const settings = async (): Promise<Record<string, unknown>> =>
    (await valetkey.call<{ data: Record<string, unknown> }>('GET', '/environment/webhooks')).body.data;
const setUrls = (body: object): Promise<Answer> => valetkey.call('PATCH', '/environment/webhooks', { body });
const bodies = ({ deliveries }: WebhookReceiver) => deliveries.map(({ body }) => JSON.parse(body.toString()) as Record<string, unknown>);
const connect = async (): Promise<string> => connectKey(valetkey, 'keys', await createSession(valetkey));

describe('an endpoint', () => {
    test('begins with the default events, enabled', async () => {
        const { status, body } = await create({ url });
        expect(status).toBe(200);
        expect(body.data).toEqual({
            id: expect.any(String),
            role: null,
            url,
            description: null,
            events: [...defaultEventKinds],
            follow_redirects: true,
            own_signing_key: false,
            enabled: true,
            disabled_reason: null,
            disabled_at: null,
            failing_since: null,
            created_at: expect.any(String),
            updated_at: expect.any(String),
        });
        expect((await valetkey.call('GET', `${path}/${body.data.id}`)).body).toEqual(body);
    });

    test('keeps what is given, its events as a set; a change leaves the rest', async () => {
        const given = { url, description: 'for the CRM', follow_redirects: false, enabled: false };
        const { data } = (await create({ ...given, events: ['auth.deletion', 'auth.creation', 'auth.deletion'] })).body;
        expect(data).toMatchObject({ ...given, events: ['auth.creation', 'auth.deletion'], disabled_reason: 'manual' });
        const changed = (await change(data.id, { events: [...eventKinds], description: null })).body.data;
        expect(changed).toEqual({ ...data, events: [...eventKinds], description: null, updated_at: changed.updated_at });
        expect(Date.parse(changed.updated_at)).toBeGreaterThan(Date.parse(data.updated_at));
    });

    test('is listed with the two of the settings, page by page', async () => {
        await setUrls({ primary_url: `${url}/1`, secondary_url: `${url}/2` });
        await create({ url: `${url}/3` });
        const all = await list();
        expect(all.map((endpoint) => [endpoint.role, endpoint.url])).toEqual([
            ['primary', `${url}/1`],
            ['secondary', `${url}/2`],
            [null, `${url}/3`],
        ]);
        const first = await valetkey.call<{ data: Endpoint[]; next_cursor: string }>('GET', `${path}?limit=2`);
        expect(first.body.data).toEqual(all.slice(0, 2));
        expect(await list(`?limit=2&cursor=${first.body.next_cursor}`)).toEqual(all.slice(2));
    });

    test.each<[string, object, string]>([
        ['no URL', {}, 'url'],
        ['an empty URL', { url: '' }, 'url'],
        ['plain http (W14)', { url: 'http://hooks.example.com/' }, 'url'],
        ['a private address (W15)', { url: 'https://10.0.0.1/' }, 'url'],
        ['this Valetkey itself', { url: 'https://valetkey.example.org/x' }, 'url'],
        ['an unknown event', { url, events: ['auth.unknown'] }, 'events.0'],
        ['no events', { url, events: [] }, 'events'],
        ['an unknown field', { url, role: 'primary' }, ''],
    ])('with %s is refused', async (_name, body, expected) => {
        const answer = await create(body);
        expect([code(answer), issues(answer)]).toEqual([[400, 'invalid_body'], [expected]]);
    });

    test('may be plain http where the operator opened the host (W14)', async () => {
        expect((await create({ url: 'http://hooks.internal/x' })).status).toBe(200);
    });

    test('is one of fifty', async () => {
        const row = `select gen_random_uuid(), id, '${url}', '{auth.creation}', now(), now() from environments, generate_series(1, 49) where name = 'dev'`;
        await valetkey.query(`insert into webhook_endpoints (id, environment_id, url, events, created_at, updated_at) ${row}`);
        expect((await create({ url })).status).toBe(200);
        expect(code(await create({ url }))).toEqual([400, 'resource_capped']);
    });

    test('is one of fifty, those of the settings included, which can be changed all the same', async () => {
        await setUrls({ primary_url: `${url}/1` });
        const row = `select gen_random_uuid(), id, '${url}', '{auth.creation}', now(), now() from environments, generate_series(1, 49) where name = 'dev'`;
        await valetkey.query(`insert into webhook_endpoints (id, environment_id, url, events, created_at, updated_at) ${row}`);
        expect(code(await setUrls({ secondary_url: `${url}/2` }))).toEqual([400, 'resource_capped']);
        expect((await setUrls({ primary_url: `${url}/3`, secondary_url: null })).status).toBe(200);
        expect(await list('?limit=1000')).toHaveLength(50);
        const declared = await valetkey.call('PUT', '/environment/config', { body: { version: 1, webhooks: { secondary_url: `${url}/2` } } });
        expect(code(declared)).toEqual([400, 'resource_capped']);
    });

    test('of another environment, or of nobody, is unknown', async () => {
        const { id } = (await valetkey.call<{ data: Endpoint }>('POST', path, { key: valetkey.prodKey, body: { url } })).body.data;
        const answers = [
            await valetkey.call('GET', `${path}/${id}`),
            await change(id, { enabled: false }),
            await valetkey.call('DELETE', `${path}/${id}`),
            await enable(id, null),
        ];
        expect(answers.map(code)).toEqual(answers.map(() => [404, 'not_found']));
        expect(await list()).toEqual([]);
    });
});

describe('primary_url and secondary_url', () => {
    test('are views of two endpoints, whichever way they are written', async () => {
        await setUrls({ primary_url: url });
        const [primary] = await list();
        expect(primary).toMatchObject({ role: 'primary', url, events: [...defaultEventKinds] });
        const before = await settings();
        await change(primary!.id, { url: `${url}/new`, events: ['auth.creation', 'auth.deletion'] });
        const after = await settings();
        expect(after).toMatchObject({ primary_url: `${url}/new`, secondary_url: null });
        expect(after['updated_at']).not.toBe(before['updated_at']);

        await setUrls({ primary_url: `${url}/newer` });
        expect(await list()).toMatchObject([{ id: primary!.id, url: `${url}/newer`, events: ['auth.creation', 'auth.deletion'] }]);
        await valetkey.call('DELETE', `${path}/${primary!.id}`);
        expect(await settings()).toMatchObject({ primary_url: null });
        await setUrls({ secondary_url: url });
        await setUrls({ secondary_url: null });
        expect(await list()).toEqual([]);
    });

    test('say why one is disabled, and end that when written anew', async () => {
        await setUrls({ primary_url: url });
        const [{ id } = { id: '' }] = await list();
        await change(id, { enabled: false });
        expect(await settings()).toMatchObject({ primary_url: url, primary_disabled_reason: 'manual', secondary_disabled_reason: null });
        await setUrls({ primary_url: url });
        expect((await list())[0]).toMatchObject({ id, enabled: true, disabled_reason: null });
    });
});

describe('events', () => {
    test('of a deletion go to who asks for them, with what the connection was', async () => {
        const [primary, curious] = [await receiver(), await receiver()];
        await setUrls({ primary_url: primary.url });
        await create({ url: curious.url, events: ['auth.deletion'] });
        const connectionId = await connect();
        await valetkey.call('DELETE', `/connections/${connectionId}?provider_config_key=keys`);
        await curious.waitFor(() => true);
        expect(bodies(curious)).toMatchObject([
            {
                from: 'nango',
                type: 'auth',
                operation: 'deletion',
                success: true,
                connectionId,
                providerConfigKey: 'keys',
                provider: 'keys',
                authMode: 'API_KEY',
                environment: 'dev',
                endUser: { endUserId: 'user-1' },
            },
        ]);
        await primary.waitFor(() => true);
        expect(bodies(primary).map(({ operation }) => operation)).toEqual(['creation']);
    });

    test('tell of an integration whose client or scopes changed, without saying to what; not of other changes', async () => {
        const curious = await receiver();
        await create({ url: curious.url, events: ['integration.credentials_changed'] });
        const client = { type: 'OAUTH2', client_id: 'the-old-client', client_secret: 'the-old-secret', scopes: 'read' };
        await createIntegration(valetkey, 'hub', 'github', { credentials: client });
        const patch = (body: object): Promise<Answer> => valetkey.call('PATCH', '/integrations/hub', { body });
        const told = async (): Promise<number> => (await valetkey.query(`select 1 from webhook_events where type = 'integration'`)).length;

        await patch({ display_name: 'Hub' });
        await patch({ credentials: client });
        expect(await told()).toBe(0);
        await patch({ credentials: { ...client, client_secret: 'the-new-secret' } });
        expect(await told()).toBe(1);
        await patch({ credentials: { ...client, client_secret: 'the-new-secret', scopes: 'read,write' } });
        expect(await told()).toBe(2);
        await curious.waitFor(() => curious.deliveries.length === 2);
        expect(bodies(curious)[0]).toEqual({
            from: 'nango',
            type: 'integration',
            operation: 'credentials_changed',
            providerConfigKey: 'hub',
            provider: 'github',
            environment: 'dev',
            success: true,
        });
    });
});

describe('an endpoint that is away (W9)', () => {
    const states = (id: string) => async (): Promise<string[]> =>
        (await valetkey.query<{ state: string }>('select state from webhook_deliveries where endpoint_id = $1 order by created_at', [id])).map(
            ({ state }) => state,
        );

    test('gets what was held for it since a moment when it is enabled again, with the same ids', async () => {
        const hook = await receiver();
        hook.answer(410);
        const { id } = (await create({ url: hook.url })).body.data;
        const connections = [await connect()];
        await expect.poll(states(id)).toEqual(['held']);
        expect((await list())[0]).toMatchObject({ enabled: false, disabled_reason: 'receiver_gone' });
        await expect.poll(() => valetkey.log()).toContain('webhook endpoint disabled');
        connections.push(await connect(), await connect());
        await expect.poll(states(id)).toEqual(['held', 'held', 'held']);
        const [first] = await valetkey.query<{ created_at: Date }>(
            'select created_at from webhook_deliveries where endpoint_id = $1 order by created_at',
            [id],
        );

        const sinceSecond = new Date(first!.created_at.getTime() + 1).toISOString();
        expect((await enable(id, sinceSecond)).body).toMatchObject({ data: { enabled: true, disabled_reason: null }, replayed: 2 });
        await hook.waitFor(() => hook.deliveries.length === 3);
        expect(
            bodies(hook)
                .slice(1)
                .map(({ connectionId }) => connectionId)
                .toSorted(),
        ).toEqual(connections.slice(1).toSorted());
        expect((await enable(id, first!.created_at.toISOString())).body.replayed).toBe(1);
        await hook.waitFor(() => hook.deliveries.length === 4);
        expect(hook.deliveries[3]!.headers['webhook-id']).toBe(hook.deliveries[0]!.headers['webhook-id']);
        await expect.poll(states(id)).toEqual(['delivered', 'delivered', 'delivered']);
    });

    test('enabled without a moment gets nothing of it, and what comes after', async () => {
        const hook = await receiver();
        const { id } = (await create({ url: hook.url, enabled: false })).body.data;
        await connect();
        await expect.poll(states(id)).toEqual(['held']);
        expect((await enable(id, null)).body.replayed).toBe(0);
        const later = await connect();
        await hook.waitFor(() => true);
        expect(bodies(hook).map(({ connectionId }) => connectionId)).toEqual([later]);
        await expect.poll(states(id)).toEqual(['held', 'delivered']);
    });

    test('switched off by hand while it fails, what was given up since it began to fail is held too', async () => {
        const hook = await receiver();
        hook.answer(500);
        const { id } = (await create({ url: hook.url })).body.data;
        await connect();
        await hook.waitFor(() => true);
        await expect.poll(async () => (await list())[0]).toMatchObject({ failing_since: expect.any(String) });
        await valetkey.query(`update webhook_deliveries set state = 'dead', next_attempt_at = null, settled_at = now() where endpoint_id = $1`, [id]);
        await change(id, { enabled: false });
        expect(await states(id)()).toEqual(['held']);
        hook.answer(200);
        expect((await enable(id, new Date(0).toISOString())).body).toMatchObject({ data: { failing_since: null }, replayed: 1 });
        await expect.poll(states(id)).toEqual(['delivered']);
    });

    test('deleted gets nothing more', async () => {
        const hook = await receiver();
        hook.answer(500);
        const { id } = (await create({ url: hook.url })).body.data;
        await connect();
        await hook.waitFor(() => true);
        await expect.poll(states(id)).toEqual(['pending']);
        expect((await valetkey.call('DELETE', `${path}/${id}`)).body).toEqual({ success: true });
        await expect.poll(states(id)).toEqual(['dead']);
    });

    test.each(['tomorrow', 1, undefined])('a replay since %s is refused', async (since) => {
        const { id } = (await create({ url })).body.data;
        expect(code(await valetkey.call('POST', `${path}/${id}/enable`, { body: { replay_since: since } }))).toEqual([400, 'invalid_body']);
    });
});
