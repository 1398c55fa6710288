/** Integrations that a document declares (S7): compared with those that are stored, and what has to be written to make them so. */
import { isDeepStrictEqual } from 'node:util';
import type { ClientRegistration } from '../../../auth-modes/mcp/client-registration.ts';
import type { ConfigPlan } from '../../../environments/config-plan.ts';
import { changeIntegration, createIntegration, newSetup, openSetup, type IntegrationChange } from '../../../environments/integration.ts';
import type { Provider } from '../../../providers/provider.ts';
import type { Db } from '../../../store/database.ts';
import * as integrations from '../../../store/integrations.ts';
import type { IntegrationRow } from '../../../store/schema.ts';
import { ApiError } from '../../errors.ts';
import type { Services } from '../../services.ts';
import { isPrepared, keepClient, prepareClient } from '../integrations/prepared-client.ts';
import { credentialFields, hasUserInfo, plainFields, type DeclaredIntegration } from './integration-fields.ts';
import { plannedCredentials, plannedCustom, plannedSettings, type Comparison } from './integration-setup.ts';

/** By key: what was registered for integrations that are about to be made. */
export type PreparedClients = ReadonlyMap<string, ClientRegistration | undefined>;

type Declared = Readonly<Record<string, DeclaredIntegration>>;

/** Which of them are to be made without a client of the operator's, although their provider needs one. */
export async function unprepared({ database, catalogue }: Services, environmentId: string, declared: Declared): Promise<string[]> {
    const candidates = Object.entries(declared).flatMap(([key, { provider: name, client_id }]) => {
        const provider = catalogue.get(name);
        return provider !== undefined && isPrepared(provider) && !client_id ? [key] : [];
    });
    const existing = await integrations.existingKeys(database.db, environmentId, candidates);
    return candidates.filter((key) => !existing.has(key));
}

/** All of them or none. Not in a transaction: providers are asked. @throws ApiError */
export async function prepareClients(
    services: Services,
    keys: readonly string[],
    document: { environmentId: string; callbackUrl: string | null | undefined; integrations: Declared; secrets: Readonly<Record<string, string>> },
): Promise<PreparedClients> {
    const prepared = new Map<string, ClientRegistration | undefined>();
    try {
        for (const key of keys) {
            const { provider: name, custom = {} } = document.integrations[key]!;
            const values = Object.entries(custom).flatMap(([member, { secret }]) => {
                const value = document.secrets[secret];
                return value === undefined ? [] : [[member, value] as const];
            });
            const provider = services.catalogue.get(name)!;
            const plan = { provider, environmentId: document.environmentId, uniqueKey: key, custom: Object.fromEntries(values) };
            prepared.set(key, await prepareClient(services, { ...plan, callbackUrl: document.callbackUrl }));
        }
        return prepared;
    } catch (error) {
        services.clients.unregister(registrationsIn(prepared));
        throw error;
    }
}

export const registrationsIn = (prepared: PreparedClients): ClientRegistration[] =>
    [...prepared.values()].filter((registration) => registration !== undefined);

/** Call it in the transaction that locked the environment. */
export async function planIntegrations(
    services: Services,
    db: Db,
    plan: ConfigPlan,
    environmentId: string,
    declared: Declared,
    prepared: PreparedClients,
): Promise<void> {
    const rows = await integrations.lockByKeys(db, environmentId, Object.keys(declared));
    const stored = new Map(rows.map((row) => [row.unique_key, row]));
    for (const [key, integration] of Object.entries(declared)) {
        const row = stored.get(key);
        const provider = services.catalogue.get(integration.provider);
        const path = ['integrations', key];
        if (row !== undefined && row.provider !== integration.provider) {
            plan.refuse([...path, 'provider'], 'This integration exists with another provider');
        } else if (row !== undefined) {
            await planChange(services, db, plan, provider, row, integration);
        } else if (provider === undefined) {
            plan.refuse([...path, 'provider'], 'There is no such provider');
        } else {
            planNew(services, db, plan, provider, { environmentId, key, declared: integration, prepared });
        }
    }
}

function planNew(
    services: Services,
    db: Db,
    plan: ConfigPlan,
    provider: Provider,
    { environmentId, key, declared, prepared }: { environmentId: string; key: string; declared: DeclaredIntegration; prepared: PreparedClients },
): void {
    const path = ['integrations', key];
    const defaultScopes = provider.entry.default_scopes;
    // One change, which the declaration describes.
    const differs: Comparison['differs'] = (_path, from, to) => !isDeepStrictEqual(from, to);
    const comparison = { plan, path, provider, setup: newSetup(defaultScopes), isNew: true, differs };
    plan.differs(path, null, withoutSecrets(declared));
    const change = { ...plainChange(comparison, {}, declared), ...setupChange(comparison, declared) };
    plan.step(async () => {
        if (isPrepared(provider) && !declared.client_id && !prepared.has(key)) {
            throw ApiError.simple(409, 'conflict', `The integration "${key}" was deleted by another request meanwhile; nothing was changed.`);
        }
        const row = await createIntegration(db, services, { ...change, environmentId, provider: provider.name, unique_key: key, defaultScopes });
        if (row === undefined) {
            throw ApiError.simple(409, 'conflict', `The integration "${key}" was created by another request meanwhile; nothing was changed.`);
        }
        await keepClient(services, db, row, prepared.get(key));
    });
}

async function planChange(
    services: Services,
    db: Db,
    plan: ConfigPlan,
    provider: Provider | undefined,
    row: IntegrationRow,
    declared: DeclaredIntegration,
): Promise<void> {
    const path = ['integrations', row.unique_key];
    const setup = await openSetup(services.vault, row);
    const differs: Comparison['differs'] = (place, from, to, isSecret) =>
        isSecret ? plan.secretDiffers(place, from as string | null, to as string | null) : plan.differs(place, from, to);
    const change: IntegrationChange = plainChange({ path, differs }, row, declared);
    if (provider !== undefined) {
        Object.assign(change, setupChange({ plan, path, provider, setup, isNew: false, differs }, declared));
    } else if ([...credentialFields, 'integration_config' as const, 'custom' as const].some((name) => declared[name] !== undefined)) {
        plan.refuse([...path, 'provider'], 'This provider is not in the catalogue any more: its credentials and settings cannot be judged');
    }
    if (Object.keys(change).length > 0) {
        plan.step(() => changeIntegration(db, services, row, setup, change));
    }
}

/** What is the same whatever the provider. */
function plainChange(
    { path, differs }: Pick<Comparison, 'path' | 'differs'>,
    stored: Partial<IntegrationRow>,
    declared: DeclaredIntegration,
): Pick<IntegrationChange, (typeof plainFields)[number]> {
    const changed = plainFields.filter((name) => declared[name] !== undefined && differs([...path, name], stored[name], declared[name], false));
    return Object.fromEntries(changed.map((name) => [name, declared[name]]));
}

const setupChange = (comparison: Comparison, declared: DeclaredIntegration): IntegrationChange => ({
    ...plannedCredentials(comparison, declared),
    ...plannedSettings(comparison, declared.integration_config),
    ...plannedCustom(comparison, declared.custom),
});

/** A declaration for people to read: without references, and without what is written out but should not be repeated. */
function withoutSecrets({ custom: _custom, integration_config: settings, ...declared }: DeclaredIntegration): Record<string, unknown> {
    const shown = (values: object): object => Object.fromEntries(Object.entries(values).filter(([, value]) => !isSecret(value)));
    return { ...shown(declared), ...(settings === undefined ? {} : { integration_config: shown(settings) }) };
}

const isSecret = (value: unknown): boolean =>
    typeof value === 'string' ? hasUserInfo(value) : typeof value === 'object' && value !== null && 'secret' in value;
