/**
 * Importing a connection whose credentials a backend already holds (http-api §8.3, §8.4). An upsert on connection id,
 * integration and environment; an override keeps what the request does not mention.
 */
import { ConnectFailure, type AuthMode } from '../auth-modes/auth-mode.ts';
import { authModes } from '../auth-modes/index.ts';
import { openIntegration } from '../auth-modes/open-integration.ts';
import { recorded } from '../auth-modes/recorded-context.ts';
import { openConfig } from '../credentials/connection-secrets.ts';
import type { Credentials, Obtained } from '../credentials/credential.ts';
import { checkConnectionConfig, withDefaults, type FieldIssue } from '../providers/fields.ts';
import type { Provider } from '../providers/provider.ts';
import { newRandomId } from '../sources.ts';
import * as connections from '../store/connections.ts';
import { json, type Db } from '../store/database.ts';
import * as environments from '../store/environments.ts';
import * as integrations from '../store/integrations.ts';
import * as operations from '../store/operations.ts';
import type { ConnectionRow, EndUser, EnvironmentRow, IntegrationRow } from '../store/schema.ts';
import { enqueueAuthEvent } from '../webhooks/auth-events.ts';
import { attemptBegun, credentialsTaken, recording } from './attempt-steps.ts';
import type { ConnectContext } from './connect-session.ts';
import { describeFailure } from './failed-attempt.ts';
import { obtainImported, type Submission } from './imported-credentials.ts';
import { settledConfig, stopWaiting } from './pending.ts';
import { completeConfig, recordCompletion, statusAfter } from './post-connection.ts';
import { mergeTags, retagged } from './tags.ts';
import { assertMayKeep, successOf, warnOfUnverified } from './unverified.ts';
import { firstSchedule, upsertConnection, type Description, type SavedConnection } from './upsert-connection.ts';

export interface ImportTarget {
    environment: EnvironmentRow;
    integration: IntegrationRow;
    provider: Provider;
    mode: AuthMode | undefined;
}

export interface ImportRequest extends Submission {
    /** `undefined`: a new one. */
    connectionId: string | undefined;
    connectionConfig: Record<string, unknown>;
    metadata: Record<string, unknown> | undefined;
    /** Empty: none. */
    webhookUrlOverride: string | undefined;
    endUser: Omit<EndUser, 'organization'> | undefined;
    /** Keys in lower case. */
    tags: Record<string, string> | undefined;
}

export interface ImportedConnection extends SavedConnection {
    credentials: Credentials;
    /** What this import itself set, secrets included. */
    connectionConfig: Record<string, unknown>;
}

/** An import that says something the connection cannot have. */
export class ImportRefused extends Error {
    override readonly name = 'ImportRefused';
    readonly issues: readonly FieldIssue[];

    constructor(issues: readonly FieldIssue[]) {
        super(issues.map((issue) => issue.message).join(' '));
        this.issues = issues;
    }
}

/** @returns what of it there is */
export async function findImportTarget(
    context: ConnectContext,
    environmentId: string,
    integrationKey: string,
): Promise<ImportTarget | 'no integration' | 'no provider'> {
    const [environment, integration] = await Promise.all([
        environments.findById(context.db, environmentId),
        integrations.findByKey(context.db, environmentId, integrationKey),
    ]);
    if (environment === undefined || integration === undefined) {
        return 'no integration';
    }
    const provider = context.catalogue.get(integration.provider);
    return provider === undefined ? 'no provider' : { environment, integration, provider, mode: authModes.get(provider.authMode) };
}

/** @throws ImportRefused; ConnectFailure `missing_account_id`, `connection_test_failed`, `verification_unavailable`, `url_param_err`; TokenFailure when an installation gives no token */
export async function importConnection(outer: ConnectContext, target: ImportTarget, request: ImportRequest): Promise<ImportedConnection> {
    const { integration, provider, mode } = target;
    const context = recording(outer);
    const connectionId = request.connectionId ?? newRandomId(context.sources);
    const given = checkedConfig(provider, { ...request.connectionConfig, ...installationIn(request) });
    const stored = request.connectionId === undefined ? undefined : await connections.findByKey(context.db, integration.id, connectionId);
    const effectiveConfig = withDefaults(provider, { ...(stored ? await openConfig(context.vault, stored) : {}), ...given });
    if (provider.authMode === 'TBA' && !effectiveConfig['accountId']) {
        throw new ConnectFailure('missing_account_id', `${provider.displayName} needs connection_config.accountId.`);
    }
    assertTagsFit(request, stored);
    const opened = await openIntegration(context.vault, integration, target.environment.is_production);
    const modeContext = recorded(
        context.record,
        { ...context, provider, integration: opened, connectionConfig: effectiveConfig },
        () => request.credentials,
    );
    attemptBegun(context, target, 'import');
    try {
        const obtained = await obtainImported(modeContext, mode, request);
        credentialsTaken(context, obtained);
        assertMayKeep(obtained, target.environment.accept_unverified_credentials);
        const { credentials } = obtained;
        // The app's proof is shown where a connect attempt would have left it (auth-modes §12.1).
        const jwt = credentials.type === 'APP' && credentials.jwtToken !== undefined ? { jwtToken: credentials.jwtToken } : {};
        const own = { ...given, ...obtained.derivedConfig, ...jwt };
        const completion = await completeConfig(context, { integration, provider, opened, connectionId, credentials, connectionConfig: own });
        const { connectionConfig } = completion;
        const schedule = firstSchedule(context, { provider, mode, integration: opened, connectionConfig: effectiveConfig }, obtained);
        const saved = await context.db.transaction().execute(async (transaction) => {
            const connection = await upsertConnection(transaction, context, {
                integration,
                provider,
                connectionId,
                renews: null,
                obtained,
                connectionConfig: { ...connectionConfig, ...settledConfig },
                postConnectionStatus: statusAfter(completion),
                schedule,
                describe: (existing) => descriptionOf(request, existing),
            });
            await recordCompletion(transaction, context, connection.row, completion);
            await stopWaiting(transaction, connection.before, 'Imported', new Date(context.sources.now()));
            await finish(transaction, context, target, connection, obtained);
            return connection;
        });
        warnOfUnverified(context, saved.row, obtained);
        context.wakeDeliveries();
        return { ...saved, credentials, connectionConfig };
    } catch (error) {
        await recordFailure(context, target, connectionId, error);
        throw error;
    }
}

/** A6: the token is renewed with these, so they are kept, whatever else the request says of them. */
const installationIn = ({ credentials }: Submission): Record<string, string> =>
    credentials.type === 'APP' || credentials.type === 'CUSTOM' ? { app_id: credentials.app_id, installation_id: credentials.installation_id } : {};

/** N1: an import is held to the entry's rules like every other way in. */
function checkedConfig(provider: Provider, config: Record<string, unknown>): Record<string, unknown> {
    const { values, issues } = checkConnectionConfig(provider, config, 'backend');
    if (issues.length > 0) {
        throw new ImportRefused(issues.map((issue) => ({ ...issue, path: ['connection_config', ...issue.path] })));
    }
    return values;
}

/** Before anything is asked of the provider; judged once more under the lock. */
const assertTagsFit = (request: ImportRequest, stored: ConnectionRow | undefined): void => void descriptionOf(request, stored);

function descriptionOf(request: ImportRequest, existing: ConnectionRow | undefined): Description {
    const { metadata, webhookUrlOverride } = request;
    // The request cannot name an organization: the same person keeps theirs.
    const organization = existing?.end_user?.id === request.endUser?.id ? (existing?.end_user?.organization ?? null) : null;
    const endUser = request.endUser && { ...request.endUser, organization };
    const tags = tagsOf(request, endUser, existing);
    return {
        ...(metadata === undefined && existing !== undefined ? {} : { metadata: metadata ?? {} }),
        ...(tags === undefined ? {} : { tags }),
        ...(endUser === undefined ? {} : { endUser }),
        ...(webhookUrlOverride === undefined ? {} : { webhookUrlOverride }),
    };
}

/** `undefined`: tags were not mentioned. @throws ImportRefused when there are too many */
function tagsOf(
    { tags: explicit }: ImportRequest,
    endUser: EndUser | undefined,
    existing: ConnectionRow | undefined,
): Record<string, string> | undefined {
    if (explicit === undefined && endUser === undefined) {
        return undefined;
    }
    const tags =
        explicit === undefined && endUser !== undefined && existing !== undefined
            ? retagged(existing, endUser)
            : mergeTags({ endUser: endUser ?? null, organization: endUser?.organization ?? null, explicit });
    if (tags === undefined) {
        throw new ImportRefused([
            { code: 'custom', path: ['tags'], message: 'Together with the tags generated from the end user there are more than ten.' },
        ]);
    }
    return tags;
}

async function finish(db: Db, context: ConnectContext, target: ImportTarget, saved: SavedConnection, obtained: Obtained): Promise<void> {
    const { environment, integration, provider } = target;
    const isCreation = saved.operation === 'creation';
    await logOperation(db, context, target, saved.row.connection_id, {
        ...successOf(isCreation ? 'Connection imported' : 'Connection imported over an existing one', obtained),
        connection_row_id: saved.row.id,
        error: null,
    });
    // Without an end user (webhooks §1.3).
    await enqueueAuthEvent(db, context.sources, {
        environment: { id: environment.id, name: environment.name },
        connectionRowId: saved.row.id,
        connectionId: saved.row.connection_id,
        providerConfigKey: integration.unique_key,
        provider: provider.name,
        authMode: provider.authMode,
        operation: saved.operation,
        tags: saved.row.tags,
        urlOverride: saved.row.webhook_url_override,
        postConnectionStatus: saved.row.post_connection_status,
    });
}

/** For the log; no webhook: the backend that would receive it is the caller (webhooks §1.3). */
async function recordFailure(context: ConnectContext, target: ImportTarget, connectionId: string, error: unknown): Promise<void> {
    const { type, description } = describeFailure(error);
    await logOperation(context.db, context, target, connectionId, {
        state: 'failed',
        level: 'error',
        message: description,
        connection_row_id: null,
        error: json({ type, message: description }),
    }).catch((failure: unknown) => context.logger.error({ err: failure }, 'a failed import was not recorded'));
}

type Ending = Pick<Parameters<typeof operations.open>[1], 'state' | 'level' | 'message' | 'connection_row_id' | 'error'>;

async function logOperation(db: Db, { sources, record }: ConnectContext, target: ImportTarget, connectionId: string, ending: Ending): Promise<void> {
    const at = new Date(sources.now());
    const operation = {
        id: operations.newOperationId(sources),
        environment_id: target.environment.id,
        type: 'auth',
        action: 'create_connection',
        integration_id: target.integration.id,
        connection_id: connectionId,
        meta: null,
        created_at: at,
        ended_at: at,
        expires_at: null,
        ...ending,
    };
    await operations.open(db, operation, record?.messages());
}
