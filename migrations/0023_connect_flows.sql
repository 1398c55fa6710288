-- Redirect flows that a page named before it opened their window (frontend contract §7.3, §7.5): it asks by that name how they ended.
create table connect_flows (
    -- made by the page; whoever uses it first owns it
    id uuid primary key,
    connect_session_id uuid not null references connect_sessions (id) on delete cascade,
    provider_config_key text not null,
    -- the row of oauth_flows with which the browser was sent off, whose outcome then counts; no foreign key: it is removed earlier
    oauth_flow_id uuid,
    -- of a flow that ended before the browser was sent off
    outcome jsonb,
    created_at timestamptz not null
);
create index connect_flows_of_session on connect_flows (connect_session_id, provider_config_key);
create index connect_flows_age on connect_flows (created_at);

alter table oauth_flows
    add column connect_flow_id uuid,
    -- the browser has one window: its callback leads back to the Connect UI
    add column returns_to_page boolean not null default false;
