/** Finds how a stored connection is renewed: its provider's auth mode, with its integration opened. */
import { openConfig } from '../credentials/connection-secrets.ts';
import type { Credentials, Obtained } from '../credentials/credential.ts';
import type { TestVerdict } from '../credentials/credential-test-schedule.ts';
import type { RenewalStrategies } from '../credentials/renewal-strategy.ts';
import { TokenFailure } from '../credentials/token-failure.ts';
import type { Vault } from '../credentials/vault.ts';
import type { Egress } from '../egress/egress.ts';
import type { OperationRecord } from '../egress/operation-record.ts';
import type { Catalogue } from '../providers/catalogue.ts';
import type { Provider } from '../providers/provider.ts';
import type { RenewalTarget } from '../store/renewal-targets.ts';
import type { Sources } from '../sources.ts';
import { ConnectFailure, type AuthMode, type ModeContext, type ModeIntegration } from './auth-mode.ts';
import { CredentialTestFailure, isTestable } from './credential-test.ts';
import { authModes } from './index.ts';
import type { RegisteredClients } from './mcp/registered-clients.ts';
import { openIntegration } from './open-integration.ts';
import { recorded } from './recorded-context.ts';

export function renewalStrategies(context: {
    catalogue: Catalogue;
    vault: Vault;
    egress: Egress;
    sources: Sources;
    clients: RegisteredClients;
}): RenewalStrategies {
    const { catalogue, vault, egress, sources, clients } = context;
    const known = (name: string): { provider: Provider; mode: AuthMode | undefined } => {
        const provider = catalogue.get(name);
        if (provider === undefined) {
            // An operator's entry may come back; until then nothing is decided about the connection.
            throw new TokenFailure('transient', `The provider "${name}" is not in the catalogue.`, { type: 'unknown_provider_template' });
        }
        return { provider, mode: authModes.get(provider.authMode) };
    };
    // Renewals that were claimed together share what was read of their integration; nothing that is opened here outlives them.
    const opened = new WeakMap<RenewalTarget['integration'], Promise<ModeIntegration>>();
    const openedOnce = (target: RenewalTarget): Promise<ModeIntegration> => {
        let integration = opened.get(target.integration);
        if (integration === undefined) {
            integration = openIntegration(vault, target.integration, target.is_production);
            opened.set(target.integration, integration);
        }
        return integration;
    };
    const contextOf = async (
        provider: Provider,
        target: RenewalTarget,
        credentials: Credentials,
        record: OperationRecord | undefined,
    ): Promise<ModeContext> => {
        const context = {
            provider,
            integration: await openedOnce(target),
            connectionConfig: await openConfig(vault, target),
            egress,
            sources,
            clients,
        };
        return recorded(record, context, () => credentials);
    };
    return {
        authModeOf: (name) => catalogue.get(name)?.authMode ?? 'OAUTH2',
        strategyFor: async (target, credentials, record) => {
            const { provider, mode } = known(target.provider);
            return mode?.renewal?.(await contextOf(provider, target, credentials, record), credentials);
        },
        testOf: async (target, credentials, record) => {
            const { provider, mode } = known(target.provider);
            const { retest } = mode ?? {};
            if (retest === undefined || !isTestable(provider)) {
                return retest && {};
            }
            const modeContext = await contextOf(provider, target, credentials, record);
            return { run: () => verdictOf(retest(modeContext, credentials)) };
        },
    };
}

/** An entry that does not fit the connection any more says nothing about its credentials either. */
async function verdictOf(test: Promise<Pick<Obtained, 'unverified' | 'retryAfterMs'>>): Promise<TestVerdict> {
    try {
        const { unverified, retryAfterMs } = await test;
        return unverified === undefined ? { kind: 'accepted' } : { kind: 'unavailable', description: unverified, retryAfterMs };
    } catch (error) {
        if (!(error instanceof ConnectFailure)) {
            throw error;
        }
        const { says, retryAfterMs } = error instanceof CredentialTestFailure ? error : { says: undefined, retryAfterMs: undefined };
        const kind = says === 'refusal' ? 'rejected' : says === 'doubt' ? 'unconfirmed' : 'unavailable';
        return { kind, description: error.message, retryAfterMs };
    }
}
