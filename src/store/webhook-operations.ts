/**
 * Outgoing webhooks in the operation log (§1.9): an event on its way to its receivers is one operation, and each time it is sent
 * again by hand is another, because an operation that has ended stays so, and may be gone before its event is.
 *
 * It is opened by the statement that writes the deliveries, told of each refused attempt by the one that records it, and ended by a
 * trigger when its last delivery is settled (migration 0020). What is held for a disabled endpoint is still open. It has no
 * `expires_at`: the schedule of a delivery may be longer than any, and every delivery comes to an end by itself.
 *
 * Its messages are the attempts. They are in the delivery log already, with all that a message has, so they are shown from there:
 * written a second time they would be the larger half of what a webhook costs.
 */
import { sql, type InsertObject, type RawBuilder, type SqlBool } from 'kysely';
import { json } from './database.ts';
import { beganAt } from './operations.ts';
import type { ListedOperation } from './operation-listing.ts';
import type { Schema } from './schema.ts';

export interface WebhookOperation {
    id: string;
    environmentId: string;
    action: string;
    eventId: string;
    providerConfigKey: string;
    connectionRowId: string | null;
    connectionId: string | null;
}

export const webhookType = 'webhook';

/** @param destinations how many deliveries it is opened with */
export const openedRow = (operation: WebhookOperation, destinations: number): InsertObject<Schema, 'operations'> => ({
    id: operation.id,
    environment_id: operation.environmentId,
    type: webhookType,
    action: operation.action,
    state: 'waiting',
    level: 'info',
    message: waitingMessage(destinations),
    // Of an integration that is being deleted, by its connection.
    integration_id: sql<string | null>`coalesce(
        (select integration_id from connections where id = ${operation.connectionRowId}::uuid),
        (select id from integrations
         where environment_id = ${operation.environmentId} and unique_key = ${operation.providerConfigKey} and deleted_at is null))`,
    connection_row_id: operation.connectionRowId,
    connection_id: operation.connectionId,
    error: null,
    meta: json({ event_id: operation.eventId }),
    created_at: beganAt(operation.id),
    changed_at: beganAt(operation.id),
    ended_at: null,
    expires_at: null,
});

const waitingMessage = (destinations: number): string => `To be sent to ${destinations} ${destinations === 1 ? 'destination' : 'destinations'}`;

/** One for each redelivered event. `again`: a relation of new deliveries with `operation_id` and the delivery `"of"` which each repeats. */
export const openRedeliveries = (again: RawBuilder<unknown>, at: Date): RawBuilder<unknown> => sql`
    insert into operations (id, environment_id, type, action, state, level, message, integration_id, connection_row_id, connection_id, meta,
        created_at, changed_at)
    select again.operation_id, d.environment_id, ${webhookType}, 'redelivery', 'waiting', 'info', 'To be sent again by hand', c.integration_id,
        d.connection_row_id, d.connection_id, jsonb_build_object('event_id', d.event_id), operation_began(again.operation_id), ${at}::timestamptz
    from (select operation_id, min("of"::text)::uuid as "of" from ${again} group by operation_id) as again
    join webhook_deliveries d on d.id = again."of"
    left join connections c on c.id = d.connection_row_id`;

/** An attempt was refused and another follows. */
export const tellOfRetry = (operationId: string, error: string | null, at: Date, condition: RawBuilder<SqlBool>): RawBuilder<unknown> => sql`
    update operations set state = 'running', level = 'warn', message = ${`Not accepted yet: ${error}`}, changed_at = ${at}::timestamptz
    where id = ${operationId} and created_at = ${beganAt(operationId)} and ${condition}`;

/** Given up, and now held after all. `held`: a relation with `operation_id`. */
export const reopen = (held: RawBuilder<unknown>, at: Date): RawBuilder<unknown> => sql`
    update operations o
    set state = 'running', level = 'warn', message = 'Held: its endpoint is disabled', error = null, ended_at = null, changed_at = ${at}::timestamptz
    from (select distinct operation_id as id from ${held}) as held
    where o.id = held.id and o.created_at = operation_began(held.id) and o.state not in ('waiting', 'running')`;

/**
 * The attempts of an operation with the columns of `operation_messages`; an id of theirs is from the same sequence.
 * @param mostAttempts that a delivery gets, unless it is replayed
 */
export const attemptMessages = (operation: Pick<ListedOperation, 'id' | 'meta'>, mostAttempts: number): RawBuilder<unknown> => sql`
    select a.message_id as id, d.operation_id, ${beganAt(operation.id)}::timestamptz as operation_created_at, 'internal' as source,
        case when a.error is null then 'info' else 'error' end as level, 'http' as type, 'webhook' as context,
        case when a.error is null then 'Delivered to ' else 'Not accepted by ' end
            || case d.destination when 'endpoint' then 'the endpoint ' || d.endpoint_id when 'override' then 'the connection’s URL' else 'the ' || d.destination || ' URL' end
            || coalesce(': ' || a.error, '') as message,
        case when a.status is null then jsonb_build_object('type', a.error, 'message', 'There was no answer') end as error,
        jsonb_build_object('method', 'POST', 'url', d.url, 'headers', jsonb_strip_nulls(jsonb_build_object(
            'content-type', 'application/json', 'webhook-id', d.event_id, 'x-valetkey-sequence', d.sequence::text,
            'x-valetkey-redelivery', case when d.is_redelivery then 'true' end))) as request,
        case when a.status is not null then
            jsonb_build_object('code', a.status, 'headers', coalesce(a.response_headers, '{}'::jsonb)) end as response,
        jsonb_build_object('attempt', a.number, 'max', greatest(${mostAttempts}::int, a.number), 'waited', round(coalesce(extract(epoch from
            a.started_at - lag(a.started_at + a.duration_ms * interval '1 millisecond') over (partition by a.delivery_id order by a.number)) * 1000, 0)))
            as retry,
        jsonb_build_object('delivery_id', d.id) as meta, a.started_at as created_at,
        a.started_at + a.duration_ms * interval '1 millisecond' as ended_at, a.duration_ms
    from webhook_deliveries d join webhook_delivery_attempts a on a.delivery_id = d.id
    where d.event_id = ${String(operation.meta?.['event_id'])} and d.operation_id = ${operation.id}`;

/** A receiver's URL may hold its password, or a token as a query value. */
export function shownUrl(url: string): string {
    const shown = URL.parse(url);
    if (shown === null) {
        return '';
    }
    shown.username = '';
    shown.password = '';
    shown.hash = '';
    shown.search = [...shown.searchParams.keys()].map((name) => `${encodeURIComponent(name)}=REDACTED`).join('&');
    return shown.href;
}
