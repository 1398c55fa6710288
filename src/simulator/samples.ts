/**
 * Values to try a provider with: for every field of an entry one that satisfies its rules and leads to that entry's twin. They
 * are the same at every start, except keys; a test may type them in, and so may a person.
 */
import { createHash } from 'node:crypto';
import randexp from 'randexp';
import type { Entry, Field, Fields } from './entry.ts';
import { fieldFault, mayBeEmpty } from './field-rules.ts';
import { sampleKey, type KeyKind } from './sample-keys.ts';
import { alternatives, namesIn } from './text-template.ts';

// Its types describe a module without interoperability, which Node loads with it.
const RandExp = randexp as unknown as typeof randexp.default;

export interface SampleInputs {
    /** Settings of the integration: client, scopes, app, and the entry's own. */
    readonly integration: Readonly<Record<string, string>>;
    readonly connectionConfig: Readonly<Record<string, string>>;
    /** Configuration that nobody is asked for and no answer brings: the integrator's backend sets it. */
    readonly presets: Readonly<Record<string, string>>;
    readonly credentials: Readonly<Record<string, string>>;
    readonly assertionOption: Readonly<Record<string, string>>;
}

/** Domain of hosts that exist in the simulator only (RFC 2606 §2). The first label says whose they are. */
export const twinDomain = 'twin.example';

export class Samples {
    readonly #catalogue: ReadonlyMap<string, Entry>;
    readonly #made = new Map<string, SampleInputs>();
    #owners: Map<string, string> | undefined;

    constructor(catalogue: ReadonlyMap<string, Entry>) {
        this.#catalogue = catalogue;
    }

    of(slug: string): SampleInputs {
        const known = this.#made.get(slug);
        if (known !== undefined) return known;
        const entry = this.#catalogue.get(slug);
        if (entry === undefined) throw new Error(`There is no provider "${slug}".`);
        const made = sampleInputs(entry);
        this.#made.set(slug, made);
        return made;
    }

    /** The entry whose sample a credential is; `undefined`: it is nobody's, or several entries share it. */
    ownerOf(value: string): string | undefined {
        this.#owners ??= this.#findOwners();
        const owner = this.#owners.get(value);
        return owner === '' ? undefined : owner;
    }

    #findOwners(): Map<string, string> {
        const owners = new Map<string, string>();
        for (const [slug, entry] of this.#catalogue) {
            for (const value of distinguishing(entry)) {
                const earlier = owners.get(value);
                owners.set(value, earlier === undefined || earlier === slug ? slug : '');
            }
        }
        return owners;
    }

    isOwn(slug: string, value: string): boolean {
        const { integration, credentials } = this.of(slug);
        return value === '' || Object.values(integration).includes(value) || Object.values(credentials).includes(value);
    }

    /** Of the key that goes with a sample's identifier. */
    publicKeyOf(slug: string, id: string): string | undefined {
        const { integration, credentials } = this.of(slug);
        const isOwn = signers.some((name) => integration[name] === id || credentials[name] === id);
        const kind = isOwn ? signingKeyKind(this.#catalogue.get(slug)!) : undefined;
        return kind === undefined ? undefined : sampleKey(kind).publicKey;
    }

    /** The secret half of a sample whose identifier this is. */
    secretBeside(slug: string, id: string): string | undefined {
        const { integration, credentials } = this.of(slug);
        if (integration['client_id'] === id) return integration['client_secret'];
        if (credentials['client_id'] === id) return credentials['client_secret'];
        if (credentials['username'] === id) return credentials['password'];
        if (credentials['token_id'] === id) return credentials['token_secret'];
        if (integration['awsAccessKeyId'] === id) return integration['awsSecretAccessKey'];
        return undefined;
    }
}

/** What identifies the account that signs with a key. */
const signers = ['client_id', 'clientId', 'app_id', 'issuerId', 'serviceAccountEmailAddress', 'userName', 'accountIdentifier', 'username', 'apiKey'];

export const clientIdOf = (slug: string): string => `${slug}.twin`;

/** Credentials without keys, which are made when somebody asks for them. */
function distinguishing(entry: Entry): string[] {
    const fields = Object.entries(credentialFields(entry)).filter(([name, field]) => keyKindOf(entry, name, field) === undefined);
    return [clientIdOf(entry.slug), ...fields.map(([name, field]) => credentialOf(entry, name, field))].filter((value) => value.length > 3);
}

function sampleInputs(entry: Entry): SampleInputs {
    const credentials = Object.entries(credentialFields(entry)).map(([name, field]) => [name, keyOr(entry, name, field, credentialOf)] as const);
    const assertionOption = Object.entries(entry.assertion_option ?? {}).map(
        ([name, field]) => [name, keyOr(entry, name, field, credentialOf)] as const,
    );
    const needed = neededConfig(entry);
    const fields = Object.entries(entry.connection_config ?? {});
    const isGiven = (field: Field): boolean => !field.optional && (!field.hidden || field.default_value !== undefined);
    const asked = fields.filter(([name, field]) => !field.automated && (isGiven(field) || needed.has(name)));
    return {
        integration: { ...appOf(entry), ...settingsOf(entry) },
        connectionConfig: Object.fromEntries(asked.map(([name, field]) => [name, configValue(entry, name, field)])),
        presets: Object.fromEntries(
            fields.filter(([name, field]) => field.automated && needed.has(name)).map(([name, field]) => [name, configValue(entry, name, field)]),
        ),
        credentials: Object.fromEntries(credentials),
        assertionOption: Object.fromEntries(assertionOption),
    };
}

/** Names without which a flow cannot begin, though their fields are optional or automated (catalogue contract 6). */
function neededConfig(entry: Entry): Set<string> {
    const { authorization_url, token_url, authorization_params, token_params, connection_config: fields } = entry;
    const derived = [...(entry.token_response_metadata ?? []), ...(entry.redirect_uri_metadata ?? []), ...(entry.webhook_response_metadata ?? [])];
    const urls = [authorization_url, ...(typeof token_url === 'string' ? [token_url] : [])].filter((url) => url !== undefined);
    const params = [authorization_params, token_params].flatMap((values) => Object.values(values ?? {})).filter((value) => typeof value === 'string');
    const isOpen = (name: string): boolean => fields?.[name] === undefined || derived.includes(name) || mayBeEmpty(fields[name]);
    const needed = new Set<string>();
    for (const template of [...urls, ...params]) {
        const choices = alternatives(template).map((alternative) =>
            namesIn(alternative).flatMap((name) => (name.startsWith('connectionConfig.') ? [name.slice('connectionConfig.'.length)] : [])),
        );
        // Satisfied by what is asked for anyhow, or by nothing.
        if (choices.some((names) => !names.some(isOpen))) continue;
        const choice = choices.find((names) => names.every((name) => fields?.[name] !== undefined && !derived.includes(name)));
        choice?.forEach((name) => needed.add(name));
    }
    return needed;
}

/** What the modes ask for beside what an entry declares (catalogue contract 8). */
const implied: Readonly<Record<string, readonly string[]>> = {
    API_KEY: ['apiKey'],
    BASIC: ['username', 'password'],
    SIGNATURE: ['username', 'password'],
    OAUTH2_CC: ['client_id', 'client_secret'],
    TBA: ['token_id', 'token_secret'],
    BILL: ['username', 'password', 'organization_id', 'dev_key'],
    AWS_SIGV4: ['role_arn'],
};

function credentialFields(entry: Entry): Fields {
    const names = entry.token_request_auth_method === 'private_key_jwt' ? ['client_id', 'client_private_key'] : (implied[entry.auth_mode] ?? []);
    const declared = Object.entries(entry.credentials ?? {}).filter(([, field]) => !field.automated);
    return { ...Object.fromEntries(names.map((name) => [name, {}])), ...Object.fromEntries(declared) };
}

/** The OAuth app, GitHub app or plugin that an integration of this entry needs. */
function appOf(entry: Entry): Record<string, string> {
    const client = { client_id: clientIdOf(entry.slug), client_secret: `secret-of-${entry.slug}` };
    const scopes: Record<string, string> = entry.default_scopes === undefined ? {} : { scopes: entry.default_scopes.join(',') };
    const app = { app_id: '123456', app_link: `https://github.com/apps/twin-${entry.slug}`, private_key: '' };
    switch (entry.auth_mode) {
        case 'OAUTH2':
        case 'OAUTH1':
        case 'TBA':
            return {
                ...client,
                ...(entry.slug === 'revolut-business' ? { client_secret: sampleKey('rsa').privateKey } : {}),
                // asks for a token of the app's own, whose scopes the entry does not preset
                ...(entry.slug === 'microsoft-admin' ? { scopes: 'https://graph.microsoft.com/.default' } : scopes),
            };
        case 'MCP_OAUTH2':
            return entry.client_registration === 'static' ? { ...client, ...scopes } : scopes;
        case 'MCP_OAUTH2_GENERIC':
            return { oauth_client_name: 'Valetkey' };
        case 'APP':
            return { ...app, private_key: sampleKey('rsa').privateKey };
        case 'CUSTOM':
            return { ...client, ...app, private_key: sampleKey('rsa').privateKey };
        case 'INSTALL_PLUGIN':
            return {
                app_link: `https://${entry.slug}.${twinDomain}/install`,
                username: `user-of-${entry.slug}`,
                password: `password-of-${entry.slug}`,
            };
        default:
            return scopes;
    }
}

/** `integration_config`, with what its choices make necessary. */
function settingsOf(entry: Entry): Record<string, string> {
    const values: Record<string, string> = {};
    for (const [name, field] of Object.entries(entry.integration_config ?? {})) {
        const { visible_when: when } = field;
        if (when !== undefined && values[when.field] !== when.equals) continue;
        values[name] = knownSettings[name]?.(entry) ?? credentialOf(entry, name, field);
    }
    return values;
}

const knownSettings: Readonly<Record<string, (entry: Entry) => string>> = {
    service: () => 's3',
    defaultRegion: () => 'us-east-1',
    awsAccessKeyId: () => 'AKIATWIN000000000001',
    awsSecretAccessKey: ({ slug }) => `aws-secret-of-${slug}`,
    keyName: () => 'x-api-key',
    baseUrl: ({ slug }) => `https://${slug}.${twinDomain}`,
};

const knownCredentials: Readonly<Record<string, string>> = {
    role_arn: 'arn:aws:iam::123456789012:role/valetkey-twin',
    organization_id: '00801234567890123456',
};

function credentialOf(entry: Entry, name: string, field: Field): string {
    if (field.hidden && field.default_value !== undefined) return field.default_value;
    return fit(
        field,
        [
            ...(knownCredentials[name] === undefined ? [] : [knownCredentials[name]]),
            ...(name === 'client_id' ? [clientIdOf(entry.slug)] : []),
            ...(field.format === 'email' || /e-?mail/i.test(name) ? [`twin@${entry.slug}.example`] : []),
            ...(name === 'scopes' ? [(entry.default_scopes ?? ['https://www.googleapis.com/auth/drive']).join(' ')] : []),
            `${name}-of-${entry.slug}`,
            `twin@${entry.slug}.example`,
            digest(entry.slug, name).replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-4$3-a$4-$5'),
        ],
        `${entry.slug} ${name}`,
    );
}

/** Where in a URL a configuration value goes decides what it must look like. */
function configValue(entry: Entry, name: string, field: Field): string {
    const { slug } = entry;
    const host = `${slug}.${twinDomain}`;
    const label = `acme-${slug}`;
    const byUse = {
        origin: [`https://${host}`, `https://${host}/api`],
        host: [host, `${host}/path`, `${host}/scim/v2`, ...(field.example === undefined ? [] : [field.example]), `https://${host}`],
        label: [label, 'acme', ...(field.example === undefined ? [] : [field.example])],
        other: [...(field.example === undefined ? [] : [field.example]), `${name.toLowerCase()}-of-${slug}`],
    }[useOf(entry, name)];
    const known = knownConfig[`${slug}.${name}`];
    const fixed = field.hidden && (field.default_value || !neededConfig(entry).has(name)) ? field.default_value : undefined;
    if (known === undefined && fixed !== undefined) return fixed;
    return fit(
        field,
        [
            ...(known === undefined ? [] : [known]),
            ...byUse,
            host,
            label,
            `https://${host}`,
            `twin@${slug}.example`,
            digest(slug, name).replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-4$3-a$4-$5'),
        ],
        `${slug} ${name}`,
    );
}

/** Values that belong together, or that no rule describes. */
const knownConfig: Readonly<Record<string, string>> = {
    'connectsecure.base_url': 'acme-connectsecure.myconnectsecure.com',
    'practicefusion.baseUrl': 'acme-practicefusion.practicefusion.com/fhir',
    'veeva-vault-oauth.tokenUrl': `veeva-vault-oauth.${twinDomain}/oauth/token`,
    // Empty unless the integrator sets it, and a part of every address.
    'veeva-vault.version': 'v24.1',
    'microsoft-teams-bot.botHostTenantId': '11111111-2222-4333-8444-555555555555',
};

function useOf(entry: Entry, name: string): 'origin' | 'host' | 'label' | 'other' {
    const placeholder = `\${connectionConfig.${name}}`;
    const { authorization_url, token_url, refresh_url, additional_steps, proxy } = entry;
    const steps = (additional_steps ?? []).map((step) => step.token_url);
    const urls = [authorization_url, token_url, refresh_url, ...steps, proxy?.base_url, proxy?.verification?.base_url_override];
    const texts = JSON.stringify(urls);
    if (entry.auth_mode === 'MCP_OAUTH2_GENERIC' || texts.includes(`"${placeholder}`)) return 'origin';
    if (new RegExp(`https://${escape(placeholder)}["/ ?]`).test(texts)) return 'host';
    if (new RegExp(`https://[^"/ ]*${escape(placeholder)}[.-]`).test(texts)) return 'label';
    return 'other';
}

const escape = (text: string): string => text.replace(/[$(){}.]/g, '\\$&');

/** The first candidate that the field's rules accept; else one made from its pattern. */
function fit(field: Field, candidates: readonly string[], seed: string): string {
    const all = [...(field.enum ?? []), ...candidates, ...(field.default_value ? [field.default_value] : [])];
    const found = all.find((value) => value !== '' && fieldFault(field, value) === undefined);
    if (found !== undefined) return found;
    for (let attempt = 0; attempt < 50; attempt += 1) {
        const value = fromPattern(field.pattern ?? '', `${seed} ${attempt}`);
        if (value !== '' && fieldFault(field, value) === undefined) return value;
    }
    throw new Error(`No sample satisfies the rules of "${seed}".`);
}

/** A text that a pattern matches, the same for the same seed. */
function fromPattern(pattern: string, seed: string): string {
    const generator = new RandExp(pattern);
    let drawn = 0;
    generator.max = 24;
    generator.defaultRange.subtract(0, 44).subtract(58, 64).subtract(91, 96).subtract(123, 126);
    generator.randInt = (from, to) => {
        drawn += 1;
        return from + (Number.parseInt(digest(seed, String(drawn)).slice(0, 8), 16) % (to - from + 1));
    };
    return generator.gen();
}

const digest = (...parts: string[]): string => createHash('sha256').update(parts.join('\n')).digest('hex');

/** As key files in JSON have it. */
const escapedBreak = String.raw`\n`;

function keyOr(entry: Entry, name: string, field: Field, otherwise: (entry: Entry, name: string, field: Field) => string): string {
    const kind = keyKindOf(entry, name, field);
    if (kind === undefined) return otherwise(entry, name, field);
    const { privateKey, privateJwk, certificate } = sampleKey(kind);
    const pem = /certificate$/i.test(name) && !/private/i.test(name) ? certificate : privateKey;
    const isJwk = entry.token_request_auth_method === 'private_key_jwt';
    const forms = isJwk
        ? [JSON.stringify(privateJwk)]
        : [
              ...(entry.auth_mode === 'BASIC' ? [pem.trim().replaceAll('\n', escapedBreak)] : []),
              pem,
              pem.trim(),
              pem.trim().replaceAll('\n', escapedBreak),
              pem.replaceAll('\n', escapedBreak),
          ];
    const found = forms.find((form) => fieldFault(field, form) === undefined);
    if (found === undefined) throw new Error(`No sample key satisfies the rules of "${entry.slug} ${name}".`);
    return found;
}

/** The kind of key that a field asks for, judged by what is signed with it. */
function keyKindOf(entry: Entry, name: string, field: Field): KeyKind | undefined {
    const texts = JSON.stringify([entry.proxy?.headers, entry.token?.signing_key, entry.assertion?.key]);
    const signs = namesIn(`${entry.token?.signing_key ?? ''} ${entry.assertion?.key ?? ''}`);
    const isSigner = signs.includes(`credentials.${name}`) || signs.includes(`assertionOption.${name}`);
    const named = entry.assertion?.header?.['alg'] ?? entry.token?.header?.['alg'];
    const algorithm = typeof named === 'string' ? named : entry.assertion?.type === 'saml' ? 'RS256' : '';
    if (texts.includes('ed25519Sign') && texts.includes(`\${credentials.${name}})}`)) return 'ed25519';
    if (isSigner && algorithm.startsWith('ES')) return 'ec';
    if (isSigner && /^[RP]S/.test(algorithm)) return 'rsa';
    const isKeyField = /BEGIN (?:PRIVATE KEY|CERTIFICATE)/.test(field.pattern ?? '') || /^client_(?:private_key|certificate)$/.test(name);
    return isKeyField ? 'rsa' : undefined;
}

function signingKeyKind(entry: Entry): KeyKind | undefined {
    const fields = [...Object.entries(credentialFields(entry)), ...Object.entries(entry.assertion_option ?? {})];
    const kinds = fields.map(([name, field]) => keyKindOf(entry, name, field)).filter((kind) => kind !== undefined);
    return kinds[0] ?? (['APP', 'CUSTOM'].includes(entry.auth_mode) || entry.slug === 'revolut-business' ? 'rsa' : undefined);
}
