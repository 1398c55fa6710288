/** GET /oauth/callback: where providers send the browser back (http-api §11.4). */
import { describeFailure } from '../../../connect/failed-attempt.ts';
import type { ConnectOutcome } from '../../../store/schema.ts';
import { publicEndpoint } from '../../authentication.ts';
import { anyQuery, endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { leavingHeaders, sendOutcomePage } from '../../outcome-page.ts';
import type { Services } from '../../services.ts';
import { finishRedirectFlow, isInstallationNotice, pageOf, sendInstallationNotice } from './finish-flow.ts';

export const oauthCallback = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/oauth/callback'],
        tag: 'Connecting',
        operationId: 'finishRedirectFlow',
        summary: 'Finish a redirect flow',
        description:
            'Where the provider sends the browser back, with `state` and `code` or an error; the address to register at the provider. The page tells its opener and ' +
            'the socket how it ended, and closes itself after a success; a flow of the Connect UI in the same tab leads back there. It has to be the browser that began the flow. A plugin whose credentials its ' +
            'provider rejects is answered in JSON. Without `state`, but with `installation_id` and `setup_action`, somebody changed an installation at the ' +
            'provider: the page says so, and nothing happens here.',
        answers: { 200: 'text/html', 302: null, 400: 'text/html', 500: 'text/html' },
        errors: { 400: ['connection_test_failed'] },
        authenticate: publicEndpoint,
        access: 'anyone',
        points: 0,
        anyContentType: true,
        isSingleUse: true,
        // Providers add parameters of their own; what is not text counts as absent.
        query: anyQuery,
        // Only what is broken in here comes this way, such as a database that is away; somebody looks at this page all the same.
        onError: async (error, request, reply) => {
            if (error instanceof ApiError) {
                return reply.code(error.status).send(error.body);
            }
            request.log.error({ err: error }, 'an OAuth callback could not be answered');
            const outcome: ConnectOutcome = {
                status: 'error',
                error: { type: 'unknown_err', description: describeFailure(error).description },
                at: new Date(services.sources.now()).toISOString(),
            };
            return sendOutcomePage(reply, outcome, { sources: services.sources, openerOrigin: undefined, status: 500 });
        },
        async handle({ query, request, reply }) {
            if (isInstallationNotice(query)) {
                return sendInstallationNotice(services, reply);
            }
            const { outcome, flow } = await finishRedirectFlow(services, { query, request, reply });
            const page = pageOf(services, flow);
            if (page !== undefined) {
                return reply.headers(leavingHeaders).redirect(page, 302);
            }
            // The page that named the flow learns it from there, and its popup is for a person.
            if (outcome.error?.type === 'connection_test_failed' && !flow?.connect_flow_id) {
                throw ApiError.simple(400, outcome.error.type, outcome.error.description);
            }
            return sendOutcomePage(reply, outcome, { sources: services.sources, openerOrigin: flow?.opener_origin ?? undefined });
        },
    });
