/** GET /webhooks/endpoints and GET /webhooks/endpoints/:id (W18). */
import { z } from 'zod';
import * as endpoints from '../../../store/webhook-endpoints.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import type { Services } from '../../services.ts';
import { EndpointId, EndpointView, endpointView } from './endpoint-view.ts';
import { limitOf } from './list-deliveries.ts';

export const listWebhookEndpoints = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/webhooks/endpoints'],
        tag: 'Webhooks',
        operationId: 'listWebhookEndpoints',
        summary: 'List webhook endpoints',
        description: 'Those of `primary_url` and `secondary_url` included. The signing keys of the environment sign for all of them.',
        authenticate: apiKey(services),
        access: ['environment:webhooks:read'],
        query: z.strictObject({
            limit: limitOf(100).describe('Rows of a page, 1 to 1000.'),
            cursor: EndpointId.optional().describe('`next_cursor` of the page before.'),
        }),
        answers: {
            200: z.object({ data: z.array(EndpointView), next_cursor: EndpointId.nullable().describe('`null`: this is the last page.') }),
        },
        async handle({ query: { limit, cursor }, principal }) {
            const rows = await endpoints.list(services.database.db, principal.environment!.id, limit, cursor);
            return { data: rows.map(endpointView), next_cursor: rows.length === limit ? rows.at(-1)!.id : null };
        },
    });

export const readWebhookEndpoint = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/webhooks/endpoints/:id'],
        tag: 'Webhooks',
        operationId: 'getWebhookEndpoint',
        summary: 'Read a webhook endpoint',
        authenticate: apiKey(services),
        access: ['environment:webhooks:read'],
        params: z.object({ id: EndpointId }),
        answers: { 200: z.object({ data: EndpointView }) },
        errors: { 404: ['not_found'] },
        async handle({ params: { id }, principal }) {
            const row = await endpoints.find(services.database.db, principal.environment!.id, id);
            if (row === undefined) {
                throw ApiError.simple(404, 'not_found', 'This environment has no such webhook endpoint.');
            }
            return { data: endpointView(row) };
        },
    });
