/** Signing keys, of an environment or of one endpoint: sealed at rest, replaced with an overlap (W6). */
import type { Kysely } from 'kysely';
import { newRowId, type Sources } from '../sources.ts';
import * as environments from '../store/environments.ts';
import type { Db } from '../store/database.ts';
import type { Schema } from '../store/schema.ts';
import * as keys from '../store/webhook-signing-keys.ts';
import type { KeyOwner, LiveKeyRow } from '../store/webhook-signing-keys.ts';
import { newSigningKeys, type LiveSigningKeys, type SigningKeys } from '../webhooks/signature.ts';
import type { Vault } from './vault.ts';

export const webhookSigningKeysPlace = (environmentId: string, rowId: string) => ({
    environmentId,
    table: 'webhook_signing_keys',
    column: 'sealed_keys',
    rowId,
});

/** @throws VaultError */
export async function openSigningKeys(vault: Vault, environmentId: string, row: { id: string; sealed_keys: string }): Promise<SigningKeys> {
    return JSON.parse(await vault.openFresh(row.sealed_keys, webhookSigningKeysPlace(environmentId, row.id))) as SigningKeys;
}

/** All keys that sign at the moment, newest first. @throws VaultError */
export const openLiveKeys = (vault: Vault, environmentId: string, rows: readonly LiveKeyRow[]): Promise<LiveSigningKeys> =>
    Promise.all(rows.map(async (row) => ({ ...(await openSigningKeys(vault, environmentId, row)), signsLegacy: row.signs_legacy })));

export interface Rotation {
    /** How long the key that is replaced goes on signing; 0 ends it at once. */
    overlapMs: number;
    /** Which key the single-valued X-Nango-* headers are made with: the new one, or the one they were made with so far. */
    legacyHeaders: 'new' | 'previous';
}

/** Each signs every webhook, in one header: a receiver's limit on headers must not be reached by rotating in a loop. */
export const mostLiveKeys = 5;

/** The first, or the next once the one before has retired. Call it in a transaction. */
export async function makeSigningKey(
    db: Db,
    { vault, sources }: { vault: Vault; sources: Sources },
    owner: KeyOwner,
    at: Date,
): Promise<SigningKeys> {
    const made = newSigningKeys(sources);
    const id = newRowId(sources);
    const sealed = vault.sealJson(made, webhookSigningKeysPlace(owner.environmentId, id));
    await keys.insertActive(db, owner, { id, sealed_keys: sealed, created_at: at });
    return made;
}

/** Replaces the active key. Rotations of one environment wait for each other, so that exactly one key is active after any number. */
export async function rotateSigningKey(
    db: Kysely<Schema>,
    context: { vault: Vault; sources: Sources },
    owner: KeyOwner,
    { overlapMs, legacyHeaders }: Rotation,
): Promise<SigningKeys | 'no key' | 'too many keys'> {
    return db.transaction().execute(async (transaction) => {
        await environments.lock(transaction, owner.environmentId);
        const now = new Date(context.sources.now());
        await keys.revokeExpired(transaction, now, owner);
        const live = (await keys.list(transaction, owner)).filter(({ state }) => state !== 'revoked');
        const active = live.find(({ state }) => state === 'active');
        if (active === undefined) {
            return 'no key';
        }
        if (live.length >= mostLiveKeys && overlapMs > 0) {
            return 'too many keys';
        }
        const retiresAt = new Date(now.getTime() + overlapMs);
        await keys.retireActive(transaction, owner, { retiresAt, now });
        if (legacyHeaders === 'new' || overlapMs === 0) {
            await keys.signLegacyWithActive(transaction, owner);
        } else {
            await keys.signLegacyWith(transaction, (live.find(({ signs_legacy }) => signs_legacy) ?? active).id, retiresAt);
        }
        return makeSigningKey(transaction, context, owner, now);
    });
}

/** Ends a key before its time. The active one cannot be ended: nothing would sign. */
export async function revokeSigningKey(
    db: Kysely<Schema>,
    sources: Sources,
    environmentId: string,
    id: string,
): Promise<'revoked' | 'active' | 'unknown'> {
    return db.transaction().execute(async (transaction) => {
        await environments.lock(transaction, environmentId);
        if (await keys.revokeRetiring(transaction, environmentId, id, new Date(sources.now()))) {
            return 'revoked';
        }
        const state = await keys.stateOf(transaction, environmentId, id);
        return state === undefined ? 'unknown' : state === 'active' ? 'active' : 'revoked';
    });
}
