/** Connections found by what their configuration says of an installation, and those that still wait for theirs. */
import { sql, type UpdateObject } from 'kysely';
import type { Db } from './database.ts';
import type { ConnectionRow, Schema } from './schema.ts';

/** The newest, where there are several. */
export const findByConfig = (db: Db, integrationId: string, name: string, value: string): Promise<ConnectionRow | undefined> =>
    db
        .selectFrom('connections')
        .selectAll()
        .where('integration_id', '=', integrationId)
        .where(sql<boolean>`connection_config ->> ${name} = ${value}`)
        .where('deleted_at', 'is', null)
        .orderBy('public_id', 'desc')
        .limit(1)
        .executeTakeFirst();

/** Those that wait, and whose configuration has all of these values; the newest first. */
export const pending = (db: Db, integrationId: string, values: Readonly<Record<string, string>>): Promise<ConnectionRow[]> =>
    db
        .selectFrom('connections')
        .selectAll()
        .where('integration_id', '=', integrationId)
        .where(sql<boolean>`connection_config @> '{"pending": true}'`)
        .where((where) => where.and(Object.entries(values).map(([name, value]) => sql<boolean>`connection_config ->> ${name} = ${value}`)))
        .where('deleted_at', 'is', null)
        .orderBy('public_id', 'desc')
        .execute();

/** Under the row's lock, with what was merged under it. */
export async function replaceConfig(
    db: Db,
    id: string,
    config: Required<Pick<UpdateObject<Schema, 'connections'>, 'connection_config' | 'sealed_secrets' | 'updated_at'>>,
): Promise<void> {
    await db.updateTable('connections').set(config).where('id', '=', id).execute();
}

/** Of those that have waited since before then: what they are, held until the transaction ends. A bounded number. */
export const lockOverdue = (db: Db, since: Date): Promise<Pick<ConnectionRow, 'id' | 'auth_state' | 'connection_config'>[]> =>
    db
        .selectFrom('connections')
        .select(['id', 'auth_state', 'connection_config'])
        .where(sql<boolean>`connection_config @> '{"pending": true}'`)
        .where('updated_at', '<', since)
        .where('deleted_at', 'is', null)
        .limit(500)
        .forUpdate()
        .skipLocked()
        .execute();

/** They keep the credentials that they have. */
export async function stopWaiting(db: Db, ids: readonly string[], at: Date): Promise<void> {
    await sql`
        update connections set connection_config = connection_config - 'pending' - 'pendingLog', updated_at = ${at}
        where id = any(${[...ids]})`.execute(db);
}
