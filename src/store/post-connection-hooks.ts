/** Post-connection hooks that have not succeeded yet. `id` is new with every connect, so that whoever worked on an earlier one writes nothing. */
import type { Db } from './database.ts';
import type { PostConnectionHookRow } from './schema.ts';

type NewHook = Pick<PostConnectionHookRow, 'id' | 'environment_id' | 'connection_row_id' | 'provider' | 'operation_id'> & { dueAt: Date; at: Date };

export async function insert(db: Db, { dueAt, at, ...hook }: NewHook): Promise<void> {
    await db
        .insertInto('post_connection_hooks')
        .values({ ...hook, state: 'pending', attempts: 1, due_at: dueAt, lease_owner: null, lease_until: null, created_at: at })
        .execute();
}

/** Of a connection that is connected again. @returns the operation it had */
export async function removeOf(db: Db, connectionRowId: string): Promise<string | undefined> {
    const removed = await db
        .deleteFrom('post_connection_hooks')
        .where('connection_row_id', '=', connectionRowId)
        .returning('operation_id')
        .executeTakeFirst();
    return removed?.operation_id;
}

/** `undefined`: it is gone, or somebody else's by now. */
export const findClaimed = (db: Db, id: string, epoch: number): Promise<PostConnectionHookRow | undefined> =>
    db.selectFrom('post_connection_hooks').selectAll().where('id', '=', id).where('lease_epoch', '=', epoch).executeTakeFirst();

type Claimed = Pick<PostConnectionHookRow, 'id' | 'lease_epoch'>;

/** @returns whether it was still the claimer's. */
export async function removeClaimed(db: Db, { id, lease_epoch }: Claimed): Promise<boolean> {
    const result = await db.deleteFrom('post_connection_hooks').where('id', '=', id).where('lease_epoch', '=', lease_epoch).executeTakeFirst();
    return result.numDeletedRows > 0n;
}

/** Ends the lease. @param dueAt `null`: never again @returns whether it was still the claimer's. */
export async function postpone(db: Db, { id, lease_epoch }: Claimed, next: { attempts: number; dueAt: Date | null }): Promise<boolean> {
    const result = await db
        .updateTable('post_connection_hooks')
        .set({
            state: next.dueAt === null ? 'failed' : 'pending',
            attempts: next.attempts,
            due_at: next.dueAt,
            lease_owner: null,
            lease_until: null,
        })
        .where('id', '=', id)
        .where('lease_epoch', '=', lease_epoch)
        .executeTakeFirst();
    return result.numUpdatedRows > 0n;
}
