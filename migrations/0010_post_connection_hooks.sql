-- A5: hooks that are still to succeed, of connections that were stored without what they look for.
create table post_connection_hooks (
    id uuid primary key,
    environment_id uuid not null,
    -- one per connection; connecting again replaces it
    connection_row_id uuid not null unique,
    -- a copy, so that the work queue can be fair between providers without a join
    provider text not null,
    state text not null check (state in ('pending', 'failed')),
    attempts int not null,
    due_at timestamptz,
    lease_owner text,
    lease_until timestamptz,
    lease_epoch bigint not null default 0,
    -- where its outcome is recorded
    operation_id text not null,
    created_at timestamptz not null
);
create index post_connection_hooks_due on post_connection_hooks (due_at) where state = 'pending';
