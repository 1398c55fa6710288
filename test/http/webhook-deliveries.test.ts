/** The delivery log, sending again, reading events and test events, over HTTP and with real receivers (W10–W12, W16). */
import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newRowId, systemSources } from '../../src/sources.ts';
import { enqueueAuthEvent, type AuthEvent } from '../../src/webhooks/auth-events.ts';
import { listen } from '../peers/http-server.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../peers/webhook-receiver.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';

interface Delivery {
    id: string;
    event_id: string;
    connection_id: string;
    destination: string;
    url: string;
    state: string;
    attempts: number;
    sequence: number | null;
    is_redelivery: boolean;
    created_at: string;
}
interface List {
    data: Delivery[];
    next_cursor: string | null;
}
type Failure = { error: { code: string } };

let valetkey: TestApp;
let environmentId: string;
let receiver: WebhookReceiver;
const unknownId = '00000000-0000-7000-8000-000000000000';

beforeAll(async () => {
    valetkey = await startTestApp({ env: { VALETKEY_RATE_LIMIT_PER_MIN: '1000000' } });
    [{ id: environmentId } = { id: '' }] = await valetkey.query<{ id: string }>(`select id from environments where name = 'dev'`);
    valetkey.app.startWork();
});
afterAll(() => valetkey.close());
beforeEach(async () => {
    for (const table of ['webhook_deliveries', 'webhook_events', 'webhook_sequences']) {
        await valetkey.query(`delete from ${table}`);
    }
    receiver = await startWebhookReceiver();
    await configure({ primary_url: receiver.url, secondary_url: null });
});
afterEach(() => receiver.close());

const configure = (settings: Record<string, unknown>) => valetkey.call('PATCH', '/environment/webhooks', { body: settings });

async function enqueue(overrides: Partial<AuthEvent> = {}): Promise<string> {
    const id = await enqueueAuthEvent(valetkey.app.database.db, systemSources, {
        environment: { id: environmentId, name: 'dev' },
        connectionId: 'c-1',
        providerConfigKey: 'github',
        provider: 'github',
        authMode: 'OAUTH2',
        operation: 'creation',
        tags: { plan: 'pro' },
        urlOverride: null,
        ...overrides,
    });
    return id!;
}

const list = async (query = ''): Promise<Delivery[]> => (await valetkey.call<List>('GET', `/webhooks/deliveries${query}`)).body.data;
const settled = async (count: number): Promise<Delivery[]> => {
    await expect.poll(async () => (await list()).filter(({ state }) => state !== 'pending').length).toBe(count);
    return list();
};
/** As if the whole schedule had passed. */
const giveUp = (): Promise<unknown[]> =>
    valetkey.query(`update webhook_deliveries set state = 'dead', next_attempt_at = null, settled_at = now() where state = 'pending'`);
const readOne = (id: string) =>
    valetkey.call<{ data: Delivery & { body: unknown; attempt_log: Record<string, unknown>[] } }>('GET', `/webhooks/deliveries/${id}`);
const redeliverOne = (id: string) => valetkey.call<{ data: Delivery } & Failure>('POST', `/webhooks/deliveries/${id}/redeliver`);
const redeliver = (body: Record<string, unknown>) =>
    valetkey.call<{ redelivered: number; skipped: number; next_cursor: string | null } & Failure>('POST', '/webhooks/redeliver', { body });

describe('the delivery log (W11)', () => {
    test('shows a delivery with the event’s body and each attempt', async () => {
        receiver.answer(503);
        const eventId = await enqueue({ connectionRowId: newRowId(systemSources) });
        await expect.poll(async () => (await list())[0]?.attempts).toBe(1);
        const [listed] = await list();
        expect(listed).toMatchObject({
            event_id: eventId,
            type: 'auth',
            operation: 'creation',
            connection_id: 'c-1',
            destination: 'primary',
            url: receiver.url,
            state: 'pending',
            sequence: 1,
            last_status: 503,
            last_error: 'http_503',
            is_redelivery: false,
            settled_at: null,
        });
        const { body } = await readOne(listed!.id);
        expect(body.data).toMatchObject({ ...listed, body: { type: 'auth', connectionId: 'c-1', tags: { plan: 'pro' } } });
        expect(body.data.attempt_log).toMatchObject([
            { number: 1, status: 503, error: 'http_503', resolved_ip: '127.0.0.1', response_headers: expect.any(Object), response_body: null },
        ]);
    });

    test('is filtered by state, event, connection, destination, URL and time', async () => {
        const other = await startWebhookReceiver();
        await configure({ secondary_url: other.url });
        const first = await enqueue();
        await settled(2);
        const later = new Date(Date.now() + 1).toISOString();
        await new Promise((resolve) => void setTimeout(resolve, 5));
        const second = await enqueue({ connectionId: 'c-2' });
        const third = await enqueue({ urlOverride: `${other.url}mine` });
        await settled(5);
        const events = async (query: Record<string, string>): Promise<string[]> =>
            (await list(`?${new URLSearchParams(query).toString()}`)).map((row) => row.event_id);
        expect(await events({ event_id: first })).toEqual([first, first]);
        expect(await events({ connection_id: 'c-2' })).toEqual([second, second]);
        expect(await events({ destination: 'override' })).toEqual([third]);
        expect(await events({ destination: 'secondary', connection_id: 'c-1' })).toEqual([first]);
        expect(await events({ url: receiver.url })).toEqual([second, first]);
        expect(await events({ since: later })).toEqual([third, second, second]);
        expect(await events({ until: later })).toEqual([first, first]);
        expect(await events({ state: 'dead' })).toEqual([]);
        expect(await events({ state: 'delivered', connection_id: 'c-1', destination: 'primary' })).toEqual([first]);
        await other.close();
    });

    test('is walked by cursor without gaps or repetitions, whatever comes meanwhile', async () => {
        const ids: string[] = [];
        for (let index = 0; index < 5; index += 1) ids.push(await enqueue());
        const seen: string[] = [];
        let cursor: string | null = '';
        while (cursor !== null) {
            const page: Answer<List> = await valetkey.call<List>('GET', `/webhooks/deliveries?limit=2${cursor && `&cursor=${cursor}`}`);
            seen.push(...page.body.data.map((row) => row.event_id));
            cursor = page.body.next_cursor;
            await enqueue();
        }
        expect(seen.toSorted()).toEqual(ids.toSorted());
    });

    test('belongs to its environment', async () => {
        await enqueue();
        const [delivery] = await settled(1);
        const call = (method: string, path: string, body?: unknown) =>
            valetkey.call(method, path, { key: valetkey.prodKey, ...(body ? { body } : {}) });
        expect((await call('GET', '/webhooks/deliveries')).body).toEqual({ data: [], next_cursor: null });
        expect((await call('GET', '/events')).body).toEqual({ data: [], next_cursor: null, has_more: false });
        expect((await call('GET', `/events?since=${delivery!.event_id}`)).status).toBe(404);
        expect((await call('GET', `/webhooks/deliveries/${delivery!.id}`)).status).toBe(404);
        expect((await call('POST', `/webhooks/deliveries/${delivery!.id}/redeliver`)).status).toBe(404);
        expect((await call('POST', '/webhooks/redeliver', { event_ids: [delivery!.event_id] })).body).toMatchObject({ redelivered: 0, skipped: 0 });
    });

    test.each(['?state=lost', '?cursor=7', '?limit=0', '?limit=1001', '?since=yesterday', '?event_id=7', '?destination=tertiary', '?page=1'])(
        '%s is refused',
        async (query) => {
            const answer = await valetkey.call<Failure>('GET', `/webhooks/deliveries${query}`);
            expect([answer.status, answer.body.error.code]).toEqual([400, 'invalid_query_params']);
        },
    );

    test('knows no delivery that is not there', async () => {
        expect((await readOne(unknownId)).status).toBe(404);
        expect((await readOne('7')).status).toBe(400);
    });
});

describe('sending again (W10)', () => {
    test('is a new delivery of the same event and bytes to today’s URL, marked as such', async () => {
        receiver.answer(503);
        const eventId = await enqueue({ connectionRowId: newRowId(systemSources) });
        await expect.poll(async () => (await list())[0]?.attempts).toBe(1);
        await giveUp();
        const moved = await startWebhookReceiver();
        await configure({ primary_url: moved.url });
        const [dead] = await list();
        const { status, body } = await redeliverOne(dead!.id);
        expect(status).toBe(200);
        expect(body.data).toMatchObject({ event_id: eventId, destination: 'primary', url: moved.url, is_redelivery: true, sequence: 1, attempts: 0 });
        expect(body.data.id).not.toBe(dead!.id);
        const { headers, body: bytes } = await moved.waitFor(() => true);
        expect(headers).toMatchObject({ 'webhook-id': eventId, 'x-valetkey-redelivery': 'true', 'x-valetkey-sequence': '1' });
        expect(bytes).toEqual(receiver.deliveries[0]!.body);
        expect(receiver.deliveries[0]!.headers).not.toHaveProperty('x-valetkey-redelivery');
        await settled(2);
        // What died stays as it was.
        expect((await readOne(dead!.id)).body.data).toMatchObject({ state: 'dead', attempts: 1 });
        await moved.close();
    });

    test('of a delivered one as well; of one that is pending, or was sent again already, not', async () => {
        await enqueue();
        const [first] = await settled(1);
        const again = await redeliverOne(first!.id);
        expect(again.status).toBe(200);
        await settled(2);
        expect((await redeliverOne(first!.id)).body.error.code).toBe('conflict');
        receiver.answer(503);
        await enqueue({ connectionId: 'c-2' });
        const [pending] = await list('?connection_id=c-2');
        expect([(await redeliverOne(pending!.id)).status, (await redeliverOne(unknownId)).status]).toEqual([409, 404]);
    });

    test('needs a destination that can be sent to', async () => {
        await enqueue();
        const [delivered] = await settled(1);
        await configure({ primary_url: null, secondary_url: receiver.url });
        expect((await redeliverOne(delivered!.id)).status).toBe(409);
        expect((await redeliver({ state: 'delivered' })).body).toEqual({ redelivered: 0, skipped: 1, next_cursor: null });
        await configure({ primary_url: receiver.url });
        await valetkey.query(`update webhook_endpoints set disabled_at = now(), disabled_reason = 'manual' where environment_id = $1`, [
            environmentId,
        ]);
        expect((await redeliverOne(delivered!.id)).status).toBe(409);
    });

    test('an override goes to the URL it had', async () => {
        const override = await startWebhookReceiver();
        await enqueue({ urlOverride: override.url });
        const [delivered] = await settled(1);
        expect((await redeliverOne(delivered!.id)).body.data).toMatchObject({ destination: 'override', url: override.url });
        await override.waitFor(() => override.deliveries.length === 2);
        await override.close();
    });

    test('by filter: each event once per destination, and not what was sent again meanwhile', async () => {
        await receiver.stop();
        const ids = [await enqueue(), await enqueue({ connectionId: 'c-2' }), await enqueue({ connectionId: 'c-3' })];
        await expect.poll(async () => (await list()).every(({ attempts }) => attempts > 0)).toBe(true);
        await giveUp();
        await receiver.start();
        expect((await redeliver({ event_ids: [ids[0]!] })).body).toEqual({ redelivered: 1, skipped: 0, next_cursor: null });
        await settled(4);
        expect((await redeliver({ state: 'dead', since: new Date(Date.now() - 3600_000).toISOString() })).body.redelivered).toBe(2);
        await settled(6);
        expect((await redeliver({ state: 'dead' })).body.redelivered).toBe(0);
        expect(receiver.deliveries.map(({ headers }) => headers['webhook-id']).toSorted()).toEqual(ids.toSorted());
        expect((await redeliver({ state: 'delivered', connection_id: 'c-2' })).body.redelivered).toBe(1);
        await settled(7);
    }, 30_000);

    test('four times at once sends once', async () => {
        await enqueue();
        await settled(1);
        receiver.answer(503, 503);
        const answers = await Promise.all(Array.from({ length: 4 }, () => redeliver({ destination: 'primary' })));
        expect(answers.reduce((sum, { body }) => sum + body.redelivered, 0)).toBe(1);
    });

    test('a thousand per call, then on from the cursor', async () => {
        await configure({ primary_url: 'https://hooks.example.com/' });
        await valetkey.query(
            `with e as (
                insert into webhook_events (id, environment_id, connection_id, type, operation, body, created_at)
                select 'msg_' || lpad(n::text, 26, '0'), $1, 'c', 'auth', 'creation', '{}', now() from generate_series(1, 1001) n returning id
             ) insert into webhook_deliveries (id, event_id, environment_id, destination, url, state, created_at)
             select gen_random_uuid(), id, $1, 'primary', 'https://old.example.com/', 'dead', now() from e`,
            [environmentId],
        );
        const first = await redeliver({ state: 'dead' });
        expect(first.body).toMatchObject({ redelivered: 1000, skipped: 0, next_cursor: expect.any(String) });
        expect((await redeliver({ state: 'dead', cursor: first.body.next_cursor })).body).toEqual({ redelivered: 1, skipped: 0, next_cursor: null });
    });

    test.each<[Record<string, unknown>]>([[{}], [{ cursor: unknownId }], [{ state: 'pending' }], [{ event_ids: [] }], [{ before: '2026-01-01' }]])(
        '%j is refused',
        async (body) => {
            const answer = await redeliver(body);
            expect([answer.status, answer.body.error.code]).toEqual([400, 'invalid_body']);
        },
    );
});

describe('GET /events', () => {
    interface Events {
        data: { id: string; sequence: number | null; connection_id: string; body: Record<string, unknown>; created_at: string }[];
        next_cursor: string | null;
        has_more: boolean;
    }
    const read = async (query: string): Promise<Events> => (await valetkey.call<Events>('GET', `/events${query}`)).body;

    test('begins anywhere and goes on behind what was read, with bodies as they were sent', async () => {
        expect(await read('')).toEqual({ data: [], next_cursor: null, has_more: false });
        const row = newRowId(systemSources);
        const ids = [await enqueue({ connectionRowId: row }), await enqueue({ connectionRowId: row }), await enqueue({ connectionId: 'c-2' })];
        // The worker writes meanwhile, which holds events back for a moment.
        await expect.poll(async () => (await read('')).data.map(({ id }) => id)).toEqual(ids);
        const all = await read('');
        expect(all.data.map(({ sequence }) => sequence)).toEqual([1, 2, null]);
        const sent = await receiver.waitFor(({ headers }) => headers['webhook-id'] === ids[0]);
        expect(JSON.stringify(all.data[0]!.body)).toBe(sent.body.toString());
        expect(all).toMatchObject({ next_cursor: ids[2], has_more: false });

        const page = await read('?limit=2');
        expect(page).toMatchObject({ data: [{ id: ids[0] }, { id: ids[1] }], next_cursor: ids[1], has_more: true });
        expect((await read(`?since=${page.next_cursor}`)).data.map(({ id }) => id)).toEqual([ids[2]]);
        expect(await read(`?since=${ids[2]}`)).toEqual({ data: [], next_cursor: ids[2], has_more: false });
        expect((await read(`?since=${encodeURIComponent(all.data[2]!.created_at)}`)).data.map(({ id }) => id)).toContain(ids[2]);
        expect(await read('?since=2999-01-01T00:00:00Z')).toEqual({ data: [], next_cursor: ids[2], has_more: false });
    });

    test('knows no event that is not there, and no other kind of place', async () => {
        expect((await valetkey.call('GET', '/events?since=msg_00000000000000000000000000')).status).toBe(404);
        expect((await valetkey.call('GET', '/events?since=yesterday')).status).toBe(400);
    });
});

describe('POST /webhooks/test (W16)', () => {
    interface Tested {
        data: { event_id: string; delivered: boolean; status: number | null; error: string | null; response_body: string | null };
    }
    const send = (body: Record<string, unknown>) => valetkey.call<Tested & Failure>('POST', '/webhooks/test', { body });

    test('sends a signed sample, answers what became of it, and keeps nothing', async () => {
        const answer = await send({ destination: 'primary' });
        expect(answer.body.data).toMatchObject({ delivered: true, status: 200, error: null, resolved_ip: '127.0.0.1' });
        const { headers, body } = receiver.deliveries[0]!;
        const key = await valetkey.call<{ data: { webhook_signing_key: string } }>('GET', '/environment/webhook-signing-key');
        expect(new Webhook(key.body.data.webhook_signing_key).verify(body, headers as Record<string, string>)).toMatchObject({
            type: 'auth',
            environment: 'dev',
            test: true,
        });
        expect(headers['webhook-id']).toBe(answer.body.data.event_id);
        expect(await list()).toEqual([]);
        expect(await valetkey.query('select 1 from webhook_events')).toEqual([]);
    });

    test('tells of a refusal, of silence, and of what policy forbids at the time', async () => {
        const refusing = await listen((_request, response) => void response.writeHead(401).end('who are you?'));
        const url = `http://127.0.0.1:${refusing.port}/`;
        expect((await send({ url })).body.data).toMatchObject({ delivered: false, status: 401, error: 'http_401', response_body: 'who are you?' });
        await refusing.close();
        expect((await send({ url })).body.data).toMatchObject({ delivered: false, status: null, error: 'connection_failed' });
        await valetkey.query(`update webhook_endpoints set url = 'https://10.0.0.1/' where environment_id = $1`, [environmentId]);
        expect((await send({ destination: 'primary' })).body.data).toMatchObject({ delivered: false, error: 'blocked_by_policy' });
    });

    test('needs a destination with a URL, or a URL that could be set', async () => {
        expect((await send({ destination: 'secondary' })).body.error.code).toBe('conflict');
        for (const body of [{}, { destination: 'primary', url: receiver.url }, { url: 'https://10.0.0.1/' }, { url: valetkey.url }, { url: 'x' }]) {
            expect((await send(body)).body.error.code).toBe('invalid_body');
        }
    });
});
