/**
 * Environments and the keys that open them. An environment is made whole, in one transaction: itself, its webhook settings,
 * its signing key, and one API key with full access, which is shown once and stored as a hash.
 */
import { webhookSigningKeysPlace } from '../credentials/webhook-signing-keys.ts';
import type { Vault } from '../credentials/vault.ts';
import { newRowId, type Sources } from '../sources.ts';
import * as apiKeys from '../store/api-keys.ts';
import type { Db } from '../store/database.ts';
import * as settings from '../store/environment-settings.ts';
import * as environments from '../store/environments.ts';
import { newSigningKeys } from '../webhooks/signature.ts';
import { newApiKey } from './api-key-format.ts';

export const fullAccess = ['environment:*'];

export interface NewEnvironment {
    name: string;
    isProduction: boolean;
    /** An API key fixed by the operator instead of a made one. */
    fixedKey: string | undefined;
}

/** @returns the first API key, or `undefined` when the environment exists already. Call it in a transaction. */
export async function createEnvironment(
    db: Db,
    context: { vault: Vault; sources: Sources },
    environment: NewEnvironment,
): Promise<string | undefined> {
    const { vault, sources } = context;
    const at = new Date(sources.now());
    const inserted = await environments.insert(db, {
        id: newRowId(sources),
        name: environment.name,
        is_production: environment.isProduction,
        created_at: at,
    });
    if (inserted === undefined) {
        return undefined;
    }
    await settings.insert(db, { id: newRowId(sources), environment_id: inserted.id, updated_at: at });
    await environments.insertWebhookSettings(db, { environment_id: inserted.id, updated_at: at });
    const signingKeyId = newRowId(sources);
    await environments.insertSigningKey(db, {
        id: signingKeyId,
        environment_id: inserted.id,
        sealed_keys: vault.sealJson(newSigningKeys(sources), webhookSigningKeysPlace(inserted.id, signingKeyId)),
        created_at: at,
    });
    return addKey(db, context, { id: inserted.id, name: environment.name, fixedKey: environment.fixedKey });
}

/** @returns the key, fixed or made. */
export async function addKey(
    db: Db,
    { vault, sources }: { vault: Vault; sources: Sources },
    environment: { id: string; name: string; fixedKey: string | undefined },
): Promise<string> {
    const key = environment.fixedKey ?? newApiKey(environment.name, sources);
    await apiKeys.insert(db, {
        id: newRowId(sources),
        environment_id: environment.id,
        display_name: 'Default - Full access',
        key_hash: vault.hash(key),
        scopes: fullAccess,
        origin: environment.fixedKey === undefined ? 'first_start' : 'configured',
        created_at: new Date(sources.now()),
    });
    return key;
}
