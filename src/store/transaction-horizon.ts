/**
 * How far rows can be read in an order that never changes behind a reader.
 *
 * Neither times nor sequence numbers are such an order: transactions commit in another order than they were stamped in, so a row
 * could appear before one that a reader has already passed. Here a row is placed by the id of the transaction that wrote it, and shown
 * only when that id is below the horizon: the oldest transaction that still ran when the statement's snapshot was taken. All below it
 * have ended, and ids are given once and rise, so whatever is shown has everything before it shown too, and no later commit can come
 * in between. That takes no lock, no session and no replica's clock, so it holds behind transaction-mode poolers; it needs one
 * server's ids, which is why `adoptRestored` exists. The price: a transaction in this database that has written and stays open holds
 * back what was written after it began.
 */
import { sql } from 'kysely';
import type { Db } from './database.ts';

/**
 * Transactions are the whole server's, but those of other databases write nothing here: one is left out when a session of another
 * database holds its lock on itself, which is certain. Whatever cannot be told counts as ours. Asked before the snapshot is taken:
 * the lock outlives the transaction's being visible as running, so what was left out once stays left out, and nothing that was
 * shown is hidden again.
 */
export async function runningElsewhere(db: Db): Promise<string[]> {
    const { rows } = await sql<{ xid: string }>`
        select l.transactionid::text as xid from pg_locks l join pg_stat_activity a on a.pid = l.pid
        where l.locktype = 'transactionid' and l.mode = 'ExclusiveLock' and l.granted
          and a.datid <> (select oid from pg_database where datname = current_database())`.execute(db);
    return rows.map(({ xid }) => xid);
}

/** An expression: the horizon of its statement's snapshot. Locks have the lower half of an id. */
export const horizonExcept = (elsewhere: readonly string[]) => sql<string>`
    coalesce((
        select running from pg_snapshot_xip(pg_current_snapshot()) running
        where (running::text::bigint % 4294967296)::text <> all (${[...elsewhere]}::text[])
        order by running limit 1), pg_snapshot_xmax(pg_current_snapshot()))`;

export interface Horizon {
    /** Everything below is settled. */
    xid: bigint;
    /** The next id that a transaction may get: what is higher was given by another server. */
    next: bigint;
}

export async function readHorizon(db: Db): Promise<Horizon> {
    const elsewhere = await runningElsewhere(db);
    const { rows } = await sql<{ xid: string; next: string }>`
        select (${horizonExcept(elsewhere)})::text as xid, pg_snapshot_xmax(pg_current_snapshot())::text as next`.execute(db);
    const { xid, next } = rows[0]!;
    return { xid: BigInt(xid), next: BigInt(next) };
}
