/** Delivery against real receivers through the real egress, with the waits between attempts in virtual time. */
import { pino } from 'pino';
import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createEgress, type Egress } from '../../src/egress/egress.ts';
import { systemSources, type Sources } from '../../src/sources.ts';
import type { WebhookDeliveryRow } from '../../src/store/schema.ts';
import type { WebhookSettings } from '../../src/store/webhook-settings.ts';
import { enqueueAuthEvent, type AuthEvent } from '../../src/webhooks/auth-events.ts';
import { WebhookDelivery, type DeliveryDependencies } from '../../src/webhooks/delivery.ts';
import { newSigningKeys } from '../../src/webhooks/signature.ts';
import { listen } from '../peers/http-server.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../peers/webhook-receiver.ts';
import { openPostgresStore, type TestStore } from '../store/dialects.ts';
import { insertConnection, insertEnvironment, insertIntegration, insertWebhookSettings, newId } from '../store/rows.ts';
import { virtualSources, type VirtualSources } from '../virtual-sources.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

let store: TestStore;
let environmentId: string;
let sources: VirtualSources;
const keys = newSigningKeys(systemSources);
const cleanups: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
    store = await openPostgresStore();
});
afterAll(() => store.close());
beforeEach(async () => {
    await store.empty();
    // Receivers check the timestamp of a signature against their own clock.
    sources = virtualSources(Date.now());
    environmentId = await insertEnvironment(store.database.db);
    const signingKeys = { id: newId(), environment_id: environmentId, state: 'active', sealed_keys: JSON.stringify(keys) } as const;
    await store.database.db
        .insertInto('webhook_signing_keys')
        .values({ ...signingKeys, created_at: new Date() })
        .execute();
});
afterEach(async () => {
    for (const cleanup of cleanups.splice(0).toReversed()) {
        await cleanup();
    }
});

async function receiver(): Promise<WebhookReceiver> {
    const started = await startWebhookReceiver();
    cleanups.push(() => started.close());
    return started;
}

function egress(overrides: Partial<Sources> = {}): Egress {
    const made = createEgress({ allow: ['127.0.0.0/8'], sources: { ...systemSources, ...overrides }, userAgent: 'valetkey/test' });
    cleanups.push(() => made.close());
    return made;
}

function startDelivery(overrides: Partial<DeliveryDependencies> = {}): WebhookDelivery {
    const delivery = new WebhookDelivery({
        db: store.database.db,
        egress: egress(),
        sources,
        logger: pino({ level: 'silent' }),
        owner: 'test',
        openSigningKeys: (due) => Promise.resolve(due.signing_keys.map((key) => ({ ...JSON.parse(key.sealed_keys), signsLegacy: key.signs_legacy }))),
        ...overrides,
    });
    cleanups.push(() => delivery.stop());
    delivery.start();
    return delivery;
}

const configure = (settings: Partial<WebhookSettings>): Promise<void> => insertWebhookSettings(store.database.db, environmentId, settings);
const disabledReason = async (role: 'primary' | 'secondary') =>
    (await store.database.db.selectFrom('webhook_endpoints').select('disabled_reason').where('role', '=', role).executeTakeFirst())?.disabled_reason;

/** Each event a millisecond after the one before, so that rows have an order. */
async function enqueue(urlOverride: string | null = null, overrides: Partial<AuthEvent> = {}): Promise<string> {
    await sources.advance(1);
    const id = await enqueueAuthEvent(store.database.db, sources, {
        environment: { id: environmentId, name: 'dev' },
        connectionId: 'c-1',
        providerConfigKey: 'github',
        provider: 'github',
        authMode: 'OAUTH2',
        operation: 'creation',
        tags: { ünïcode: '✓' },
        urlOverride,
        ...overrides,
    });
    return id!;
}

const rows = (): Promise<WebhookDeliveryRow[]> =>
    store.database.db.selectFrom('webhook_deliveries').selectAll().orderBy('created_at').orderBy('destination').execute();

const attempts = () => store.database.db.selectFrom('webhook_delivery_attempts').selectAll().orderBy('started_at').orderBy('number').execute();

/** The rows, once they are as described. */
async function untilRows(...expected: Partial<WebhookDeliveryRow>[]): Promise<WebhookDeliveryRow[]> {
    await expect.poll(rows).toMatchObject(expected);
    return rows();
}

/** Lets time pass until `moment`, and the worker look. */
async function passTo(moment: Date | number): Promise<void> {
    const isResting = async (): Promise<void> => {
        await expect.poll(() => sources.sleeping().length).toBeGreaterThan(0);
    };
    await isResting();
    await sources.advance(Math.max(0, Number(moment) - sources.now()));
    await isResting();
    await sources.advance(1_300);
}

/** To the first row's next attempt, and until it is made: a look that was under way while time moved is followed by another. */
async function passToNextAttempt(): Promise<void> {
    const { next_attempt_at: moment, attempts: before } = (await rows())[0]!;
    await passTo(moment!);
    const look = async (): Promise<number> => {
        const [{ attempts: made, lease_owner: owner } = { attempts: 0, lease_owner: null }] = await rows();
        // Not while it is being sent: its lease would run out.
        if (made === before && owner === null) await sources.advance(1_300);
        return made;
    };
    await expect.poll(look).toBeGreaterThan(before);
}

/** Letting the moments pass in which the worker rests, or gathers the slots that come free. */
async function untilReceived(isReceived: () => boolean): Promise<void> {
    const look = async (): Promise<boolean> => {
        await sources.advance(50);
        return isReceived();
    };
    await expect.poll(look).toBe(true);
}

describe('one event', () => {
    test('is accepted at the third attempt: the same id and bytes each time, signed anew (W3, W4, W19)', async () => {
        const hook = await receiver();
        hook.answer(500, 500);
        await configure({ primary_url: hook.url });
        const id = await enqueue();
        startDelivery();

        const [first] = await untilRows({ attempts: 1, state: 'pending', last_status: 500, last_error: 'http_500' });
        const wait = first!.next_attempt_at!.getTime() - first!.created_at.getTime();
        expect(wait).toBeGreaterThanOrEqual(4 * second);
        expect(wait).toBeLessThanOrEqual(6 * second);
        await passToNextAttempt();
        await untilRows({ attempts: 2, state: 'pending' });
        await passToNextAttempt();
        await untilRows({ attempts: 3, state: 'delivered', last_status: 200, last_error: null, next_attempt_at: null, lease_owner: null });
        await passTo(sources.now() + 48 * hour);

        expect(hook.deliveries).toHaveLength(3);
        const [{ body: stored } = { body: '' }] = await store.database.db.selectFrom('webhook_events').select('body').execute();
        for (const { method, headers, body } of hook.deliveries) {
            expect(method).toBe('POST');
            expect(body).toEqual(Buffer.from(stored));
            expect(headers).toMatchObject({
                'content-type': 'application/json',
                'user-agent': 'valetkey/test',
                'webhook-id': id,
                'x-valetkey-event-id': id,
                'x-valetkey-created-at': first!.created_at.toISOString(),
            });
            expect(headers).not.toHaveProperty('x-valetkey-post-connection-status');
            expect(new Webhook(keys.secret).verify(body, headers as Record<string, string>)).toMatchObject({ connectionId: 'c-1' });
        }
        const timestamps = hook.deliveries.map(({ headers }) => Number(headers['webhook-timestamp']));
        expect(timestamps[1]! - timestamps[0]!).toBeGreaterThanOrEqual(4);
        expect(timestamps[2]! - timestamps[1]!).toBeGreaterThanOrEqual(24);
        expect(new Set(hook.deliveries.map(({ headers }) => headers['x-nango-hmac-sha256'])).size).toBe(1);
        const logged = { delivery_id: first!.id, resolved_ip: '127.0.0.1' };
        expect(await attempts()).toMatchObject([
            { ...logged, number: 1, started_at: first!.created_at, status: 500, error: 'http_500' },
            { ...logged, number: 2, status: 500, error: 'http_500' },
            { ...logged, number: 3, status: 200, error: null },
        ]);
    });

    test('says at each attempt what the connection lacked when it was written, in a header (A5)', async () => {
        const hook = await receiver();
        hook.answer(500);
        await configure({ primary_url: hook.url });
        const connection = await insertConnection(store.database.db, await insertIntegration(store.database.db, environmentId));
        await enqueue(null, { connectionRowId: connection.id, postConnectionStatus: 'metadata_pending' });
        startDelivery();
        await untilRows({ attempts: 1, state: 'pending' });
        await store.database.db.updateTable('connections').set({ post_connection_status: 'failed' }).execute();
        await passToNextAttempt();
        await untilRows({ attempts: 2, state: 'delivered' });
        expect(hook.deliveries.map(({ headers }) => headers['x-valetkey-post-connection-status'])).toEqual(['metadata_pending', 'metadata_pending']);
        for (const { body } of hook.deliveries) expect(body.toString()).not.toContain('metadata_pending');
    });

    test('reaches the secondary although the primary is dead or silent (W2)', async () => {
        const [dead, silent, alive] = [await receiver(), await receiver(), await receiver()];
        await dead.stop();
        silent.answer('never');
        const deadline = Promise.withResolvers<void>();
        let isFirst = true;
        const passing = egress({
            sleep: (ms, signal) => (ms === 20_000 && isFirst ? deadline.promise : systemSources.sleep(ms, signal)),
        });
        await configure({ primary_url: silent.url, secondary_url: alive.url });
        const id = await enqueue();
        const delivery = startDelivery({ egress: passing });
        await untilRows({ destination: 'primary', attempts: 0, state: 'pending' }, { destination: 'secondary', attempts: 1, state: 'delivered' });
        expect(alive.deliveries.map(({ headers }) => headers['webhook-id'])).toEqual([id]);
        await silent.waitFor(() => true);
        isFirst = false;
        deadline.resolve();
        await untilRows(
            { destination: 'primary', attempts: 1, state: 'pending', last_status: null, last_error: 'deadline_exceeded' },
            { destination: 'secondary', attempts: 1, state: 'delivered', last_status: 200 },
        );
        await store.database.db.updateTable('webhook_endpoints').set({ url: dead.url }).where('role', '=', 'primary').execute();
        const next = await enqueue();
        delivery.wake();
        await alive.waitFor(({ headers }) => headers['webhook-id'] === next);
        await expect
            .poll(async () => (await rows()).filter((row) => row.event_id === next))
            .toMatchObject([
                { destination: 'primary', attempts: 1, state: 'pending', last_error: 'connection_failed' },
                { destination: 'secondary', state: 'delivered' },
            ]);
    });

    test('does not wait behind receivers that never answer, however much is to be sent to them (W2)', async () => {
        const [alive, ...silent] = await Promise.all(Array.from({ length: 5 }, receiver));
        await configure({});
        for (const hook of silent) {
            hook.answer(...Array.from({ length: 30 }, () => 'never' as const));
            for (let index = 0; index < 12; index += 1) await enqueue(hook!.url);
        }
        const received = (): number => silent.reduce((sum, { deliveries }) => sum + deliveries.length, 0);
        let deadline = Promise.withResolvers<void>();
        const delivery = startDelivery({
            egress: egress({ sleep: (ms, signal) => (ms === 20_000 ? deadline.promise : systemSources.sleep(ms, signal)) }),
        });
        cleanups.push(async () => deadline.resolve());
        await expect.poll(received).toBe(20);
        await enqueue(alive!.url);
        const first = deadline;
        deadline = Promise.withResolvers();
        first.resolve();
        delivery.wake();
        await alive!.waitFor(() => true);
        // One slot each.
        await expect.poll(() => silent.map(({ deliveries }) => deliveries.length)).toEqual([6, 6, 6, 6]);
    });

    test('nor where there are more of them than slots, which have their turns in half of the slots (W2)', async () => {
        const [alive, ...silent] = await Promise.all(Array.from({ length: 25 }, receiver));
        await configure({});
        for (const hook of silent) {
            hook.answer(...Array.from({ length: 30 }, () => 'never' as const));
            for (let index = 0; index < 20; index += 1) await enqueue(hook!.url);
        }
        const underWay = new Set<() => void>();
        let isOver = false;
        const hanging = (signal?: AbortSignal): Promise<void> =>
            new Promise((resolve, reject) => {
                underWay.add(resolve);
                signal?.addEventListener('abort', () => {
                    underWay.delete(resolve);
                    reject(signal.reason as Error);
                });
            });
        const delivery = startDelivery({
            egress: egress({ sleep: (ms, signal) => (ms === 20_000 && !isOver ? hanging(signal) : systemSources.sleep(isOver ? 0 : ms, signal)) }),
        });
        const pass = (): void => {
            for (const resolve of underWay) resolve();
            underWay.clear();
        };
        cleanups.push(async () => {
            isOver = true;
            pass();
        });
        const found = async (): Promise<number> =>
            new Set((await rows()).filter(({ last_error: error }) => error === 'deadline_exceeded').map(({ url }) => url)).size;
        await expect
            .poll(async () => {
                pass();
                delivery.wake();
                return found();
            })
            .toBe(silent.length);
        pass();
        await expect
            .poll(() => {
                delivery.wake();
                return underWay.size;
            })
            .toBe(10);
        await enqueue(alive!.url);
        delivery.wake();
        await alive!.waitFor(() => true);
        await expect.poll(() => underWay.size).toBe(10);
        for (const hook of silent) await enqueue(hook!.url);
        const before = silent.map(({ deliveries }) => deliveries.length);
        // All of them have their turn.
        await expect
            .poll(() => {
                pass();
                delivery.wake();
                return silent.every(({ deliveries }, index) => deliveries.length > before[index]!);
            })
            .toBe(true);
    });

    test('is given up after ten attempts over some 42 hours, and stays readable as dead', async () => {
        const hook = await receiver();
        hook.answer(...Array.from({ length: 10 }, () => 503));
        await configure({ primary_url: hook.url });
        await enqueue();
        startDelivery();
        const start = sources.now();
        for (let attempts = 1; attempts < 10; attempts += 1) {
            await untilRows({ attempts, state: 'pending' });
            await passToNextAttempt();
        }
        const [row] = await untilRows({ attempts: 10, state: 'dead', last_status: 503, next_attempt_at: null });
        expect(row!.settled_at!.getTime() - start).toBeGreaterThan(0.8 * 41 * hour);
        expect(hook.deliveries).toHaveLength(10);
    });

    test('that is refused is tried again, but late: a misdeployed receiver must not lose events', async () => {
        const hook = await receiver();
        hook.answer(404);
        await configure({ primary_url: hook.url });
        await enqueue();
        startDelivery();
        const [row] = await untilRows({ attempts: 1, state: 'pending', last_status: 404, last_error: 'http_404' });
        expect(row!.next_attempt_at!.getTime() - row!.created_at.getTime()).toBeGreaterThanOrEqual(24 * minute);
        await passToNextAttempt();
        await untilRows({ attempts: 2, state: 'delivered' });
    });

    test('for an address that policy forbids is a recorded failure (W15)', async () => {
        await configure({ primary_url: 'http://10.0.0.1/hook' });
        await enqueue();
        startDelivery();
        await untilRows({ attempts: 1, state: 'pending', last_status: null, last_error: 'blocked_by_policy' });
    });

    test('that is larger than any receiver has to take is dead at once (W13)', async () => {
        await configure({ primary_url: 'https://hooks.example.com/' });
        await enqueue(null, { tags: { long: 'x'.repeat(256 * 1024) } });
        startDelivery();
        await untilRows({ attempts: 1, state: 'dead', last_status: null, last_error: 'body_too_large' });
    });
});

describe('the events of one connection (W12)', () => {
    const sequences = (hook: WebhookReceiver) => hook.deliveries.map(({ headers }) => headers['x-valetkey-sequence']);

    test('arrive in order while the first of them is within its first three attempts', async () => {
        const hook = await receiver();
        hook.answer(500, 500);
        await configure({ primary_url: hook.url });
        const connectionRowId = newId();
        for (let index = 0; index < 3; index += 1) {
            await enqueue(null, { connectionRowId });
        }
        startDelivery();
        await expect.poll(rows).toMatchObject([{ attempts: 1 }, { attempts: 0 }, { attempts: 0 }]);
        // Nor are they due before it, so that no claim has to look at them; and likewise one that comes meanwhile.
        await enqueue(null, { connectionRowId });
        const dueAt = (await rows()).map((row) => row.next_attempt_at!);
        expect(dueAt).toEqual(dueAt.map(() => dueAt[0]));
        await passToNextAttempt();
        await expect.poll(rows).toMatchObject([{ attempts: 2 }, { attempts: 0 }, { attempts: 0 }, { attempts: 0 }]);
        await passToNextAttempt();
        await untilReceived(() => hook.deliveries.length === 6);
        expect(sequences(hook)).toEqual(['1', '1', '1', '2', '3', '4']);
    });

    test('do not wait for one that failed three times, for another receiver, or for another connection', async () => {
        const [failing, alive] = [await receiver(), await receiver()];
        failing.answer(...Array.from({ length: 9 }, () => 500));
        await configure({ primary_url: failing.url, secondary_url: alive.url });
        const connectionRowId = newId();
        await enqueue(null, { connectionRowId });
        await enqueue(null, { connectionRowId });
        await enqueue(null, { connectionRowId: newId() });
        startDelivery();
        await expect
            .poll(async () => (await rows()).map(({ destination, attempts: made }) => [destination, made]))
            .toEqual([
                ['primary', 1],
                ['secondary', 1],
                ['primary', 0],
                ['secondary', 1],
                ['primary', 1],
                ['secondary', 1],
            ]);
        expect(failing.deliveries.map(({ headers, status }) => [headers['x-valetkey-sequence'], status]).toSorted()).toEqual([
            ['1', 500],
            ['1', 500],
        ]);
        // Both failed: that of the other connection counts as well.
        await passToNextAttempt();
        await passToNextAttempt();
        await untilReceived(() => failing.deliveries.some(({ headers }) => headers['x-valetkey-sequence'] === '2'));
        expect((await rows())[0]).toMatchObject({ state: 'pending', attempts: 3 });
    });
});

describe('Retry-After (W8)', () => {
    test.each([
        ['seconds', () => '120', 120 * second],
        ['a date', () => new Date(sources.now() + 10 * minute).toUTCString(), 10 * minute],
        ['a month, of which a day is believed', () => String(30 * 86_400), 24 * hour],
    ])('in %s', async (_, header, expected) => {
        const busy = await listen((_request, response) => void response.writeHead(503, { 'retry-after': header() }).end());
        cleanups.push(() => busy.close());
        await configure({ primary_url: `http://127.0.0.1:${busy.port}/` });
        await enqueue();
        startDelivery();
        const [row] = await untilRows({ attempts: 1, last_status: 503 });
        const wait = row!.next_attempt_at!.getTime() - row!.created_at.getTime();
        expect(Math.abs(wait - expected)).toBeLessThan(2 * second);
    });
});

describe('410 Gone (W8)', () => {
    test('disables the endpoint: what waits for it and what comes is held, the other one gets it', async () => {
        const [gone, alive] = [await receiver(), await receiver()];
        gone.answer(500, 410);
        await configure({ primary_url: gone.url, secondary_url: alive.url });
        await enqueue();
        const delivery = startDelivery();
        await untilRows({ destination: 'primary', attempts: 1, last_status: 500 }, { destination: 'secondary', state: 'delivered' });
        await enqueue();
        delivery.wake();
        await untilRows(
            { destination: 'primary', attempts: 1, state: 'held', last_status: 500, next_attempt_at: null },
            { destination: 'secondary', state: 'delivered' },
            { destination: 'primary', attempts: 1, state: 'held', last_status: 410, last_error: 'http_410', next_attempt_at: null, settled_at: null },
            { destination: 'secondary', state: 'delivered' },
        );
        expect([await disabledReason('primary'), await disabledReason('secondary')]).toEqual(['receiver_gone', null]);

        await enqueue();
        delivery.wake();
        await alive.waitFor(() => alive.deliveries.length === 3);
        await expect.poll(async () => (await rows()).slice(4)).toMatchObject([{ state: 'held', attempts: 0 }, { destination: 'secondary' }]);
        expect(gone.deliveries).toHaveLength(2);
    });

    test('of an override disables nothing but that delivery', async () => {
        const gone = await receiver();
        gone.answer(410);
        await configure({ primary_url: gone.url });
        await enqueue(gone.url);
        startDelivery();
        await untilRows({ destination: 'override', state: 'dead', last_status: 410 });
        expect(await disabledReason('primary')).toBeNull();
    });

    test('of a URL that was changed meanwhile does not disable the new one', async () => {
        const gone = await receiver();
        gone.answer(410);
        await configure({ primary_url: gone.url });
        await enqueue();
        await store.database.db.updateTable('webhook_endpoints').set({ url: 'https://new.example/' }).execute();
        startDelivery();
        await untilRows({ destination: 'primary', state: 'dead', last_status: 410 });
        expect(await disabledReason('primary')).toBeNull();
    });
});

describe('crashes and company', () => {
    test('a worker that vanishes between claim and answer is followed by another, with the same id', async () => {
        const hook = await receiver();
        await configure({ primary_url: hook.url });
        const id = await enqueue();
        const held = Promise.withResolvers<void>();
        const first = startDelivery({ owner: 'first', onSend: () => held.promise });
        await untilRows({ lease_owner: 'first', attempts: 0 });
        // It claims nothing more, but has not ended what it began.
        const ended = first.stop();
        startDelivery({ owner: 'second' });
        await sources.advance(40 * second);
        expect(hook.deliveries).toEqual([]);
        await passTo(sources.now() + 6 * second);
        await untilReceived(() => hook.deliveries.length === 1);
        await untilRows({ attempts: 1, state: 'delivered' });

        // The first one comes back to life. It may send once more, but what it has to say about it counts no longer.
        hook.answer(500);
        held.resolve();
        await hook.waitFor(() => hook.deliveries.length === 2);
        await ended;
        expect(await rows()).toMatchObject([{ attempts: 1, state: 'delivered', last_status: 200 }]);
        expect(await attempts()).toMatchObject([{ number: 1, status: 200 }]);
        expect(hook.deliveries.map(({ headers }) => headers['webhook-id'])).toEqual([id, id]);
    });

    test('two workers send each of forty events once', async () => {
        const hook = await receiver();
        await configure({ primary_url: hook.url });
        const ids = await Promise.all(Array.from({ length: 40 }, () => enqueue()));
        const workers = ['first', 'second'].map((owner) => startDelivery({ owner }));
        await expect
            .poll(
                async () => {
                    workers.forEach((worker) => worker.wake());
                    return (await rows()).filter((row) => row.state === 'delivered').length;
                },
                { timeout: 10_000 },
            )
            .toBe(40);
        expect(hook.deliveries.map(({ headers }) => headers['webhook-id']).toSorted()).toEqual(ids.toSorted());
    });

    test('a silent receiver takes five slots, and leaves the rest to others', async () => {
        const [silent, alive] = [await receiver(), await receiver()];
        silent.answer(...Array.from({ length: 8 }, () => 'never' as const));
        await configure({ primary_url: silent.url });
        for (let index = 0; index < 8; index += 1) {
            await enqueue();
        }
        // None of them is given up while the test looks.
        const deadline = Promise.withResolvers<void>();
        const patient = egress({ sleep: (ms, signal) => (ms === 20_000 ? deadline.promise : systemSources.sleep(ms, signal)) });
        const delivery = startDelivery({ egress: patient });
        await expect.poll(() => silent.deliveries.length).toBe(5);
        await enqueue(alive.url);
        delivery.wake();
        await alive.waitFor(() => true);
        expect(silent.deliveries).toHaveLength(5);
        deadline.resolve();
    });

    test('an event that cannot be signed stops nobody, and is tried again on the schedule', async () => {
        const hook = await receiver();
        await configure({ primary_url: hook.url });
        const [unsigned, signed] = [await enqueue(), await enqueue()];
        startDelivery({
            openSigningKeys: (due) => (due.event_id === unsigned ? Promise.reject(new Error('sealed under a lost key')) : Promise.resolve([keys])),
        });
        await hook.waitFor(({ headers }) => headers['webhook-id'] === signed);
        await untilRows({ event_id: unsigned, attempts: 1, state: 'pending' }, { event_id: signed, state: 'delivered' });
    });

    test('stop() waits for what is being sent', async () => {
        const hook = await receiver();
        await configure({ primary_url: hook.url });
        await enqueue();
        const held = Promise.withResolvers<void>();
        const delivery = startDelivery({ onSend: () => held.promise });
        await untilRows({ lease_owner: 'test' });
        let stopped = false;
        const stop = delivery.stop().then(() => {
            stopped = true;
        });
        await sources.advance(0);
        expect(stopped).toBe(false);
        held.resolve();
        await stop;
        expect(await rows()).toMatchObject([{ state: 'delivered' }]);
    });
});
