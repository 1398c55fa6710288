/** Integrations: an environment's configured instances of providers. */
import { sql, type UpdateObject } from 'kysely';
import type { Db } from './database.ts';
import type { IntegrationRow, NewIntegration, Schema } from './schema.ts';

export const findByKey = (db: Db, environmentId: string, uniqueKey: string): Promise<IntegrationRow | undefined> =>
    db
        .selectFrom('integrations')
        .selectAll()
        .where('environment_id', '=', environmentId)
        .where('unique_key', '=', uniqueKey)
        .where('deleted_at', 'is', null)
        .executeTakeFirst();

export const findById = (db: Db, id: string): Promise<IntegrationRow | undefined> =>
    db.selectFrom('integrations').selectAll().where('id', '=', id).where('deleted_at', 'is', null).executeTakeFirst();

/** As `findByKey`, holding the row until the transaction ends: against other changes, and against `hold`. */
export const lockByKey = (db: Db, environmentId: string, uniqueKey: string): Promise<IntegrationRow | undefined> =>
    db
        .selectFrom('integrations')
        .selectAll()
        .where('environment_id', '=', environmentId)
        .where('unique_key', '=', uniqueKey)
        .where('deleted_at', 'is', null)
        .forNoKeyUpdate()
        .executeTakeFirst();

/** As `lockByKey`, for several of them. Only under the environment's lock: two that lock several could wait for each other. */
export const lockByKeys = (db: Db, environmentId: string, keys: readonly string[]): Promise<IntegrationRow[]> =>
    db
        .selectFrom('integrations')
        .selectAll()
        .where('environment_id', '=', environmentId)
        .where(sql<boolean>`unique_key = any(${[...keys]})`)
        .where('deleted_at', 'is', null)
        .forNoKeyUpdate()
        .execute();

/**
 * Keeps a live integration from being changed or deleted until the transaction ends; others may hold it too. Whoever writes a
 * connection in consequence of what the integration is does so under it, and before locking the connection.
 */
export const hold = (
    db: Db,
    id: string,
): Promise<Pick<IntegrationRow, 'unique_key' | 'oauth_client_id' | 'sealed_oauth_client_secret'> | undefined> =>
    db
        .selectFrom('integrations')
        .select(['unique_key', 'oauth_client_id', 'sealed_oauth_client_secret'])
        .where('id', '=', id)
        .where('deleted_at', 'is', null)
        .forShare()
        .executeTakeFirst();

/** Keeps both from being deleted until the transaction ends, unless they already were. */
export async function holdWithEnvironment(db: Db, id: string): Promise<'live' | 'no environment' | 'no integration'> {
    const row = await db
        .selectFrom('integrations as i')
        .innerJoin('environments as e', 'e.id', 'i.environment_id')
        .select(['i.deleted_at as integration_deleted', 'e.deleted_at as environment_deleted'])
        .where('i.id', '=', id)
        .forShare()
        .executeTakeFirst();
    if (row?.environment_deleted != null) {
        return 'no environment';
    }
    return row === undefined || row.integration_deleted !== null ? 'no integration' : 'live';
}

/** By provider, the oldest first. @param keys absent: all of them */
export function list(db: Db, environmentId: string, keys?: readonly string[]): Promise<IntegrationRow[]> {
    let query = db.selectFrom('integrations').selectAll().where('environment_id', '=', environmentId).where('deleted_at', 'is', null);
    if (keys !== undefined) {
        query = query.where(sql<boolean>`unique_key = any(${[...keys]})`);
    }
    return query.orderBy('provider').orderBy('created_at').orderBy('public_id').execute();
}

/** Which of `keys` exist. */
/** Which of these keys are taken, and by integrations of which provider. */
export async function existingKeys(db: Db, environmentId: string, keys: readonly string[]): Promise<Map<string, string>> {
    if (keys.length === 0) {
        return new Map();
    }
    const rows = await db
        .selectFrom('integrations')
        .select(['unique_key', 'provider'])
        .where('environment_id', '=', environmentId)
        .where('unique_key', 'in', [...keys])
        .where('deleted_at', 'is', null)
        .execute();
    return new Map(rows.map((row) => [row.unique_key, row.provider]));
}

/** @returns `undefined` when the key is taken, also by a request that was faster. */
export const insert = (db: Db, row: NewIntegration): Promise<IntegrationRow | undefined> =>
    db
        .insertInto('integrations')
        .values(row)
        .onConflict((conflict) => conflict.columns(['environment_id', 'unique_key']).where('deleted_at', 'is', null).doNothing())
        .returningAll()
        .executeTakeFirst();

export const update = (db: Db, id: string, change: UpdateObject<Schema, 'integrations'>): Promise<IntegrationRow> =>
    db.updateTable('integrations').set(change).where('id', '=', id).returningAll().executeTakeFirstOrThrow();

/** Whether a write failed because another request was faster to take the key. */
export const isKeyTaken = (error: unknown): boolean => error instanceof Error && 'constraint' in error && error.constraint === 'integrations_key';

export async function hasConnections(db: Db, id: string): Promise<boolean> {
    const row = await db
        .selectFrom('connections')
        .select('id')
        .where('integration_id', '=', id)
        .where('deleted_at', 'is', null)
        .limit(1)
        .executeTakeFirst();
    return row !== undefined;
}

/** Its own secrets go with it: nothing can be done with them any more. */
export async function remove(db: Db, id: string, at: Date): Promise<void> {
    await db
        .updateTable('integrations')
        .set({ deleted_at: at, updated_at: at, sealed_oauth_client_secret: null, sealed_custom: null })
        .where('id', '=', id)
        .execute();
}
