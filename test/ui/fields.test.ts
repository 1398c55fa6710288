/** Which inputs a form has (frontend contract §3.3), for real entries and for the rules that no entry happens to use. */
import { describe, expect, test } from 'vitest';
import { helpUrl, initialValues } from '../../src/ui/connect/fields.ts';
import { catalogueProvider, fieldOf, formOf, idsOf, madeUpProvider, providerNames } from './forms.ts';

describe('the fields of real providers', () => {
    test.each([
        ['openai', ['credentials.apiKey']],
        ['freshdesk', ['credentials.username', 'params.subdomain']],
        ['github', []],
        ['zendesk', ['params.subdomain']],
        [
            'netsuite-tba',
            ['oauth_client_id_override', 'oauth_client_secret_override', 'token_id', 'token_secret']
                .map((n) => `credentials.${n}`)
                .concat('params.accountId'),
        ],
        ['bill', ['username', 'password', 'organization_id', 'dev_key'].map((n) => `credentials.${n}`)],
        ['aws-sigv4', ['credentials.role_arn', 'params.region']],
        ['okta-cc', ['credentials.client_id', 'credentials.client_private_key', 'params.hostname', 'params.oauth_scopes']],
        ['sentry-oauth', ['params.hostname', 'params.actor']],
    ])('%s', (name, expected) => {
        expect(idsOf(formOf(catalogueProvider(name)))).toEqual(expected);
    });

    test('each provider of the catalogue has a form whose ids differ and whose labels are there', () => {
        const wrong = providerNames.filter((name) => {
            const fields = formOf(catalogueProvider(name));
            const visible = fields.filter(({ isHidden }) => !isHidden);
            return new Set(fields.map(({ id }) => id)).size !== fields.length || visible.some(({ label }) => label.trim() === '');
        });
        expect(wrong).toEqual([]);
    });

    test('nothing that the server sets is asked of a person', () => {
        expect(formOf(catalogueProvider('salesforce')).map(({ name }) => name)).not.toContain('instance_url');
    });
});

describe('base fields by mode', () => {
    test.each([
        ['API_KEY', {}, ['apiKey']],
        ['BASIC', {}, ['username', 'password']],
        ['SIGNATURE', {}, ['username', 'password']],
        ['OAUTH2_CC', {}, ['client_id', 'client_secret']],
        ['OAUTH2_CC', { require_client_certificate: true }, ['client_id', 'client_secret', 'client_certificate', 'client_private_key']],
        ['OAUTH2_CC', { token_request_auth_method: 'private_key_jwt' }, ['client_id']],
        ['JWT', {}, []],
        ['TWO_STEP', {}, []],
        ['NONE', {}, []],
        ['OAUTH1', {}, []],
        ['APP', {}, []],
        ['CUSTOM', {}, []],
        ['MCP_OAUTH2', {}, []],
        ['MCP_OAUTH2_GENERIC', {}, []],
        ['INSTALL_PLUGIN', {}, []],
    ])('%s %j', (auth_mode, more, expected) => {
        expect(formOf(madeUpProvider({ auth_mode, ...more })).map(({ name }) => name)).toEqual(expected);
    });
});

describe('assembly', () => {
    test('ordered parameters stand before the credentials, the others behind, assertions last', () => {
        const fields = formOf(
            madeUpProvider({
                auth_mode: 'TWO_STEP',
                credentials: { user: {}, pass: {} },
                connection_config: { late: {}, second: { order: 2 }, first: { order: 1 }, zero: { order: 0 } },
                assertion_option: { key: {} },
            }),
        );
        expect(fields.map(({ id }) => id)).toEqual([
            'params.first',
            'params.second',
            'credentials.user',
            'credentials.pass',
            'params.late',
            'params.zero',
            'assertion_option.key',
        ]);
    });

    test('an entry redefines a base field in its place, and can leave it out', () => {
        const provider = madeUpProvider({ auth_mode: 'BASIC', credentials: { password: { title: 'Token' }, username: { automated: true } } });
        expect(formOf(provider).map(({ name, label }) => [name, label])).toEqual([['password', 'Token']]);
    });

    test('what is set on the integration is not asked again; what is not, is, even where the entry calls it optional', () => {
        const provider = madeUpProvider({
            auth_mode: 'TWO_STEP',
            credentials: { a: {}, b: {} },
            integration_config: { b: {}, c: { optional: true }, d: {} },
        });
        const fields = formOf(provider, { integration: { preconfigured_credentials: ['a', 'd'] } });
        expect(fields.map(({ name, isOptional }) => [name, isOptional])).toEqual([
            ['b', false],
            ['c', false],
        ]);
    });

    test('an own OAuth app is asked for where the session leaves it empty, and nowhere else', () => {
        const provider = madeUpProvider({ auth_mode: 'OAUTH2' });
        const presets = { oauth_client_id_override: '', oauth_client_secret_override: 'set', oauth_refresh_token_override: '' };
        const fields = formOf(provider, { presets });
        expect(fields.map(({ id, isOptional, isHidden }) => [id, isOptional, isHidden])).toEqual([
            ['credentials.oauth_client_id_override', true, false],
            ['credentials.oauth_refresh_token_override', true, false],
        ]);
        expect(formOf(madeUpProvider({ auth_mode: 'OAUTH1' }), { presets })).toEqual([]);
    });
});

describe('one field', () => {
    const provider = madeUpProvider({
        docs_connect: 'https://docs.example.com/acme',
        credentials: { apiKey: { title: 'Access token', description: 'From your profile.', example: 'tok_1', doc_section: '#token' } },
        connection_config: {
            region: { title: 'Region', enum: ['eu', 'us'] },
            zone: { title: 'Zone', enum: ['a', 'b'], optional: true },
            site: { title: 'Site', default_value: 'main' },
            ghost: { hidden: true },
            constant: { hidden: true, default_value: 'x' },
            plain: {},
        },
    });

    test('label, description and placeholder come from the entry', () => {
        expect(fieldOf(formOf(provider), 'credentials.apiKey')).toMatchObject({
            label: 'Access token',
            description: 'From your profile.',
            placeholder: 'tok_1',
            isSecret: true,
        });
    });

    test('a label of the integration takes the place of all three', () => {
        const [field] = formOf(provider, { integration: { credentials_label: { apiKey: 'Key of Acme' } } });
        expect(field).toMatchObject({ label: 'Key of Acme', description: undefined, placeholder: undefined });
    });

    test('known names have labels of our own; others are called by their name', () => {
        expect(fieldOf(formOf(madeUpProvider({})), 'credentials.apiKey').label).toBe('API key');
        expect(fieldOf(formOf(provider), 'params.plain').label).toBe('plain');
    });

    test('initial values: default, first of a required choice, nothing', () => {
        const { 'credentials.apiKey': _, ...values } = initialValues(formOf(provider));
        expect(values).toEqual({
            'params.region': 'eu',
            'params.zone': '',
            'params.site': 'main',
            'params.ghost': '',
            'params.constant': 'x',
            'params.plain': '',
        });
    });

    test('a preset hides a parameter and is its value; credentials are never preset', () => {
        const fields = formOf(provider, { presets: { region: 'us', plain: 7, apiKey: 'k' } });
        expect(fieldOf(fields, 'params.region')).toMatchObject({ isHidden: true, isPreset: true, initial: 'us' });
        expect(fieldOf(fields, 'params.plain')).toMatchObject({ isHidden: true, initial: '7' });
        expect(fieldOf(fields, 'credentials.apiKey')).toMatchObject({ isHidden: false, initial: '' });
    });

    test('what the server masks is known to be set, and no more', () => {
        expect(fieldOf(formOf(provider, { presets: { plain: '********' } }), 'params.plain')).toMatchObject({ isHidden: true, isWithheld: true });
    });

    test('documentation: the section of the entry’s page, the page alone, or the session’s link as it is', () => {
        const sectionless = fieldOf(formOf(provider), 'params.plain').docsUrl;
        expect(fieldOf(formOf(provider), 'credentials.apiKey').docsUrl).toBe('https://docs.example.com/acme#token');
        expect(sectionless).toBe('https://docs.example.com/acme');
        const overridden = formOf(provider, { docsOverride: 'https://help.customer.com/acme?x=1' });
        expect(new Set(overridden.map(({ docsUrl }) => docsUrl))).toEqual(new Set(['https://help.customer.com/acme?x=1']));
        expect(formOf(madeUpProvider({}))[0]?.docsUrl).toBeUndefined();
        expect(helpUrl({ provider: madeUpProvider({}), docsOverride: undefined })).toBeUndefined();
    });

    test.each([
        ['snowflake-jwt', 'credentials.privateKey', true],
        ['apple-app-store', 'credentials.privateKey', true],
        ['adp', 'credentials.client_certificate', true],
        ['google-service-account', 'credentials.privateKey', true],
        ['netsuite-client-credentials', 'assertion_option.privateKey', true],
        ['netsuite-client-credentials', 'credentials.certificateId', false],
        ['microsoft-oauth2-cc-cert', 'credentials.certificateThumbprint', false],
        ['ghost-admin', 'credentials.privateKey', false],
        ['openai', 'credentials.apiKey', false],
    ])('%s %s has lines: %s', (name, id, expected) => {
        expect(fieldOf(formOf(catalogueProvider(name)), id).isMultiline).toBe(expected);
    });
});
