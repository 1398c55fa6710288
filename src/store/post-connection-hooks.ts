/**
 * Post-connection hooks that have not succeeded yet. `id` is new with every connect, so that whoever worked on an earlier one writes
 * nothing. What ends a hook ends the status that its connection shows: lock the connection first, as a deletion does.
 */
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

/** It succeeded, or there is nothing to do any more. @returns whether it was still the claimer's. */
export async function removeClaimed(db: Db, { id, lease_epoch }: Claimed): Promise<boolean> {
    const removed = await db
        .with('removed', (query) =>
            query.deleteFrom('post_connection_hooks').where('id', '=', id).where('lease_epoch', '=', lease_epoch).returning('connection_row_id'),
        )
        .with('cleared', (query) =>
            query
                .updateTable('connections')
                .set({ post_connection_status: null })
                .where('id', 'in', (removed) => removed.selectFrom('removed').select('connection_row_id')),
        )
        .selectFrom('removed')
        .select('connection_row_id')
        .executeTakeFirst();
    return removed !== undefined;
}

const ended = { lease_owner: null, lease_until: null };

/** Ends the lease. @returns whether it was still the claimer's. */
export async function postpone(db: Db, { id, lease_epoch }: Claimed, next: { attempts: number; dueAt: Date }): Promise<boolean> {
    const result = await db
        .updateTable('post_connection_hooks')
        .set({ ...ended, attempts: next.attempts, due_at: next.dueAt })
        .where('id', '=', id)
        .where('lease_epoch', '=', lease_epoch)
        .executeTakeFirst();
    return result.numUpdatedRows > 0n;
}

/** Ends the lease for good. @returns whether it was still the claimer's. */
export async function giveUp(db: Db, { id, lease_epoch }: Claimed, attempts: number): Promise<boolean> {
    const failed = await db
        .with('failed', (query) =>
            query
                .updateTable('post_connection_hooks')
                .set({ ...ended, state: 'failed', attempts, due_at: null })
                .where('id', '=', id)
                .where('lease_epoch', '=', lease_epoch)
                .returning('connection_row_id'),
        )
        .with('marked', (query) =>
            query
                .updateTable('connections')
                .set({ post_connection_status: 'failed' })
                .where('id', 'in', (failed) => failed.selectFrom('failed').select('connection_row_id')),
        )
        .selectFrom('failed')
        .select('connection_row_id')
        .executeTakeFirst();
    return failed !== undefined;
}
