/** POST /webhooks/deliveries/:id/redeliver and POST /webhooks/redeliver (W10). */
import { z } from 'zod';
import * as deliveries from '../../../store/webhook-deliveries.ts';
import { redeliver } from '../../../webhooks/redelivery.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import type { Services } from '../../services.ts';
import { DeliveryId, DeliveryView, deliveryView, EventId, filterFields, filterOf } from './delivery-view.ts';
import { unknownDelivery } from './read-delivery.ts';

const mostAtOnce = 1000;

const what =
    'A new delivery with the event’s id, body and number, and a schedule of its own; each attempt has `X-Valetkey-Redelivery: true`. It goes to the ' +
    'URL that its destination has now, an override to the URL it had.';

export const redeliverOne = (services: Services) =>
    endpoint({
        method: 'POST',
        paths: ['/webhooks/deliveries/:id/redeliver'],
        tag: 'Webhooks',
        operationId: 'redeliverWebhook',
        summary: 'Send a webhook again',
        description:
            `${what} Answers the new delivery. 409 \`conflict\`: it is still pending or held, was sent again already (repeat the newest delivery of the event), or its ` +
            'destination has no URL or is disabled.',
        authenticate: apiKey(services),
        access: ['environment:webhooks:redeliver'],
        params: z.object({ id: DeliveryId }),
        answers: { 200: z.object({ data: DeliveryView }) },
        errors: { 404: ['not_found'], 409: ['conflict'] },
        async handle({ params: { id }, principal }) {
            const { db } = services.database;
            const environmentId = principal.environment!.id;
            const { ids, skipped } = await redeliver(db, services.sources, { environmentId, ids: [id] }, 1);
            if (ids[0] === undefined) {
                throw (await deliveries.find(db, environmentId, id)) === undefined
                    ? unknownDelivery()
                    : ApiError.simple(
                          409,
                          'conflict',
                          skipped > 0
                              ? 'The destination of this delivery has no URL, or is disabled.'
                              : 'This delivery is still pending or held, or there is a newer one of its event to this destination.',
                      );
            }
            services.connect.wakeDeliveries();
            return { data: deliveryView((await deliveries.find(db, environmentId, ids[0]))!) };
        },
    });

export const redeliverMany = (services: Services) =>
    endpoint({
        method: 'POST',
        paths: ['/webhooks/redeliver'],
        tag: 'Webhooks',
        operationId: 'redeliverWebhooks',
        summary: 'Send all webhooks again that fit',
        description:
            `${what} Of several deliveries of an event to one destination the newest counts, and none that is pending, or held for a disabled endpoint: enabling that sends it. Filters combine with AND. At most ` +
            `${mostAtOnce} deliveries are looked at per call, newest first; pass \`next_cursor\` as \`cursor\` to go on.`,
        authenticate: apiKey(services),
        access: ['environment:webhooks:redeliver'],
        body: z
            .strictObject({
                state: z.enum(['delivered', 'dead']).optional(),
                event_ids: z.array(EventId).min(1).max(mostAtOnce).optional(),
                ...filterFields,
                cursor: DeliveryId.optional().describe('`next_cursor` of the call before.'),
            })
            .refine((body) => Object.keys(body).some((name) => name !== 'cursor'), {
                message: 'Name at least one filter',
                when: ({ issues }) => issues.length === 0,
            }),
        answers: {
            200: z.object({
                redelivered: z.int().describe('How many are sent again.'),
                skipped: z.int().describe('How many are not, because their destination has no URL or is disabled.'),
                next_cursor: DeliveryId.nullable().describe('`null`: nothing is left.'),
            }),
        },
        async handle({ body: { cursor, event_ids: eventIds, ...filter }, principal }) {
            const chosen = filterOf(principal.environment!.id, { ...filter, eventIds });
            const { ids, skipped, end } = await redeliver(services.database.db, services.sources, chosen, mostAtOnce, cursor);
            if (ids.length > 0) {
                services.connect.wakeDeliveries();
            }
            return { redelivered: ids.length, skipped, next_cursor: end ?? null };
        },
    });
