/** Webhook deliveries as the API shows them, and how callers choose among them (W10, W11). */
import { z } from 'zod';
import type { DeliveryFilter, ListedDelivery } from '../../../store/webhook-deliveries.ts';

export const DeliveryId = z.uuid().meta({ examples: ['019d3f0e-5a7c-7cc1-9a35-0d0f6a3c2b11'] });
export const EventId = z
    .string()
    .regex(/^msg_[0-9A-HJKMNP-TV-Z]{26}$/)
    .meta({ examples: ['msg_01KDVDNQ80ZQ6V2J6D2Y2W7R4T'] });

export const Moment = z.iso.datetime({ offset: true, abort: true }).transform((text) => new Date(text));

export const Destination = z.enum(['primary', 'secondary', 'override', 'endpoint']);
const State = z.enum(['pending', 'delivered', 'dead', 'held']);

/** What deliveries are chosen by, beside their states and events. */
export const filterFields = {
    connection_id: z.string().min(1).max(255).optional().describe('Of the connection that the event is about.'),
    destination: Destination.optional().describe('`override`: the URL of a single connection.'),
    endpoint_id: z.uuid().optional().describe('Of the endpoint that it goes to.'),
    url: z
        .string()
        .min(1)
        .max(10_000)
        .optional()
        .describe('Exactly this URL.')
        .meta({ examples: ['https://hooks.example.com/valetkey'] }),
    since: Moment.optional().describe('Deliveries that were written then or later.'),
    until: Moment.optional().describe('Deliveries that were written before.'),
};
export const StateFilter = State.optional();

export const filterOf = (
    environmentId: string,
    {
        connection_id,
        endpoint_id,
        ...rest
    }: { connection_id?: string | undefined; endpoint_id?: string | undefined } & Omit<
        DeliveryFilter,
        'environmentId' | 'connectionId' | 'endpointId'
    >,
): DeliveryFilter => ({ ...rest, environmentId, connectionId: connection_id, endpointId: endpoint_id });

const Time = z.iso.datetime();

export const DeliveryView = z.object({
    id: DeliveryId,
    event_id: EventId.describe('The `webhook-id` of each attempt, the same for every destination and when sent again.'),
    type: z.string().meta({ examples: ['auth'] }),
    operation: z.string().meta({ examples: ['creation'] }),
    connection_id: z.string().nullable(),
    sequence: z.int().nullable().describe('Counts the events of a connection; `null` without a connection.'),
    destination: Destination,
    endpoint_id: z.uuid().nullable().describe('`null`: the URL of a single connection.'),
    url: z.string().meta({ examples: ['https://hooks.example.com/valetkey'] }),
    state: State.describe('`dead`: given up. `held`: its endpoint is disabled.'),
    attempts: z.int(),
    next_attempt_at: Time.nullable(),
    last_status: z.int().nullable().describe('Of the last answer; `null` when there was none.'),
    last_error: z
        .string()
        .nullable()
        .describe('`http_<status>`, or why there was no answer: `blocked_by_policy`, `dns_failure`, `connection_failed`, `deadline_exceeded`, …')
        .meta({ examples: ['http_503'] }),
    is_redelivery: z.boolean().describe('Somebody asked for it to be sent again.'),
    created_at: Time,
    settled_at: Time.nullable(),
});

export const deliveryView = (row: ListedDelivery): z.output<typeof DeliveryView> => ({
    id: row.id,
    event_id: row.event_id,
    type: row.event_type,
    operation: row.event_operation,
    connection_id: row.connection_id,
    sequence: row.sequence,
    destination: row.destination,
    endpoint_id: row.endpoint_id,
    url: row.url,
    state: row.state,
    attempts: row.attempts,
    next_attempt_at: row.next_attempt_at?.toISOString() ?? null,
    last_status: row.last_status,
    last_error: row.last_error,
    is_redelivery: row.is_redelivery,
    created_at: row.created_at.toISOString(),
    settled_at: row.settled_at?.toISOString() ?? null,
});

/** What one attempt came to, in the log and of a test event. */
export const attemptFields = {
    started_at: Time,
    duration_ms: z.int().meta({ examples: [87] }),
    status: z.int().nullable().describe('`null`: there was no answer.'),
    error: z.string().nullable().describe('`null`: accepted.'),
    resolved_ip: z
        .string()
        .nullable()
        .describe('The address that the request was sent to.')
        .meta({ examples: ['203.0.113.7'] }),
    response_headers: z.record(z.string(), z.string()).nullable().describe('Those of an allow-list, none of which carries secrets.'),
    response_body: z.string().nullable().describe('The first 4 KB as text.'),
};
