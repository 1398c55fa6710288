/** Where an environment's webhooks go, and which it wants. */
import type { UpdateObject } from 'kysely';
import type { Db } from './database.ts';
import type { Schema, WebhookSettingsRow } from './schema.ts';

export const read = (db: Db, environmentId: string): Promise<WebhookSettingsRow | undefined> =>
    db.selectFrom('webhook_settings').selectAll().where('environment_id', '=', environmentId).executeTakeFirst();

/** In a transaction: whoever else changes them waits until it ends. */
export const lock = (db: Db, environmentId: string): Promise<WebhookSettingsRow | undefined> =>
    db.selectFrom('webhook_settings').selectAll().where('environment_id', '=', environmentId).forUpdate().executeTakeFirst();

export const update = (db: Db, environmentId: string, change: UpdateObject<Schema, 'webhook_settings'>): Promise<WebhookSettingsRow> =>
    db.updateTable('webhook_settings').set(change).where('environment_id', '=', environmentId).returningAll().executeTakeFirstOrThrow();
