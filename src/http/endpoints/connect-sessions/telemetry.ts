/** POST /connect/telemetry: beacons of the Connect UI, for the attempt's operation and nobody else (http-api §4.5). */
import { z } from 'zod';
import * as operations from '../../../store/operations.ts';
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

/** §3.8 of the frontend contract. */
const isTrouble = (event: (typeof events)[number]): boolean => /^popup:|^view:(?:unknown|credentials)_error$/.test(event);

/** Enough to tell browser and system by. */
const longestUserAgent = 300;

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
function isOwnOrigin({ connectUiUrl, connectUi, publicUrl }: Services['config'], origin: string): boolean {
    const ownPort = new URL(publicUrl);
    ownPort.port = String(connectUi.port ?? ownPort.port);
    return [connectUiUrl, publicUrl, ownPort].some((url) => new URL(url).origin === origin);
}

export const connectTelemetry = (services: Services) =>
    endpoint({
        method: 'POST',
        paths: ['/connect/telemetry'],
        tag: 'Connect sessions',
        operationId: 'recordConnectUiEvent',
        summary: 'Record what happens in the Connect UI',
        description:
            'Called by the Connect UI with `sendBeacon`, as `application/json`. Becomes a message of the session’s operation; never sent anywhere else.',
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
        async handle({ body, principal, request, reply }) {
            const { operation_id } = principal.session!;
            const integration = body.dimensions?.integration;
            if (operation_id !== null) {
                await operations.sayFromBrowser(services.database.db, operation_id, {
                    level: isTrouble(body.event) ? 'error' : 'info',
                    message: `Connect UI: ${body.event}`,
                    meta: {
                        event: body.event,
                        sent_at: new Date(body.timestamp as string | number).toISOString(),
                        ...(integration === undefined ? {} : { integration }),
                        ...(body.event === 'open' ? { user_agent: request.headers['user-agent']?.slice(0, longestUserAgent) } : {}),
                    },
                    at: new Date(services.sources.now()),
                });
            }
            return reply.code(204).send();
        },
    });
