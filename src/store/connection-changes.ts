/** Changes to a connection that its owner asks for; credentials are not among them. Metadata is in `connection-metadata.ts`. */
import { sql } from 'kysely';
import { json, type Db } from './database.ts';
import type { ConnectionRow, EndUser } from './schema.ts';

export interface ChangeTarget {
    /** Absent: the integration has no such connection. */
    connection: Pick<ConnectionRow, 'id' | 'tags' | 'end_user'> | undefined;
}

/** Holds the connection until the transaction ends. `undefined`: there is no such integration. */
export async function lockForChange(db: Db, environmentId: string, integrationKey: string, connectionId: string): Promise<ChangeTarget | undefined> {
    const { rows } = await sql<Pick<ConnectionRow, 'tags' | 'end_user'> & { id: string | null }>`
        with integration as (
            select id from integrations where environment_id = ${environmentId} and unique_key = ${integrationKey} and deleted_at is null
        ), connection as (
            select id, tags, end_user from connections
            where integration_id = (select id from integration) and connection_id = ${connectionId} and deleted_at is null
            for no key update
        )
        select connection.id, connection.tags, connection.end_user from integration left join connection on true`.execute(db);
    const [row] = rows;
    return row && { connection: row.id === null ? undefined : { ...row, id: row.id } };
}

export interface ConnectionChange {
    tags?: Record<string, string> | undefined;
    endUser?: EndUser | undefined;
    /** `null`: cleared. */
    webhookUrlOverride?: string | null | undefined;
}

/** Leaves `updated_at` alone, as the contract has it (http-api §8.5). */
export async function change(db: Db, id: string, { tags, endUser, webhookUrlOverride }: ConnectionChange): Promise<void> {
    const columns = {
        ...(tags === undefined ? {} : { tags: json(tags) }),
        ...(endUser === undefined ? {} : { end_user: json(endUser) }),
        ...(webhookUrlOverride === undefined ? {} : { webhook_url_override: webhookUrlOverride }),
    };
    if (Object.keys(columns).length > 0) {
        await db.updateTable('connections').set(columns).where('id', '=', id).execute();
    }
}
