/** Makes an API key: shown once, stored as a hash. */
import type { Vault } from '../credentials/vault.ts';
import { newRowId, type Sources } from '../sources.ts';
import * as apiKeys from '../store/api-keys.ts';
import type { KeyOwner } from '../store/api-keys.ts';
import type { Db } from '../store/database.ts';
import type { ApiKeyRow } from '../store/schema.ts';
import { newApiKey } from './api-key-format.ts';

export interface KeyContext {
    vault: Vault;
    sources: Sources;
}

export interface NewKey {
    owner: KeyOwner;
    displayName: string;
    scopes: readonly string[];
    origin: ApiKeyRow['origin'];
    expiresAt?: Date | null;
    allowedCidrs?: readonly string[] | null;
}

export interface IssuedKey {
    row: ApiKeyRow;
    /** The key itself. */
    secret: string;
}

/** What allows a key everything that its kind can do. */
export const fullAccessOf = (owner: KeyOwner): string => (owner === null ? 'account:*' : 'environment:*');

export const defaultKeyName = 'Default - Full access';

/**
 * @param maker what the key is made from: the name it carries (`vk_<name>_…`), or a text that the operator chose
 * @returns `undefined` when its name or its text is taken, also by a replica that was faster
 */
export async function issueKey(
    db: Db,
    { vault, sources }: KeyContext,
    maker: { name: string } | { text: string },
    key: NewKey,
): Promise<IssuedKey | undefined> {
    const secret = 'text' in maker ? maker.text : newApiKey(maker.name, sources);
    const row = await apiKeys.insert(db, {
        id: newRowId(sources),
        environment_id: key.owner,
        display_name: key.displayName,
        key_hash: vault.hash(secret),
        scopes: [...key.scopes],
        origin: key.origin,
        created_at: new Date(sources.now()),
        expires_at: key.expiresAt ?? null,
        allowed_cidrs: key.allowedCidrs ? [...key.allowedCidrs] : null,
    });
    return row && { row, secret };
}
