-- Renewal between replicas: who waits for whom, and what the token endpoints that they all call can bear (R10).

-- Set by a caller that waits for another process's renewal; whatever statement ends that lease then tells it, in its own
-- transaction. Nobody waits for most renewals, and a NOTIFY takes a lock of the whole database at commit.
alter table connections add column refresh_waited boolean not null default false;

create function tell_waiting_callers() returns trigger language plpgsql as $$
begin
    perform pg_notify('valetkey', 'renewed ' || old.id);
    new.refresh_waited := false;
    return new;
end
$$;

create trigger connections_tell_waiting_callers before update on connections
    for each row when (old.refresh_waited and old.refresh_lease_owner is not null and new.refresh_lease_owner is null)
    execute function tell_waiting_callers();

-- Token endpoints in trouble; a host without a row is well. Small: every process that renews reads all of it once a second.
create table token_hosts (
    host text primary key,
    -- connections whose calls have failed since it last answered, at most as many as it takes to open
    failing uuid[] not null,
    last_failure_at timestamptz not null,
    -- open: nobody calls before this moment, and then one process alone, until `probe_until`
    open_until timestamptz,
    opened_at timestamptz,
    openings int not null default 0,
    probe_until timestamptz,
    -- it asked for patience: work that can wait does
    slow_until timestamptz
);

-- How the processes divide the calls that a token endpoint, or a provider, may get at once and per minute.
create table token_call_shares (
    -- 'host …' or 'provider …'
    scope text primary key,
    -- {<process>: {"slots", "needs", "until"}}; a share whose process has died ends by itself
    shares jsonb not null,
    -- the token bucket of a limit per minute
    calls double precision not null,
    refilled_at timestamptz not null
);
