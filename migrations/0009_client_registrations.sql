-- OAuth clients that registered themselves at an authorization server (RFC 7591): one per integration, server and redirect URI.

create table client_registrations (
    id uuid primary key,
    environment_id uuid not null references environments (id),
    integration_id uuid not null references integrations (id),
    -- SHA-256 over authorization server and redirect URI, which may be longer than an index row
    key_hash text not null,
    -- the client as it was registered: id, secret, and what it is managed with (RFC 7592)
    sealed_registration text not null,
    -- grows with every replacement, so that of two that replace at once one finds that it lost
    version int not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create unique index client_registrations_key on client_registrations (integration_id, key_hash);
create index client_registrations_environment on client_registrations (environment_id);
