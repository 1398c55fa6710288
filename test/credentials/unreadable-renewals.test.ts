/** Credentials that cannot be opened are a failure of their row: the queue goes on, and each of them says what is wrong (R12, §20.2 no. 7). */
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { credentialsPlace } from '../../src/credentials/credential-places.ts';
import type { OAuth2Credentials } from '../../src/credentials/credential.ts';
import { openVault } from '../../src/credentials/key-ring.ts';
import type { RenewalResult } from '../../src/credentials/leased-renewal.ts';
import { Refresher } from '../../src/credentials/refresher.ts';
import { RenewalFailures } from '../../src/credentials/renewal-failures.ts';
import type { RenewalStrategy } from '../../src/credentials/renewal-strategy.ts';
import { Renewals } from '../../src/credentials/renewal.ts';
import { newRowId, systemSources } from '../../src/sources.ts';
import { eventually } from '../e2e/valetkey.ts';
import { openPostgresStore, type TestStore } from '../store/dialects.ts';
import { insertConnection, insertSetting } from '../store/rows.ts';

const unreadable = 200;
const minute = 60_000;

let store: TestStore;
beforeAll(async () => {
    store = await openPostgresStore();
});
afterAll(() => store.close());

test('200 of them at the front of the queue hold up nobody, and are counted', async () => {
    const { db } = store.database;
    const sources = systemSources;
    const logger = pino({ level: 'silent' });
    const vault = await openVault(db, [{ name: 'k', key: sources.random(32) }], sources);
    const integration = await insertSetting(db);
    const times = { credentials_obtained_at: new Date(sources.now() - 60 * minute), credentials_expires_at: new Date(sources.now() + 5 * minute) };
    const credentials: OAuth2Credentials = { type: 'OAUTH2', access_token: 'a1', refresh_token: 'r1', raw: {} };
    const insert = (sealedFor: string, dueSince: number) => {
        const place = credentialsPlace({ environment_id: integration.environment_id, id: sealedFor });
        const next_refresh_at = new Date(sources.now() - dueSince);
        return { ...times, sealed_credentials: vault.sealJson(credentials, place), next_refresh_at };
    };
    for (let index = 0; index < unreadable; index += 1) {
        // moved here from another row
        await insertConnection(db, integration, insert(newRowId(sources), 10 * minute));
    }
    const id = newRowId(sources);
    await insertConnection(db, integration, { id, ...insert(id, minute) });

    let calls = 0;
    const strategy: RenewalStrategy = {
        canRenew: () => true,
        present: () => {
            calls += 1;
            const at = sources.now();
            return Promise.resolve({ status: 200, contentType: 'application/json', body: '{}', requestedAt: at, receivedAt: at });
        },
        interpret: ({ requestedAt }) => ({
            credentials: { ...credentials, access_token: 'a2', refresh_token: 'r2' },
            obtainedAt: requestedAt,
            expiresAt: requestedAt + 60 * minute,
        }),
    };
    const strategies = { strategyFor: () => Promise.resolve(strategy), authModeOf: () => 'OAUTH2' };
    const failures = new RenewalFailures({ db, sources, strategies, wakeDeliveries: () => {} });
    const results: RenewalResult[] = [];
    const observer = { tokenCalled: () => {}, renewed: (_provider: string, result: RenewalResult) => void results.push(result) };
    const owner = newRowId(sources);
    const renewals = new Renewals({ db, vault, sources, logger, owner, strategies, failures, observer });
    const refresher = new Refresher(renewals, { db, sources, logger, owner });
    refresher.start();
    await eventually(() => expect(results).toHaveLength(unreadable + 1));
    await refresher.stop();

    const rows = await db.selectFrom('connections').select(['id', 'auth_error', 'next_refresh_at', 'refresh_lease_owner']).execute();
    const bad = rows.filter((row) => row.id !== id);
    expect(new Set(bad.map(({ auth_error }) => auth_error?.type))).toEqual(new Set(['credentials_unreadable']));
    // tried again later: a repaired key ring makes them readable
    expect(bad.every((row) => row.next_refresh_at!.getTime() > sources.now() && row.refresh_lease_owner === null)).toBe(true);
    expect(rows.find((row) => row.id === id)).toMatchObject({ auth_error: null });
    expect(calls).toBe(1);
    expect(results.filter((result) => result.kind === 'failed' && result.failure.type === 'credentials_unreadable')).toHaveLength(unreadable);
});
