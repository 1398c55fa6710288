import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { loadCatalogue } from '../../src/providers/catalogue.ts';
import schema from '../../src/providers/catalogue.schema.json' with { type: 'json' };
import { checkConnectionConfig, checkDerivedConfig, missingConnectionConfig } from '../../src/providers/fields.ts';
import { lintCatalogue } from '../../src/providers/lint.ts';

const file = fileURLToPath(new URL('../../providers.yaml', import.meta.url));
const text = readFileSync(file, 'utf8');
const catalogue = loadCatalogue({ builtin: file, isPlainHttpAllowed: () => false });

/** Per provider: values a person, and afterwards the server, would supply, and the URLs that come out of them. */
const expected: Record<string, { config?: Record<string, string>; authorization?: string; token?: string; base: string }> = {
    github: {
        authorization: 'https://github.com/login/oauth/authorize',
        token: 'https://github.com/login/oauth/access_token',
        base: 'https://api.github.com/',
    },
    'github-pat': { base: 'https://api.github.com/' },
    gitlab: { authorization: 'https://gitlab.com/oauth/authorize', token: 'https://gitlab.com/oauth/token', base: 'https://gitlab.com/' },
    google: google('https://www.googleapis.com/'),
    'google-mail': google('https://gmail.googleapis.com/'),
    'google-calendar': google('https://www.googleapis.com/'),
    'google-drive': google('https://www.googleapis.com/'),
    'google-ads': {
        ...google('https://googleads.googleapis.com/'),
        config: { login_customer_id: '1234567890' },
        token: 'https://www.googleapis.com/oauth2/v3/token',
    },
    microsoft: microsoft(),
    'microsoft-teams': microsoft(),
    outlook: microsoft(),
    'one-drive': microsoft(),
    'sharepoint-online': microsoft(),
    slack: {
        authorization: 'https://slack.com/oauth/v2/authorize',
        token: 'https://slack.com/api/oauth.v2.access',
        base: 'https://slack.com/api',
    },
    discord: {
        authorization: 'https://discord.com/api/oauth2/authorize',
        token: 'https://discord.com/api/oauth2/token',
        base: 'https://discord.com/',
    },
    hubspot: {
        authorization: 'https://app.hubspot.com/oauth/authorize',
        token: 'https://api.hubapi.com/oauth/v1/token',
        base: 'https://api.hubapi.com/',
    },
    salesforce: {
        config: { hostname: 'Acme.my.salesforce.com' },
        authorization: 'https://acme.my.salesforce.com/services/oauth2/authorize',
        token: 'https://acme.my.salesforce.com/services/oauth2/token',
        base: 'https://acme.my.salesforce.com/',
    },
    notion: {
        authorization: 'https://api.notion.com/v1/oauth/authorize',
        token: 'https://api.notion.com/v1/oauth/token',
        base: 'https://api.notion.com/',
    },
    jira: atlassian(),
    confluence: atlassian(),
    zendesk: {
        config: { subdomain: 'acme' },
        authorization: 'https://acme.zendesk.com/oauth/authorizations/new',
        token: 'https://acme.zendesk.com/oauth/tokens',
        base: 'https://acme.zendesk.com/',
    },
    intercom: {
        config: { region: 'eu' },
        authorization: 'https://app.eu.intercom.com/oauth',
        token: 'https://api.eu.intercom.io/auth/eagle/token',
        base: 'https://api.eu.intercom.io/',
    },
    shopify: {
        config: { subdomain: 'acme-shop' },
        authorization: 'https://acme-shop.myshopify.com/admin/oauth/authorize',
        token: 'https://acme-shop.myshopify.com/admin/oauth/access_token',
        base: 'https://acme-shop.myshopify.com/',
    },
    stripe: {
        authorization: 'https://connect.stripe.com/oauth/authorize',
        token: 'https://connect.stripe.com/oauth/token',
        base: 'https://api.stripe.com/',
    },
    'stripe-app': {
        authorization: 'https://marketplace.stripe.com/oauth/v2/authorize',
        token: 'https://api.stripe.com/v1/oauth/token',
        base: 'https://api.stripe.com/',
    },
    'stripe-api-key': { config: { context: 'acct_1234567890abcdef' }, base: 'https://api.stripe.com/' },
    linear: {
        authorization: 'https://linear.app/oauth/authorize',
        token: 'https://api.linear.app/oauth/token',
        base: 'https://api.linear.app/',
    },
    xero: {
        authorization: 'https://login.xero.com/identity/connect/authorize',
        token: 'https://identity.xero.com/connect/token',
        base: 'https://api.xero.com/',
    },
    quickbooks: {
        authorization: 'https://appcenter.intuit.com/connect/oauth2',
        token: 'https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer',
        base: 'https://quickbooks.api.intuit.com/',
    },
    sage: {
        authorization: 'https://www.sageone.com/oauth2/auth/central',
        token: 'https://oauth.accounting.sage.com/token',
        base: 'https://api.accounting.sage.com/',
    },
};

/** Entries of the modes API_KEY and BASIC that nothing verifies. */
const unverifiedEntries = 124;

/** Catalogue contract 11, by the exception that serves them. */
const exceptions: Record<string, string[]> = {
    'absorb-lms': ['absorb-lms'],
    agiloft: ['agiloft'],
    'attio-mcp': ['attio-mcp'],
    braintree: ['braintree', 'braintree-sandbox'],
    bullhorn: ['bullhorn'],
    clover: ['clover'],
    coros: ['coros', 'coros-sandbox'],
    facebook: ['facebook'],
    fanvue: ['fanvue'],
    figma: ['figjam', 'figma'],
    followupboss: ['followupboss'],
    heygen: ['heygen'],
    instagram: ['instagram'],
    jobber: ['jobber'],
    mercury: ['mercury'],
    'microsoft-admin': ['microsoft-admin'],
    'microsoft-teams-bot': ['microsoft-teams-bot'],
    'one-drive': ['one-drive', 'sharepoint-online'],
    'posthog-oauth': ['posthog-oauth'],
    'revolut-business': ['revolut-business'],
    salesforce: ['salesforce', 'salesforce-cc', 'salesforce-experience-cloud', 'salesforce-jwt', 'salesforce-sandbox'],
    'sentry-oauth': ['sentry-oauth'],
    'shopline-oauth': ['shopline-oauth'],
    slack: ['slack'],
    'stripe-app': ['stripe-app', 'stripe-app-sandbox'],
    threads: ['threads'],
    'tiktok-accounts': ['tiktok-accounts'],
    'tiktok-ads': ['tiktok-ads'],
    'tiktok-personal': ['tiktok-personal'],
    walmart: ['walmart'],
    'workday-oauth': ['workday-oauth'],
};

const knownWarnings = [
    // A grant that is in the token URL, and vendors whose login is no OAuth grant.
    'W09 greenhouse-harvest-oauth2-cc token_params.grant_type',
    'W09 personio token_params.grant_type',
    'W09 roller token_params.grant_type',
    'W09 zoominfo token_params.grant_type',
    // Pages of a fixed size, as far as is known.
    'W10 brightcrowd proxy.paginate.limit_name_in_request',
    'W10 certn proxy.paginate.limit_name_in_request',
    'W10 exact-online proxy.paginate.limit_name_in_request',
];

/** As the file is ordered. */
function sectionOf(categories: readonly string[]): string {
    return ['popular', 'mcp'].find((name) => categories.includes(name)) ?? categories[0] ?? '';
}

function google(base: string): { authorization: string; token: string; base: string } {
    return { authorization: 'https://accounts.google.com/o/oauth2/v2/auth', token: 'https://oauth2.googleapis.com/token', base };
}

function microsoft(): { authorization: string; token: string; base: string } {
    const login = 'https://login.microsoftonline.com/common/oauth2/v2.0';
    return { authorization: `${login}/authorize`, token: `${login}/token`, base: 'https://graph.microsoft.com/' };
}

function atlassian(): { config: Record<string, string>; authorization: string; token: string; base: string } {
    return {
        config: { subdomain: 'acme' },
        authorization: 'https://auth.atlassian.com/authorize',
        token: 'https://auth.atlassian.com/oauth/token',
        base: 'https://api.atlassian.com/',
    };
}

/** auth-modes contract 1, but for `certn-partner`: an OAUTH2_CC entry there, without a token URL and with a key in its header. */
const perMode: Record<string, number> = {
    API_KEY: 324,
    APP: 1,
    AWS_SIGV4: 1,
    BASIC: 97,
    BILL: 2,
    CUSTOM: 1,
    INSTALL_PLUGIN: 1,
    JWT: 4,
    MCP_OAUTH2: 24,
    MCP_OAUTH2_GENERIC: 2,
    NONE: 2,
    OAUTH1: 4,
    OAUTH2: 344,
    OAUTH2_CC: 109,
    SIGNATURE: 1,
    TBA: 1,
    TWO_STEP: 63,
};

const fieldMaps = ['connection_config', 'credentials', 'integration_config', 'assertion_option'] as const;
const written = parseDocument(text, { version: '1.2' }).toJS() as Record<string, Record<string, unknown>>;

describe('the built-in catalogue', () => {
    it('holds every provider of every mode', () => {
        const count = Map.groupBy(catalogue.entries(), ({ entry }) => entry.auth_mode as string);
        expect(Object.fromEntries([...count].map(([mode, entries]) => [mode, entries.length]))).toEqual(perMode);
        expect(catalogue.entries()).toHaveLength(981);
    });

    it('lists what is asked for most first, then by main category and name', () => {
        const sections = [...Map.groupBy(catalogue.entries(), ({ entry }) => sectionOf(entry.categories ?? [])).entries()];
        expect(sections[0]?.[0]).toBe('popular');
        const names = catalogue.entries().map(({ entry }) => sectionOf(entry.categories ?? []));
        // Each section is one run.
        expect(names.filter((name, index) => name !== names[index - 1])).toHaveLength(sections.length);
        for (const [, entries] of sections) {
            const titles = entries.map(({ entry }) => entry.display_name.normalize('NFKD').toLowerCase());
            expect(titles).toEqual(titles.toSorted());
        }
    });

    it('has names of its own, and groups from the closed list', () => {
        const names = catalogue.entries().map(({ entry }) => entry.display_name);
        expect(new Set(names).size).toBe(names.length);
        for (const { name, entry } of catalogue.entries()) expect(entry.categories?.length, name).toBeGreaterThan(0);
    });

    it.each(Object.keys(expected))('%s builds its URLs from what a person types', (name) => {
        const provider = catalogue.get(name)!;
        const { config = {}, authorization, token, base } = expected[name]!;
        const { values, issues } = checkConnectionConfig(provider, config, 'browser');
        expect(issues).toEqual([]);
        expect(missingConnectionConfig(provider, values)).toEqual([]);
        expect(provider.authorizationUrl?.build({ connectionConfig: values }).href).toBe(authorization);
        expect(provider.tokenUrl?.build({ connectionConfig: values }).href).toBe(token);
        const connectionConfig = name === 'salesforce' ? { ...values, instance_url: 'https://acme.my.salesforce.com' } : values;
        expect(provider.proxyBaseUrl?.build({ connectionConfig }).href).toBe(base);
    });

    it('falls back to the common hosts of salesforce and intercom', () => {
        const token = (name: string): string | undefined => catalogue.get(name)?.tokenUrl?.build({ connectionConfig: {} }).href;
        expect(token('salesforce')).toBe('https://login.salesforce.com/services/oauth2/token');
        expect(token('intercom')).toBe('https://api.intercom.io/auth/eagle/token');
    });

    it('revokes where the provider documents it, and how (E7)', () => {
        const google = { url: 'https://oauth2.googleapis.com/revoke', revocation_auth_method: 'none', revocation_ends_all: true };
        const found = catalogue.list().flatMap(({ name, revocationUrl, entry }) => {
            const how = Object.entries(entry).filter(([key]) => key.startsWith('revocation_') && key !== 'revocation_url');
            const connectionConfig = name === 'salesforce' ? { hostname: 'acme.my.salesforce.com' } : {};
            return revocationUrl === undefined || written[name]?.['alias'] !== undefined
                ? []
                : [[name, { url: revocationUrl.build({ connectionConfig }).href, ...Object.fromEntries(how) }] as const];
        });
        expect(Object.fromEntries(found)).toEqual({
            gitlab: { url: 'https://gitlab.com/oauth/revoke' },
            google,
            discord: { url: 'https://discord.com/api/oauth2/token/revoke', revocation_auth_method: 'basic', revocation_ends_all: true },
            salesforce: { url: 'https://acme.my.salesforce.com/services/oauth2/revoke', revocation_auth_method: 'none' },
            linear: { url: 'https://api.linear.app/oauth/revoke', revocation_auth_method: 'none', revocation_token_param: 'token_type' },
            xero: { url: 'https://identity.xero.com/connect/revocation', revocation_auth_method: 'basic', revocation_ends_all: true },
            quickbooks: {
                url: 'https://developer.api.intuit.com/v2/oauth2/tokens/revoke',
                revocation_auth_method: 'basic',
                revocation_body_format: 'json',
            },
            sage: { url: 'https://oauth.accounting.sage.com/revoke' },
        });
        expect(catalogue.get('salesforce')?.revocationUrl?.build({ connectionConfig: {} }).href).toBe(
            'https://login.salesforce.com/services/oauth2/revoke',
        );
    });

    it('binds a secret to the hosts of the vendor, unless customers run the server themselves (N2)', () => {
        const chosen = catalogue
            .list()
            .filter(
                ({ authMode, tokenUrl, refreshUrl }) => authMode === 'OAUTH2' && [tokenUrl, refreshUrl].some((url) => url?.hostIsChosenByConnection),
            );
        const [bound, open] = [chosen.filter(({ entry }) => entry.allowed_hosts), chosen.filter(({ entry }) => !entry.allowed_hosts)];
        expect(bound.map(({ name }) => name).toSorted()).toEqual([
            'absorb-lms',
            'adobe-workfront',
            'agiloft',
            'freshworks',
            'glean-oauth',
            'practicefusion',
            'salesforce',
            'salesforce-sandbox',
            'servicenow',
            'snowflake',
            'workday-oauth',
        ]);
        expect(open.map(({ name }) => name).toSorted()).toEqual([
            'canvas-lms',
            'confluence-data-center',
            'jira-data-center',
            'looker-oauth',
            'maximizer-on-premise',
            'odoo',
        ]);
    });

    it('lets a callback pick none but the account servers of Zoho (E12)', () => {
        for (const { name, openTokenHosts, entry } of catalogue.list()) {
            expect(
                (entry.redirect_uri_metadata ?? []).filter((key) => openTokenHosts.has(key)),
                name,
            ).toEqual([]);
        }
        const zoho = catalogue.get('zoho-crm')!;
        const pick = (server: string) => checkDerivedConfig(zoho, { 'accounts-server': server }, 'callback').issues;
        expect(pick('https://accounts.zoho.com.au')).toEqual([]);
        expect(pick('https://accounts.zoho.evil')).toHaveLength(1);
        expect(pick('https://accounts.zoho.com.evil.example')).toHaveLength(1);
        expect(zoho.tokenUrl?.build({ connectionConfig: { 'accounts-server': 'https://accounts.zoho.eu' } }).href).toBe(
            'https://accounts.zoho.eu/oauth/v2/token',
        );
    });

    it('expands aliases', () => {
        expect(catalogue.get('outlook')?.entry).toMatchObject({
            auth_mode: 'OAUTH2',
            disable_pkce: true,
            default_scopes: ['offline_access', '.default'],
        });
        expect(catalogue.get('google-calendar')?.entry.proxy?.retry).toEqual({ error_code: ['403', '5xx', '401', '429'] });
        expect(catalogue.get('confluence')?.entry.connection_config).toBe(catalogue.get('jira')?.entry.connection_config);
    });

    it('explains every field in one sentence that is not its title', () => {
        for (const { name, entry } of catalogue.entries()) {
            for (const [map, fields] of fieldMaps.map((map) => [map, entry[map] ?? {}] as const)) {
                for (const [field, { title, description = '', hidden, automated }] of Object.entries(fields)) {
                    const where = `${name}.${map}.${field}`;
                    expect(description, where).toMatch(/^[A-Z0-9].{19,148}\.$/);
                    expect(description, where).not.toMatch(/[.!?]\s+[A-Z]|\b(\w+) \1\b/);
                    expect(description.toLowerCase().replace('.', ''), where).not.toBe(title?.toLowerCase());
                    if (!hidden && !automated) expect(title, where).toMatch(/^[A-Z0-9]/);
                }
            }
        }
    });

    it('asks a person for nothing that it then refuses, and gives examples that it accepts', () => {
        const refused = catalogue.list().flatMap((provider) =>
            Object.entries(provider.entry.connection_config ?? {})
                .filter(([, field]) => !field.hidden && !field.automated)
                .flatMap(([name, field]) =>
                    [...(field.enum ?? []), ...(field.example === undefined ? [] : [field.example])].map((value) => [name, value] as const),
                )
                .filter(([name, value]) => checkConnectionConfig(provider, { [name]: value }, 'browser').issues.length > 0)
                .map(([name, value]) => `${provider.name}.${name}: ${value}`),
        );
        expect(refused).toEqual([]);
        const reserved = checkConnectionConfig(catalogue.get('shopify')!, { handle: 'x' }, 'browser').issues;
        expect(reserved).toHaveLength(1);
    });

    it('gives a reason for every entry without PKCE (S4)', () => {
        const silent = Object.entries(written).filter(([, entry]) => entry['disable_pkce'] === true);
        expect(silent).toHaveLength(71);
        for (const [, entry] of silent) expect(entry['x-disable-pkce']).toMatch(/^\S.{20,}$/);
        expect(catalogue.entries().filter(({ entry }) => entry.disable_pkce)).toHaveLength(86);
    });

    it('binds the code of 40 providers, and hooks', () => {
        const bound = catalogue.entries().filter(({ entry }) => entry['token_exchange_script']);
        expect(bound).toHaveLength(40);
        const byException = Map.groupBy(bound, ({ entry }) => entry['token_exchange_script'] as string);
        expect(Object.fromEntries([...byException].map(([script, entries]) => [script, entries.map(({ name }) => name).toSorted()]))).toEqual(
            exceptions,
        );
        const count = (key: string): number => catalogue.entries().filter(({ entry }) => entry[key]).length;
        expect(count('post_connection_script')).toBe(53);
        expect(count('pre_connection_deletion_script')).toBe(4);
        expect(count('credentials_verification_script')).toBe(12);
        expect(count('webhook_routing_script')).toBe(2);
    });

    it('hands out no notes', () => {
        for (const { entry } of catalogue.entries()) expect(Object.keys(entry).filter((key) => key.startsWith('x-'))).toEqual([]);
    });

    it('reads the wait of google from the error text', () => {
        const value = catalogue.get('google')?.entry.proxy?.retry?.in_body?.value ?? '';
        expect(new RegExp(value).exec('User-rate limit exceeded.  Retry after 2024-01-02T03:04:05Z')?.[1]).toBe('2024-01-02T03:04:05Z');
    });

    it('asks nobody for what Intuit supplies', () => {
        const quickbooks = catalogue.get('quickbooks')!;
        expect(quickbooks.entry.connection_config?.['realmId']).toMatchObject({ automated: true });
        expect(checkConnectionConfig(quickbooks, { realmId: '9341453474484455' }, 'browser').issues).toHaveLength(1);
    });

    it('breaks no rule, and earns only the warnings that are known', () => {
        const { errors, warnings } = lintCatalogue(catalogue.entries());
        expect(errors).toEqual([]);
        // What the evaluator cannot do yet is said in its own tests.
        const judged = warnings.filter(({ message }) => !message.includes('not evaluated yet'));
        const [unverified, others] = [judged.filter(({ rule }) => rule === 'W11'), judged.filter(({ rule }) => rule !== 'W11')];
        // The facts name no call that proves these keys. May only become fewer.
        expect(unverified.length).toBeLessThanOrEqual(unverifiedEntries);
        expect(others.map(({ rule, slug, path }) => `${rule} ${slug} ${path}`).toSorted()).toEqual(knownWarnings);
    });

    it('writes aliases in short form', () => {
        const short = Object.entries(written).filter(([, entry]) => 'alias' in entry);
        expect(short).toHaveLength(67);
        for (const [name, { alias, ...own }] of short) {
            const target = catalogue.get(alias as string)?.entry;
            const repeated = Object.keys(own).filter((key) => JSON.stringify(own[key]) === JSON.stringify(target?.[key]));
            expect(
                repeated.filter((key) => key !== 'categories'),
                name,
            ).toEqual([]);
        }
        expect(catalogue.get('netsuite-tba')?.entry).not.toHaveProperty('authorization_url');
    });
});

it('the schema is a valid JSON Schema of the 2020-12 dialect', () => {
    const ajv = new Ajv2020({ strictTypes: false });
    expect(ajv.validateSchema(schema), ajv.errorsText()).toBe(true);
});
