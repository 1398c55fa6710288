import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { loadCatalogue } from '../../src/providers/catalogue.ts';
import schema from '../../src/providers/catalogue.schema.json' with { type: 'json' };
import { hookKeys } from '../../src/providers/entry-texts.ts';
import { checkConnectionConfig, missingConnectionConfig } from '../../src/providers/fields.ts';
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

describe('the built-in catalogue', () => {
    it('holds these providers, in this order', () => {
        expect(catalogue.list().map((provider) => provider.name)).toEqual(Object.keys(expected));
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
            return revocationUrl === undefined
                ? []
                : [[name, { url: revocationUrl.build({ connectionConfig }).href, ...Object.fromEntries(how) }] as const];
        });
        expect(Object.fromEntries(found)).toEqual({
            gitlab: { url: 'https://gitlab.com/oauth/revoke' },
            google,
            'google-mail': google,
            'google-calendar': google,
            'google-drive': google,
            'google-ads': google,
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

    it('lets a connection choose the host of salesforce alone (N2)', () => {
        const chosen = catalogue.list().filter((provider) => provider.tokenUrl?.hostIsChosenByConnection);
        expect(chosen.map((provider) => provider.name)).toEqual(['salesforce']);
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

    it('names no hook and no router', () => {
        const dead = [...hookKeys, 'webhook_allowed_query_params', 'webhook_user_defined_secret'];
        for (const { entry } of catalogue.list()) expect(dead.filter((key) => key in entry)).toEqual([]);
    });

    it('explains every field in one sentence', () => {
        for (const { name, entry } of catalogue.list()) {
            for (const [field, { description }] of Object.entries({ ...entry.connection_config, ...entry.credentials })) {
                expect(description, `${name}.${field}`).toMatch(/^[A-Z].{20,139}\.$/);
            }
        }
    });

    it('gives a reason for every entry without PKCE', () => {
        const lines = text.split('\n').filter((line) => line.includes('disable_pkce:'));
        expect(lines).toHaveLength(4);
        for (const line of lines) expect(line).toMatch(/disable_pkce: true # \S+/);
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

    it('earns only the warnings that are known', () => {
        const { errors, warnings } = lintCatalogue(catalogue.list());
        expect(errors).toEqual([]);
        // Credentials are secret whatever the flag says, and the facts name no call that checks a Stripe key.
        expect(warnings.map(({ rule, slug, path }) => `${rule} ${slug} ${path}`).toSorted()).toEqual([
            'W08 github-pat credentials.apiKey.secret',
            'W08 stripe-api-key credentials.password.secret',
            'W11 stripe-api-key proxy.verification',
        ]);
    });

    it('writes aliases in short form', () => {
        const document = parseDocument(text, { version: '1.2' }).toJS() as Record<string, Record<string, unknown>>;
        const short = Object.entries(document).filter(([, entry]) => 'alias' in entry);
        expect(short.map(([name]) => name)).toEqual([
            'google-mail',
            'google-calendar',
            'google-drive',
            'google-ads',
            'microsoft-teams',
            'outlook',
            'one-drive',
            'sharepoint-online',
            'confluence',
        ]);
        for (const [, entry] of short) expect(Object.keys(entry)).not.toContain('auth_mode');
    });
});

it('the schema is a valid JSON Schema of the 2020-12 dialect', () => {
    const ajv = new Ajv2020({ strictTypes: false });
    expect(ajv.validateSchema(schema), ajv.errorsText()).toBe(true);
});
