/** The background refresher meets rows that nobody can open (R12, auth-modes §20.2 no. 7). */
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Credentials } from '../../src/credentials/credential.ts';
import { credentialsPlace } from '../../src/credentials/credential-places.ts';
import { openVault } from '../../src/credentials/key-ring.ts';
import { Refresher } from '../../src/credentials/refresher.ts';
import { RenewalFailures } from '../../src/credentials/renewal-failures.ts';
import type { RenewalStrategy } from '../../src/credentials/renewal-strategy.ts';
import { Renewals } from '../../src/credentials/renewal.ts';
import { newRowId, systemSources } from '../../src/sources.ts';
import { eventually } from '../e2e/valetkey.ts';
import { openPostgresStore, type TestStore } from '../store/dialects.ts';
import { insertConnection, insertSetting } from '../store/rows.ts';

const minute = 60_000;
const logger = pino({ level: 'silent' });
const strategy: RenewalStrategy = {
    canRenew: () => true,
    present: () => Promise.resolve({ status: 200, contentType: '', body: '', requestedAt: systemSources.now(), receivedAt: systemSources.now() }),
    interpret: ({ requestedAt }) => ({
        credentials: { type: 'OAUTH2', access_token: 'a2', refresh_token: 'r2', raw: {} },
        obtainedAt: requestedAt,
        expiresAt: requestedAt + 60 * minute,
    }),
};

let store: TestStore;
beforeAll(async () => {
    store = await openPostgresStore();
});
afterAll(() => store.close());

test('they become errors, are tried again later and later, and hold nobody up', async () => {
    const { db } = store.database;
    const vault = await openVault(db, [{ name: 'k', key: systemSources.random(32) }], systemSources);
    const integration = await insertSetting(db);
    const now = systemSources.now();
    const credentials: Credentials = { type: 'OAUTH2', access_token: 'a1', refresh_token: 'r1', raw: {} };
    const insert = (dueAt: number, isDamaged: boolean) => {
        const id = newRowId(systemSources);
        const place = credentialsPlace({ environment_id: integration.environment_id, id: isDamaged ? newRowId(systemSources) : id });
        return insertConnection(db, integration, {
            id,
            // sealed for another row: a swap (E1) opens as little as damage does
            sealed_credentials: vault.sealJson(credentials, place),
            credentials_expires_at: new Date(now + 10 * minute),
            next_refresh_at: new Date(dueAt),
        });
    };
    // More than are looked at in one claim, and due before the others.
    await Promise.all(Array.from({ length: 150 }, () => insert(now - minute, true)));
    await Promise.all(Array.from({ length: 10 }, () => insert(now, false)));

    const strategies = { strategyFor: () => Promise.resolve(strategy), authModeOf: () => 'OAUTH2' };
    const failures = new RenewalFailures({ db, sources: systemSources, strategies, wakeDeliveries: () => {} });
    const dependencies = { db, sources: systemSources, logger, owner: newRowId(systemSources) };
    const renewals = new Renewals({ ...dependencies, vault, strategies, failures });
    const refresher = new Refresher(renewals, dependencies);
    refresher.start();
    const count = async (version: number): Promise<number> =>
        (
            await db
                .selectFrom('connections')
                .select('id')
                .where('credentials_version', '=', version)
                .where('last_refresh_failure', 'is', null)
                .execute()
        ).length;
    await eventually(async () => expect(await count(2)).toBe(10));
    await eventually(async () => expect(await count(1)).toBe(0));
    await refresher.stop();
    await renewals.drain();

    const damaged = await db.selectFrom('connections').selectAll().where('credentials_version', '=', 1).execute();
    expect(damaged).toHaveLength(150);
    for (const row of damaged) {
        expect(row).toMatchObject({
            auth_state: 'degraded',
            refresh_attempts: 1,
            refresh_lease_owner: null,
            auth_error: { type: 'credentials_unreadable' },
        });
        expect(row.next_refresh_at!.getTime()).toBeGreaterThan(now);
    }
});
