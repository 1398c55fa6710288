-- Signing keys that overlap while they are replaced, what an environment keeps for its readers, and where its flows came back to.

-- W6: `retiring` keys sign beside the active one until `retires_at`; for a revoked key that is the moment it ended.
alter table webhook_signing_keys
    add column retires_at timestamptz,
    -- The single-valued X-Nango-* headers are made with this key; without one, with the active key.
    add column signs_legacy boolean not null default false,
    -- A revoked key is shredded.
    alter column sealed_keys drop not null;
create unique index webhook_signing_keys_legacy on webhook_signing_keys (environment_id) where signs_legacy;
create index webhook_signing_keys_environment on webhook_signing_keys (environment_id);

-- S8: where flows came back to before, newest first. Provider apps may still have these registered.
alter table environment_settings add column previous_callback_urls text[] not null default '{}';

create table environment_variables (
    id uuid primary key,
    environment_id uuid not null references environments (id),
    name text not null,
    sealed_value text not null,
    created_at timestamptz not null,
    unique (environment_id, name)
);
