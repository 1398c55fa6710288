/** Rules W01–W12 of the catalogue contract, fields that leave a host open (E11) or a derived value (N3), and what has no effect (A8). */
import { ineffectiveKeys } from './effective-keys.ts';
import { hostParts, urlSources } from './entry-texts.ts';
import type { EntryText } from './entry-texts.ts';
import { parseTemplate } from './expression.ts';
import type { Finding } from './lint.ts';
import { derivedNames } from './provider.ts';
import type { FieldMap, ProviderEntry } from './provider.ts';
import { namesIn } from './value-template.ts';

type Rule = (entry: ProviderEntry, texts: readonly EntryText[]) => Finding[];

/** Judges one resolved entry without errors or with: a warning never depends on the absence of an error. */
export function warnings(entry: ProviderEntry, texts: readonly EntryText[]): Finding[] {
    return rules.flatMap((rule) => rule(entry, texts));
}

const fieldMaps = ['connection_config', 'credentials', 'integration_config', 'assertion_option'] as const;

function fields(entry: ProviderEntry): { path: string; name: string; field: NonNullable<FieldMap[string]> }[] {
    return fieldMaps.flatMap((map) => Object.entries(entry[map] ?? {}).map(([name, field]) => ({ path: `${map}.${name}`, name, field })));
}

const lowerCaseHeaders: Rule = (entry) => {
    const maps = {
        token_headers: entry['token_headers'],
        refresh_token_headers: entry['refresh_token_headers'],
        'proxy.headers': entry.proxy?.headers,
        'proxy.verification.headers': entry.proxy?.verification?.headers,
    };
    return Object.entries(maps).flatMap(([path, headers]) =>
        Object.keys((headers ?? {}) as object)
            .filter((name) => name !== name.toLowerCase())
            .map((name) => ({ rule: 'W01', path: `${path}.${name}`, message: 'write the header name in lower case' })),
    );
};

const anchoredPatterns: Rule = (entry) =>
    fields(entry)
        .filter(({ field }) => field.pattern !== undefined && !/^\^.*\$$/s.test(field.pattern))
        .map(({ path }) => ({ rule: 'W02', path: `${path}.pattern`, message: 'anchor the pattern with ^ and $' }));

const unicodePatterns: Rule = (entry) =>
    fields(entry)
        .filter(({ field }) => field.pattern !== undefined && !compilesWithUnicode(field.pattern))
        .map(({ path }) => ({
            rule: 'W03',
            path: `${path}.pattern`,
            message: 'write the pattern so that it also compiles with the u flag',
        }));

function compilesWithUnicode(pattern: string): boolean {
    try {
        return new RegExp(pattern, 'u') instanceof RegExp;
    } catch {
        return false;
    }
}

/** Settings that a mode reads by itself, without an expression that names them. */
const readByMode: Partial<Record<string, string>> = {
    OAUTH2_CC: 'oauth_scopes',
    TWO_STEP: 'oauth_scopes',
    MCP_OAUTH2_GENERIC: 'mcp_server_url',
};

const usedSettings: Rule = (entry, texts) =>
    Object.entries(entry.connection_config ?? {})
        .filter(([name, field]) => !field.automated && name !== readByMode[entry.auth_mode])
        .filter(([name]) => !texts.some(({ text }) => text.includes(`\${connectionConfig.${name}`)))
        .map(([name]) => ({ rule: 'W04', path: `connection_config.${name}`, message: 'use the setting somewhere, or remove it' }));

const doubledScheme: Rule = (entry, texts) =>
    Object.entries(entry.connection_config ?? {})
        .filter(([name, field]) => {
            const insists = field.format === 'uri' || /^\^?\(?https?/.test(field.pattern ?? '');
            return insists && texts.some(({ text }) => text.includes(`https://\${connectionConfig.${name}}`));
        })
        .map(([name]) => ({ rule: 'W05', path: `connection_config.${name}`, message: 'drop the scheme from the field; the URL adds it' }));

const uniqueOrders: Rule = (entry) =>
    fieldMaps.flatMap((map) => {
        const orders = Object.values(entry[map] ?? {}).flatMap((field) => field.order ?? []);
        return new Set(orders).size === orders.length ? [] : [{ rule: 'W06', path: map, message: 'give every field its own order' }];
    });

const titledFields: Rule = (entry) =>
    fields(entry)
        .filter(({ field }) => !field.hidden && !field.automated && !field.title)
        .map(({ path }) => ({ rule: 'W07', path: `${path}.title`, message: 'give the visible field a title' }));

const markedSecrets: Rule = (entry) =>
    Object.entries(entry.credentials ?? {})
        .filter(([name, field]) => !field.secret && !field.hidden && /key|secret|token|password|certificate/i.test(`${name} ${field.title ?? ''}`))
        .map(([name]) => ({ rule: 'W08', path: `credentials.${name}.secret`, message: 'mark the field as secret' }));

const clientCredentials: Rule = (entry) => {
    if (entry.auth_mode !== 'OAUTH2_CC') return [];
    const found: Finding[] = [];
    if (entry.token_url === undefined) found.push({ rule: 'W09', path: 'token_url', message: 'name the token URL' });
    if (entry.token_params?.['grant_type'] === undefined) {
        found.push({ rule: 'W09', path: 'token_params.grant_type', message: 'name the grant type' });
    }
    return found;
};

const completePaging: Rule = (entry) => {
    const paging = entry.proxy?.paginate;
    if (!paging) return [];
    const needed = [...(paging['type'] === 'cursor' ? ['cursor_name_in_request', 'cursor_path_in_response'] : []), 'limit_name_in_request'];
    return needed
        .filter((key) => paging[key] === undefined)
        .map((key) => ({ rule: 'W10', path: `proxy.paginate.${key}`, message: 'complete the paging recipe' }));
};

const verifiableCredentials: Rule = (entry) => {
    const isVerified = entry.proxy?.verification !== undefined || Boolean(entry['credentials_verification_script']);
    if (isVerified || (entry.auth_mode !== 'API_KEY' && entry.auth_mode !== 'BASIC')) return [];
    return [{ rule: 'W11', path: 'proxy.verification', message: 'add a call that proves the credentials before they are stored' }];
};

const hiddenDefaults: Rule = (entry) =>
    fields(entry)
        .filter(({ field }) => field.hidden && field.default_value === undefined)
        .map(({ path }) => ({ rule: 'W12', path: `${path}.default_value`, message: 'give the hidden field a default' }));

/** E11: a value in the host part has a form, so that a slip is told to the person who made it. */
const typedHosts: Rule = (entry) => {
    return [...hostNames(entry)]
        .filter((name) => {
            const field = entry.connection_config?.[name];
            return field?.pattern === undefined && field?.format === undefined && field?.enum === undefined;
        })
        .map((name) => ({
            rule: 'E11',
            path: `connection_config.${name}`,
            message: 'declare the field with a pattern, a format or an enum; it is part of a host',
        }));
};

function hostNames(entry: ProviderEntry): ReadonlySet<string> {
    try {
        return new Set(urlSources(entry).flatMap(({ text }) => hostParts(text)));
    } catch {
        return new Set(); // An error already, not a warning.
    }
}

/** N3: the server refuses such a value from a client whatever the entry says; nobody should be asked for it either. */
const derivedFields: Rule = (entry) =>
    [...derivedNames(entry)]
        .filter((name) => entry.connection_config?.[name] !== undefined && !entry.connection_config[name].automated)
        .map((name) => ({ rule: 'N3', path: `connection_config.${name}.automated`, message: 'mark the field as automated; the server supplies it' }));

/** Entries whose connections a webhook completes; the rest of what vendors send is not read. */
const installationRouters: ReadonlySet<unknown> = new Set(['githubAppOauthWebhookRouting', 'sentryOauthWebhookRouting']);

/** What no code reads is not done. */
const webhookKeys: Rule = (entry) =>
    ['webhook_routing_script', 'webhook_user_defined_secret', 'webhook_allowed_query_params']
        .filter((key) => entry[key] !== undefined && entry[key] !== '' && !installationRouters.has(entry[key]))
        .map((key) => ({ rule: 'E10', path: key, message: 'nothing reads the webhooks of this entry; the key has no effect' }));

const deadKeys: Rule = (entry) =>
    ineffectiveKeys.filter((key) => key in entry).map((key) => ({ rule: 'A8', path: key, message: 'remove the key; it has no effect' }));

/** The texts in which values exist that do not exist everywhere (catalogue contract 5, "Where"). */
const places: readonly [roots: RegExp, paths: RegExp][] = [
    [/^(?:method|host|path|params|endpoint|bodyCanonicalParams|awsSigV4)$/, /^proxy\.headers\./],
    [/^step[1-9]$/, /^additional_steps\./],
    [/^token$/, /^(?:token_params|token_headers|additional_steps)\./],
    [/^refresh_token$/, /^refresh_token_/],
    [/^assertionOption$/, /^assertion\./],
    [/^accessToken$/, /^proxy\./],
];

const misplacedExpressions: Rule = (_entry, texts) =>
    texts.flatMap(({ path, text }) =>
        namesOf(text)
            .filter((name) => places.some(([roots, paths]) => roots.test(name) && !paths.test(path)))
            .map((name) => ({ rule: 'A8', path, message: `"${name}" has no value here, so the item will be left out` })),
    );

function namesOf(text: string): string[] {
    try {
        return text.includes('${') ? parseTemplate(text).flatMap(namesIn) : [];
    } catch {
        return []; // An error already, not a warning.
    }
}

const rules: readonly Rule[] = [
    lowerCaseHeaders,
    anchoredPatterns,
    unicodePatterns,
    usedSettings,
    doubledScheme,
    uniqueOrders,
    titledFields,
    markedSecrets,
    clientCredentials,
    completePaging,
    verifiableCredentials,
    hiddenDefaults,
    typedHosts,
    derivedFields,
    webhookKeys,
    deadKeys,
    misplacedExpressions,
];
