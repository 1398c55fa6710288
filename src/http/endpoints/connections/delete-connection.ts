/** DELETE /connections/:connectionId: the credentials are shredded at once, the id can be used again. */
import { z } from 'zod';
import * as connections from '../../../store/connections.ts';
import * as integrations from '../../../store/integrations.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { ConnectionId, IntegrationKey } from '../../field-types.ts';
import type { Services } from '../../services.ts';

export const deleteConnection = (services: Services) =>
    endpoint({
        method: 'DELETE',
        paths: ['/connections/:connectionId', '/connection/:connectionId'],
        tag: 'Connections',
        summary: 'Delete a connection and its credentials',
        authenticate: apiKey(services),
        access: ['environment:connections:delete'],
        order: ['params', 'query'],
        params: z.object({ connectionId: ConnectionId }),
        query: z.strictObject({ provider_config_key: IntegrationKey }),
        async handle({ query, params, principal }) {
            const { db } = services.database;
            const integration = await integrations.findByKey(db, principal.environment!.id, query.provider_config_key);
            const isDeleted =
                integration !== undefined && (await connections.remove(db, integration.id, params.connectionId, new Date(services.sources.now())));
            if (!isDeleted) {
                throw ApiError.simple(400, 'unknown_connection', 'There is no connection with this id and provider_config_key.');
            }
            return { success: true };
        },
    });
