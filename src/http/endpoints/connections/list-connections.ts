/** GET /connections: without credentials, newest first. */
import { z } from 'zod';
import { list, type ListingFilter, type Start } from '../../../store/connection-listing.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { Tags } from '../../field-types.ts';
import { Cursor, linkToNext } from '../../list-cursor.ts';
import { ListedConnection, listText } from '../../listed-connection.ts';
import { PageMemory } from '../../page-memory.ts';
import type { Services } from '../../services.ts';

const mostWithoutLimit = 10_000;

/** JavaScript's number conversion, as the reference has it: `1e2` is 100, blank is 0. */
const number = z.string().transform(Number).pipe(z.int());

const Query = z
    .strictObject({
        connectionId: z.string().min(1).max(255).optional().describe('Exactly this id; several integrations may share it'),
        search: z
            .string()
            .min(1)
            .max(255)
            .optional()
            .describe(
                'Part of the connection id, of the display name or email of the end user, or of the tags `end_user_id`, `end_user_email`, ' +
                    '`end_user_display_name`; in any letter case, and without wildcards',
            ),
        endUserId: z.string().min(1).max(255).optional().describe('Id of the end user, which is not the tag `end_user_id`'),
        endUserOrganizationId: z.string().min(1).max(255).optional().describe('Id of the organization of the end user'),
        integrationId: z.string().min(1).optional().describe('Unique keys of integrations, separated by commas: any of them'),
        tags: Tags.optional().describe('`tags[name]=value`: all of them'),
        limit: number
            .pipe(z.int().min(1).max(2000))
            .optional()
            .describe(`Rows of a page, 1 to 2000; ${mostWithoutLimit.toLocaleString('en')} when absent`),
        page: number.pipe(z.int().min(0)).optional().describe('Counted from 0'),
        cursor: Cursor.optional().describe('From the `Link` header of the page before; in place of `page`'),
    })
    .superRefine(({ page, cursor }, context) => {
        if (page !== undefined && cursor !== undefined) {
            context.addIssue({ code: 'custom', message: 'Give a page or a cursor, not both', path: ['cursor'] });
        }
    });

const description = `
Newest first. Filters combine with AND; what is unknown matches nothing. Credentials are never listed, whichever list scope the key has.

A full page carries \`Link: <?…>; rel="next"\`, relative to the URL of the request, whose \`cursor\` continues behind the last row of
the page. Walking by \`cursor\`, no connection that exists all the while is missed or listed twice, whatever is created and deleted
meanwhile, and whichever replica answers.

Walking by \`page\` promises the same as long as one process answers, one walk at a time uses this API key with these filters and
this \`limit\`, and no more than five minutes lie between two pages. Otherwise pages are counted in rows from the newest, so that a
connection which appears or goes between two pages shifts those that follow.`;

export const listConnections = (services: Services) => {
    const memory = new PageMemory(services.sources);
    return endpoint({
        method: 'GET',
        paths: ['/connections', '/connection'],
        tag: 'Connections',
        summary: 'List connections',
        description: description.trim(),
        authenticate: apiKey(services),
        access: ['environment:connections:list', 'environment:connections:list_credentials'],
        query: Query,
        answers: { 200: z.object({ connections: z.array(ListedConnection) }) },
        async handle({ query, principal, request, reply }) {
            const filter = filterOf(principal.environment!.id, query);
            const limit = query.limit ?? mostWithoutLimit;
            const page = query.page ?? 0;
            const walk = memory.walk(principal.keyId, filter, limit);
            const start: Start = query.cursor ? { after: query.cursor } : startOf(memory, walk, page, limit);

            const rows = await list(services.database.db, filter, limit, start);
            const last = rows.at(-1);
            // an empty page ends where it began
            const end = last ? { created: last.created, id: last.public_id } : 'after' in start ? start.after : undefined;
            if (query.cursor === undefined) {
                memory.served(walk, page, end);
            }
            if (end !== undefined && rows.length === limit) {
                reply.header('link', linkToNext(request.url, end));
            }
            reply.type('application/json; charset=utf-8');
            return listText(rows);
        },
    });
};

/** Behind the page before, if this process remembers where it ended; else behind so many rows. */
function startOf(memory: PageMemory, walk: string, page: number, limit: number): Start {
    const before = page === 0 ? undefined : memory.endOf(walk, page - 1);
    // far beyond any table, and within Postgres' bigint
    return before ? { after: before } : { offset: Math.min(page * limit, Number.MAX_SAFE_INTEGER) };
}

/** In one order, whatever the order in which the caller names its tags and integrations. */
const filterOf = (environmentId: string, query: z.output<typeof Query>): ListingFilter => ({
    environmentId,
    connectionId: query.connectionId,
    search: query.search,
    endUserId: query.endUserId,
    endUserOrganizationId: query.endUserOrganizationId,
    integrationKeys: query.integrationId === undefined ? undefined : keysOf(query.integrationId),
    tags: query.tags && Object.fromEntries(Object.entries(query.tags).toSorted(([a], [b]) => (a < b ? -1 : 1))),
});

const keysOf = (list: string): string[] => [...new Set(list.split(',').map((key) => key.trim()))].toSorted();
