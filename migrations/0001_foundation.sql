-- The tables Valetkey stands on. Forward-only: a change is a new file with the next number.
--
-- Conventions
--   id            UUIDv7, made by the application before the row is sealed (it is part of the AAD, E1)
--   public_id     the small integer the HTTP API shows where the reference shows one
--   sealed_*      only ever an AES-256-GCM value `v1.<key>.<iv>.<ciphertext>.<tag>`; nothing else holds a secret (E3, E4)
--   *_hash        `<pepper id>.<base64url HMAC-SHA256>`; the value itself is never stored
--   times         written by the application from the database's clock (R11), never by `now()`, so that tests can drive them

create table data_keys (
    id text primary key,
    purpose text not null check (purpose in ('seal', 'lookup')),
    is_current boolean not null,
    wrapped text not null,
    created_at timestamptz not null
);
-- Two replicas starting on an empty database agree on one key: the second insert does nothing.
create unique index data_keys_current on data_keys (purpose) where is_current;

create table environments (
    id uuid primary key,
    public_id bigint generated always as identity unique,
    name text not null,
    is_production boolean not null,
    callback_url text,
    -- S2: a callback forwarded by the customer's server arrives without the browser's cookie. Off by default.
    accepts_forwarded_callbacks boolean not null default false,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    deleted_at timestamptz
);
create unique index environments_name on environments (name) where deleted_at is null;

create table api_keys (
    id uuid primary key,
    public_id bigint generated always as identity unique,
    environment_id uuid references environments (id),
    display_name text not null,
    key_hash text not null,
    scopes text[] not null,
    -- configured: fixed by VALETKEY_SECRET_KEY_<ENV>, replaced when that changes
    origin text not null check (origin in ('first_start', 'created', 'configured')),
    created_at timestamptz not null,
    last_used_at timestamptz,
    expires_at timestamptz,
    deleted_at timestamptz
);
create unique index api_keys_hash on api_keys (key_hash) where deleted_at is null;

create table webhook_settings (
    environment_id uuid primary key references environments (id),
    primary_url text,
    secondary_url text,
    on_auth_creation boolean not null default true,
    on_auth_refresh_error boolean not null default true,
    on_sync_completion_always boolean not null default true,
    on_sync_error boolean not null default true,
    on_async_action_completion boolean not null default true,
    -- W8: a receiver that answers 410 is not called again until its URL is written anew.
    primary_disabled_reason text,
    secondary_disabled_reason text,
    updated_at timestamptz not null
);

create table webhook_signing_keys (
    id uuid primary key,
    environment_id uuid not null references environments (id),
    state text not null check (state in ('active', 'retiring', 'revoked')),
    -- JSON: {"secret": "whsec_…", "ed25519": "<PKCS#8 DER, base64>"}
    sealed_keys text not null,
    created_at timestamptz not null
);
create unique index webhook_signing_keys_active on webhook_signing_keys (environment_id) where state = 'active';

create table integrations (
    id uuid primary key,
    public_id bigint generated always as identity unique,
    environment_id uuid not null references environments (id),
    unique_key text not null,
    provider text not null,
    display_name text,
    oauth_client_id text,
    sealed_oauth_client_secret text,
    oauth_scopes text,
    sealed_custom text,
    forward_webhooks boolean not null default true,
    -- N2: hosts that may receive this integration's client secret when a connection chooses the host. Null: the catalogue's.
    allowed_hosts text[],
    created_at timestamptz not null,
    updated_at timestamptz not null,
    deleted_at timestamptz
);
create unique index integrations_key on integrations (environment_id, unique_key) where deleted_at is null;

create table connections (
    id uuid primary key,
    public_id bigint generated always as identity unique,
    environment_id uuid not null references environments (id),
    integration_id uuid not null references integrations (id),
    -- a copy of the integration's provider, so that the work queue can be fair between providers without a join
    provider text not null,
    connection_id text not null,

    credential_type text not null,
    sealed_credentials text not null,
    sealed_previous_refresh_token text,
    sealed_secrets text,
    credentials_version bigint not null default 1,
    credentials_obtained_at timestamptz not null,
    credentials_expires_at timestamptz,

    auth_state text not null check (auth_state in ('ok', 'degraded', 'unavailable', 'expired_no_refresh', 'needs_reauth', 'pending')),
    -- {"type", "description", "log_id", "since"} of the active problem
    auth_error jsonb,
    next_refresh_at timestamptz,
    refresh_lease_owner text,
    refresh_lease_until timestamptz,
    refresh_epoch bigint not null default 0,
    -- {"epoch", "started_at", "fingerprint"}: written before a token call, cleared with its outcome (R2d)
    refresh_intent jsonb,
    refresh_attempts int not null default 0,
    last_refresh_success timestamptz,
    last_refresh_failure timestamptz,
    refresh_failure_reported_at timestamptz,

    connection_config jsonb not null default '{}',
    metadata jsonb,
    tags jsonb not null default '{}',
    -- {"id", "email", "display_name", "tags", "organization"}: one end user per connection
    end_user jsonb,
    webhook_url_override text,

    last_fetched_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    deleted_at timestamptz
) with (fillfactor = 80);
create unique index connections_key on connections (integration_id, connection_id) where deleted_at is null;
create index connections_listing on connections (environment_id, created_at desc, public_id desc) where deleted_at is null;
create index connections_due on connections (next_refresh_at) where deleted_at is null and next_refresh_at is not null;

create table connect_sessions (
    id uuid primary key,
    environment_id uuid not null references environments (id),
    token_hash text not null unique,
    -- the connection a reconnect session is bound to
    connection_id uuid references connections (id),
    allowed_integrations text[],
    -- integrations_config_defaults may hold client secrets and ROPC passwords
    sealed_defaults text,
    overrides jsonb,
    end_user jsonb,
    tags jsonb,
    webhook_url_override text,
    operation_id text,
    -- what became of the last attempt: {"status", "provider_config_key", "connection_id", "error": {"type", "description"}, "at"}
    outcome jsonb,
    created_at timestamptz not null,
    expires_at timestamptz not null
);
create index connect_sessions_expiry on connect_sessions (expires_at);

create table oauth_flows (
    id uuid primary key,
    environment_id uuid not null references environments (id),
    integration_id uuid not null references integrations (id),
    connect_session_id uuid references connect_sessions (id) on delete set null,
    -- S1: 256-bit state, only its SHA-256 is kept, consumed once
    state_hash text not null unique,
    consumed_at timestamptz,
    expires_at timestamptz not null,
    -- S2: SHA-256 of the cookie value of the browser that began the flow
    browser_hash text not null,
    -- S6: the redirect_uri of the authorization request, reused verbatim (RFC 6749 §4.1.3)
    redirect_uri text not null,
    -- {"verifier", "connection_config", "client_id", "client_secret", …}; emptied when the flow is consumed
    sealed_secrets text,
    connection_id text not null,
    ws_client_id text,
    opener_origin text,
    operation_id text,
    outcome jsonb,
    outcome_delivered_at timestamptz,
    created_at timestamptz not null
);
create index oauth_flows_expiry on oauth_flows (expires_at);
create index oauth_flows_undelivered on oauth_flows (ws_client_id) where outcome is not null and outcome_delivered_at is null;

-- S9: what a browser wants to connect with, sent in a request body instead of a URL; exchanged once for a flow.
create table oauth_flow_requests (
    id uuid primary key,
    environment_id uuid not null references environments (id),
    connect_session_id uuid not null references connect_sessions (id) on delete cascade,
    token_hash text not null unique,
    provider_config_key text not null,
    sealed_request text not null,
    created_at timestamptz not null,
    expires_at timestamptz not null
);

-- R2: a token answer is written here the moment it arrives, before it is parsed or applied. Rows are never rewritten,
-- only marked with what became of them, and removed with their connection.
create table credential_journal (
    id uuid primary key,
    environment_id uuid not null,
    connection_row_id uuid not null,
    refresh_epoch bigint not null,
    base_version bigint not null,
    requested_at timestamptz not null,
    received_at timestamptz not null,
    sealed_response text not null,
    outcome text check (outcome in ('applied', 'superseded', 'rejected')),
    settled_at timestamptz
);
create index credential_journal_open on credential_journal (connection_row_id, received_at) where outcome is null;
-- a deleted connection takes its answers along (E7)
create index credential_journal_connection on credential_journal (connection_row_id);

create table webhook_events (
    -- msg_<ULID>, the same on every attempt, destination and redelivery (W3)
    id text primary key,
    environment_id uuid not null references environments (id),
    connection_row_id uuid,
    type text not null,
    operation text not null,
    -- the exact bytes that are signed and sent (W19)
    body text not null,
    created_at timestamptz not null
);

create table webhook_deliveries (
    id uuid primary key,
    event_id text not null references webhook_events (id),
    environment_id uuid not null references environments (id),
    destination text not null check (destination in ('primary', 'secondary', 'override')),
    url text not null,
    state text not null check (state in ('pending', 'delivered', 'dead')),
    attempts int not null default 0,
    next_attempt_at timestamptz,
    lease_owner text,
    lease_until timestamptz,
    lease_epoch bigint not null default 0,
    last_status int,
    last_error text,
    created_at timestamptz not null,
    settled_at timestamptz
);
create index webhook_deliveries_due on webhook_deliveries (next_attempt_at) where state = 'pending';
create index webhook_deliveries_event on webhook_deliveries (event_id);

create table operations (
    id text primary key,
    environment_id uuid not null references environments (id),
    type text not null,
    action text not null,
    state text not null check (state in ('waiting', 'running', 'success', 'failed', 'timeout', 'cancelled')),
    level text not null check (level in ('debug', 'info', 'warn', 'error')),
    message text not null,
    integration_id uuid,
    connection_row_id uuid,
    connection_id text,
    error jsonb,
    meta jsonb,
    created_at timestamptz not null,
    ended_at timestamptz,
    expires_at timestamptz
);
create index operations_listing on operations (environment_id, created_at desc);
