-- Flows that a callback took and that have no outcome: few at any moment, and looked for once a minute.
create index oauth_flows_unfinished on oauth_flows (id) where consumed_at is not null and outcome is null;
