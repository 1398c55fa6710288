/** Integrations: an environment's configured instances of providers. */
import type { Db } from './database.ts';
import type { IntegrationRow, NewIntegration } from './schema.ts';

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

export const list = (db: Db, environmentId: string): Promise<IntegrationRow[]> =>
    db
        .selectFrom('integrations')
        .selectAll()
        .where('environment_id', '=', environmentId)
        .where('deleted_at', 'is', null)
        .orderBy('provider')
        .orderBy('created_at')
        .execute();

/** Which of `keys` exist. */
export async function existingKeys(db: Db, environmentId: string, keys: readonly string[]): Promise<Set<string>> {
    if (keys.length === 0) {
        return new Set();
    }
    const rows = await db
        .selectFrom('integrations')
        .select('unique_key')
        .where('environment_id', '=', environmentId)
        .where('unique_key', 'in', [...keys])
        .where('deleted_at', 'is', null)
        .execute();
    return new Set(rows.map((row) => row.unique_key));
}

/** @returns `undefined` when the key is taken, also by a request that was faster. */
export const insert = (db: Db, row: NewIntegration): Promise<IntegrationRow | undefined> =>
    db
        .insertInto('integrations')
        .values(row)
        .onConflict((conflict) => conflict.columns(['environment_id', 'unique_key']).where('deleted_at', 'is', null).doNothing())
        .returningAll()
        .executeTakeFirst();
