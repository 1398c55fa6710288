/** What a connect attempt leaves behind when it fails: the reason, on the flow, the session and its operation, and a webhook. */
import { ConnectFailure } from '../auth-modes/auth-mode.ts';
import { TokenFailure } from '../credentials/token-failure.ts';
import * as sessions from '../store/connect-sessions.ts';
import type { SessionRead } from '../store/connect-sessions.ts';
import * as flows from '../store/oauth-flows.ts';
import * as operations from '../store/operations.ts';
import type { ConnectOutcome } from '../store/schema.ts';
import { enqueueAuthEvent } from '../webhooks/auth-events.ts';
import type { ConnectContext } from './connect-session.ts';

export interface FailedAttempt {
    session: SessionRead | undefined;
    flowId?: string;
    providerConfigKey: string;
    connectionId?: string;
    /** When it began, where that is long ago: the session's later attempts are its news. */
    began?: Date;
    error: { type: string; description: string };
    /** Set when the customer's backend is told (§1.3): failures after the provider's redirect and exceptions. */
    webhook?: { provider: string; authMode: string; errorType: string };
}

export async function recordFailedAttempt(context: ConnectContext, failed: FailedAttempt): Promise<ConnectOutcome> {
    const { db, sources } = context;
    const { session, error, webhook } = failed;
    const at = new Date(sources.now());
    const outcome: ConnectOutcome = {
        status: 'error',
        provider_config_key: failed.providerConfigKey,
        ...(failed.connectionId === undefined ? {} : { connection_id: failed.connectionId }),
        error,
        at: at.toISOString(),
    };
    await db.transaction().execute(async (transaction) => {
        // The session before its flow: whoever deletes it takes the rows in this order too.
        if (session !== undefined) {
            await sessions.lock(transaction, session.id);
        }
        // Told once, although a callback that was only slow may have been given up meanwhile (`interrupted-flows.ts`).
        const isFirst = failed.flowId === undefined || (await flows.recordFailure(transaction, failed.flowId, outcome));
        if (session === undefined || !isFirst || !(await sessions.recordFailure(transaction, session.id, outcome, failed.began))) {
            return;
        }
        if (session.operation_id !== null) {
            await operations.end(transaction, session.operation_id, {
                state: 'failed',
                message: error.description,
                error: { type: error.type, message: error.description },
                ...(failed.connectionId === undefined ? {} : { connectionId: failed.connectionId }),
                said: context.record?.messages(),
                at,
            });
        }
        if (webhook !== undefined) {
            await enqueueAuthEvent(transaction, sources, {
                environment: { id: session.environment_id, name: session.environment_name },
                connectionId: failed.connectionId ?? '',
                providerConfigKey: failed.providerConfigKey,
                provider: webhook.provider,
                authMode: webhook.authMode,
                operation: 'creation',
                urlOverride: session.webhook_url_override || null,
                error: { type: webhook.errorType, description: error.description },
            });
        }
    });
    context.wakeDeliveries();
    return outcome;
}

/** The failure as the browser and the log see it. An unexpected error says nothing of itself: it may hold anything (E5). */
export function describeFailure(error: unknown): { type: string; description: string; isExpected: boolean } {
    if (error instanceof ConnectFailure) {
        return { type: error.type, description: error.message, isExpected: true };
    }
    if (error instanceof TokenFailure) {
        return { type: 'unknown_err', description: error.message, isExpected: true };
    }
    return { type: 'unknown_err', description: 'Something unexpected went wrong in Valetkey; its log has the details.', isExpected: false };
}
