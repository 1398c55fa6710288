/** Redirect flows by the name that a page gave them before it opened their window (frontend contract §7.3). */
import { sql } from 'kysely';
import { json, type Db } from './database.ts';
import type { ConnectOutcome } from './schema.ts';

/** What is known of a named flow. */
export interface ConnectFlowRead {
    id: string;
    connect_session_id: string;
    outcome: ConnectOutcome | null;
    /** When the browser came back, and until when it may; `null` before it was sent off. */
    returned_at: Date | null;
    expires_at: Date | null;
}

const reading = (db: Db) =>
    db
        .selectFrom('connect_flows as c')
        .leftJoin('oauth_flows as o', 'o.id', 'c.oauth_flow_id')
        .select(['c.id', 'c.connect_session_id', 'o.consumed_at as returned_at', 'o.expires_at'])
        .select(sql<ConnectOutcome | null>`coalesce(o.outcome, c.outcome)`.as('outcome'));

export const read = (db: Db, ids: readonly string[]): Promise<ConnectFlowRead[]> =>
    reading(db)
        .where(sql<boolean>`c.id = any(${[...ids]}::uuid[])`)
        .execute();

export interface BegunFlow {
    id: string;
    connect_session_id: string;
    provider_config_key: string;
    created_at: Date;
}

/**
 * Begins a flow and ends those of its session and integration that have not come back (§7.5). A name may be used again while
 * nothing has come of it: a popup that was blocked has a link beside it.
 * Inside a transaction, after the session's row was locked: of two that begin at once, one supersedes the other.
 * @returns `false` when the name is another session's, or its flow is coming back or has succeeded
 */
export async function begin(db: Db, flow: BegunFlow, superseded: ConnectOutcome): Promise<boolean> {
    const [known] = await read(db, [flow.id]);
    if (known !== undefined && !mayBeginAgain(known, flow)) {
        return false;
    }
    await supersede(db, flow, superseded);
    const again = { provider_config_key: flow.provider_config_key, created_at: flow.created_at, oauth_flow_id: null, outcome: null };
    const { numInsertedOrUpdatedRows } = await db
        .insertInto('connect_flows')
        .values({ ...flow, oauth_flow_id: null, outcome: null })
        .onConflict((conflict) => conflict.column('id').doUpdateSet(again).where('connect_flows.connect_session_id', '=', flow.connect_session_id))
        .executeTakeFirstOrThrow();
    return numInsertedOrUpdatedRows === 1n;
}

function mayBeginAgain(known: ConnectFlowRead, { connect_session_id: session }: BegunFlow): boolean {
    const isUnderWay = known.returned_at !== null && known.outcome === null;
    return known.connect_session_id === session && !isUnderWay && known.outcome?.status !== 'success';
}

async function supersede(db: Db, flow: BegunFlow, outcome: ConnectOutcome): Promise<void> {
    await sql`
        with earlier as (
            select id, oauth_flow_id, outcome from connect_flows
            where connect_session_id = ${flow.connect_session_id} and (provider_config_key = ${flow.provider_config_key} or id = ${flow.id})
        ), sent_off as (
            update oauth_flows set consumed_at = ${flow.created_at}, sealed_secrets = null, outcome = ${json(outcome)}
            where id in (select oauth_flow_id from earlier) and consumed_at is null
        )
        update connect_flows set outcome = ${json(outcome)}
        where id in (select id from earlier where oauth_flow_id is null and outcome is null)`.execute(db);
}

/** The browser is sent off. @returns `false` when the flow was superseded meanwhile */
export async function attach(db: Db, id: string, oauthFlowId: string): Promise<boolean> {
    const { numUpdatedRows } = await db
        .updateTable('connect_flows')
        .set({ oauth_flow_id: oauthFlowId })
        .where('id', '=', id)
        .where('outcome', 'is', null)
        .where('oauth_flow_id', 'is', null)
        .executeTakeFirst();
    return numUpdatedRows === 1n;
}

/** Ends a flow whose browser was not sent off, begun or not. What it is known to have ended with stays. */
export async function recordFailure(db: Db, flow: BegunFlow, outcome: ConnectOutcome): Promise<void> {
    await db
        .insertInto('connect_flows')
        .values({ ...flow, oauth_flow_id: null, outcome: json(outcome) })
        .onConflict((conflict) =>
            conflict
                .column('id')
                .doUpdateSet({ outcome: json(outcome) })
                .where('connect_flows.connect_session_id', '=', flow.connect_session_id)
                .where('connect_flows.oauth_flow_id', 'is', null)
                .where('connect_flows.outcome', 'is', null),
        )
        .execute();
}

export async function purge(db: Db, createdBefore: Date): Promise<void> {
    await db.deleteFrom('connect_flows').where('created_at', '<', createdBefore).execute();
}
