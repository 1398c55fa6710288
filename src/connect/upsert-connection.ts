/**
 * Creates a connection or gives an existing one new credentials, whatever they came from. An existing one keeps everything
 * that is not mentioned (A2): its metadata, tags, end user, webhook URL, and what else stands in its configuration.
 */
import { ConnectFailure, type AuthMode, type ModeIntegration } from '../auth-modes/auth-mode.ts';
import { openConfig, sealConfig } from '../credentials/connection-secrets.ts';
import { credentialTypeOf, type Obtained } from '../credentials/credential.ts';
import { credentialsPlace } from '../credentials/credential-places.ts';
import { dateOrNull } from '../credentials/expiry.ts';
import { firstTestAt } from '../credentials/credential-test-schedule.ts';
import { scheduleOf, type Schedule } from '../credentials/renewal-schedule.ts';
import { withDefaults } from '../providers/fields.ts';
import type { Provider } from '../providers/provider.ts';
import { newRowId } from '../sources.ts';
import * as connections from '../store/connections.ts';
import { writeCredentials } from '../store/credential-writes.ts';
import { json, type Db } from '../store/database.ts';
import * as integrations from '../store/integrations.ts';
import type { ConnectionRow, EndUser, IntegrationRow, PostConnectionStatus } from '../store/schema.ts';
import type { ConnectContext } from './connect-session.ts';

export interface SavedConnection {
    row: ConnectionRow;
    operation: 'creation' | 'override';
    /** As it was; absent for a creation. */
    before?: ConnectionRow;
}

/** What is said about a connection beside its credentials. A member that is absent was not mentioned. */
export interface Description {
    metadata?: Record<string, unknown>;
    tags?: Record<string, string>;
    endUser?: EndUser;
    /** Empty: none. */
    webhookUrlOverride?: string;
}

export interface ConnectionToStore {
    integration: IntegrationRow;
    provider: Provider;
    connectionId: string;
    /** Row id of the connection that this renews; `null`: whichever has the id. */
    renews: string | null;
    obtained: Obtained;
    /** It waits for its installation. */
    isPending?: boolean;
    /** Laid over what an existing connection has; a member that is `undefined` goes. */
    connectionConfig: Record<string, unknown>;
    /** Of what its hook is still to find. */
    postConnectionStatus: PostConnectionStatus | null;
    schedule: Schedule;
    /** Asked under the lock, as it may depend on what is stored. @param existing `undefined`: it will be created */
    describe(existing: ConnectionRow | undefined): Description;
}

/**
 * Inside a transaction: the row stays locked until it ends.
 * @throws ConnectFailure `unknown_provider_config`, `account_or_environment_retrieval_err`, `invalid_connection` when they were deleted meanwhile;
 *   `callback_err` when the connection works and the new one would only wait
 */
export async function upsertConnection(transaction: Db, context: ConnectContext, given: ConnectionToStore): Promise<SavedConnection> {
    // What is deleted has taken its connections along; one more would be there for good.
    const holder = await integrations.holdWithEnvironment(transaction, given.integration.id);
    if (holder === 'no environment') {
        throw new ConnectFailure('account_or_environment_retrieval_err', 'The environment was deleted meanwhile.');
    }
    if (holder === 'no integration') {
        throw new ConnectFailure('unknown_provider_config', 'The integration was deleted meanwhile.');
    }
    for (;;) {
        const existing = await connections.lockByKey(transaction, given.integration.id, given.connectionId);
        // Deleted while the provider was asked: it is not made again, and another that has its id by now is not its user's.
        if (given.renews !== null && existing?.id !== given.renews) {
            throw new ConnectFailure('invalid_connection', 'The connection to be renewed no longer exists.');
        }
        if (existing !== undefined) {
            // S15: a working connection is not given up for one that waits; its installation may have come only just now.
            if (given.isPending === true && existing.auth_state !== 'pending') {
                throw new ConnectFailure('callback_err', 'The installation waits for an approval. The connection keeps the one that it has.');
            }
            return { row: await override(transaction, context, existing, given), operation: 'override', before: existing };
        }
        const row = await create(transaction, context, given);
        if (row !== undefined) {
            return { row, operation: 'creation' };
        }
        // Somebody else has just created it.
    }
}

/** When freshly obtained credentials are to be renewed, or tested, for the first time. */
export function firstSchedule(
    context: ConnectContext,
    target: { provider: Provider; mode: AuthMode | undefined; integration: ModeIntegration; connectionConfig: Record<string, unknown> },
    obtained: Obtained,
): Schedule {
    const { sources, credentialTestMs } = context;
    if (target.mode?.retest !== undefined) {
        const { unverified, retryAfterMs } = obtained;
        return {
            nextAt: firstTestAt(unverified === undefined, credentialTestMs, sources, retryAfterMs),
            refreshTokenExpiresAt: null,
            noticeAt: null,
        };
    }
    return scheduleOf(obtained, target.mode?.renewal?.({ ...context, ...target }, obtained.credentials), sources);
}

function create(db: Db, { vault, sources }: ConnectContext, given: ConnectionToStore): Promise<ConnectionRow | undefined> {
    const { integration, provider, obtained } = given;
    const now = new Date(sources.now());
    const key = { id: newRowId(sources), environment_id: integration.environment_id };
    const config = sealConfig(vault, key, withDefaults(provider, defined(given.connectionConfig)), isMarkedSecret(provider));
    const { metadata, tags, endUser, webhookUrlOverride } = given.describe(undefined);
    return connections.insert(db, {
        ...key,
        integration_id: integration.id,
        provider: provider.name,
        connection_id: given.connectionId,
        credential_type: credentialTypeOf(obtained.credentials),
        sealed_credentials: vault.sealJson(obtained.credentials, credentialsPlace(key)),
        sealed_previous_refresh_token: null,
        sealed_secrets: config.sealed,
        credentials_obtained_at: new Date(obtained.obtainedAt),
        credentials_expires_at: dateOrNull(obtained.expiresAt),
        credentials_expires_at_source: obtained.expiresAtSource ?? null,
        auth_state: given.isPending ? 'pending' : 'ok',
        auth_error: null,
        next_refresh_at: dateOrNull(given.schedule.nextAt),
        refresh_token_expires_at: dateOrNull(given.schedule.refreshTokenExpiresAt),
        expiry_notice_at: dateOrNull(given.schedule.noticeAt),
        credential_verdict: obtained.unverified !== undefined ? 'unproven' : null,
        refresh_lease_owner: null,
        refresh_lease_until: null,
        refresh_intent: null,
        last_refresh_success: now,
        last_refresh_failure: null,
        refresh_failure_reported_at: null,
        connection_config: json(config.clear),
        metadata: metadata === undefined ? null : json(metadata),
        tags: json(tags ?? {}),
        end_user: endUser === undefined ? null : json(endUser),
        webhook_url_override: webhookUrlOverride || null,
        post_connection_status: given.postConnectionStatus,
        last_fetched_at: null,
        created_at: now,
        updated_at: now,
        deleted_at: null,
    });
}

async function override(db: Db, { vault, sources }: ConnectContext, existing: ConnectionRow, given: ConnectionToStore): Promise<ConnectionRow> {
    const { provider, obtained } = given;
    const now = new Date(sources.now());
    const merged = withDefaults(provider, defined({ ...(await openConfig(vault, existing)), ...given.connectionConfig }));
    const config = sealConfig(vault, existing, merged, isMarkedSecret(provider));
    const { metadata, tags, endUser, webhookUrlOverride } = given.describe(existing);
    await writeCredentials(db, {
        id: existing.id,
        epoch: existing.refresh_epoch,
        version: existing.credentials_version,
        sealedCredentials: vault.sealJson(obtained.credentials, credentialsPlace(existing)),
        // a fresh grant has no generation before it
        sealedPreviousRefreshToken: null,
        credentialType: credentialTypeOf(obtained.credentials),
        obtainedAt: new Date(obtained.obtainedAt),
        expiresAt: dateOrNull(obtained.expiresAt),
        expiresAtSource: obtained.expiresAtSource ?? null,
        nextRefreshAt: dateOrNull(given.schedule.nextAt),
        refreshTokenExpiresAt: dateOrNull(given.schedule.refreshTokenExpiresAt),
        expiryNoticeAt: dateOrNull(given.schedule.noticeAt),
        now,
        isPending: given.isPending ?? false,
        alongside: {
            credential_verdict: obtained.unverified !== undefined ? 'unproven' : null,
            credential_refusals: 0,
            connection_config: json(config.clear),
            sealed_secrets: config.sealed,
            post_connection_status: given.postConnectionStatus,
            updated_at: now,
            ...(metadata === undefined ? {} : { metadata: json(metadata) }),
            ...(tags === undefined ? {} : { tags: json(tags) }),
            ...(endUser === undefined ? {} : { end_user: json(endUser) }),
            ...(webhookUrlOverride === undefined ? {} : { webhook_url_override: webhookUrlOverride || null }),
        },
    });
    return (await connections.findById(db, existing.id)) ?? existing;
}

export const isMarkedSecret =
    (provider: Provider) =>
    (name: string): boolean =>
        provider.entry.connection_config?.[name]?.secret === true;

const defined = (config: Record<string, unknown>): Record<string, unknown> =>
    Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
