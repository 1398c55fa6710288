/** Credentials, settings and own values of a declared integration: what differs from a stored one, and whether it may be so. */
import { isDeepStrictEqual } from 'node:util';
import type { ConfigPlan, SecretReference } from '../../../environments/config-plan.ts';
import type { IntegrationChange, IntegrationCredentials, IntegrationSetup } from '../../../environments/integration.ts';
import { maxSettingLength } from '../../../providers/field-rule.ts';
import { checkIntegrationConfig, effectiveSettings } from '../../../providers/integration-config.ts';
import type { Provider } from '../../../providers/provider.ts';
import { credentialsType, needsCredentials, PrivateKey } from '../integrations/integration-body.ts';
import {
    credentialFields,
    fieldsOf,
    hasUserInfo,
    isField,
    isSecretField,
    isSecretSetting,
    storedCustom,
    storedFields,
    type CredentialField,
    type DeclaredIntegration,
} from './integration-fields.ts';

export interface Comparison {
    plan: ConfigPlan;
    /** Of the integration. */
    path: readonly string[];
    provider: Provider;
    setup: IntegrationSetup;
    isNew: boolean;
    /** Notes the difference, if there is one. @returns whether */
    differs(path: readonly string[], from: unknown, to: unknown, isSecret: boolean): boolean;
}

const longestSecret = 32_768;
const longestWebhookSecret = 255;

export function plannedCredentials(
    comparison: Comparison,
    declared: DeclaredIntegration,
): Pick<IntegrationChange, 'credentials' | 'scopes' | 'webhook_secret'> {
    const { plan, path, provider, setup, isNew, differs } = comparison;
    const names = fieldsOf(provider);
    for (const name of credentialFields) {
        if (declared[name] !== undefined && declared[name] !== null && !names.includes(name)) {
            plan.refuse([...path, name], `${provider.displayName} is of the auth mode ${provider.authMode}, which has no such field`);
        }
    }
    const stored = storedFields(provider, setup);
    const wanted = new Map<CredentialField, string | null>();
    const changed = new Set<CredentialField>();
    for (const name of names) {
        const value = wantedField(comparison, name, declared[name], stored[name]);
        if (value !== undefined) {
            wanted.set(name, value);
            if (differs([...path, name], stored[name], value, isSecretField(name))) {
                changed.add(name);
            }
        }
    }
    if (wanted.size < names.length) {
        return {};
    }
    // Scopes and the webhook secret have a life of their own (http-api §7.5).
    const block = names.filter((name) => name !== 'scopes' && name !== 'webhook_secret');
    const given = block.filter((name) => wanted.get(name) !== null);
    const isWhole = given.length === block.length || (given.length === 0 && !needsCredentials(provider));
    const isBlockChanged = block.some((name) => changed.has(name));
    if (!isWhole && (isNew || isBlockChanged)) {
        plan.refuse(path, `${provider.displayName} needs ${block.map((name) => `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`).join(' and ')}`);
        return {};
    }
    const values = Object.fromEntries(block.map((name) => [name, wanted.get(name)]));
    const credentials = { type: credentialsType(provider.authMode), ...values } as unknown as IntegrationCredentials;
    return {
        ...(isBlockChanged ? { credentials: given.length === 0 ? null : credentials } : {}),
        ...(changed.has('scopes') ? { scopes: wanted.get('scopes') ?? '' } : {}),
        ...(changed.has('webhook_secret') ? { webhook_secret: wanted.get('webhook_secret') ?? '' } : {}),
    };
}

/** @returns `undefined` when the plan has refused it. */
function wantedField(
    { plan, path }: Comparison,
    name: CredentialField,
    declared: string | SecretReference | null | undefined,
    stored: string | null,
): string | null | undefined {
    if (declared === undefined) {
        return stored;
    }
    if (declared === null || typeof declared === 'string') {
        return declared || null;
    }
    const value = plan.valueOf([...path, name], declared, stored, name === 'webhook_secret' ? longestWebhookSecret : longestSecret);
    if (value === undefined || value === stored || name !== 'private_key') {
        return value;
    }
    const key = PrivateKey.safeParse(value);
    if (!key.success) {
        plan.refuse(['secrets', declared.secret], 'Expected an RSA private key as PEM');
    }
    return key.data;
}

/** The declared settings take the place of all that are stored. None at all: not configured yet. */
export function plannedSettings(
    { plan, path: integrationPath, provider, setup, differs }: Comparison,
    declared: DeclaredIntegration['integration_config'],
): Pick<IntegrationChange, 'config'> {
    const path = [...integrationPath, 'integration_config'];
    if (declared === undefined) {
        return {};
    }
    if (provider.entry.integration_config === undefined) {
        plan.refuse(path, `${provider.displayName} has no integration_config`);
        return {};
    }
    const stored = setup.extras.config ?? {};
    const wanted = resolved(declared, (name, value) => {
        if (typeof value === 'object') {
            return plan.valueOf([...path, name], value, own(stored, name), maxSettingLength);
        }
        if (value !== '' && isSecretSetting(provider, name)) {
            plan.refuse([...path, name], 'This is a secret: name one of `secrets`');
            return undefined;
        }
        return value;
    });
    const before = effectiveSettings(provider, stored);
    // What is stored may have been fine once: without a change it is not judged again.
    if (wanted === undefined || isDeepStrictEqual(wanted, before)) {
        return {};
    }
    const isConfigured = Object.keys(wanted).length > 0;
    const { values, problems } = isConfigured ? checkIntegrationConfig(provider, wanted) : { values: {}, problems: [] };
    problems.forEach((problem) => plan.refuse(path, problem));
    const after = effectiveSettings(provider, wanted);
    const isSecret = (name: string): boolean =>
        isSecretSetting(provider, name) ||
        typeof declared[name] === 'object' ||
        [before, after].some((values) => hasUserInfo(own(values, name) ?? ''));
    const changed = namesIn(before, after).filter((name) =>
        differs([...path, name], own(before, name) ?? null, own(after, name) ?? null, isSecret(name)),
    );
    return changed.length === 0 ? {} : { config: { ...each(stored, ''), ...values } };
}

/** The declared values take the place of all that are stored, but for those that have a field of their own. */
export function plannedCustom(
    { plan, path: integrationPath, provider, setup, differs }: Comparison,
    declared: DeclaredIntegration['custom'],
): Pick<IntegrationChange, 'custom'> {
    const path = [...integrationPath, 'custom'];
    if (declared === undefined) {
        return {};
    }
    if (provider.entry.integration_config !== undefined) {
        plan.refuse(path, `${provider.displayName} has an integration_config, which takes the place of custom`);
        return {};
    }
    const before = storedCustom(provider, setup);
    const after = resolved(declared, (name, reference) => {
        if (isField(provider, name)) {
            plan.refuse([...path, name], 'This is called webhook_secret here, beside client_secret');
            return undefined;
        }
        return plan.valueOf([...path, name], reference, own(before, name), longestSecret);
    });
    if (after === undefined) {
        return {};
    }
    const changed = namesIn(before, after).filter((name) => differs([...path, name], own(before, name) ?? null, own(after, name) ?? null, true));
    return changed.length === 0 ? {} : { custom: { ...each(before, null), ...after } };
}

type Values = Readonly<Record<string, string>>;

/** Every value that is not empty. @returns `undefined` when one of them is refused. */
function resolved<Value>(
    declared: Readonly<Record<string, Value>>,
    valueOf: (name: string, value: Value) => string | undefined,
): Record<string, string> | undefined {
    const values = Object.entries(declared).map(([name, value]) => [name, valueOf(name, value)] as const);
    return values.some(([, value]) => value === undefined)
        ? undefined
        : Object.fromEntries(values.filter((entry): entry is [string, string] => entry[1] !== ''));
}

/** A name may be one that every object has. */
const own = (values: Values, name: string): string | undefined => (Object.hasOwn(values, name) ? values[name] : undefined);

const namesIn = (...maps: readonly Values[]): string[] => [...new Set(maps.flatMap((map) => Object.keys(map)))];

const each = <Value>(values: Values, value: Value): Record<string, Value> => Object.fromEntries(Object.keys(values).map((name) => [name, value]));
