/**
 * The operation log (O1): what was attempted on a connection, each thing said of it in order, and how it ended. Never holds a secret.
 *
 * An id begins with its epoch ms and `created_at` is that very moment, so that an id alone leads to one row of one partition.
 */
import { sql, type Insertable, type RawBuilder } from 'kysely';
import type { Sources } from '../sources.ts';
import { json, type Db } from './database.ts';
import type { NewOperation, OperationMessageRow, OperationRow, Schema } from './schema.ts';

/** `<epoch ms>_<8 characters>`: sortable and unguessable enough to be a reference in answers. */
export const newOperationId = (sources: Sources): string => `${sources.now()}_${sources.random(4).toString('hex')}`;

/** A moment that Postgres can write and no operation has. */
const endOfTime = Date.UTC(9999, 0);

/** When the operation with this id began; the last moment of all for what is no id. */
export function beganAt(id: string): Date {
    const [, ms] = /^(\d{1,14})_/.exec(id) ?? [];
    return new Date(ms === undefined ? endOfTime : Number(ms));
}

/** The provider's hook that completes a connection (§5.2). */
export const postConnection = { type: 'auth', action: 'post_connection' } as const;

/** A payload that a row may have (§5.2), with room for its other columns. */
const longestMessage = 2_000;

/** One thing said of an operation: a step, or a call with its answer (§5.1). Free of secrets. */
export interface OperationMessage {
    level: OperationRow['level'];
    /** Default: `log`. */
    type?: OperationMessageRow['type'];
    message: string;
    error?: { type: string; message: string } | undefined;
    request?: { method: string; url: string; headers: Readonly<Record<string, string>> };
    response?: { code: number; headers: Readonly<Record<string, string>> };
    retry?: { attempt: number; max: number; waited: number };
    meta?: Readonly<Record<string, unknown>>;
    at: Date;
    endedAt?: Date;
    durationMs?: number;
}

const orNull = (value: unknown): string | null => (value === undefined ? null : json(value));

const rowOf = (id: string, said: OperationMessage): Insertable<Schema['operation_messages']> => ({
    operation_id: id,
    operation_created_at: beganAt(id),
    level: said.level,
    type: said.type ?? 'log',
    context: 'auth',
    message: said.message.slice(0, longestMessage),
    error: orNull(said.error),
    request: orNull(said.request),
    response: orNull(said.response),
    retry: orNull(said.retry),
    meta: orNull(said.meta),
    created_at: said.at,
    ended_at: said.endedAt ?? null,
    duration_ms: said.durationMs ?? null,
});

/** @param before what led to an operation that is written when it is over, and is said before it */
export async function open(db: Db, operation: Omit<NewOperation, 'changed_at'>, before: readonly OperationMessage[] = []): Promise<void> {
    const { id, level, message, error } = operation;
    const at = beganAt(id);
    const opening = { ...rowOf(id, { level, message, at }), error: error ?? null };
    await db
        .with('opened', (query) => query.insertInto('operations').values({ ...operation, created_at: at, changed_at: at }))
        .insertInto('operation_messages')
        .values([...before.map((said) => rowOf(id, said)), opening])
        .execute();
}

/** What happens beside an operation's begin and end, as part of a statement that is made anyway. An operation that waited runs from here. */
export const continuing = (db: Db, id: string, integrationId: string, said: readonly OperationMessage[], at: Date) =>
    db
        .with('continued', (query) =>
            query
                .updateTable('operations')
                .set({ state: 'running', integration_id: integrationId, changed_at: at })
                .where('id', '=', id)
                .where('created_at', '=', beganAt(id))
                .where('state', 'in', [...openStates]),
        )
        .with('said', (query) => query.insertInto('operation_messages').values(said.map((each) => rowOf(id, each))));

/** Of an operation that nobody has ended. */
export const openStates = ['waiting', 'running'] as const satisfies readonly OperationRow['state'][];

export const cancellation = (message: string, at: Date) => ({ state: 'cancelled' as const, message, ended_at: at, changed_at: at });

/** Ends an operation that nobody has ended: what it waited for will not come. */
export const cancel = (db: Db, id: string, message: string, at: Date): Promise<void> =>
    change(db, [id], cancellation(message, at), [{ level: 'info', message, at }], openStates);

export interface OperationEnd {
    state: Extract<OperationRow['state'], 'success' | 'failed' | 'cancelled' | 'timeout'>;
    message: string;
    /** Default: by its state. */
    level?: OperationRow['level'];
    error?: { type: string; message: string };
    connectionRowId?: string;
    connectionId?: string;
    integrationId?: string;
    /** What led to it. */
    said?: readonly OperationMessage[] | undefined;
    at: Date;
}

export function end(db: Db, id: string, ending: OperationEnd): Promise<void> {
    const { state, message, error, at, said = [] } = ending;
    const level = ending.level ?? (state === 'success' ? 'info' : 'error');
    const columns = {
        state,
        level,
        message,
        ended_at: at,
        changed_at: at,
        ...(error ? { error: json(error) } : {}),
        ...(ending.connectionRowId ? { connection_row_id: ending.connectionRowId } : {}),
        ...(ending.connectionId ? { connection_id: ending.connectionId } : {}),
        ...(ending.integrationId ? { integration_id: ending.integrationId } : {}),
    } as const;
    return change(db, [id], columns, [...said, { level, message, error, at }]);
}

/** What became known of operations after they ended. */
export async function amend(
    db: Db,
    ids: readonly string[],
    {
        level,
        message,
        meta,
        at,
        said = [],
    }: Pick<OperationRow, 'level' | 'message'> & { meta: Record<string, unknown>; at: Date; said?: readonly OperationMessage[] },
): Promise<void> {
    await change(db, ids, { level, message, meta: json(meta), changed_at: at }, [...said, { level, message, at }]);
}

/** One statement: the rows, found in their partitions by the moments in their ids, and the messages to each that was changed. */
async function change(
    db: Db,
    ids: readonly string[],
    columns: object,
    said: readonly OperationMessage[],
    states: readonly OperationRow['state'][] = ['waiting', 'running', 'success', 'failed', 'timeout', 'cancelled'],
): Promise<void> {
    const changed = db
        .updateTable('operations')
        .set(columns)
        .where('id', 'in', [...ids])
        .where('created_at', 'in', ids.map(beganAt))
        .where('state', 'in', [...states])
        .returning(['id', 'created_at']);
    await sql`with changed as (${changed}) ${tell('changed', said)}`.execute(db);
}

/** Says the same to each operation of a relation with `id` and `created_at`. */
export function tell(relation: string, said: readonly OperationMessage[]): RawBuilder<unknown> {
    // Numbered, so that they get their ids in this order.
    const messages = said.map(({ at, ...message }, id) => ({
        ...message,
        id,
        type: message.type ?? 'log',
        message: message.message.slice(0, longestMessage),
        created_at: at,
        ended_at: message.endedAt,
        duration_ms: message.durationMs,
    }));
    return sql`
        insert into operation_messages (operation_id, operation_created_at, level, type, context, message, error, request, response, retry, meta,
            created_at, ended_at, duration_ms)
        select o.id, o.created_at, m.level, m.type, 'auth', m.message, m.error, m.request, m.response, m.retry, m.meta,
            m.created_at, m.ended_at, m.duration_ms
        from ${sql.table(relation)} o, json_populate_recordset(null::operation_messages, ${json(messages)}::json) m order by o.id, m.id`;
}

/** What the person's browser says of an attempt. No operation has more of these than anybody would read: they are anybody's to send. */
export async function sayFromBrowser(
    db: Db,
    id: string,
    said: Pick<OperationRow, 'level' | 'message'> & { meta: Readonly<Record<string, unknown>>; at: Date },
): Promise<void> {
    await sql`
        insert into operation_messages (operation_id, operation_created_at, source, level, type, context, message, meta, created_at)
        select ${id}, ${beganAt(id)}, 'user', ${said.level}, 'log', 'auth', ${said.message}, ${json(said.meta)}, ${said.at}
        where (
            select count(*) from operation_messages m
            where m.operation_id = ${id} and m.operation_created_at = ${beganAt(id)} and m.source = 'user'
        ) < ${sql.lit(mostFromBrowser)}`.execute(db);
}

const mostFromBrowser = 200;

export interface Renewed {
    id: string;
    environmentId: string;
    integrationId: string;
    connectionRowId: string;
    connectionId: string;
    reason: 'expiry' | 'keep_alive' | 'forced' | 'recovered';
    expiresAt: Date | null;
}

/** O3: a routine renewal is one short row without a message. */
const routine = { type: 'auth', action: 'refresh_token', state: 'success', level: 'debug', message: 'Credentials renewed' } as const;

/**
 * Of each row of a relation with the columns of a connection, `operation_id` and `reason`. The stream does not have them, so
 * no transaction is named (migration 0020). The ids are ours and say when they began; `operation_began` would ask with a regular
 * expression whether they do. Two that meet by chance must not cost the credentials that are written along with them.
 */
export const insertRenewals = (renewed: RawBuilder<unknown>): RawBuilder<unknown> => sql`
    insert into operations (id, environment_id, ${sql.join(Object.keys(routine).map((name) => sql.ref(name)))}, integration_id, connection_row_id,
        connection_id, meta, created_at, changed_at, ended_at, xid)
    select operation_id, environment_id, ${sql.join(Object.values(routine).map((value) => sql.lit(value)))}, integration_id, id,
        connection_id, jsonb_build_object('reason', reason, 'expires_at', to_char(credentials_expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')),
        began, began, began, null
    from (select *, timestamptz 'epoch' + split_part(operation_id, '_', 1)::bigint * interval '1 millisecond' as began from ${renewed}) as renewed
    on conflict do nothing`;

export async function recordRenewal(db: Db, renewed: Renewed): Promise<void> {
    const { id, environmentId, integrationId, connectionRowId, connectionId, reason, expiresAt } = renewed;
    // A repeated write may have been committed before its answer was lost.
    await insertRenewals(sql`(
        select ${id}::text as operation_id, ${environmentId}::uuid as environment_id, ${integrationId}::uuid as integration_id, ${connectionRowId}::uuid as id,
            ${connectionId}::text as connection_id, ${reason}::text as reason, ${expiresAt}::timestamptz as credentials_expires_at
    ) as one`).execute(db);
}

/** §5.1: what nobody has ended in its time. A connect attempt was given up; of anything else nobody knows. */
export async function expire(db: Db, at: Date): Promise<void> {
    const message = 'Nothing more was heard of it in its time';
    await sql`
        with expired as (
            update operations set state = case when action = 'create_connection' then 'cancelled' else 'timeout' end,
                level = 'warn', message = ${message}, ended_at = ${at}, changed_at = ${at}
            where state in ('waiting', 'running') and expires_at < ${at}
            returning id, created_at
        )
        ${tell('expired', [{ level: 'warn', message, at }])}`.execute(db);
}
