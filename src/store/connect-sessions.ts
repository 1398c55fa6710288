/** Connect sessions: short-lived grants to an end user's browser. */
import { sql } from 'kysely';
import { json, type Db } from './database.ts';
import type { ConnectOutcome, ConnectSessionRow, ConnectUiSettings, NewConnectSession } from './schema.ts';

export async function insert(db: Db, row: NewConnectSession): Promise<void> {
    await db.insertInto('connect_sessions').values(row).execute();
}

/** A session with what a connect attempt needs to know of its environment. */
export interface SessionRead extends ConnectSessionRow {
    environment_name: string;
    is_production: boolean;
    callback_url: string | null;
    accepts_forwarded_callbacks: boolean;
    accept_unverified_credentials: boolean;
    /** How the environment wants the Connect UI to look; `null`: as we do. */
    connect_ui: ConnectUiSettings | null;
    environment_gone: boolean;
}

/** A live session, by any of its token's possible hashes. */
export async function findByToken(db: Db, hashes: readonly string[], now: Date): Promise<SessionRead | undefined> {
    return withEnvironment(db)
        .where('s.token_hash', 'in', [...hashes])
        .where('s.expires_at', '>', now)
        .executeTakeFirst();
}

/** By id, expired or not: a redirect flow that began in time may finish later. */
export const findById = (db: Db, id: string): Promise<SessionRead | undefined> => withEnvironment(db).where('s.id', '=', id).executeTakeFirst();

const withEnvironment = (db: Db) =>
    db
        .selectFrom('connect_sessions as s')
        .innerJoin('environments as e', 'e.id', 's.environment_id')
        .leftJoin('environment_settings as t', 't.environment_id', 's.environment_id')
        .selectAll('s')
        .select(['e.name as environment_name', 'e.is_production', 'e.callback_url', 'e.accepts_forwarded_callbacks'])
        .select(['e.accept_unverified_credentials', 't.connect_ui'])
        .select(sql<boolean>`e.deleted_at is not null`.as('environment_gone'));

/**
 * Records a success, and uses a single-use session up. Of attempts at the same time one gets through: the others wait for
 * its row and then find it used. `attempt` may come again, when the answer to its first write was lost.
 * @returns whether the session is there and this attempt may succeed with it.
 */
export async function recordSuccess(db: Db, id: string, attempt: string, outcome: ConnectOutcome): Promise<boolean> {
    const result = await db
        .updateTable('connect_sessions')
        .set({ outcome: json(outcome), used_by: sql<string | null>`case when single_use then ${attempt}::uuid end` })
        .where('id', '=', id)
        .where((where) => where.or([where('used_by', 'is', null), where('used_by', '=', attempt)]))
        .executeTakeFirst();
    return result.numUpdatedRows > 0n;
}

/**
 * @param began of the attempt that failed, where that is long ago: what became of later ones stays the session's outcome
 * @returns `false` when the session is gone, or used up: what it succeeded with stays its outcome.
 */
export async function recordFailure(db: Db, id: string, outcome: ConnectOutcome, began?: Date): Promise<boolean> {
    const result = await db
        .updateTable('connect_sessions')
        .set({ outcome: json(outcome) })
        .where('id', '=', id)
        .where('used_by', 'is', null)
        .$if(began !== undefined, (query) => query.where(sql<boolean>`(outcome is null or (outcome ->> 'at')::timestamptz <= ${began})`))
        .executeTakeFirst();
    return result.numUpdatedRows > 0n;
}

export async function remove(db: Db, id: string): Promise<void> {
    await db.deleteFrom('connect_sessions').where('id', '=', id).execute();
}

/** Rows are kept for a month after they expired, for the support case that comes late. */
export async function purge(db: Db, expiredBefore: Date): Promise<void> {
    await db.deleteFrom('connect_sessions').where('expires_at', '<', expiredBefore).execute();
}

/** Whoever changes what hangs on a session in more than one step takes its row first. */
export async function lock(db: Db, id: string): Promise<void> {
    await db.selectFrom('connect_sessions').select('id').where('id', '=', id).forNoKeyUpdate().execute();
}
