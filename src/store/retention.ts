/** Deletions of old rows; callers say how old. Each takes bounded work so that it never holds locks for long. */
import { sql } from 'kysely';
import type { Db } from './database.ts';
import { firstIdAt } from './webhook-deliveries.ts';

/** Settled answers only: an open one is a token that nobody has saved yet. */
export async function purgeJournal(db: Db, settledBefore: Date): Promise<void> {
    await db.deleteFrom('credential_journal').where('outcome', 'is not', null).where('settled_at', '<', settledBefore).execute();
}

const batch = 10_000;

/**
 * Settled deliveries, with the log of their attempts, and events that have no delivery left. Environment by environment, because the
 * indexes begin with it: a week's worth is removed without looking at the rest.
 *
 * The last of the old events is the place of a reader that has them all (`GET /events`): of it, and of those of the same moment, whose
 * order is another, what happened is removed and the row stays until the next one is old.
 */
export async function purgeWebhooks(db: Db, createdBefore: Date): Promise<void> {
    const environments = await db.selectFrom('environments').select('id').execute();
    for (const { id } of environments) {
        await untilNoneIsLeft(() =>
            sql`
            delete from webhook_deliveries where id in (
                select id from webhook_deliveries where environment_id = ${id} and state <> 'pending' and created_at < ${createdBefore}
                and id < ${firstIdAt(createdBefore.getTime() + 1000)}
                order by id limit ${sql.lit(batch)})`.execute(db),
        );
        const lastMoment = sql`(
            select max(created_at) - interval '1 minute' from webhook_events where environment_id = ${id} and created_at < ${createdBefore})`;
        const isUnsent = sql`not exists (select from webhook_deliveries d where d.event_id = e.id)`;
        await untilNoneIsLeft(() =>
            sql`
            delete from webhook_events where id in (
                select e.id from webhook_events e where e.environment_id = ${id} and e.created_at < ${lastMoment} and ${isUnsent}
                order by e.created_at limit ${sql.lit(batch)})`.execute(db),
        );
        await sql`
            update webhook_events e set body = '', connection_id = null
            where e.environment_id = ${id} and e.created_at >= ${lastMoment} and e.created_at < ${createdBefore} and e.body <> '' and ${isUnsent}`.execute(
            db,
        );
    }
}

async function untilNoneIsLeft(remove: () => Promise<{ numAffectedRows?: bigint }>): Promise<void> {
    while (((await remove()).numAffectedRows ?? 0n) >= batch);
}

/** Deleted connections were shredded when they were deleted; this removes their empty rows. */
export async function purgeConnections(db: Db, deletedBefore: Date): Promise<void> {
    await sql`
        with gone as (
            delete from connections c where c.deleted_at < ${deletedBefore}
            and not exists (select from connect_sessions s where s.connection_id = c.id)
            returning id
        )
        delete from webhook_sequences where connection_row_id in (select id from gone)`.execute(db);
}
