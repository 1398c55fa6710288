-- Renewals are claimed provider by provider, each by its own oldest row: thousands that are due of one provider, busy or slow,
-- are never walked over to find the others'.
create index connections_due_by_provider on connections (provider, next_refresh_at) where deleted_at is null and next_refresh_at is not null;
