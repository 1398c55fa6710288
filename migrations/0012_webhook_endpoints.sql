-- W18: any number of places that webhooks go to. `primary_url` and `secondary_url` of the settings are two of them.
create table webhook_endpoints (
    id uuid primary key,
    environment_id uuid not null references environments (id),
    -- which of the settings' URLs it is, if it is one
    role text check (role in ('primary', 'secondary')),
    url text not null,
    description text,
    -- the kinds of events that are sent there (src/webhooks/event-kinds.ts)
    events text[] not null,
    follow_redirects boolean not null default true,
    -- W9: what comes for a disabled endpoint is held. Null: enabled.
    disabled_at timestamptz,
    disabled_reason text check (disabled_reason in ('receiver_gone', 'failing', 'manual')),
    -- the first failure since which nothing succeeded
    failing_since timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    check ((disabled_at is null) = (disabled_reason is null)),
    unique (environment_id, role)
);

insert into webhook_endpoints (id, environment_id, role, url, events, disabled_at, disabled_reason, created_at, updated_at)
select gen_random_uuid(), s.environment_id, u.role, u.url, '{auth.creation,auth.override,auth.refresh}',
    case when u.reason is not null then s.updated_at end, case when u.reason is not null then 'receiver_gone' end, s.updated_at, s.updated_at
from webhook_settings s
cross join lateral (values ('primary', primary_url, primary_disabled_reason), ('secondary', secondary_url, secondary_disabled_reason))
    as u (role, url, reason)
where u.url <> '';

alter table webhook_settings
    drop column primary_url,
    drop column secondary_url,
    drop column primary_disabled_reason,
    drop column secondary_disabled_reason;

alter table webhook_deliveries
    -- Null: a connection's own URL. No foreign key: the log of a deleted endpoint stays.
    add column endpoint_id uuid,
    drop constraint webhook_deliveries_destination_check,
    add constraint webhook_deliveries_destination_check check (destination in ('primary', 'secondary', 'override', 'endpoint')),
    drop constraint webhook_deliveries_state_check,
    add constraint webhook_deliveries_state_check check (state in ('pending', 'delivered', 'dead', 'held'));
update webhook_deliveries d set endpoint_id = e.id
from webhook_endpoints e
where e.environment_id = d.environment_id and e.role = d.destination;
-- W9: what is held when an endpoint is disabled, and sent when it is enabled again.
create index webhook_deliveries_undelivered on webhook_deliveries (endpoint_id, created_at) where state <> 'delivered';
