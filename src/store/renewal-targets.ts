/** What a renewal reads: a connection under its lease, and how another process's renewal is getting on. What it writes is `credential-writes.ts`. */
import { sql } from 'kysely';
import type { Db } from './database.ts';
import { refreshQueue } from './leased-work.ts';
import { prepare } from './prepared.ts';
import type { ConnectionRow, IntegrationRow } from './schema.ts';

/** Of a connection, what its renewal needs. Named, because the statement that reads them is prepared, and not more, because it is read for each. */
const targetColumns = [
    'id',
    'environment_id',
    'integration_id',
    'provider',
    'connection_id',
    'sealed_credentials',
    'sealed_previous_refresh_token',
    'sealed_secrets',
    'credentials_version',
    'credentials_obtained_at',
    'credentials_expires_at',
    'auth_state',
    'auth_error',
    'next_refresh_at',
    'refresh_epoch',
    'refresh_attempts',
    'last_refresh_failure',
    'refresh_failure_reported_at',
    'refresh_token_expires_at',
    'expiry_notice_at',
    'credential_verdict',
    'credential_refusals',
    'connection_config',
    'refresh_intent',
    'refresh_lease_until',
    'tags',
    'webhook_url_override',
] as const satisfies readonly (keyof ConnectionRow)[];

/** A connection with all that its renewal needs, read under the lease. */
export interface RenewalTarget extends Pick<ConnectionRow, (typeof targetColumns)[number]> {
    environment_name: string;
    is_production: boolean;
    integration: Pick<
        IntegrationRow,
        | 'id'
        | 'environment_id'
        | 'unique_key'
        | 'provider'
        | 'oauth_client_id'
        | 'sealed_oauth_client_secret'
        | 'oauth_scopes'
        | 'sealed_custom'
        | 'allowed_hosts'
    >;
    /** A token answer that was journalled but never applied. */
    journal: { id: string; sealed_response: string; base_version: number; refresh_epoch: number } | null;
}

export const loadTarget = async (db: Db, id: string): Promise<RenewalTarget | undefined> => (await loadTargets(db, [id]))[0];

const loadAll = prepare<{ ids: readonly string[] }, Omit<RenewalTarget, 'integration'> & { integration: RenewalTarget['integration'] | null }>(
    'load renewal targets',
    ({ ids }) => sql`
        with open as materialized (
            select distinct on (connection_row_id) connection_row_id,
                jsonb_build_object('id', id, 'sealed_response', sealed_response, 'base_version', base_version, 'refresh_epoch', refresh_epoch) as entry
            from credential_journal where connection_row_id = any(${ids}::uuid[]) and outcome is null
            order by connection_row_id, received_at desc
        )
        select ${sql.join(targetColumns.map((name) => sql.ref(`c.${name}`)))}, e.name as environment_name, e.is_production,
            case when row_number() over (partition by c.integration_id) = 1 then
                jsonb_build_object('id', i.id, 'environment_id', i.environment_id, 'unique_key', i.unique_key, 'provider', i.provider,
                    'oauth_client_id', i.oauth_client_id, 'sealed_oauth_client_secret', i.sealed_oauth_client_secret,
                    'oauth_scopes', i.oauth_scopes, 'sealed_custom', i.sealed_custom, 'allowed_hosts', i.allowed_hosts)
            end as integration,
            open.entry as journal
        from connections c join integrations i on i.id = c.integration_id join environments e on e.id = c.environment_id
            left join open on open.connection_row_id = c.id
        where c.id = any(${ids}::uuid[]) and c.deleted_at is null`,
);

/**
 * Rows of one integration share what is said of it: it is sent, and read, once. The journal is read once for all of them: it is
 * nearly empty most of the time, and a plan that was made then would read all of it for each row, also when it has grown.
 */
export async function loadTargets(db: Db, ids: readonly string[]): Promise<RenewalTarget[]> {
    const rows = await loadAll(db, { ids });
    const integrations = new Map(rows.flatMap(({ integration }) => (integration === null ? [] : [[integration.id, integration]])));
    return rows.map((row) => Object.assign(row, { integration: integrations.get(row.integration_id)! }));
}

/** What a waiting caller watches while another process renews. */
export interface RenewalProgress extends Pick<ConnectionRow, 'credentials_obtained_at' | 'last_refresh_failure' | 'refresh_epoch'> {
    /** When the lease can be taken from a holder that is gone; `null`: nobody holds it. */
    lease_over: Date | null;
}

export const readProgress = (db: Db, id: string): Promise<RenewalProgress | undefined> =>
    db
        .selectFrom('connections')
        .select(['credentials_obtained_at', 'last_refresh_failure', 'refresh_epoch'])
        .select(sql<Date | null>`${sql.raw(refreshQueue.leaseOver)}`.as('lease_over'))
        .where('id', '=', id)
        .where('deleted_at', 'is', null)
        .executeTakeFirst();
