/**
 * Routine renewals are nearly all of the operation log, and the first of it that nobody needs (O1: retention by type). A day that has
 * outlived them is replaced by a copy of the rest, which is little and has an index of its own: no row is deleted. Everybody else waits
 * for the exchange only, as they do for the end of a whole day.
 */
import { sql, type Kysely } from 'kysely';
import type { Db } from './database.ts';
import { attach, dayOf, exclusively, nameOf, operationLog, partitionsOf, startOf } from './operation-partitions.ts';
import type { Schema } from './schema.ts';

/** A day with more that is worth keeping stays whole until its own end: in a copy of so much, others would wait too long. */
const mostCopied = 500_000;
/** How far the clocks of processes may differ that note when a line changed. */
const clockDoubtMs = 5 * 60_000;
/** The comment of a day that was replaced. */
const mark = 'without routine renewals';

/** Several replicas may do this at once. @param now epoch ms @param keptMs how long after the end of their day they stay */
export async function dropRoutine(db: Kysely<Schema>, now: number, keptMs: number): Promise<void> {
    const oldest = nameOf(operationLog.table, startOf(now - keptMs));
    for (const name of await partitionsOf(db, operationLog.table)) {
        if (name < oldest && !(await isDone(db, name))) {
            await exclusively(db, (transaction) => replace(transaction, name, now));
        }
    }
}

/** Gone counts too: its own end has come. */
async function isDone(db: Db, name: string): Promise<boolean> {
    const { rows } = await sql<{ comment: string | null; exists: boolean }>`
        select obj_description(to_regclass(${name}), 'pg_class') as comment, to_regclass(${name}) is not null as exists`.execute(db);
    return !rows[0]!.exists || rows[0]!.comment === mark;
}

async function countKept(db: Db, name: string): Promise<number> {
    const { rows } = await sql<{ count: number }>`
        select count(*)::int as count from (select from ${sql.table(name)} where level <> 'debug' limit ${mostCopied + 1}) kept`.execute(db);
    return rows[0]!.count;
}

async function replace(transaction: Db, name: string, now: number): Promise<void> {
    // By the index of what is not routine, whatever is known of how much that is: the day may have tens of millions of rows.
    await sql`set local enable_seqscan = off`.execute(transaction);
    if ((await isDone(transaction, name)) || (await countKept(transaction, name)) > mostCopied) {
        return;
    }
    const [day, rest, parent] = [sql.table(name), sql.table(`${name}_rest`), sql.table(operationLog.table)];
    await sql`create table ${rest} (like ${parent} including all)`.execute(transaction);
    await sql`insert into ${rest} select * from ${day} where level <> 'debug'`.execute(transaction);
    // The log before its day, as whoever writes to it takes them. From here on everybody waits.
    await sql`lock table only ${parent} in access exclusive mode`.execute(transaction);
    const since = new Date(now - clockDoubtMs);
    await sql`delete from ${rest} r using ${day} d where r.id = d.id and d.level <> 'debug' and d.changed_at >= ${since}`.execute(transaction);
    await sql`insert into ${rest} select * from ${day} where level <> 'debug' and changed_at >= ${since}`.execute(transaction);
    await sql`drop table ${day}`.execute(transaction);
    await sql`alter table ${rest} rename to ${sql.id(name)}`.execute(transaction);
    await attach(transaction, operationLog, dayOf(name));
    await sql`comment on table ${day} is ${sql.lit(mark)}`.execute(transaction);
}
