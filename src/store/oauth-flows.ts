/** Redirect flows between their start and their callback. */
import { sql } from 'kysely';
import { json, type Db } from './database.ts';
import { continuing, type OperationMessage } from './operations.ts';
import type { ConnectOutcome, NewOauthFlow, OauthFlowRequestRow, OauthFlowRow } from './schema.ts';

/** @param said how it began, for its operation, in the same statement */
export async function insert(db: Db, row: NewOauthFlow, said: readonly OperationMessage[] = []): Promise<void> {
    const { operation_id: operationId, integration_id: integrationId, created_at: at } = row;
    if (operationId === null || operationId === undefined || said.length === 0) {
        await db.insertInto('oauth_flows').values(row).execute();
        return;
    }
    await continuing(db, operationId, integrationId, said, new Date(at)).insertInto('oauth_flows').values(row).execute();
}

/**
 * S1: takes a flow by its state, once, in one statement. Its secrets leave the table with it. The row stays, for its outcome.
 * @returns the flow as it was, expired or not.
 */
export async function consume(db: Db, stateHash: string, now: Date): Promise<OauthFlowRow | undefined> {
    const { rows } = await sql<OauthFlowRow>`
        with taken as (
            select * from oauth_flows where state_hash = ${stateHash} and consumed_at is null for update
        ), emptied as (
            update oauth_flows f set consumed_at = ${now}, sealed_secrets = null from taken where f.id = taken.id
        )
        select * from taken`.execute(db);
    return rows[0];
}

export async function recordOutcome(db: Db, id: string, outcome: ConnectOutcome): Promise<void> {
    await db
        .updateTable('oauth_flows')
        .set({ outcome: json(outcome) })
        .where('id', '=', id)
        .execute();
}

/** @returns `false` when it had an outcome already, which stays. */
export async function recordFailure(db: Db, id: string, outcome: ConnectOutcome): Promise<boolean> {
    const { numUpdatedRows } = await db
        .updateTable('oauth_flows')
        .set({ outcome: json(outcome) })
        .where('id', '=', id)
        .where('outcome', 'is', null)
        .executeTakeFirst();
    return numUpdatedRows > 0n;
}

export const unfinishedPage = 100;

export type UnfinishedFlow = Pick<OauthFlowRow, 'id' | 'integration_id' | 'connect_session_id' | 'connection_id'> & { consumed_at: Date };

/** Flows that a callback took and that have no outcome since, after flow `after`; found in an index that holds such rows only. */
export const unfinished = (db: Db, consumedBefore: Date, after?: string): Promise<UnfinishedFlow[]> =>
    db
        .selectFrom('oauth_flows')
        .select(['id', 'integration_id', 'connect_session_id', 'connection_id', 'consumed_at'])
        .where('consumed_at', '<', consumedBefore)
        .where('outcome', 'is', null)
        .$if(after !== undefined, (query) => query.where('id', '>', after!))
        .orderBy('id')
        .limit(unfinishedPage)
        .$narrowType<{ consumed_at: Date }>()
        .execute();

/** Outcomes that wait for one of these sockets, wherever their callback was handled. */
export const undelivered = (db: Db, socketIds: readonly string[]): Promise<Pick<OauthFlowRow, 'id' | 'ws_client_id' | 'outcome'>[]> =>
    db
        .selectFrom('oauth_flows')
        .select(['id', 'ws_client_id', 'outcome'])
        .where(sql<boolean>`ws_client_id = any(${[...socketIds]})`)
        .where('outcome', 'is not', null)
        .where('outcome_delivered_at', 'is', null)
        .execute();

export async function markDelivered(db: Db, id: string, at: Date): Promise<void> {
    await db.updateTable('oauth_flows').set({ outcome_delivered_at: at }).where('id', '=', id).execute();
}

export async function insertRequest(db: Db, row: OauthFlowRequestRow): Promise<void> {
    await db.insertInto('oauth_flow_requests').values(row).execute();
}

/** S9: exchanged once, by one of its token's possible hashes, while it lives. */
export const takeRequest = (db: Db, hashes: readonly string[], now: Date): Promise<OauthFlowRequestRow | undefined> =>
    db
        .deleteFrom('oauth_flow_requests')
        .where('token_hash', 'in', [...hashes])
        .where('expires_at', '>', now)
        .returningAll()
        .executeTakeFirst();

export async function purge(db: Db, expiredBefore: Date): Promise<void> {
    await db.deleteFrom('oauth_flow_requests').where('expires_at', '<', expiredBefore).execute();
    await db.deleteFrom('oauth_flows').where('expires_at', '<', expiredBefore).execute();
}
