/** A provider says that an installation which a connection waits for was made: checked, then the connection gets its credentials (S12). */
import type { ModeContext } from '../auth-modes/auth-mode.ts';
import { completeInstallation } from '../auth-modes/custom.ts';
import { authModes } from '../auth-modes/index.ts';
import { oauth2 } from '../auth-modes/oauth2.ts';
import { openIntegration } from '../auth-modes/open-integration.ts';
import { recorded } from '../auth-modes/recorded-context.ts';
import { openConfig } from '../credentials/connection-secrets.ts';
import { credentialsPlace } from '../credentials/credential-places.ts';
import type { Credentials, Obtained } from '../credentials/credential.ts';
import { untilDatabaseAnswers } from '../credentials/until-database-answers.ts';
import { equalInConstantTime } from '../credentials/vault.ts';
import { appWebhookSecret, openSetup } from '../environments/integration.ts';
import { checkDerivedConfig } from '../providers/fields.ts';
import { installationWebhookOf, type InstallationEvent, type InstallationWebhook, type WebhookHeaders } from '../providers/installation-events.ts';
import type { Provider } from '../providers/provider.ts';
import * as connections from '../store/connections.ts';
import * as installations from '../store/installations.ts';
import * as integrations from '../store/integrations.ts';
import * as operations from '../store/operations.ts';
import type { ConnectionRow, EnvironmentRow, IntegrationRow } from '../store/schema.ts';
import { enqueueAuthEvent } from '../webhooks/auth-events.ts';
import { accessGranted, recording } from './attempt-steps.ts';
import type { ConnectContext } from './connect-session.ts';
import { describeFailure } from './failed-attempt.ts';
import { settledConfig } from './pending.ts';
import { postConnectionHook, recordCompletion, statusAfter } from './post-connection.ts';
import { firstSchedule, upsertConnection } from './upsert-connection.ts';

/** Providers hang up after ten seconds. */
const longestWaitMs = 6_000;

export interface ReceivedWebhook {
    environment: EnvironmentRow;
    integration: IntegrationRow;
    headers: WebhookHeaders;
    rawBody: string;
    body: Readonly<Record<string, unknown>>;
}

/**
 * - `not expected`: no installation of this provider is waited for
 * - `unsigned`, `forged`: nothing was looked at
 * - `ignored`: an event of another kind
 * - `nobody`: no connection waits for it, or any of several users' might: then none of them gets it
 */
export type WebhookResult = 'not expected' | 'unsigned' | 'forged' | 'ignored' | 'nobody' | 'completed' | 'failed';

export async function receiveInstallationWebhook(given: ConnectContext, received: ReceivedWebhook): Promise<WebhookResult> {
    const context = recording(given);
    const { environment, integration, headers, body } = received;
    const provider = context.catalogue.get(integration.provider);
    const webhook = provider && installationWebhookOf(provider);
    if (provider === undefined || webhook === undefined) {
        return 'not expected';
    }
    const verdict = await verdictOn(context, webhook, provider, received);
    if (verdict !== 'signed') {
        return verdict;
    }
    const event = webhook.read(headers, body, provider);
    if (event === undefined) {
        return 'ignored';
    }
    const candidates = await installations.pending(context.db, integration.id, event.awaitedBy);
    const waiting = theOneOf(candidates);
    if (waiting === undefined) {
        if (candidates.length > 0) {
            context.logger.warn({ connection_rows: candidates.map(({ id }) => id) }, 'several users wait for one installation; none of them gets it');
        }
        return 'nobody';
    }
    try {
        await complete(context, { environment, integration, provider, event, waiting });
        return 'completed';
    } catch (error) {
        const { type, description, isExpected } = describeFailure(error);
        context.logger[isExpected ? 'warn' : 'error']({ err: error, connection_row: waiting.id }, 'an installation could not be completed');
        await noteFailure(context, waiting, type, description);
        return 'failed';
    }
}

/** S12: over the bytes as they came, before anything is believed, in constant time. */
async function verdictOn(
    { vault }: ConnectContext,
    webhook: InstallationWebhook,
    provider: Provider,
    { integration, headers, rawBody }: ReceivedWebhook,
): Promise<'signed' | 'unsigned' | 'forged'> {
    const signature = headers[webhook.signatureHeader];
    const setup = await openSetup(vault, integration);
    const expected = webhook.expectedSignature(rawBody, {
        clientSecret: setup.clientSecret,
        webhookSecret: appWebhookSecret(provider.authMode, setup),
    });
    if (typeof signature !== 'string' || signature === '') {
        return 'unsigned';
    }
    return expected !== undefined && equalInConstantTime(signature, expected) ? 'signed' : 'forged';
}

/**
 * The newest, if all of them are one user's. What an outbound connection is known by was typed in: whoever types somebody
 * else's number must not be given their account.
 */
function theOneOf(waiting: readonly ConnectionRow[]): ConnectionRow | undefined {
    const owners = new Set(waiting.map(({ end_user, tags }) => JSON.stringify([end_user?.id ?? null, Object.entries(tags).toSorted()])));
    return owners.size === 1 ? waiting[0] : undefined;
}

interface Completion {
    environment: EnvironmentRow;
    integration: IntegrationRow;
    provider: Provider;
    event: InstallationEvent;
    waiting: ConnectionRow;
}

async function complete(context: ConnectContext, completion: Completion): Promise<void> {
    const { environment, integration, provider, event, waiting } = completion;
    const { db, vault, sources } = context;
    const effective = await openIntegration(vault, integration, environment.is_production);
    const { values } = checkDerivedConfig(provider, event.metadata, 'webhook');
    const connectionConfig = { ...(await openConfig(vault, waiting)), ...values };
    context.record?.step('The provider announced the installation');
    const modeContext = { ...context, provider, integration: effective, connectionConfig };
    const obtained = await obtain(
        recorded(context.record, modeContext, () => [event.code, event.installationId]),
        event,
    );
    accessGranted(context, obtained, effective.scopes);
    const derived = { ...values, ...obtained.derivedConfig, ...settledConfig };
    const target = {
        provider,
        mode: authModes.get(provider.authMode),
        integration: effective,
        connectionConfig: { ...connectionConfig, ...derived },
    };
    // The provider waits for its answer; the worker asks it what is missing.
    const hookToRun = {
        connectionConfig: {},
        ...(postConnectionHook(provider) === undefined ? {} : { unfinished: 'It is asked once the installation is stored.' }),
    };
    const patience = sources.now() + longestWaitMs;
    const store = (): Promise<boolean> =>
        db.transaction().execute(async (transaction) => {
            // Before the connection, as everywhere; what was deleted meanwhile has taken its connections along.
            if ((await integrations.holdWithEnvironment(transaction, integration.id)) !== 'live') {
                return true;
            }
            const row = await connections.lockByKey(transaction, integration.id, waiting.connection_id);
            if (row?.id !== waiting.id || row.connection_config['pending'] !== true) {
                // Deleted meanwhile, or completed by the same event, delivered twice.
                return true;
            }
            // A renewal under way is about to replace what is kept of the row, and could not be saved after this.
            if ((row.refresh_lease_until?.getTime() ?? 0) > sources.now() && sources.now() < patience) {
                return false;
            }
            const saved = await upsertConnection(transaction, context, {
                integration,
                provider,
                connectionId: row.connection_id,
                renews: row.id,
                obtained,
                connectionConfig: { ...derived, ...(event.installationId === undefined ? {} : await personsOwn(context, row)) },
                postConnectionStatus: statusAfter(hookToRun),
                schedule: firstSchedule(context, target, obtained),
                describe: () => ({}),
            });
            await settle(context, transaction, { ...completion, row }, saved.row);
            await recordCompletion(transaction, context, saved.row, hookToRun);
            return true;
        });
    while (!(await untilDatabaseAnswers(store, context))) {
        await sources.sleep(250);
    }
    context.wakeDeliveries();
}

/** @throws ConnectFailure, TokenFailure */
async function obtain(context: ModeContext, { code, installationId }: InstallationEvent): Promise<Obtained> {
    return installationId === undefined
        ? oauth2.redirect!.complete({ ...context, query: codeQuery(context, code), redirectUri: '', pkceVerifier: '', memo: {} })
        : completeInstallation(context, installationId);
}

/** The code where the exchange looks for it, whatever the webhook calls it. */
const codeQuery = ({ provider }: ModeContext, code = ''): Record<string, string> => ({
    [provider.entry.authorization_code_param_in_callback ?? 'code']: code,
});

/** CUSTOM: the person's token was the credential while there was no other. Read under the lock: it may have been renewed since. */
async function personsOwn({ vault }: ConnectContext, row: ConnectionRow): Promise<Record<string, unknown>> {
    const credentials = JSON.parse(await vault.openFresh(row.sealed_credentials, credentialsPlace(row))) as Credentials;
    return credentials.type === 'OAUTH2' ? { userCredentials: credentials } : {};
}

async function settle(
    { sources, record }: ConnectContext,
    transaction: Parameters<typeof upsertConnection>[0],
    { environment, integration, provider, row: before }: Completion & { row: ConnectionRow },
    row: ConnectionRow,
): Promise<void> {
    const operationId = before.connection_config['pendingLog'];
    if (typeof operationId === 'string') {
        await operations.end(transaction, operationId, {
            state: 'success',
            message: 'Installation confirmed by the provider',
            said: record?.messages(),
            at: new Date(sources.now()),
        });
    }
    await enqueueAuthEvent(transaction, sources, {
        environment: { id: environment.id, name: environment.name },
        connectionRowId: row.id,
        connectionId: row.connection_id,
        providerConfigKey: integration.unique_key,
        provider: provider.name,
        authMode: provider.authMode,
        operation: 'override',
        tags: row.tags,
        endUser: row.end_user,
        urlOverride: row.webhook_url_override,
        postConnectionStatus: row.post_connection_status,
    });
}

/** It goes on waiting: the provider may send the event again. */
async function noteFailure({ db, sources, record }: ConnectContext, waiting: ConnectionRow, type: string, description: string): Promise<void> {
    const operationId = waiting.connection_config['pendingLog'];
    if (typeof operationId === 'string') {
        await operations.amend(db, [operationId], {
            level: 'error',
            message: description,
            meta: { failed: type },
            said: record?.messages() ?? [],
            at: new Date(sources.now()),
        });
    }
}
