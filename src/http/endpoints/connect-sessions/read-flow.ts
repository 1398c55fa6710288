/** GET /connect/flows/:flowId: how a redirect flow goes on that the caller opened in another window (frontend contract §7.3). */
import { z } from 'zod';
import { flowStates } from '../../../connect/connect-flow.ts';
import { connectSession } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';
import { OutcomeAnswer } from './session-view.ts';

/** Below what proxies wait for an answer. */
const longestWaitSeconds = 25;

export const readConnectFlow = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/connect/flows/:flowId'],
        tag: 'Connect sessions',
        operationId: 'getConnectFlow',
        summary: 'Read how a redirect flow goes on',
        description:
            'For a page that opened `GET /oauth/connect/{providerConfigKey}` with a `flow_id`. `unknown`: no window of this session has opened it yet; `started`: ' +
            'one has; `returned`: the browser came back from the provider; `done`: `outcome` tells how it ended. A flow that is begun later for the same ' +
            'integration ends this one with `superseded`, unless the browser is back already. Can be asked for ten minutes after the session expired.',
        authenticate: connectSession(services, 'watching'),
        access: 'connect session',
        params: z.object({ flowId: z.uuid() }),
        query: z.strictObject({
            wait: z.coerce
                .number()
                .int()
                .min(0)
                .max(longestWaitSeconds)
                .default(0)
                .describe('Seconds to wait for another state, unless the flow has ended.'),
        }),
        answers: { 200: z.strictObject({ data: z.strictObject({ state: z.enum(flowStates), outcome: OutcomeAnswer }) }) },
        noStore: true,
        async handle({ params, query, principal, reply }) {
            const { flowWaits } = services;
            const sessionId = principal.session!.id;
            const flowId = params.flowId.toLowerCase();
            const seen = await flowWaits.status(flowId, sessionId);
            if (seen.state === 'done' || query.wait === 0) {
                return { data: seen };
            }
            const gone = new AbortController();
            reply.raw.once('close', () => gone.abort());
            return { data: await flowWaits.next(flowId, sessionId, seen, query.wait * 1000, gone.signal) };
        },
    });
