-- What an operator sets per environment, beside what the connect flow reads of `environments` itself.

create table environment_settings (
    id uuid primary key,
    environment_id uuid not null unique references environments (id),
    -- Kept for clients that set them (http-api §10.1). Nothing here reads HMAC settings: public keys are not served.
    hmac_enabled boolean not null default false,
    sealed_hmac_key text,
    slack_notifications boolean not null default false,
    otlp_endpoint text,
    -- JSON: [{"name", "value"}]
    sealed_otlp_headers text,
    -- Where a connect link may send its user afterwards: origins or URL prefixes.
    allowed_return_urls text[] not null default '{}',
    -- {"defaultTheme", "theme", "showWatermark"}; null: the defaults
    connect_ui jsonb,
    updated_at timestamptz not null
);
insert into environment_settings (id, environment_id, updated_at) select gen_random_uuid(), id, updated_at from environments;
