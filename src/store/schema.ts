/** The tables of `migrations/`, as Kysely sees them. Column meaning is documented in the migration. */
import type { ColumnType, Generated, Insertable, Selectable } from 'kysely';

/** A timestamptz: read as `Date`, written as `Date`. */
type Time = Date;
/** jsonb is written as JSON text: a JavaScript array would otherwise become a Postgres array. */
type Json<T> = ColumnType<T, string, string>;
type PublicId = ColumnType<number, never, never>;

/** What a connection's post-connection hook still owes. */
export type PostConnectionStatus = 'metadata_pending' | 'failed';

/**
 * What says when credentials end (R16): the answer that brought them, by a moment or a lifetime; the token itself, by its `exp`; the
 * provider, asked again; the provider's entry; nobody, so that the usual is assumed; whoever imported them.
 */
export type ExpirySource = 'expires_at' | 'expires_in' | 'token' | 'introspection' | 'entry' | 'assumed' | 'import';

export type AuthState = 'ok' | 'degraded' | 'unavailable' | 'expired_no_refresh' | 'needs_reauth' | 'pending';

export interface EndUser {
    id: string;
    email: string | null;
    display_name: string | null;
    tags: Record<string, string> | null;
    organization: { id: string; display_name: string | null } | null;
}

export interface AuthError {
    type: string;
    description: string;
    /** The operation that explains it. */
    log_id: string;
    since: string;
    /** No call before: the provider asked for patience, or refused in a way that we cannot read. */
    not_before?: string;
    /** How many of the attempts were refused in a way that we cannot read. */
    refusals?: number;
    /** When the first of those came; later than `since` where an outage went before. */
    refused_since?: string;
    /** The provider refused the client, not the grant: another client secret may mend it. */
    client_refused?: true;
}

export interface RefreshIntent {
    epoch: number;
    started_at: string;
    fingerprint: string;
}

export interface ConnectOutcome {
    status: 'success' | 'error';
    provider_config_key?: string;
    connection_id?: string;
    is_pending?: boolean;
    error?: { type: string; description: string };
    at: string;
}

interface DataKeysTable {
    id: string;
    purpose: 'seal' | 'lookup';
    is_current: boolean;
    wrapped: string;
    created_at: Time;
}

interface EnvironmentsTable {
    id: string;
    public_id: PublicId;
    name: string;
    is_production: boolean;
    callback_url: string | null;
    accepts_forwarded_callbacks: Generated<boolean>;
    accept_unverified_credentials: Generated<boolean>;
    created_at: Time;
    updated_at: Time;
    deleted_at: Time | null;
}

/** How the Connect UI looks (webhooks-proxy-settings §4.8). */
export interface ConnectUiSettings {
    defaultTheme: 'light' | 'dark' | 'system';
    theme: { light: { primary: string }; dark: { primary: string } };
    showWatermark: boolean;
    /** Absent in what was stored before there was one: no. */
    closeOnSuccess?: boolean;
}

interface EnvironmentSettingsTable {
    id: string;
    environment_id: string;
    hmac_enabled: Generated<boolean>;
    sealed_hmac_key: string | null;
    slack_notifications: Generated<boolean>;
    otlp_endpoint: string | null;
    sealed_otlp_headers: string | null;
    allowed_return_urls: Generated<string[]>;
    previous_callback_urls: Generated<string[]>;
    connect_ui: Json<ConnectUiSettings> | null;
    updated_at: Time;
}

interface EnvironmentVariablesTable {
    id: string;
    environment_id: string;
    name: string;
    sealed_value: string;
    created_at: Time;
}

interface ApiKeysTable {
    id: string;
    public_id: PublicId;
    environment_id: string | null;
    display_name: string;
    key_hash: string;
    scopes: string[];
    origin: 'first_start' | 'created' | 'configured';
    created_at: Time;
    last_used_at: Time | null;
    last_used_ip: string | null;
    expires_at: Time | null;
    allowed_cidrs: string[] | null;
    replaced_at: Time | null;
    deleted_at: Time | null;
}

interface WebhookSettingsTable {
    environment_id: string;
    on_auth_creation: Generated<boolean>;
    on_auth_refresh_error: Generated<boolean>;
    on_sync_completion_always: Generated<boolean>;
    on_sync_error: Generated<boolean>;
    on_async_action_completion: Generated<boolean>;
    updated_at: Time;
}

interface WebhookEndpointsTable {
    id: string;
    environment_id: string;
    role: 'primary' | 'secondary' | null;
    url: string;
    description: string | null;
    events: string[];
    follow_redirects: Generated<boolean>;
    own_signing_key: Generated<boolean>;
    disabled_at: Time | null;
    disabled_reason: 'receiver_gone' | 'failing' | 'manual' | null;
    failing_since: Time | null;
    created_at: Time;
    updated_at: Time;
}

interface WebhookSigningKeysTable {
    id: string;
    environment_id: string;
    state: 'active' | 'retiring' | 'revoked';
    sealed_keys: string | null;
    created_at: Time;
    retires_at: Time | null;
    signs_legacy: Generated<boolean>;
    /** Null: the environment's. */
    endpoint_id: string | null;
}

interface IntegrationsTable {
    id: string;
    public_id: PublicId;
    environment_id: string;
    unique_key: string;
    provider: string;
    display_name: string | null;
    oauth_client_id: string | null;
    sealed_oauth_client_secret: string | null;
    oauth_scopes: string | null;
    sealed_custom: string | null;
    forward_webhooks: Generated<boolean>;
    allowed_hosts: string[] | null;
    created_at: Time;
    updated_at: Time;
    deleted_at: Time | null;
}

interface ClientRegistrationsTable {
    id: string;
    environment_id: string;
    integration_id: string;
    key_hash: string;
    sealed_registration: string;
    version: Generated<number>;
    created_at: Time;
    updated_at: Time;
}

interface ConnectionsTable {
    id: string;
    public_id: PublicId;
    environment_id: string;
    integration_id: string;
    provider: string;
    connection_id: string;
    credential_type: string;
    sealed_credentials: string;
    sealed_previous_refresh_token: string | null;
    sealed_secrets: string | null;
    credentials_version: Generated<number>;
    credentials_obtained_at: Time;
    credentials_expires_at: Time | null;
    credentials_expires_at_source: ExpirySource | null;
    auth_state: AuthState;
    auth_error: Json<AuthError | null> | null;
    next_refresh_at: Time | null;
    refresh_lease_owner: string | null;
    refresh_lease_until: Time | null;
    refresh_epoch: Generated<number>;
    refresh_intent: Json<RefreshIntent | null> | null;
    refresh_waited: Generated<boolean>;
    refresh_attempts: Generated<number>;
    last_refresh_success: Time | null;
    last_refresh_failure: Time | null;
    refresh_failure_reported_at: Time | null;
    refresh_token_expires_at: Time | null;
    expiry_notice_at: Time | null;
    credential_verdict: 'unproven' | 'accepted' | 'rejected' | null;
    credential_refusals: Generated<number>;
    connection_config: Json<Record<string, unknown>>;
    metadata: Json<Record<string, unknown> | null> | null;
    tags: Json<Record<string, string>>;
    end_user: Json<EndUser | null> | null;
    webhook_url_override: string | null;
    post_connection_status: PostConnectionStatus | null;
    last_fetched_at: Time | null;
    created_at: Time;
    updated_at: Time;
    deleted_at: Time | null;
}

/** Kept by triggers on `connections`; only listing reads it. */
interface ConnectionFacetsTable {
    facet: string;
    created_at: Time;
    public_id: number;
}

interface ConnectSessionsTable {
    id: string;
    environment_id: string;
    token_hash: string;
    connection_id: string | null;
    allowed_integrations: string[] | null;
    sealed_defaults: string | null;
    overrides: Json<Record<string, { docs_connect?: string }> | null> | null;
    end_user: Json<EndUser | null> | null;
    tags: Json<Record<string, string> | null> | null;
    webhook_url_override: string | null;
    operation_id: string | null;
    outcome: Json<ConnectOutcome | null> | null;
    return_url: string | null;
    single_use: Generated<boolean>;
    used_by: string | null;
    keeps_tags: Generated<boolean>;
    created_at: Time;
    expires_at: Time;
}

interface OauthFlowsTable {
    id: string;
    environment_id: string;
    integration_id: string;
    connect_session_id: string | null;
    state_hash: string;
    consumed_at: Time | null;
    expires_at: Time;
    browser_hash: string;
    redirect_uri: string;
    sealed_secrets: string | null;
    connection_id: string;
    ws_client_id: string | null;
    opener_origin: string | null;
    operation_id: string | null;
    outcome: Json<ConnectOutcome | null> | null;
    outcome_delivered_at: Time | null;
    created_at: Time;
    connect_flow_id: Generated<string | null>;
    returns_to_page: Generated<boolean>;
}

interface ConnectFlowsTable {
    id: string;
    connect_session_id: string;
    provider_config_key: string;
    oauth_flow_id: string | null;
    outcome: Json<ConnectOutcome | null> | null;
    created_at: Time;
}

interface OauthFlowRequestsTable {
    id: string;
    environment_id: string;
    connect_session_id: string;
    token_hash: string;
    provider_config_key: string;
    sealed_request: string;
    created_at: Time;
    expires_at: Time;
}

interface CredentialJournalTable {
    id: string;
    environment_id: string;
    connection_row_id: string;
    refresh_epoch: number;
    base_version: number;
    requested_at: Time;
    received_at: Time;
    sealed_response: string;
    outcome: 'superseded' | 'rejected' | null;
    settled_at: Time | null;
}

interface PostConnectionHooksTable {
    id: string;
    environment_id: string;
    connection_row_id: string;
    provider: string;
    state: 'pending' | 'failed';
    attempts: number;
    due_at: Time | null;
    lease_owner: string | null;
    lease_until: Time | null;
    lease_epoch: Generated<number>;
    operation_id: string;
    created_at: Time;
}

interface WebhookEventsTable {
    id: string;
    environment_id: string;
    connection_row_id: string | null;
    connection_id: string | null;
    type: string;
    operation: string;
    post_connection_status: PostConnectionStatus | null;
    body: string;
    created_at: Time;
    sequence: number | null;
    /** Never read: compared with snapshots. */
    xid: ColumnType<string, never, never>;
    position: PublicId;
}

interface WebhookSequencesTable {
    connection_row_id: string;
    last: number;
}

interface WebhookDeliveriesTable {
    id: string;
    event_id: string;
    environment_id: string;
    destination: 'primary' | 'secondary' | 'override' | 'endpoint';
    endpoint_id: string | null;
    url: string;
    state: 'pending' | 'delivered' | 'dead' | 'held';
    attempts: Generated<number>;
    next_attempt_at: Time | null;
    lease_owner: string | null;
    lease_until: Time | null;
    lease_epoch: Generated<number>;
    last_status: number | null;
    last_error: string | null;
    created_at: Time;
    settled_at: Time | null;
    connection_row_id: string | null;
    connection_id: string | null;
    sequence: number | null;
    is_redelivery: Generated<boolean>;
    operation_id: Generated<string | null>;
}

interface WebhookDeliveryAttemptsTable {
    delivery_id: string;
    number: number;
    started_at: Time;
    duration_ms: number;
    status: number | null;
    error: string | null;
    resolved_ip: string | null;
    response_headers: Json<Record<string, string> | null> | null;
    response_body: string | null;
    /** Among the messages of its operation; null before there were such. */
    message_id: Generated<number | null>;
}

interface OperationsTable {
    id: string;
    environment_id: string;
    type: string;
    action: string;
    state: 'waiting' | 'running' | 'success' | 'failed' | 'timeout' | 'cancelled';
    level: 'debug' | 'info' | 'warn' | 'error';
    message: string;
    integration_id: string | null;
    connection_row_id: string | null;
    connection_id: string | null;
    error: Json<{ type: string; message: string } | null> | null;
    meta: Json<Record<string, unknown> | null> | null;
    created_at: Time;
    changed_at: Time;
    ended_at: Time | null;
    expires_at: Time | null;
    /** Of the transaction that last wrote it; null for routine renewals. */
    xid: ColumnType<string | null, never, never>;
}

interface OperationMessagesTable {
    id: Generated<number>;
    operation_id: string;
    operation_created_at: Time;
    source: Generated<'internal' | 'user'>;
    level: OperationsTable['level'];
    type: 'log' | 'http';
    context: 'script' | 'proxy' | 'webhook' | 'auth' | null;
    message: string;
    error: Json<Record<string, unknown> | null> | null;
    request: Json<Record<string, unknown> | null> | null;
    response: Json<Record<string, unknown> | null> | null;
    retry: Json<Record<string, unknown> | null> | null;
    meta: Json<Record<string, unknown> | null> | null;
    created_at: Time;
    ended_at: Time | null;
    duration_ms: number | null;
}

interface IdempotentRequestsTable {
    id: string;
    environment_id: string;
    caller: string;
    key: string;
    request_hash: string;
    locked_until: Time;
    status: number | null;
    sealed_body: string | null;
    created_at: Time;
}

interface TokenHostsTable {
    host: string;
    failing: string[];
    last_failure_at: Time;
    open_until: Time | null;
    opened_at: Time | null;
    openings: Generated<number>;
    probe_until: Time | null;
    slow_until: Time | null;
}

/** A process's part of a limit. `until` in ms. */
export interface CallShare {
    slots: number;
    needs: number;
    until: number;
}

interface TokenCallSharesTable {
    scope: string;
    shares: Json<Record<string, CallShare>>;
    calls: number;
    refilled_at: Time;
}

export interface Schema {
    data_keys: DataKeysTable;
    environments: EnvironmentsTable;
    environment_settings: EnvironmentSettingsTable;
    environment_variables: EnvironmentVariablesTable;
    api_keys: ApiKeysTable;
    webhook_settings: WebhookSettingsTable;
    webhook_endpoints: WebhookEndpointsTable;
    webhook_signing_keys: WebhookSigningKeysTable;
    integrations: IntegrationsTable;
    client_registrations: ClientRegistrationsTable;
    connections: ConnectionsTable;
    connection_facets: ConnectionFacetsTable;
    connect_sessions: ConnectSessionsTable;
    oauth_flows: OauthFlowsTable;
    oauth_flow_requests: OauthFlowRequestsTable;
    connect_flows: ConnectFlowsTable;
    credential_journal: CredentialJournalTable;
    post_connection_hooks: PostConnectionHooksTable;
    webhook_events: WebhookEventsTable;
    webhook_deliveries: WebhookDeliveriesTable;
    webhook_delivery_attempts: WebhookDeliveryAttemptsTable;
    webhook_sequences: WebhookSequencesTable;
    operations: OperationsTable;
    operation_messages: OperationMessagesTable;
    idempotent_requests: IdempotentRequestsTable;
    token_hosts: TokenHostsTable;
    token_call_shares: TokenCallSharesTable;
}

export type DataKeyRow = Selectable<DataKeysTable>;
export type EnvironmentSettingsRow = Selectable<EnvironmentSettingsTable>;
export type EnvironmentRow = Selectable<EnvironmentsTable>;
export type ApiKeyRow = Selectable<ApiKeysTable>;
export type WebhookSigningKeyRow = Selectable<WebhookSigningKeysTable>;
export type EnvironmentVariableRow = Selectable<EnvironmentVariablesTable>;
export type NewEnvironmentVariable = Insertable<EnvironmentVariablesTable>;
export type WebhookSettingsRow = Selectable<WebhookSettingsTable>;
export type WebhookEndpointRow = Selectable<WebhookEndpointsTable>;
export type NewWebhookEndpoint = Insertable<WebhookEndpointsTable>;
export type IntegrationRow = Selectable<IntegrationsTable>;
export type ClientRegistrationRow = Selectable<ClientRegistrationsTable>;
export type ConnectionRow = Selectable<ConnectionsTable>;
export type ConnectSessionRow = Selectable<ConnectSessionsTable>;
export type OauthFlowRow = Selectable<OauthFlowsTable>;
export type OauthFlowRequestRow = Selectable<OauthFlowRequestsTable>;
export type CredentialJournalRow = Selectable<CredentialJournalTable>;
export type PostConnectionHookRow = Selectable<PostConnectionHooksTable>;
export type WebhookDeliveryRow = Selectable<WebhookDeliveriesTable>;
export type WebhookDeliveryAttemptRow = Selectable<WebhookDeliveryAttemptsTable>;
export type TokenHostRow = Selectable<TokenHostsTable>;
export type OperationRow = Selectable<OperationsTable>;
export type OperationMessageRow = Selectable<OperationMessagesTable>;
export type NewClientRegistration = Insertable<ClientRegistrationsTable>;
export type NewConnection = Insertable<ConnectionsTable>;
export type NewIntegration = Insertable<IntegrationsTable>;
export type NewConnectSession = Insertable<ConnectSessionsTable>;
export type NewOauthFlow = Insertable<OauthFlowsTable>;
export type NewJournalEntry = Insertable<CredentialJournalTable>;
export type NewEnvironmentSettings = Insertable<EnvironmentSettingsTable>;
export type NewApiKey = Insertable<ApiKeysTable>;
export type NewOperation = Insertable<OperationsTable>;
