/** What removing a few old rows reads, while there are many that stay. */
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import * as sessions from '../../src/store/connect-sessions.ts';
import { purgeConnections } from '../../src/store/retention.ts';
import type { IntegrationRow } from '../../src/store/schema.ts';
import { openPostgresStore, type TestStore } from './dialects.ts';
import { after, insertConnection, insertSetting, madeAt } from './rows.ts';

const staying = 2_000;
const going = 5;

let store: TestStore;
let integration: IntegrationRow;
beforeAll(async () => {
    store = await openPostgresStore();
});
afterAll(() => store.close());
beforeEach(async () => {
    await store.empty();
    const { db } = store.database;
    integration = await insertSetting(db);
    await sql`
        insert into connect_sessions (id, environment_id, token_hash, created_at, expires_at)
        select gen_random_uuid(), ${integration.environment_id}, n, ${madeAt}, ${after(1_000)} from generate_series(1, ${staying}) n`.execute(db);
    await sql`
        insert into oauth_flows (id, environment_id, integration_id, state_hash, browser_hash, redirect_uri, connection_id, created_at, expires_at)
        select gen_random_uuid(), ${integration.environment_id}, ${integration.id}, n, '', '', '', ${madeAt}, ${after(1_000)}
        from generate_series(1, ${staying}) n`.execute(db);
    await sql`
        insert into oauth_flow_requests (id, environment_id, connect_session_id, token_hash, provider_config_key, sealed_request, created_at, expires_at)
        select gen_random_uuid(), environment_id, id, token_hash, '', '', created_at, expires_at from connect_sessions`.execute(db);
    const template = await insertConnection(db, integration);
    for (let n = 0; n < staying; n += 1) {
        await insertConnection(db, integration, { sealed_credentials: template.sealed_credentials });
    }
});

async function rowsRead(table: string): Promise<number> {
    await sql`select pg_stat_force_next_flush()`.execute(store.database.db);
    const { rows } = await sql<{ read: number }>`
        select (seq_tup_read + coalesce(idx_tup_fetch, 0))::int as read from pg_stat_user_tables where relname = ${table}`.execute(store.database.db);
    return rows[0]!.read;
}

/** Of the rows of a table that `work` read. */
async function readBy(work: () => Promise<unknown>, tables: readonly string[]): Promise<Record<string, number>> {
    await sql`vacuum analyze`.execute(store.database.db);
    const before = await Promise.all(tables.map(rowsRead));
    await work();
    const reads = await Promise.all(tables.map(rowsRead));
    return Object.fromEntries(tables.map((table, index) => [table, reads[index]! - before[index]!]));
}

test('removing deleted connections looks at no others, and at no session for each of them', async () => {
    const { db } = store.database;
    for (let n = 0; n < going; n += 1) await insertConnection(db, integration, { deleted_at: madeAt });
    const read = await readBy(() => purgeConnections(db, after(1)), ['connections', 'connect_sessions']);
    expect(await db.selectFrom('connections').select('id').where('deleted_at', 'is not', null).execute()).toEqual([]);
    expect(read['connections']).toBeLessThan(staying / 10);
    // Once as a whole it may.
    expect(read['connect_sessions']).toBeLessThan(2 * staying);
});

test('removing sessions reads no flow that is not of one of them', async () => {
    const { db } = store.database;
    await sql`update connect_sessions set expires_at = ${madeAt} where token_hash in ('1', '2', '3', '4', '5')`.execute(db);
    const read = await readBy(() => sessions.purge(db, after(1)), ['oauth_flows', 'oauth_flow_requests']);
    expect(await db.selectFrom('connect_sessions').select('id').where('expires_at', '<', after(1)).execute()).toEqual([]);
    expect(read['oauth_flows']).toBeLessThan(staying);
    expect(read['oauth_flow_requests']).toBeLessThan(staying);
});
