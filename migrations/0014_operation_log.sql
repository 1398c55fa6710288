-- O1: the operation log in partitions of one day, dropped whole when their time is over (store/operation-partitions.ts).
-- An id begins with its epoch ms and `created_at` is exactly that moment, so that an id alone leads to its partition.
alter table operations rename to operations_before;
alter table operations_before rename constraint operations_pkey to operations_before_pkey;
alter index operations_listing rename to operations_before_listing;

-- No foreign keys: a routine renewal would lock its environment's row for each line here, and dropping a partition the whole table.
create table operations (
    id text not null,
    environment_id uuid not null,
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
    changed_at timestamptz not null,
    ended_at timestamptz,
    expires_at timestamptz,
    primary key (id, created_at)
) partition by range (created_at);
create index operations_listing on operations (environment_id, created_at desc, id desc);
create index operations_by_connection on operations (environment_id, connection_id, created_at desc, id desc) where connection_id is not null;
create index operations_by_integration on operations (environment_id, integration_id, created_at desc, id desc) where integration_id is not null;
-- Routine renewals are nearly all there is; what is none of them, or went wrong, must not be looked for among them.
create index operations_notable on operations (environment_id, created_at desc, id desc) where level <> 'debug';
create index operations_unsuccessful on operations (environment_id, state, created_at desc, id desc) where state <> 'success';
create index operations_changed on operations (environment_id, changed_at, id) where level <> 'debug';
create index operations_expiry on operations (expires_at) where state in ('waiting', 'running');
-- Where there is no partition for a day: nothing that is logged may make what it tells of fail.
create table operations_default partition of operations default;

insert into operations (id, environment_id, type, action, state, level, message, integration_id, connection_row_id, connection_id, error, meta,
    created_at, changed_at, ended_at, expires_at)
select id, environment_id, case action when 'post_connection' then 'auth' else type end, action, state, level, message, integration_id,
    connection_row_id, connection_id, error, meta,
    timestamptz 'epoch' + split_part(id, '_', 1)::bigint * interval '1 millisecond', coalesce(ended_at, created_at), ended_at, expires_at
from operations_before;
drop table operations_before;

create sequence operation_message_ids;
-- In the partition of its operation's day, whenever it was said.
create table operation_messages (
    id bigint not null default nextval('operation_message_ids'),
    operation_id text not null,
    operation_created_at timestamptz not null,
    source text not null default 'internal' check (source in ('internal', 'user')),
    level text not null check (level in ('debug', 'info', 'warn', 'error')),
    type text not null check (type in ('log', 'http')),
    context text check (context in ('script', 'proxy', 'webhook', 'auth')),
    message text not null,
    error jsonb,
    request jsonb,
    response jsonb,
    retry jsonb,
    meta jsonb,
    created_at timestamptz not null,
    ended_at timestamptz,
    duration_ms int,
    primary key (operation_id, id, operation_created_at)
) partition by range (operation_created_at);
create table operation_messages_default partition of operation_messages default;
