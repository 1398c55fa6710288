/** An integration's row → what auth modes work with, its secrets opened. */
import { openClientSecret, openExtras } from '../credentials/integration-secrets.ts';
import type { Vault } from '../credentials/vault.ts';
import type { IntegrationRow } from '../store/schema.ts';
import type { ModeIntegration } from './auth-mode.ts';

type Stored = Pick<
    IntegrationRow,
    'id' | 'environment_id' | 'unique_key' | 'oauth_client_id' | 'sealed_oauth_client_secret' | 'oauth_scopes' | 'sealed_custom' | 'allowed_hosts'
>;

/** @throws VaultError */
export async function openIntegration(vault: Vault, integration: Stored, isProduction: boolean): Promise<ModeIntegration> {
    return {
        id: integration.id,
        environmentId: integration.environment_id,
        uniqueKey: integration.unique_key,
        clientId: integration.oauth_client_id,
        clientSecret: await openClientSecret(vault, integration),
        scopes: integration.oauth_scopes,
        extras: await openExtras(vault, integration),
        allowedHosts: integration.allowed_hosts,
        isProduction,
    };
}
