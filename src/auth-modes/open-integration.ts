/** An integration's row → what auth modes work with, its secrets opened. */
import type { SealedPlace, Vault } from '../credentials/vault.ts';
import type { IntegrationRow } from '../store/schema.ts';
import type { ModeIntegration } from './auth-mode.ts';

type Stored = Pick<
    IntegrationRow,
    'id' | 'environment_id' | 'unique_key' | 'oauth_client_id' | 'sealed_oauth_client_secret' | 'oauth_scopes' | 'sealed_custom' | 'allowed_hosts'
>;

/** @throws VaultError */
export async function openIntegration(vault: Vault, integration: Stored, isProduction: boolean): Promise<ModeIntegration> {
    const sealed = integration.sealed_oauth_client_secret;
    const custom = integration.sealed_custom;
    return {
        uniqueKey: integration.unique_key,
        clientId: integration.oauth_client_id,
        clientSecret: sealed === null ? null : await vault.openFresh(sealed, clientSecretPlace(integration)),
        scopes: integration.oauth_scopes,
        custom: custom === null ? {} : (JSON.parse(await vault.openFresh(custom, customPlace(integration))) as Record<string, string>),
        allowedHosts: integration.allowed_hosts,
        isProduction,
    };
}

export const clientSecretPlace = (integration: { environment_id: string; id: string }): SealedPlace => ({
    environmentId: integration.environment_id,
    table: 'integrations',
    column: 'sealed_oauth_client_secret',
    rowId: integration.id,
});

/** What a mode or a provider keeps beside id, secret and scopes, as JSON. */
export const customPlace = (integration: { environment_id: string; id: string }): SealedPlace => ({
    ...clientSecretPlace(integration),
    column: 'sealed_custom',
});
