/** What a renewal learns beside a token: configuration (R18, R3), that nothing needs renewing yet (R14), that it must come back soon. */
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openConfig, sealConfig } from '../../src/credentials/connection-secrets.ts';
import type { OAuth2Credentials, Obtained } from '../../src/credentials/credential.ts';
import { credentialsPlace } from '../../src/credentials/credential-places.ts';
import { openVault } from '../../src/credentials/key-ring.ts';
import { RenewalFailures } from '../../src/credentials/renewal-failures.ts';
import type { Confirmation, RenewalStrategy } from '../../src/credentials/renewal-strategy.ts';
import { Renewals } from '../../src/credentials/renewal.ts';
import type { Vault } from '../../src/credentials/vault.ts';
import { newRowId, systemSources } from '../../src/sources.ts';
import { json } from '../../src/store/database.ts';
import type { ConnectionRow, IntegrationRow, NewConnection } from '../../src/store/schema.ts';
import { openPostgresStore, type TestStore } from '../store/dialects.ts';
import { insertConnection, insertSetting } from '../store/rows.ts';
import { virtualSources, withFraction, type VirtualSources } from '../virtual-sources.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

let store: TestStore;
let vault: Vault;
let integration: IntegrationRow;
let sources: VirtualSources;
let log: string;
beforeAll(async () => {
    store = await openPostgresStore();
});
afterAll(() => store.close());
beforeEach(async () => {
    await store.empty();
    sources = virtualSources();
    log = '';
    vault = await openVault(store.database.db, [{ name: 'k', key: systemSources.random(32) }], systemSources);
    integration = await insertSetting(store.database.db);
});

interface Provider {
    /** Beside a token for two hours. */
    brings?: Partial<Obtained>;
    /** During the token call. */
    meanwhile?: () => Promise<unknown>;
    says?: Confirmation;
}

/** How often its token endpoint and its introspection were called. */
let calls: { tokens: number; questions: number };

function renewals({ brings = {}, meanwhile, says }: Provider): Renewals {
    calls = { tokens: 0, questions: 0 };
    const strategy: RenewalStrategy = {
        assumedLifetimeSeconds: 3600,
        canRenew: () => true,
        present: async () => {
            calls.tokens += 1;
            const requestedAt = sources.now();
            await meanwhile?.();
            return { status: 200, contentType: 'application/json', body: '{}', requestedAt, receivedAt: sources.now() };
        },
        interpret: ({ requestedAt }) => ({
            credentials: { type: 'OAUTH2', access_token: 'a2', refresh_token: 'r2', raw: {} },
            obtainedAt: requestedAt,
            expiresAt: requestedAt + 2 * hour,
            ...brings,
        }),
        isSecretConfig: (name) => name === 'marked',
        ...(says === undefined
            ? {}
            : {
                  confirm: () => {
                      calls.questions += 1;
                      return Promise.resolve(says);
                  },
              }),
    };
    const { db } = store.database;
    const strategies = { strategyFor: () => Promise.resolve(strategy), authModeOf: () => 'OAUTH2' };
    const still = withFraction(sources, 0.5);
    const failures = new RenewalFailures({ db, sources, strategies, wakeDeliveries: () => {} });
    const logger = pino({ level: 'warn' }, { write: (line: string) => (log += line) });
    // Ids need real randomness; jitter must be none.
    const mixed = { ...still, random: (size: number) => (size === 4 ? still.random(size) : systemSources.random(size)) };
    return new Renewals({ db, vault, sources: mixed, logger, owner: newRowId(systemSources), strategies, failures });
}

async function insertDue(overrides: Partial<NewConnection> = {}, config: Record<string, unknown> = {}): Promise<ConnectionRow> {
    const id = newRowId(systemSources);
    const place = { environment_id: integration.environment_id, id };
    const credentials: OAuth2Credentials = { type: 'OAUTH2', access_token: 'a1', refresh_token: 'r1', raw: {} };
    const { clear, sealed } = sealConfig(vault, place, config, (name) => name === 'wasSealed');
    return insertConnection(store.database.db, integration, {
        id,
        sealed_credentials: vault.sealJson(credentials, credentialsPlace(place)),
        connection_config: json(clear),
        sealed_secrets: sealed,
        credentials_obtained_at: new Date(sources.now() - 45 * minute),
        credentials_expires_at: null,
        next_refresh_at: new Date(sources.now()),
        ...overrides,
    });
}

const stored = (id: string): Promise<ConnectionRow> =>
    store.database.db.selectFrom('connections').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
const credentialsOf = async (id: string): Promise<OAuth2Credentials> => {
    const row = await stored(id);
    return vault.openJson<OAuth2Credentials>(row.sealed_credentials, credentialsPlace(row));
};
const dueIn = async (id: string): Promise<number> => ((await stored(id)).next_refresh_at!.getTime() - sources.now()) / minute;
const renew = (provider: Provider, id: string, force = false) => renewals(provider).renew(id, { force, since: sources.now() });

describe('configuration that comes with a renewed token', () => {
    test('is laid over what is stored; what was written meanwhile stays, and what was sealed stays sealed', async () => {
        const { id } = await insertDue({ metadata: json({ a: 1 }) }, { kept: 'k', instance: 'old', gone: 'g', wasSealed: 's', botToken: 'old' });
        const write = (columns: object) => store.database.db.updateTable('connections').set(columns).where('id', '=', id).execute();
        const result = await renew(
            {
                brings: { derivedConfig: { instance: 'new', gone: undefined, wasSealed: 's2', botToken: { access_token: 't' }, marked: 'm' } },
                // a hook, and the connection's owner, during the token call
                meanwhile: async () => {
                    const { clear } = sealConfig(
                        vault,
                        { environment_id: integration.environment_id, id },
                        { kept: 'k', instance: 'old', gone: 'g', fromHook: 'h' },
                        () => false,
                    );
                    await write({ connection_config: json(clear), metadata: json({ a: 2, b: 3 }), tags: json({ plan: 'gold' }) });
                },
            },
            id,
        );
        expect(result.kind).toBe('renewed');
        const row = await stored(id);
        expect(row.connection_config).toEqual({ kept: 'k', instance: 'new', fromHook: 'h' });
        expect(await openConfig(vault, row)).toEqual({
            kept: 'k',
            instance: 'new',
            fromHook: 'h',
            wasSealed: 's2',
            botToken: { access_token: 't' },
            marked: 'm',
        });
        expect([row.metadata, row.tags]).toEqual([{ a: 2, b: 3 }, { plan: 'gold' }]);
        expect((await credentialsOf(id)).access_token).toBe('a2');
    });

    test('that is none leaves the columns as they are', async () => {
        const before = await insertDue({}, { kept: 'k', wasSealed: 's' });
        await renew({}, before.id);
        const { connection_config, sealed_secrets } = await stored(before.id);
        expect([connection_config, sealed_secrets]).toEqual([before.connection_config, before.sealed_secrets]);
    });
});

describe('a part that failed, or ends earlier', () => {
    test('is come back for in time, and said in the log', async () => {
        const { id } = await insertDue();
        await renew({ brings: { renewBy: sources.now() + 5 * minute, notes: ['the second token was not obtained'] } }, id);
        expect(await dueIn(id)).toBe(5);
        expect(log).toContain('the second token was not obtained');
        // the first alone would have lasted
        const { id: other } = await insertDue();
        await renew({ brings: { renewBy: sources.now() + 5 * hour } }, other);
        expect(await dueIn(other)).toBe(105);
    });
});

describe('a provider that can say how long a token lives (R14)', () => {
    const alive = (ms: number): Confirmation => ({ expiresAt: sources.now() + ms });

    test('is asked before a token is replaced, and not asked again before it is due', async () => {
        const { id } = await insertDue();
        const provider = { says: alive(2 * hour) };
        const renewing = renewals(provider);
        expect(await renewing.renew(id, { force: false, since: sources.now() })).toEqual({ kind: 'unchanged' });
        expect(calls).toEqual({ tokens: 0, questions: 1 });
        expect(await credentialsOf(id)).toMatchObject({
            access_token: 'a1',
            refresh_token: 'r1',
            expires_at: new Date(sources.now() + 2 * hour).toISOString(),
        });
        expect(await dueIn(id)).toBe(105);
        expect((await stored(id)).credentials_expires_at?.getTime()).toBe(sources.now() + 2 * hour);
        expect((await stored(id)).credentials_expires_at_source).toBe('introspection');

        await sources.advance(minute);
        await renewing.renew(id, { force: false, since: sources.now() });
        expect(calls.questions).toBe(1);
    });

    test.each([
        ['says that the token has ended', (): Confirmation => 'inactive'],
        ['says that it will end within the margin', () => alive(10 * minute)],
    ])('and %s: it is replaced', async (_what, says) => {
        const { id } = await insertDue();
        expect((await renew({ says: says() }, id)).kind).toBe('renewed');
        expect(calls).toEqual({ tokens: 1, questions: 1 });
        expect((await credentialsOf(id)).access_token).toBe('a2');
    });

    test('but cannot be asked: nothing is replaced for that, until the assumed lifetime is over', async () => {
        const { id } = await insertDue();
        const renewing = renewals({ says: 'unknown' });
        let asked = 0;
        for (; calls.tokens === 0 && asked < 60; asked += 1) {
            await renewing.renew(id, { force: false, since: sources.now() });
            await sources.advance(minute);
        }
        // from minute 45 on, once a minute, and replaced before minute 60
        expect([calls.tokens, asked]).toEqual([1, 15]);
        expect((await credentialsOf(id)).access_token).toBe('a2');
    });

    test('is not asked when somebody wants another token, nor while renewals fail', async () => {
        const { id } = await insertDue();
        expect((await renew({ says: alive(2 * hour) }, id, true)).kind).toBe('renewed');
        expect(calls).toEqual({ tokens: 1, questions: 0 });
        const { id: failing } = await insertDue({ auth_state: 'degraded' });
        await renew({ says: alive(2 * hour) }, failing);
        expect(calls).toEqual({ tokens: 1, questions: 0 });
    });

    test('does not let a refresh token lie unused for longer than a week (R12)', async () => {
        const { id } = await insertDue({ credentials_obtained_at: new Date(sources.now() - 7 * day) });
        expect((await renew({ says: alive(2 * hour) }, id)).kind).toBe('renewed');
    });
});
