-- W12: the last number given to an event of each connection. A row of its own, so that numbering an event neither rewrites the
-- connection nor contends with any other; it goes when the connection's row goes.
create table webhook_sequences (
    connection_row_id uuid primary key,
    last bigint not null
);

alter table webhook_events
    -- as the body has it: an attempt that failed has one too, but no row
    add column connection_id text,
    -- per connection, from 1, in the order in which its events were committed; null without a connection
    add column sequence bigint,
    -- The transaction that wrote the event, and the order within it: GET /events walks by both (store/event-log.ts).
    add column xid xid8 not null default pg_current_xact_id(),
    add column position bigint generated always as identity;
-- by pattern: a body may hold \u0000, which jsonb refuses
update webhook_events set connection_id =
    replace(replace(substring(body from '"connectionId":"((?:[^"\\]|\\.)*)"'), '\"', '"'), '\\', '\');
create index webhook_events_log on webhook_events (environment_id, xid, position);
create index webhook_events_created on webhook_events (environment_id, created_at);

alter table webhook_deliveries
    -- copies of the event's, so that neither the queue nor a list has to join
    add column connection_row_id uuid,
    add column connection_id text,
    add column sequence bigint,
    -- W10: somebody asked for it to be sent again
    add column is_redelivery boolean not null default false;
update webhook_deliveries d set connection_id = e.connection_id from webhook_events e where e.id = d.event_id;

-- W11: ids begin with their time (UUIDv7), so a page of a list, newest first, is the first rows of one of these.
create index webhook_deliveries_listing on webhook_deliveries (environment_id, id);
create index webhook_deliveries_by_state on webhook_deliveries (environment_id, state, id);
create index webhook_deliveries_by_connection on webhook_deliveries (environment_id, connection_id, id);
create index webhook_deliveries_by_destination on webhook_deliveries (environment_id, destination, id);
-- a URL can be longer than an index entry
create index webhook_deliveries_by_url on webhook_deliveries (environment_id, md5(url), id);
-- W12: what holds back the later events of its connection
create index webhook_deliveries_first_attempts on webhook_deliveries (connection_row_id, sequence) where state = 'pending' and attempts < 3;

-- W11: one row per attempt.
create table webhook_delivery_attempts (
    delivery_id uuid not null references webhook_deliveries (id) on delete cascade,
    number int not null,
    started_at timestamptz not null,
    duration_ms int not null,
    -- null when there was no answer; then `error` says why
    status int,
    error text,
    resolved_ip text,
    -- those of an allow-list
    response_headers jsonb,
    -- the first 4 KB as text
    response_body text,
    primary key (delivery_id, number)
);
