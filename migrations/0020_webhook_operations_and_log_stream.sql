-- Outgoing webhooks in the operation log (webhooks contract §1.9), and the order in which the log is streamed (O2).

-- When the operation with this id began, as in src/store/operations.ts; so that an id found by a statement leads it to one partition.
create function operation_began(id text) returns timestamptz language sql immutable parallel safe
    return coalesce(
        timestamptz 'epoch' + substring(id from '^(\d{1,14})_')::bigint * interval '1 millisecond',
        timestamptz '9999-01-01 00:00:00+00');

-- The operation that this delivery is a part of; null for those of an older version.
alter table webhook_deliveries add column operation_id text;
-- An attempt is shown as a message of the operation, among the others (src/store/webhook-operations.ts). Not of older attempts: two
-- statements, so that the table is not rewritten.
alter table webhook_delivery_attempts add column message_id bigint;
alter table webhook_delivery_attempts alter column message_id set default nextval('operation_message_ids');

-- The operation ends with its last delivery, whatever statement settles that. Two that settle at once wait for each other at the
-- operation's row, and each statement of a function sees what was committed meanwhile: one of them finds nothing open any more.
create function end_webhook_operation() returns trigger language plpgsql as $$
declare
    began timestamptz := operation_began(new.operation_id);
begin
    perform from operations where id = new.operation_id and created_at = began for update;
    with sent as (
        select count(*) as total, count(*) filter (where state in ('pending', 'held')) as open,
            count(*) filter (where state = 'delivered') as delivered,
            max(last_error) filter (where state = 'dead' and last_error not in ('endpoint_deleted', 'environment_deleted')) as error,
            bool_or(state = 'dead') as has_dead
        from webhook_deliveries where event_id = new.event_id and operation_id = new.operation_id
    ), outcome as (
        select case when error is not null then 'failed' when has_dead then 'cancelled' else 'success' end as state, error,
            case when error is not null then format('Given up; delivered to %s of %s', delivered, total)
                 when has_dead then format('Where it was to be sent is deleted; delivered to %s of %s', delivered, total)
                 else 'Delivered' end as message
        from sent where open = 0
    ), ended as (
        update operations o
        set state = outcome.state, level = case outcome.state when 'failed' then 'error' else 'info' end, message = outcome.message,
            error = case when outcome.error is not null then jsonb_build_object('type', outcome.error, 'message', 'The receiver did not accept it') end,
            ended_at = new.settled_at, changed_at = new.settled_at
        from outcome where o.id = new.operation_id and o.created_at = began
        returning o.state, o.message
    )
    insert into operation_messages (operation_id, operation_created_at, level, type, context, message, created_at)
    select new.operation_id, began, 'info', 'log', 'webhook', message, new.settled_at from ended where state = 'cancelled';
    return null;
end
$$;

create trigger webhook_deliveries_end_operation after update of state on webhook_deliveries for each row
    when (new.operation_id is not null and old.state in ('pending', 'held') and new.state in ('delivered', 'dead'))
    execute function end_webhook_operation();

-- The transaction that last wrote the operation: the stream walks by it, as GET /events does (src/store/transaction-horizon.ts).
-- Of what an older version writes too, while both run. Null for routine renewals, which are written as whole rows and not streamed.
alter table operations add column xid xid8 default pg_current_xact_id();

create function stamp_operation() returns trigger language plpgsql as $$
begin
    new.xid := pg_current_xact_id();
    return new;
end
$$;

create trigger operations_stamp before update on operations for each row when (old.xid is not distinct from new.xid) execute function stamp_operation();

drop index operations_changed;
create index operations_log on operations (environment_id, xid, id) where level <> 'debug';
