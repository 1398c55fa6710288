/**
 * Stores what a connect attempt obtained: the connection, the attempt's outcome, its operation and its webhook, in one
 * transaction. An existing connection keeps its metadata, and its tags and webhook URL unless the session names new ones (A2).
 */
import { ConnectFailure, type ModeIntegration } from '../auth-modes/auth-mode.ts';
import { openConfig, sealConfig } from '../credentials/connection-secrets.ts';
import { refreshTokenOf, type Obtained } from '../credentials/credential.ts';
import { nextRefreshAt } from '../credentials/expiry.ts';
import { credentialsPlace } from '../credentials/credential-places.ts';
import { untilDatabaseAnswers } from '../credentials/until-database-answers.ts';
import type { Provider } from '../providers/provider.ts';
import { newRowId } from '../sources.ts';
import * as connections from '../store/connections.ts';
import * as sessions from '../store/connect-sessions.ts';
import { writeCredentials } from '../store/credential-writes.ts';
import { json, type Db } from '../store/database.ts';
import * as flows from '../store/oauth-flows.ts';
import * as operations from '../store/operations.ts';
import type { ConnectionRow } from '../store/schema.ts';
import { enqueueAuthEvent } from '../webhooks/auth-events.ts';
import type { Attempt } from './attempt.ts';
import { sessionUsedMessage, type ConnectContext } from './connect-session.ts';
import { renewedTags } from './tags.ts';

export interface SavedConnection {
    row: ConnectionRow;
    operation: 'creation' | 'override';
}

type SavedAttempt = Pick<Attempt, 'integration' | 'provider' | 'mode' | 'connectionId' | 'session'>;

/** The session was deleted, or another attempt used it up. Rolls back; has a code so that nobody takes it for the database's. */
class SessionIsOver extends Error {
    readonly code = 'session_is_over';
}

/** @throws ConnectFailure `unknown_connect_session_token` when the session ended while the attempt was under way */
export async function saveConnection(
    context: ConnectContext,
    attempt: SavedAttempt,
    obtained: Obtained,
    connectionConfig: Record<string, unknown>,
    integration: ModeIntegration,
    flowId?: string,
): Promise<SavedConnection> {
    const { db, sources } = context;
    const strategy = attempt.mode.renewal?.({ ...context, provider: attempt.provider, integration, connectionConfig }, obtained.credentials);
    const nextAt = nextRefreshAt(
        obtained,
        {
            canRenew: strategy?.canRenew(obtained.credentials) ?? false,
            hasRefreshToken: refreshTokenOf(obtained.credentials) !== undefined,
            marginSeconds: strategy?.marginSeconds,
            assumedLifetimeSeconds: strategy?.assumedLifetimeSeconds,
        },
        sources,
    );
    const outcome = {
        status: 'success' as const,
        provider_config_key: attempt.integration.unique_key,
        connection_id: attempt.connectionId,
        is_pending: false,
    };
    // One for all repetitions of the write: the first may have come through although its answer did not.
    const id = newRowId(sources);
    // R2b: what the provider has just given exists nowhere else yet.
    const saved = await untilDatabaseAnswers(
        () =>
            db.transaction().execute(async (transaction) => {
                const at = new Date(sources.now());
                if (!(await sessions.recordSuccess(transaction, attempt.session.id, id, { ...outcome, at: at.toISOString() }))) {
                    throw new SessionIsOver();
                }
                const existing = await connections.lockByKey(transaction, attempt.integration.id, attempt.connectionId);
                const connection =
                    existing === undefined
                        ? { row: await create(transaction, context, attempt, obtained, connectionConfig, nextAt), operation: 'creation' as const }
                        : {
                              row: await override(transaction, context, attempt, existing, obtained, connectionConfig, nextAt),
                              operation: 'override' as const,
                          };
                if (flowId !== undefined) {
                    await flows.recordOutcome(transaction, flowId, { ...outcome, at: at.toISOString() });
                }
                await finish(transaction, context, attempt, connection, at);
                return connection;
            }),
        context,
    ).catch((error: unknown) => {
        throw error instanceof SessionIsOver ? new ConnectFailure('unknown_connect_session_token', sessionUsedMessage) : error;
    });
    context.wakeDeliveries();
    return saved;
}

function create(
    db: Db,
    { vault, sources }: ConnectContext,
    { integration, provider, session, connectionId }: SavedAttempt,
    obtained: Obtained,
    connectionConfig: Record<string, unknown>,
    nextAt: number | null,
): Promise<ConnectionRow> {
    const now = new Date(sources.now());
    const key = { id: newRowId(sources), environment_id: integration.environment_id };
    const config = sealConfig(vault, key, connectionConfig, isMarkedSecret(provider));
    return connections.insert(db, {
        ...key,
        integration_id: integration.id,
        provider: provider.name,
        connection_id: connectionId,
        credential_type: obtained.credentials.type,
        sealed_credentials: vault.sealJson(obtained.credentials, credentialsPlace(key)),
        sealed_previous_refresh_token: null,
        sealed_secrets: config.sealed,
        credentials_obtained_at: new Date(obtained.obtainedAt),
        credentials_expires_at: dateOrNull(obtained.expiresAt),
        auth_state: 'ok',
        auth_error: null,
        next_refresh_at: dateOrNull(nextAt),
        refresh_lease_owner: null,
        refresh_lease_until: null,
        refresh_intent: null,
        last_refresh_success: now,
        last_refresh_failure: null,
        refresh_failure_reported_at: null,
        connection_config: json(config.clear),
        metadata: null,
        tags: json(session.tags ?? {}),
        end_user: session.end_user === null ? null : json(session.end_user),
        webhook_url_override: session.webhook_url_override || null,
        last_fetched_at: null,
        created_at: now,
        updated_at: now,
        deleted_at: null,
    });
}

async function override(
    db: Db,
    { vault, sources }: ConnectContext,
    { session, provider }: SavedAttempt,
    existing: ConnectionRow,
    obtained: Obtained,
    connectionConfig: Record<string, unknown>,
    nextAt: number | null,
): Promise<ConnectionRow> {
    const now = new Date(sources.now());
    const merged = { ...(await openConfig(vault, existing)), ...connectionConfig };
    const config = sealConfig(vault, existing, merged, isMarkedSecret(provider));
    await writeCredentials(db, {
        id: existing.id,
        epoch: existing.refresh_epoch,
        version: existing.credentials_version,
        sealedCredentials: vault.sealJson(obtained.credentials, credentialsPlace(existing)),
        // a fresh grant has no generation before it
        sealedPreviousRefreshToken: null,
        credentialType: obtained.credentials.type,
        obtainedAt: new Date(obtained.obtainedAt),
        expiresAt: dateOrNull(obtained.expiresAt),
        nextRefreshAt: dateOrNull(nextAt),
        now,
        alongside: {
            connection_config: json(config.clear),
            sealed_secrets: config.sealed,
            updated_at: now,
            ...(session.tags === null
                ? {}
                : { tags: json(renewedTags({ tags: existing.tags, endUser: existing.end_user }, { ...session, tags: session.tags })) }),
            ...(session.end_user === null ? {} : { end_user: json(session.end_user) }),
            ...(session.webhook_url_override === null ? {} : { webhook_url_override: session.webhook_url_override || null }),
        },
    });
    return (await connections.findById(db, existing.id)) ?? existing;
}

async function finish(db: Db, context: ConnectContext, attempt: SavedAttempt, saved: SavedConnection, at: Date): Promise<void> {
    const { session, integration, provider } = attempt;
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

const isMarkedSecret =
    (provider: Provider) =>
    (name: string): boolean =>
        provider.entry.connection_config?.[name]?.secret === true;

const dateOrNull = (time: number | null): Date | null => (time === null ? null : new Date(time));
