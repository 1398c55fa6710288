/** POST /connect/sessions: a session for an end user who connects something new (http-api §4.1). */
import { z } from 'zod';
import { createSession } from '../../../connect/connect-session.ts';
import { mergeTags } from '../../../connect/tags.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { EndUser, IntegrationKey, Tags } from '../../field-types.ts';
import type { Services } from '../../services.ts';
import {
    assertNotTooMany,
    assertReferences,
    issued,
    IssuedSessionAnswer,
    organizationOf,
    sessionAccess,
    settingsOf,
    sharedFields,
} from './session-request.ts';

const schemas = (services: Services) => {
    const fields = {
        ...sharedFields(services),
        allowed_integrations: z.array(IntegrationKey).optional().describe('**An empty list is no restriction**, as if it were left out.'),
    };
    return {
        forEndUser: z.strictObject({ ...fields, end_user: EndUser, tags: Tags.optional() }),
        forTags: z.strictObject({ ...fields, end_user: EndUser.optional(), tags: Tags }),
    };
};

export const createConnectSession = (services: Services) => {
    const { forEndUser, forTags } = schemas(services);
    return endpoint({
        method: 'POST',
        creates: true,
        paths: ['/connect/sessions'],
        tag: 'Connect sessions',
        summary: 'Issue a connect session for an end user',
        description:
            'The token lets a browser connect accounts for 30 minutes, as often as it likes unless `single_use` is set. ' +
            'It can read no connection and no credentials. `end_user` may be left out when `tags` is given.',
        authenticate: apiKey(services),
        access: sessionAccess,
        answers: { 201: IssuedSessionAnswer },
        body: forEndUser,
        // Tags may stand in for an end user (§4.1 no. 2).
        otherBodies: [forTags],
        bodyFor: (raw) => (isObject(raw) && 'tags' in raw && !('end_user' in raw) ? forTags : forEndUser),
        noStore: true,
        async handle({ body, principal, reply }) {
            const environmentId = principal.environment!.id;
            const settings = settingsOf(services, body);
            const { returnUrl } = await assertReferences(services, environmentId, body, body.allowed_integrations ?? []);
            const session = await createSession(services.connect, {
                environmentId,
                allowedIntegrations: body.allowed_integrations ?? null,
                ...settings,
                tags: assertNotTooMany(mergeTags({ endUser: settings.endUser, organization: organizationOf(body), explicit: body.tags })),
                keepsTags: false,
                connectionRowId: null,
                returnUrl,
                isSingleUse: body.single_use ?? false,
            });
            return reply.code(201).send(issued(session));
        },
    });
};

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
