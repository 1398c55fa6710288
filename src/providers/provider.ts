/**
 * One provider: its catalogue entry, resolved and frozen, and what is compiled from it at load.
 */
import { parseTemplate, references } from './expression.ts';
import { compileField, maxSettingLength } from './field-rule.ts';
import type { FieldRule, ProviderField } from './field-rule.ts';
import { compileUrlTemplate } from './url-template.ts';
import type { ModeKeys } from './mode-keys.ts';
import type { TemplateField, UrlTemplate, UrlTemplateOptions } from './url-template.ts';
import type { ValueTree } from './value-template.ts';

export type { ProviderField } from './field-rule.ts';

export type AuthMode =
    | 'API_KEY'
    | 'APP'
    | 'AWS_SIGV4'
    | 'BASIC'
    | 'BILL'
    | 'CUSTOM'
    | 'INSTALL_PLUGIN'
    | 'JWT'
    | 'MCP_OAUTH2'
    | 'MCP_OAUTH2_GENERIC'
    | 'NONE'
    | 'OAUTH1'
    | 'OAUTH2'
    | 'OAUTH2_CC'
    | 'SIGNATURE'
    | 'TBA'
    | 'TWO_STEP';

export type FieldMap = Readonly<Record<string, ProviderField>>;
export type Params = Readonly<Record<string, string | number | boolean>>;

export interface VerificationEntry {
    readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
    readonly endpoints: readonly string[];
    readonly base_url_override?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly data?: Readonly<Record<string, ValueTree>>;
}

export interface ProxyEntry {
    readonly base_url: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly query?: Readonly<Record<string, string>>;
    readonly body?: Readonly<Record<string, ValueTree>>;
    readonly connection_config?: Readonly<Record<string, string>>;
    readonly decompress?: boolean;
    readonly forward_headers_on_redirect?: boolean;
    readonly retry?: {
        readonly after?: string | readonly string[];
        readonly at?: string | readonly string[];
        readonly remaining?: string;
        readonly error_code?: readonly string[];
        readonly in_body?: { readonly path: string; readonly value?: string; readonly strategy: 'at' | 'after' };
    };
    readonly paginate?: Readonly<Record<string, unknown>>;
    readonly verification?: VerificationEntry;
}

/** A catalogue entry with aliases expanded, `alias` and `x-` keys gone. Keys that only other modes use are `unknown`. */
export interface ProviderEntry extends ModeKeys {
    readonly display_name: string;
    readonly auth_mode: AuthMode;
    readonly categories?: readonly string[];
    readonly docs?: string;
    readonly docs_connect?: string;
    readonly setup_guide_url?: string;
    readonly popup?: { readonly width?: number; readonly height?: number };
    readonly installation?: 'outbound';

    readonly authorization_url?: string;
    readonly authorization_params?: Params;
    readonly authorization_url_skip_encode?: readonly ('scopes' | 'base_url')[];
    readonly authorization_url_skip_empty?: boolean;
    readonly authorization_url_replacements?: Readonly<Record<string, string>>;
    readonly authorization_url_fragment?: string;
    readonly authorization_code_param_in_callback?: string;
    readonly authorization_code_param_in_webhook?: string;
    readonly disable_pkce?: boolean;
    readonly scope_separator?: ' ' | ',' | '+';
    readonly default_scopes?: readonly string[];

    readonly token_url?: string | Readonly<Record<string, string>>;
    readonly token_params?: Readonly<Record<string, ValueTree>>;
    readonly token_request_auth_method?: 'basic' | 'custom' | 'private_key_jwt' | 'basic_secret';
    /** N7: for servers that take the Basic header's halves as they are. */
    readonly basic_encoding?: 'raw';
    readonly authorization_method?: 'header' | 'body';
    readonly body_format?: 'form' | 'json' | 'query' | 'xml';
    readonly expires_in_unit?: 'milliseconds';
    /** Seconds before expiry at which a refresh starts. */
    readonly token_expiration_buffer?: number;
    /** Seconds after which to renew a token whose answer names no lifetime. */
    readonly assumed_expires_in?: number;
    /** Seconds that a refresh token may lie unused. */
    readonly max_idle?: number;
    /** R10: what the provider's token endpoint may be asked, of all replicas together. */
    readonly token_limits?: { readonly concurrency?: number; readonly per_minute?: number };
    readonly alternate_access_token_response_path?: string;
    readonly refresh_url?: string;
    readonly refresh_params?: Params;
    /** E7: where tokens are revoked when their connection is deleted (RFC 7009). */
    readonly revocation_url?: string;
    /** Default: as at the token endpoint. */
    readonly revocation_auth_method?: 'none' | 'basic' | 'body';
    readonly revocation_body_format?: 'form' | 'json';
    /** `token_type`: the parameter is called `refresh_token` or `access_token`. */
    readonly revocation_token_param?: 'token' | 'token_type';
    /** Revoking one token ends everything that the user granted to this OAuth app. */
    readonly revocation_ends_all?: boolean;
    readonly require_client_certificate?: boolean;

    readonly token_response_metadata?: readonly string[];
    readonly refresh_token_response_metadata?: readonly string[];
    readonly redirect_uri_metadata?: readonly string[];
    /** N2: hosts that may receive a client secret where the connection chooses the host; `.example.com`: every host below it. */
    readonly allowed_hosts?: readonly string[];
    readonly webhook_response_metadata?: readonly string[];
    readonly connection_configuration?: readonly string[];

    readonly connection_config?: FieldMap;
    readonly credentials?: FieldMap;
    readonly integration_config?: FieldMap;
    readonly assertion_option?: FieldMap;
    readonly proxy?: ProxyEntry;

    readonly [key: string]: unknown;
}

export interface Verification {
    readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
    /** Paths tried in order, as written. */
    readonly endpoints: readonly string[];
    readonly headers: Readonly<Record<string, string>>;
    readonly data: Readonly<Record<string, ValueTree>> | undefined;
    readonly baseUrl: UrlTemplate;
    /** `baseUrl` and endpoint as one template, per endpoint: placeholders of an endpoint are typed and encoded too. */
    readonly urls: readonly UrlTemplate[];
}

export interface Provider {
    readonly name: string;
    readonly displayName: string;
    readonly authMode: AuthMode;
    readonly entry: ProviderEntry;
    readonly authorizationUrl?: UrlTemplate;
    /** Where OAUTH1 gets temporary credentials. */
    readonly requestUrl?: UrlTemplate;
    /** Absent when the entry has one token URL per credential kind (CUSTOM). */
    readonly tokenUrl?: UrlTemplate;
    /** The token URLs of an entry that has one per credential kind, by kind. */
    readonly tokenUrls: Readonly<Partial<Record<string, UrlTemplate>>>;
    readonly refreshUrl?: UrlTemplate;
    readonly revocationUrl?: UrlTemplate;
    readonly proxyBaseUrl?: UrlTemplate;
    readonly verification?: Verification;

    /** Rules of the declared fields, by field name. */
    readonly configRules: ReadonlyMap<string, FieldRule>;
    readonly credentialRules: ReadonlyMap<string, FieldRule>;
    readonly integrationRules: ReadonlyMap<string, FieldRule>;
    /** The URL slots each configuration value fills, by its name. */
    readonly configSlots: ReadonlyMap<string, readonly TemplateField[]>;
    /** Configuration names only the server sets: from a token response, a callback, a webhook or a hook (N3). */
    readonly derivedConfig: ReadonlySet<string>;
    /** E12: configuration names that pick the whole host of an authorization, token, refresh or revocation URL, and have no `enum`. */
    readonly openTokenHosts: ReadonlySet<string>;
    /** Configuration names without which no flow can start (catalogue contract 6). */
    readonly requiredConfig: readonly string[];
}

export interface ProviderOptions {
    /** Operator entries are the operator's own responsibility; only their patterns run under a time limit. */
    readonly isBuiltin: boolean;
    readonly isPlainHttpAllowed: (hostname: string) => boolean;
}

/**
 * Compiles a frozen, resolved entry.
 * @throws UrlTemplateError | ExpressionError | SyntaxError. The linter reports the same faults with their place first.
 */
export function compileProvider(name: string, entry: ProviderEntry, options: ProviderOptions): Provider {
    const rules = compileRules(entry, options.isBuiltin);
    const urlOptions = { ...rules, isPlainHttpAllowed: options.isPlainHttpAllowed };
    const compile = (source: unknown): UrlTemplate | undefined => (typeof source === 'string' ? compileUrlTemplate(source, urlOptions) : undefined);

    const authorizationUrl = compile(entry.authorization_url);
    const requestUrl = compile(entry.request_url);
    const tokenUrl = compile(entry.token_url);
    const tokenUrls = typeof entry.token_url === 'object' ? mapValues(entry.token_url, (source) => compileUrlTemplate(source, urlOptions)) : {};
    const refreshUrl = compile(entry.refresh_url);
    const revocationUrl = compile(entry.revocation_url);
    const proxyBaseUrl = compile(entry.proxy?.base_url);
    const verification = compileVerification(entry.proxy, urlOptions);
    const tokenTemplates = [authorizationUrl, requestUrl, tokenUrl, ...Object.values(tokenUrls), refreshUrl, revocationUrl].filter(
        (template) => template !== undefined,
    );
    const apiTemplates = [proxyBaseUrl, ...(verification?.urls ?? [])].filter((template) => template !== undefined);

    return {
        name,
        displayName: entry.display_name,
        authMode: entry.auth_mode,
        entry,
        ...(authorizationUrl && { authorizationUrl }),
        ...(requestUrl && { requestUrl }),
        ...(tokenUrl && { tokenUrl }),
        tokenUrls,
        ...(refreshUrl && { refreshUrl }),
        ...(revocationUrl && { revocationUrl }),
        ...(proxyBaseUrl && { proxyBaseUrl }),
        ...(verification && { verification }),
        configRules: rules.connectionConfig,
        credentialRules: rules.credentials,
        integrationRules: compileFields(entry.integration_config, options.isBuiltin, maxSettingLength),
        configSlots: slotsByName([...tokenTemplates, ...apiTemplates]),
        derivedConfig: derivedNames(entry),
        openTokenHosts: openHosts(tokenTemplates, rules.connectionConfig),
        requiredConfig: requiredConfig(entry),
    };
}

const mapValues = <From, To>(map: Readonly<Record<string, From>>, change: (value: From) => To): Record<string, To> =>
    Object.fromEntries(Object.entries(map).map(([name, value]) => [name, change(value)]));

/** @throws SyntaxError when a pattern does not compile. */
export function compileRules(entry: ProviderEntry, isBuiltin: boolean): Pick<UrlTemplateOptions, 'connectionConfig' | 'credentials'> {
    return { connectionConfig: compileFields(entry.connection_config, isBuiltin), credentials: compileFields(entry.credentials, isBuiltin) };
}

const compileFields = (fields: FieldMap = {}, isBuiltin: boolean, ordinaryLength?: number): Map<string, FieldRule> =>
    new Map(Object.entries(fields).map(([name, field]) => [name, compileField(name, field, isBuiltin, ordinaryLength)]));

/** `base || other` and `/path` become `base/path || other/path`. */
export function joinEndpoint(baseUrl: string, endpoint: string): string {
    const path = endpoint.replace(/^\/+/, '');
    return baseUrl
        .split(' || ')
        .map((alternative) => `${alternative.replace(/\/+$/, '')}/${path}`)
        .join(' || ');
}

/** E12 judges names that pick a host freely; a label in front of a literal suffix cannot leave the vendor's domain. */
export function openHosts(templates: readonly UrlTemplate[], rules: ReadonlyMap<string, FieldRule>): ReadonlySet<string> {
    const names = new Set<string>();
    for (const template of templates) {
        for (const { root, name, kind } of template.fields) {
            const isHostPart = kind === 'host' || kind === 'origin' || (kind === 'host-label' && template.hostIsChosenByConnection);
            if (root === 'connectionConfig' && isHostPart && rules.get(name)?.field.enum === undefined) names.add(name);
        }
    }
    return names;
}

function compileVerification(proxy: ProxyEntry | undefined, options: UrlTemplateOptions): Verification | undefined {
    const entry = proxy?.verification;
    if (!proxy || !entry) return undefined;
    const baseUrl = entry.base_url_override ?? proxy.base_url;
    return {
        method: entry.method ?? 'GET',
        endpoints: entry.endpoints,
        headers: entry.headers ?? {},
        data: entry.data,
        baseUrl: compileUrlTemplate(baseUrl, options),
        urls: entry.endpoints.map((endpoint) => compileUrlTemplate(joinEndpoint(baseUrl, endpoint), options)),
    };
}

function slotsByName(templates: readonly UrlTemplate[]): ReadonlyMap<string, readonly TemplateField[]> {
    const fields = templates.flatMap((template) => template.fields).filter((field) => field.root === 'connectionConfig');
    return Map.groupBy(fields, (field) => field.name);
}

/** Names the server supplies by itself: they are not asked for, and a browser may not set them (N3). */
export function derivedNames(entry: ProviderEntry): ReadonlySet<string> {
    return new Set([
        ...(entry.token_response_metadata ?? []),
        ...(entry.redirect_uri_metadata ?? []),
        ...(entry.webhook_response_metadata ?? []),
        ...(entry.connection_configuration ?? []),
    ]);
}

function requiredConfig(entry: ProviderEntry): readonly string[] {
    const { proxy } = entry;
    const derived = derivedNames(entry);
    const names = new Set(
        requiredNames([
            entry.token_url,
            entry.authorization_url,
            entry.authorization_params,
            entry.token_params,
            proxy?.connection_config,
            proxy?.verification,
        ]),
    );
    for (const name of requiredNames([proxy?.base_url, proxy?.headers])) if (!derived.has(name)) names.add(name);
    return [...names].filter((name) => {
        const field = entry.connection_config?.[name];
        return !(field?.optional || field?.automated || field?.hidden);
    });
}

/** Configuration names in the texts of a tree, those of the last alternative only: the others have something to fall back on. */
function requiredNames(tree: unknown): string[] {
    if (typeof tree === 'string') {
        return references(parseTemplate(tree).at(-1) ?? [])
            .filter((reference) => reference.root === 'connectionConfig')
            .map((reference) => reference.name);
    }
    return typeof tree === 'object' && tree !== null ? Object.values(tree).flatMap(requiredNames) : [];
}
