/** Stores what a connect attempt obtained: the connection, the attempt's outcome, its operation and its webhook, in one transaction. */
import type { ModeIntegration } from '../auth-modes/auth-mode.ts';
import type { Obtained } from '../credentials/credential.ts';
import { untilDatabaseAnswers } from '../credentials/until-database-answers.ts';
import * as sessions from '../store/connect-sessions.ts';
import type { SessionRead } from '../store/connect-sessions.ts';
import type { Db } from '../store/database.ts';
import * as flows from '../store/oauth-flows.ts';
import * as operations from '../store/operations.ts';
import type { ConnectOutcome } from '../store/schema.ts';
import { enqueueAuthEvent } from '../webhooks/auth-events.ts';
import type { Attempt } from './attempt.ts';
import type { ConnectContext } from './connect-session.ts';
import { firstRenewalAt, upsertConnection, type Description, type SavedConnection } from './upsert-connection.ts';

export type { SavedConnection } from './upsert-connection.ts';

type SavedAttempt = Pick<Attempt, 'integration' | 'provider' | 'mode' | 'connectionId' | 'session'>;

export async function saveConnection(
    context: ConnectContext,
    attempt: SavedAttempt,
    obtained: Obtained,
    connectionConfig: Record<string, unknown>,
    integration: ModeIntegration,
    flowId?: string,
): Promise<SavedConnection> {
    const { db } = context;
    const { provider, mode, session } = attempt;
    const given = {
        integration: attempt.integration,
        provider,
        connectionId: attempt.connectionId,
        obtained,
        connectionConfig,
        nextRefreshAt: firstRenewalAt(context, { provider, mode, integration, connectionConfig }, obtained),
        describe: () => descriptionIn(session),
    };
    // R2b: what the provider has just given exists nowhere else yet.
    const saved = await untilDatabaseAnswers(
        () =>
            db.transaction().execute(async (transaction) => {
                const connection = await upsertConnection(transaction, context, given);
                await finish(transaction, context, attempt, connection, flowId);
                return connection;
            }),
        context,
    );
    context.wakeDeliveries();
    return saved;
}

/** What the session names; a reconnect session may be silent about any of it. */
const descriptionIn = (session: SessionRead): Description => ({
    ...(session.tags === null ? {} : { tags: session.tags }),
    ...(session.end_user === null ? {} : { endUser: session.end_user }),
    ...(session.webhook_url_override === null ? {} : { webhookUrlOverride: session.webhook_url_override }),
});

async function finish(db: Db, context: ConnectContext, attempt: SavedAttempt, saved: SavedConnection, flowId: string | undefined): Promise<void> {
    const { session, integration, provider } = attempt;
    const at = new Date(context.sources.now());
    const outcome: ConnectOutcome = {
        status: 'success',
        provider_config_key: integration.unique_key,
        connection_id: saved.row.connection_id,
        is_pending: false,
        at: at.toISOString(),
    };
    await sessions.recordOutcome(db, session.id, outcome);
    if (flowId !== undefined) {
        await flows.recordOutcome(db, flowId, outcome);
    }
    if (session.operation_id !== null) {
        await operations.end(db, session.operation_id, {
            state: 'success',
            message: saved.operation === 'creation' ? 'Connection created' : 'Connection renewed by its user',
            connectionRowId: saved.row.id,
            connectionId: saved.row.connection_id,
            integrationId: integration.id,
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
    });
}
