/** GET /connect-ui and its assets: the page on which a person connects an account (frontend contract §2.1). */
import { z } from 'zod';
import { publicEndpoint } from '../../authentication.ts';
import { anyQuery, endpoint, type Endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';

const shared = {
    method: 'GET',
    tag: 'Connect sessions',
    authenticate: publicEndpoint,
    access: 'anyone',
    anyContentType: true,
    query: anyQuery,
    // From memory, for people who may all come from one address.
    points: 0,
} as const;

/** None where the Connect UI is switched off. */
export const connectUiEndpoints = (services: Services): Endpoint[] => (services.connectUi === undefined ? [] : [document(services), asset(services)]);

const document = ({ connectUi }: Services) =>
    endpoint({
        ...shared,
        paths: ['/connect-ui'],
        operationId: 'getConnectUi',
        summary: 'Get the Connect UI',
        description:
            'The page that `connect_link` of a session leads to, and that the official browser client embeds; also at `/`, with `apiURL` in the query. It takes ' +
            '`session_token`, `lang`, `theme` and what else the client gives it, and talks to no other server than this one, whatever `apiURL` says.',
        answers: { 200: 'text/html' },
        errors: { 503: ['connect_ui_not_built'] },
        handle: ({ request, reply }) => connectUi!.sendDocument(request, reply, request.url.split('?')[0]!.endsWith('/') ? '' : 'connect-ui/'),
    });

const asset = ({ connectUi }: Services) =>
    endpoint({
        ...shared,
        paths: ['/connect-ui/assets/:file'],
        operationId: 'getConnectUiAsset',
        summary: 'Get a script or style of the Connect UI',
        description: 'Named by its content, so that it may be kept for good.',
        params: z.object({ file: z.string() }),
        answers: { 200: '*/*', 304: null },
        errors: { 404: ['not_found'] },
        handle: ({ params, request, reply }) => connectUi!.sendAsset(request, reply, params.file),
    });
