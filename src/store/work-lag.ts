/** How far background work is behind, over all replicas: a few index look-ups, whatever the number of rows. */
import { sql } from 'kysely';
import type { Db } from './database.ts';

export interface WorkLag {
    renewals: {
        /** Milliseconds since the longest overdue renewal fell due; 0 when nothing is due. */
        oldestOverdueMs: number;
        /** Due now, those at work included; counted no further than `mostCounted`. */
        due: number;
    };
    deliveries: {
        /** Milliseconds since the oldest delivery was written that is neither accepted nor given up. */
        oldestPendingMs: number;
        oldestOverdueMs: number;
        due: number;
    };
    hooks: { oldestOverdueMs: number };
}

export const mostCounted = 10_000;

export async function readWorkLag(db: Db, now: number): Promise<WorkLag> {
    const at = new Date(now);
    const isRenewal = sql`deleted_at is null and next_refresh_at is not null and next_refresh_at <= ${at}`;
    const isDelivery = sql`state = 'pending' and next_attempt_at <= ${at}`;
    const { rows } = await sql<{
        renewal: Date | null;
        renewals: number;
        written: Date | null;
        delivery: Date | null;
        deliveries: number;
        hook: Date | null;
    }>`
        select (select next_refresh_at from connections where ${isRenewal} order by next_refresh_at limit 1) as renewal,
            (select count(*) from (select from connections where ${isRenewal} limit ${sql.lit(mostCounted)}) as counted)::int as renewals,
            (select created_at from webhook_deliveries where state = 'pending' order by created_at limit 1) as written,
            (select next_attempt_at from webhook_deliveries where ${isDelivery} order by next_attempt_at limit 1) as delivery,
            (select count(*) from (select from webhook_deliveries where ${isDelivery} limit ${sql.lit(mostCounted)}) as counted)::int as deliveries,
            (select due_at from post_connection_hooks where state = 'pending' and due_at <= ${at} order by due_at limit 1) as hook`.execute(db);
    const row = rows[0]!;
    const since = (moment: Date | null): number => (moment === null ? 0 : Math.max(0, now - moment.getTime()));
    return {
        renewals: { oldestOverdueMs: since(row.renewal), due: row.renewals },
        deliveries: { oldestPendingMs: since(row.written), oldestOverdueMs: since(row.delivery), due: row.deliveries },
        hooks: { oldestOverdueMs: since(row.hook) },
    };
}
