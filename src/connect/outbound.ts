/**
 * Outbound installation (auth-modes §4.3): the user installs the integration on the vendor's side, whose webhook then brings the
 * code. Until it comes the connection exists without credentials.
 *
 * What ties the two together is what the user says of themselves here (Sentry: `actor`, their user id). It cannot be proved at
 * this point; `installation-webhook.ts` gives the code to nobody when it might be meant for several users.
 */
import { ConnectFailure } from '../auth-modes/auth-mode.ts';
import { openIntegration } from '../auth-modes/open-integration.ts';
import { mergeConfig } from '../credentials/connection-secrets.ts';
import type { AwaitedCredentials } from '../credentials/credential.ts';
import { newRowId } from '../sources.ts';
import * as sessions from '../store/connect-sessions.ts';
import * as changes from '../store/connection-changes.ts';
import * as connections from '../store/connections.ts';
import { json } from '../store/database.ts';
import * as installations from '../store/installations.ts';
import * as operations from '../store/operations.ts';
import type { ConnectionRow } from '../store/schema.ts';
import { connectionConfig, type Attempt } from './attempt.ts';
import { attemptBegun, recording } from './attempt-steps.ts';
import { sessionUsedMessage, type ConnectContext } from './connect-session.ts';
import { describeFailure, recordFailedAttempt } from './failed-attempt.ts';
import { openPending, pendingConfig, stopWaiting } from './pending.ts';
import { descriptionIn, saveConnection } from './save-connection.ts';

const awaited: AwaitedCredentials = { type: 'OAUTH2' };

/** @returns the connection that now waits. @throws ConnectFailure; the session's outcome says so too */
export async function connectOutbound(given: ConnectContext, attempt: Attempt, params: Readonly<Record<string, unknown>>): Promise<ConnectionRow> {
    const { provider, session, integration } = attempt;
    const context = recording(given);
    if (provider.authMode !== 'OAUTH2' || provider.entry.installation !== 'outbound') {
        throw new ConnectFailure('invalid_auth_mode', `${provider.displayName} is not installed from its own side.`);
    }
    attemptBegun(context, attempt, 'installation from the provider’s side');
    try {
        const config = connectionConfig(attempt, params);
        const effective = await openIntegration(context.vault, integration, session.is_production);
        if (!effective.clientId || effective.clientSecret === null) {
            throw new ConnectFailure('provider_config_err', 'The integration has no OAuth client id and secret yet.');
        }
        if (attempt.existing !== undefined && attempt.existing.auth_state !== 'pending') {
            return await awaitAgain(context, attempt, attempt.existing, config);
        }
        const obtained = { credentials: awaited, obtainedAt: context.sources.now(), expiresAt: null, isPending: true };
        return (await saveConnection(context, attempt, obtained, config, effective)).row;
    } catch (error) {
        const { type, description, isExpected } = describeFailure(error);
        await recordFailedAttempt(context, {
            session,
            providerConfigKey: integration.unique_key,
            connectionId: attempt.connectionId,
            error: { type, description },
            ...(isExpected ? {} : { webhook: { provider: provider.name, authMode: provider.authMode, errorType: 'unknown' } }),
        });
        throw error;
    }
}

/** S15: a connection that has credentials keeps them until the new ones are there. */
async function awaitAgain(
    context: ConnectContext,
    { integration, provider, session }: Attempt,
    existing: ConnectionRow,
    config: Record<string, unknown>,
): Promise<ConnectionRow> {
    const { db, vault, sources, record } = context;
    const at = new Date(sources.now());
    const operationId = operations.newOperationId(sources);
    const outcome = {
        status: 'success' as const,
        provider_config_key: integration.unique_key,
        connection_id: existing.connection_id,
        is_pending: true,
        at: at.toISOString(),
    };
    return db.transaction().execute(async (transaction) => {
        // The session before its connection, as everywhere.
        if (!(await sessions.recordSuccess(transaction, session.id, newRowId(sources), outcome))) {
            throw new ConnectFailure('unknown_connect_session_token', sessionUsedMessage);
        }
        const row = await connections.lockByKey(transaction, integration.id, existing.connection_id);
        if (row === undefined) {
            throw new ConnectFailure('invalid_connection', 'The connection to be renewed no longer exists.');
        }
        const isMarkedSecret = (name: string): boolean => provider.entry.connection_config?.[name]?.secret === true;
        const { clear, sealed } = await mergeConfig(vault, row, { ...config, ...pendingConfig(operationId) }, isMarkedSecret);
        await stopWaiting(transaction, row, 'Connected again', at);
        // Said now or never: the webhook that brings the credentials knows nothing of the session.
        const { tags, endUser, webhookUrlOverride } = descriptionIn(session, row);
        await changes.change(transaction, row.id, { tags, endUser, webhookUrlOverride: webhookUrlOverride === '' ? null : webhookUrlOverride });
        await installations.replaceConfig(transaction, row.id, { connection_config: json(clear), sealed_secrets: sealed, updated_at: at });
        await openPending(transaction, operationId, integration, row, at);
        if (session.operation_id !== null) {
            await operations.end(transaction, session.operation_id, {
                state: 'success',
                message: 'The connection keeps its credentials until the installation is confirmed',
                connectionRowId: row.id,
                connectionId: row.connection_id,
                integrationId: integration.id,
                said: record?.messages(),
                at,
            });
        }
        return row;
    });
}
