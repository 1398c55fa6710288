/** What sealing everything anew reads: the table of connections may have a million rows. */
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { credentialsPlace } from '../../src/credentials/credential-places.ts';
import { openVault, rotateDataKey } from '../../src/credentials/key-ring.ts';
import { reseal } from '../../src/credentials/reseal.ts';
import { systemSources } from '../../src/sources.ts';
import { openPostgresStore, type TestStore } from '../store/dialects.ts';
import { insertConnection, insertSetting, newId } from '../store/rows.ts';

const ring = [{ name: 'only', key: systemSources.random(32) }];
const count = 3_000;

let store: TestStore;
beforeAll(async () => {
    store = await openPostgresStore();
});
afterAll(() => store.close());

async function rowsRead(): Promise<number> {
    await sql`select pg_stat_force_next_flush()`.execute(store.database.db);
    const { rows } = await sql<{ read: number }>`
        select (seq_tup_read + idx_tup_fetch)::int as read from pg_stat_user_tables where relname = 'connections'`.execute(store.database.db);
    return rows[0]!.read;
}

test('a rotation reads each connection a few times, however many there are', async () => {
    const { db } = store.database;
    const before = await openVault(db, ring, systemSources);
    const integration = await insertSetting(db);
    const secret = 'x'.repeat(1_000);
    for (let n = 0; n < count; n += 1) {
        const row = { id: newId(), environment_id: integration.environment_id };
        await insertConnection(db, integration, { ...row, sealed_credentials: before.seal(secret, credentialsPlace(row)) });
    }
    await sql`vacuum analyze connections`.execute(db);
    await rotateDataKey(db, ring, systemSources);
    const vault = await openVault(db, ring, systemSources);
    const readBefore = await rowsRead();
    expect(await reseal(db, vault, () => {})).toBe(count);
    // Once for each sealed column, and once to be written.
    expect((await rowsRead()) - readBefore).toBeLessThan(5 * count);
    const { rows } = await sql<{ left: number }>`
        select count(*)::int as left from connections where sealed_credentials not like ${`v1.${vault.currentKeyId}.%`}`.execute(db);
    expect(rows[0]!.left).toBe(0);
});
