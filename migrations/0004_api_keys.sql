-- API keys that are managed through the API: names, addresses, rotation.

alter table api_keys
    -- written with last_used_at
    add column last_used_ip text,
    -- where a key may be used from; null: anywhere
    add column allowed_cidrs text[],
    -- S6: when a successor took its name; it works beside it until `expires_at`
    add column replaced_at timestamptz;

-- Names were not unique before. Fixed keys (VALETKEY_SECRET_KEY_<ENV>) come and go with the configuration, whatever is called so.
with ranked as (
    select id, row_number() over (partition by environment_id, display_name order by created_at, id) as place
    from api_keys where deleted_at is null and origin <> 'configured'
)
update api_keys k set display_name = left(k.display_name, 230) || ' #' || k.public_id
from ranked where ranked.id = k.id and ranked.place > 1;
create unique index api_keys_name on api_keys (environment_id, display_name) nulls not distinct
    where deleted_at is null and replaced_at is null and origin <> 'configured';

-- `vk_account_…` and `valetkey keys create account` mean the account.
alter table environments add constraint environments_name_is_free check (name <> 'account');
