/** Finds how a stored connection is renewed: its provider's auth mode, with its integration opened. */
import { openConfig } from '../credentials/connection-secrets.ts';
import type { Credentials } from '../credentials/credential.ts';
import type { RenewalStrategies } from '../credentials/renewal-strategy.ts';
import { TokenFailure } from '../credentials/token-failure.ts';
import type { Vault } from '../credentials/vault.ts';
import type { Egress } from '../egress/egress.ts';
import type { Catalogue } from '../providers/catalogue.ts';
import type { Sources } from '../sources.ts';
import { authModes } from './index.ts';
import type { RegisteredClients } from './mcp/registered-clients.ts';
import { openIntegration } from './open-integration.ts';

export function renewalStrategies(context: {
    catalogue: Catalogue;
    vault: Vault;
    egress: Egress;
    sources: Sources;
    clients: RegisteredClients;
}): RenewalStrategies {
    const { catalogue, vault, egress, sources, clients } = context;
    return {
        authModeOf: (name) => catalogue.get(name)?.authMode ?? 'OAUTH2',
        strategyFor: async (target, credentials: Credentials) => {
            const provider = catalogue.get(target.provider);
            const mode = provider && authModes.get(provider.authMode);
            if (provider === undefined) {
                // An operator's entry may come back; until then nothing is decided about the connection.
                throw new TokenFailure('transient', `The provider "${target.provider}" is not in the catalogue.`, {
                    type: 'unknown_provider_template',
                });
            }
            if (mode?.renewal === undefined) {
                return undefined;
            }
            const integration = await openIntegration(vault, target.integration, target.is_production);
            const connectionConfig = await openConfig(vault, target);
            return mode.renewal({ provider, integration, connectionConfig, egress, sources, clients }, credentials);
        },
    };
}
