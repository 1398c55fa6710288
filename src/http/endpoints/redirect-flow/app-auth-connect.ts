/** GET /app-auth/connect: where a GitHub App's installation page sends the browser back (http-api §11.6). */
import { describeFailure } from '../../../connect/failed-attempt.ts';
import type { ConnectOutcome } from '../../../store/schema.ts';
import { publicEndpoint } from '../../authentication.ts';
import { anyQuery, endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { leavingHeaders, sendOutcomePage } from '../../outcome-page.ts';
import type { Services } from '../../services.ts';
import { finishRedirectFlow, isText, pageOf, sendInstallationNotice } from './finish-flow.ts';

/** Failures that the contract answers in JSON. */
const jsonTypes = new Set(['unknown_provider_config', 'invalid_auth_mode', 'wrong_auth_mode']);

export const appAuthConnect = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/app-auth/connect'],
        tag: 'Connecting',
        operationId: 'finishAppInstallation',
        summary: 'Finish the installation of an app',
        description:
            'The setup URL to register at a GitHub App that is connected in the auth mode APP. GitHub adds `installation_id`, `setup_action` and the `state` that ' +
            'it was given. As at `/oauth/callback`, it has to be the browser that began the flow, and a page says how it ended. Without `state`, but with a ' +
            '`setup_action` of `install` or `update`, somebody changed an installation at GitHub: the page says so, and nothing happens here.',
        answers: { 200: 'text/html', 302: null, 400: 'text/html', 404: 'text/html', 500: 'text/html' },
        errors: { 400: [...jsonTypes] },
        authenticate: publicEndpoint,
        access: 'anyone',
        points: 0,
        anyContentType: true,
        isSingleUse: true,
        query: anyQuery,
        onError: async (error, request, reply) => {
            if (error instanceof ApiError) {
                return reply.code(error.status).send(error.body);
            }
            request.log.error({ err: error }, 'an installation could not be answered');
            return sendOutcomePage(reply, failure(services, 'unknown_err', describeFailure(error).description), {
                sources: services.sources,
                openerOrigin: undefined,
                status: 500,
            });
        },
        async handle({ query, request, reply }) {
            const isChange = query['setup_action'] === 'install' || query['setup_action'] === 'update';
            if (!isText(query['state']) && isChange) {
                return sendInstallationNotice(services, reply);
            }
            // The state alone names the flow here; other parameters that may do so elsewhere are the provider's.
            const { payload: _payload, customField: _customField, ...own } = query as Record<string, unknown>;
            const { outcome, flow } = await finishRedirectFlow(services, { query: own, request, reply }, 'APP');
            const type = outcome.error?.type;
            const page = pageOf(services, flow);
            if (page !== undefined) {
                return reply.headers(leavingHeaders).redirect(page, 302);
            }
            if (outcome.error !== undefined && jsonTypes.has(outcome.error.type) && !flow?.connect_flow_id) {
                throw ApiError.legacy(400, outcome.error.type, outcome.error.description);
            }
            return sendOutcomePage(reply, outcome, {
                sources: services.sources,
                openerOrigin: flow?.opener_origin ?? undefined,
                ...(type === 'invalid_oauth_state' ? { status: 404 } : {}),
            });
        },
    });

const failure = ({ sources }: Services, type: string, description: string): ConnectOutcome => ({
    status: 'error',
    error: { type, description },
    at: new Date(sources.now()).toISOString(),
});
