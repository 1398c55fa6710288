-- Answers to creating requests that came with an Idempotency-Key, kept for a day so that a retry gets the same one.

create table idempotent_requests (
    id uuid primary key,
    -- whose keys: an environment's, or `account` (it is part of the AAD like everywhere else)
    environment_id text not null,
    -- the API key or connect session that sent it: nobody else gets its answer
    caller text not null,
    key text not null,
    -- keyed hash of method, path, query and body
    request_hash text not null,
    -- until then, whoever made the row is working on it
    locked_until timestamptz not null,
    -- null: not answered yet
    status int,
    sealed_body text,
    created_at timestamptz not null
);
create unique index idempotent_requests_key on idempotent_requests (environment_id, caller, key);
create index idempotent_requests_age on idempotent_requests (created_at);
