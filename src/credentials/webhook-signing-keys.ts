/** An environment's signing keys, sealed at rest. */
import type { Vault } from './vault.ts';
import type { SigningKeys } from '../webhooks/signature.ts';

export const webhookSigningKeysPlace = (environmentId: string, rowId: string) => ({
    environmentId,
    table: 'webhook_signing_keys',
    column: 'sealed_keys',
    rowId,
});

export async function openSigningKeys(vault: Vault, environmentId: string, row: { id: string; sealed_keys: string }): Promise<SigningKeys> {
    return JSON.parse(await vault.openFresh(row.sealed_keys, webhookSigningKeysPlace(environmentId, row.id))) as SigningKeys;
}
