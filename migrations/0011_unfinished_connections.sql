-- What is known to be missing of a connection, where the connection is read (A5), and whether untested credentials may be kept (A3).

-- Of its post-connection hook: a copy, so that neither a single read nor the list needs a join. Written in the transactions that
-- write `post_connection_hooks`. Null: nothing is outstanding.
alter table connections add column post_connection_status text check (post_connection_status in ('metadata_pending', 'failed'));
update connections c set post_connection_status = case h.state when 'failed' then 'failed' else 'metadata_pending' end
from post_connection_hooks h where h.connection_row_id = c.id and c.deleted_at is null;

-- As it was when the event was written: every attempt sends the same.
alter table webhook_events add column post_connection_status text check (post_connection_status in ('metadata_pending', 'failed'));

-- Read with the environment by every connect, so it stands beside it.
alter table environments add column accept_unverified_credentials boolean not null default false;
