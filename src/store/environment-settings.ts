/** Settings of an environment: one row each, made with it. */
import type { UpdateObject } from 'kysely';
import type { Db } from './database.ts';
import type { EnvironmentSettingsRow, Schema } from './schema.ts';

export async function insert(db: Db, row: Pick<EnvironmentSettingsRow, 'id' | 'environment_id' | 'updated_at'>): Promise<void> {
    await db
        .insertInto('environment_settings')
        .values({ ...row, sealed_hmac_key: null, otlp_endpoint: null, sealed_otlp_headers: null, connect_ui: null })
        .execute();
}

export const read = (db: Db, environmentId: string): Promise<EnvironmentSettingsRow> =>
    db.selectFrom('environment_settings').selectAll().where('environment_id', '=', environmentId).executeTakeFirstOrThrow();

export const update = (db: Db, environmentId: string, change: UpdateObject<Schema, 'environment_settings'>): Promise<EnvironmentSettingsRow> =>
    db.updateTable('environment_settings').set(change).where('environment_id', '=', environmentId).returningAll().executeTakeFirstOrThrow();
