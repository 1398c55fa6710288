/** GET /webhooks/deliveries/:id (W11). */
import { z } from 'zod';
import * as deliveries from '../../../store/webhook-deliveries.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import type { Services } from '../../services.ts';
import { attemptFields, DeliveryId, DeliveryView, deliveryView } from './delivery-view.ts';

export const unknownDelivery = (): ApiError => ApiError.simple(404, 'not_found', 'There is no such delivery, or it is not kept any more.');

export const readDelivery = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/webhooks/deliveries/:id'],
        tag: 'Webhooks',
        operationId: 'getWebhookDelivery',
        summary: 'Read a webhook delivery, its body and its attempts',
        authenticate: apiKey(services),
        access: ['environment:webhooks:read'],
        params: z.object({ id: DeliveryId }),
        answers: {
            200: z.object({
                data: DeliveryView.extend({
                    event_created_at: z.iso.datetime(),
                    body: z.record(z.string(), z.unknown()).describe('As it is sent.'),
                    attempt_log: z.array(z.object({ number: z.int(), ...attemptFields })).describe('Oldest first.'),
                }),
            }),
        },
        errors: { 404: ['not_found'] },
        async handle({ params: { id }, principal }) {
            const row = await deliveries.find(services.database.db, principal.environment!.id, id);
            if (row === undefined) {
                throw unknownDelivery();
            }
            const { log, body, event_created_at: eventCreatedAt } = row;
            return {
                data: {
                    ...deliveryView(row),
                    event_created_at: eventCreatedAt.toISOString(),
                    body: JSON.parse(body) as Record<string, unknown>,
                    attempt_log: log,
                },
            };
        },
    });
