-- What a connect session may be asked for beside the reference's fields.
alter table connect_sessions
    -- where a page of its own sends its user afterwards; judged against allowed_return_urls when it was written
    add column return_url text,
    add column single_use boolean not null default false,
    -- the attempt that used a single-use session up
    add column used_by uuid,
    -- a reconnect that names an end user or organization but no tags: its generated tags are laid over the connection's own
    add column keeps_tags boolean not null default false;
