/** Outgoing webhooks in the operation log (§1.9): when an event's operation opens, changes and ends, and what it says. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Sources } from '../../src/sources.ts';
import { holdUndelivered, replay } from '../../src/store/endpoint-health.ts';
import { removeEnvironment } from '../../src/store/environment-removal.ts';
import * as listing from '../../src/store/operation-listing.ts';
import { keepPartitions } from '../../src/store/operation-partitions.ts';
import * as operations from '../../src/store/operations.ts';
import type { OperationMessageRow, OperationRow, WebhookDeliveryRow } from '../../src/store/schema.ts';
import * as endpoints from '../../src/store/webhook-endpoints.ts';
import * as outbox from '../../src/store/webhook-outbox.ts';
import { enqueueAuthEvent, type AuthEvent } from '../../src/webhooks/auth-events.ts';
import { redeliver } from '../../src/webhooks/redelivery.ts';
import { virtualSources } from '../virtual-sources.ts';
import { dialects, type TestStore } from './dialects.ts';
import { after, insertConnection, insertEnvironment, insertIntegration, insertWebhookSettings, madeAt } from './rows.ts';

const hour = 3_600_000;
const day = 24 * hour;
const [primaryUrl, secondaryUrl] = ['https://user:pass-word@a.example/in?token=t-o-k-e-n&v=2', 'https://b.example/in'];

describe.each(dialects)('webhooks in the operation log ($name)', ({ open }) => {
    let store: TestStore;
    let environmentId: string;
    let sources: Sources;
    beforeAll(async () => {
        store = await open();
        await keepPartitions(store.database.db, madeAt.getTime(), 15 * day);
    });
    afterAll(() => store.close());
    beforeEach(async () => {
        await store.empty();
        sources = virtualSources(madeAt.getTime());
        environmentId = await insertEnvironment(store.database.db);
    });

    const configure = (secondary: string | null = null): Promise<void> =>
        insertWebhookSettings(store.database.db, environmentId, { primary_url: primaryUrl, secondary_url: secondary });
    const enqueue = (event: Partial<AuthEvent> = {}) =>
        enqueueAuthEvent(store.database.db, sources, {
            environment: { id: environmentId, name: 'dev' },
            connectionId: 'c-1',
            providerConfigKey: 'github',
            provider: 'github',
            authMode: 'OAUTH2',
            operation: 'creation',
            urlOverride: null,
            ...event,
        });
    const all = (): Promise<OperationRow[]> => store.database.db.selectFrom('operations').selectAll().orderBy('id').orderBy('action').execute();
    const states = async (): Promise<string[]> => (await all()).map(({ state }) => state);
    const deliveries = (): Promise<WebhookDeliveryRow[]> =>
        store.database.db.selectFrom('webhook_deliveries').selectAll().orderBy('is_redelivery').orderBy('destination').execute();
    const endpointId = async (role: 'primary' | 'secondary'): Promise<string> =>
        (await endpoints.findByRole(store.database.db, environmentId, role))!.id;

    /** What came of an attempt, as the worker records it. @param wait until the next, if there is one */
    async function record(delivery: WebhookDeliveryRow, status: number | null, at: Date, wait: number | null = null): Promise<void> {
        const due = (await outbox.loadDelivery(store.database.db, delivery.id, at))!;
        await outbox.recordAttempt(store.database.db, due, {
            state: status === 200 ? 'delivered' : wait === null ? 'dead' : 'pending',
            nextAttemptAt: wait === null ? null : new Date(at.getTime() + wait),
            at,
            attempt: {
                started_at: at,
                duration_ms: 20,
                status,
                error: status === 200 ? null : status === null ? 'connection_failed' : `http_${status}`,
                resolved_ip: null,
                response_headers: status === null ? null : { server: 'nginx' },
                response_body: 'what the receiver said',
            },
        });
    }
    const messages = (operation: OperationRow, filter: Partial<listing.MessageFilter> = {}, limit = 100): Promise<OperationMessageRow[]> =>
        listing.listMessages(store.database.db, operation, { after: 0, mostAttempts: 10, ...filter }, limit);

    test('one per event, named by its kind, with the connection that it is about', async () => {
        await configure(secondaryUrl);
        const integration = await insertIntegration(store.database.db, environmentId, { unique_key: 'github' });
        const connection = await insertConnection(store.database.db, integration);
        const eventId = await enqueue({ connectionRowId: connection.id });
        expect(await all()).toMatchObject([
            {
                environment_id: environmentId,
                type: 'webhook',
                action: 'connection_create',
                state: 'waiting',
                level: 'info',
                integration_id: integration.id,
                connection_row_id: connection.id,
                connection_id: 'c-1',
                meta: { event_id: eventId },
                // Its deliveries may be tried for days.
                expires_at: null,
            },
        ]);
        await operations.expire(store.database.db, after(14 * day));
        expect(await states()).toEqual(['waiting']);
    });

    test.each<[Partial<AuthEvent>, string]>([
        [{ operation: 'override' }, 'connection_refresh'],
        [{ operation: 'refresh', error: { type: 'x', description: 'x' } }, 'connection_refresh'],
        [{ operation: 'refresh' }, 'auth.recovery'],
        [{ operation: 'deletion' }, 'auth.deletion'],
    ])('%o is %s, about an integration that failed before there was a connection too', async (event, action) => {
        await configure();
        const integration = await insertIntegration(store.database.db, environmentId, { unique_key: 'github' });
        await store.database.db
            .updateTable('webhook_endpoints')
            .set({ events: ['auth.creation', 'auth.override', 'auth.refresh', 'auth.recovery', 'auth.deletion'] })
            .execute();
        await enqueue(event);
        expect(await all()).toMatchObject([{ action, integration_id: integration.id, connection_row_id: null }]);
    });

    test('none where nobody receives it', async () => {
        await insertWebhookSettings(store.database.db, environmentId, {});
        expect(await enqueue()).toMatch(/^msg_/);
        expect(await all()).toEqual([]);
    });

    test('ends as delivered with the last of its deliveries, and says each attempt without the URL’s secrets', async () => {
        await configure(secondaryUrl);
        const eventId = await enqueue();
        const [primary, secondary] = await deliveries();
        await record(primary!, null, after(1_000), 5_000);
        expect(await all()).toMatchObject([
            { state: 'running', level: 'warn', message: 'Not accepted yet: connection_failed', changed_at: after(1_000) },
        ]);
        await record(secondary!, 200, after(2_000));
        expect(await states()).toEqual(['running']);
        await record(primary!, 503, after(7_020), 5_000);
        await record(primary!, 200, after(14_000));
        const [operation] = await all();
        expect(operation).toMatchObject({ state: 'success', level: 'info', message: 'Delivered', error: null, ended_at: after(14_000) });

        const said = await messages(operation!);
        const request = { method: 'POST', headers: { 'content-type': 'application/json', 'webhook-id': eventId } };
        const shown = { ...request, url: 'https://a.example/in?token=REDACTED&v=REDACTED' };
        const common = { type: 'http', context: 'webhook', source: 'internal', operation_id: operation!.id, duration_ms: 20 };
        expect(said).toMatchObject([
            {
                ...common,
                level: 'error',
                message: 'Not accepted by the primary URL: connection_failed',
                error: { type: 'connection_failed' },
                request: shown,
                response: null,
                retry: { attempt: 1, max: 10, waited: 0 },
                meta: { delivery_id: primary!.id },
                created_at: after(1_000),
                ended_at: after(1_020),
            },
            { ...common, level: 'info', message: 'Delivered to the secondary URL', request: { ...request, url: secondaryUrl }, error: null },
            { ...common, level: 'error', response: { code: 503, headers: { server: 'nginx' } }, retry: { attempt: 2, max: 10, waited: 6_000 } },
            { ...common, level: 'info', response: { code: 200 }, retry: { attempt: 3, max: 10, waited: 6_960 } },
        ]);
        expect(JSON.stringify([operation, said])).not.toMatch(/pass-word|t-o-k-e-n|what the receiver said/);
        expect((await messages(operation!, { levels: ['error'], search: 'HTTP_5' })).map(({ id }) => id)).toEqual([said[2]!.id]);
        expect((await messages(operation!, { after: said[0]!.id }, 2)).map(({ id }) => id)).toEqual([said[1]!.id, said[2]!.id]);
    });

    test('fails with the last that is given up, though others got it', async () => {
        await configure(secondaryUrl);
        await enqueue();
        const [primary, secondary] = await deliveries();
        await record(primary!, 500, after(1_000));
        expect(await states()).toEqual(['waiting']);
        await record(secondary!, 200, after(2_000));
        expect(await all()).toMatchObject([
            { state: 'failed', level: 'error', message: 'Given up; delivered to 1 of 2', error: { type: 'http_500' }, ended_at: after(2_000) },
        ]);
    });

    test('an attempt that outlived its lease says nothing', async () => {
        await configure();
        await enqueue();
        const [delivery] = await deliveries();
        const due = (await outbox.loadDelivery(store.database.db, delivery!.id, madeAt))!;
        const attempt = {
            started_at: madeAt,
            duration_ms: 1,
            error: 'http_500',
            status: 500,
            resolved_ip: null,
            response_headers: null,
            response_body: null,
        };
        await outbox.recordAttempt(
            store.database.db,
            { ...due, lease_epoch: due.lease_epoch + 1, endpoint_id: null },
            { state: 'pending', nextAttemptAt: after(1), at: madeAt, attempt },
        );
        const [operation] = await all();
        expect([operation!.state, await messages(operation!)]).toEqual(['waiting', []]);
    });

    test('stays open while its endpoint is disabled, opens again with what was given up because of it, and ends when that is sent', async () => {
        await configure(secondaryUrl);
        await enqueue();
        await enqueue({ connectionId: 'c-2' });
        const [first, second, ...others] = await deliveries();
        for (const each of others) await record(each, 200, after(1_000));
        await record(first!, 500, after(2_000));
        expect((await states()).toSorted()).toEqual(['failed', 'waiting']);
        const id = await endpointId('primary');
        await endpoints.update(store.database.db, id, { disabled_at: after(3_000), disabled_reason: 'manual' });
        await holdUndelivered(store.database.db, id, after(3_000));
        expect((await states()).toSorted()).toEqual(['running', 'waiting']);
        expect((await all()).find(({ state }) => state === 'running')).toMatchObject({ error: null, ended_at: null, changed_at: after(3_000) });

        await endpoints.update(store.database.db, id, { disabled_at: null, disabled_reason: null });
        await replay(store.database.db, { id, url: secondaryUrl }, madeAt);
        await record(first!, 200, after(4_000));
        await record(second!, 200, after(5_000));
        expect(await states()).toEqual(['success', 'success']);
    });

    test('an answer of 410 leaves it open: what it refused is held', async () => {
        await configure();
        await enqueue();
        await record((await deliveries())[0]!, 410, after(1_000));
        expect([(await deliveries())[0]!.state, await states()]).toEqual(['held', ['running']]);
    });

    test.each(['endpoint', 'environment'])('is cancelled when its %s is deleted, and says so', async (what) => {
        await configure();
        await enqueue();
        if (what === 'environment') await removeEnvironment(store.database.db, environmentId, after(1_000));
        else await endpoints.remove(store.database.db, { id: await endpointId('primary'), environment_id: environmentId }, after(1_000));
        const [operation] = await all();
        expect(operation).toMatchObject({ state: 'cancelled', level: 'info', error: null, ended_at: after(1_000) });
        expect(await messages(operation!)).toMatchObject([
            { type: 'log', context: 'webhook', message: operation!.message, created_at: after(1_000) },
        ]);
    });

    test('sent again by hand it is another, one per event; what has ended stays so', async () => {
        await configure(secondaryUrl);
        const eventId = await enqueue();
        for (const each of await deliveries()) await record(each, 500, after(1_000));
        const again = await redeliver(store.database.db, sources, { environmentId }, 100);
        expect(again.ids).toHaveLength(2);
        const opened = async () => (await all()).find(({ action }) => action === 'redelivery');
        expect(await opened()).toMatchObject({
            type: 'webhook',
            state: 'waiting',
            connection_id: 'c-1',
            meta: { event_id: eventId },
            expires_at: null,
        });
        for (const each of (await deliveries()).filter((row) => row.is_redelivery)) await record(each, 200, after(2_000));
        expect((await all()).map(({ action, state }) => [action, state]).toSorted()).toEqual([
            ['connection_create', 'failed'],
            ['redelivery', 'success'],
        ]);
        const said = await messages((await opened())!);
        expect(said.map(({ request }) => (request as { headers: object }).headers)).toMatchObject([
            { 'x-valetkey-redelivery': 'true' },
            { 'x-valetkey-redelivery': 'true' },
        ]);
    });
});

describe('two receivers that answer at the same moment', () => {
    test('end the operation, whoever commits last', async () => {
        const store = await dialects[0]!.open();
        const { db } = store.database;
        try {
            const sources = virtualSources(madeAt.getTime());
            const environmentId = await insertEnvironment(db);
            await insertWebhookSettings(db, environmentId, { primary_url: primaryUrl, secondary_url: secondaryUrl });
            await enqueueAuthEvent(db, sources, {
                environment: { id: environmentId, name: 'dev' },
                connectionId: 'c-1',
                providerConfigKey: 'github',
                provider: 'github',
                authMode: 'OAUTH2',
                operation: 'creation',
                urlOverride: null,
            });
            const settle = { state: 'delivered', settled_at: madeAt, next_attempt_at: null } as const;
            const hasSettled = Promise.withResolvers<void>();
            const mayCommit = Promise.withResolvers<void>();
            const first = db.transaction().execute(async (transaction) => {
                await transaction.updateTable('webhook_deliveries').set(settle).where('destination', '=', 'primary').execute();
                hasSettled.resolve();
                await mayCommit.promise;
            });
            await hasSettled.promise;
            const second = db.updateTable('webhook_deliveries').set(settle).where('destination', '=', 'secondary').execute();
            // Whether or not it has come to wait by now: it cannot see what is not committed.
            await db.selectFrom('operations').select('id').execute();
            mayCommit.resolve();
            await Promise.all([first, second]);
            expect(await db.selectFrom('operations').select('state').execute()).toEqual([{ state: 'success' }]);
        } finally {
            await store.close();
        }
    });
});
