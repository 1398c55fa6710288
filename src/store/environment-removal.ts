/** Deleting an environment with all that hangs on it (http-api §10.2). Its keys stay, and open nothing (§1.3). */
import { sql, type Kysely } from 'kysely';
import * as connections from './connections.ts';
import type { Schema } from './schema.ts';
import { sealedColumns } from './sealed-columns.ts';

/**
 * In one transaction. The environment is marked first: a transaction that adds a connection holds its row (`holdWithEnvironment`), so it
 * has either ended and its connection is found here, or it finds the environment gone. @returns whether it was there.
 */
export async function removeEnvironment(db: Kysely<Schema>, id: string, at: Date): Promise<boolean> {
    return db.transaction().execute(async (transaction) => {
        const marked = await transaction
            .updateTable('environments')
            .set({ deleted_at: at, updated_at: at })
            .where('id', '=', id)
            .where('deleted_at', 'is', null)
            .executeTakeFirst();
        if (marked.numUpdatedRows === 0n) {
            return false;
        }
        await connections.removeAll(transaction, id, at);
        await transaction
            .updateTable('integrations')
            .set({ deleted_at: at, updated_at: at })
            .where('environment_id', '=', id)
            .where('deleted_at', 'is', null)
            .execute();
        await transaction.deleteFrom('oauth_flow_requests').where('environment_id', '=', id).execute();
        await silence(transaction, id, at);
        // E7: whatever else was sealed for it. Sessions and flows stay as rows, so that a browser still under way is told.
        for (const { table, column } of sealedColumns) {
            await sql`
                update ${sql.table(table)} set ${sql.ref(column)} = ''
                where environment_id = ${id} and ${sql.ref(column)} like 'v1.%'`.execute(transaction);
        }
        return true;
    });
}

/** Nothing more is sent for it; an attempt under way is fenced off by the epoch. */
async function silence(db: Kysely<Schema>, id: string, at: Date): Promise<void> {
    await db.deleteFrom('webhook_endpoints').where('environment_id', '=', id).execute();
    await db
        .updateTable('webhook_deliveries')
        .set({
            state: 'dead',
            next_attempt_at: null,
            last_error: 'environment_deleted',
            lease_owner: null,
            lease_until: null,
            lease_epoch: sql`lease_epoch + 1`,
            settled_at: at,
        })
        .where('environment_id', '=', id)
        .where('state', 'in', ['pending', 'held'])
        .execute();
}
