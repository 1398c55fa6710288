/**
 * A redirect flow as the page that opened it sees it: named by the page, and asked for by that name until it has ended, whichever
 * replica handled which part of it (frontend contract §7.3–§7.6).
 */
import { ConnectFailure } from '../auth-modes/auth-mode.ts';
import * as connectFlows from '../store/connect-flows.ts';
import type { ConnectFlowRead } from '../store/connect-flows.ts';
import * as sessions from '../store/connect-sessions.ts';
import type { SessionRead } from '../store/connect-sessions.ts';
import type { ConnectOutcome } from '../store/schema.ts';
import type { ConnectContext } from './connect-session.ts';

export const flowStates = ['unknown', 'started', 'returned', 'done'] as const;

export interface ConnectFlowStatus {
    state: (typeof flowStates)[number];
    outcome: ConnectOutcome | null;
}

type Named = { flowId: string; session: SessionRead; providerConfigKey: string };

const supersededMessage = 'Another attempt was begun after this one. Please go on in its window.';

/** @returns `false` when the name cannot be used (again) */
export async function beginConnectFlow({ db, sources }: ConnectContext, named: Named): Promise<boolean> {
    const flow = rowOf(named, sources.now());
    const superseded = failure(named.providerConfigKey, { type: 'superseded', description: supersededMessage }, flow.created_at);
    return db.transaction().execute(async (transaction) => {
        await sessions.lock(transaction, named.session.id);
        return connectFlows.begin(transaction, flow, superseded);
    });
}

/** The browser is about to be sent off with this redirect flow. @throws ConnectFailure `superseded` */
export async function attachRedirectFlow({ db }: ConnectContext, connectFlowId: string, oauthFlowId: string): Promise<void> {
    if (!(await connectFlows.attach(db, connectFlowId, oauthFlowId))) {
        throw new ConnectFailure('superseded', supersededMessage);
    }
}

/** For what fails before the browser was sent off, whatever it was. */
export const failConnectFlow = ({ db, sources }: ConnectContext, named: Named, error: { type: string; description: string }): Promise<void> => {
    const flow = rowOf(named, sources.now());
    return connectFlows.recordFailure(db, flow, failure(named.providerConfigKey, error, flow.created_at));
};

/** Part of a URL, whatever it is; Postgres has no text with NUL. */
const storable = (key: string): string => key.replaceAll('\0', '').slice(0, 255);

const rowOf = ({ flowId, session, providerConfigKey }: Named, now: number) => ({
    id: flowId,
    connect_session_id: session.id,
    provider_config_key: storable(providerConfigKey),
    created_at: new Date(now),
});

const failure = (providerConfigKey: string, error: { type: string; description: string }, at: Date): ConnectOutcome => ({
    status: 'error',
    provider_config_key: storable(providerConfigKey),
    error,
    at: at.toISOString(),
});

/** Other sessions' flows are not there. */
export function statusOf(flow: ConnectFlowRead | undefined, sessionId: string, now: number): ConnectFlowStatus {
    if (flow === undefined || flow.connect_session_id !== sessionId) {
        return { state: 'unknown', outcome: null };
    }
    if (flow.outcome !== null) {
        return { state: 'done', outcome: flow.outcome };
    }
    if (flow.returned_at !== null) {
        return { state: 'returned', outcome: null };
    }
    // Nobody can come back with it any more, so nothing will ever be written.
    if (flow.expires_at !== null && flow.expires_at.getTime() <= now) {
        const error = { type: 'state_err', description: 'Nobody came back from the provider within ten minutes. Please start again.' };
        return { state: 'done', outcome: { status: 'error', error, at: flow.expires_at.toISOString() } };
    }
    return { state: 'started', outcome: null };
}
