/**
 * Token answers, written the moment they arrive (R2). A row's content never changes. It goes with the transaction that stores what it brought, or with
 * its connection; an answer that nobody could use stays for a while, marked.
 */
import { sql } from 'kysely';
import type { Db } from './database.ts';
import { prepare } from './prepared.ts';
import { arraysOf, rowsFrom, type ColumnTypes, type RowArrays } from './row-arrays.ts';
import type { NewJournalEntry } from './schema.ts';

/** Nobody has used it yet. */
export type UnsettledEntry = Omit<NewJournalEntry, 'outcome' | 'settled_at'>;

const entryTypes: ColumnTypes<UnsettledEntry> = {
    id: 'uuid',
    environment_id: 'uuid',
    connection_row_id: 'uuid',
    refresh_epoch: 'bigint',
    base_version: 'bigint',
    requested_at: 'timestamptz',
    received_at: 'timestamptz',
    sealed_response: 'text',
};
const columns = sql.join(Object.keys(entryTypes).map((column) => sql.ref(column)));

// A retried insert may have been committed before its answer was lost.
const appendAll = prepare<RowArrays<UnsettledEntry>, never>(
    'journal answers',
    (slots) =>
        sql`insert into credential_journal (${columns}) select ${columns} from ${rowsFrom('n', entryTypes, slots)} on conflict (id) do nothing`,
);

export async function append(db: Db, entries: readonly UnsettledEntry[]): Promise<void> {
    await appendAll(db, arraysOf(entryTypes, entries));
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
