/** GET /oauth/callback: where providers send the browser back (http-api §11.4). */
import { z } from 'zod';
import { completeCallback } from '../../connect/callback.ts';
import { publicEndpoint } from '../authentication.ts';
import { endpoint } from '../endpoint.ts';
import { sendOutcomePage } from '../outcome-page.ts';
import type { Services } from '../services.ts';

export const oauthCallback = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/oauth/callback'],
        summary: 'End of a redirect flow',
        authenticate: publicEndpoint,
        scopes: [],
        anyContentType: true,
        // Providers add parameters of their own; what is not text counts as absent.
        query: z.looseObject({}),
        async handle({ query, request, reply }) {
            const { outcome, flow, cookieName } = await completeCallback(services.connect, { query, cookies: request.cookies });
            if (cookieName !== undefined) {
                reply.clearCookie(cookieName, { path: '/', secure: services.config.publicUrl.startsWith('https:'), httpOnly: true, sameSite: 'lax' });
            }
            // The socket first: the page closes itself, and with it the client's patience (§1.7 step 10).
            await services.sockets.deliver(flow?.ws_client_id, outcome, flow?.id);
            return sendOutcomePage(reply, outcome, { sources: services.sources, openerOrigin: flow?.opener_origin ?? undefined });
        },
    });
