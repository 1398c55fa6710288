/** What reading the journal costs by a plan that was made while it was empty: that is its usual state, and plans are kept. */
import { sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import * as journal from '../../src/store/credential-journal.ts';
import { applyJournalled } from '../../src/store/credential-writes.ts';
import { openDatabase, type Database } from '../../src/store/database.ts';
import { migrate } from '../../src/store/migrate.ts';
import { loadTargets } from '../../src/store/renewal-targets.ts';
import type { IntegrationRow } from '../../src/store/schema.ts';
import { createDatabase, type TestDatabase } from '../peers/postgres.ts';
import { after, insertConnection, insertSetting, journalledWrite, newId } from './rows.ts';

const usesUntilAPlanIsKept = 10;
const entryCount = 2_000;

let created: TestDatabase;
let database: Database;
let integration: IntegrationRow;
let ids: string[];

beforeEach(async () => {
    created = await createDatabase();
    // One connection to the database, so that the plan is the one that was made before.
    database = await openDatabase({ kind: 'postgres', url: created.url, poolSize: 1 });
    await migrate(database.db);
    integration = await insertSetting(database.db);
    ids = [];
    for (let n = 0; n < 20; n += 1) ids.push((await insertConnection(database.db, integration)).id);
    await sql`vacuum analyze`.execute(database.db);
});
afterEach(async () => {
    await database.close();
    await created.drop();
});

/** Answers, the first of them of the connections. @returns their ids */
async function fillJournal(): Promise<string[]> {
    const entries = Array.from({ length: entryCount }, (_, index) => ({
        id: newId(),
        environment_id: integration.environment_id,
        connection_row_id: ids[index] ?? newId(),
        refresh_epoch: 1,
        base_version: 1,
        requested_at: after(index),
        received_at: after(index),
        sealed_response: `answer-${index}`,
    }));
    await journal.append(database.db, entries);
    return entries.map(({ id }) => id);
}

/** Rows of the journal that were read so far. */
async function rowsRead(): Promise<number> {
    await sql`select pg_stat_force_next_flush()`.execute(database.db);
    const { rows } = await sql<{ read: number }>`
        select (seq_tup_read + idx_tup_fetch)::int as read from pg_stat_user_tables where relname = 'credential_journal'`.execute(database.db);
    return rows[0]!.read;
}

test('a batch of renewals reads it at most once', async () => {
    for (let use = 0; use < usesUntilAPlanIsKept; use += 1) await loadTargets(database.db, ids);
    await fillJournal();
    const before = await rowsRead();
    const targets = await loadTargets(database.db, ids);
    expect((await rowsRead()) - before).toBeLessThanOrEqual(entryCount);
    expect(targets.map((target) => target.journal?.sealed_response).toSorted()).toEqual(ids.map((_, index) => `answer-${index}`).toSorted());
});

test('applying a batch of answers reads it at most once', async () => {
    let version = 1;
    const apply = async (journalIds: readonly string[]): Promise<number> => {
        const applied = await applyJournalled(
            database.db,
            ids.map((id, index) => journalledWrite(integration, id, { epoch: version - 1, version, journalId: journalIds[index] ?? newId() })),
        );
        version += 1;
        return applied.size;
    };
    for (let use = 0; use < usesUntilAPlanIsKept; use += 1) expect(await apply([])).toBe(ids.length);
    const entries = await fillJournal();
    const before = await rowsRead();
    expect(await apply(entries)).toBe(ids.length);
    expect((await rowsRead()) - before).toBeLessThanOrEqual(entryCount);
    const left = await database.db.selectFrom('credential_journal').select('id').execute();
    expect(left.map(({ id }) => id).toSorted()).toEqual(entries.slice(ids.length).toSorted());
});
