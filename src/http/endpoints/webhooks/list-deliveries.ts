/** GET /webhooks/deliveries (W11). */
import { z } from 'zod';
import * as deliveries from '../../../store/webhook-deliveries.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';
import { DeliveryId, DeliveryView, deliveryView, EventId, filterFields, filterOf, StateFilter } from './delivery-view.ts';

export const limitOf = (usual: number) => z.string().regex(/^\d+$/).transform(Number).pipe(z.int().min(1).max(1000)).default(usual);

export const listDeliveries = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/webhooks/deliveries'],
        tag: 'Webhooks',
        operationId: 'listWebhookDeliveries',
        summary: 'List webhook deliveries',
        description:
            'Newest first: one for each event and destination, and one more each time it is sent again. They are kept for 30 days. Filters combine ' +
            'with AND. Pass `next_cursor` as `cursor` for the next page: no delivery that is kept all the while is missed or listed twice.',
        authenticate: apiKey(services),
        access: ['environment:webhooks:read'],
        query: z.strictObject({
            state: StateFilter,
            event_id: EventId.optional(),
            ...filterFields,
            limit: limitOf(100).describe('Rows of a page, 1 to 1000.'),
            cursor: DeliveryId.optional().describe('`next_cursor` of the page before.'),
        }),
        answers: {
            200: z.object({ data: z.array(DeliveryView), next_cursor: DeliveryId.nullable().describe('`null`: this is the last page.') }),
        },
        async handle({ query: { limit, cursor, event_id: eventId, ...filter }, principal }) {
            const eventIds = eventId === undefined ? undefined : [eventId];
            const rows = await deliveries.list(services.database.db, filterOf(principal.environment!.id, { ...filter, eventIds }), limit, cursor);
            return { data: rows.map(deliveryView), next_cursor: rows.length === limit ? rows.at(-1)!.id : null };
        },
    });
