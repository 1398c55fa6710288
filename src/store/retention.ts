/** Deletions of old rows; callers say how old. Each takes bounded work so that it never holds locks for long. */
import { sql } from 'kysely';
import type { Db } from './database.ts';

/** Settled answers only: an open one is a token that nobody has saved yet. */
export async function purgeJournal(db: Db, settledBefore: Date): Promise<void> {
    await db.deleteFrom('credential_journal').where('outcome', 'is not', null).where('settled_at', '<', settledBefore).execute();
}

export async function purgeWebhooks(db: Db, createdBefore: Date): Promise<void> {
    await db.deleteFrom('webhook_deliveries').where('state', '<>', 'pending').where('created_at', '<', createdBefore).execute();
    await sql`
        delete from webhook_events e where e.created_at < ${createdBefore}
        and not exists (select from webhook_deliveries d where d.event_id = e.id)`.execute(db);
}

/** Deleted connections were shredded when they were deleted; this removes their empty rows. */
export async function purgeConnections(db: Db, deletedBefore: Date): Promise<void> {
    await sql`
        delete from connections c where c.deleted_at < ${deletedBefore}
        and not exists (select from connect_sessions s where s.connection_id = c.id)`.execute(db);
}
