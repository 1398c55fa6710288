/** Renewals and the token endpoints they share (R10): limits that hold across replicas, and hosts that are left alone. */
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Credentials } from '../../src/credentials/credential.ts';
import { credentialsPlace } from '../../src/credentials/credential-places.ts';
import { openVault } from '../../src/credentials/key-ring.ts';
import type { RenewalResult } from '../../src/credentials/leased-renewal.ts';
import { Refresher } from '../../src/credentials/refresher.ts';
import { RenewalFailures } from '../../src/credentials/renewal-failures.ts';
import type { RenewalStrategy } from '../../src/credentials/renewal-strategy.ts';
import { Renewals } from '../../src/credentials/renewal.ts';
import { TokenFailure } from '../../src/credentials/token-failure.ts';
import type { Vault } from '../../src/credentials/vault.ts';
import { newRowId, systemSources, type Sources } from '../../src/sources.ts';
import { claimDue, refreshQueue } from '../../src/store/leased-work.ts';
import { json } from '../../src/store/database.ts';
import type { ConnectionRow, IntegrationRow, NewConnection } from '../../src/store/schema.ts';
import { eventually } from '../e2e/valetkey.ts';
import { openPostgresStore, type TestStore } from '../store/dialects.ts';
import { insertConnection, insertEndpoint, insertSetting, insertWebhookSettings } from '../store/rows.ts';
import { virtualSources, type VirtualSources } from '../virtual-sources.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const leaseMs = 45_000;
/** Between the moment a connection falls due and its token's end. */
const margin = 14 * minute;

let store: TestStore;
let vault: Vault;
let integration: IntegrationRow;
let log: string;
const logger = pino({ level: 'info' }, { write: (line: string) => (log += line) });
beforeAll(async () => {
    store = await openPostgresStore();
});
afterAll(() => store.close());
beforeEach(async () => {
    await store.empty();
    log = '';
    vault = await openVault(store.database.db, [{ name: 'k', key: systemSources.random(32) }], systemSources);
    integration = await insertSetting(store.database.db);
});

/** A token endpoint that counts who is there at once. */
class Endpoint {
    calls = 0;
    atOnce = 0;
    mostAtOnce = 0;
    latencyMs = 0;
    /** No call is answered before this. */
    answering: Promise<void> = Promise.resolve();
    failure: TokenFailure | undefined;
    readonly sources: Sources;
    readonly limits: RenewalStrategy['tokenLimits'];

    constructor(sources: Sources, limits?: RenewalStrategy['tokenLimits']) {
        this.sources = sources;
        this.limits = limits;
    }

    strategy(host = 'tokens.example.com'): RenewalStrategy {
        return {
            tokenLimits: this.limits,
            tokenHost: () => host,
            canRenew: () => true,
            present: async () => {
                const requestedAt = this.sources.now();
                this.calls += 1;
                this.atOnce += 1;
                this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
                if (this.latencyMs > 0) await delay(this.latencyMs);
                await this.answering;
                this.atOnce -= 1;
                if (this.failure !== undefined) throw this.failure;
                return { status: 200, contentType: '', body: '', requestedAt, receivedAt: this.sources.now() };
            },
            interpret: ({ requestedAt }) => {
                const credentials: Credentials = { type: 'OAUTH2', access_token: 'a2', refresh_token: 'r2', raw: {} };
                return { credentials, obtainedAt: requestedAt, expiresAt: requestedAt + hour };
            },
        };
    }
}

function replica(endpoint: Endpoint, strategy = endpoint.strategy()): { renewals: Renewals; refresher: Refresher } {
    const { sources } = endpoint;
    const { db } = store.database;
    const strategies = { strategyFor: () => Promise.resolve(strategy), authModeOf: () => 'OAUTH2' };
    const failures = new RenewalFailures({ db, sources, strategies, wakeDeliveries: () => {} });
    const dependencies = { db, sources, logger, owner: newRowId(systemSources) };
    const renewals = new Renewals({ ...dependencies, vault, strategies, failures });
    return { renewals, refresher: new Refresher(renewals, dependencies) };
}

function insertDue(now: number, overrides: Partial<NewConnection> = {}): Promise<ConnectionRow> {
    const id = newRowId(systemSources);
    const credentials: Credentials = { type: 'OAUTH2', access_token: 'a1', refresh_token: 'r1', raw: {} };
    return insertConnection(store.database.db, integration, {
        id,
        sealed_credentials: vault.sealJson(credentials, credentialsPlace({ environment_id: integration.environment_id, id })),
        credentials_obtained_at: new Date(now - hour),
        credentials_expires_at: new Date(now + margin),
        next_refresh_at: new Date(now),
        ...overrides,
    });
}
const insertMany = (count: number, now: number) => Promise.all(Array.from({ length: count }, () => insertDue(now)));
const stored = (id: string): Promise<ConnectionRow> =>
    store.database.db.selectFrom('connections').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
const renewed = async (): Promise<number> => {
    const { count } = await store.database.db
        .selectFrom('connections')
        .select((query) => query.fn.countAll<number>().as('count'))
        .where('credentials_version', '=', 2)
        .executeTakeFirstOrThrow();
    return count;
};

describe('limits that replicas share', () => {
    test('background work of two replicas keeps to the limit, and a caller finds room beside it', async () => {
        const endpoint = new Endpoint(systemSources, { concurrency: 4 });
        endpoint.latencyMs = 20;
        // §20.2 no. 6, in small
        const dueAt = systemSources.now();
        await insertMany(200, dueAt);
        const replicas = [replica(endpoint), replica(endpoint)];
        replicas.forEach(({ refresher }) => refresher.start());
        await eventually(async () => expect(await renewed()).toBeGreaterThan(5));
        const wanted = await insertDue(systemSources.now(), { next_refresh_at: new Date(systemSources.now() + hour) });
        const result = await replicas[1]!.renewals.renew(wanted.id, { force: true, since: systemSources.now() });
        expect(result.kind).toBe('renewed');
        await eventually(async () => expect(await renewed()).toBe(201), 50_000);
        await Promise.all(replicas.map(({ refresher }) => refresher.stop()));
        await Promise.all(replicas.map(({ renewals }) => renewals.drain()));
        expect(endpoint.mostAtOnce).toBeLessThanOrEqual(4);
        expect(endpoint.calls).toBe(201);
        const last = await store.database.db
            .selectFrom('connections')
            .select((query) => query.fn.max('last_refresh_success').as('at'))
            .executeTakeFirst();
        expect(last!.at!.getTime()).toBeLessThan(dueAt + margin);
        // nothing is kept of a limit that nobody uses, and nobody was told of a failure
        expect(await store.database.db.selectFrom('token_call_shares').select('scope').execute()).toEqual([]);
        expect(await store.database.db.selectFrom('operations').select('id').where('level', '<>', 'debug').execute()).toEqual([]);
    });

    test('the share of a process that died is free again', async () => {
        const sources = virtualSources();
        const now = sources.now();
        const share = (until: number) => JSON.stringify({ dead: { slots: 1, needs: 1, until } });
        const scope = `provider ${integration.provider}`;
        await store.database.db
            .insertInto('token_call_shares')
            .values({ scope, shares: share(now + 2_000), calls: 0, refilled_at: new Date(now) })
            .execute();
        const endpoint = new Endpoint(sources, { concurrency: 1 });
        const { id } = await insertDue(now);
        const { renewals } = replica(endpoint);
        const result = renewals.renew(id, { force: true, since: now });
        // It has asked for a share, and was given none.
        await eventually(() => expect(sources.sleeping()).toContain(200));
        expect(endpoint.calls).toBe(0);
        expect((await untilSettled(result, sources)).kind).toBe('renewed');
        expect(sources.now()).toBeGreaterThanOrEqual(now + 2_000);
        await untilSettled(renewals.drain(), sources);
    });

    test.each([
        ['has its turn within the time a caller has', 9, 'renewed'],
        ['has not: it is told when to come back', 1, 'put-back'],
    ])('a limit per minute holds for callers too; whoever %s', async (_what, per_minute, kind) => {
        const sources = virtualSources();
        const endpoint = new Endpoint(sources, { per_minute });
        const { renewals } = replica(endpoint);
        const dead = { credentials_expires_at: new Date(sources.now()) };
        const [first, next] = [await insertDue(sources.now(), dead), await insertDue(sources.now(), dead)];
        expect((await renewals.renew(first.id, { force: false, since: sources.now() })).kind).toBe('renewed');
        const begunAt = sources.now();
        const answer = await untilSettled(renewals.renew(next.id, { force: false, since: begunAt }), sources);
        expect(answer.kind).toBe(kind);
        expect(endpoint.calls).toBe(kind === 'renewed' ? 2 : 1);
        // Half a call was left of the first few.
        expect(sources.now() - begunAt).toBeGreaterThanOrEqual(3_000);
        await untilSettled(renewals.drain(), sources);
    });
});

/** Moves time on until it settles. */
async function untilSettled<T>(promise: Promise<T>, sources: VirtualSources): Promise<T> {
    let isSettled = false;
    void promise.finally(() => (isSettled = true)).catch(() => {});
    for (let turn = 0; !isSettled && turn < 2_000; turn += 1) {
        await delay(2);
        if (sources.sleeping().length > 0) await sources.advance(100);
    }
    return promise;
}

describe('a host that fails', () => {
    let sources: VirtualSources;
    let endpoint: Endpoint;
    beforeEach(() => {
        sources = virtualSources();
        endpoint = new Endpoint(sources);
    });

    const outage = (details = {}) => new TokenFailure('transient', 'The token endpoint answered 503.', details);
    const claim = async () =>
        (
            await claimDue(store.database.db, refreshQueue, { owner: 'queue', now: sources.now(), leaseMs, limit: 1, groupLimit: 10, busyGroups: {} })
        )[0];
    const inBackground = async ({ renewals }: { renewals: Renewals }): Promise<RenewalResult> => {
        const { id, epoch } = (await claim())!;
        return renewals.renewClaimed(id, epoch);
    };
    const host = () => store.database.db.selectFrom('token_hosts').selectAll().executeTakeFirst();
    /** Five connections fail, at one replica. */
    async function open(process: { renewals: Renewals }): Promise<void> {
        endpoint.failure = outage();
        await insertMany(5, sources.now());
        for (let index = 0; index < 5; index += 1) await inBackground(process);
        await eventually(async () => expect((await host())?.open_until).toBeInstanceOf(Date));
        // what other replicas have read is a second old at most
        await sources.advance(second);
    }

    test('is left alone by every replica: what is due is put back, without an attempt, a failure or a word to anybody', async () => {
        const [one, other] = [replica(endpoint), replica(endpoint)];
        await open(one);
        await eventually(() => expect(log).toContain('left alone'));
        const before = await insertDue(sources.now());
        expect((await inBackground(other)).kind).toBe('put-back');
        expect(endpoint.calls).toBe(5);
        const row = await stored(before.id);
        expect(row).toMatchObject({ auth_state: 'ok', auth_error: null, refresh_attempts: 0, last_refresh_failure: null, refresh_lease_owner: null });
        const openUntil = (await host())!.open_until!.getTime();
        expect(row.next_refresh_at!.getTime()).toBeGreaterThanOrEqual(openUntil);
        expect(row.next_refresh_at!.getTime()).toBeLessThan(row.credentials_expires_at!.getTime());
    });

    test('a caller does without while its token lives; one that died is unavailable, and nobody is told at once', async () => {
        const [one, other] = [replica(endpoint), replica(endpoint)];
        await open(one);
        const alive = await insertDue(sources.now());
        expect((await other.renewals.renew(alive.id, { force: false, since: sources.now() })).kind).toBe('put-back');
        const dead = await insertDue(sources.now(), { credentials_expires_at: new Date(sources.now() - second) });
        const result = await other.renewals.renew(dead.id, { force: false, since: sources.now() });
        expect(result.kind).toBe('put-back');
        expect(await stored(dead.id)).toMatchObject({ auth_state: 'unavailable', refresh_attempts: 0, refresh_failure_reported_at: null });
        expect(endpoint.calls).toBe(5);
    });

    test('an outage of an hour is told once of each connection, and once that it is over, tried or put back (R15, §20.2 no. 4)', async () => {
        const { db } = store.database;
        await insertWebhookSettings(db, integration.environment_id, {});
        await insertEndpoint(db, integration.environment_id, { url: 'https://all.example/', events: ['auth.refresh', 'auth.recovery'] });
        const one = replica(endpoint);
        const carryOutWhatIsDue = async (): Promise<void> => {
            for (let claimed = await claim(); claimed !== undefined; claimed = await claim()) {
                await one.renewals.renewClaimed(claimed.id, claimed.epoch);
            }
        };
        await open(one);
        const spared = await insertMany(3, sources.now());
        for (let seconds = 0; seconds < 3600; seconds += 30) {
            await carryOutWhatIsDue();
            await sources.advance(30 * second);
        }
        const attempts = await Promise.all(spared.map(async ({ id }) => (await stored(id)).refresh_attempts));
        expect(Math.min(...attempts)).toBeLessThan(3);
        endpoint.failure = undefined;
        for (let steps = 0; (await renewed()) < 8 && steps < 200; steps += 1) {
            await sources.advance(30 * second);
            await carryOutWhatIsDue();
        }
        const rows = await db.selectFrom('webhook_events').select('body').orderBy('created_at').execute();
        const events = rows.map(({ body }) => JSON.parse(body) as { connectionId: string; success: boolean });
        const all = await db.selectFrom('connections').select('connection_id').execute();
        const told = all.map(({ connection_id: id }) => events.filter(({ connectionId }) => connectionId === id).map(({ success }) => success));
        expect(told).toEqual(Array.from({ length: 8 }, () => [false, true]));
    });

    test('a call that is put back keeps the patience that its provider has asked for', async () => {
        const one = replica(endpoint);
        await open(one);
        const asked = new Date(sources.now() + hour);
        const auth_error = {
            type: 't',
            description: 'd',
            log_id: 'l',
            since: new Date(sources.now()).toISOString(),
            not_before: asked.toISOString(),
        };
        const { id } = await insertDue(sources.now(), {
            credentials_expires_at: new Date(sources.now() - second),
            next_refresh_at: asked,
            auth_state: 'degraded',
            auth_error: json(auth_error),
        });
        expect((await one.renewals.renew(id, { force: true, since: sources.now() })).kind).toBe('put-back');
        const row = await stored(id);
        expect(row).toMatchObject({ auth_state: 'unavailable', auth_error: { not_before: auth_error.not_before } });
        expect(row.next_refresh_at!.getTime()).toBeGreaterThanOrEqual(asked.getTime());
    });

    test('many callers of one connection are put back together, not one after the other', async () => {
        const one = replica(endpoint);
        await open(one);
        const { id } = await insertDue(sources.now());
        const ask = (force: boolean) => one.renewals.renew(id, { force, since: sources.now() });
        const results = await Promise.all(Array.from({ length: 40 }, (_, index) => ask(index % 2 === 1)));
        expect(new Set(results.map(({ kind }) => kind))).toEqual(new Set(['put-back']));
        // the unforced ones by one attempt, and the forced ones, who are more urgent, by another
        expect((await stored(id)).refresh_epoch).toBe(2);
    });

    test('after the cool-down one call alone finds out, and its success closes for all at once', async () => {
        const [one, other] = [replica(endpoint), replica(endpoint)];
        await open(one);
        await sources.advance(31 * second);
        endpoint.failure = undefined;
        const [probing, waiting] = [await insertDue(sources.now()), await insertDue(sources.now())];
        const { promise, resolve: answer } = Promise.withResolvers<void>();
        endpoint.answering = promise;
        const probe = one.renewals.renew(probing.id, { force: true, since: sources.now() });
        await eventually(() => expect(endpoint.calls).toBe(6));
        // not the second at once: whoever can wait is put back, a caller waits for what the first finds
        expect((await other.renewals.renew(waiting.id, { force: false, since: sources.now() })).kind).toBe('put-back');
        expect(endpoint.calls).toBe(6);
        answer();
        expect((await probe).kind).toBe('renewed');
        await eventually(async () => expect(await host()).toBeUndefined());
        await eventually(() => expect(log).toContain('answers again'));
        await sources.advance(second);
        expect((await other.renewals.renew(waiting.id, { force: true, since: sources.now() })).kind).toBe('renewed');
    });

    test('a probe that could not make its call says nothing about it, and leaves the next to find out', async () => {
        const one = replica(endpoint);
        await open(one);
        await sources.advance(31 * second);
        endpoint.failure = new TokenFailure('unknown', 'The integration has no app id and private key yet.', { isUnasked: true });
        const { id } = await insertDue(sources.now());
        expect((await one.renewals.renew(id, { force: true, since: sources.now() })).kind).toBe('failed');
        await eventually(async () => expect((await host())?.probe_until).toBeNull());
        expect(await host()).toMatchObject({ openings: 1 });
        endpoint.failure = undefined;
        const next = await insertDue(sources.now());
        expect((await one.renewals.renew(next.id, { force: true, since: sources.now() })).kind).toBe('renewed');
        await eventually(async () => expect(await host()).toBeUndefined());
    });

    test('a probe that fails leaves it alone for longer', async () => {
        const one = replica(endpoint);
        await open(one);
        await sources.advance(31 * second);
        const { id } = await insertDue(sources.now());
        expect((await one.renewals.renew(id, { force: true, since: sources.now() })).kind).toBe('failed');
        await eventually(async () => expect((await host())?.openings).toBe(2));
        expect((await host())!.open_until!.getTime() - sources.now()).toBe(60 * second);
    });

    test('a refusal is an answer: five grants that were withdrawn do not close their provider', async () => {
        const one = replica(endpoint);
        endpoint.failure = new TokenFailure('unknown', 'no');
        await insertMany(6, sources.now());
        for (let index = 0; index < 6; index += 1) expect((await inBackground(one)).kind).toBe('failed');
        await one.renewals.drain();
        expect(await host()).toBeUndefined();
    });

    test('one connection that fails all the time closes nothing', async () => {
        const one = replica(endpoint);
        endpoint.failure = outage();
        const { id } = await insertDue(sources.now());
        for (let times = 0; times < 8; times += 1) {
            await one.renewals.renew(id, { force: true, since: sources.now() });
            await sources.advance(second);
        }
        await one.renewals.drain();
        expect([endpoint.calls, (await host())?.open_until]).toEqual([8, null]);
    });

    test('Retry-After at one connection is patience for the host: callers in need may ask, others wait', async () => {
        const [one, other] = [replica(endpoint), replica(endpoint)];
        endpoint.failure = outage({ retryAfterMs: 20 * second });
        const asked = await insertDue(sources.now());
        await one.renewals.renew(asked.id, { force: false, since: sources.now() });
        await eventually(async () => expect(await host()).toBeDefined());
        endpoint.failure = undefined;
        const due = await insertDue(sources.now());
        expect((await inBackground(other)).kind).toBe('put-back');
        expect((await stored(due.id)).next_refresh_at!.getTime()).toBeGreaterThanOrEqual(sources.now() + 20 * second);
        const needed = await insertDue(sources.now(), { credentials_expires_at: new Date(sources.now()) });
        expect((await other.renewals.renew(needed.id, { force: false, since: sources.now() })).kind).toBe('renewed');
        expect(endpoint.calls).toBe(2);
    });

    test('other hosts of the provider go on', async () => {
        const [one, other] = [replica(endpoint), replica(endpoint, endpoint.strategy('well.example.com'))];
        await open(one);
        endpoint.failure = undefined;
        const { id } = await insertDue(sources.now());
        expect((await other.renewals.renew(id, { force: false, since: sources.now() })).kind).toBe('renewed');
    });
});
