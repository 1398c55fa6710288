/** POST /webhooks/test (W16). */
import { z } from 'zod';
import { openLiveKeys } from '../../../credentials/webhook-signing-keys.ts';
import * as environments from '../../../store/environments.ts';
import * as signingKeys from '../../../store/webhook-signing-keys.ts';
import { loggedAttempt } from '../../../webhooks/attempt.ts';
import { currentTargets } from '../../../webhooks/destinations.ts';
import { sendTestEvent } from '../../../webhooks/test-event.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { judgedUrl } from '../../field-types.ts';
import type { Services } from '../../services.ts';
import { assertWebhookUrl } from '../../webhook-url-policy.ts';
import { environmentGone } from '../environment/settings-refusals.ts';
import { attemptFields, EventId } from './delivery-view.ts';

export const sendTest = (services: Services) =>
    endpoint({
        method: 'POST',
        paths: ['/webhooks/test'],
        tag: 'Webhooks',
        operationId: 'sendTestWebhook',
        summary: 'Send a test event and answer what became of it',
        description:
            'An `auth` event of an invented connection, with `"test": true`, signed like any other. One attempt, at most 20 seconds. It is not stored: neither ' +
            'as an event nor as a delivery, and nothing is sent again. 409 `conflict`: the destination has no URL or is disabled, or there is no key to sign with.',
        authenticate: apiKey(services),
        // Whoever may set a URL could have any URL called.
        access: ['environment:webhooks:write'],
        body: z
            .strictObject({
                destination: z.enum(['primary', 'secondary']).optional(),
                endpoint_id: z.uuid().optional().describe('In place of a destination: any endpoint.'),
                url: judgedUrl((text) => assertWebhookUrl(services, text))
                    .optional()
                    .describe('In place of a destination: any URL that could be set.')
                    .meta({ examples: ['https://hooks.example.com/valetkey'] }),
            })
            .refine(({ destination, endpoint_id, url }) => [destination, endpoint_id, url].filter((given) => given !== undefined).length === 1, {
                message: 'Give a destination, an endpoint or a URL',
                when: ({ issues }) => issues.length === 0,
            })
            .meta({ examples: [{ destination: 'primary' }] }),
        answers: { 200: z.object({ data: z.object({ event_id: EventId, delivered: z.boolean(), ...attemptFields }) }) },
        errors: { 404: ['not_found'], 409: ['conflict'] },
        async handle({ body: { destination, endpoint_id: endpointId, url }, principal }) {
            const { db } = services.database;
            const environment = await environments.findById(db, principal.environment!.id);
            if (environment === undefined) {
                throw environmentGone();
            }
            const target =
                url === undefined
                    ? (await currentTargets(db, environment.id)).find(({ id, role }) =>
                          endpointId === undefined ? role === destination : id === endpointId,
                      )
                    : { id: null, url, follow_redirects: true, own_signing_key: false };
            if (target === undefined) {
                throw ApiError.simple(409, 'conflict', 'The destination has no URL, or is disabled.');
            }
            const owner = { environmentId: environment.id, endpointId: target.own_signing_key ? target.id : null };
            const live = await signingKeys.live(db, owner, new Date(services.sources.now()));
            if (live.length === 0) {
                throw ApiError.simple(409, 'conflict', 'This environment has no webhook signing key.');
            }
            const made = await sendTestEvent(
                services,
                environment,
                { url: target.url, followRedirects: target.follow_redirects },
                await openLiveKeys(services.vault, environment.id, live),
            );
            return {
                data: {
                    event_id: made.id,
                    delivered: made.error === null,
                    ...loggedAttempt(made),
                    started_at: made.startedAt.toISOString(),
                },
            };
        },
    });
