/**
 * Token answers, written the moment they arrive (R2). A row's content never changes. It goes with the transaction that stores what it brought, or with
 * its connection; an answer that nobody could use stays for a while, marked.
 */
import { sql } from 'kysely';
import { json, type Db } from './database.ts';
import { executePrepared } from './prepared.ts';
import type { NewJournalEntry } from './schema.ts';

export async function append(db: Db, entries: readonly NewJournalEntry[]): Promise<void> {
    // A retried insert may have been committed before its answer was lost.
    await executePrepared(
        db,
        'journal answers',
        sql`
        insert into credential_journal (id, environment_id, connection_row_id, refresh_epoch, base_version, requested_at, received_at, sealed_response, outcome, settled_at)
        select id, environment_id, connection_row_id, refresh_epoch, base_version, requested_at, received_at, sealed_response, outcome, settled_at
        from json_populate_recordset(null::credential_journal, ${json(entries)}::json)
        on conflict (id) do nothing`,
    );
}

/** An answer that has been applied, or whose connection was deleted while it was on its way. */
export async function discard(db: Db, id: string): Promise<void> {
    await db.deleteFrom('credential_journal').where('id', '=', id).execute();
}

export async function settle(db: Db, id: string, outcome: 'superseded' | 'rejected', at: Date): Promise<void> {
    await db.updateTable('credential_journal').set({ outcome, settled_at: at }).where('id', '=', id).where('outcome', 'is', null).execute();
}

/** Answers that were received before `before` and never settled, oldest first; those that stay so do not hide the ones behind them. */
export async function* unsettled(db: Db, before: Date): AsyncGenerator<{ id: string; connection_row_id: string }> {
    for (let after: string | undefined; ;) {
        let query = db
            .selectFrom('credential_journal')
            .select(['id', 'connection_row_id'])
            .where('outcome', 'is', null)
            .where('received_at', '<', before);
        if (after !== undefined) {
            query = query.where('id', '>', after);
        }
        // ids are ordered by time
        const page = await query.orderBy('id').limit(pageSize).execute();
        yield* page;
        after = page.at(-1)?.id;
        if (page.length < pageSize) {
            return;
        }
    }
}

const pageSize = 100;
