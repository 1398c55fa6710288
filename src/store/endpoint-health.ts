/**
 * Whether webhooks arrive at their endpoint, and what becomes of them when they do not (W9).
 *
 * An endpoint with only failures for three days, or one answer of 410, is disabled. Its events are written as always; what would
 * be sent is `held`, until somebody enables the endpoint and says from when on it is to be sent. Nothing is looked for: the
 * attempt that fails knows since when others did.
 */
import { sql } from 'kysely';
import type { Db } from './database.ts';
import type { WebhookDeliveryRow, WebhookEndpointRow } from './schema.ts';
import { reopen } from './webhook-operations.ts';

export type DisabledReason = NonNullable<WebhookEndpointRow['disabled_reason']>;

const patienceMs = 3 * 24 * 3600 * 1000;
/** Failures of ours, which say nothing about the receiver. */
const neverSent = new Set(['signing_key_unreadable', 'body_too_large']);

/** What a delivery was loaded with. */
export interface EndpointState {
    endpoint_id: string | null;
    failing_since: Date | null;
}

/** A change that an attempt makes to its endpoint: it works again, it begins to fail, it is disabled. */
export type HealthChange = 'recovered' | 'failing since now' | Exclude<DisabledReason, 'manual'>;

/** @returns `undefined` for almost every attempt: nothing has to be written then. */
export function healthChange(
    { endpoint_id, failing_since }: EndpointState,
    { status, error }: { status: number | null; error: string | null },
    at: Date,
): HealthChange | undefined {
    if (endpoint_id === null || (error !== null && neverSent.has(error))) {
        return undefined;
    }
    if (error === null) {
        return failing_since === null ? undefined : 'recovered';
    }
    if (status === 410) {
        return 'receiver_gone';
    }
    if (failing_since === null) {
        return 'failing since now';
    }
    return at.getTime() - failing_since.getTime() >= patienceMs ? 'failing' : undefined;
}

/**
 * Call it in the transaction that recorded the attempt. An endpoint whose URL was changed meanwhile is not judged by the old one.
 * @returns why the endpoint was disabled, if this attempt did it
 */
export async function recordEndpointOutcome(
    db: Db,
    { id, endpoint_id, url }: Pick<WebhookDeliveryRow, 'id' | 'url' | 'endpoint_id'>,
    change: HealthChange,
    at: Date,
): Promise<DisabledReason | undefined> {
    const endpoint = db.updateTable('webhook_endpoints').where('id', '=', endpoint_id!).where('url', '=', url);
    switch (change) {
        case 'recovered':
            await endpoint.set({ failing_since: null }).where('failing_since', 'is not', null).execute();
            return undefined;
        case 'failing since now':
            await endpoint.set({ failing_since: at }).where('failing_since', 'is', null).execute();
            return undefined;
        case 'receiver_gone':
        case 'failing': {
            const { numUpdatedRows } = await endpoint
                .set({ disabled_at: at, disabled_reason: change, updated_at: at, failing_since: sql<Date>`coalesce(failing_since, ${at})` })
                .where('disabled_at', 'is', null)
                // Something may have arrived, or somebody enabled it, since the attempt began.
                .$if(change === 'failing', (query) => query.where('failing_since', '<=', new Date(at.getTime() - patienceMs)))
                .executeTakeFirst();
            await holdUndelivered(db, endpoint_id!, at, id);
            return numUpdatedRows > 0n ? change : undefined;
        }
    }
}

/**
 * Holds what waits for a disabled endpoint, and what was given up since it began to fail. What is being sent right now is held
 * when it falls due again (`holdOne`).
 * @param settled a delivery that this transaction gave up because of it
 */
export async function holdUndelivered(db: Db, endpointId: string, at: Date, settled: string | null = null): Promise<void> {
    // Locked in passing: a worker that holds one of these may be waiting for the endpoint's row.
    await sql`
        with held as (
            update webhook_deliveries set state = 'held', next_attempt_at = null, settled_at = null
            where id in (
                select d.id from webhook_deliveries d join webhook_endpoints e on e.id = d.endpoint_id
                where d.endpoint_id = ${endpointId} and e.disabled_at is not null and d.state <> 'delivered'
                  and (d.state = 'pending' and (d.lease_until is null or d.lease_until < ${at})
                    or d.state = 'dead' and (d.settled_at >= e.failing_since or d.id = ${settled}::uuid))
                for update of d skip locked
            )
            returning operation_id
        )
        ${reopen(sql`held`, at)}`.execute(db);
}

/** A claimed delivery whose endpoint is disabled. Under a lock on the endpoint, so that whoever enables it finds this delivery held. */
export async function holdOne(db: Db, delivery: Pick<WebhookDeliveryRow, 'id' | 'lease_epoch' | 'endpoint_id'>): Promise<void> {
    await db
        .updateTable('webhook_deliveries')
        .set({ state: 'held', next_attempt_at: null, lease_owner: null, lease_until: null })
        .where('id', '=', delivery.id)
        .where('lease_epoch', '=', delivery.lease_epoch)
        .where((row) =>
            row.exists(
                row
                    .selectFrom('webhook_endpoints')
                    .select('id')
                    .where('id', '=', delivery.endpoint_id)
                    .where('disabled_at', 'is not', null)
                    .forShare(),
            ),
        )
        .execute();
}

/**
 * Makes what is held, and was written then or later, due at once: the oldest first, because the queue goes by when a row fell due,
 * to the URL that the endpoint has now, with a schedule of its own. @returns how many
 */
export async function replay(db: Db, { id, url }: Pick<WebhookEndpointRow, 'id' | 'url'>, since: Date): Promise<number> {
    const { numUpdatedRows } = await db
        .updateTable('webhook_deliveries')
        .set((row) => ({ state: 'pending', attempts: 0, next_attempt_at: row.ref('created_at'), url }))
        .where('endpoint_id', '=', id)
        .where('state', '=', sql.lit('held' as const))
        .where('created_at', '>=', since)
        .executeTakeFirst();
    return Number(numUpdatedRows);
}
