/**
 * S9: a redirect flow asked for in a request body, so that client secrets and refresh tokens stay out of URLs, browser
 * history and access logs (RFC 6749 §2.3.1; RFC 9700 §4.3). The browser opens a URL that names the request once.
 */
import { newRowId } from '../sources.ts';
import * as sessions from '../store/connect-sessions.ts';
import type { SessionRead } from '../store/connect-sessions.ts';
import * as flows from '../store/oauth-flows.ts';
import { isUsedUp, type ConnectContext } from './connect-session.ts';
import type { RedirectRequest } from './redirect-flow.ts';

/** What the body says; where the outcome goes is known only when the URL is opened. */
export type RequestedFlow = Omit<RedirectRequest, 'wsClientId' | 'openerOrigin' | 'returnsToPage'>;

const lifetimeMs = 5 * 60 * 1000;

const requestPlace = (row: { environment_id: string; id: string }) => ({
    environmentId: row.environment_id,
    table: 'oauth_flow_requests',
    column: 'sealed_request',
    rowId: row.id,
});

/** @returns the URL to open, good once, for five minutes. */
export async function requestFlow(
    context: ConnectContext,
    session: SessionRead,
    integrationKey: string,
    requested: RequestedFlow,
): Promise<{ url: string; expiresAt: Date }> {
    const { sources, vault } = context;
    const key = { id: newRowId(sources), environment_id: session.environment_id };
    const token = sources.random(32).toString('base64url');
    const now = sources.now();
    const expiresAt = new Date(now + lifetimeMs);
    await flows.insertRequest(context.db, {
        ...key,
        connect_session_id: session.id,
        token_hash: vault.hash(token),
        provider_config_key: integrationKey,
        sealed_request: vault.sealJson(requested, requestPlace(key)),
        created_at: new Date(now),
        expires_at: expiresAt,
    });
    return { url: `${context.publicUrl}/oauth/connect/${encodeURIComponent(integrationKey)}?flow=${token}`, expiresAt };
}

/** @returns `undefined` when the request is unknown, used, expired, or for another integration. */
export async function takeFlowRequest(
    context: ConnectContext,
    token: string,
    integrationKey: string,
): Promise<{ session: SessionRead; requested: RequestedFlow } | undefined> {
    const row = await flows.takeRequest(context.db, context.vault.hashes(token), new Date(context.sources.now()));
    const session = row && (await sessions.findById(context.db, row.connect_session_id));
    if (row === undefined || session === undefined || isUsedUp(session) || session.environment_gone || row.provider_config_key !== integrationKey) {
        return undefined;
    }
    return { session, requested: JSON.parse(await context.vault.openFresh(row.sealed_request, requestPlace(row))) as RequestedFlow };
}
