/** POST /connect/telemetry: beacons of the Connect UI, for the log of this instance and nobody else (http-api §4.5). */
import { z } from 'zod';
import { sessionInBody } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { IntegrationKey } from '../../field-types.ts';
import type { Services } from '../../services.ts';

const events = [
    'open',
    'view:list',
    'view:integration',
    'view:unknown_error',
    'view:credentials_error',
    'view:success',
    'click:integration',
    'click:doc',
    'click:doc_section',
    'click:connect',
    'click:close',
    'click:finish',
    'click:outside',
    'popup:blocked_by_browser',
    'popup:closed_early',
] as const;

const furthestMs = 2 * 3600 * 1000;

const timestamp = (services: Services) =>
    z
        .unknown()
        .superRefine((value, context) => {
            const at = typeof value === 'string' || typeof value === 'number' ? new Date(value).getTime() : NaN;
            if (Number.isNaN(at)) {
                context.addIssue({ code: 'invalid_type', expected: 'date', message: 'Expected a date' });
            } else if (Math.abs(at - services.sources.now()) > furthestMs) {
                context.addIssue({ code: 'custom', message: 'More than two hours away from the time of the server' });
            }
        })
        .meta({ type: ['string', 'number'], description: 'Anything that reads as a date, at most two hours away from the server’s time.' });

/** Of the Connect UI, wherever it is served. */
const isOwnOrigin = ({ connectUiUrl, publicUrl }: Services['config'], origin: string): boolean =>
    [connectUiUrl, publicUrl].some((url) => new URL(url).origin === origin);

export const connectTelemetry = (services: Services) =>
    endpoint({
        method: 'POST',
        paths: ['/connect/telemetry'],
        tag: 'Connect sessions',
        operationId: 'recordConnectUiEvent',
        summary: 'Record what happens in the Connect UI',
        description: 'Called by the Connect UI with `sendBeacon`, as `application/json`. Written to the log of the server; never sent anywhere else.',
        authenticate: sessionInBody(services),
        access: 'connect session',
        answers: { 204: null },
        // A beacon sends cookies along, so that a browser accepts no wildcard (§1.9).
        cors: {
            origin: (origin, answer) => answer(null, origin !== undefined && isOwnOrigin(services.config, origin)),
            credentials: true,
            methods: ['POST'],
            allowedHeaders: ['Authorization', 'Content-type'],
            exposedHeaders: ['content-type'],
            maxAge: 36_000,
        },
        body: z.strictObject({
            token: z.string(),
            event: z.enum(events),
            timestamp: timestamp(services),
            dimensions: z.object({ integration: IntegrationKey.optional() }).optional(),
        }),
        handle({ body, principal, reply }) {
            const { id, operation_id, environment_id } = principal.session!;
            services.logger.info(
                {
                    connect_session: id,
                    operation: operation_id,
                    environment: environment_id,
                    event: body.event,
                    integration: body.dimensions?.integration,
                    sent_at: new Date(body.timestamp as string | number).toISOString(),
                },
                'Connect UI event',
            );
            return reply.code(204).send();
        },
    });
