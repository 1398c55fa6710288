/** Renewal between processes, and between a process and its own unfinished work: one lease, one token call, nothing lost (R1, R2, R10). */
import type { KyselyPlugin } from 'kysely';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newRowId, systemSources, withClockOffset } from '../../src/sources.ts';
import type { Credentials, OAuth2Credentials } from '../../src/credentials/credential.ts';
import { openVault } from '../../src/credentials/key-ring.ts';
import { RenewalFailures } from '../../src/credentials/renewal-failures.ts';
import { CredentialTests } from '../../src/credentials/credential-tests.ts';
import type { RenewalStrategies, RenewalStrategy, TokenReceipt } from '../../src/credentials/renewal-strategy.ts';
import { credentialsPlace } from '../../src/credentials/credential-places.ts';
import type { RenewalDependencies, RenewalStep } from '../../src/credentials/leased-renewal.ts';
import { Renewals } from '../../src/credentials/renewal.ts';
import { TokenFailure } from '../../src/credentials/token-failure.ts';
import { changeIntegration, openSetup } from '../../src/environments/integration.ts';
import type { Vault } from '../../src/credentials/vault.ts';
import * as journal from '../../src/store/credential-journal.ts';
import { json } from '../../src/store/database.ts';
import * as integrations from '../../src/store/integrations.ts';
import { Hints } from '../../src/store/hints.ts';
import { claimDue, refreshQueue } from '../../src/store/leased-work.ts';
import type { ConnectionRow, IntegrationRow, NewConnection } from '../../src/store/schema.ts';
import { eventually } from '../e2e/valetkey.ts';
import { openPostgresStore, type TestStore } from '../store/dialects.ts';
import { insertConnection, insertEndpoint, insertSetting, insertWebhookSettings } from '../store/rows.ts';
import { virtualSources, type VirtualSources } from '../virtual-sources.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const leaseMs = 45_000;
const logger = pino({ level: 'silent' });

let store: TestStore;
let vault: Vault;
let integration: IntegrationRow;
let sources: VirtualSources;
beforeAll(async () => {
    store = await openPostgresStore();
});
afterAll(() => store.close());
beforeEach(async () => {
    await store.empty();
    sources = virtualSources();
    vault = await openVault(store.database.db, [{ name: 'k', key: systemSources.random(32) }], systemSources);
    integration = await insertSetting(store.database.db);
});

/** A provider that rotates refresh tokens `r1`, `r2`, … and does as told before it does. */
class Provider {
    calls: (string | undefined)[] = [];
    /** Failures of the next calls, in order. */
    readonly failures: TokenFailure[] = [];
    expiresIn = 3600;
    /** While set, calls wait for it. */
    gate: Promise<void> | undefined;

    readonly strategy: RenewalStrategy = {
        canRenew: (credentials) => credentials.type === 'OAUTH2' && credentials.refresh_token !== undefined,
        present: async (_credentials, refreshToken) => {
            const requestedAt = sources.now();
            this.calls.push(refreshToken);
            const generation = this.calls.length + 1;
            await this.gate;
            const failure = this.failures.shift();
            if (failure) {
                throw failure;
            }
            const body = JSON.stringify({ access_token: `a${generation}`, refresh_token: `r${generation}`, expires_in: this.expiresIn });
            return { status: 200, contentType: 'application/json', body, requestedAt, receivedAt: sources.now() };
        },
        interpret: (receipt: TokenReceipt) => {
            const { access_token, refresh_token, expires_in } = JSON.parse(receipt.body) as Record<string, string> & { expires_in: number };
            const credentials: Credentials = { type: 'OAUTH2', access_token: access_token!, refresh_token: refresh_token!, raw: {} };
            return { credentials, obtainedAt: receipt.requestedAt, expiresAt: receipt.requestedAt + expires_in * second };
        },
    };
}

function replica(provider: Provider, overrides: Partial<RenewalDependencies> = {}): Renewals {
    const strategies = { strategyFor: () => Promise.resolve(provider.strategy), authModeOf: () => 'OAUTH2' };
    const db = overrides.db ?? store.database.db;
    const failures = new RenewalFailures({ db, sources, strategies, wakeDeliveries: () => {} });
    return new Renewals({ db, vault, sources, logger, owner: newRowId(systemSources), strategies, failures, ...overrides });
}

async function insertDue(overrides: Partial<NewConnection> = {}): Promise<ConnectionRow> {
    const id = newRowId(systemSources);
    const place = credentialsPlace({ environment_id: integration.environment_id, id });
    const credentials: OAuth2Credentials = { type: 'OAUTH2', access_token: 'a1', refresh_token: 'r1', raw: {} };
    return insertConnection(store.database.db, integration, {
        id,
        sealed_credentials: vault.sealJson(credentials, place),
        credentials_obtained_at: new Date(sources.now() - hour),
        credentials_expires_at: new Date(sources.now() + 5 * minute),
        next_refresh_at: new Date(sources.now()),
        ...overrides,
    });
}

const stored = async (id: string): Promise<ConnectionRow> =>
    store.database.db.selectFrom('connections').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
const tokenOf = async (id: string): Promise<string> => {
    const row = await stored(id);
    return vault.openJson<OAuth2Credentials>(row.sealed_credentials, credentialsPlace(row)).access_token;
};
const claim = async (owner = 'queue') =>
    (await claimDue(store.database.db, refreshQueue, { owner, now: sources.now(), leaseMs, limit: 10, groupLimit: 10, busyGroups: {} }))[0];
/** Holds a renewal at `step` until released. */
function heldAt(step: RenewalStep) {
    const [reached, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const onStep = async (at: RenewalStep): Promise<void> => {
        if (at === step) {
            reached.resolve();
            await released.promise;
        }
    };
    return { onStep, reached: reached.promise, release: () => released.resolve() };
}
const refused = (kind: 'transient' | 'unknown' | 'permanent', details = {}) => new TokenFailure(kind, 'refused', details);

describe('waiting for another process', () => {
    test('that vanished during its token call is a wait, not a storm of queries', async () => {
        const { id } = await insertDue({
            refresh_lease_owner: 'vanished',
            refresh_lease_until: new Date(sources.now() - 1),
            refresh_epoch: 1,
            refresh_intent: json({ epoch: 1, started_at: '', fingerprint: '' }),
        });
        let queries = 0;
        const counting: KyselyPlugin = {
            transformQuery: ({ node }) => {
                queries += 1;
                return node;
            },
            transformResult: ({ result }) => Promise.resolve(result),
        };
        const provider = new Provider();
        const result = replica(provider, { db: store.database.db.withPlugin(counting) }).renew(id, { force: false, since: sources.now() });
        await eventually(() => expect(sources.sleeping().some((ms) => ms < 25 * second)).toBe(true));
        expect(queries).toBeLessThan(10);
        await sources.advance(26 * second);
        expect(await result).toEqual({ kind: 'busy' });
        expect(provider.calls).toEqual([]);
    });

    test('ends for each caller at its own time, though they wait together', async () => {
        const { id } = await insertDue();
        const provider = new Provider();
        const gate = Promise.withResolvers<void>();
        provider.gate = gate.promise;
        const other = replica(provider).renewClaimed(id, (await claim())!.epoch);
        await eventually(() => expect(provider.calls).toHaveLength(1));
        const isPolling = () => eventually(() => expect(sources.sleeping().some((ms) => ms < second)).toBe(true));
        const process = replica(provider);
        const first = process.renew(id, { force: false, since: sources.now() });
        await isPolling();
        await sources.advance(24 * second);
        const joined = process.renew(id, { force: false, since: sources.now() });
        await sources.advance(second);
        expect(await first).toEqual({ kind: 'busy' });
        await isPolling();
        gate.resolve();
        await other;
        await sources.advance(second);
        expect(await joined).toEqual({ kind: 'unchanged' });
        expect(provider.calls).toEqual(['r1']);
    });
});

const heard = (hints: Hints) => eventually(() => expect(hints.isHearing).toBe(true));

describe('told by the process that renews (R10)', () => {
    let hints: Hints;
    beforeEach(async () => {
        hints = new Hints({ database: store.database, sources: systemSources, logger, owner: newRowId(systemSources) });
        hints.start(() => {});
        await heard(hints);
    });
    afterEach(() => hints.stop());

    const waited = (id: string) => eventually(async () => expect((await stored(id)).refresh_waited).toBe(true));

    // Time stands still: whoever went on after a pause of its own would wait for ever.
    test.each([
        ['its success', undefined, 'renewed'],
        ['its failure', refused('transient'), 'failed'],
    ])('a caller of another process goes on with %s at once', async (_what, failure, kind) => {
        const { id } = await insertDue();
        const provider = new Provider();
        const gate = Promise.withResolvers<void>();
        provider.gate = gate.promise;
        if (failure) provider.failures.push(failure);
        const first = replica(provider, { hints }).renew(id, { force: true, since: sources.now() });
        await eventually(() => expect(provider.calls).toHaveLength(1));
        const other = replica(provider, { hints }).renew(id, { force: true, since: sources.now() });
        await waited(id);
        gate.resolve();
        expect([(await first).kind, (await other).kind]).toEqual([kind, kind]);
        expect(provider.calls).toEqual(['r1']);
    });

    test('without hearing anything it goes on after a pause of its own', async () => {
        await hints.stop();
        const { id } = await insertDue();
        const provider = new Provider();
        const gate = Promise.withResolvers<void>();
        provider.gate = gate.promise;
        const first = replica(provider).renew(id, { force: true, since: sources.now() });
        await eventually(() => expect(provider.calls).toHaveLength(1));
        const other = replica(provider, { hints }).renew(id, { force: true, since: sources.now() });
        await eventually(() => expect(sources.sleeping().some((ms) => ms < second)).toBe(true));
        gate.resolve();
        await first;
        await sources.advance(second);
        expect((await other).kind).toBe('renewed');
        expect((await stored(id)).refresh_waited).toBe(false);
    });
});

describe('a forced request (R10)', () => {
    test('gets what was obtained after it began, although the database’s clock was read anew and stepped back meanwhile', async () => {
        let offset = 900;
        sources = { ...sources, now: withClockOffset(sources, () => offset).now };
        const { id } = await insertDue();
        const provider = new Provider();
        const renewals = replica(provider);
        await renewals.renew(id, { force: true, since: sources.now() });
        offset = 0;
        await sources.advance(10);
        expect(await renewals.renew(id, { force: true, since: sources.now() })).toMatchObject({ kind: 'renewed' });
        expect(provider.calls).toEqual(['r1', 'r2']);
    });
});

describe('after the database’s clock was a day ahead', () => {
    const ahead = (ms = 0) => new Date(sources.now() + 24 * hour + ms);
    const dated = () => insertDue({ credentials_obtained_at: ahead(), credentials_expires_at: ahead(hour), next_refresh_at: ahead(hour / 2) });

    test('a forced request renews what was obtained then', async () => {
        const { id } = await dated();
        const provider = new Provider();
        expect((await replica(provider).renew(id, { force: true, since: sources.now() })).kind).toBe('renewed');
        expect((await stored(id)).next_refresh_at!.getTime()).toBeLessThan(sources.now() + hour);
    });

    test('and waits for another process that does', async () => {
        const { id } = await dated();
        const provider = new Provider();
        const gate = Promise.withResolvers<void>();
        provider.gate = gate.promise;
        const one = replica(provider).renew(id, { force: true, since: sources.now() });
        await eventually(() => expect(provider.calls).toHaveLength(1));
        const other = replica(provider).renew(id, { force: true, since: sources.now() });
        await eventually(() => expect(sources.sleeping().some((ms) => ms < second)).toBe(true));
        gate.resolve();
        await one;
        await sources.advance(second);
        expect((await other).kind).toBe('renewed');
        expect(provider.calls).toEqual(['r1']);
        expect(await tokenOf(id)).toBe('a2');
    });
});

/** Through the pause in which somebody may write who was only cut off from the database. */
const pastWriters = async (): Promise<void> => {
    await eventually(() => expect(sources.sleeping()).toContain(3 * second));
    await sources.advance(3 * second);
};

describe('the work queue and a renewal that this process has not finished', () => {
    test('an answer held in memory for longer than the lease is applied, not asked for again', async () => {
        const { id } = await insertDue();
        const provider = new Provider();
        const held = heldAt('answered');
        const process = replica(provider, { onStep: held.onStep });
        const first = process.renew(id, { force: false, since: sources.now() });
        await held.reached;
        // As if the database had been away: the lease and its rest are over, the queue offers the row again.
        await sources.advance(leaseMs + 31 * second);
        const claimed = await claim();
        expect(claimed?.epoch).toBe(2);
        const queued = process.renewClaimed(id, claimed!.epoch);
        await systemSources.sleep(100);
        expect(provider.calls).toEqual(['r1']);
        held.release();
        await Promise.all([first, queued]);
        expect(provider.calls).toEqual(['r1']);
        expect(await tokenOf(id)).toBe('a2');
    });
});

describe('a process that ends for good after a step (R2)', () => {
    const rest = 30 * second;
    test.each<[RenewalStep, number, (string | undefined)[], string]>([
        ['leased', leaseMs, ['r1'], 'a2'],
        ['intent-recorded', leaseMs + rest, ['r1'], 'a2'],
        // the one window no client can close; this provider takes the old token once more
        ['answered', leaseMs + rest, ['r1', 'r1'], 'a3'],
        ['journalled', leaseMs + rest, ['r1'], 'a2'],
    ])('%s: another goes on when it is sure that the first is gone', async (step, wait, calls, token) => {
        const { id } = await insertDue();
        const provider = new Provider();
        const dead = heldAt(step);
        const caller = replica(provider, { onStep: dead.onStep }).renew(id, { force: false, since: sources.now() });
        await dead.reached;
        await sources.advance(wait);
        expect(await caller).toEqual({ kind: 'busy' });
        expect(await claim()).toBeUndefined();
        await sources.advance(1);
        const claimed = await claim();
        const next = replica(provider).renewClaimed(id, claimed!.epoch);
        if (step === 'intent-recorded' || step === 'answered') await pastWriters();
        expect((await next).kind).toBe('renewed');
        expect(provider.calls).toEqual(calls);
        expect(await tokenOf(id)).toBe(token);
        expect(await stored(id)).toMatchObject({ auth_state: 'ok', refresh_intent: null, refresh_lease_owner: null });
    });

    test('or that only seemed to: its answer is written when the database is back, and found by whoever reads then', async () => {
        const { id } = await insertDue();
        const provider = new Provider();
        const cutOff = heldAt('answered');
        const process = replica(provider, { onStep: cutOff.onStep });
        void process.renew(id, { force: false, since: sources.now() });
        await cutOff.reached;
        await sources.advance(leaseMs + rest + second);
        const read = replica(provider).renew(id, { force: false, since: sources.now() });
        await eventually(() => expect(sources.sleeping()).toContain(3 * second));
        cutOff.release();
        await process.drain();
        await sources.advance(3 * second);
        expect((await read).kind).toBe('renewed');
        expect([provider.calls, await tokenOf(id)]).toEqual([['r1'], 'a2']);
    });

    test('applied: nothing is left to do', async () => {
        const { id } = await insertDue();
        const provider = new Provider();
        const dead = heldAt('applied');
        void replica(provider, { onStep: dead.onStep }).renew(id, { force: false, since: sources.now() });
        await dead.reached;
        await sources.advance(2 * leaseMs);
        expect(await claim()).toBeUndefined();
        expect([provider.calls, await tokenOf(id)]).toEqual([['r1'], 'a2']);
        expect(await journal.unsettled(store.database.db, new Date(sources.now())).next()).toMatchObject({ done: true });
    });
});

describe('recovery', () => {
    test('applies an answer that arrived while a later lease came to nothing', async () => {
        const { id } = await insertDue();
        const provider = new Provider();
        const held = heldAt('answered');
        const slow = replica(provider, { onStep: held.onStep });
        const caller = slow.renew(id, { force: false, since: sources.now() });
        await held.reached;
        await sources.advance(leaseMs + 31 * second);
        provider.failures.push(refused('permanent'), refused('permanent'));
        const claimed = await claim();
        const other = replica(provider).renewClaimed(id, claimed!.epoch);
        await pastWriters();
        await expect.poll(() => sources.sleeping()).toContain(1_000);
        await sources.advance(1_000);
        expect((await other).kind).toBe('failed');
        held.release();
        await slow.drain();
        // The caller was not kept waiting for it.
        expect(await caller).toEqual({ kind: 'busy' });
        expect(await stored(id)).toMatchObject({ auth_state: 'needs_reauth' });

        expect(await replica(provider).recover(sources.now() + 1)).toBe(1);
        expect(await stored(id)).toMatchObject({ auth_state: 'ok', auth_error: null, refresh_lease_owner: null });
        expect(await tokenOf(id)).toBe('a2');
    });

    test('an answer that cannot be opened stays, and leaves the connection to others', async () => {
        const { id, environment_id, credentials_version, refresh_epoch } = await insertDue();
        const now = new Date(sources.now());
        const entry = { id: newRowId(sources), environment_id, connection_row_id: id, base_version: credentials_version };
        // of an earlier lease than the row's, so that recovery takes a lease of its own
        const unopenable = { refresh_epoch: refresh_epoch - 1, sealed_response: 'damaged', requested_at: now, received_at: now };
        await journal.append(store.database.db, [{ ...entry, ...unopenable }]);
        expect(await replica(new Provider()).recover(sources.now() + 1)).toBe(0);
        const row = await stored(id);
        expect(row).toMatchObject({ auth_state: 'ok', refresh_lease_owner: null, refresh_lease_until: null });
        expect(row.refresh_epoch).toBeGreaterThan(refresh_epoch);
    });
});

describe('after an answer that is dead on arrival', () => {
    test('the provider is not asked again at once', async () => {
        const { id } = await insertDue();
        const provider = new Provider();
        provider.expiresIn = 0;
        const process = replica(provider);
        for (let round = 0; round < 5; round += 1) {
            const claimed = await claim();
            if (claimed) {
                await process.renewClaimed(claimed.id, claimed.epoch);
            }
            await sources.advance(second);
        }
        expect(provider.calls).toHaveLength(1);
        expect((await stored(id)).next_refresh_at!.getTime()).toBeGreaterThan(sources.now());
    });
});

describe('giving up (R5)', () => {
    const force = async (process: Renewals, id: string): Promise<void> => {
        await process.renew(id, { force: true, since: sources.now() });
        await sources.advance(second);
    };

    test('a refusal we cannot read, after many failures of the provider’s, is the first of its kind', async () => {
        const { id } = await insertDue();
        const provider = new Provider();
        const process = replica(provider);
        for (let failures = 0; failures < 8; failures += 1) {
            provider.failures.push(refused('transient'));
            await force(process, id);
        }
        provider.failures.push(refused('unknown'));
        await force(process, id);
        expect((await stored(id)).auth_state).not.toBe('needs_reauth');
    });

    test('a day of outage before it does not shorten the day that unreadable refusals are given', async () => {
        const { id } = await insertDue();
        const provider = new Provider();
        const process = replica(provider);
        provider.failures.push(refused('transient'));
        await force(process, id);
        await sources.advance(25 * hour);
        for (let refusals = 0; refusals < 6; refusals += 1) {
            provider.failures.push(refused('unknown'));
            await force(process, id);
        }
        expect((await stored(id)).auth_state).toBe('unavailable');
        await sources.advance(24 * hour);
        provider.failures.push(refused('unknown'));
        await force(process, id);
        expect((await stored(id)).auth_state).toBe('needs_reauth');
    });

    test('reads of an expired connection do not shorten the day that unreadable refusals are given', async () => {
        const { id } = await insertDue({ credentials_expires_at: new Date(sources.now()) });
        const provider = new Provider();
        const process = replica(provider);
        for (let reads = 0; reads < 20; reads += 1) {
            provider.failures.push(refused('unknown'));
            await process.renew(id, { force: false, since: sources.now() });
            await sources.advance(31 * second);
        }
        expect((await stored(id)).auth_state).toBe('unavailable');
    });

    test('a forced attempt that meets an outage does not bring a lost grant back into the queue', async () => {
        const { id } = await insertDue({ auth_state: 'needs_reauth', next_refresh_at: null });
        const provider = new Provider();
        provider.failures.push(refused('transient'));
        await replica(provider).renew(id, { force: true, since: sources.now() });
        expect(await stored(id)).toMatchObject({ auth_state: 'needs_reauth', next_refresh_at: null });
    });
});

describe('credentials that cannot be renewed, and could not be looked at for a while', () => {
    const gone = new TokenFailure('transient', 'no entry', { type: 'unknown_provider_template' });
    const events = async () =>
        (await store.database.db.selectFrom('webhook_events').select('body').orderBy('created_at').execute()).map(
            ({ body }) => JSON.parse(body) as { success: boolean; error?: { type: string } },
        );
    /** The entry of the provider is missing for three looks of the queue, and there at the fourth. */
    async function lookAgain(id: string, once: Partial<RenewalStrategies>): Promise<void> {
        await insertWebhookSettings(store.database.db, integration.environment_id, {});
        await insertEndpoint(store.database.db, integration.environment_id, {
            url: 'https://all.example/',
            events: ['auth.refresh', 'auth.recovery'],
        });
        const look = async (overrides: Partial<RenewalStrategies>): Promise<void> => {
            const strategies = { strategyFor: () => Promise.resolve(undefined), authModeOf: () => 'OAUTH2', ...overrides };
            const tests = new CredentialTests({ db: store.database.db, sources, strategies, wakeDeliveries: () => {}, intervalMs: 0 });
            await replica(new Provider(), { strategies, tests }).renewClaimed(id, (await claim())!.epoch);
        };
        for (let looks = 0; looks < 3; looks += 1) {
            await look({ strategyFor: () => Promise.reject(gone), testOf: () => Promise.reject(gone) });
            expect((await stored(id)).auth_error).toMatchObject({ type: 'unknown_provider_template' });
            await sources.advance(hour);
        }
        await look(once);
    }

    test.each<[string, Partial<RenewalStrategies>]>([
        ['what nothing renews', {}],
        ['what is not tested', { testOf: () => Promise.resolve({}) }],
    ])('are well again when they can be: %s', async (_what, strategies) => {
        const { id } = await insertDue({ credentials_expires_at: null });
        await lookAgain(id, strategies);
        expect(await stored(id)).toMatchObject({ auth_state: 'ok', auth_error: null, refresh_attempts: 0, refresh_lease_owner: null });
        expect((await events()).map(({ success }) => success)).toEqual([false, true]);
    });

    test('have expired meanwhile: that is said, and they are handed out (R9)', async () => {
        const { id } = await insertDue();
        await lookAgain(id, {});
        expect(await stored(id)).toMatchObject({
            auth_state: 'expired_no_refresh',
            auth_error: { type: 'expired_no_refresh' },
            next_refresh_at: null,
        });
        expect((await events()).map(({ error }) => error?.type)).toEqual(['unknown_provider_template', 'expired_no_refresh']);
    });
});

describe('a client that the provider refuses', () => {
    const refusal = () => refused('permanent', { code: 'invalid_client' });
    const force = (process: Renewals, id: string) => process.renew(id, { force: true, since: sources.now() });
    /** As PATCH /integrations does. */
    const replaceClient = async (): Promise<void> => {
        await store.database.db.transaction().execute(async (transaction) => {
            const row = await integrations.lockByKey(transaction, integration.environment_id, integration.unique_key);
            const setup = await openSetup(vault, row!);
            const credentials = { type: 'OAUTH2', client_id: 'another client', client_secret: newRowId(systemSources) } as const;
            await changeIntegration(transaction, { vault, sources }, row!, setup, { credentials });
        });
    };
    /** Through the pause between a refusal and the attempt that confirms it, once it has begun. */
    const pastConfirmation = async (): Promise<void> => {
        await eventually(() => expect(sources.sleeping()).toContain(second));
        await sources.advance(second);
    };
    /** Refused twice, a second apart: once more to make sure. */
    async function lose(id: string, provider = new Provider()): Promise<void> {
        provider.failures.push(refusal(), refusal());
        const renewed = replica(provider).renew(id, { force: false, since: sources.now() });
        await pastConfirmation();
        expect(await renewed).toMatchObject({ kind: 'failed' });
    }

    test('ends the connection, until the client is another', async () => {
        const { id } = await insertDue();
        await lose(id);
        expect(await stored(id)).toMatchObject({ auth_state: 'needs_reauth', next_refresh_at: null, auth_error: { client_refused: true } });
        await replaceClient();
        expect(await stored(id)).toMatchObject({
            auth_state: 'degraded',
            next_refresh_at: new Date(sources.now()),
            auth_error: { client_refused: true },
        });
        await replica(new Provider()).renewClaimed(id, (await claim())!.epoch);
        expect(await stored(id)).toMatchObject({ auth_state: 'ok', auth_error: null });
    });

    test('a refusal of the new client ends it again', async () => {
        const { id } = await insertDue();
        await lose(id);
        await replaceClient();
        await lose(id);
        expect(await stored(id)).toMatchObject({ auth_state: 'needs_reauth', next_refresh_at: null });
    });

    test('a connection that was lost for another reason stays lost', async () => {
        const { id } = await insertDue();
        const provider = new Provider();
        provider.failures.push(refused('permanent', { code: 'invalid_grant' }), refused('permanent', { code: 'invalid_grant' }));
        const renewed = replica(provider).renew(id, { force: false, since: sources.now() });
        await pastConfirmation();
        await renewed;
        await replaceClient();
        expect(await stored(id)).toMatchObject({ auth_state: 'needs_reauth', next_refresh_at: null });
    });

    test('an outage met by a forced attempt does not hide why it was lost', async () => {
        const { id } = await insertDue();
        await lose(id);
        const provider = new Provider();
        provider.failures.push(refused('transient'));
        await force(replica(provider), id);
        expect(await stored(id)).toMatchObject({ auth_state: 'needs_reauth', auth_error: { client_refused: true } });
        await replaceClient();
        expect((await stored(id)).auth_state).toBe('degraded');
    });

    test('a refusal that was on its way when the client was replaced says nothing about the new one', async () => {
        const { id } = await insertDue();
        const provider = new Provider();
        const gate = Promise.withResolvers<void>();
        provider.gate = gate.promise;
        provider.failures.push(refusal(), refusal());
        const renewed = replica(provider).renew(id, { force: false, since: sources.now() });
        await eventually(() => expect(provider.calls).toHaveLength(1));
        await replaceClient();
        gate.resolve();
        await pastConfirmation();
        expect(await renewed).toMatchObject({ kind: 'failed' });
        expect(await stored(id)).toMatchObject({ auth_state: 'ok', auth_error: null, refresh_lease_owner: null });
        expect(await claim()).toMatchObject({ id });
    });

    test('a client that is replaced while a forced attempt is put back gets its chance all the same', async () => {
        const { id } = await insertDue();
        await lose(id);
        const until = new Date(sources.now() + minute);
        const left = { host: 'tokens.example', failing: [], last_failure_at: until, open_until: until, opened_at: until, probe_until: null };
        await store.database.db
            .insertInto('token_hosts')
            .values({ ...left, slow_until: null })
            .execute();
        const provider = new Provider();
        const [loaded, replaced] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
        const strategyFor = async (): Promise<RenewalStrategy> => {
            loaded.resolve();
            await replaced.promise;
            return { ...provider.strategy, tokenHost: () => left.host };
        };
        const forced = force(replica(provider, { strategies: { strategyFor, authModeOf: () => 'OAUTH2' } }), id);
        await loaded.promise;
        await replaceClient();
        replaced.resolve();
        expect(await forced).toMatchObject({ kind: 'put-back' });
        expect(await stored(id)).toMatchObject({ auth_state: 'degraded', next_refresh_at: new Date(sources.now()) });
    });
});

describe('the end of a failure (§8.2)', () => {
    const events = async () =>
        (await store.database.db.selectFrom('webhook_events').select('body').orderBy('created_at').execute()).map(
            ({ body }) => JSON.parse(body) as Record<string, unknown>,
        );
    const renewed = async (provider: Provider, id: string): Promise<void> => {
        await sources.advance(second);
        expect(await replica(provider).renew(id, { force: true, since: sources.now() })).toMatchObject({ kind: 'renewed' });
    };
    beforeEach(async () => {
        const { db } = store.database;
        await insertWebhookSettings(db, integration.environment_id, { primary_url: 'https://primary.example/' });
        await insertEndpoint(db, integration.environment_id, { url: 'https://curious.example/', events: ['auth.refresh', 'auth.recovery'] });
    });

    test('that was reported is told once, to who asks for it', async () => {
        const { id, connection_id: connectionId } = await insertDue({
            refresh_failure_reported_at: new Date(sources.now() - hour),
            auth_state: 'degraded',
        });
        const provider = new Provider();
        await renewed(provider, id);
        const [event, ...others] = await events();
        expect(others).toEqual([]);
        expect(event).toMatchObject({ type: 'auth', operation: 'refresh', success: true, connectionId, authMode: 'OAUTH2', tags: {} });
        expect(event).not.toHaveProperty('error');
        expect(await store.database.db.selectFrom('webhook_deliveries').select('url').execute()).toEqual([{ url: 'https://curious.example/' }]);
        await renewed(provider, id);
        expect(await events()).toHaveLength(1);
    });

    test('that nobody was told of is not told either', async () => {
        const { id } = await insertDue();
        const provider = new Provider();
        provider.failures.push(refused('transient'));
        await replica(provider).renew(id, { force: false, since: sources.now() });
        await renewed(provider, id);
        expect(await events()).toEqual([]);
    });
});
