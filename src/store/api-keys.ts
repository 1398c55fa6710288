/** API keys, found by the hash of what the caller presents. */
import { keyReadColumns, type KeyRead } from './connections.ts';
import type { Database, Db } from './database.ts';
import type { ApiKeyRow } from './schema.ts';

const byHashText = `
    select ${keyReadColumns} from api_keys k left join environments e on e.id = k.environment_id and e.deleted_at is null
    where k.key_hash = $1 and k.deleted_at is null`;

export async function readByHash(database: Database, keyHash: string): Promise<{ key: KeyRead } | undefined> {
    const [key] = await database.read<KeyRead>('key-by-hash', byHashText, [keyHash]);
    return key && { key };
}

export async function touch(db: Db, id: string, at: Date): Promise<void> {
    await db.updateTable('api_keys').set({ last_used_at: at }).where('id', '=', id).execute();
}

export async function insert(
    db: Db,
    row: Pick<ApiKeyRow, 'id' | 'environment_id' | 'display_name' | 'key_hash' | 'scopes' | 'origin' | 'created_at'>,
): Promise<void> {
    await db
        .insertInto('api_keys')
        .values({ ...row, last_used_at: null, expires_at: null, deleted_at: null })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
}

/** Keys that were fixed by configuration and no longer are. */
export async function removeConfigured(db: Db, keepHashes: readonly string[], at: Date): Promise<void> {
    let query = db.updateTable('api_keys').set({ deleted_at: at }).where('origin', '=', 'configured').where('deleted_at', 'is', null);
    if (keepHashes.length > 0) {
        query = query.where('key_hash', 'not in', [...keepHashes]);
    }
    await query.execute();
}
