-- What GET /connections can be filtered by, each in the order of the list: a page under any filter is the first rows of one index.
--
-- A facet is a digest of an environment and one thing a live connection has: a tag, an integration, an end user, an
-- organization. Measured against GIN on `tags` with 100 000 connections in each of two environments: GIN returns no order, so
-- that the planner must guess whether to sort all matches or to filter the listing, and takes 40 to 280 ms where it is wrong
-- (a tag of old connections only, a tag that is common in another environment); here every such page takes about 1 ms. And an
-- index on `connections` would be written by each renewal, which is never HOT because `next_refresh_at` is indexed; this is not.
create table connection_facets (
    facet uuid not null,
    -- of the connection; its place in the list
    created_at timestamptz not null,
    public_id bigint not null,
    primary key (facet, created_at, public_id)
);
-- Few facets are common, most belong to one end user: the planner has to know which is which.
alter table connection_facets alter column facet set statistics 1000;

-- `name` is measured, so that no two facets are the same text. Stable, because an immutable function over convert_to is not inlined.
create function connection_facet(environment_id uuid, kind text, name text, value text) returns uuid language sql stable parallel safe
    return encode(substring(sha256(convert_to(environment_id || ' ' || kind || ' ' || length(name) || ' ' || name || value, 'UTF8')) for 16), 'hex')::uuid;

-- Strict keeps it from being inlined: planning a select over all connections then fails in Postgres 18.4 ("variable not found in subplan target list").
create function connection_facets_of(c connections) returns setof uuid language sql stable strict parallel safe as $$
    select connection_facet(c.environment_id, 'tag', name, value) from jsonb_each_text(c.tags) as tag (name, value) where value is not null
    union all select connection_facet(c.environment_id, 'integration', '', c.integration_id::text)
    union all select connection_facet(c.environment_id, 'end user', '', c.end_user ->> 'id') where c.end_user ->> 'id' is not null
    union all select connection_facet(c.environment_id, 'organization', '', c.end_user -> 'organization' ->> 'id')
        where c.end_user -> 'organization' ->> 'id' is not null
$$;

create function keep_connection_facets() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' and old.deleted_at is null then
        delete from connection_facets f using connection_facets_of(old) as was
        where f.facet = was and f.created_at = old.created_at and f.public_id = old.public_id;
    end if;
    if tg_op <> 'DELETE' and new.deleted_at is null then
        insert into connection_facets (facet, created_at, public_id)
        select has, new.created_at, new.public_id from connection_facets_of(new) as has;
    end if;
    return null;
end
$$;
create trigger connection_facets_of_rows after insert or delete on connections
    for each row execute function keep_connection_facets();
-- Of these columns only: an update that names none of them, such as a renewal, does not even ask.
create trigger connection_facets_of_changes after update of environment_id, integration_id, tags, end_user, created_at, deleted_at on connections
    for each row
    when ((old.environment_id, old.integration_id, old.tags, old.end_user, old.created_at, old.deleted_at)
        is distinct from (new.environment_id, new.integration_id, new.tags, new.end_user, new.created_at, new.deleted_at))
    execute function keep_connection_facets();

insert into connection_facets (facet, created_at, public_id)
select has, c.created_at, c.public_id from connections c cross join lateral connection_facets_of(c) as has where c.deleted_at is null;
