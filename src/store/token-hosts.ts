/** Token endpoints in trouble, as all replicas see them. A host without a row is well. */
import { sql } from 'kysely';
import type { Db } from './database.ts';
import type { TokenHostRow } from './schema.ts';

export const troubled = (db: Db): Promise<TokenHostRow[]> => db.selectFrom('token_hosts').selectAll().execute();

export interface HostFailure {
    host: string;
    connectionRowId: string;
    now: Date;
    /** Failures before it are forgotten. */
    since: Date;
    slowUntil: Date | null;
    /** Of how many connections in a row it takes to open. */
    threshold: number;
    /** How long the host is left alone, doubled with each opening in a row up to the longest. */
    coolDownMs: number;
    longestCoolDownMs: number;
}

/** Counts a failed call, and opens the host if it is one too many. `opened_at` is `now` if it did. */
export async function recordFailure(db: Db, failure: HostFailure): Promise<TokenHostRow | undefined> {
    const { host, connectionRowId, now, since, slowUntil, threshold, coolDownMs, longestCoolDownMs } = failure;
    const counted = await sql<TokenHostRow>`
        insert into token_hosts as h (host, failing, last_failure_at, slow_until)
        values (${host}, array[${connectionRowId}]::uuid[], ${now}, ${slowUntil})
        on conflict (host) do update set
            failing = case
                when h.last_failure_at < ${since} then excluded.failing
                when h.failing @> excluded.failing or cardinality(h.failing) >= ${threshold} then h.failing
                else h.failing || excluded.failing end,
            last_failure_at = excluded.last_failure_at,
            slow_until = greatest(h.slow_until, excluded.slow_until)
        returning *`.execute(db);
    // A failure after the cool-down is the probe's, or as good as one.
    const opened = await sql<TokenHostRow>`
        update token_hosts set
            opened_at = ${now}, openings = openings + 1, probe_until = null,
            open_until = ${now}::timestamptz + least(${longestCoolDownMs}, ${coolDownMs} * 2.0 ^ least(openings, 20)) * interval '1 millisecond'
        where host = ${host} and ((open_until is null and cardinality(failing) >= ${threshold}) or open_until <= ${now})
        returning *`.execute(db);
    return opened.rows[0] ?? counted.rows[0];
}

/** One process at a time may call a host whose cool-down is over. @returns whether it is this one */
export async function beginProbe(db: Db, host: string, now: Date, until: Date): Promise<boolean> {
    const { rows } = await sql`
        update token_hosts set probe_until = ${until}
        where host = ${host} and open_until <= ${now} and (probe_until is null or probe_until <= ${now})
        returning host`.execute(db);
    return rows.length > 0;
}

export async function endProbe(db: Db, host: string): Promise<void> {
    await db.updateTable('token_hosts').set({ probe_until: null }).where('host', '=', host).execute();
}

/** It has answered: closed at once, for everybody. What it has asked for stays. @returns whether it was open */
export async function recordAnswer(db: Db, host: string, now: Date): Promise<boolean> {
    const { rows } = await sql<{ was_open: boolean }>`
        with before as (select host, open_until is not null as was_open from token_hosts where host = ${host} for update),
        well as (delete from token_hosts h using before where h.host = before.host and (h.slow_until is null or h.slow_until <= ${now})),
        slow as (
            update token_hosts h set failing = '{}', open_until = null, opened_at = null, openings = 0, probe_until = null
            from before where h.host = before.host and h.slow_until > ${now}
        )
        select was_open from before`.execute(db);
    return rows[0]?.was_open ?? false;
}

export async function purge(db: Db, lastFailureBefore: Date): Promise<void> {
    await db.deleteFrom('token_hosts').where('last_failure_at', '<', lastFailureBefore).execute();
}
