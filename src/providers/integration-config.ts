/** Which values an entry lets into an integration's settings, `integration_config` (http-api §7.2, catalogue contract 4.12). */
import { label, mayBeEmpty, ruleIssue } from './fields.ts';
import type { FieldMap, Provider } from './provider.ts';

type Values = Readonly<Record<string, string>>;

export interface CheckedIntegrationConfig {
    /** What may be stored. `''` takes a stored value away. */
    values: Record<string, string>;
    /** A sentence each. They never hold a value. */
    problems: string[];
}

/**
 * Without `stored`, every declared setting is judged; with it, only those that are submitted (http-api §7.5). A setting that is
 * not visible is neither demanded nor stored: nothing has judged it, and nothing reads it.
 */
export function checkIntegrationConfig(provider: Provider, submitted: Values, stored?: Values): CheckedIntegrationConfig {
    const fields = provider.entry.integration_config;
    if (fields === undefined) {
        return { values: {}, problems: [`${provider.displayName} has no integration_config.`] };
    }
    const all = { ...stored, ...submitted };
    const names = new Set(stored === undefined ? [...provider.integrationRules.keys(), ...Object.keys(submitted)] : Object.keys(submitted));
    const values: Record<string, string> = {};
    const problems: string[] = [];
    for (const name of names) {
        const rule = provider.integrationRules.get(name);
        const value = Object.hasOwn(submitted, name) ? submitted[name]! : '';
        if (rule === undefined) {
            problems.push(`integration_config: ${provider.displayName} has no setting "${name}".`);
        } else if (value === '') {
            if (mayBeEmpty(rule.field) || !isVisible(fields, name, all)) values[name] = '';
            else problems.push(`integration_config: ${label(name, rule)} is required.`);
        } else if (isVisible(fields, name, all)) {
            const issue = ruleIssue(name, rule, value);
            if (issue) problems.push(`integration_config: ${issue.message}`);
            else values[name] = value;
        }
    }
    return { values, problems };
}

/** Those of stored or submitted values that count: the provider declares them, they are visible, and not empty. */
export const effectiveSettings = ({ integrationRules, entry }: Provider, values: Values): Record<string, string> =>
    Object.fromEntries(
        Object.entries(values).filter(
            ([name, value]) => value !== '' && integrationRules.has(name) && isVisible(entry.integration_config ?? {}, name, values),
        ),
    );

/** Credentials that the integration sets (TWO_STEP): they are not asked for, win over what is submitted, and stay with it. */
export const presetCredentials = (provider: Provider, config: Values): Record<string, string> =>
    provider.authMode === 'TWO_STEP' ? effectiveSettings(provider, config) : {};

/** Chains are followed; what depends on itself is visible. */
function isVisible(fields: FieldMap, name: string, values: Values, passed: readonly string[] = []): boolean {
    const condition = fields[name]?.visible_when;
    if (condition === undefined || passed.includes(name)) return true;
    const given = Object.hasOwn(values, condition.field) ? values[condition.field] : undefined;
    const value = given || (fields[condition.field]?.default_value ?? '');
    return value === condition.equals && isVisible(fields, condition.field, values, [...passed, name]);
}
