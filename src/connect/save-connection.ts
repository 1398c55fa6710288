/** Stores what a connect attempt obtained: the connection, the attempt's outcome, its operation and its webhook, in one transaction. */
import { ConnectFailure, type ModeIntegration } from '../auth-modes/auth-mode.ts';
import type { Obtained } from '../credentials/credential.ts';
import { untilDatabaseAnswers } from '../credentials/until-database-answers.ts';
import * as sessions from '../store/connect-sessions.ts';
import type { SessionRead } from '../store/connect-sessions.ts';
import type { Db } from '../store/database.ts';
import * as flows from '../store/oauth-flows.ts';
import * as operations from '../store/operations.ts';
import { newRowId } from '../sources.ts';
import type { ConnectionRow } from '../store/schema.ts';
import { enqueueAuthEvent } from '../webhooks/auth-events.ts';
import type { Attempt } from './attempt.ts';
import { openPending, pendingConfig, settledConfig, stopWaiting } from './pending.ts';
import { sessionUsedMessage, type ConnectContext } from './connect-session.ts';
import { completeConfig, recordCompletion, statusAfter } from './post-connection.ts';
import { renewedTags } from './tags.ts';
import { assertMayKeep, successOf, warnOfUnverified } from './unverified.ts';
import { firstSchedule, upsertConnection, type Description, type SavedConnection } from './upsert-connection.ts';

export type { SavedConnection } from './upsert-connection.ts';

type SavedAttempt = Pick<Attempt, 'integration' | 'provider' | 'mode' | 'connectionId' | 'session'>;

/** The session was deleted, or another attempt used it up. Rolls back; has a code so that nobody takes it for the database's. */
class SessionIsOver extends Error {
    readonly code = 'session_is_over';
}

/**
 * @throws ConnectFailure `unknown_connect_session_token` when the session ended while the attempt was under way, `invalid_connection` when its connection did, `verification_unavailable`
 */
export async function saveConnection(
    context: ConnectContext,
    attempt: SavedAttempt,
    obtained: Obtained & { isPending?: boolean },
    connectionConfig: Record<string, unknown>,
    integration: ModeIntegration,
    flowId?: string,
): Promise<SavedConnection> {
    const { db, sources } = context;
    const { provider, mode, session } = attempt;
    assertMayKeep(obtained, session.accept_unverified_credentials);
    const isPending = obtained.isPending ?? false;
    const completion = isPending
        ? { connectionConfig }
        : await completeConfig(context, { ...attempt, opened: integration, credentials: obtained.credentials, connectionConfig });
    const given = {
        integration: attempt.integration,
        provider,
        connectionId: attempt.connectionId,
        renews: session.connection_id,
        obtained,
        isPending,
        postConnectionStatus: statusAfter(completion),
        schedule: firstSchedule(context, { provider, mode, integration, connectionConfig: completion.connectionConfig }, obtained),
        describe: (existing: ConnectionRow | undefined) => descriptionIn(session, existing),
    };
    const outcome = {
        status: 'success' as const,
        provider_config_key: attempt.integration.unique_key,
        connection_id: attempt.connectionId,
        is_pending: isPending,
    };
    // One for all repetitions of the write: the first may have come through although its answer did not.
    const id = newRowId(sources);
    // R2b: what the provider has just given exists nowhere else yet.
    const saved = await untilDatabaseAnswers(
        () =>
            db.transaction().execute(async (transaction) => {
                const at = new Date(sources.now());
                if (!(await sessions.recordSuccess(transaction, session.id, id, { ...outcome, at: at.toISOString() }))) {
                    throw new SessionIsOver();
                }
                // Of this write: a repetition ends the waiting that the first began.
                const pendingId = operations.newOperationId(sources);
                const connection = await upsertConnection(transaction, context, {
                    ...given,
                    connectionConfig: { ...completion.connectionConfig, ...(isPending ? pendingConfig(pendingId) : settledConfig) },
                });
                if (flowId !== undefined) {
                    await flows.recordOutcome(transaction, flowId, { ...outcome, at: at.toISOString() });
                }
                await recordCompletion(transaction, context, connection.row, completion);
                await finish(transaction, context, { ...attempt, obtained }, connection, at);
                if (isPending) {
                    await openPending(transaction, pendingId, attempt.integration, connection.row, at);
                }
                return connection;
            }),
        context,
    ).catch((error: unknown) => {
        throw error instanceof SessionIsOver ? new ConnectFailure('unknown_connect_session_token', sessionUsedMessage) : error;
    });
    warnOfUnverified(context, saved.row, obtained);
    context.wakeDeliveries();
    return saved;
}

/** What the session names; a reconnect session may be silent about any of it. */
export const descriptionIn = (session: SessionRead, existing: ConnectionRow | undefined): Description => ({
    ...(session.tags === null ? {} : { tags: existing === undefined ? session.tags : renewedTags(existing, { ...session, tags: session.tags }) }),
    ...(session.end_user === null ? {} : { endUser: session.end_user }),
    ...(session.webhook_url_override === null ? {} : { webhookUrlOverride: session.webhook_url_override }),
});

async function finish(
    db: Db,
    context: ConnectContext,
    attempt: SavedAttempt & { obtained: Obtained },
    saved: SavedConnection,
    at: Date,
): Promise<void> {
    const { session, integration, provider, obtained } = attempt;
    await stopWaiting(db, saved.before, 'Connected again', at);
    if (session.operation_id !== null) {
        await operations.end(db, session.operation_id, {
            ...successOf(saved.operation === 'creation' ? 'Connection created' : 'Connection renewed by its user', obtained),
            connectionRowId: saved.row.id,
            connectionId: saved.row.connection_id,
            integrationId: integration.id,
            said: context.record?.messages(),
            at,
        });
    }
    await enqueueAuthEvent(db, context.sources, {
        environment: { id: session.environment_id, name: session.environment_name },
        connectionRowId: saved.row.id,
        connectionId: saved.row.connection_id,
        providerConfigKey: integration.unique_key,
        provider: provider.name,
        authMode: provider.authMode,
        operation: saved.operation,
        tags: saved.row.tags,
        endUser: session.end_user,
        urlOverride: saved.row.webhook_url_override,
        postConnectionStatus: saved.row.post_connection_status,
    });
}
