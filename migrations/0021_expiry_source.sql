-- Where what is known of a credential's end comes from (R16); null: nothing is known, or it was stored before this was noted.
alter table connections add column credentials_expires_at_source text;
-- Not validated: every row has null in a column that is new, so that no scan holds the table.
alter table connections add constraint connections_credentials_expires_at_source_check
    check (credentials_expires_at_source in ('expires_at', 'expires_in', 'token', 'introspection', 'entry', 'assumed', 'import')) not valid;
