/** POST /connect/sessions/reconnect: a session that renews a connection (http-api §4.2). */
import { z } from 'zod';
import { createSession } from '../../../connect/connect-session.ts';
import { mergeTags, renewedTags, unlessTooMany } from '../../../connect/tags.ts';
import * as connections from '../../../store/connections.ts';
import * as integrations from '../../../store/integrations.ts';
import type { ConnectionRow } from '../../../store/schema.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { ConnectionId, EndUser, IntegrationKey, Tags } from '../../field-types.ts';
import type { Services } from '../../services.ts';
import {
    assertNotTooMany,
    assertReferences,
    endUserOf,
    issued,
    IssuedSessionAnswer,
    organizationOf,
    sessionAccess,
    settingsOf,
    sharedFields,
    type SharedBody,
} from './session-request.ts';

export const createReconnectSession = (services: Services) =>
    endpoint({
        method: 'POST',
        creates: true,
        paths: ['/connect/sessions/reconnect'],
        tag: 'Connect sessions',
        operationId: 'createReconnectSession',
        summary: 'Issue a connect session that renews a connection',
        description:
            'Whatever is connected with the token updates that connection. Its metadata stays; so do its tags, its webhook URL and its end user ' +
            'unless the request names new ones, and the members of its configuration that are not given anew. ' +
            '`end_user` or `organization` without `tags` renews the tags that are generated from them and leaves the others alone.',
        authenticate: apiKey(services),
        access: sessionAccess,
        answers: { 201: IssuedSessionAnswer },
        body: z.strictObject({
            connection_id: ConnectionId,
            integration_id: IntegrationKey,
            ...sharedFields(services),
            end_user: EndUser.optional(),
            tags: Tags.optional(),
        }),
        noStore: true,
        async handle({ body, principal, reply }) {
            const environmentId = principal.environment!.id;
            const settings = settingsOf(services, body);
            const connection = await findConnection(services, environmentId, body.integration_id, body.connection_id);
            const { returnUrl } = await assertReferences(services, environmentId, body, []);
            const session = await createSession(services.connect, {
                environmentId,
                allowedIntegrations: [body.integration_id],
                ...settings,
                ...tagsOf(body, connection),
                connectionRowId: connection.id,
                returnUrl,
                isSingleUse: body.single_use ?? false,
            });
            return reply.code(201).send(issued(session));
        },
    });

/** @throws ApiError 400 when the connection would have more than ten */
function tagsOf(body: SharedBody, connection: ConnectionRow): { tags: Record<string, string> | null; keepsTags: boolean } {
    const [endUser, organization] = [endUserOf(body), organizationOf(body)];
    if (endUser === null && organization === null && body.tags === undefined) {
        return { tags: null, keepsTags: false };
    }
    const tags = assertNotTooMany(mergeTags({ endUser, organization, explicit: body.tags }));
    const keepsTags = body.tags === undefined;
    // Counted as the connection is now; it is laid over what the connection has by then.
    assertNotTooMany(unlessTooMany(renewedTags(connection, { tags, keeps_tags: keepsTags, end_user: endUser })));
    return { tags, keepsTags };
}

async function findConnection(services: Services, environmentId: string, integrationKey: string, connectionId: string): Promise<ConnectionRow> {
    const { db } = services.database;
    const integration = await integrations.findByKey(db, environmentId, integrationKey);
    const connection = integration && (await connections.findByKey(db, integration.id, connectionId));
    if (connection === undefined) {
        throw ApiError.simple(400, 'invalid_body', 'There is no connection with this connection_id and integration_id.');
    }
    return connection;
}
