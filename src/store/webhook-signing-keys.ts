/**
 * The keys that sign webhooks, of an environment or of one endpoint: one active, others retiring beside it while receivers change
 * over (W6).
 */
import { sql, type ExpressionBuilder } from 'kysely';
import { jsonArrayFrom } from 'kysely/helpers/postgres';
import type { Db } from './database.ts';
import type { Schema, WebhookSigningKeyRow } from './schema.ts';

/** Whose keys: the environment's, or those of an endpoint that has its own (W18). */
export interface KeyOwner {
    environmentId: string;
    /** `null`: the environment's. */
    endpointId: string | null;
}

export const environmentKeys = (environmentId: string): KeyOwner => ({ environmentId, endpointId: null });

/** Of a table whose columns nothing else has. */
const isOf = ({ environmentId, endpointId }: KeyOwner) =>
    sql<boolean>`(environment_id = ${environmentId} and endpoint_id is not distinct from ${endpointId})`;

/** A key that may sign. */
export interface LiveKeyRow {
    id: string;
    sealed_keys: string;
    signs_legacy: boolean;
}

/** Newest first, revoked ones included. */
export const list = (db: Db, owner: KeyOwner): Promise<WebhookSigningKeyRow[]> =>
    db
        .selectFrom('webhook_signing_keys')
        .selectAll()
        .where(isOf(owner))
        // Keys of one millisecond have no order of their own.
        .orderBy((key) => key('state', '=', 'active'), 'desc')
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .execute();

export const findActive = (db: Db, owner: KeyOwner): Promise<LiveKeyRow | undefined> =>
    db
        .selectFrom('webhook_signing_keys')
        .select(['id', 'signs_legacy'])
        .select((key) => key.ref('sealed_keys').$notNull().as('sealed_keys'))
        .where(isOf(owner))
        .where('state', '=', 'active')
        .executeTakeFirst();

/** Of a key `k`. */
const signsAt = (now: Date) => sql<boolean>`(k.state = 'active' or k.state = 'retiring' and k.retires_at > ${now})`;

/** Those that sign at `now`, newest first. */
export const live = (db: Db, owner: KeyOwner, now: Date): Promise<LiveKeyRow[]> =>
    db
        .selectFrom('webhook_signing_keys as k')
        .select(['k.id', 'k.signs_legacy'])
        .select((key) => key.ref('k.sealed_keys').$notNull().as('sealed_keys'))
        .where(isOf(owner))
        .where(signsAt(now))
        .orderBy((key) => key('k.state', '=', 'active'), 'desc')
        .orderBy('k.created_at', 'desc')
        .orderBy('k.id', 'desc')
        .execute();

/** For a query over deliveries `d` and their endpoints `p`: the keys that sign them at `now`, newest first. */
export const liveKeysOfDelivery = (from: ExpressionBuilder<Schema & { d: Schema['webhook_deliveries'] }, 'd'>, now: Date) =>
    jsonArrayFrom(
        from
            .selectFrom('webhook_signing_keys as k')
            .select(['k.id', 'k.signs_legacy'])
            .select((key) => key.ref('k.sealed_keys').$notNull().as('sealed_keys'))
            .whereRef('k.environment_id', '=', 'd.environment_id')
            .where(sql<boolean>`k.endpoint_id is not distinct from case when p.own_signing_key then p.id end`)
            .where(signsAt(now))
            .orderBy((key) => key('k.state', '=', 'active'), 'desc')
            .orderBy('k.created_at', 'desc')
            .orderBy('k.id', 'desc'),
    );

/** Ends what is retiring past its time. @returns how many keys. */
export async function revokeExpired(db: Db, now: Date, owner?: KeyOwner): Promise<number> {
    let query = db
        .updateTable('webhook_signing_keys')
        .set({ state: 'revoked', sealed_keys: null, signs_legacy: false })
        .where('state', '=', 'retiring')
        .where('retires_at', '<=', now);
    if (owner !== undefined) {
        query = query.where(isOf(owner));
    }
    return Number((await query.executeTakeFirst()).numUpdatedRows);
}

/** Ends one key that is retiring. @returns whether it was. */
export async function revokeRetiring(db: Db, environmentId: string, id: string, now: Date): Promise<boolean> {
    const result = await db
        .updateTable('webhook_signing_keys')
        .set({ state: 'revoked', sealed_keys: null, signs_legacy: false, retires_at: sql`least(retires_at, ${now})` })
        .where('environment_id', '=', environmentId)
        .where('id', '=', id)
        .where('state', '=', 'retiring')
        .executeTakeFirst();
    return result.numUpdatedRows > 0n;
}

export const stateOf = async (db: Db, environmentId: string, id: string): Promise<WebhookSigningKeyRow['state'] | undefined> =>
    (await db.selectFrom('webhook_signing_keys').select('state').where('environment_id', '=', environmentId).where('id', '=', id).executeTakeFirst())
        ?.state;

/** Makes room for a successor: the active key retires at `retiresAt`, or is shredded when that is now. */
export async function retireActive(db: Db, owner: KeyOwner, { retiresAt, now }: { retiresAt: Date; now: Date }): Promise<void> {
    const isOver = retiresAt <= now;
    await db
        .updateTable('webhook_signing_keys')
        .set({
            state: isOver ? 'revoked' : 'retiring',
            retires_at: retiresAt,
            ...(isOver ? { sealed_keys: null, signs_legacy: false } : {}),
        })
        .where(isOf(owner))
        .where('state', '=', 'active')
        .execute();
}

export async function insertActive(
    db: Db,
    { environmentId, endpointId }: KeyOwner,
    row: { id: string; sealed_keys: string; created_at: Date },
): Promise<void> {
    await db
        .insertInto('webhook_signing_keys')
        .values({ ...row, environment_id: environmentId, endpoint_id: endpointId, state: 'active', retires_at: null })
        .execute();
}

/** All of them, whatever they sign still. */
export async function remove(db: Db, owner: KeyOwner): Promise<void> {
    await db.deleteFrom('webhook_signing_keys').where(isOf(owner)).execute();
}

/** From now on the active key signs the single-valued headers. */
export async function signLegacyWithActive(db: Db, owner: KeyOwner): Promise<void> {
    await db.updateTable('webhook_signing_keys').set({ signs_legacy: false }).where(isOf(owner)).where('signs_legacy', '=', true).execute();
}

/** This retiring key signs the single-valued headers, and lives at least until `until` to do so. */
export async function signLegacyWith(db: Db, id: string, until: Date): Promise<void> {
    await db
        .updateTable('webhook_signing_keys')
        .set({ signs_legacy: true, retires_at: sql`greatest(retires_at, ${until})` })
        .where('id', '=', id)
        .execute();
}

export async function purgeRevoked(db: Db, endedBefore: Date): Promise<void> {
    await db.deleteFrom('webhook_signing_keys').where('state', '=', 'revoked').where('retires_at', '<', endedBefore).execute();
}
