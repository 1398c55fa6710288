/**
 * Which values an entry lets into a connection (catalogue contract 6 and 7.3, N1, N3). A form in a browser is not a check, so
 * every way in goes through here: connect calls, session defaults, imports, token responses and callbacks.
 */
import type { FieldFault, FieldRule } from './field-rule.ts';
import { maxValueLength } from './field-rule.ts';
import type { Provider, ProviderField } from './provider.ts';

/** Query parameters of a connect call | session defaults and imports. */
export type ConfigOrigin = 'browser' | 'backend';

/** What the server itself took over from. Each may set only the names the entry lists for it. */
export type DerivedSource = 'token_response' | 'callback' | 'webhook';

export interface FieldIssue {
    code: 'invalid_format' | 'invalid_type' | 'too_big' | 'invalid_value' | 'custom';
    /** Below the object that was checked, e.g. `['subdomain']`. */
    path: string[];
    /** A sentence for a person. Never holds the value. */
    message: string;
}

export interface CheckedConfig {
    /** What may be stored: trimmed, without the values that have an issue. */
    values: Record<string, unknown>;
    issues: FieldIssue[];
}

/** Names with a meaning of their own in stored configuration, which a browser must not forge (auth-modes contract 2.5). */
const reservedNames: ReadonlySet<string> = new Set([
    'pending',
    'pendingLog',
    'installation_id',
    'app_id',
    'handle',
    'jwtToken',
    'userCredentials',
    'appPublicLink',
    'overrideTokenRefresh',
    'sharepointAccessToken',
    'botFrameworkAccessToken',
    'oauth_client_secret',
    'oauth_client_id_override',
    'oauth_client_secret_override',
    'oauth_refresh_token_override',
    'oauth_metadata',
    'oauth_client_info',
    'oauth_resource_url',
    'oauth_code_verifier',
]);

/**
 * Checks configuration values against the entry. An empty value counts as absent. Undeclared names are kept: text from a
 * browser, any JSON from a backend. Defaults are filled in for a browser only, since session defaults are laid over what a
 * person typed; an import completes its values with `withDefaults`.
 */
export function checkConnectionConfig(provider: Provider, values: Record<string, unknown>, origin: ConfigOrigin): CheckedConfig {
    const accepted: [string, unknown][] = [];
    const issues: FieldIssue[] = [];
    for (const [name, value] of Object.entries(values)) {
        // Superseded by a column of its own; existing clients still send it.
        if (name === 'webhook_url') continue;
        if (name === '__proto__') {
            issues.push(issue('custom', name, `"${name}" is not an acceptable name.`));
            continue;
        }
        if (isAbsent(value)) {
            if (keepsEmpty(provider, name, value)) accepted.push([name, value]);
            continue;
        }
        const found = origin === 'browser' ? browserIssue(provider, name, value) : backendIssue(provider, name, value);
        if (found) issues.push(found);
        else if (origin === 'backend' || typeof value === 'string') accepted.push([name, stored(provider, name, value)]);
    }
    const kept = Object.fromEntries(accepted);
    return { values: origin === 'browser' ? withDefaults(provider, kept) : kept, issues };
}

/** Fills in the declared default of every value that is absent or empty. Names the server derives have none. */
export function withDefaults(provider: Provider, values: Record<string, unknown>): Record<string, unknown> {
    const filled = { ...values };
    for (const [name, { field }] of provider.configRules) {
        if (field.default_value === undefined || provider.derivedConfig.has(name) || !isAbsent(values[name])) continue;
        filled[name] = field.default_value;
    }
    return filled;
}

/** Names without which no flow can start and that have no value (catalogue contract 6). */
export function missingConnectionConfig(provider: Provider, values: Record<string, unknown>): string[] {
    return provider.requiredConfig.filter((name) => !Object.hasOwn(values, name) || isAbsent(values[name]));
}

/** What an entry does not accept in a credential. Judges values as `trimCredentials` leaves them. */
export function checkCredentials(provider: Provider, values: Record<string, string>): FieldIssue[] {
    const trimmed = trimCredentials(values);
    const names = new Set([...provider.credentialRules.keys(), ...Object.keys(trimmed)]);
    return [...names].flatMap((name) => {
        const rule = provider.credentialRules.get(name);
        const value = (Object.hasOwn(trimmed, name) ? trimmed[name] : undefined) ?? '';
        // Either half of Basic may be empty whatever the entry says (auth-modes §7): the provider's answer decides.
        const isRequired = rule !== undefined && !mayBeEmpty(rule.field) && provider.authMode !== 'BASIC';
        if (value === '') return isRequired ? [issue('custom', name, `${label(name, rule)} is required.`)] : [];
        // RFC 7617 §2 for both halves of Basic, RFC 9110 §5.5 for a key in any other header. Keys and certificates in PEM have lines.
        if (hasControl(mayHaveLines(provider, value) ? value.replaceAll(/[\t\r\n]/g, '') : value))
            return [issue('invalid_format', name, `${label(name, rule)} must not contain line breaks or control characters.`)];
        return ruleIssue(name, rule, value) ?? [];
    });
}

/** Credentials as they are to be checked and stored. A password is left alone: a space may belong to it. */
export function trimCredentials(values: Record<string, string>): Record<string, string> {
    return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, name === 'password' ? value : value.trim()]));
}

/**
 * Checks values that were taken from a token response, a callback or a webhook. Names the entry does not list for that source
 * are dropped silently (without `source`: for any of them), everything else that is dropped has an issue. A value that would
 * pick the host of an authorization or token URL needs an `enum` in the entry (E12).
 */
export function checkDerivedConfig(provider: Provider, values: Record<string, unknown>, source?: DerivedSource): CheckedConfig {
    const listed = listedNames(provider, source);
    const accepted: [string, unknown][] = [];
    const issues: FieldIssue[] = [];
    for (const [name, value] of Object.entries(values)) {
        if (!listed.has(name) || isAbsent(value)) continue;
        const found = derivedIssue(provider, name, value);
        if (found) issues.push(found);
        else accepted.push([name, value]);
    }
    return { values: Object.fromEntries(accepted), issues };
}

/** What stands against values that a hook found out (N3); the hook itself says which names it sets. */
export function foundConfigIssues(provider: Provider, values: Readonly<Record<string, unknown>>): FieldIssue[] {
    return Object.entries(values).flatMap(([name, value]) => {
        if (typeof value !== 'string' && typeof value !== 'number') return [];
        return derivedIssue(provider, name, String(value)) ?? [];
    });
}

function listedNames({ entry }: Provider, source: DerivedSource | undefined): ReadonlySet<string> {
    const lists = {
        token_response: [...(entry.token_response_metadata ?? []), ...(entry.refresh_token_response_metadata ?? [])],
        callback: entry.redirect_uri_metadata ?? [],
        webhook: entry.webhook_response_metadata ?? [],
    };
    return new Set(source ? lists[source] : Object.values(lists).flat());
}

function derivedIssue(provider: Provider, name: string, value: unknown): FieldIssue | undefined {
    const rule = provider.configRules.get(name);
    if (typeof value !== 'string' && typeof value !== 'boolean')
        return issue('invalid_type', name, `${label(name, rule)} is neither text nor a boolean.`);
    if (provider.openTokenHosts.has(name)) {
        return issue('invalid_value', name, `${label(name, rule)} would pick the host of a token URL, and the catalogue lists no choices for it.`);
    }
    return typeof value === 'string' ? valueIssue(provider, name, value) : undefined;
}

function browserIssue(provider: Provider, name: string, value: unknown): FieldIssue | undefined {
    const rule = provider.configRules.get(name);
    // A field that an entry declares under such a name is the provider's own, such as the handle of a shop.
    const isReserved = reservedNames.has(name) && rule === undefined;
    if (isReserved || provider.derivedConfig.has(name) || rule?.field.automated === true) {
        return issue('custom', name, `${label(name, rule)} is set by the server and cannot be given here.`);
    }
    if (typeof value === 'string') return valueIssue(provider, name, value.trim());
    return rule && issue('invalid_type', name, `${label(name, rule)} must be text.`);
}

function backendIssue(provider: Provider, name: string, value: unknown): FieldIssue | undefined {
    const rule = provider.configRules.get(name);
    if (typeof value === 'string') return valueIssue(provider, name, value.trim());
    if (typeof value === 'number') return valueIssue(provider, name, String(value));
    // A connection exported elsewhere brings back the booleans its token response held.
    if (!rule || (typeof value === 'boolean' && provider.derivedConfig.has(name))) return undefined;
    return issue('invalid_type', name, `${label(name, rule)} must be text.`);
}

/** The field's own rules, then those of every URL slot the value will fill: the check at the door and the one at use are the same. */
function valueIssue(provider: Provider, name: string, value: string): FieldIssue | undefined {
    const rule = provider.configRules.get(name);
    const found = ruleIssue(name, rule, value);
    if (found) return found;
    const fits = (provider.configSlots.get(name) ?? []).every((slot) => slot.accepts(value));
    return fits ? undefined : issue('invalid_format', name, `${label(name, rule)} cannot be used in an address of ${provider.displayName}.`);
}

const codes: Record<FieldFault, FieldIssue['code']> = {
    too_big: 'too_big',
    enum: 'invalid_value',
    format: 'invalid_format',
    pattern: 'invalid_format',
};

const formatNames = { hostname: 'a host name', uri: 'an http or https URL', uuid: 'a UUID', email: 'an e-mail address' };

export function ruleIssue(name: string, rule: FieldRule | undefined, value: string): FieldIssue | undefined {
    if (!rule) return value.length > maxValueLength ? issue('too_big', name, `"${name}" is longer than ${maxValueLength} characters.`) : undefined;
    const fault = rule.fault(value);
    return fault && issue(codes[fault], name, `${label(name, rule)} ${demand(fault, rule)}.`);
}

function demand(fault: FieldFault, { field, maxLength }: FieldRule): string {
    switch (fault) {
        case 'too_big':
            return `must not be longer than ${maxLength} characters`;
        case 'enum':
            return `must be one of ${(field.enum ?? []).join(', ')}`;
        case 'format':
            return `must be ${field.format ? formatNames[field.format] : 'well formed'}`;
        case 'pattern':
            return field.example ? `must be written like ${field.example}` : 'is not written as expected';
    }
}

function stored(provider: Provider, name: string, value: unknown): unknown {
    return typeof value === 'string' && provider.configRules.has(name) ? value.trim() : value;
}

function isAbsent(value: unknown): boolean {
    return value === undefined || value === null || (typeof value === 'string' && value.trim() === '');
}

/** An empty undeclared value may be a signal to another room; an empty declared one is simply not given. */
function keepsEmpty(provider: Provider, name: string, value: unknown): boolean {
    return typeof value === 'string' && !provider.configRules.has(name) && !provider.derivedConfig.has(name) && !reservedNames.has(name);
}

export function mayBeEmpty(field: ProviderField): boolean {
    return field.optional === true || field.hidden === true || field.automated === true || field.default_value !== undefined;
}

/** What is signed with, or parsed, in place of being sent. A login sends most of what it is given. */
function mayHaveLines({ authMode }: Provider, value: string): boolean {
    if (authMode === 'API_KEY' || authMode === 'BASIC') return false;
    return authMode !== 'TWO_STEP' || /-----BEGIN [A-Z0-9 ]+-----/.test(value);
}

function hasControl(value: string): boolean {
    return /[\u0000-\u001f\u007f]/.test(value); // oxlint-disable-line no-control-regex
}

export function label(name: string, rule: FieldRule | undefined): string {
    return rule?.field.title ? `${rule.field.title} ("${name}")` : `"${name}"`;
}

function issue(code: FieldIssue['code'], name: string, message: string): FieldIssue {
    return { code, path: [name], message };
}
