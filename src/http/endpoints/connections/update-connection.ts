/** PATCH /connections/:connectionId: who it belongs to, its tags, and where its webhooks go (http-api §8.5). */
import { z } from 'zod';
import { changeConnection, type ChangeResult } from '../../../connect/change-connection.ts';
import type { EndUser as StoredEndUser } from '../../../store/schema.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { ConnectionId, EndUser, IntegrationKey, Tags, webhookUrl } from '../../field-types.ts';
import type { Services } from '../../services.ts';
import { assertWebhookUrl } from '../../webhook-url-policy.ts';
import { Success } from './success.ts';

const description = `What is not given stays as it is, and \`{}\` changes nothing.

- \`tags\` replaces all tags, \`{}\` removes them. Together with \`end_user\`, the tags generated from it are added.
- \`end_user\` alone replaces the end user, its organization included, and the tags that were generated from the one before; all other tags stay.
- \`webhook_url_override: ""\` removes the override.

More than ten tags in the end are 400 \`invalid_body\`, and nothing is written. An unknown integration is 400 \`unknown_provider_config\`, an unknown connection
404 \`not_found\`. No webhook is sent, and \`updated_at\` stays.`;

export const updateConnection = (services: Services) =>
    endpoint({
        method: 'PATCH',
        paths: ['/connections/:connectionId'],
        tag: 'Connections',
        summary: 'Change the end user, tags or webhook URL of a connection',
        description,
        authenticate: apiKey(services),
        access: ['environment:connections:update'],
        order: ['query', 'body', 'params'],
        query: z.strictObject({ provider_config_key: IntegrationKey }),
        body: z.strictObject({
            end_user: EndUser.optional(),
            tags: Tags.optional(),
            webhook_url_override: webhookUrl((text) => assertWebhookUrl(services, text)).optional(),
        }),
        params: z.object({ connectionId: ConnectionId }),
        answers: { 200: Success },
        errors: { 400: ['unknown_provider_config'], 404: ['not_found'] },
        async handle({ query, body, params, principal }) {
            const result = await changeConnection(
                services.database.db,
                { environmentId: principal.environment!.id, integrationKey: query.provider_config_key, connectionId: params.connectionId },
                {
                    tags: body.tags,
                    endUser: body.end_user && stored(body.end_user),
                    webhookUrlOverride: body.webhook_url_override === '' ? null : body.webhook_url_override,
                },
            );
            if (result !== 'changed') {
                throw refusals[result]();
            }
            return { success: true };
        },
    });

const refusals: Record<Exclude<ChangeResult, 'changed'>, () => ApiError> = {
    unknown_integration: () => ApiError.simple(400, 'unknown_provider_config', 'There is no integration with this provider_config_key.'),
    unknown_connection: () => ApiError.simple(404, 'not_found', 'There is no connection with this id.'),
    too_many_tags: () => ApiError.simple(400, 'invalid_body', 'These would be more than 10 tags, together with those generated from the end user.'),
};

const stored = (endUser: z.output<typeof EndUser>): StoredEndUser => ({
    id: endUser.id,
    email: endUser.email ?? null,
    display_name: endUser.display_name ?? null,
    tags: endUser.tags ?? null,
    organization: null,
});
