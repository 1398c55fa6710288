/**
 * Every auth mode, connected through the page as a person does it: labels are read, inputs filled in, the button pressed, and consent
 * given in the window that opens. The twins refuse what is not exactly right.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SampleInputs } from '../../../src/simulator/samples.ts';
import { approve, awaitHeading, input, openLink, popupOf, startSimulated, submit, type Simulated } from './simulated.ts';

let simulated: Simulated;

beforeAll(async () => {
    simulated = await startSimulated();
});
afterAll(() => simulated?.close());

interface Way {
    /** Labels in the order in which they are shown, and what is typed there; `undefined`: what is there already. */
    fields?: Record<string, ((samples: SampleInputs) => string | undefined) | undefined>;
    /** A window opens, with a question. */
    hasWindow?: boolean;
    session?: Record<string, unknown>;
    ends?: 'Connected' | 'Waiting for approval';
    /** Of the stored credentials, where the mode is not their name; `null`: there are none yet. */
    type?: string | null;
    /** What else the connection must have. */
    stored?: (samples: SampleInputs) => Record<string, unknown>;
}

const credential = (name: string) => (samples: SampleInputs) => samples.credentials[name];
const config = (name: string) => (samples: SampleInputs) => samples.connectionConfig[name];
const assertion = (name: string) => (samples: SampleInputs) => samples.assertionOption[name];
const client = (name: string) => (samples: SampleInputs) => samples.integration[name];

const ways: Record<string, Record<string, Way>> = {
    API_KEY: {
        // a choice, of which the first one is made already, and two masked inputs
        datadog: {
            fields: { 'Site Parameter': undefined, 'API Key': credential('apiKey'), 'Application Key': config('applicationKey') },
            stored: ({ credentials, connectionConfig }) => ({
                credentials: { type: 'API_KEY', apiKey: credentials['apiKey'] },
                connection_config: { siteParameter: 'datadoghq.com', applicationKey: connectionConfig['applicationKey'] },
            }),
        },
    },
    BASIC: {
        // a hidden constant, and an address between what is shown around it: pasted whole
        freshdesk: {
            fields: {
                'API Key': credential('username'),
                'Freshdesk Domain': (samples) => `  https://${config('subdomain')(samples)}.freshdesk.com/a/admin `,
            },
            stored: ({ credentials, connectionConfig }) => ({
                credentials: { type: 'BASIC', username: credentials['username'], password: 'X' },
                connection_config: { subdomain: connectionConfig['subdomain'] },
            }),
        },
        // a hidden constant that is empty
        'greenhouse-harvest': {
            fields: { 'API Key': credential('username') },
            stored: ({ credentials }) => ({ credentials: { type: 'BASIC', username: credentials['username'], password: '' } }),
        },
    },
    OAUTH2: {
        slack: { hasWindow: true },
        zendesk: { fields: { 'Zendesk Domain': config('subdomain') }, hasWindow: true },
        // the person’s own OAuth app, C17
        hubspot: {
            fields: {
                'OAuth client ID': () => 'own-client',
                'OAuth client secret': () => 'own-secret',
            },
            session: {
                integrations_config_defaults: {
                    hubspot: { connection_config: { oauth_client_id_override: '', oauth_client_secret_override: '' } },
                },
            },
            hasWindow: true,
            stored: () => ({ credentials: { config_override: { client_id: 'own-client', client_secret: 'own-secret' } } }),
        },
        // its vendor finishes it
        'sentry-oauth': { fields: { Hostname: undefined, 'User ID': config('actor') }, ends: 'Waiting for approval', type: null },
    },
    OAUTH1: { twitter: { hasWindow: true } },
    OAUTH2_CC: {
        'databricks-workspace': {
            fields: {
                'Client ID': credential('client_id'),
                'Client secret': credential('client_secret'),
                'Databricks Instance': (samples) => `https://${config('databricksInstance')(samples)}/`,
            },
        },
        // a certificate and a key, C16
        adp: {
            fields: {
                'Client ID': credential('client_id'),
                'Client secret': credential('client_secret'),
                'Client Certificate': credential('client_certificate'),
                'Client Private Key': credential('client_private_key'),
            },
            stored: ({ credentials }) => ({
                credentials: {
                    client_certificate: credentials['client_certificate']!.trim(),
                    client_private_key: credentials['client_private_key']!.trim(),
                },
            }),
        },
        // no secret but a key
        'okta-cc': {
            fields: {
                'Client ID': credential('client_id'),
                'Private Key (JWK)': credential('client_private_key'),
                'Okta Domain': config('hostname'),
                Scopes: config('oauth_scopes'),
            },
        },
    },
    JWT: {
        'snowflake-jwt': {
            fields: {
                Subdomain: config('subdomain'),
                'Account Identifier': credential('accountIdentifier'),
                Username: credential('userName'),
                'Private Key': credential('privateKey'),
            },
            stored: ({ credentials }) => ({ credentials: { type: 'JWT', privateKey: credentials['privateKey']!.trim() } }),
        },
    },
    TWO_STEP: {
        embat: { fields: { 'Email Address': credential('email'), Password: credential('password') } },
        'apple-business-manager': {
            fields: { 'Client ID': credential('clientId'), 'Key ID': credential('keyId'), 'Private Key': assertion('privateKey') },
        },
    },
    TBA: {
        'netsuite-tba': {
            fields: {
                'OAuth client ID': client('client_id'),
                'OAuth client secret': client('client_secret'),
                'Token ID': credential('token_id'),
                'Token secret': credential('token_secret'),
                'Account ID': config('accountId'),
            },
        },
    },
    BILL: {
        bill: {
            fields: {
                'User name': credential('username'),
                Password: credential('password'),
                'Organization ID': credential('organization_id'),
                'Developer key': credential('dev_key'),
            },
        },
    },
    SIGNATURE: { emarsys: { fields: { 'API Username': credential('username'), 'API Secret': credential('password') } } },
    AWS_SIGV4: { 'aws-sigv4': { fields: { 'IAM Role ARN': credential('role_arn'), 'AWS Region': () => undefined } } },
    NONE: { unauthenticated: { type: 'NONE' } },
    APP: { 'github-app': { hasWindow: true } },
    CUSTOM: { 'github-app-oauth': { hasWindow: true, type: 'APP' } },
    INSTALL_PLUGIN: { 'crisp-plugin-install': { hasWindow: true, type: 'BASIC' } },
    MCP_OAUTH2: { 'linear-mcp': { hasWindow: true, type: 'OAUTH2' } },
    MCP_OAUTH2_GENERIC: { 'mcp-generic': { fields: { 'MCP Server URL': config('mcp_server_url') }, hasWindow: true, type: 'OAUTH2' } },
};

test('there is a way for every mode of the catalogue', () => {
    const modes = new Set([...simulated.simulator.catalogue.values()].map(({ auth_mode }) => auth_mode));
    expect(Object.keys(ways).toSorted()).toEqual([...modes].toSorted());
    expect(modes.size).toBe(17);
});

const rows = Object.entries(ways).flatMap(([mode, entries]) => Object.entries(entries).map(([slug, way]) => [mode, slug, way] as const));

test.each(rows)('%s: %s', async (mode, slug, { fields = {}, hasWindow = false, session, ends = 'Connected', type = mode, stored }) => {
    const samples = await simulated.add(slug);
    const context = await simulated.context();
    const page = await openLink(context, await simulated.session(slug, session));
    await awaitHeading(page, /^Connect /);

    // C11: what is asked for, and in which order
    const shown = await page.locator('label').evaluateAll((labels) => labels.map(({ firstChild }) => firstChild?.textContent));
    expect(shown).toEqual(Object.keys(fields));
    for (const [label, value] of Object.entries(fields)) {
        const text = value?.(samples);
        if (text !== undefined) await input(page, label).fill(text);
    }

    if (hasWindow) {
        const popup = await popupOf(page, () => submit(page));
        await awaitHeading(page, /^Continue at /);
        await approve(popup);
    } else {
        await submit(page);
    }
    await awaitHeading(page, ends);
    await context.close();

    if (type === null) return;
    const [connection, ...others] = await simulated.connections(slug);
    expect(others).toEqual([]);
    expect(connection).toMatchObject({ end_user: { id: 'user-1' }, credentials: type === 'NONE' ? {} : { type } });
    if (stored) expect(connection).toMatchObject(stored(samples));
});
