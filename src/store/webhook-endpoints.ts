/** Where an environment's webhooks go (W18). Whether they arrive there is `endpoint-health.ts`. */
import { sql, type UpdateObject } from 'kysely';
import { jsonArrayFrom } from 'kysely/helpers/postgres';
import type { Db } from './database.ts';
import type { NewWebhookEndpoint, Schema, WebhookEndpointRow } from './schema.ts';

export type EndpointRole = NonNullable<WebhookEndpointRow['role']>;

/** Oldest first. @param after the last id of the page before */
export async function list(db: Db, environmentId: string, limit: number, after?: string): Promise<WebhookEndpointRow[]> {
    let query = db.selectFrom('webhook_endpoints').selectAll().where('environment_id', '=', environmentId);
    if (after !== undefined) {
        query = query.where('id', '>', after);
    }
    return query.orderBy('id').limit(limit).execute();
}

export const find = (db: Db, environmentId: string, id: string): Promise<WebhookEndpointRow | undefined> =>
    db.selectFrom('webhook_endpoints').selectAll().where('environment_id', '=', environmentId).where('id', '=', id).executeTakeFirst();

/** As `find`, holding the row until the transaction ends. */
export const lock = (db: Db, environmentId: string, id: string): Promise<WebhookEndpointRow | undefined> =>
    db.selectFrom('webhook_endpoints').selectAll().where('environment_id', '=', environmentId).where('id', '=', id).forUpdate().executeTakeFirst();

export async function count(db: Db, environmentId: string): Promise<number> {
    const { total } = await db
        .selectFrom('webhook_endpoints')
        .select((row) => row.fn.countAll<number>().as('total'))
        .where('environment_id', '=', environmentId)
        .executeTakeFirstOrThrow();
    return Number(total);
}

/** What the gates of §1.3 say, and which endpoints name this kind of event. `undefined`: without settings nothing is sent. */
export const subscribersTo = (db: Db, environmentId: string, kind: string) =>
    db
        .selectFrom('webhook_settings as s')
        .select(['s.on_auth_creation', 's.on_auth_refresh_error'])
        .select((row) =>
            jsonArrayFrom(
                row
                    .selectFrom('webhook_endpoints as e')
                    .select(['e.id', 'e.role', 'e.url'])
                    .whereRef('e.environment_id', '=', 's.environment_id')
                    .where(sql<boolean>`${kind} = any(e.events)`)
                    // Primary before secondary before the others, as they are sent.
                    .orderBy('e.role')
                    .orderBy('e.id'),
            ).as('endpoints'),
        )
        .where('s.environment_id', '=', environmentId)
        .executeTakeFirst();

export const insert = (db: Db, row: NewWebhookEndpoint): Promise<WebhookEndpointRow> =>
    db.insertInto('webhook_endpoints').values(row).returningAll().executeTakeFirstOrThrow();

/** A URL written anew is tried again, whatever its receiver said before (W8); events and description stay. */
export async function putRole(db: Db, row: NewWebhookEndpoint & { role: EndpointRole }): Promise<void> {
    const { url, updated_at } = row;
    await db
        .insertInto('webhook_endpoints')
        .values(row)
        .onConflict((conflict) =>
            conflict
                .columns(['environment_id', 'role'])
                .doUpdateSet({ url, updated_at, disabled_at: null, disabled_reason: null, failing_since: null }),
        )
        .execute();
}

export const update = (db: Db, id: string, change: UpdateObject<Schema, 'webhook_endpoints'>): Promise<WebhookEndpointRow> =>
    db.updateTable('webhook_endpoints').set(change).where('id', '=', id).returningAll().executeTakeFirstOrThrow();

/** What waits for it becomes a dead letter; what is being sent right now ends as it ends. */
export async function remove(db: Db, { id, environment_id }: Pick<WebhookEndpointRow, 'id' | 'environment_id'>, at: Date): Promise<void> {
    await db.deleteFrom('webhook_endpoints').where('id', '=', id).where('environment_id', '=', environment_id).execute();
    await db
        .updateTable('webhook_deliveries')
        .set({ state: 'dead', next_attempt_at: null, last_error: 'endpoint_deleted', settled_at: at })
        .where('endpoint_id', '=', id)
        .where('state', 'in', ['pending', 'held'])
        .where((row) => row.or([row('lease_until', 'is', null), row('lease_until', '<', at)]))
        .execute();
}

export const findByRole = (db: Db, environmentId: string, role: EndpointRole): Promise<WebhookEndpointRow | undefined> =>
    db.selectFrom('webhook_endpoints').selectAll().where('environment_id', '=', environmentId).where('role', '=', role).executeTakeFirst();
