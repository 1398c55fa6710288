/** GET /logs/stream (O2): the operation log as it happens. */
import { z } from 'zod';
import type { ListedOperation } from '../../../store/operation-listing.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { cursorPattern, mostStreams } from '../../operation-streams.ts';
import { assertAccess } from '../../scopes.ts';
import type { Services } from '../../services.ts';
import { filterFields } from './operation-filter.ts';

const Cursor = z.string().regex(cursorPattern);
const Query = z.strictObject({
    ...filterFields,
    cursor: Cursor.optional().describe('`id` of the last event that was read, to go on after it; what changes from now on when absent'),
});

const mediaType = 'text/event-stream';
const access = ['environment:logs:read'] as const;

export function streamOperations(services: Services) {
    const authenticate = apiKey(services);
    return endpoint({
        method: 'GET',
        paths: ['/logs/stream'],
        tag: 'Logs',
        operationId: 'streamOperations',
        summary: 'Read operations as they open, change and end',
        description:
            'Server-sent events: `event: operation`, its `data` one operation as `GET /logs/operations` shows it, as it is by then: one that ' +
            'changes twice within a second may come once. No operation that changed is left out, and some may come twice; after a break go on ' +
            'with the last `id`, in the header `Last-Event-ID` or in `cursor`. Filters combine with AND. Routine renewals, of level `debug`, are not streamed. About every 15 seconds there is a comment, with an `id` when ' +
            'nothing was sent. The stream ends when its key is deleted or expires and when the server stops, and is cut when nothing is read of it ' +
            `for half a minute. 400 \`invalid_cursor\`: the cursor was given by another database. 429 \`too_many_streams\`: ${mostStreams} of the ` +
            'environment are open at this server.',
        authenticate,
        access,
        query: Query,
        // HEAD would open a stream that nobody reads.
        isSingleUse: true,
        noStore: true,
        answers: { 200: mediaType },
        errors: { 400: ['invalid_cursor'], 429: ['too_many_streams'] },
        async handle({ query: { cursor, ...filter }, principal, request, reply }) {
            const resumed = Cursor.optional().safeParse(request.headers['last-event-id'] || undefined);
            if (!resumed.success) {
                throw ApiError.simple(400, 'invalid_cursor', 'Last-Event-ID is not the id of an event of this stream.');
            }
            const stream = await services.streams.open({
                environmentId: principal.environment!.id,
                // A browser that comes back asks with the URL it began with.
                cursor: resumed.data ?? cursor,
                wants: (operation) => fits(operation, filter),
                async isAllowed() {
                    try {
                        assertAccess((await authenticate.identify(request)).principal, access);
                        return true;
                    } catch (error) {
                        if (error instanceof ApiError) return false;
                        throw error;
                    }
                },
            });
            if (stream === 'too_many_streams') {
                throw ApiError.simple(429, stream, 'As many streams of this environment are open as there may be.', { 'retry-after': '60' });
            }
            if (stream === 'unknown_cursor') {
                throw ApiError.simple(400, 'invalid_cursor', 'The cursor was given by another database; begin without one.');
            }
            // Proxies that collect answers would hold back what is to be seen at once.
            const headers = { 'content-type': mediaType, 'x-accel-buffering': 'no', connection: 'close' };
            return reply.headers(headers).send(stream);
        },
    });
}

type Filter = Omit<z.output<typeof Query>, 'cursor'>;

const fits = (
    { state, type, action, integration_key, connection_id }: ListedOperation,
    { states, types, integrations, connections }: Filter,
): boolean =>
    (states === undefined || states.includes(state)) &&
    (types === undefined || types.includes(type) || types.includes(`${type}:${action}`)) &&
    (integrations === undefined || (integration_key !== null && integrations.includes(integration_key))) &&
    (connections === undefined || (connection_id !== null && connections.includes(connection_id)));
