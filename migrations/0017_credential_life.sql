-- What becomes of credentials over the years: grants that lapse whatever is done, and typed-in keys that somebody revokes.
alter table connections
    -- by the provider's word; null: it says nothing of it, or there is no refresh token
    add column refresh_token_expires_at timestamptz,
    -- when to tell that these credentials are about to lapse; null: they are not, or it was told
    add column expiry_notice_at timestamptz,
    -- what the last test of typed-in credentials found; null: they were stored and not tested since
    add column credential_verdict text check (credential_verdict in ('unproven', 'accepted', 'rejected')),
    -- how often in a row the provider refused them
    add column credential_refusals int not null default 0;

-- Typed-in credentials are tested once a day from now on. Spread over the first day by the random end of their ids.
update connections
set next_refresh_at = now() + interval '1 day' * (('x' || right(id::text, 6))::bit(24)::int / 16777216.0)
where credential_type in ('API_KEY', 'BASIC', 'TBA') and deleted_at is null and next_refresh_at is null;
