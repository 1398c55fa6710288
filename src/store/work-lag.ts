/** How far the workers are behind (O5): of each queue the oldest row that is due, and how many are. */
import { sql } from 'kysely';
import type { Db } from './database.ts';
import { deliveryQueue, hookQueue, refreshQueue } from './leased-work.ts';

export interface QueueLag {
    /** How long ago the oldest row that waits was due; 0 when none is. */
    oldestOverdueMs: number;
    /** At most `mostCounted`. */
    overdue: number;
}

export interface WorkLag {
    renewals: QueueLag;
    deliveries: QueueLag;
    hooks: QueueLag;
}

/** Counting stops here: a backlog must not be made worse by looking at it. */
export const mostCounted = 1000;

/** What is being worked on counts too, until it is done. Each queue costs the first entries of the index that its claims use. */
export async function readWorkLag(db: Db, now: number): Promise<WorkLag> {
    const at = new Date(now);
    const lagOf = ({ table, due, condition }: { table: string; due: string; condition: string }) => sql`
        (select json_build_object(
            'overdue', count(*)::int,
            'oldestOverdueMs', coalesce(greatest(extract(epoch from ${at}::timestamptz - min(at)) * 1000, 0), 0)::float8)
         from (select ${sql.ref(due)} as at from ${sql.table(table)}
               where ${sql.raw(condition)} and ${sql.ref(due)} <= ${at} order by ${sql.ref(due)} limit ${sql.lit(mostCounted)}) waiting)`;
    const { rows } = await sql<WorkLag>`
        select ${lagOf(refreshQueue)} as renewals, ${lagOf(deliveryQueue)} as deliveries, ${lagOf(hookQueue)} as hooks`.execute(db);
    return rows[0]!;
}
