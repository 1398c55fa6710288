/** When an endpoint is disabled, what is held for it, and what is sent when it works again (W9). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { holdOne, holdUndelivered, replay } from '../../src/store/endpoint-health.ts';
import type { WebhookDeliveryRow, WebhookEndpointRow } from '../../src/store/schema.ts';
import * as endpoints from '../../src/store/webhook-endpoints.ts';
import * as outbox from '../../src/store/webhook-outbox.ts';
import { dialects, type TestStore } from './dialects.ts';
import { after, insertDelivery, insertEndpoint, insertEnvironment, madeAt } from './rows.ts';

const hour = 3_600_000;
const day = 24 * hour;
const url = 'https://hooks.example/a';

describe.each(dialects)('the health of endpoints ($name)', ({ open }) => {
    let store: TestStore;
    let environmentId: string;
    let endpointId: string;
    beforeAll(async () => {
        store = await open();
    });
    afterAll(() => store.close());
    beforeEach(async () => {
        await store.empty();
        environmentId = await insertEnvironment(store.database.db);
        endpointId = (await insertEndpoint(store.database.db, environmentId, { url }))!;
    });

    const deliveries = () => store.database.db.updateTable('webhook_deliveries');
    const endpoint = async (): Promise<WebhookEndpointRow> => (await endpoints.find(store.database.db, environmentId, endpointId))!;
    const delivery = async (id: string): Promise<WebhookDeliveryRow> =>
        store.database.db.selectFrom('webhook_deliveries').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
    const state = async (id: string): Promise<string> => (await delivery(id)).state;

    async function insert(change: Partial<WebhookDeliveryRow> = {}): Promise<string> {
        const id = await insertDelivery(store.database.db, environmentId, url, madeAt);
        await deliveries()
            .set({ endpoint_id: endpointId, ...change })
            .where('id', '=', id)
            .execute();
        return id;
    }

    /** An attempt at a delivery, as the worker makes and records it. */
    async function attempt(id: string, { status, error, at, state }: { status: number | null; error?: string | null; at: Date; state?: 'dead' }) {
        const due = (await outbox.loadDelivery(store.database.db, id, at))!;
        const isAccepted = status === 200;
        return outbox.recordAttempt(store.database.db, due, {
            state: isAccepted ? 'delivered' : (state ?? (status === 410 ? 'dead' : 'pending')),
            nextAttemptAt: isAccepted || status === 410 || state === 'dead' ? null : new Date(at.getTime() + hour),
            at,
            attempt: {
                started_at: at,
                duration_ms: 1,
                status,
                error: isAccepted ? null : (error ?? `http_${status}`),
                resolved_ip: null,
                response_headers: null,
                response_body: null,
            },
        });
    }

    test('the first failure is remembered, the next ones change nothing, a success forgets it', async () => {
        await attempt(await insert(), { status: 500, at: after(1) });
        expect((await endpoint()).failing_since).toEqual(after(1));
        await attempt(await insert(), { status: null, error: 'connection_failed', at: after(2) });
        expect((await endpoint()).failing_since).toEqual(after(1));
        await attempt(await insert(), { status: 200, at: after(3) });
        expect(await endpoint()).toMatchObject({ failing_since: null, disabled_at: null });
    });

    test('three days of failures disable it, a moment less does not', async () => {
        await attempt(await insert(), { status: 500, at: after(0) });
        expect(await attempt(await insert(), { status: 500, at: after(3 * day - 1) })).toBeUndefined();
        expect((await endpoint()).disabled_at).toBeNull();
        expect(await attempt(await insert(), { status: 500, at: after(3 * day) })).toBe('failing');
        expect(await endpoint()).toMatchObject({ disabled_at: after(3 * day), disabled_reason: 'failing', failing_since: after(0) });
    });

    test('a success in between begins the three days anew', async () => {
        await attempt(await insert(), { status: 500, at: after(0) });
        await attempt(await insert(), { status: 200, at: after(2 * day) });
        expect(await attempt(await insert(), { status: 500, at: after(3 * day) })).toBeUndefined();
        expect(await endpoint()).toMatchObject({ failing_since: after(3 * day), disabled_at: null });
    });

    test('a failure that was under way when something arrived does not disable it', async () => {
        await attempt(await insert(), { status: 500, at: after(0) });
        const underWay = await insert();
        const loaded = (await outbox.loadDelivery(store.database.db, underWay, after(3 * day)))!;
        await attempt(await insert(), { status: 200, at: after(3 * day + 1) });
        const late = { started_at: after(3 * day), duration_ms: 20_000, status: null, error: 'deadline_exceeded' };
        const none = { resolved_ip: null, response_headers: null, response_body: null };
        const at = after(3 * day + 20_000);
        const outcome = { state: 'pending', nextAttemptAt: after(4 * day), at, attempt: { ...late, ...none } } as const;
        expect(await outbox.recordAttempt(store.database.db, loaded, outcome)).toBeUndefined();
        expect(await endpoint()).toMatchObject({ disabled_at: null });
        expect(await state(underWay)).toBe('pending');
    });

    test('holds what waits and what was given up since it began to fail; not what was before, is sent now, or is for others', async () => {
        const old = await insert({ state: 'dead', settled_at: after(-1), next_attempt_at: null });
        const exhausted = await insert();
        await attempt(exhausted, { status: 500, at: after(0), state: 'dead' });
        const [waiting, leased, delivered] = [
            await insert(),
            await insert({ lease_owner: 'another', lease_until: after(3 * day + 45_000) }),
            await insert({ state: 'delivered', settled_at: after(1), next_attempt_at: null }),
        ];
        const elsewhere = await insert({ endpoint_id: (await insertEndpoint(store.database.db, environmentId, { url: 'https://b.example' }))! });
        const last = await insert();
        expect(await attempt(last, { status: 500, at: after(3 * day) })).toBe('failing');
        expect(await Promise.all([old, exhausted, waiting, last, leased, delivered, elsewhere].map(state))).toEqual([
            'dead',
            'held',
            'held',
            'held',
            'pending',
            'delivered',
            'pending',
        ]);
        expect(await delivery(exhausted)).toMatchObject({ next_attempt_at: null, settled_at: null, last_error: 'http_500' });
    });

    test('410 disables it at once; another attempt that hears it at the same time is held too', async () => {
        const [first, second] = [await insert(), await insert({ lease_owner: 'another', lease_until: after(45_000) })];
        const late = (await outbox.loadDelivery(store.database.db, second, after(0)))!;
        expect(await attempt(first, { status: 410, at: after(10) })).toBe('receiver_gone');
        expect(await state(second)).toBe('pending');
        const heard = { started_at: after(9), duration_ms: 1, status: 410, error: 'http_410' };
        const none = { resolved_ip: null, response_headers: null, response_body: null };
        expect(
            await outbox.recordAttempt(store.database.db, late, {
                state: 'dead',
                nextAttemptAt: null,
                at: after(9),
                attempt: { ...heard, ...none },
            }),
        ).toBeUndefined();
        expect(await endpoint()).toMatchObject({ disabled_reason: 'receiver_gone', disabled_at: after(10) });
        expect([await state(first), await state(second)]).toEqual(['held', 'held']);
    });

    test('failures of ours say nothing about it', async () => {
        await attempt(await insert(), { status: null, error: 'signing_key_unreadable', at: after(0) });
        await attempt(await insert(), { status: null, error: 'body_too_large', at: after(0), state: 'dead' });
        expect((await endpoint()).failing_since).toBeNull();
    });

    test('an answer of the URL that it had says nothing about the one that it has', async () => {
        const id = await insert();
        await endpoints.update(store.database.db, endpointId, { url: 'https://new.example/' });
        expect(await attempt(id, { status: 410, at: after(0) })).toBeUndefined();
        expect(await endpoint()).toMatchObject({ failing_since: null, disabled_at: null });
        expect(await state(id)).toBe('dead');
    });

    test('a claimed delivery is held only while its endpoint is disabled and the lease is its own', async () => {
        const id = await insert({ lease_epoch: 2, lease_owner: 'me', lease_until: after(1) });
        const mine = { id, lease_epoch: 2, endpoint_id: endpointId };
        await holdOne(store.database.db, mine);
        expect(await state(id)).toBe('pending');
        await endpoints.update(store.database.db, endpointId, { disabled_at: madeAt, disabled_reason: 'manual' });
        await holdOne(store.database.db, { ...mine, lease_epoch: 1 });
        expect(await state(id)).toBe('pending');
        await holdOne(store.database.db, mine);
        expect(await delivery(id)).toMatchObject({ state: 'held', next_attempt_at: null, lease_owner: null, lease_until: null });
    });

    test('a replay makes due what was written since, the oldest first, to the URL of today, with a new schedule', async () => {
        const held = { state: 'held', attempts: 7, next_attempt_at: null } as const;
        const [before, first, second] = [
            await insert({ ...held, created_at: after(-1) }),
            await insert({ ...held, created_at: after(0) }),
            await insert({ ...held, created_at: after(1) }),
        ];
        const dead = await insert({ state: 'dead', next_attempt_at: null, created_at: after(1) });
        const row = await endpoints.update(store.database.db, endpointId, { url: 'https://new.example/' });
        expect(await replay(store.database.db, row, after(0))).toBe(2);
        expect(await delivery(first)).toMatchObject({ state: 'pending', attempts: 0, next_attempt_at: after(0), url: 'https://new.example/' });
        expect(await delivery(second)).toMatchObject({ state: 'pending', next_attempt_at: after(1) });
        expect([await state(before), await state(dead)]).toEqual(['held', 'dead']);
        expect(await replay(store.database.db, row, after(-1))).toBe(1);
    });

    test('nothing is held for an endpoint that is enabled', async () => {
        const id = await insert();
        await holdUndelivered(store.database.db, endpointId, after(0));
        expect(await state(id)).toBe('pending');
    });

    test('deleted, it leaves dead letters', async () => {
        const [waiting, held, delivered] = [
            await insert(),
            await insert({ state: 'held', next_attempt_at: null }),
            await insert({ state: 'delivered', next_attempt_at: null }),
        ];
        await endpoints.remove(store.database.db, await endpoint(), after(5));
        expect(await delivery(waiting)).toMatchObject({ state: 'dead', last_error: 'endpoint_deleted', settled_at: after(5), next_attempt_at: null });
        expect([await state(held), await state(delivered)]).toEqual(['dead', 'delivered']);
    });
});
