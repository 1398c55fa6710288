/**
 * An environment's events in one order that never changes behind a reader (`GET /events`).
 *
 * Neither times nor sequence numbers are such an order: transactions commit in another order than they were stamped in, so an
 * event could appear before one that a reader has already passed. Here an event is placed by the id of the transaction that wrote it
 * (and `position` within that), and shown only when that id is below the horizon: the oldest transaction that still ran when the
 * statement's snapshot was taken. All below it have ended, and ids are given once and rise, so whatever is shown has everything
 * before it shown too, and no later commit can come in between. That takes no lock, no session and no replica's clock, so it
 * holds behind transaction-mode poolers; it needs one server's ids, which is why `adoptRestored` exists. The price: a transaction in
 * this database that has written and stays open holds back what was written after it began. Deliveries do not wait for it.
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
        with horizon as materialized (select coalesce((${oldestRunningExcept(elsewhere)}), pg_snapshot_xmax(pg_current_snapshot())) as xid)
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

/**
 * Transactions are the whole server's, but those of other databases write no events here: one is left out when a session of another
 * database holds its lock on itself, which is certain. Whatever cannot be told counts as ours. Asked before the snapshot is taken:
 * the lock outlives the transaction's being visible as running, so what was left out once stays left out, and nothing that was
 * shown is hidden again.
 */
async function runningElsewhere(db: Db): Promise<string[]> {
    const { rows } = await sql<{ xid: string }>`
        select l.transactionid::text as xid from pg_locks l join pg_stat_activity a on a.pid = l.pid
        where l.locktype = 'transactionid' and l.mode = 'ExclusiveLock' and l.granted
          and a.datid <> (select oid from pg_database where datname = current_database())`.execute(db);
    return rows.map(({ xid }) => xid);
}

/** Locks have the lower half of an id. */
const oldestRunningExcept = (elsewhere: readonly string[]) => sql`
    select running from pg_snapshot_xip(pg_current_snapshot()) running
    where (running::text::bigint % 4294967296)::text <> all (${[...elsewhere]}::text[])
    order by running limit 1`;

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

async function select(db: Db, environmentId: string, condition: RawBuilder<unknown>, horizon: string, limit: number): Promise<LoggedEvent[]> {
    const { rows } = await sql<LoggedEvent>`
        select id, type, operation, connection_id, sequence, body, created_at from webhook_events
        where environment_id = ${environmentId} and ${condition} and xid < ${horizon}::xid8
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
