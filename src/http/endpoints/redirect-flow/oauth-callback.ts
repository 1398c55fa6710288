/** GET /oauth/callback: where providers send the browser back (http-api §11.4). */
import { completeCallback } from '../../../connect/callback.ts';
import { describeFailure } from '../../../connect/failed-attempt.ts';
import type { ConnectOutcome } from '../../../store/schema.ts';
import { publicEndpoint } from '../../authentication.ts';
import { anyQuery, endpoint } from '../../endpoint.ts';
import { sendOutcomePage } from '../../outcome-page.ts';
import type { Services } from '../../services.ts';

export const oauthCallback = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/oauth/callback'],
        tag: 'Connecting',
        summary: 'End of a redirect flow',
        authenticate: publicEndpoint,
        access: 'anyone',
        points: 0,
        anyContentType: true,
        isSingleUse: true,
        // Providers add parameters of their own; what is not text counts as absent.
        query: anyQuery,
        // Only what is broken in here comes this way, such as a database that is away; somebody looks at this page all the same.
        onError: async (error, request, reply) => {
            request.log.error({ err: error }, 'an OAuth callback could not be answered');
            const outcome: ConnectOutcome = {
                status: 'error',
                error: { type: 'unknown_err', description: describeFailure(error).description },
                at: new Date(services.sources.now()).toISOString(),
            };
            return sendOutcomePage(reply, outcome, { sources: services.sources, openerOrigin: undefined, status: 500 });
        },
        async handle({ query, request, reply }) {
            const { outcome, flow, cookieName } = await completeCallback(services.connect, {
                query,
                cookies: request.server.parseCookie(request.headers.cookie ?? ''),
            });
            if (cookieName !== undefined) {
                reply.clearCookie(cookieName, { path: '/', secure: services.config.publicUrl.startsWith('https:'), httpOnly: true, sameSite: 'lax' });
            }
            // The socket first: the page closes itself, and with it the client's patience (§1.7 step 10).
            await services.sockets.deliver(flow?.ws_client_id, outcome, flow?.id);
            return sendOutcomePage(reply, outcome, { sources: services.sources, openerOrigin: flow?.opener_origin ?? undefined });
        },
    });
