/** Environments: isolated workspaces of one deployment. */
import type { UpdateObject } from 'kysely';
import type { Db } from './database.ts';
import type { EnvironmentRow, Schema, WebhookSettingsRow } from './schema.ts';

export const listNames = async (db: Db): Promise<string[]> =>
    (await db.selectFrom('environments').select('name').where('deleted_at', 'is', null).orderBy('public_id').execute()).map((row) => row.name);

export const findById = (db: Db, id: string): Promise<EnvironmentRow | undefined> =>
    db.selectFrom('environments').selectAll().where('id', '=', id).where('deleted_at', 'is', null).executeTakeFirst();

/** Whether there ever was one, also if it was renamed or deleted since. */
export const existAny = async (db: Db): Promise<boolean> =>
    (await db.selectFrom('environments').select('id').limit(1).executeTakeFirst()) !== undefined;

/** In a transaction: whoever else changes settings of this environment waits until it ends. Rows may still be added to it. */
export const lock = (db: Db, id: string): Promise<EnvironmentRow | undefined> =>
    db.selectFrom('environments').selectAll().where('id', '=', id).where('deleted_at', 'is', null).forNoKeyUpdate().executeTakeFirst();

/** By the number that the HTTP API shows. */
export const findByPublicId = (db: Db, publicId: number): Promise<EnvironmentRow | undefined> =>
    db.selectFrom('environments').selectAll().where('public_id', '=', publicId).where('deleted_at', 'is', null).executeTakeFirst();

export const list = (db: Db): Promise<EnvironmentRow[]> =>
    db.selectFrom('environments').selectAll().where('deleted_at', 'is', null).orderBy('public_id').execute();

/** Environments that nobody can speak for. */
export const withoutKeys = (db: Db): Promise<Pick<EnvironmentRow, 'id' | 'name'>[]> =>
    db
        .selectFrom('environments as e')
        .select(['e.id', 'e.name'])
        .where('e.deleted_at', 'is', null)
        .where((where) =>
            where.not(
                where.exists(
                    where.selectFrom('api_keys as k').select('k.id').whereRef('k.environment_id', '=', 'e.id').where('k.deleted_at', 'is', null),
                ),
            ),
        )
        .execute();

export const findByName = (db: Db, name: string): Promise<EnvironmentRow | undefined> =>
    db.selectFrom('environments').selectAll().where('name', '=', name).where('deleted_at', 'is', null).executeTakeFirst();

export const update = (db: Db, id: string, change: UpdateObject<Schema, 'environments'>): Promise<EnvironmentRow | undefined> =>
    db.updateTable('environments').set(change).where('id', '=', id).where('deleted_at', 'is', null).returningAll().executeTakeFirst();

/** @returns `undefined` when the name is taken, also by a replica that was faster. */
export const insert = (
    db: Db,
    row: Pick<EnvironmentRow, 'id' | 'name' | 'is_production' | 'callback_url' | 'created_at'>,
): Promise<EnvironmentRow | undefined> =>
    db
        .insertInto('environments')
        .values({ ...row, updated_at: row.created_at, deleted_at: null })
        .onConflict((conflict) => conflict.column('name').where('deleted_at', 'is', null).doNothing())
        .returningAll()
        .executeTakeFirst();

export async function insertWebhookSettings(db: Db, row: Pick<WebhookSettingsRow, 'environment_id' | 'updated_at'>): Promise<void> {
    await db.insertInto('webhook_settings').values(row).execute();
}
