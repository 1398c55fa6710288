/** The keys that sign an environment's webhooks: one active, others retiring beside it while receivers change over (W6). */
import { sql, type ExpressionBuilder } from 'kysely';
import { jsonArrayFrom } from 'kysely/helpers/postgres';
import type { Db } from './database.ts';
import type { Schema, WebhookSigningKeyRow } from './schema.ts';

/** A key that may sign. */
export interface LiveKeyRow {
    id: string;
    sealed_keys: string;
    signs_legacy: boolean;
}

/** Newest first, revoked ones included. */
export const list = (db: Db, environmentId: string): Promise<WebhookSigningKeyRow[]> =>
    db
        .selectFrom('webhook_signing_keys')
        .selectAll()
        .where('environment_id', '=', environmentId)
        // Keys of one millisecond have no order of their own.
        .orderBy((key) => key('state', '=', 'active'), 'desc')
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .execute();

export const findActive = (db: Db, environmentId: string): Promise<LiveKeyRow | undefined> =>
    db
        .selectFrom('webhook_signing_keys')
        .select(['id', 'signs_legacy'])
        .select((key) => key.ref('sealed_keys').$notNull().as('sealed_keys'))
        .where('environment_id', '=', environmentId)
        .where('state', '=', 'active')
        .executeTakeFirst();

/** Of a key `k`. */
const signsAt = (now: Date) => sql<boolean>`(k.state = 'active' or k.state = 'retiring' and k.retires_at > ${now})`;

/** The keys of an environment that sign at `now`, newest first. */
export const live = (db: Db, environmentId: string, now: Date): Promise<LiveKeyRow[]> =>
    db
        .selectFrom('webhook_signing_keys as k')
        .select(['k.id', 'k.signs_legacy'])
        .select((key) => key.ref('k.sealed_keys').$notNull().as('sealed_keys'))
        .where('k.environment_id', '=', environmentId)
        .where(signsAt(now))
        .orderBy((key) => key('k.state', '=', 'active'), 'desc')
        .orderBy('k.created_at', 'desc')
        .orderBy('k.id', 'desc')
        .execute();

/** For a query over deliveries `d`: the keys of their environment that sign at `now`, newest first. */
export const liveKeysOfDelivery = (
    from: ExpressionBuilder<Schema & { d: Schema['webhook_deliveries']; e: Schema['webhook_events'] }, 'd' | 'e'>,
    now: Date,
) =>
    jsonArrayFrom(
        from
            .selectFrom('webhook_signing_keys as k')
            .select(['k.id', 'k.signs_legacy'])
            .select((key) => key.ref('k.sealed_keys').$notNull().as('sealed_keys'))
            .whereRef('k.environment_id', '=', 'd.environment_id')
            .where(signsAt(now))
            .orderBy((key) => key('k.state', '=', 'active'), 'desc')
            .orderBy('k.created_at', 'desc')
            .orderBy('k.id', 'desc'),
    );

/** Ends what is retiring past its time. @returns how many keys. */
export async function revokeExpired(db: Db, now: Date, environmentId?: string): Promise<number> {
    let query = db
        .updateTable('webhook_signing_keys')
        .set({ state: 'revoked', sealed_keys: null, signs_legacy: false })
        .where('state', '=', 'retiring')
        .where('retires_at', '<=', now);
    if (environmentId !== undefined) {
        query = query.where('environment_id', '=', environmentId);
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

/** Makes room for a successor: the active key retires at `retiresAt`, or is shredded when that is now. */
export async function retireActive(db: Db, environmentId: string, { retiresAt, now }: { retiresAt: Date; now: Date }): Promise<void> {
    const isOver = retiresAt <= now;
    await db
        .updateTable('webhook_signing_keys')
        .set({
            state: isOver ? 'revoked' : 'retiring',
            retires_at: retiresAt,
            ...(isOver ? { sealed_keys: null, signs_legacy: false } : {}),
        })
        .where('environment_id', '=', environmentId)
        .where('state', '=', 'active')
        .execute();
}

export async function insertActive(db: Db, row: { id: string; environment_id: string; sealed_keys: string; created_at: Date }): Promise<void> {
    await db
        .insertInto('webhook_signing_keys')
        .values({ ...row, state: 'active', retires_at: null })
        .execute();
}

/** From now on the active key signs the single-valued headers. */
export async function signLegacyWithActive(db: Db, environmentId: string): Promise<void> {
    await db
        .updateTable('webhook_signing_keys')
        .set({ signs_legacy: false })
        .where('environment_id', '=', environmentId)
        .where('signs_legacy', '=', true)
        .execute();
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
