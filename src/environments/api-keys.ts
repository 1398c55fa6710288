/** Managing API keys: who may grant what, and what must never be lost (settings S2, S4, S6). */
import type { Kysely } from 'kysely';
import * as apiKeys from '../store/api-keys.ts';
import type { KeyOwner } from '../store/api-keys.ts';
import type { Db } from '../store/database.ts';
import * as environments from '../store/environments.ts';
import type { ApiKeyRow, Schema } from '../store/schema.ts';
import { fullAccessOf, issueKey, type IssuedKey, type KeyContext } from './issue-key.ts';
import { Refusal } from './refusal.ts';

export interface KeyManagement extends KeyContext {
    db: Kysely<Schema>;
    /** Who asks. An account key stands above the keys of environments. */
    manager: { isAccountKey: boolean; holds(scope: string): boolean };
}

export interface WantedKey {
    displayName: string;
    /** Default full access. */
    scopes: readonly string[] | undefined;
    expiresAt: Date | null;
    allowedCidrs: readonly string[] | null;
}

/** What is absent stays. */
export interface KeyChange {
    displayName?: string | undefined;
    scopes?: readonly string[] | undefined;
    expiresAt?: Date | null | undefined;
    allowedCidrs?: readonly string[] | null | undefined;
}

/** Per environment, and for the account. */
const mostKeys = 50;

/** @throws Refusal `not_found`, `forbidden`, `conflict`, `resource_capped` */
export function createKey(context: KeyManagement, owner: KeyOwner, wanted: WantedKey): Promise<IssuedKey> {
    const scopes = [...new Set(wanted.scopes ?? [fullAccessOf(owner)])];
    return context.db.transaction().execute(async (transaction) => {
        const name = await lock(transaction, owner);
        assertMayGrant(context, owner, scopes);
        await assertNameFree(transaction, owner, wanted.displayName);
        if ((await apiKeys.count(transaction, owner)) >= mostKeys) {
            throw new Refusal('resource_capped', `There are ${mostKeys} API keys already; delete one that is no longer used.`);
        }
        return orConflict(await issueKey(transaction, context, { name }, { ...wanted, owner, scopes, origin: 'created' }));
    });
}

/** @throws Refusal `not_found`, `managed_by_configuration`, `key_replaced`, `forbidden`, `conflict`, `last_full_access_key` */
export function updateKey(context: KeyManagement, owner: KeyOwner, keyId: number, change: KeyChange): Promise<ApiKeyRow> {
    return context.db.transaction().execute(async (transaction) => {
        await lock(transaction, owner);
        const key = await changeableKey(transaction, owner, keyId);
        assertNotReplaced(key);
        const scopes = change.scopes === undefined ? key.scopes : [...new Set(change.scopes)];
        const expiresAt = change.expiresAt === undefined ? key.expires_at : change.expiresAt;
        if (change.scopes !== undefined || change.expiresAt !== undefined || change.allowedCidrs !== undefined) {
            // More scopes, a longer life or more addresses: each hands out what the key can do.
            assertMayGrant(context, owner, scopes);
        }
        if (change.displayName !== undefined && change.displayName !== key.display_name) {
            await assertNameFree(transaction, owner, change.displayName);
        }
        if (!scopes.includes(fullAccessOf(owner)) || endsBefore(expiresAt, key.expires_at)) {
            await assertNotLast(transaction, context, key);
        }
        return apiKeys.update(transaction, key.id, {
            scopes,
            expires_at: expiresAt,
            ...(change.displayName === undefined ? {} : { display_name: change.displayName }),
            ...(change.allowedCidrs === undefined ? {} : { allowed_cidrs: change.allowedCidrs && [...change.allowedCidrs] }),
        });
    });
}

/** Works at once, on every replica: keys are looked up for each request. @throws Refusal `not_found`, `managed_by_configuration`, `last_full_access_key` */
export function deleteKey(context: KeyManagement, owner: KeyOwner, keyId: number): Promise<void> {
    return context.db.transaction().execute(async (transaction) => {
        await lock(transaction, owner);
        const key = await changeableKey(transaction, owner, keyId);
        await assertNotLast(transaction, context, key);
        await apiKeys.remove(transaction, key.id, new Date(context.sources.now()));
    });
}

export interface RotatedKey extends IssuedKey {
    predecessor: { id: number; expiresAt: Date };
}

/**
 * S6: a successor with the same name, scopes, addresses and expiry; its predecessor works beside it for the overlap.
 * @throws Refusal `not_found`, `managed_by_configuration`, `key_replaced`, `key_expired`, `forbidden`
 */
export function rotateKey(context: KeyManagement, owner: KeyOwner, keyId: number, overlapSeconds: number): Promise<RotatedKey> {
    const now = context.sources.now();
    return context.db.transaction().execute(async (transaction) => {
        const name = await lock(transaction, owner);
        const key = await changeableKey(transaction, owner, keyId);
        assertNotReplaced(key);
        if (key.expires_at !== null && key.expires_at.getTime() <= now) {
            throw new Refusal('key_expired', 'This API key has expired; create a new one.');
        }
        assertMayGrant(context, owner, key.scopes);
        const overlapEnd = new Date(now + overlapSeconds * 1000);
        const end = endsBefore(key.expires_at, overlapEnd) ? key.expires_at! : overlapEnd;
        await apiKeys.update(transaction, key.id, {
            replaced_at: new Date(now),
            expires_at: end,
            ...(overlapSeconds === 0 ? { deleted_at: end } : {}),
        });
        const successor = await issueKey(
            transaction,
            context,
            { name },
            {
                owner,
                displayName: key.display_name,
                scopes: key.scopes,
                origin: 'created',
                expiresAt: key.expires_at,
                allowedCidrs: key.allowed_cidrs,
            },
        );
        return { ...orConflict(successor), predecessor: { id: key.public_id, expiresAt: end } };
    });
}

/**
 * A key with full access for the operator who lost every other one; made beside the API, so that no limit of it applies.
 * @param target name of an environment, or `account`
 * @returns `undefined` when there is no such environment
 */
export function createRecoveryKey(db: Kysely<Schema>, context: KeyContext, target: string): Promise<string | undefined> {
    return db.transaction().execute(async (transaction) => {
        const owner = target === 'account' ? null : (await environments.findByName(transaction, target))?.id;
        const name = owner === undefined ? undefined : await apiKeys.lock(transaction, owner);
        if (owner === undefined || name === undefined) {
            return undefined;
        }
        const displayName = `Command line ${new Date(context.sources.now()).toISOString()}`;
        const key = { owner, displayName, scopes: [fullAccessOf(owner)], origin: 'created' as const };
        return orConflict(await issueKey(transaction, context, { name }, key)).secret;
    });
}

async function lock(db: Db, owner: KeyOwner): Promise<string> {
    const name = await apiKeys.lock(db, owner);
    if (name === undefined) {
        throw new Refusal('not_found', 'There is no environment with this id.');
    }
    return name;
}

async function changeableKey(db: Db, owner: KeyOwner, keyId: number): Promise<ApiKeyRow> {
    const key = await apiKeys.find(db, owner, keyId);
    if (key === undefined) {
        throw new Refusal('not_found', 'There is no API key with this id.');
    }
    if (key.origin === 'configured') {
        throw new Refusal('managed_by_configuration', `This API key is fixed by configuration; change it there (${key.display_name}).`);
    }
    return key;
}

/** It ends by itself; until then it can be deleted, and is otherwise what it was. */
function assertNotReplaced(key: ApiKeyRow): void {
    if (key.replaced_at !== null) {
        throw new Refusal('key_replaced', 'This API key was rotated; change its successor.');
    }
}

/** S4. An account key stands for the contract's `account:environments:api_keys:create`: it gives environments their keys. */
function assertMayGrant({ manager }: KeyManagement, owner: KeyOwner, scopes: readonly string[]): void {
    if (owner !== null && manager.isAccountKey) {
        return;
    }
    const missing = scopes.filter((scope) => !manager.holds(scope));
    if (missing.length > 0) {
        throw new Refusal('forbidden', `An API key can grant only scopes that it holds itself. Missing: ${missing.join(', ')}`);
    }
}

async function assertNameFree(db: Db, owner: KeyOwner, name: string): Promise<void> {
    if (await apiKeys.isNameTaken(db, owner, name)) {
        throw nameTaken();
    }
}

const nameTaken = (): Refusal => new Refusal('conflict', 'Another API key has this display_name.');

/** A process that starts makes keys without waiting for the lock. */
function orConflict(issued: IssuedKey | undefined): IssuedKey {
    if (issued === undefined) {
        throw nameTaken();
    }
    return issued;
}

/**
 * S4: a key with full access goes only if another lasts at least as long, so that an environment cannot lock itself out.
 * An account key may, as it can make another; of account keys nobody may, as only the command line is left then.
 */
async function assertNotLast(db: Db, { manager, sources }: KeyManagement, key: ApiKeyRow): Promise<void> {
    const fullAccess = fullAccessOf(key.environment_id);
    const isOver = key.expires_at !== null && key.expires_at.getTime() <= sources.now();
    if ((key.environment_id !== null && manager.isAccountKey) || !key.scopes.includes(fullAccess) || isOver) {
        return;
    }
    if (!(await apiKeys.hasEqual(db, key, fullAccess))) {
        const way = key.environment_id === null ? 'create another first' : 'create another first, or use an account key';
        throw new Refusal('last_full_access_key', `No other API key with ${fullAccess} lasts as long as this one; ${way}.`);
    }
}

const endsBefore = (end: Date | null, other: Date | null): boolean => end !== null && (other === null || end < other);
