/** Rows for tests: valid and dull, so that a test states only what it is about. */
import { newRowId, systemSources } from '../../src/sources.ts';
import * as connections from '../../src/store/connections.ts';
import type { JournalledWrite } from '../../src/store/credential-writes.ts';
import { json, type Db } from '../../src/store/database.ts';
import * as integrations from '../../src/store/integrations.ts';
import * as operations from '../../src/store/operations.ts';
import * as hooks from '../../src/store/post-connection-hooks.ts';
import type { ConnectionRow, IntegrationRow, NewConnection, NewIntegration, NewWebhookEndpoint } from '../../src/store/schema.ts';
import * as endpoints from '../../src/store/webhook-endpoints.ts';
import * as outbox from '../../src/store/webhook-outbox.ts';
import type { WebhookSettings } from '../../src/store/webhook-settings.ts';
import { defaultEventKinds } from '../../src/webhooks/event-kinds.ts';

/** The moment at which the rows below were made, unless they say otherwise. */
export const madeAt = new Date('2026-01-01T00:00:00.000Z');

export const after = (ms: number): Date => new Date(madeAt.getTime() + ms);

export const newId = (): string => newRowId(systemSources);

/** @returns its id. */
export async function insertEnvironment(db: Db, name = `env-${newId()}`): Promise<string> {
    const id = newId();
    await db
        .insertInto('environments')
        .values({ id, name, is_production: false, callback_url: null, created_at: madeAt, updated_at: madeAt, deleted_at: null })
        .execute();
    return id;
}

/** The settings of an environment, with the endpoints that they name. */
export async function insertWebhookSettings(
    db: Db,
    environmentId: string,
    { primary_url, secondary_url, primary_disabled_reason, secondary_disabled_reason, ...switches }: Partial<WebhookSettings>,
): Promise<void> {
    await db
        .insertInto('webhook_settings')
        .values({ environment_id: environmentId, updated_at: madeAt, ...switches })
        .execute();
    await insertEndpoint(db, environmentId, { role: 'primary', url: primary_url, disabled_reason: primary_disabled_reason ?? null });
    await insertEndpoint(db, environmentId, { role: 'secondary', url: secondary_url, disabled_reason: secondary_disabled_reason ?? null });
}

/** @returns its id, or nothing when it has no URL. */
export async function insertEndpoint(
    db: Db,
    environmentId: string,
    { url, ...overrides }: Partial<Omit<NewWebhookEndpoint, 'url'>> & { url: string | null | undefined },
): Promise<string | undefined> {
    if (!url) {
        return undefined;
    }
    const row = await endpoints.insert(db, {
        id: newId(),
        environment_id: environmentId,
        role: null,
        url,
        description: null,
        events: [...defaultEventKinds],
        disabled_at: overrides.disabled_reason ? madeAt : null,
        disabled_reason: null,
        failing_since: null,
        created_at: madeAt,
        updated_at: madeAt,
        ...overrides,
    });
    return row.id;
}

export async function insertIntegration(db: Db, environmentId: string, overrides: Partial<NewIntegration> = {}): Promise<IntegrationRow> {
    const row = await integrations.insert(db, {
        id: newId(),
        environment_id: environmentId,
        unique_key: 'github',
        provider: 'github',
        display_name: null,
        oauth_client_id: 'client',
        sealed_oauth_client_secret: null,
        oauth_scopes: null,
        sealed_custom: null,
        allowed_hosts: null,
        created_at: madeAt,
        updated_at: madeAt,
        deleted_at: null,
        ...overrides,
    });
    return row!;
}

export const insertConnection = async (db: Db, integration: IntegrationRow, overrides: Partial<NewConnection> = {}): Promise<ConnectionRow> =>
    (await connections.insert(db, {
        id: newId(),
        environment_id: integration.environment_id,
        integration_id: integration.id,
        provider: integration.provider,
        connection_id: `c-${newId()}`,
        credential_type: 'OAUTH2',
        sealed_credentials: 'sealed-credentials',
        sealed_previous_refresh_token: null,
        sealed_secrets: null,
        credentials_obtained_at: madeAt,
        credentials_expires_at: null,
        auth_state: 'ok',
        auth_error: null,
        next_refresh_at: null,
        refresh_lease_owner: null,
        refresh_lease_until: null,
        refresh_intent: null,
        last_refresh_success: null,
        last_refresh_failure: null,
        refresh_failure_reported_at: null,
        connection_config: json({}),
        metadata: null,
        tags: json({}),
        end_user: null,
        webhook_url_override: null,
        last_fetched_at: null,
        created_at: madeAt,
        updated_at: madeAt,
        deleted_at: null,
        ...overrides,
    }))!;

/** A connect that has not ended; its id says when it began. */
export const waitingOperation = (environmentId: string, id: string) =>
    ({
        id,
        environment_id: environmentId,
        type: 'auth',
        action: 'create_connection',
        state: 'waiting',
        level: 'info',
        message: 'begun',
        integration_id: null,
        connection_row_id: null,
        connection_id: null,
        error: null,
        meta: null,
        created_at: operations.beganAt(id),
        ended_at: null,
        expires_at: null as Date | null,
    }) as const;

/** A hook that has not succeeded, with its operation. */
export async function insertHook(
    db: Db,
    connection: ConnectionRow,
    state: 'pending' | 'failed' = 'pending',
): Promise<{ id: string; operation_id: string }> {
    const hook = { id: newId(), operation_id: `operation-${newId()}` };
    const { environment_id, integration_id, provider } = connection;
    await operations.open(db, {
        id: hook.operation_id,
        environment_id,
        type: 'connection',
        action: 'post_connection',
        state: state === 'failed' ? 'failed' : 'running',
        level: 'warn',
        message: 'Not found yet',
        integration_id,
        connection_row_id: connection.id,
        connection_id: connection.connection_id,
        error: null,
        meta: null,
        created_at: madeAt,
        ended_at: state === 'failed' ? madeAt : null,
        expires_at: null,
    });
    await hooks.insert(db, { ...hook, environment_id, connection_row_id: connection.id, provider, dueAt: madeAt, at: madeAt });
    if (state === 'failed') {
        await db.updateTable('post_connection_hooks').set({ state, due_at: null }).where('id', '=', hook.id).execute();
    }
    return hook;
}

/** An environment with one integration. */
export async function insertSetting(db: Db): Promise<IntegrationRow> {
    return insertIntegration(db, await insertEnvironment(db));
}

/** A pending delivery of an event of its own. @returns its id. */
export async function insertDelivery(db: Db, environmentId: string, url: string, nextAttemptAt: Date): Promise<string> {
    const [id, eventId] = [newId(), `msg_${newId()}`];
    await outbox.insertEvent(db, {
        id: eventId,
        environment_id: environmentId,
        connection_row_id: null,
        type: 'auth',
        operation: 'creation',
        body: '{}',
        created_at: madeAt,
    });
    const delivery = {
        id,
        event_id: eventId,
        environment_id: environmentId,
        destination: 'primary',
        endpoint_id: null,
        url,
        state: 'pending',
    } as const;
    await outbox.insertDeliveries(db, [{ ...delivery, next_attempt_at: nextAttemptAt, created_at: madeAt }]);
    return id;
}

/** New credentials of a connection that was never renewed, from an answer that nobody has written down. */
export const journalledWrite = (integration: IntegrationRow, id: string, overrides: Partial<JournalledWrite> = {}): JournalledWrite => ({
    id,
    epoch: 0,
    version: 1,
    sealedCredentials: 'sealed',
    sealedPreviousRefreshToken: null,
    credentialType: 'OAUTH2',
    obtainedAt: madeAt,
    expiresAt: null,
    nextRefreshAt: null,
    refreshTokenExpiresAt: null,
    expiryNoticeAt: null,
    now: after(1),
    journalId: newId(),
    log: {
        id: operations.newOperationId(systemSources),
        environmentId: integration.environment_id,
        integrationId: integration.id,
        connectionRowId: id,
        connectionId: id,
        reason: 'expiry',
        expiresAt: null,
    },
    ...overrides,
});
