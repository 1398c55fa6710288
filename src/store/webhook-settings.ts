/** An environment's webhook switches, and the two endpoints that the settings name (§1.1, W18). */
import type { UpdateObject } from 'kysely';
import type { Db } from './database.ts';
import type { Schema, WebhookEndpointRow, WebhookSettingsRow } from './schema.ts';

/** The URLs are those of the endpoints with these roles. */
export type WebhookSettings = WebhookSettingsRow & {
    primary_url: string | null;
    secondary_url: string | null;
    primary_disabled_reason: WebhookEndpointRow['disabled_reason'];
    secondary_disabled_reason: WebhookEndpointRow['disabled_reason'];
};

const withUrls = (db: Db, environmentId: string) =>
    db
        .selectFrom('webhook_settings as s')
        .leftJoin('webhook_endpoints as p', (on) => on.onRef('p.environment_id', '=', 's.environment_id').on('p.role', '=', 'primary'))
        .leftJoin('webhook_endpoints as q', (on) => on.onRef('q.environment_id', '=', 's.environment_id').on('q.role', '=', 'secondary'))
        .selectAll('s')
        .select(['p.url as primary_url', 'p.disabled_reason as primary_disabled_reason'])
        .select(['q.url as secondary_url', 'q.disabled_reason as secondary_disabled_reason'])
        .where('s.environment_id', '=', environmentId);

export const read = (db: Db, environmentId: string): Promise<WebhookSettings | undefined> => withUrls(db, environmentId).executeTakeFirst();

/** In a transaction: whoever else changes them, or an endpoint, waits until it ends. */
export const lock = (db: Db, environmentId: string): Promise<WebhookSettingsRow | undefined> =>
    db.selectFrom('webhook_settings').selectAll().where('environment_id', '=', environmentId).forUpdate().executeTakeFirst();

export async function update(db: Db, environmentId: string, change: UpdateObject<Schema, 'webhook_settings'>): Promise<void> {
    await db.updateTable('webhook_settings').set(change).where('environment_id', '=', environmentId).execute();
}
