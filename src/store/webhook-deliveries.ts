/** Deliveries as callers see them: listed, looked into, sent again (W10, W11). The worker's side is `webhook-outbox.ts`. */
import { sql, type ExpressionBuilder, type ExpressionWrapper, type SqlBool } from 'kysely';
import { jsonArrayFrom } from 'kysely/helpers/postgres';
import { json, type Db } from './database.ts';
import type { Schema, WebhookDeliveryRow } from './schema.ts';
import { openRedeliveries } from './webhook-operations.ts';

export interface DeliveryFilter {
    environmentId: string;
    ids?: readonly string[] | undefined;
    state?: WebhookDeliveryRow['state'] | undefined;
    eventIds?: readonly string[] | undefined;
    connectionId?: string | undefined;
    destination?: WebhookDeliveryRow['destination'] | undefined;
    endpointId?: string | undefined;
    url?: string | undefined;
    /** When the delivery was written: from `since` on, before `until`. */
    since?: Date | undefined;
    until?: Date | undefined;
}

type Tables = Schema & { d: Schema['webhook_deliveries'] };

const listed = [
    'd.id',
    'd.event_id',
    'd.connection_id',
    'd.sequence',
    'd.destination',
    'd.endpoint_id',
    'd.url',
    'd.state',
    'd.attempts',
    'd.next_attempt_at',
    'd.last_status',
    'd.last_error',
    'd.is_redelivery',
    'd.created_at',
    'd.settled_at',
] as const;

/**
 * Newest first, by ids, which begin with their time (UUIDv7): an index per filter holds the page's rows together (migration 0013),
 * and a place in the list is an id, whatever comes and goes.
 * @param before the last id of the page before
 */
export const list = (db: Db, filter: DeliveryFilter, limit: number, before?: string) =>
    db
        .selectFrom('webhook_deliveries as d')
        .innerJoin('webhook_events as e', 'e.id', 'd.event_id')
        .select(listed)
        .select(['e.type as event_type', 'e.operation as event_operation'])
        .where((row) => matches(row, filter, before))
        .orderBy('d.id', 'desc')
        .limit(limit)
        .execute();

export type ListedDelivery = Awaited<ReturnType<typeof list>>[number];

function matches(row: ExpressionBuilder<Tables, 'd'>, filter: DeliveryFilter, before: string | undefined): ExpressionWrapper<Tables, 'd', SqlBool> {
    const { ids, state, eventIds, connectionId, destination, endpointId, url, since, until } = filter;
    const optional = (value: unknown, condition: () => ExpressionWrapper<Tables, 'd', SqlBool>) => (value === undefined ? [] : [condition()]);
    return row.and([
        row('d.environment_id', '=', filter.environmentId),
        ...optional(before, () => row('d.id', '<', before!)),
        ...optional(ids, () => row('d.id', 'in', [...ids!])),
        ...optional(state, () => row('d.state', '=', state!)),
        ...optional(eventIds, () => row('d.event_id', 'in', [...eventIds!])),
        ...optional(connectionId, () => row('d.connection_id', '=', connectionId!)),
        ...optional(destination, () => row('d.destination', '=', destination!)),
        ...optional(endpointId, () => row('d.endpoint_id', '=', endpointId!)),
        ...optional(url, () => row.and([row(sql`md5(d.url)`, '=', sql`md5(${url})`), row('d.url', '=', url!)])),
        // An id is made within the same moment as its row's time; a second is plenty between them.
        ...optional(since, () => row.and([row('d.created_at', '>=', since!), row('d.id', '>=', firstIdAt(since!.getTime() - 1000))])),
        ...optional(until, () => row.and([row('d.created_at', '<', until!), row('d.id', '<', firstIdAt(until!.getTime() + 1000))])),
    ]);
}

/** The lowest UUIDv7 of a millisecond. */
export function firstIdAt(ms: number): string {
    const time = Math.max(0, ms).toString(16).padStart(12, '0');
    return `${time.slice(0, 8)}-${time.slice(8, 12)}-7000-8000-000000000000`;
}

/** One delivery with its event and its attempts, oldest first. */
export const find = (db: Db, environmentId: string, id: string) =>
    db
        .selectFrom('webhook_deliveries as d')
        .innerJoin('webhook_events as e', 'e.id', 'd.event_id')
        .select(listed)
        .select(['e.type as event_type', 'e.operation as event_operation', 'e.created_at as event_created_at', 'e.body'])
        .select((row) =>
            jsonArrayFrom(
                row
                    .selectFrom('webhook_delivery_attempts as a')
                    .select(['a.number', 'a.duration_ms', 'a.status', 'a.error', 'a.resolved_ip', 'a.response_headers', 'a.response_body'])
                    .select(sql<string>`to_char(a.started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`.as('started_at'))
                    .whereRef('a.delivery_id', '=', 'd.id')
                    .orderBy('a.number'),
            ).as('log'),
        )
        .where('d.environment_id', '=', environmentId)
        .where('d.id', '=', id)
        .executeTakeFirst();

export type RepeatableDelivery = Pick<WebhookDeliveryRow, 'id' | 'event_id' | 'destination' | 'endpoint_id' | 'url'>;

/** Not an older one, which has been sent again already. */
const isNewest = (row: ExpressionBuilder<Tables, 'd'>): ExpressionWrapper<Tables, 'd', SqlBool> =>
    row.not(
        row.exists(
            row
                .selectFrom('webhook_deliveries as newer')
                .select('newer.id')
                .whereRef('newer.event_id', '=', 'd.event_id')
                .whereRef('newer.destination', '=', 'd.destination')
                .where((pair) => pair.or([pair('d.destination', '<>', 'endpoint'), pair('newer.endpoint_id', '=', pair.ref('d.endpoint_id'))]))
                .whereRef('newer.id', '>', 'd.id'),
        ),
    );

/**
 * What can be sent again: the newest settled delivery of an event to a destination. One that is pending is going to be sent anyway.
 * In a transaction: whoever else sends again at the same time passes these over. Ask `notRepeated` of them.
 */
export async function lockRepeatable(db: Db, filter: DeliveryFilter, limit: number, before?: string): Promise<RepeatableDelivery[]> {
    return (
        db
            .selectFrom('webhook_deliveries as d')
            .select(['d.id', 'd.event_id', 'd.destination', 'd.endpoint_id', 'd.url'])
            .where((row) => matches(row, filter, before))
            // What is held for a disabled endpoint is sent when that is enabled again.
            .where('d.state', 'not in', ['pending', 'held'])
            .where(isNewest)
            .orderBy('d.id', 'desc')
            .limit(limit)
            .forUpdate()
            .skipLocked()
            .execute()
    );
}

/** Of deliveries that are locked: a statement sees what was committed before it began, and locks what was let go of meanwhile. */
export async function notRepeated(db: Db, locked: readonly RepeatableDelivery[]): Promise<ReadonlySet<string>> {
    if (locked.length === 0) {
        return new Set();
    }
    const ids = locked.map(({ id }) => id);
    const rows = await db.selectFrom('webhook_deliveries as d').select('d.id').where('d.id', 'in', ids).where(isNewest).execute();
    return new Set(rows.map(({ id }) => id));
}

interface Repetition {
    id: string;
    /** The delivery that it repeats. */
    of: string;
    endpoint_id: string | null;
    url: string;
    /** One per event, opened here. */
    operation_id: string;
}

/** W10: a new delivery of the same event, due at once, beside the one that it repeats. */
export async function repeat(db: Db, again: readonly Repetition[], at: Date): Promise<void> {
    await sql`
        with again as (
            select * from jsonb_to_recordset(${json(again)}::jsonb) as given (id uuid, "of" uuid, endpoint_id uuid, url text, operation_id text)
        ), opened as (${openRedeliveries(sql`again`, at)})
        insert into webhook_deliveries (id, event_id, environment_id, destination, endpoint_id, url, state, next_attempt_at, created_at,
            connection_row_id, connection_id, sequence, is_redelivery, operation_id)
        select again.id, d.event_id, d.environment_id, d.destination, again.endpoint_id, again.url, 'pending', ${at}::timestamptz, ${at}::timestamptz,
            d.connection_row_id, d.connection_id, d.sequence, true, again.operation_id
        from again join webhook_deliveries d on d.id = again."of"`.execute(db);
}
