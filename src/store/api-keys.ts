/** API keys: found by the hash of what the caller presents, and managed by those who may. */
import { sql, type UpdateObject } from 'kysely';
import { keyReadColumns, type KeyRead } from './connections.ts';
import type { Database, Db } from './database.ts';
import * as environments from './environments.ts';
import type { ApiKeyRow, NewApiKey, Schema } from './schema.ts';

/** Whose keys: those of an environment, by its row id; `null`: those of the account. */
export type KeyOwner = string | null;

const byHashText = `
    select ${keyReadColumns} from api_keys k left join environments e on e.id = k.environment_id and e.deleted_at is null
    where k.key_hash = $1 and k.deleted_at is null`;

export async function readByHash(database: Database, keyHash: string): Promise<{ key: KeyRead } | undefined> {
    const [key] = await database.read<KeyRead>('key-by-hash', byHashText, [keyHash]);
    return key && { key };
}

export async function touch(db: Db, id: string, use: { at: Date; ip: string | null }): Promise<void> {
    await db.updateTable('api_keys').set({ last_used_at: use.at, last_used_ip: use.ip }).where('id', '=', id).execute();
}

/** Any number that no other advisory lock of this database has. */
const accountLock = 7_362_518_407;

/**
 * Changes to the keys of one owner wait for each other until their transactions end: names, numbers and the last key with
 * full access are judged on what is there. @returns what its keys are named after; `undefined`: its environment is gone.
 */
export async function lock(db: Db, owner: KeyOwner): Promise<string | undefined> {
    if (owner !== null) {
        return (await environments.lock(db, owner))?.name;
    }
    // The account has no row. The lock ends with the transaction, so that a transaction-mode pooler does not mind it.
    await sql`select pg_advisory_xact_lock(${sql.lit(accountLock)})`.execute(db);
    return 'account';
}

/** @returns `undefined` when the name or the key itself is taken. */
export const insert = (
    db: Db,
    row: Pick<NewApiKey, 'id' | 'environment_id' | 'display_name' | 'key_hash' | 'scopes' | 'origin' | 'created_at'> & Partial<NewApiKey>,
): Promise<ApiKeyRow | undefined> =>
    db
        .insertInto('api_keys')
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .returningAll()
        .executeTakeFirst();

const live = (db: Db, owner: KeyOwner) =>
    db
        .selectFrom('api_keys')
        .where('environment_id', owner === null ? 'is' : '=', owner)
        .where('deleted_at', 'is', null);

/** Oldest first. What a rotation left behind is gone when its time is up. */
export const list = (db: Db, owner: KeyOwner, now: Date): Promise<ApiKeyRow[]> =>
    live(db, owner)
        .where((key) => key.or([key('replaced_at', 'is', null), key('expires_at', '>', now)]))
        .selectAll()
        .orderBy('public_id')
        .execute();

export const find = (db: Db, owner: KeyOwner, publicId: number): Promise<ApiKeyRow | undefined> =>
    live(db, owner).where('public_id', '=', publicId).selectAll().executeTakeFirst();

/** The environment of a key, whichever it is. */
export async function environmentOf(db: Db, publicId: number): Promise<string | undefined> {
    const row = await db
        .selectFrom('api_keys')
        .select('environment_id')
        .where('public_id', '=', publicId)
        .where('deleted_at', 'is', null)
        .executeTakeFirst();
    return row?.environment_id ?? undefined;
}

/** Those that a rotation replaced count no more, neither by their name nor by their number. */
const standing = (db: Db, owner: KeyOwner) => live(db, owner).where('replaced_at', 'is', null);

export async function isNameTaken(db: Db, owner: KeyOwner, name: string): Promise<boolean> {
    return (await standing(db, owner).where('display_name', '=', name).select('id').limit(1).executeTakeFirst()) !== undefined;
}

export async function count(db: Db, owner: KeyOwner): Promise<number> {
    const { keys } = await standing(db, owner)
        .select((key) => key.fn.countAll<number>().as('keys'))
        .executeTakeFirstOrThrow();
    return keys;
}

/** Whether another key with `scope` lasts as long as this one, or longer. */
export async function hasEqual(db: Db, key: ApiKeyRow, scope: string): Promise<boolean> {
    const others = live(db, key.environment_id)
        .where('id', '<>', key.id)
        .where(sql<boolean>`${scope} = any(scopes)`);
    const expiry = key.expires_at;
    const equals =
        expiry === null
            ? others.where('expires_at', 'is', null)
            : others.where((other) => other.or([other('expires_at', 'is', null), other('expires_at', '>=', expiry)]));
    return (await equals.select('id').limit(1).executeTakeFirst()) !== undefined;
}

export const update = (db: Db, id: string, change: UpdateObject<Schema, 'api_keys'>): Promise<ApiKeyRow> =>
    db.updateTable('api_keys').set(change).where('id', '=', id).returningAll().executeTakeFirstOrThrow();

/** Keys that are fixed by configuration. */
export const listConfigured = (db: Db): Promise<Pick<ApiKeyRow, 'id' | 'environment_id' | 'key_hash'>[]> =>
    db
        .selectFrom('api_keys')
        .select(['id', 'environment_id', 'key_hash'])
        .where('origin', '=', 'configured')
        .where('deleted_at', 'is', null)
        .execute();

export async function remove(db: Db, id: string, at: Date): Promise<void> {
    await db.updateTable('api_keys').set({ deleted_at: at }).where('id', '=', id).where('deleted_at', 'is', null).execute();
}

/** Whose live key has this hash, with the environment's name; `undefined`: nobody's. */
export const ownerOf = (db: Db, keyHash: string): Promise<{ environment_id: string | null; name: string | null } | undefined> =>
    db
        .selectFrom('api_keys as k')
        .leftJoin('environments as e', 'e.id', 'k.environment_id')
        .select(['k.environment_id', 'e.name'])
        .where('k.key_hash', '=', keyHash)
        .where('k.deleted_at', 'is', null)
        .executeTakeFirst();
