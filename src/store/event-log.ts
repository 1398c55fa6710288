/**
 * An environment's events in one order that never changes behind a reader (`GET /events`).
 *
 * Placed by the id of the transaction that wrote it, and `position` within that: `transaction-horizon.ts` says why no other order would
 * do, and how far it can be read. Deliveries do not wait for it.
 */
import { sql, type RawBuilder } from 'kysely';
import type { Db } from './database.ts';
import { horizonExcept, runningElsewhere } from './transaction-horizon.ts';

export interface LoggedEvent {
    id: string;
    type: string;
    operation: string;
    connection_id: string | null;
    sequence: number | null;
    body: string;
    created_at: Date;
}

/** After an event, or from a moment on. */
export type Start = { after: string } | { since: Date };

/** Far longer than a transaction that writes events takes, and than replicas' clocks may differ. */
const slack = '1 minute';

export interface Page {
    /** Oldest first. */
    events: LoggedEvent[];
    /** The event to go on after; `null`: from the beginning. */
    end: string | null;
}

/** @returns `undefined` when the event to start after is not there (any more). */
export async function read(db: Db, environmentId: string, start: Start, limit: number): Promise<Page | undefined> {
    const after = 'after' in start ? start.after : null;
    const elsewhere = await runningElsewhere(db);
    // Looked up before the page is: what is shown in between must be on the page, not behind it.
    const isShown = sql`xid < (select xid from horizon)`;
    const { rows } = await sql<{ horizon: string; is_shown: boolean | null; last_shown: string | null }>`
        with horizon as materialized (select ${horizonExcept(elsewhere)} as xid)
        select (select xid::text from horizon) as horizon,
            (select ${isShown} from webhook_events where environment_id = ${environmentId} and id = ${after}) as is_shown,
            (select id from webhook_events where environment_id = ${environmentId} and ${isShown}
             order by xid desc, position desc limit 1) as last_shown`.execute(db);
    const { horizon, is_shown: isAfterShown, last_shown: lastShown } = rows[0]!;
    if (after === null) {
        const { since } = start as { since: Date };
        const begin = await beginningOf(db, environmentId, since);
        const events =
            begin === undefined
                ? []
                : await select(db, environmentId, sql`xid >= ${begin}::xid8 and created_at >= ${since}::timestamptz`, horizon, limit);
        return { events, end: events.at(-1)?.id ?? lastShown };
    }
    if (isAfterShown === null) {
        return undefined;
    }
    if (!isAfterShown) {
        // Known from its delivery, before the log has got as far: back to where that is, or what is still to be shown would be passed.
        return { events: [], end: lastShown };
    }
    const events = await select(
        db,
        environmentId,
        sql`(xid, position) > ((select xid from webhook_events where id = ${after}), (select position from webhook_events where id = ${after}))`,
        horizon,
        limit,
    );
    return { events, end: events.at(-1)?.id ?? after };
}

/** Where the events of a time may begin in the log: among the first of that time, which are looked at by time. `undefined`: nowhere. */
async function beginningOf(db: Db, environmentId: string, since: Date): Promise<string | undefined> {
    const { rows } = await sql<{ xid: string }>`
        with earliest as materialized (
            select xid from webhook_events where environment_id = ${environmentId} and created_at >= ${since}::timestamptz
            and created_at <= interval '${sql.raw(slack)}' + (
                select created_at from webhook_events where environment_id = ${environmentId} and created_at >= ${since}::timestamptz
                order by created_at limit 1)
        ) select xid::text from earliest order by earliest.xid limit 1`.execute(db);
    return rows[0]?.xid;
}

/** Without those of which only the place is kept (`purgeWebhooks`). */
async function select(db: Db, environmentId: string, condition: RawBuilder<unknown>, horizon: string, limit: number): Promise<LoggedEvent[]> {
    const { rows } = await sql<LoggedEvent>`
        select id, type, operation, connection_id, sequence, body, created_at from webhook_events
        where environment_id = ${environmentId} and ${condition} and xid < ${horizon}::xid8 and body <> ''
        order by xid, position limit ${limit}`.execute(db);
    return rows;
}

/**
 * Rows that a backup or logical replication brought from another server carry its transaction ids, which mean nothing here. What
 * can be seen although its transaction has not been yet is such a row: it goes to the beginning of the log, in its own order, and of
 * the operation log. With it go the other events of its environment: those from before it may have ids that this server has given
 * too. Events are the cursors of `GET /events`, not transaction ids, so readers go on where they were.
 */
export async function adoptRestored(db: Db): Promise<void> {
    const { rows: moved } = await sql<{ id: string }>`
        select e.id from environments e cross join lateral (
            select from webhook_events w where w.environment_id = e.id and w.xid >= pg_snapshot_xmax(pg_current_snapshot())
            order by w.xid desc limit 1) of_another`.execute(db);
    for (const { id } of moved) {
        await sql`update webhook_events set xid = '0' where environment_id = ${id}`.execute(db);
    }
    await sql`
        update operations o set xid = '0' from environments e
        where o.environment_id = e.id and o.level <> 'debug' and o.xid >= pg_snapshot_xmax(pg_current_snapshot())`.execute(db);
}
