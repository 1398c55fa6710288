/** GET /connections: without credentials, newest first. */
import { z } from 'zod';
import * as connections from '../../../store/connections.ts';
import { apiKey } from '../../authentication.ts';
import { activeErrors, offsetDate } from '../../connection-view.ts';
import { endpoint } from '../../endpoint.ts';
import { Tags } from '../../field-types.ts';
import type { Services } from '../../services.ts';

const mostWithoutLimit = 10_000;

/** JavaScript's number conversion, as the reference has it: `1e2` is 100, blank is 0. */
const number = z.string().transform(Number).pipe(z.int());

const Query = z.strictObject({
    connectionId: z.string().min(1).max(255).optional(),
    search: z.string().min(1).max(255).optional(),
    endUserId: z.string().min(1).max(255).optional(),
    endUserOrganizationId: z.string().min(1).max(255).optional(),
    integrationId: z.string().min(1).optional(),
    tags: Tags.optional(),
    limit: number.pipe(z.int().min(1).max(2000)).optional(),
    page: number.pipe(z.int().min(0)).default(0),
});

export const listConnections = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/connections', '/connection'],
        tag: 'Connections',
        summary: 'Connections of the environment',
        authenticate: apiKey(services),
        access: ['environment:connections:list', 'environment:connections:list_credentials'],
        query: Query,
        async handle({ query, principal }) {
            const limit = query.limit ?? mostWithoutLimit;
            const rows = await connections.list(services.database.db, {
                environmentId: principal.environment!.id,
                connectionId: query.connectionId,
                search: query.search,
                endUserId: query.endUserId,
                endUserOrganizationId: query.endUserOrganizationId,
                integrationKeys: query.integrationId?.split(',').map((key) => key.trim()),
                tags: query.tags,
                limit,
                // far beyond any table, and within Postgres' bigint
                offset: Math.min(query.page * limit, Number.MAX_SAFE_INTEGER),
            });
            return {
                connections: rows.map((row) => ({
                    id: row.public_id,
                    connection_id: row.connection_id,
                    provider: row.provider,
                    provider_config_key: row.provider_config_key,
                    created: offsetDate(row.created_at),
                    metadata: row.metadata,
                    tags: row.tags,
                    errors: activeErrors(row),
                    end_user: row.end_user,
                })),
            };
        },
    });
