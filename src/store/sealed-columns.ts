/** Every column that holds sealed values, for the jobs that must reach all of them. A test compares this list with the database. */
import { sql, type Kysely } from 'kysely';
import type { Schema } from './schema.ts';

export interface SealedColumn {
    table: string;
    column: string;
}

export const sealedColumns: readonly SealedColumn[] = [
    { table: 'environment_settings', column: 'sealed_hmac_key' },
    { table: 'environment_settings', column: 'sealed_otlp_headers' },
    { table: 'environment_variables', column: 'sealed_value' },
    { table: 'webhook_signing_keys', column: 'sealed_keys' },
    { table: 'integrations', column: 'sealed_oauth_client_secret' },
    { table: 'integrations', column: 'sealed_custom' },
    { table: 'client_registrations', column: 'sealed_registration' },
    { table: 'connections', column: 'sealed_credentials' },
    { table: 'connections', column: 'sealed_previous_refresh_token' },
    { table: 'connections', column: 'sealed_secrets' },
    { table: 'connect_sessions', column: 'sealed_defaults' },
    { table: 'oauth_flows', column: 'sealed_secrets' },
    { table: 'oauth_flow_requests', column: 'sealed_request' },
    { table: 'credential_journal', column: 'sealed_response' },
    { table: 'idempotent_requests', column: 'sealed_body' },
];

export interface SealedRow {
    id: string;
    environment_id: string;
    sealed: string;
}

/** Comes before every id. */
export const beforeAllRows = '00000000-0000-0000-0000-000000000000';

/**
 * Values sealed under another key than `currentKeyId`, in the order of their rows, after row `after`. In the order of the primary
 * key, so that a batch reads on from the one before it, not the whole table again.
 */
export async function sealedUnderOlderKeys(
    db: Kysely<Schema>,
    { table, column }: SealedColumn,
    currentKeyId: string,
    after: string,
    limit: number,
): Promise<SealedRow[]> {
    const { rows } = await sql<SealedRow>`
        select id, environment_id, ${sql.ref(column)} as sealed from ${sql.table(table)}
        where ${sql.ref(column)} like 'v1.%' and ${sql.ref(column)} not like ${`v1.${currentKeyId}.%`} and id > ${after}::uuid
        order by id limit ${limit}`.execute(db);
    return rows;
}

/** Swaps a value unless it was written anew meanwhile. */
export async function replaceSealed(db: Kysely<Schema>, { table, column }: SealedColumn, row: SealedRow, sealed: string): Promise<boolean> {
    const result = await sql`
        update ${sql.table(table)} set ${sql.ref(column)} = ${sealed} where id = ${row.id} and ${sql.ref(column)} = ${row.sealed}`.execute(db);
    return (result.numAffectedRows ?? 0n) > 0n;
}
