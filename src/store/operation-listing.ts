/** Reading the operation log: a page is the first rows of an index that fits its filter, within a period (O2). */
import { sql, type RawBuilder } from 'kysely';
import type { Db } from './database.ts';
import type { OperationMessageRow, OperationRow } from './schema.ts';
import { beganAt } from './operations.ts';
import { attemptMessages, shownUrl, webhookType } from './webhook-operations.ts';

export interface OperationFilter {
    environmentId: string;
    states?: readonly string[] | undefined;
    /** `type` or `type:action`. */
    types?: readonly string[] | undefined;
    /** Unique keys; those of deleted integrations too. */
    integrations?: readonly string[] | undefined;
    connections?: readonly string[] | undefined;
    search?: string | undefined;
    from: Date;
    to: Date;
}

export interface ListedOperation extends OperationRow {
    integration_key: string | null;
    provider: string | null;
}

const columns = sql`o.*, i.unique_key as integration_key, i.provider`;
const source = sql`operations o left join integrations i on i.id = o.integration_id`;

/** Newest first. @param after the id of the last row of the page before */
export async function list(db: Db, filter: OperationFilter, limit: number, after?: string): Promise<ListedOperation[]> {
    const conditions = conditionsOf(filter);
    if (after !== undefined) {
        conditions.push(sql`(o.created_at, o.id) < (${beganAt(after)}::timestamptz, ${after})`);
    }
    const { rows } = await sql<ListedOperation>`
        select ${columns} from ${source} where ${sql.join(conditions, sql` and `)}
        order by o.created_at desc, o.id desc limit ${limit}`.execute(db);
    return rows;
}

function conditionsOf({ environmentId, states, types, integrations, connections, search, from, to }: OperationFilter): RawBuilder<unknown>[] {
    const conditions = [sql`o.environment_id = ${environmentId}`, sql`o.created_at >= ${from}`, sql`o.created_at < ${to}`];
    if (states !== undefined) {
        conditions.push(sql`o.state = any(${states}::text[])`);
        // as the index of what is no success has it
        if (!states.includes('success')) conditions.push(sql`o.state <> 'success'`);
    }
    if (types !== undefined) {
        conditions.push(sql`(o.type = any(${types}::text[]) or o.type || ':' || o.action = any(${types}::text[]))`);
        // Routine renewals are all there is at this level: another type is not looked for among them.
        if (!types.some((type) => type === 'auth' || type === 'auth:refresh_token')) conditions.push(sql`o.level <> 'debug'`);
    }
    if (integrations !== undefined) {
        conditions.push(sql`o.integration_id in (
            select id from integrations where environment_id = ${environmentId} and unique_key = any(${integrations}::text[]))`);
    }
    if (connections !== undefined) {
        conditions.push(sql`o.connection_id = any(${connections}::text[])`);
    }
    if (search !== undefined) {
        conditions.push(sql`(position(lower(${search}) in lower(o.message)) > 0 or o.id = ${search} or o.connection_id = ${search})`);
    }
    return conditions;
}

export async function find(db: Db, environmentId: string, id: string): Promise<ListedOperation | undefined> {
    const { rows } = await sql<ListedOperation>`
        select ${columns} from ${source}
        where o.id = ${id} and o.created_at = ${beganAt(id)} and o.environment_id = ${environmentId}`.execute(db);
    return rows[0];
}

export interface MessageFilter {
    levels?: readonly string[] | undefined;
    search?: string | undefined;
    /** The id of the last message of the page before. */
    after: number;
    /** Of one delivery of a webhook. */
    mostAttempts: number;
}

/** Oldest first. */
export async function listMessages(
    db: Db,
    operation: Pick<ListedOperation, 'id' | 'type' | 'meta'>,
    { levels, search, after, mostAttempts }: MessageFilter,
    limit: number,
): Promise<OperationMessageRow[]> {
    const isWebhook = operation.type === webhookType;
    const { rows } = await sql<OperationMessageRow>`
        select * from (
            select id, operation_id, operation_created_at, source, level, type, context, message, error, request, response, retry, meta,
                created_at, ended_at, duration_ms
            from operation_messages where operation_id = ${operation.id} and operation_created_at = ${beganAt(operation.id)}
            ${isWebhook ? sql`union all ${attemptMessages(operation, mostAttempts)}` : sql``}
        ) as said
        where id > ${after}
            ${levels === undefined ? sql`` : sql`and level = any(${levels}::text[])`}
            ${search === undefined ? sql`` : sql`and position(lower(${search}) in lower(message)) > 0`}
        order by id limit ${limit}`.execute(db);
    return isWebhook ? rows.map(withShownUrl) : rows;
}

const withShownUrl = (row: OperationMessageRow): OperationMessageRow => ({
    ...row,
    request: row.request && { ...row.request, url: shownUrl(String(row.request['url'])) },
});
