-- Provider webhooks about installations look for the connections that wait for one, and returning browsers for the connection
-- that an installation has already (CUSTOM, outbound). Most connections are neither.
create index connections_pending on connections (integration_id) where connection_config @> '{"pending": true}' and deleted_at is null;
create index connections_installation on connections (integration_id, (connection_config ->> 'installation_id'))
    where connection_config ->> 'installation_id' is not null and deleted_at is null;
