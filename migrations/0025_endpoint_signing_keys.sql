-- W18: an endpoint may have signing keys of its own, so that what one receiver knows does not let it write to another.

alter table webhook_endpoints add column own_signing_key boolean not null default false;

-- Null: the environment's, which sign for every other endpoint.
alter table webhook_signing_keys add column endpoint_id uuid references webhook_endpoints (id) on delete cascade;
drop index webhook_signing_keys_active;
drop index webhook_signing_keys_legacy;
create unique index webhook_signing_keys_active on webhook_signing_keys (environment_id, endpoint_id) nulls not distinct where state = 'active';
create unique index webhook_signing_keys_legacy on webhook_signing_keys (environment_id, endpoint_id) nulls not distinct where signs_legacy;
create index webhook_signing_keys_endpoint on webhook_signing_keys (endpoint_id) where endpoint_id is not null;
