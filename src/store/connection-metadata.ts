/** Writing metadata: many connections in one statement, all or none. */
import { sql } from 'kysely';
import { json, type Db } from './database.ts';

export interface MetadataWrite {
    environmentId: string;
    integrationKey: string;
    connectionIds: readonly string[];
    metadata: Record<string, unknown>;
    /** `merge`: top-level keys over the stored ones. */
    how: 'replace' | 'merge';
}

/**
 * One statement for any number of ids. Rows are locked in the order of their ids first, so that two writers of the same
 * connections wait for each other instead of deadlocking; `no key update`, as any update of other columns takes it, leaves
 * foreign keys alone. Merging happens on the row as it is once it is locked, so that no writer's keys are lost. A row that
 * would not change is not written. Nothing is written unless every id was found.
 * @returns the first id that was not found, in the order of the request.
 */
export async function write(db: Db, { environmentId, integrationKey, connectionIds, metadata, how }: MetadataWrite): Promise<string | undefined> {
    // What is not an object, SQL null and the JSON one, is merged into as if it were empty.
    const value =
        how === 'replace' ? sql`given.metadata` : sql`case when jsonb_typeof(c.metadata) = 'object' then c.metadata else '{}' end || given.metadata`;
    const { rows } = await sql<{ connection_id: string }>`
        with wanted as (
            select connection_id, min(position) as position
            from unnest(${[...connectionIds]}::text[]) with ordinality as ids (connection_id, position) group by connection_id
        ), found as (
            select c.id, c.connection_id
            from connections c join integrations i on i.id = c.integration_id
            where i.environment_id = ${environmentId} and i.unique_key = ${integrationKey} and i.deleted_at is null
                and c.connection_id = any(${[...connectionIds]}::text[]) and c.deleted_at is null
            order by c.id
            for no key update of c
        ), written as (
            update connections c set metadata = ${value}
            from found cross join (values (${json(metadata)}::jsonb)) as given (metadata)
            where c.id = found.id and c.metadata is distinct from ${value}
                and (select count(*) from found) = (select count(*) from wanted)
        )
        select connection_id from wanted where connection_id not in (select connection_id from found) order by position limit 1`.execute(db);
    return rows[0]?.connection_id;
}
