/** What a batch of renewals reads, and what that costs whenever its plan was made. */
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import * as journal from '../../src/store/credential-journal.ts';
import { openDatabase } from '../../src/store/database.ts';
import { migrate } from '../../src/store/migrate.ts';
import { loadTargets } from '../../src/store/renewal-targets.ts';
import { createDatabase } from '../peers/postgres.ts';
import { after, insertConnection, insertSetting, newId } from './rows.ts';

test('a batch reads the journal at most once, also by a plan that was made while the journal was empty', async () => {
    const created = await createDatabase();
    // One connection to the database, so that the plan is the one that was made before.
    const { db, close } = await openDatabase({ kind: 'postgres', url: created.url, poolSize: 1 });
    await migrate(db);
    const integration = await insertSetting(db);
    const ids: string[] = [];
    for (let n = 0; n < 20; n += 1) {
        ids.push((await insertConnection(db, integration)).id);
    }
    await sql`vacuum analyze`.execute(db);
    for (let use = 0; use < 10; use += 1) {
        await loadTargets(db, ids);
    }

    const entries = Array.from({ length: 2_000 }, (_, index) => ({
        id: newId(),
        environment_id: integration.environment_id,
        connection_row_id: ids[index] ?? newId(),
        refresh_epoch: 1,
        base_version: 1,
        requested_at: after(index),
        received_at: after(index),
        sealed_response: `answer-${index}`,
    }));
    await journal.append(db, entries);
    const read = async (): Promise<number> => {
        await sql`select pg_stat_force_next_flush()`.execute(db);
        const { rows } = await sql<{ read: number }>`
            select (seq_tup_read + idx_tup_fetch)::int as read from pg_stat_user_tables where relname = 'credential_journal'`.execute(db);
        return rows[0]!.read;
    };
    const before = await read();
    const targets = await loadTargets(db, ids);
    expect((await read()) - before).toBeLessThanOrEqual(entries.length);
    expect(targets.map((target) => target.journal?.sealed_response).toSorted()).toEqual(ids.map((_, index) => `answer-${index}`).toSorted());
    await close();
    await created.drop();
});
