/** What each hook asks, and what it stores of what it is told (catalogue contract 11; auth-modes §17.3). */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { postConnectionHooks } from '../../../src/providers/hooks/index.ts';
import { asked, basic, oauth2, recorded, tokenWith, type Recorded, type Surroundings } from './recorded-calls.ts';

const run = async (name: string, answers: readonly Recorded[], given: Surroundings = {}) => {
    const { context, calls } = recorded(answers, given);
    return { found: await postConnectionHooks.get(name)!(context), calls };
};
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const sites = [
    { id: 'id-1', url: 'https://other.atlassian.net', name: 'Other' },
    { id: 'id-2', url: 'https://acme.atlassian.net', name: 'Company' },
    { id: 'id-3', url: 'https://xyz.atlassian.net', name: 'Sandbox of Globex' },
];
const accounts = [
    { account_id: 'a-1', is_default: false, base_uri: 'https://na1.docusign.net' },
    { account_id: 'a-2', is_default: true, base_uri: 'https://eu.docusign.net' },
];
const launchpad = 'GET https://launchpad.37signals.com/authorization.json';
const zohoEntry = {
    connection_config: { extension: { type: 'string', title: 'Extension', description: 'x', enum: ['com', 'eu', 'com.au'] } },
} as const;
const client = { type: 'OAUTH2_CC', token: tokenWith({ corpid: 7 }), client_id: 'cc-id', client_secret: 's', raw: {} } as const;

interface Case {
    hook: string;
    given?: Surroundings;
    answers?: Recorded[];
    calls?: string[];
    found: Record<string, unknown>;
}

const cases: Case[] = [
    { hook: 'hubspot', answers: [[200, { portalId: 42 }]], calls: ['GET /account-info/v3/details'], found: { portalId: 42 } },
    {
        hook: 'jira',
        given: { provider: 'jira', config: { subdomain: 'ACME' } },
        answers: [
            [200, sites],
            [200, { accountId: 'u-1' }],
        ],
        calls: ['GET /oauth/token/accessible-resources', 'GET /ex/jira/id-2/rest/api/3/myself'],
        found: { cloudId: 'id-2', baseUrl: 'https://acme.atlassian.net', accountId: 'u-1' },
    },
    {
        hook: 'jira',
        given: { provider: 'confluence', config: { subdomain: 'globex' } },
        answers: [
            [200, sites],
            [200, { accountId: 'u-1' }],
        ],
        calls: ['GET /oauth/token/accessible-resources', 'GET /ex/confluence/id-3/wiki/rest/api/user/current'],
        found: { cloudId: 'id-3', baseUrl: 'https://xyz.atlassian.net', accountId: 'u-1' },
    },
    {
        hook: 'atlassianGovernmentCloud',
        answers: [[200, sites], 403],
        found: { cloudId: 'id-1', baseUrl: 'https://other.atlassian.net', accountId: undefined },
    },
    { hook: 'jira', answers: [[200, []]], found: {} },
    {
        hook: 'atlassianServicAccount',
        given: { credentials: basic, config: { cloudId: 'id-2' } },
        answers: [401, [200, { accountId: 'bot' }]],
        found: { cloudId: 'id-2', accountId: 'bot' },
    },
    { hook: 'xero', answers: [[200, [{ tenantId: 't-1' }]]], calls: ['GET /connections'], found: { tenant_id: 't-1' } },
    {
        hook: 'xero',
        given: { credentials: oauth2(tokenWith({ authentication_event_id: 'e-2' })) },
        answers: [
            [
                200,
                [
                    { tenantId: 't-1', authEventId: 'e-1' },
                    { tenantId: 't-2', authEventId: 'e-2' },
                ],
            ],
        ],
        found: { tenant_id: 't-2' },
    },
    { hook: 'xero', given: { config: { tenant_id: 't-1' } }, answers: [[200, [{ tenantId: 't-1' }, { tenantId: 't-2' }]]], found: {} },
    {
        hook: 'xero',
        given: { config: { tenant_id: 'gone' } },
        answers: [[200, [{ tenantId: 't-1' }, { tenantId: 't-2' }]]],
        found: { tenant_id: undefined },
    },
    { hook: 'mailchimp', answers: [[200, { dc: 'us6' }]], calls: ['GET https://login.mailchimp.com/oauth2/metadata'], found: { dc: 'us6' } },
    {
        hook: 'docusign',
        given: { provider: 'docusign' },
        answers: [[200, { accounts }]],
        calls: ['GET https://account.docusign.com/oauth/userinfo'],
        found: { baseUri: 'https://eu.docusign.net', accountId: 'a-2' },
    },
    {
        hook: 'docusign',
        given: { provider: 'docusign-sandbox' },
        answers: [[200, { accounts: [] }]],
        calls: ['GET https://account-d.docusign.com/oauth/userinfo'],
        found: {},
    },
    { hook: 'gusto', answers: [[200, { resource: { type: 'Company', uuid: 'c-1' } }]], calls: ['GET /v1/token_info'], found: { companyUuid: 'c-1' } },
    { hook: 'gusto', answers: [[200, { resource: { type: 'Application', uuid: 'x' } }]], found: {} },
    {
        hook: 'calendly',
        answers: [[200, { resource: { current_organization: 'https://api.calendly.com/organizations/ORG1' } }]],
        calls: ['GET /users/me'],
        found: { organizationId: 'ORG1' },
    },
    { hook: 'linear', answers: [[200, { data: { organization: { id: 'o-1' } } }]], calls: ['POST /graphql'], found: { organizationId: 'o-1' } },
    { hook: 'jobber', answers: [[200, { data: { account: { id: 'a-1' } } }]], calls: ['POST /graphql'], found: { accountId: 'a-1' } },
    { hook: 'attio', answers: [[200, { workspace_id: 'w-1' }]], calls: ['GET /v2/self'], found: { workspace_id: 'w-1' } },
    { hook: 'candis', answers: [[200, { id: 'o-1' }]], calls: ['GET /v1/organizations/info'], found: { organizationId: 'o-1' } },
    { hook: 'basecamp', answers: [[200, { accounts: [{ id: 5 }] }]], calls: [launchpad], found: { accounts: [{ id: 5 }], accountId: '5' } },
    { hook: 'basecamp', answers: [[200, { accounts: [{ id: 5 }, { id: 6 }] }]], found: { accounts: [{ id: 5 }, { id: 6 }] } },
    { hook: 'basecamp', given: { config: { accountId: '9' } }, answers: [[200, { accounts: [{ id: 5 }] }]], found: { accounts: [{ id: 5 }] } },
    { hook: 'procore', answers: [[200, [{ id: 3 }, { id: 4 }]]], calls: ['GET /rest/v1.0/companies'], found: { companyId: 3 } },
    { hook: 'procore', given: { config: { companyId: '9' } }, calls: [], found: {} },
    { hook: 'procore', answers: [[200, []]], found: {} },
    {
        hook: 'workable',
        answers: [[200, { accounts: [{ subdomain: 'acme' }] }]],
        calls: ['GET https://www.workable.com/spi/v3/accounts'],
        found: { subdomain: 'acme' },
    },
    { hook: 'workable', given: { config: { subdomain: 'acme' } }, calls: [], found: {} },
    {
        hook: 'sage200',
        answers: [[200, [{ company_id: 1, site_id: 's-1' }]]],
        calls: ['GET /accounts/v1/sites'],
        found: { company_id: '1', site_id: 's-1' },
    },
    { hook: 'sage200', answers: [[200, []]], found: {} },
    {
        hook: 'sophosCentral',
        answers: [[200, { id: 't-1', idType: 'tenant', apiHosts: { dataRegion: 'https://api-us03.central.sophos.com' } }]],
        calls: ['GET https://api.central.sophos.com/whoami/v1'],
        found: { tenantId: 't-1', dataRegion: 'https://api-us03.central.sophos.com' },
    },
    { hook: 'checkrPartner', answers: [[200, { data: [] }]], calls: ['GET /v1/nodes'], found: { accountHierarchyEnabled: true } },
    { hook: 'checkrPartner', answers: [403], found: { accountHierarchyEnabled: false } },
    { hook: 'snowflake', answers: [[200, { data: [['JDOE']] }]], calls: ['POST /api/v2/statements'], found: { username: 'JDOE' } },
    {
        hook: 'googleMail',
        answers: [[200, { emailAddress: 'Jane@Acme.example' }]],
        calls: ['GET /gmail/v1/users/me/profile'],
        found: { emailAddressHash: sha256('jane@acme.example') },
    },
    {
        hook: 'googleCalendar',
        answers: [[200, { id: 'jane@acme.example' }]],
        calls: ['GET https://www.googleapis.com/calendar/v3/calendars/primary'],
        found: { emailAddressHash: sha256('jane@acme.example') },
    },
    ...['microsoftTeams', 'microsoftTeamsBot', 'onedrive'].map((hook) => ({
        hook,
        given: { credentials: oauth2(tokenWith({ tid: 'tenant-1' })) },
        calls: [],
        found: { tenantId: 'tenant-1' },
    })),
    { hook: 'microsoftTeams', given: { credentials: oauth2('EwB4opaque') }, calls: [], found: {} },
    { hook: 'microsoftTeams', given: { credentials: oauth2('a.!!.b') }, calls: [], found: {} },
    { hook: 'microsoftTeams', given: { credentials: oauth2(tokenWith(null)) }, calls: [], found: {} },
    { hook: 'sellsy', given: { credentials: client }, calls: [], found: { corpid: 7 } },
    { hook: 'sellsy', calls: [], found: {} },
    {
        hook: 'highlevel',
        given: { credentials: oauth2('t', { companyId: 'c', locationId: 'l' }) },
        calls: [],
        found: { companyId: 'c', locationId: 'l' },
    },
    { hook: 'highlevel', given: { credentials: oauth2('t', { companyId: 'c' }) }, calls: [], found: { companyId: 'c', locationId: undefined } },
    { hook: 'zoho', given: { entry: zohoEntry, config: { api_domain: 'https://www.zohoapis.com.au' } }, calls: [], found: { extension: 'com.au' } },
    { hook: 'zoho', given: { entry: zohoEntry, credentials: oauth2('t', { api_domain: 'https://www.zohoapis.eu' }) }, found: { extension: 'eu' } },
    { hook: 'zoho', given: { entry: zohoEntry, config: { api_domain: 'https://www.zohoapis.eu', extension: 'com' } }, found: {} },
    { hook: 'zoho', given: { entry: zohoEntry, config: { api_domain: 'https://www.zohoapis.sa' } }, found: {} },
    { hook: 'zoho', given: { entry: zohoEntry }, found: {} },
    {
        hook: 'sentryOauth',
        given: { config: { 'installation.uuid': 'i-1' } },
        answers: [200],
        calls: ['PUT /0/sentry-app-installations/i-1/'],
        found: {},
    },
    { hook: 'ripplingShopApp', answers: [200], calls: ['POST /platform/api/mark_app_installed'], found: {} },
    { hook: 'adobeUmapi', given: { clientId: 'cc-id' }, calls: [], found: { clientId: 'cc-id' } },
    { hook: 'bullhorn', calls: [], found: { username: undefined, password: undefined } },
    { hook: 'salesforce', calls: [], found: {} },
    { hook: 'githubAppOauth', calls: [], found: {} },
];

describe('what is found', () => {
    test.each(cases)('$hook: $found', async ({ hook, given, answers = [], calls, found }) => {
        const ran = await run(`${hook}PostConnection`, answers, given);
        // Removals count: toStrictEqual tells them from absence.
        expect(ran.found).toStrictEqual(found);
        if (calls) expect(asked(ran.calls)).toEqual(calls);
    });

    test('every hook is tried above', () => {
        expect(new Set(cases.map(({ hook }) => `${hook}PostConnection`))).toEqual(new Set(postConnectionHooks.keys()));
    });

    test('GraphQL and statements ask for what is stored', async () => {
        const body = async (hook: string, answer: unknown) => (await run(hook, [[200, answer]])).calls[0]!.json;
        expect(await body('linearPostConnection', { data: { organization: { id: 'o' } } })).toEqual({ query: 'query { organization { id } }' });
        expect(await body('jobberPostConnection', { data: { account: { id: 'a' } } })).toEqual({ query: 'query { account { id } }' });
        expect(await body('snowflakePostConnection', { data: [['U']] })).toEqual({ statement: 'SELECT CURRENT_USER()' });
    });
});

/** Hooks that must call, and what they need to do so. */
const calling = cases.filter(({ calls, given }) => calls !== undefined && calls.length > 0 && given?.credentials !== basic);

describe('what is not found', () => {
    test.each(calling.map(({ hook, given }) => ({ hook, given })))(
        '$hook: an outage, a refusal and silence are failures',
        async ({ hook, given }) => {
            const name = `${hook}PostConnection`;
            for (const status of [503, 429, 401]) {
                await expect(run(name, [status], given)).rejects.toThrow(
                    expect.objectContaining({ name: 'HookFailure', message: expect.stringContaining(String(status)) as string }),
                );
            }
            await expect(run(name, ['silence'], given)).rejects.toThrow('connect_timeout');
        },
    );

    const reading = calling.filter(({ hook }) => !['checkrPartner', 'sentryOauth', 'ripplingShopApp'].includes(hook));
    test.each(reading.map(({ hook, given }) => ({ hook, given })))(
        '$hook: nonsense is a failure that shows nothing of it',
        async ({ hook, given }) => {
            for (const nonsense of ['<html>a-secret</html>', null, { unexpected: 'a-secret' }, [null], 7]) {
                const failure: unknown = await run(`${hook}PostConnection`, [[200, nonsense]], given).then(
                    ({ found }) => found,
                    (error: unknown) => error,
                );
                if (failure instanceof Error) expect([failure.name, failure.message.includes('a-secret')]).toEqual(['HookFailure', false]);
                // A list whose one element is nothing has no tenant in it.
                else expect([hook, failure]).toEqual([hook, { xero: { tenant_id: undefined }, gusto: {} }[hook]]);
            }
        },
    );

    test.each([
        ['docusign', { accounts: [{ ...accounts[1], base_uri: 'https://docusign.net.evil.example' }] }],
        ['docusign', { accounts: [{ ...accounts[1], base_uri: 'http://eu.docusign.net' }] }],
        ['sophosCentral', { id: 't', idType: 'tenant', apiHosts: { dataRegion: 'https://sophos.com.evil.example' } }],
        ['sophosCentral', { id: 't', idType: 'tenant', apiHosts: { dataRegion: 'https://u:p@api.central.sophos.com' } }],
        ['sophosCentral', { id: 'p', idType: 'partner', apiHosts: {} }],
    ])('%s refuses %j', async (hook, body) => {
        await expect(run(`${hook}PostConnection`, [[200, body]])).rejects.toThrow(expect.objectContaining({ name: 'HookFailure' }));
    });

    test('an outage behind the second call of Atlassian is one too', async () => {
        await expect(run('jiraPostConnection', [[200, sites], 502])).rejects.toThrow('502');
    });

    test('Sentry without an installation is not asked', async () => {
        await expect(run('sentryOauthPostConnection', [])).rejects.toThrow('installation.uuid');
    });
});
