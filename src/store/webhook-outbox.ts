/** Webhook events and their deliveries, as the worker sees them; `webhook-deliveries.ts` and `event-log.ts` are what callers read. */
import { sql, type Insertable, type Kysely } from 'kysely';
import { json, type Db } from './database.ts';
import { healthChange, recordEndpointOutcome, type DisabledReason } from './endpoint-health.ts';
import type { PostConnectionStatus, Schema, WebhookDeliveryAttemptRow, WebhookDeliveryRow } from './schema.ts';
import { openedRow, tellOfRetry, type WebhookOperation } from './webhook-operations.ts';
import { liveKeysOfDelivery, type LiveKeyRow } from './webhook-signing-keys.ts';

/**
 * W12: an event of a connection takes the connection's next number, in the same statement. The number's row stays locked until the
 * transaction ends, so numbers are committed in their order and without gaps; connections do not wait for each other.
 */
export async function insertEvent(
    db: Db,
    event: Omit<Insertable<Schema['webhook_events']>, 'sequence'> & { connection_row_id: string | null },
): Promise<void> {
    await sql`
        with numbered as (
            insert into webhook_sequences as s (connection_row_id, last)
            select ${event.connection_row_id}::uuid, 1 where ${event.connection_row_id}::uuid is not null
            on conflict (connection_row_id) do update set last = s.last + 1
            returning last
        )
        insert into webhook_events (id, environment_id, connection_row_id, connection_id, type, operation, post_connection_status, body, created_at, sequence)
        values (${event.id}, ${event.environment_id}, ${event.connection_row_id}, ${event.connection_id ?? null}, ${event.type}, ${event.operation},
            ${event.post_connection_status ?? null}, ${event.body}, ${event.created_at}, (select last from numbered))`.execute(db);
}

/** Attempts in which a delivery holds back the later events of its connection (W12); as in `deliveryQueue` and the index that it uses. */
const holdingAttempts = 3;

export type NewDelivery = Pick<
    Insertable<Schema['webhook_deliveries']>,
    'id' | 'environment_id' | 'destination' | 'url' | 'state' | 'next_attempt_at' | 'created_at'
> & { event_id: string; endpoint_id: string | null };

/** Of an event that was inserted before, and the operation that they are. One that has to wait for an older one is due with it, not before: see `recordAttempt`. */
export async function insertDeliveries(db: Db, rows: NewDelivery[], operation?: WebhookOperation): Promise<void> {
    const unset = { lease_owner: null, lease_until: null, last_status: null, last_error: null, settled_at: null };
    const ofEvent = <Column extends 'connection_row_id' | 'connection_id' | 'sequence'>(column: Column, id: string) =>
        db.selectFrom('webhook_events').select(column).where('id', '=', id);
    const opening = operation && openedRow(operation, rows.length);
    await (opening === undefined ? db : db.with('opened', (query) => query.insertInto('operations').values(opening)))
        .insertInto('webhook_deliveries')
        .values(
            rows.map((row) => ({
                ...row,
                ...unset,
                operation_id: operation?.id ?? null,
                connection_row_id: ofEvent('connection_row_id', row.event_id),
                connection_id: ofEvent('connection_id', row.event_id),
                sequence: ofEvent('sequence', row.event_id),
                next_attempt_at: sql<Date>`greatest(${row.next_attempt_at}::timestamptz, (
                    select max(older.next_attempt_at) from webhook_deliveries older
                    where older.connection_row_id = (select connection_row_id from webhook_events where id = ${row.event_id})
                      and older.url = ${row.url} and older.state = 'pending'
                      and older.attempts > 0 and older.attempts < ${sql.lit(holdingAttempts)}))`,
            })),
        )
        .execute();
}

export interface DueDelivery extends Pick<
    WebhookDeliveryRow,
    | 'id'
    | 'event_id'
    | 'environment_id'
    | 'destination'
    | 'endpoint_id'
    | 'url'
    | 'attempts'
    | 'lease_epoch'
    | 'connection_row_id'
    | 'sequence'
    | 'is_redelivery'
    | 'operation_id'
> {
    /** Of its endpoint, `null` when it has none any more. */
    follow_redirects: boolean | null;
    disabled_at: Date | null;
    failing_since: Date | null;
    body: string;
    post_connection_status: PostConnectionStatus | null;
    event_created_at: Date;
    /** Newest first. */
    signing_keys: LiveKeyRow[];
}

/** A claimed delivery with what is signed and the keys that sign it now: read each time, so that a rotation holds everywhere at once (W6). */
export async function loadDelivery(db: Db, id: string, now: Date): Promise<DueDelivery | undefined> {
    return db
        .selectFrom('webhook_deliveries as d')
        .innerJoin('webhook_events as e', 'e.id', 'd.event_id')
        .leftJoin('webhook_endpoints as p', 'p.id', 'd.endpoint_id')
        .select(['d.id', 'd.event_id', 'd.environment_id', 'd.destination', 'd.url', 'd.attempts', 'd.lease_epoch'])
        .select(['d.endpoint_id', 'p.follow_redirects', 'p.disabled_at', 'p.failing_since'])
        .select([
            'd.connection_row_id',
            'd.sequence',
            'd.is_redelivery',
            'd.operation_id',
            'e.body',
            'e.post_connection_status',
            'e.created_at as event_created_at',
        ])
        .select((from) => liveKeysOfDelivery(from, now).as('signing_keys'))
        .where('d.id', '=', id)
        .executeTakeFirst();
}

export interface AttemptOutcome {
    state: WebhookDeliveryRow['state'];
    nextAttemptAt: Date | null;
    at: Date;
    /** For the log (W11). */
    attempt: Omit<WebhookDeliveryAttemptRow, 'delivery_id' | 'number' | 'message_id'>;
}

export type RecordedDelivery = Pick<
    DueDelivery,
    'id' | 'attempts' | 'lease_epoch' | 'connection_row_id' | 'sequence' | 'url' | 'endpoint_id' | 'failing_since' | 'operation_id'
>;

/**
 * Ends the lease with the attempt's outcome, and logs the attempt and what it means for the operation, in one statement; a second one only when it is news about the
 * endpoint (W9). Fenced: an attempt that outlived its lease writes nothing.
 *
 * The later events of the connection that wait for this one (W12) are not due before it is due again, so that claimers need not
 * look at them over and over; when it holds them back no longer, the next one is due at once. This moves times only: that nobody
 * overtakes is up to the claim, and a wait that is missed here ends by itself.
 * @returns why the endpoint was disabled, if it was
 */
export async function recordAttempt(db: Kysely<Schema>, delivery: RecordedDelivery, outcome: AttemptOutcome): Promise<DisabledReason | undefined> {
    const change = healthChange(delivery, outcome.attempt, outcome.at);
    if (change === undefined) {
        await writeAttempt(db, delivery, outcome);
        return undefined;
    }
    return db
        .transaction()
        .execute(async (transaction) =>
            (await writeAttempt(transaction, delivery, outcome)) ? recordEndpointOutcome(transaction, delivery, change, outcome.at) : undefined,
        );
}

/** @returns whether the lease was still held. */
async function writeAttempt(db: Db, delivery: RecordedDelivery, outcome: AttemptOutcome): Promise<boolean> {
    const { state, nextAttemptAt, at, attempt } = outcome;
    const number = delivery.attempts + 1;
    const isHolding = state === 'pending' && number < holdingAttempts;
    const retried =
        state === 'pending' && delivery.operation_id !== null
            ? tellOfRetry(delivery.operation_id, attempt.error, at, sql`exists (select from recorded)`)
            : undefined;
    const { numAffectedRows } = await sql`
        with recorded as (
            update webhook_deliveries
            set state = ${state}, attempts = ${number}, next_attempt_at = ${nextAttemptAt}, lease_owner = null, lease_until = null,
                last_status = ${attempt.status}, last_error = ${attempt.error}, settled_at = ${state === 'pending' ? null : at}
            where id = ${delivery.id} and lease_epoch = ${delivery.lease_epoch}
            returning id
        ), waiting as (
            select id from webhook_deliveries
            where connection_row_id = ${delivery.connection_row_id}::uuid and sequence > ${delivery.sequence}::bigint and url = ${delivery.url}
              and state = 'pending' and attempts = 0 and lease_until is null and exists (select from recorded)
            order by sequence limit ${isHolding ? null : 1} for update skip locked
        ), moved as (
            update webhook_deliveries follower
            set next_attempt_at = ${
                isHolding
                    ? sql`greatest(follower.next_attempt_at, ${nextAttemptAt}::timestamptz)`
                    : sql`least(follower.next_attempt_at, ${at}::timestamptz)`
            }
            from waiting where follower.id = waiting.id
        )${retried === undefined ? sql`` : sql`, told as (${retried})`}
        insert into webhook_delivery_attempts
            (delivery_id, number, started_at, duration_ms, status, error, resolved_ip, response_headers, response_body)
        -- Held and replayed (W9), its count begins anew, and the log goes on.
        select id, coalesce((select max(before.number) from webhook_delivery_attempts before where before.delivery_id = recorded.id), 0) + 1,
            ${attempt.started_at}::timestamptz, ${attempt.duration_ms}::int, ${attempt.status}::int, ${attempt.error}::text,
            ${attempt.resolved_ip}::text, ${attempt.response_headers && json(attempt.response_headers)}::jsonb, ${attempt.response_body}::text
        from recorded`.execute(db);
    return (numAffectedRows ?? 0n) > 0n;
}

/** Ends the lease without an attempt: its endpoint was deleted. */
export async function giveUp(db: Db, { id, lease_epoch }: Pick<DueDelivery, 'id' | 'lease_epoch'>, error: string, at: Date): Promise<void> {
    await db
        .updateTable('webhook_deliveries')
        .set({ state: 'dead', next_attempt_at: null, lease_owner: null, lease_until: null, last_error: error, settled_at: at })
        .where('id', '=', id)
        .where('lease_epoch', '=', lease_epoch)
        .execute();
}
