/**
 * What the schema cannot say about an entry: rules E05–E12 of the catalogue contract as far as a file alone can break them, A8,
 * N1 and R7. Warnings are in `lint-warnings.ts`.
 */
import type { CatalogueProblem } from './catalogue-problem.ts';
import { entryTexts, urlSources } from './entry-texts.ts';
import type { EntryText } from './entry-texts.ts';
import { hasEffect, ineffectiveKeys, tokenRequests } from './effective-keys.ts';
import { tokenExceptions } from './exceptions/index.ts';
import { ExpressionError, parseTemplate, references } from './expression.ts';
import type { Reference } from './expression.ts';
import { compileField } from './field-rule.ts';
import { deletionHooks, postConnectionHooks, verificationScripts } from './hooks/index.ts';
import { warnings } from './lint-warnings.ts';
import { compileRules, derivedNames, openHosts } from './provider.ts';
import type { AuthMode, FieldMap, ProviderEntry } from './provider.ts';
import { compileUrlTemplate, UrlTemplateError } from './url-template.ts';
import type { UrlTemplate } from './url-template.ts';

/** `Provider` is one, so a loaded catalogue's `list()` can be linted again for its warnings. */
export interface LintTarget {
    readonly name: string;
    readonly entry: ProviderEntry;
}

export interface LintOptions {
    readonly isPlainHttpAllowed: (hostname: string) => boolean;
}

export type Finding = Pick<CatalogueProblem, 'rule' | 'path' | 'message'>;

/** Judges resolved entries that fit the schema. `file` of the findings is empty: entries do not know where they came from. */
export function lintCatalogue(
    targets: Iterable<LintTarget>,
    options: LintOptions = { isPlainHttpAllowed: () => false },
): { errors: CatalogueProblem[]; warnings: CatalogueProblem[] } {
    const all = [...targets];
    return { errors: lintErrors(all, options), warnings: lintWarnings(all) };
}

/** What does not keep a server from starting: it is told once, and the entry is used. */
export function lintWarnings(targets: Iterable<LintTarget>): CatalogueProblem[] {
    return [...targets].flatMap(({ name, entry }) => warnings(entry, entryTexts(entry)).map((finding) => located(name, finding)));
}

/** The errors alone, which is what decides whether the server starts. */
export function lintErrors(targets: Iterable<LintTarget>, options: LintOptions): CatalogueProblem[] {
    const problems: CatalogueProblem[] = [];
    for (const { name, entry } of targets) {
        for (const finding of errors(entry, entryTexts(entry), options)) problems.push(located(name, finding));
    }
    return problems;
}

function located(slug: string, finding: Finding): CatalogueProblem {
    return { file: '', slug, ...finding };
}

function errors(entry: ProviderEntry, texts: readonly EntryText[], options: LintOptions): Finding[] {
    const fieldFindings = [
        ...fieldErrors('connection_config', entry.connection_config),
        ...fieldErrors('credentials', entry.credentials),
        ...fieldErrors('integration_config', entry.integration_config),
        ...fieldErrors('assertion_option', entry.assertion_option),
    ];
    const textFindings = expressionErrors(entry, texts);
    const found = [...fieldFindings, ...textFindings, ...scriptErrors(entry), ...refreshErrors(entry), ...effectErrors(entry)];
    // Without sound fields and expressions, findings about URLs would only repeat the cause.
    return found.length > 0 ? found : urlErrors(entry, options);
}

/** E09, and the first clause of E10. */
function fieldErrors(map: string, fields: FieldMap = {}): Finding[] {
    return Object.entries(fields).flatMap(([name, field]): Finding[] => {
        const path = `${map}.${name}`;
        if (field.visible_when && !Object.hasOwn(fields, field.visible_when.field)) {
            const message = `name a field of ${map}; there is no "${field.visible_when.field}"`;
            return [{ rule: 'E10', path: `${path}.visible_when.field`, message }];
        }
        try {
            // As an operator's pattern, so that a runaway one is found here instead of in front of a user.
            const rule = compileField(name, field, false);
            const preset = field.default_value ?? '';
            if (preset === '' || rule.fault(preset) === undefined) return [];
            return [{ rule: 'E09', path: `${path}.default_value`, message: 'choose a default that fits the rules of the field itself' }];
        } catch (error) {
            if (!(error instanceof SyntaxError)) throw error;
            return [{ rule: 'E09', path: `${path}.pattern`, message: 'write a regular expression that compiles' }];
        }
    });
}

/** A8: what a mode does not do must not be promised by an entry. */
function effectErrors(entry: ProviderEntry): Finding[] {
    const finding = (path: string, message: string): Finding => ({ rule: 'A8', path, message });
    const mode = entry.auth_mode;
    const dead = Object.keys(entry)
        .filter((key) => !hasEffect(key, mode) && !ineffectiveKeys.includes(key))
        .map((key) => finding(key, `remove the key; it has no effect in the mode ${mode}`));
    const { authentications = [], formats = [] } = tokenRequests[mode] ?? {};
    const choose = (key: string, choices: readonly string[]): Finding[] =>
        hasEffect(key, mode) && entry[key] !== undefined && !choices.includes(entry[key] as string)
            ? [finding(key, `use ${choices.map((choice) => `"${choice}"`).join(' or ')}, or leave the key out`)]
            : [];
    const unbound = Object.keys(entry)
        .filter((key) => key.startsWith('revocation_') && hasEffect(key, mode) && entry.revocation_url === undefined)
        .map((key) => finding(key, 'add revocation_url, or remove the key'));
    return [...dead, ...choose('token_request_auth_method', authentications), ...choose('body_format', formats), ...unbound];
}

/** Where code is looked up by the name that an entry gives. Nothing runs before a connection is stored. */
const registries: Readonly<Record<string, ReadonlyMap<string, unknown>>> = {
    token_exchange_script: tokenExceptions,
    post_connection_script: postConnectionHooks,
    pre_connection_deletion_script: deletionHooks,
    pre_connection_creation_script: new Map(),
    credentials_verification_script: verificationScripts,
};

/** E10: what is named must exist, or it would silently not happen. An empty name cancels an inherited one. */
function scriptErrors(entry: ProviderEntry): Finding[] {
    const unknown = Object.entries(registries).flatMap(([key, registry]): Finding[] => {
        const name = entry[key];
        if (typeof name !== 'string' || name === '' || registry.has(name)) return [];
        return [{ rule: 'E10', path: key, message: `remove the key or correct its value; there is no code named "${name}" for it` }];
    });
    const isTwice = Boolean(entry.credentials_verification_script) && entry.proxy?.verification !== undefined;
    const message = 'remove one of the two; credentials_verification_script takes the place of proxy.verification';
    return isTwice ? [...unknown, { rule: 'E10', path: 'proxy.verification', message }] : unknown;
}

/** R7: what is written for one request must not end up, or be lost, in another. */
function refreshErrors(entry: ProviderEntry): Finding[] {
    if (entry.auth_mode !== 'OAUTH2' && entry.auth_mode !== 'MCP_OAUTH2') return [];
    const found: Finding[] = [];
    const grant = entry.token_params?.['grant_type'];
    if (grant !== undefined && grant !== 'authorization_code') {
        found.push({ rule: 'R7', path: 'token_params.grant_type', message: 'use authorization_code; a code is what this mode exchanges' });
    }
    if (entry.refresh_params?.['grant_type'] === 'authorization_code') {
        found.push({ rule: 'R7', path: 'refresh_params.grant_type', message: 'use refresh_token, or leave the key out' });
    }
    return found;
}

/** Credential names that exist although no entry declares them: the mode's own inputs (E07). */
const impliedCredentials: Partial<Record<AuthMode, readonly string[]>> = {
    API_KEY: ['apiKey'],
    AWS_SIGV4: ['role_arn'],
    BASIC: ['username', 'password'],
    BILL: ['username', 'password', 'organization_id', 'dev_key'],
    INSTALL_PLUGIN: ['username', 'password'],
    OAUTH2_CC: ['client_id', 'client_secret', 'client_certificate', 'client_private_key'],
    SIGNATURE: ['username', 'password'],
    TBA: ['token_id', 'token_secret', 'oauth_client_id_override', 'oauth_client_secret_override'],
};
const serverCredentials = ['token', 'raw', '_cookies', 'assertion'];

/** E06, E07, E08. */
function expressionErrors(entry: ProviderEntry, texts: readonly EntryText[]): Finding[] {
    const known: Record<string, ReadonlySet<string>> = {
        connectionConfig: new Set([...Object.keys(entry.connection_config ?? {}), ...derivedNames(entry)]),
        credentials: new Set([
            ...Object.keys(entry.credentials ?? {}),
            ...Object.keys(entry.integration_config ?? {}),
            ...(impliedCredentials[entry.auth_mode] ?? []),
            ...serverCredentials,
        ]),
        assertionOption: new Set(Object.keys(entry.assertion_option ?? {})),
    };
    return texts.flatMap(({ path, text, isBody }): Finding[] => {
        if (!isBody && /(^|[^$])\{/.test(text)) {
            return [{ rule: 'E08', path, message: 'write "${" where a value is meant, and percent-encode other braces' }];
        }
        if (!text.includes('${')) return [];
        let found: Reference[];
        try {
            found = parseTemplate(text).flatMap(references);
        } catch (error) {
            if (!(error instanceof ExpressionError)) throw error;
            return [{ rule: 'E08', path, message: error.message }];
        }
        const undeclared = found.find(({ root, name }) => known[root] && !isDeclared(known[root], name));
        return undeclared ? [undeclaredName(path, undeclared)] : [];
    });
}

/** A path into a declared value is declared too: `privateKey.id` by `privateKey`. */
function isDeclared(names: ReadonlySet<string>, name: string): boolean {
    return names.has(name) || names.has(name.slice(0, Math.max(name.indexOf('.'), 0)));
}

function undeclaredName(path: string, { root, name }: Reference): Finding {
    const [rule, map] =
        root === 'connectionConfig' ? ['E06', 'connection_config'] : root === 'credentials' ? ['E07', 'credentials'] : ['E08', 'assertion_option'];
    return { rule, path, message: `declare "${name}" in ${map}` };
}

/** E05, E12 and N1. */
function urlErrors(entry: ProviderEntry, options: LintOptions): Finding[] {
    const rules = { ...compileRules(entry, true), ...options };
    const tokenTemplates: UrlTemplate[] = [];
    const found: Finding[] = [];
    for (const { path, text, isTokenUrl } of urlSources(entry)) {
        try {
            const template = compileUrlTemplate(text, rules);
            if (isTokenUrl) tokenTemplates.push(template);
        } catch (error) {
            if (error instanceof UrlTemplateError) found.push({ rule: error.rule, path, message: error.message });
            else if (error instanceof ExpressionError) found.push({ rule: 'E08', path, message: error.message });
            else throw error;
        }
    }
    const steering = openHosts(tokenTemplates, rules.connectionConfig);
    for (const name of entry.redirect_uri_metadata ?? []) {
        if (!steering.has(name)) continue;
        const message = `declare "${name}" with an enum: a forged callback could send code and secret to a foreign host`;
        found.push({ rule: 'E12', path: `connection_config.${name}`, message });
    }
    return found;
}
