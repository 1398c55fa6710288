/**
 * An environment's events in one order that never changes behind a reader (`GET /events`).
 *
 * Neither times nor sequence numbers are such an order: transactions commit in another order than they were stamped in, so an
 * event could appear before one that a reader has already passed. Here an event is placed by the id of the transaction that wrote it
 * (and `position` within that), and shown only when that id is below `pg_snapshot_xmin`: the oldest transaction still running when
 * the statement began. All below it have ended, and ids are given once and rise, so whatever is shown has everything before it
 * shown too, and no later commit can come in between. That takes no lock, no session and no replica's clock, so it holds behind
 * transaction-mode poolers; it needs one server's ids, which is why `adoptRestored` exists. The price: a transaction that stays open
 * and has written, in any database of the server, holds back what was written after it began. Deliveries do not wait for it.
 */
import { sql, type RawBuilder } from 'kysely';
import type { Db } from './database.ts';

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
const slack = '10 minutes';

export interface Page {
    /** Oldest first. */
    events: LoggedEvent[];
    /** The event to go on after; `null`: from the beginning. */
    end: string | null;
}

/** @returns `undefined` when the event to start after is not there (any more). */
export async function read(db: Db, environmentId: string, start: Start, limit: number): Promise<Page | undefined> {
    const after = 'after' in start ? start.after : null;
    // Looked up before the page is: what is shown in between must be on the page, not behind it.
    const { rows } = await sql<{ is_shown: boolean | null; last_shown: string | null }>`
        select (select ${isShown} from webhook_events where environment_id = ${environmentId} and id = ${after}) as is_shown,
            (select id from webhook_events where environment_id = ${environmentId} and ${isShown}
             order by xid desc, position desc limit 1) as last_shown`.execute(db);
    const { is_shown: isAfterShown, last_shown: lastShown } = rows[0]!;
    if (after === null) {
        const { since } = start as { since: Date };
        const events = await select(db, environmentId, from(environmentId, since), limit);
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
        limit,
    );
    return { events, end: events.at(-1)?.id ?? after };
}

const isShown = sql`xid < pg_snapshot_xmin(pg_current_snapshot())`;

/** Where the log may begin is found by time; the filter then makes it exact. */
const from = (environmentId: string, since: Date): RawBuilder<unknown> => sql`
    created_at >= ${since}::timestamptz and xid >= (
        select xid from webhook_events where environment_id = ${environmentId}
        and created_at >= ${since}::timestamptz - interval '${sql.raw(slack)}' order by created_at limit 1)`;

async function select(db: Db, environmentId: string, condition: RawBuilder<unknown>, limit: number): Promise<LoggedEvent[]> {
    const { rows } = await sql<LoggedEvent>`
        select id, type, operation, connection_id, sequence, body, created_at from webhook_events
        where environment_id = ${environmentId} and ${condition} and ${isShown}
        order by xid, position limit ${limit}`.execute(db);
    return rows;
}

/**
 * Rows that a backup or logical replication brought from another server carry its transaction ids, which mean nothing here. What
 * can be seen although its transaction has not been yet is such a row: it goes to the beginning of the log, in its own order.
 * Events are the cursors, not transaction ids, so readers go on where they were.
 */
export async function adoptRestored(db: Db): Promise<void> {
    await sql`
        update webhook_events w set xid = '0' from environments e
        where w.environment_id = e.id and w.xid >= pg_snapshot_xmax(pg_current_snapshot())`.execute(db);
}
