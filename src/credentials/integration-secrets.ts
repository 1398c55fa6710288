/**
 * What an integration keeps sealed: its client secret in one column, everything else an operator may set in the other. The only
 * code that reads and writes the two. What is in them per auth mode is in `environments/integration.ts`.
 */
import type { IntegrationRow } from '../store/schema.ts';
import type { SealedPlace, Vault } from './vault.ts';

/** The content of `sealed_custom`. Names that others choose are one level down, where they cannot meet ours. */
export interface IntegrationExtras {
    /** Values of the provider's `integration_config`, without its defaults. */
    config?: Readonly<Record<string, string>>;
    /** The operator's own. `webhookSecret` is the provider's webhook signing secret, which the API calls `webhook_secret` too. */
    custom?: Readonly<Record<string, string>>;
    /** CUSTOM; where a mode has no OAuth client beside its app (APP), the app's id and key are in the client's columns. */
    app_id?: string;
    private_key?: string;
    /** APP, CUSTOM. */
    app_link?: string;
}

export interface IntegrationSecrets {
    /** OAuth client secret, consumer secret, or (APP) the private key as PEM. */
    clientSecret: string | null;
    extras: IntegrationExtras;
}

type Key = Pick<IntegrationRow, 'id' | 'environment_id'>;

const clientSecretPlace = (integration: Key): SealedPlace => ({
    environmentId: integration.environment_id,
    table: 'integrations',
    column: 'sealed_oauth_client_secret',
    rowId: integration.id,
});
const extrasPlace = (integration: Key): SealedPlace => ({ ...clientSecretPlace(integration), column: 'sealed_custom' });

/** @throws VaultError */
export async function openClientSecret(vault: Vault, row: Key & Pick<IntegrationRow, 'sealed_oauth_client_secret'>): Promise<string | null> {
    const sealed = row.sealed_oauth_client_secret;
    return sealed === null ? null : vault.openFresh(sealed, clientSecretPlace(row));
}

/** @throws VaultError */
export async function openExtras(vault: Vault, row: Key & Pick<IntegrationRow, 'sealed_custom'>): Promise<IntegrationExtras> {
    return row.sealed_custom === null ? {} : (JSON.parse(await vault.openFresh(row.sealed_custom, extrasPlace(row))) as IntegrationExtras);
}

/** @throws VaultError */
export const openIntegrationSecrets = async (vault: Vault, row: IntegrationRow): Promise<IntegrationSecrets> => ({
    clientSecret: await openClientSecret(vault, row),
    extras: await openExtras(vault, row),
});

export const sealIntegrationSecrets = (
    vault: Vault,
    key: Key,
    { clientSecret, extras }: IntegrationSecrets,
): Pick<IntegrationRow, 'sealed_oauth_client_secret' | 'sealed_custom'> => ({
    sealed_oauth_client_secret: clientSecret === null ? null : vault.seal(clientSecret, clientSecretPlace(key)),
    sealed_custom: Object.keys(extras).length === 0 ? null : vault.sealJson(extras, extrasPlace(key)),
});
