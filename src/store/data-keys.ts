/** Wrapped data keys. Rows are few and never deleted: an old key opens what it sealed. */
import { sql, type Kysely } from 'kysely';
import type { Db } from './database.ts';
import type { DataKeyRow, Schema } from './schema.ts';

/** Whether this database has data keys; may be asked before it is migrated for the first time. */
export async function exist(db: Db): Promise<boolean> {
    const { rows } = await sql<{ table: string | null }>`select to_regclass('data_keys')::text as "table"`.execute(db);
    return rows[0]?.table != null && (await list(db)).length > 0;
}

export const list = (db: Db): Promise<DataKeyRow[]> => db.selectFrom('data_keys').selectAll().orderBy('created_at').execute();

/**
 * Leaves out purposes that have a current key already: replicas starting together agree on the first. In one statement, so
 * that replicas with different rings cannot each win one purpose and leave a database that no ring opens.
 */
export async function insertFirst(db: Db, rows: DataKeyRow[]): Promise<void> {
    await db
        .insertInto('data_keys')
        .values(rows)
        .onConflict((conflict) => conflict.doNothing())
        .execute();
}

export async function rewrap(db: Db, row: DataKeyRow, wrapped: string): Promise<void> {
    await db.updateTable('data_keys').set({ wrapped }).where('id', '=', row.id).where('wrapped', '=', row.wrapped).execute();
}

export async function replaceCurrent(db: Kysely<Schema>, row: DataKeyRow): Promise<void> {
    await db.transaction().execute(async (transaction) => {
        await transaction
            .updateTable('data_keys')
            .set({ is_current: false })
            .where('purpose', '=', row.purpose)
            .where('is_current', '=', true)
            .execute();
        await transaction.insertInto('data_keys').values(row).execute();
    });
}
