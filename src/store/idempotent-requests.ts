/** Requests that carried an Idempotency-Key, and their answers. */
import { sql, type Selectable } from 'kysely';
import type { Db } from './database.ts';
import type { Schema } from './schema.ts';

export type IdempotentRequestRow = Selectable<Schema['idempotent_requests']>;

export interface Claim extends Pick<
    IdempotentRequestRow,
    'id' | 'environment_id' | 'caller' | 'key' | 'request_hash' | 'locked_until' | 'created_at'
> {
    /** Rows that are older are as good as gone. */
    keptSince: Date;
}

/**
 * Takes the key for this request: a new row, or that of a request which nobody is working on any more. One statement, so
 * that of two simultaneous requests exactly one gets it. @returns whether it is ours.
 */
export async function claim(db: Db, { keptSince, ...row }: Claim): Promise<boolean> {
    const taken = await db
        .insertInto('idempotent_requests')
        .values({ ...row, status: null, sealed_body: null })
        .onConflict((conflict) =>
            conflict
                .columns(['environment_id', 'caller', 'key'])
                .doUpdateSet({ ...row, status: null, sealed_body: null })
                .where((old) =>
                    old.or([
                        old('idempotent_requests.created_at', '<', keptSince),
                        old.and([
                            old('idempotent_requests.status', 'is', null),
                            old('idempotent_requests.locked_until', '<', row.created_at),
                            sql<boolean>`idempotent_requests.request_hash = excluded.request_hash`,
                        ]),
                    ]),
                ),
        )
        .returning('id')
        .executeTakeFirst();
    return taken !== undefined;
}

export const find = (db: Db, of: Pick<IdempotentRequestRow, 'environment_id' | 'caller' | 'key'>): Promise<IdempotentRequestRow | undefined> =>
    db
        .selectFrom('idempotent_requests')
        .selectAll()
        .where('environment_id', '=', of.environment_id)
        .where('caller', '=', of.caller)
        .where('key', '=', of.key)
        .executeTakeFirst();

/** By the row's own id: a request that lost its claim to a later one writes nothing. */
export async function settle(db: Db, id: string, answer: { status: number; sealedBody: string }): Promise<void> {
    await db.updateTable('idempotent_requests').set({ status: answer.status, sealed_body: answer.sealedBody }).where('id', '=', id).execute();
}

export async function release(db: Db, id: string): Promise<void> {
    await db.deleteFrom('idempotent_requests').where('id', '=', id).execute();
}

export async function purge(db: Db, createdBefore: Date): Promise<void> {
    await db.deleteFrom('idempotent_requests').where('created_at', '<', createdBefore).execute();
}
