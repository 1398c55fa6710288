/** What the addresses that providers send browsers back to have in common. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { completeCallback, type CallbackResult } from '../../../connect/callback.ts';
import { sendNoticePage } from '../../outcome-page.ts';
import type { Services } from '../../services.ts';

export interface Returned {
    query: Readonly<Record<string, unknown>>;
    request: FastifyRequest;
    reply: FastifyReply;
}

/** Finishes the flow, takes its cookie back and tells its socket. The page is left to the caller. */
export async function finishRedirectFlow(services: Services, { query, request, reply }: Returned, onlyMode?: string): Promise<CallbackResult> {
    const result = await completeCallback(services.connect, {
        query,
        cookies: request.server.parseCookie(request.headers.cookie ?? ''),
        ...(onlyMode === undefined ? {} : { onlyMode }),
    });
    const { outcome, flow, cookieName } = result;
    if (cookieName !== undefined) {
        reply.clearCookie(cookieName, { path: '/', secure: services.config.publicUrl.startsWith('https:'), httpOnly: true, sameSite: 'lax' });
    }
    // The socket first: the page closes itself, and with it the client's patience (§1.7 step 10).
    await services.sockets.deliver(flow?.ws_client_id, outcome, flow?.id);
    services.flowWaits.wake();
    return result;
}

/** The Connect UI's page, which shows how the flow ended; `undefined` for a flow that has a window of its own. */
export const pageOf = ({ config }: Services, flow: CallbackResult['flow']): string | undefined =>
    flow?.returns_to_page ? connectUiPage(config, flow.connect_flow_id ?? undefined) : undefined;

export function connectUiPage({ connectUiUrl }: Services['config'], flowId: string | undefined): string {
    const page = new URL(connectUiUrl);
    page.search = '';
    page.hash = '';
    page.pathname = `${page.pathname.replace(/\/+$/, '')}/`;
    if (flowId !== undefined) {
        page.searchParams.set('flow', flowId);
    }
    return page.href;
}

/** Somebody changed an installation at the provider, without a flow of ours. */
export const isInstallationNotice = (query: Readonly<Record<string, unknown>>): boolean =>
    !isText(query['state']) && isText(query['setup_action']) && isText(query['installation_id']);

export const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

/** S7: a page, where the reference redirects to whatever page the browser names as its referrer. */
export const sendInstallationNotice = (services: Services, reply: FastifyReply): FastifyReply =>
    sendNoticePage(
        reply,
        { title: 'Installation saved', text: 'The provider has saved your changes to the installation. You can close this window.' },
        { sources: services.sources },
    );
