/** Connections: reading one, creating, deleting. Listing is in `connection-listing.ts`; writing credentials in `credential-writes.ts`, alone. */
import { sql, type RawBuilder, type UpdateObject } from 'kysely';
import { json, type Database, type Db } from './database.ts';
import { cancellation, openStates, tell } from './operations.ts';
import type { ApiKeyRow, ConnectionRow, NewConnection, Schema } from './schema.ts';

/** What the API shows of a connection, with what is needed to open and judge its credentials. */
export interface ConnectionRead extends Pick<
    ConnectionRow,
    | 'id'
    | 'public_id'
    | 'environment_id'
    | 'connection_id'
    | 'provider'
    | 'sealed_credentials'
    | 'sealed_secrets'
    | 'credentials_obtained_at'
    | 'credentials_expires_at'
    | 'credentials_expires_at_source'
    | 'refresh_token_expires_at'
    | 'auth_state'
    | 'auth_error'
    | 'next_refresh_at'
    | 'last_refresh_failure'
    | 'connection_config'
    | 'metadata'
    | 'tags'
    | 'end_user'
    | 'webhook_url_override'
    | 'post_connection_status'
    | 'last_fetched_at'
    | 'created_at'
    | 'updated_at'
> {
    provider_config_key: string;
}

/** Without what the caller knows already. Every column costs the hot path its description and its parsing. */
const readColumns = `
    c.id, c.public_id, c.provider, c.sealed_credentials, c.sealed_secrets, c.credentials_obtained_at, c.credentials_expires_at, c.credentials_expires_at_source,
    c.refresh_token_expires_at, c.auth_state, c.auth_error,
    c.next_refresh_at, c.last_refresh_failure, c.connection_config, c.metadata, c.tags, c.end_user, c.webhook_url_override,
    c.post_connection_status, c.last_fetched_at, c.created_at, c.updated_at`;

/** The columns of an API key that authentication needs, under their own names. */
export type KeyRead = Pick<ApiKeyRow, 'scopes' | 'environment_id' | 'expires_at' | 'allowed_cidrs' | 'last_used_at'> & {
    key_id: string;
    environment_gone: boolean;
};

export const keyReadColumns = `
    k.id as key_id, k.scopes, k.environment_id, k.expires_at, k.allowed_cidrs, k.last_used_at,
    (k.environment_id is not null and e.id is null) as environment_gone`;

const byKeyText = `
    select ${keyReadColumns}, i.id as found_integration_id, ${readColumns}
    from api_keys k
    left join environments e on e.id = k.environment_id and e.deleted_at is null
    left join integrations i on i.environment_id = e.id and i.unique_key = $2 and i.deleted_at is null
    left join connections c on c.integration_id = i.id and c.connection_id = $3 and c.deleted_at is null
    where k.key_hash = $1 and k.deleted_at is null`;

export interface KeyAndConnection {
    key: KeyRead;
    integrationExists: boolean;
    connection: ConnectionRead | undefined;
}

/** The hot path: the API key and the connection it asks for, in one statement and one round trip. */
export async function readByKey(
    database: Database,
    keyHash: string,
    integrationKey: string,
    connectionId: string,
): Promise<KeyAndConnection | undefined> {
    type Row = KeyRead & { found_integration_id: string | null } & ConnectionRead;
    const [row] = await database.read<Row>('connection-by-key', byKeyText, [keyHash, integrationKey, connectionId]);
    if (row === undefined) {
        return undefined;
    }
    row.provider_config_key = integrationKey;
    row.connection_id = connectionId;
    return { key: row, integrationExists: row.found_integration_id !== null, connection: row.id === null ? undefined : row };
}

/** One connection as the API reads it, by its row id. */
export async function readById(db: Db, id: string): Promise<ConnectionRead | undefined> {
    const { rows } = await sql<ConnectionRead>`
        select ${sql.raw(readColumns)}, c.environment_id, c.connection_id, i.unique_key as provider_config_key from connections c join integrations i on i.id = c.integration_id
        where c.id = ${id} and c.deleted_at is null`.execute(db);
    return rows[0];
}

export const findByKey = (db: Db, integrationId: string, connectionId: string): Promise<ConnectionRow | undefined> =>
    db
        .selectFrom('connections')
        .selectAll()
        .where('integration_id', '=', integrationId)
        .where('connection_id', '=', connectionId)
        .where('deleted_at', 'is', null)
        .executeTakeFirst();

export const findById = (db: Db, id: string): Promise<ConnectionRow | undefined> =>
    db.selectFrom('connections').selectAll().where('id', '=', id).where('deleted_at', 'is', null).executeTakeFirst();

/**
 * Whether a live connection, of any environment, may stand on a grant of this end user to this OAuth client. Whoever is not
 * known may be the same.
 */
export async function mayShareGrant(db: Db, clientId: string, endUserId: string | undefined): Promise<boolean> {
    const isSameUser = sql`and coalesce(c.end_user ->> 'id', c.tags ->> 'end_user_id', ${endUserId}) = ${endUserId}`;
    const { rows } = await sql`
        select 1 from integrations i join connections c on c.integration_id = i.id
        where i.oauth_client_id = ${clientId} and c.deleted_at is null ${endUserId === undefined ? sql`` : isSameUser}
        limit 1`.execute(db);
    return rows.length > 0;
}

/** As `findByKey`, holding the row until the transaction ends. */
export const lockByKey = (db: Db, integrationId: string, connectionId: string): Promise<ConnectionRow | undefined> =>
    db
        .selectFrom('connections')
        .selectAll()
        .where('integration_id', '=', integrationId)
        .where('connection_id', '=', connectionId)
        .where('deleted_at', 'is', null)
        .forUpdate()
        .executeTakeFirst();

/** As `findById`, holding the row until the transaction ends. */
export const lockById = (db: Db, id: string): Promise<ConnectionRow | undefined> =>
    db.selectFrom('connections').selectAll().where('id', '=', id).where('deleted_at', 'is', null).forUpdate().executeTakeFirst();

/** @returns `undefined` when the id is taken, also by a request that was faster. */
export const insert = (db: Db, row: NewConnection): Promise<ConnectionRow | undefined> =>
    db
        .insertInto('connections')
        .values(row)
        .onConflict((conflict) => conflict.columns(['integration_id', 'connection_id']).where('deleted_at', 'is', null).doNothing())
        .returningAll()
        .executeTakeFirst();

/** Of a row that is locked, so that it is still what the new one was made from. */
export async function replaceConfig(db: Db, id: string, config: { clear: Record<string, unknown>; sealed: string | null; at: Date }): Promise<void> {
    await db
        .updateTable('connections')
        .set({ connection_config: json(config.clear), sealed_secrets: config.sealed, updated_at: config.at })
        .where('id', '=', id)
        .execute();
}

/** Swaps the sealed part of a connection's configuration, unless somebody wrote it meanwhile. */
export async function replaceSecrets(db: Db, id: string, swap: { from: string | null; to: string }): Promise<boolean> {
    const result = await db
        .updateTable('connections')
        .set({ sealed_secrets: swap.to })
        .where('id', '=', id)
        .where(sql<boolean>`sealed_secrets is not distinct from ${swap.from}`)
        .where('deleted_at', 'is', null)
        .executeTakeFirst();
    return result.numUpdatedRows > 0n;
}

/** `last_fetched_at` of many connections at once; reads collect them in memory (one write per flush, not per read). */
export async function touchFetched(db: Db, ids: readonly string[], at: Date): Promise<void> {
    // Locked in the order of their ids, as bulk writes of metadata lock them: neither can deadlock the other.
    await sql`
        update connections c set last_fetched_at = ${at}
        from (select id from connections where id = any(${[...ids]}) order by id for no key update) as fetched
        where c.id = fetched.id`.execute(db);
}

/** What deleting leaves of a row: nothing sealed, nothing due, and an epoch at which no renewal under way can write. */
const shredded = (at: Date): UpdateObject<Schema, 'connections'> => ({
    deleted_at: at,
    updated_at: at,
    sealed_credentials: '',
    sealed_previous_refresh_token: null,
    sealed_secrets: null,
    next_refresh_at: null,
    refresh_epoch: sql`refresh_epoch + 1`,
    refresh_lease_owner: null,
    refresh_lease_until: null,
    refresh_intent: null,
    post_connection_status: null,
});

/**
 * Deletes and crypto-shreds in one write: nothing sealed remains that a stolen key could open, in the journal neither (E7).
 * Also ends a renewal under way, whose answer will find no row to apply to, and cancels a hook that has not succeeded yet. @returns whether there was something to delete.
 */
export const remove = async (db: Db, integrationId: string, connectionId: string, at: Date): Promise<boolean> =>
    (await removeWhere(db, sql<boolean>`integration_id = ${integrationId} and connection_id = ${connectionId}`, at)) > 0;

/** As `remove`, for every connection of an integration. @returns how many there were. */
export const removeOfIntegration = (db: Db, integrationId: string, at: Date): Promise<number> =>
    removeWhere(db, sql<boolean>`integration_id = ${integrationId}`, at);

/** As `remove`, by row id. */
export const removeByIds = (db: Db, ids: readonly string[], at: Date): Promise<number> => removeWhere(db, sql<boolean>`id = any(${[...ids]})`, at);

async function removeWhere(db: Db, condition: RawBuilder<boolean>, at: Date): Promise<number> {
    const { removed } = await db
        .with('removed', (query) =>
            query.updateTable('connections').set(shredded(at)).where(condition).where('deleted_at', 'is', null).returning('id'),
        )
        .with('shredded', (query) =>
            query.deleteFrom('credential_journal').where('connection_row_id', 'in', (removed) => removed.selectFrom('removed').select('id')),
        )
        .with('dropped', (query) =>
            query
                .deleteFrom('post_connection_hooks')
                .where('connection_row_id', 'in', (removed) => removed.selectFrom('removed').select('id'))
                .returning('operation_id'),
        )
        .with('cancelled', (query) =>
            query
                .updateTable('operations')
                .from('dropped')
                .set(cancellation('Connection deleted', at))
                .whereRef('operations.id', '=', 'dropped.operation_id')
                .where('operations.created_at', '=', sql<Date>`operation_began(dropped.operation_id)`)
                .where('operations.state', 'in', [...openStates])
                .returning(['operations.id', 'operations.created_at']),
        )
        .with('told', () => sql<object>`(${tell('cancelled', [{ level: 'info', message: 'Connection deleted', at }])})`)
        .selectFrom('removed')
        .select((removed) => removed.fn.countAll<string>().as('removed'))
        .executeTakeFirstOrThrow();
    return Number(removed);
}

/** What the deprecated configuration endpoint shows of an integration's connections (http-api §7.7). */
export const ofIntegration = (db: Db, integrationId: string): Promise<Pick<ConnectionRow, 'public_id' | 'connection_id' | 'connection_config'>[]> =>
    db
        .selectFrom('connections')
        .select(['public_id', 'connection_id', 'connection_config'])
        .where('integration_id', '=', integrationId)
        .where('deleted_at', 'is', null)
        .orderBy('public_id')
        .execute();

/** As `remove`, for every connection of an environment, and whatever else its journal holds. */
export async function removeAll(db: Db, environmentId: string, at: Date): Promise<void> {
    await removeWhere(db, sql<boolean>`environment_id = ${environmentId}`, at);
    await db.deleteFrom('credential_journal').where('environment_id', '=', environmentId).execute();
}
