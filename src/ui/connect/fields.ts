/** Which inputs a form has, from the provider's entry, the integration and the session (frontend contract §3.3). */
import type { Definition, Definitions, Integration, Presets, Provider } from './api-types.ts';
import { baseCredentials, ownAppCredentials } from './modes.ts';
import type { Words } from './words/en.ts';

export type Group = 'credentials' | 'params' | 'assertion_option';

export interface Field {
    /** `params.subdomain`; unique within a form. */
    readonly id: string;
    readonly group: Group;
    readonly name: string;
    readonly label: string;
    readonly description: string | undefined;
    readonly placeholder: string | undefined;
    readonly isSecret: boolean;
    /** A key or certificate, whose line breaks matter (§7.24). */
    readonly isMultiline: boolean;
    readonly prefix: string | undefined;
    readonly suffix: string | undefined;
    readonly choices: readonly string[] | undefined;
    readonly format: Definition['format'];
    readonly pattern: string | undefined;
    readonly example: string | undefined;
    readonly isOptional: boolean;
    /** The entry's default, which may be empty: then an empty answer is one. */
    readonly defaultValue: string | undefined;
    readonly isHidden: boolean;
    /** Set by the session. The server applies it anyway. */
    readonly isPreset: boolean;
    /** A preset that the server does not show (§7.18): neither judged nor sent. */
    readonly isWithheld: boolean;
    readonly initial: string;
    readonly docsUrl: string | undefined;
}

export interface FormInput {
    readonly provider: Provider;
    readonly integration: Integration;
    readonly presets?: Presets | undefined;
    /** The session's own documentation link for this integration. */
    readonly docsOverride?: string | undefined;
    readonly words: Pick<Words, 'knownFields'>;
}

/** What stands in the place of a preset that looks like a secret. */
const withheld = '********';

const secretNames: ReadonlySet<string> = new Set([
    'apiKey',
    'password',
    'pat_secret',
    'content_url',
    'client_secret',
    'client_certificate',
    'client_private_key',
    'oauth_client_secret_override',
    'oauth_refresh_token_override',
    'token_id',
    'token_secret',
    'dev_key',
    'privateKey',
]);

export function assembleFields(input: FormInput): Field[] {
    const { provider, integration, presets = {} } = input;
    const preconfigured = new Set(integration.preconfigured_credentials);
    const asked = (map: Definitions = {}): [string, Definition][] => Object.entries(map).filter(([, { automated }]) => automated !== true);

    const credentials = new Map<string, Definition | undefined>();
    for (const name of baseCredentials(provider)) {
        if (provider.credentials?.[name]?.automated !== true) credentials.set(name, undefined);
    }
    for (const [name, definition] of asked(provider.credentials)) {
        if (!preconfigured.has(name)) credentials.set(name, definition);
    }
    if (provider.auth_mode === 'TWO_STEP') {
        for (const [name, definition] of asked(provider.integration_config)) {
            const isAskedAlready = provider.credentials?.[name] !== undefined;
            if (!isAskedAlready && !preconfigured.has(name)) credentials.set(name, { ...definition, optional: false });
        }
    }
    const ownApp = provider.auth_mode === 'OAUTH2' ? ownAppCredentials.filter((name) => presets[name] === '' && !credentials.has(name)) : [];

    const params = asked(provider.connection_config);
    const first = params.filter(([, { order }]) => Boolean(order)).toSorted(([, a], [, b]) => a.order! - b.order!);
    const rest = params.filter(([, { order }]) => !order);
    const describe = (group: Group) => (entry: readonly [string, Definition | undefined]) => toField(input, group, entry);

    return [
        ...first.map(describe('params')),
        ...[...credentials].map(describe('credentials')),
        ...rest.map(describe('params')),
        ...asked(provider.assertion_option).map(describe('assertion_option')),
        ...ownApp.map((name) => describe('credentials')([name, { optional: true }])),
    ];
}

function toField(input: FormInput, group: Group, [name, definition = {}]: readonly [string, Definition | undefined]): Field {
    const { integration, presets = {}, words } = input;
    const known = group === 'credentials' ? words.knownFields[name as keyof Words['knownFields']] : undefined;
    const override = group === 'credentials' ? integration.credentials_label?.[name] : undefined;
    // Credentials are never preset: those of the session are the integration's own app.
    const preset = group === 'credentials' ? undefined : textOf(presets[name]);
    const isHidden = definition.hidden === true || preset !== undefined;
    const isOptional = definition.optional === true;
    const choices = definition.enum;
    return {
        id: `${group}.${name}`,
        group,
        name,
        label: override ?? (definition.title || known?.label || name),
        description: override === undefined ? definition.description || undefined : undefined,
        // A title that stands above the input already says nothing inside of it.
        placeholder: override === undefined ? (definition.example ?? (definition.title ? undefined : known?.example)) : undefined,
        isSecret: definition.secret ?? secretNames.has(name),
        isMultiline: hasLines(name, definition),
        prefix: definition.prefix,
        suffix: definition.suffix,
        choices,
        format: definition.format,
        pattern: definition.pattern,
        example: definition.example,
        isOptional,
        defaultValue: definition.default_value,
        isHidden,
        isPreset: preset !== undefined,
        isWithheld: preset === withheld,
        initial: preset ?? definition.default_value ?? (!isHidden && !isOptional && choices ? (choices[0] ?? '') : ''),
        docsUrl: docsUrl(input, definition),
    };
}

/** Session defaults may be numbers or truth values; what is more than that is no text for an input. */
function textOf(preset: unknown): string | undefined {
    if (preset === undefined || preset === null) return undefined;
    return typeof preset === 'string' || typeof preset === 'number' || typeof preset === 'boolean' ? String(preset) : withheld;
}

/** By its name, unless a pattern shows that the value is one line. */
function hasLines(name: string, { pattern, enum: choices }: Definition): boolean {
    if (choices !== undefined) return false;
    if (pattern !== undefined) return /BEGIN/.test(pattern);
    return /(private_?key|certificate|\bpem)$/i.test(name);
}

/** An override is used as it is; a section belongs to the entry's own page. */
function docsUrl({ provider, docsOverride }: FormInput, { doc_section: section = '' }: Definition): string | undefined {
    return docsOverride ?? (provider.docs_connect === undefined ? undefined : provider.docs_connect + section);
}

/** The page that explains how to connect this provider. */
export const helpUrl = ({ provider, docsOverride }: Pick<FormInput, 'provider' | 'docsOverride'>): string | undefined =>
    docsOverride ?? provider.docs_connect;

export const initialValues = (fields: readonly Field[]): Record<string, string> => Object.fromEntries(fields.map(({ id, initial }) => [id, initial]));
