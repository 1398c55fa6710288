/** GET /logs/operations, /logs/operations/:id, /logs/operations/:id/messages (O2). */
import { z } from 'zod';
import * as listing from '../../../store/operation-listing.ts';
import { mostAttempts } from '../../../webhooks/retry-schedule.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import type { Services } from '../../services.ts';
import { LogLevel, Message, messageView, Operation, operationView } from './log-view.ts';
import { filterFields, listOf } from './operation-filter.ts';

const dayMs = 24 * 3600 * 1000;

const Limit = z.string().transform(Number).pipe(z.int().min(1).max(500)).default(100).describe('Rows of a page, 1 to 500; 100 when absent');
const Search = z.string().min(1).max(256).optional().describe('Part of the message, in any letter case');
const OperationId = z.string().regex(/^\d{1,14}_[0-9a-z]{1,32}$/);

const Query = z.strictObject({
    ...filterFields,
    search: Search.describe('Part of the message in any letter case, or exactly an operation’s or a connection’s id'),
    from: z.iso.datetime({ offset: true }).optional().describe('Begun at or after; a day before `to` when absent'),
    to: z.iso.datetime({ offset: true }).optional().describe('Begun before; now when absent'),
    limit: Limit,
    cursor: OperationId.optional().describe('`pagination.cursor` of the page before'),
});

export const listOperations = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/logs/operations'],
        tag: 'Logs',
        operationId: 'listOperations',
        summary: 'List operations',
        description:
            'Newest first: connect attempts, renewals, deletions, hooks, webhooks. Filters combine with AND. Of one connection it is its timeline. ' +
            'Without a period it is the last 24 hours; operations are kept for 15 days. Routine renewals have the level `debug`.',
        authenticate: apiKey(services),
        access: ['environment:logs:read'],
        query: Query,
        answers: { 200: z.object({ data: z.array(Operation), pagination: z.object({ cursor: z.string().nullable() }) }) },
        async handle({ query: { from, to, limit, cursor, ...filter }, principal }) {
            const end = to === undefined ? new Date(services.sources.now() + 1) : new Date(to);
            const period = { from: from === undefined ? new Date(end.getTime() - dayMs) : new Date(from), to: end };
            const rows = await listing.list(services.database.db, { environmentId: principal.environment!.id, ...filter, ...period }, limit, cursor);
            return { data: rows.map(operationView), pagination: { cursor: rows.length === limit ? rows.at(-1)!.id : null } };
        },
    });

async function found({ database }: Services, environmentId: string, id: string): Promise<listing.ListedOperation> {
    const row = await listing.find(database.db, environmentId, id);
    if (row === undefined) {
        throw ApiError.simple(404, 'not_found', 'There is no operation with this id.');
    }
    return row;
}

const Params = z.strictObject({ operationId: z.string().max(100) });

export const readOperation = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/logs/operations/:operationId'],
        tag: 'Logs',
        operationId: 'getOperation',
        summary: 'Read an operation',
        description: 'Among others the one that a `log_id` in the `errors` of a connection names.',
        authenticate: apiKey(services),
        access: ['environment:logs:read'],
        params: Params,
        answers: { 200: z.object({ data: Operation }) },
        errors: { 404: ['not_found'] },
        handle: async ({ params, principal }) => ({ data: operationView(await found(services, principal.environment!.id, params.operationId)) }),
    });

export const listMessages = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/logs/operations/:operationId/messages'],
        tag: 'Logs',
        operationId: 'listOperationMessages',
        summary: 'List the messages of an operation',
        description: 'What happened, step by step, oldest first; of a webhook, each attempt. A routine renewal has none.',
        authenticate: apiKey(services),
        access: ['environment:logs:read'],
        params: Params,
        query: z.strictObject({
            levels: listOf(LogLevel).optional().describe('Separated by commas: any of them'),
            search: Search,
            limit: Limit,
            cursor: z
                .string()
                .regex(/^\d{1,15}$/)
                .optional()
                .describe('`pagination.cursor` of the page before'),
        }),
        answers: { 200: z.object({ data: z.array(Message), pagination: z.object({ cursor: z.string().nullable() }) }) },
        errors: { 404: ['not_found'] },
        async handle({ params, query: { limit, cursor, ...filter }, principal }) {
            const operation = await found(services, principal.environment!.id, params.operationId);
            const chosen = { ...filter, after: Number(cursor ?? 0), mostAttempts };
            const rows = await listing.listMessages(services.database.db, operation, chosen, limit);
            return { data: rows.map(messageView), pagination: { cursor: rows.length === limit ? String(rows.at(-1)!.id) : null } };
        },
    });
