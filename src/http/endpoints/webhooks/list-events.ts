/** GET /events: what happened, for backends that were away, or that rather ask than listen. */
import { z } from 'zod';
import * as log from '../../../store/event-log.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import type { Services } from '../../services.ts';
import { EventId, Moment } from './delivery-view.ts';
import { limitOf } from './list-deliveries.ts';

const Event = z.object({
    id: EventId.describe('The `webhook-id` of its deliveries.'),
    type: z.string().meta({ examples: ['auth'] }),
    operation: z.string().meta({ examples: ['creation'] }),
    created_at: z.iso.datetime(),
    sequence: z.int().nullable().describe('Counts the events of a connection; `null` without a connection.'),
    connection_id: z.string().nullable(),
    body: z.record(z.string(), z.unknown()).describe('As its webhooks have it.'),
});

const description = `
In one order, which never changes: no event appears before one that was answered already. Begin with a date, or without \`since\` at the
oldest event that is kept (30 days), and go on with \`next_cursor\`, also after an empty page: whoever does so gets every event, and none twice.

An event appears when everything before it is known, usually at once. Its webhook may arrive earlier; going on after such an
event begins with what is not known to be complete, so some events may come twice. Recognise them by their id.`;

export const listEvents = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/events'],
        tag: 'Webhooks',
        operationId: 'listEvents',
        summary: 'List events, oldest first',
        description: description.trim(),
        authenticate: apiKey(services),
        access: ['environment:webhooks:read'],
        query: z.strictObject({
            since: z
                .union([EventId, Moment])
                .optional()
                .describe('Events after this one (its id, such as `next_cursor`), or created at this time or later.')
                .meta({ examples: ['2026-01-01T00:00:00Z'] }),
            limit: limitOf(100).describe('Events of a page, 1 to 1000.'),
        }),
        answers: {
            200: z.object({
                data: z.array(Event),
                next_cursor: EventId.nullable().describe('`since` of the next call; `null` while there is no event.'),
                has_more: z.boolean().describe('The page is full: ask again at once.'),
            }),
        },
        errors: { 404: ['not_found'] },
        async handle({ query: { since = new Date(0), limit }, principal }) {
            const start = typeof since === 'string' ? { after: since } : { since };
            const page = await log.read(services.database.db, principal.environment!.id, start, limit);
            if (page === undefined) {
                throw ApiError.simple(404, 'not_found', 'There is no such event, or it is not kept any more; give a date.');
            }
            return {
                data: page.events.map((event) => ({
                    id: event.id,
                    type: event.type,
                    operation: event.operation,
                    created_at: event.created_at.toISOString(),
                    sequence: event.sequence,
                    connection_id: event.connection_id,
                    body: JSON.parse(event.body) as Record<string, unknown>,
                })),
                next_cursor: page.end,
                has_more: page.events.length === limit,
            };
        },
    });
