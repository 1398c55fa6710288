-- What removal looks for once an hour, and what the database itself looks up for each row that a removed one is referred to by: without
-- these it reads the whole table, of connections every hour, of sessions and flows once for every row that goes.
create index connections_deleted on connections (deleted_at) where deleted_at is not null;
create index connect_sessions_connection on connect_sessions (connection_id) where connection_id is not null;
create index oauth_flows_session on oauth_flows (connect_session_id) where connect_session_id is not null;
create index oauth_flow_requests_session on oauth_flow_requests (connect_session_id);
