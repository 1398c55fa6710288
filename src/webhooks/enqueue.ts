/** Adds an event to the outbox: its id, its exact bytes, and a delivery for each destination that wants it. */
import { newRowId, type Sources } from '../sources.ts';
import type { Db } from '../store/database.ts';
import { newOperationId } from '../store/operations.ts';
import type { PostConnectionStatus } from '../store/schema.ts';
import * as endpoints from '../store/webhook-endpoints.ts';
import * as outbox from '../store/webhook-outbox.ts';
import { isOptIn, type EventKind } from './event-kinds.ts';

export interface OutgoingEvent {
    kind: EventKind;
    environmentId: string;
    /** What the event is about; `null` when it left no connection. */
    connectionRowId: string | null;
    connectionId: string | null;
    urlOverride: string | null;
    providerConfigKey: string;
    type: string;
    operation: string;
    /** What the connection lacks at this moment (A5). */
    postConnectionStatus?: PostConnectionStatus | null;
    payload: Record<string, unknown>;
}

/**
 * @returns the event's id; `undefined` when its environment does not want it. What every receiver knows is kept without a
 * destination too, so that a backend may live from `GET /events` alone.
 */
export async function enqueue(db: Db, sources: Sources, event: OutgoingEvent): Promise<string | undefined> {
    const destinations = await destinationsOf(db, event);
    if (destinations === undefined || (destinations.length === 0 && isOptIn(event.kind))) {
        return undefined;
    }
    const at = new Date(sources.now());
    const id = newEventId(sources);
    await outbox.insertEvent(db, {
        id,
        environment_id: event.environmentId,
        connection_row_id: event.connectionRowId,
        connection_id: event.connectionId,
        type: event.type,
        operation: event.operation,
        post_connection_status: event.postConnectionStatus ?? null,
        body: stableJson(event.payload),
        created_at: at,
    });
    if (destinations.length === 0) {
        return id;
    }
    await outbox.insertDeliveries(
        db,
        destinations.map((target) => ({
            id: newRowId(sources),
            event_id: id,
            environment_id: event.environmentId,
            ...target,
            state: 'pending' as const,
            next_attempt_at: at,
            created_at: at,
        })),
        {
            id: newOperationId(sources),
            environmentId: event.environmentId,
            action: actions[event.kind] ?? event.kind,
            eventId: id,
            providerConfigKey: event.providerConfigKey,
            connectionRowId: event.connectionRowId,
            connectionId: event.connectionId,
        },
    );
    return id;
}

/** §1.9, in the operation log. The kinds that the reference does not have are called what endpoints call them. */
const actions: Partial<Record<EventKind, string>> = {
    'auth.creation': 'connection_create',
    'auth.override': 'connection_refresh',
    'auth.refresh': 'connection_refresh',
};

type Target = Pick<outbox.NewDelivery, 'destination' | 'endpoint_id' | 'url'>;

/**
 * §1.2: a connection's own URL takes the place of all endpoints, for the kinds that every receiver knows; the others go to the
 * endpoints that name them, and nowhere else. §1.3: creations and failed renewals have a switch each, `override` has none.
 */
async function destinationsOf(db: Db, { kind, environmentId, urlOverride }: OutgoingEvent): Promise<Target[] | undefined> {
    const settings = await endpoints.subscribersTo(db, environmentId, kind);
    if (
        settings === undefined ||
        (kind === 'auth.creation' && !settings.on_auth_creation) ||
        (kind === 'auth.refresh' && !settings.on_auth_refresh_error)
    ) {
        return undefined;
    }
    if (urlOverride && !isOptIn(kind)) {
        return [{ destination: 'override', endpoint_id: null, url: urlOverride }];
    }
    // A disabled one gets its delivery too: the worker holds it (W9).
    return settings.endpoints.map(({ id, role, url }) => ({ destination: role ?? 'endpoint', endpoint_id: id, url }));
}

/** Compact JSON with keys in ascending order at every level, so that a body is one sequence of bytes. */
export function stableJson(value: unknown): string {
    return JSON.stringify(value, (_key, member: unknown) =>
        typeof member === 'object' && member !== null && !Array.isArray(member)
            ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
            : member,
    );
}

const crockford = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** W3: `msg_` and a ULID: 48 bits of time, 80 of chance, in Crockford's base 32. */
export function newEventId(sources: Sources): string {
    const time = Buffer.alloc(6);
    time.writeUIntBE(sources.now(), 0, 6);
    let rest = BigInt(`0x${Buffer.concat([time, sources.random(10)]).toString('hex')}`);
    let text = '';
    for (let digit = 0; digit < 26; digit += 1) {
        text = crockford[Number(rest & 31n)] + text;
        rest >>= 5n;
    }
    return `msg_${text}`;
}
