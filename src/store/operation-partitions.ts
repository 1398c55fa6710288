/**
 * The days of the operation log (O1): one partition each, made ahead of their time and dropped whole after it. What has no partition
 * yet lies in the default one until its day is made.
 */
import { sql, type Kysely } from 'kysely';
import type { Db } from './database.ts';
import type { Schema } from './schema.ts';

const dayMs = 24 * 3600 * 1000;
const daysAhead = 3;
/** Any number that nothing else in this database uses. */
const lockKey = 7_362_518_402;

export const operationLog = { table: 'operations', key: 'created_at' } as const;
const logs = [operationLog, { table: 'operation_messages', key: 'operation_created_at' }] as const;
type Log = (typeof logs)[number];

/** Several replicas may do this at once. @param now epoch ms @param keptMs how long a day stays after its end */
export async function keepPartitions(db: Kysely<Schema>, now: number, keptMs: number): Promise<void> {
    const oldest = startOf(now - keptMs);
    const ahead = Array.from({ length: daysAhead + 1 }, (_, index) => startOf(now) + index * dayMs);
    for (const log of logs) {
        await sql`delete from ${sql.table(`${log.table}_default`)} where ${sql.ref(log.key)} < ${new Date(oldest)}`.execute(db);
        const existing = await partitionsOf(db, log.table);
        const days = new Set([...ahead, ...(await strayDays(db, log, now))].filter((day) => !existing.has(nameOf(log.table, day))));
        for (const day of days) {
            await add(db, log, day);
        }
        for (const name of existing) {
            // Named by their days, so that the order of names is the order of days.
            if (name < nameOf(log.table, oldest)) {
                await exclusively(db, (transaction) => sql`drop table if exists ${sql.table(name)}`.execute(transaction));
            }
        }
    }
}

export const startOf = (time: number): number => Math.floor(time / dayMs) * dayMs;

export const nameOf = (table: string, day: number): string => `${table}_${new Date(day).toISOString().slice(0, 10).replaceAll('-', '')}`;

/** The day of a name that `nameOf` gave. */
export const dayOf = (name: string): number => Date.parse(name.slice(-8).replace(/(\d{4})(\d\d)(\d\d)/, '$1-$2-$3'));

export async function partitionsOf(db: Db, table: string): Promise<Set<string>> {
    const { rows } = await sql<{ name: string }>`
        select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = ${table}::regclass and c.relname <> ${`${table}_default`}`.execute(db);
    return new Set(rows.map(({ name }) => name));
}

/** Days of rows in the default partition; far ones, from a clock that was wrong, stay there. */
async function strayDays(db: Db, { table, key }: Log, now: number): Promise<number[]> {
    const { rows } = await sql<{ day: number }>`
        select distinct floor(extract(epoch from ${sql.ref(key)}) / 86400)::int as day from ${sql.table(`${table}_default`)}
        where ${sql.ref(key)} < ${new Date(now + daysAhead * dayMs)}`.execute(db);
    return rows.map(({ day }) => day * dayMs);
}

/** Attached, not created in place: that would shut out every other statement on the log, this only those on the default partition. */
async function add(db: Kysely<Schema>, log: Log, day: number): Promise<void> {
    const { table, key } = log;
    const [name, others] = [nameOf(table, day), `${table}_default`];
    const [from, to] = [new Date(day).toISOString(), new Date(day + dayMs).toISOString()];
    await exclusively(db, async (transaction) => {
        const { rows } = await sql<{ found: string | null }>`select to_regclass(${name})::text as found`.execute(transaction);
        if (rows[0]?.found) {
            return;
        }
        await sql`create table ${sql.table(name)} (like ${sql.table(table)} including all)`.execute(transaction);
        await sql`lock table ${sql.table(others)} in access exclusive mode`.execute(transaction);
        await sql`
            with moved as (
                delete from ${sql.table(others)} where ${sql.ref(key)} >= ${from}::timestamptz and ${sql.ref(key)} < ${to}::timestamptz returning *
            )
            insert into ${sql.table(name)} select * from moved`.execute(transaction);
        await attach(transaction, log, day);
    });
}

export async function attach(transaction: Db, { table }: Log, day: number): Promise<void> {
    const [from, to] = [day, day + dayMs].map((moment) => sql.lit(new Date(moment).toISOString()));
    await sql`alter table ${sql.table(table)} attach partition ${sql.table(nameOf(table, day))} for values from (${from}) to (${to})`.execute(
        transaction,
    );
}

/** One replica at a time; who has to wait for others' statements gives up soon, because everybody else waits behind it. */
export async function exclusively(db: Kysely<Schema>, work: (transaction: Db) => Promise<unknown>): Promise<void> {
    await db.transaction().execute(async (transaction) => {
        await sql`select pg_advisory_xact_lock(${sql.lit(lockKey)})`.execute(transaction);
        await sql`set local lock_timeout = '2s'`.execute(transaction);
        await work(transaction);
    });
}
