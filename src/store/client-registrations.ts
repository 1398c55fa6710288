/** OAuth clients that registered themselves: one per integration, authorization server and redirect URI. */
import type { Db } from './database.ts';
import type { ClientRegistrationRow, NewClientRegistration } from './schema.ts';

export const find = (db: Db, integrationId: string, keyHash: string): Promise<ClientRegistrationRow | undefined> =>
    db.selectFrom('client_registrations').selectAll().where('integration_id', '=', integrationId).where('key_hash', '=', keyHash).executeTakeFirst();

/** @returns whether it is the first; otherwise another process was faster. */
export async function insert(db: Db, row: NewClientRegistration): Promise<boolean> {
    const result = await db
        .insertInto('client_registrations')
        .values(row)
        .onConflict((conflict) => conflict.columns(['integration_id', 'key_hash']).doNothing())
        .executeTakeFirst();
    return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
}

/** @returns whether `stored` was still what there is; otherwise another process was faster. */
export async function replace(db: Db, stored: Pick<ClientRegistrationRow, 'id' | 'version'>, sealed: string, at: Date): Promise<boolean> {
    const result = await db
        .updateTable('client_registrations')
        .set({ sealed_registration: sealed, version: stored.version + 1, updated_at: at })
        .where('id', '=', stored.id)
        .where('version', '=', stored.version)
        .executeTakeFirst();
    return result.numUpdatedRows > 0n;
}

/** Those of an integration, which then has none any more. */
export const take = (db: Db, integrationId: string): Promise<ClientRegistrationRow[]> =>
    db.deleteFrom('client_registrations').where('integration_id', '=', integrationId).returningAll().execute();

/** Those of an environment, by its public id. */
export const ofEnvironment = (db: Db, publicId: number): Promise<ClientRegistrationRow[]> =>
    db
        .selectFrom('client_registrations')
        .innerJoin('environments', 'environments.id', 'client_registrations.environment_id')
        .selectAll('client_registrations')
        .where('environments.public_id', '=', publicId)
        .where('environments.deleted_at', 'is', null)
        .execute();
