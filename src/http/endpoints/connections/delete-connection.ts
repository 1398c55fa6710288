/** DELETE /connections/:connectionId: the credentials are shredded at once, the id can be used again (http-api §8.6). */
import { z } from 'zod';
import * as connecting from '../../../connect/delete-connection.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { ConnectionId, IntegrationKey, QueryBool } from '../../field-types.ts';
import type { Services } from '../../services.ts';
import { Success } from './success.ts';

const description = `The credentials are destroyed in the same transaction, a renewal under way ends without effect, and the id can be used again. An unknown
connection is 400 \`unknown_connection\`. A webhook is sent to endpoints that ask for \`auth.deletion\`, and to no other.

Afterwards, in the background, the grant is revoked at the provider (RFC 7009) if the catalogue knows where: the refresh token, or the access token if there
is none. It is tried once and never delays or fails the deletion; the operation log says what came of it. If the server dies in between, nothing is revoked.
\`revoke=false\` prevents it for one deletion, \`skipTokenRevocation: true\` in the connection's metadata for that connection.

Some providers (Google, Discord, Xero; \`revocation_ends_all\` in their catalogue entries) end everything that a user has granted to the same OAuth app. There
nothing is revoked while another connection may need the grant: one of any environment whose integration has the same client id and whose end user is the
same, or is not known of either. The operation log then says \`skipped\`, \`possibly_shared_grant\`; the deletion of the last of them revokes.`;

export const deleteConnection = (services: Services) =>
    endpoint({
        method: 'DELETE',
        paths: ['/connections/:connectionId', '/connection/:connectionId'],
        tag: 'Connections',
        summary: 'Delete a connection and its credentials',
        description,
        authenticate: apiKey(services),
        access: ['environment:connections:delete'],
        order: ['params', 'query'],
        params: z.object({ connectionId: ConnectionId }),
        query: z.strictObject({
            provider_config_key: IntegrationKey,
            revoke: QueryBool.default(true).describe('Whether the grant may be revoked at the provider'),
        }),
        answers: { 200: Success },
        errors: { 400: ['unknown_connection'] },
        async handle({ query, params, principal }) {
            const { database, sources, catalogue, revocations, connect } = services;
            const isDeleted = await connecting.deleteConnection(
                { db: database.db, sources, catalogue, revocations },
                {
                    environmentId: principal.environment!.id,
                    integrationKey: query.provider_config_key,
                    connectionId: params.connectionId,
                    mayRevoke: query.revoke,
                },
            );
            if (!isDeleted) {
                throw ApiError.simple(400, 'unknown_connection', 'There is no connection with this id and provider_config_key.');
            }
            connect.wakeDeliveries();
            return { success: true };
        },
    });
