/**
 * POST /webhook/:environmentUuid/:providerConfigKey: what providers send. Here, that an app was installed which a connection
 * waits for; other webhooks are not received, and those of other providers find nothing at this address.
 */
import { z } from 'zod';
import { receiveInstallationWebhook, type WebhookResult } from '../../../connect/installation-webhook.ts';
import * as environments from '../../../store/environments.ts';
import * as integrations from '../../../store/integrations.ts';
import { publicEndpoint } from '../../authentication.ts';
import { anyQuery, endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { IntegrationKey } from '../../field-types.ts';
import type { Services } from '../../services.ts';

/** I6. */
const largestBody = 10 * 1024 * 1024;

const failures: Partial<Record<WebhookResult, () => ApiError>> = {
    'not expected': () => ApiError.simple(404, 'not_found', 'There is nothing at this path.'),
    unsigned: () => ApiError.simple(401, 'webhook_missing_signature', 'The webhook carries no signature.'),
    forged: () => ApiError.simple(401, 'webhook_invalid_signature', 'The signature does not fit the body and the secret of this integration.'),
    // Providers show what failed, and send it again when asked to.
    failed: () => ApiError.simple(502, 'installation_not_completed', 'The provider did not give the credentials of this installation.'),
};

export const receiveInstallation = (services: Services) =>
    endpoint({
        method: 'POST',
        paths: ['/webhook/:environmentUuid/:providerConfigKey'],
        tag: 'Connecting',
        operationId: 'finishAwaitedInstallation',
        summary: 'Finish an installation that a connection waits for',
        description:
            'The webhook URL to register at the provider (`include=webhook` of an integration names it): for apps whose installation an owner has to approve ' +
            '(CUSTOM), and for integrations that are installed on the vendor’s side (`installation: outbound`). The signature is demanded: GitHub’s with the ' +
            'webhook secret of the integration (`custom.webhookSecret`, else the one that `GET /config/{providerConfigKey}` shows), Sentry’s with the client ' +
            'secret. An event that is signed but of no interest here is a 204.',
        answers: { 200: z.object({ status: z.literal('success') }), 204: null },
        errors: {
            401: ['webhook_missing_signature', 'webhook_invalid_signature'],
            404: ['unknown_environment', 'unknown_provider_config', 'not_found'],
            502: ['installation_not_completed'],
        },
        authenticate: publicEndpoint,
        access: 'anyone',
        points: 1,
        keepsRawBody: true,
        bodyLimitBytes: largestBody,
        query: anyQuery,
        params: z.object({ environmentUuid: z.uuid(), providerConfigKey: IntegrationKey }),
        body: z.looseObject({}).optional(),
        async handle({ params, body, request, reply }) {
            const { db } = services.database;
            const environment = await environments.findById(db, params.environmentUuid);
            if (environment === undefined) {
                throw ApiError.simple(404, 'unknown_environment', 'There is no such environment.');
            }
            const integration = await integrations.findByKey(db, environment.id, params.providerConfigKey);
            if (integration === undefined) {
                throw ApiError.simple(404, 'unknown_provider_config', 'There is no integration with this key.');
            }
            const { headers, rawBody } = request;
            const result = await receiveInstallationWebhook(services.connect, { environment, integration, headers, rawBody, body: body ?? {} });
            const failure = failures[result];
            if (failure !== undefined) {
                throw failure();
            }
            return result === 'ignored' ? reply.code(204).send() : { status: 'success' };
        },
    });
