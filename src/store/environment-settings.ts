/** Settings of an environment: one row each, made with it. */
import type { UpdateObject } from 'kysely';
import type { Db } from './database.ts';
import type { EnvironmentSettingsRow, NewEnvironmentSettings, Schema } from './schema.ts';

export async function insert(db: Db, row: NewEnvironmentSettings): Promise<void> {
    await db.insertInto('environment_settings').values(row).execute();
}

export const read = (db: Db, environmentId: string): Promise<EnvironmentSettingsRow> =>
    db.selectFrom('environment_settings').selectAll().where('environment_id', '=', environmentId).executeTakeFirstOrThrow();

export const update = (db: Db, environmentId: string, change: UpdateObject<Schema, 'environment_settings'>): Promise<EnvironmentSettingsRow> =>
    db.updateTable('environment_settings').set(change).where('environment_id', '=', environmentId).returningAll().executeTakeFirstOrThrow();
