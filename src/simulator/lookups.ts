/** API calls that hooks make after connecting and before deleting (auth-modes §17.3), with answers that have what they look for. */
import { lookup, refuseCaller } from './api.ts';
import type { Entry } from './entry.ts';
import { invalidRequest, unauthorized } from './refusal.ts';
import { simulatedTenant } from './token-claims.ts';
import { assertMethod } from './twin-request.ts';
import { json, type Answer, type Call, type Endpoint } from './twin.ts';
import { verificationScripts } from './verification-scripts.ts';

type Lookups = (entry: Entry) => Endpoint[];

const get = (url: string, body: unknown | ((call: Call) => unknown)): Endpoint =>
    lookup(url, (call) => {
        assertMethod(call.request, 'GET');
        return json(typeof body === 'function' ? (body as (call: Call) => unknown)(call) : body);
    });

/** A GraphQL query about one thing. */
const graphql = (url: string, word: string, data: unknown): Endpoint =>
    lookup(url, ({ request }) => {
        assertMethod(request, 'POST');
        if (!request.body.includes(word)) throw invalidRequest(`The query does not ask for "${word}".`);
        return json({ data });
    });

const done = (url: string, ...methods: string[]): Endpoint =>
    lookup(url, ({ request }) => {
        assertMethod(request, ...methods);
        return { status: 200, body: { ok: true } };
    });

const cloudId = '11111111-aaaa-4bbb-8ccc-222222222222';

function atlassian(root: string): Lookups {
    return ({ slug }) => [
        get(`${root}/oauth/token/accessible-resources`, [
            { id: '99999999-aaaa-4bbb-8ccc-222222222222', url: 'https://another-site.atlassian.net', name: 'another site', scopes: [] },
            { id: cloudId, url: `https://acme-${slug}.atlassian.net`, name: `acme-${slug}`, scopes: [] },
        ]),
        get(`${root}/me`, { account_id: 'simulated-account', email: `twin@${slug}.example` }),
        get(`${root}/ex/jira/\${connectionConfig.cloudId}/rest/api/3/myself`, { accountId: 'simulated-account' }),
        get(`${root}/ex/confluence/\${connectionConfig.cloudId}/wiki/rest/api/user/current`, { accountId: 'simulated-account' }),
    ];
}

const docusign =
    (host: string): Lookups =>
    () => [
        get(`https://${host}/oauth/userinfo`, {
            sub: 'simulated-user',
            accounts: [
                { account_id: 'other-account', is_default: false, base_uri: 'https://na1.docusign.net' },
                { account_id: 'simulated-account', is_default: true, base_uri: 'https://na3.docusign.net' },
            ],
        }),
    ];

const gusto =
    (root: string): Lookups =>
    () => [
        get(`${root}/v1/token_info`, {
            scope: 'public',
            resource: { type: 'Company', uuid: 'simulated-company' },
            resource_owner: { type: 'CompanyAdmin' },
        }),
    ];

const calendar: Lookups = ({ slug }) => [
    get('https://www.googleapis.com/calendar/v3/calendars/primary', { id: `twin@${slug}.example`, summary: 'Simulated' }),
    get('https://www.googleapis.com/calendar/v3/users/me/calendarList/primary', { id: `twin@${slug}.example`, primary: true }),
];

const table: Readonly<Record<string, Lookups>> = {
    hubspot: () => [
        get('https://api.hubapi.com/account-info/v3/details', { portalId: 1_000_001, accountType: 'STANDARD' }),
        {
            kind: 'revoke',
            url: 'https://api.hubapi.com/oauth/v1/refresh-tokens/${connectionConfig.refreshToken}',
            handle: ({ entry, request, world, bindings }) => {
                assertMethod(request, 'DELETE');
                const token = bindings['connectionConfig.refreshToken']!;
                if (world.grants.slugOf(token) !== entry.slug) throw invalidRequest('The token is not one that this provider gave out.');
                world.grants.revoke(entry.slug, token);
                return { status: 204, body: '' };
            },
        },
    ],
    jira: atlassian('https://api.atlassian.com'),
    confluence: atlassian('https://api.atlassian.com'),
    'atlassian-government-cloud': atlassian('https://api.atlassian-us-gov-mod.com'),
    'atlassian-service-account-oauth2': atlassian('https://api.atlassian.com'),
    'atlassian-service-account-api-token': atlassian('https://api.atlassian.com'),
    xero: () => [
        get('https://api.xero.com/connections', [
            { id: '1', authEventId: 'another-event', tenantId: 'another-tenant', tenantType: 'ORGANISATION' },
            { id: '2', authEventId: 'event-of-xero', tenantId: 'simulated-tenant', tenantType: 'ORGANISATION' },
        ]),
    ],
    mailchimp: () => [
        {
            kind: 'lookup',
            url: 'https://login.mailchimp.com/oauth2/metadata',
            refuse: refuseCaller,
            // The vendor's scheme is OAuth; it takes Bearer as well.
            handle: ({ entry, request, world }) => {
                assertMethod(request, 'GET');
                const [, token] = /^(?:OAuth|Bearer) (\S+)$/.exec(request.headers['authorization'] ?? '') ?? [];
                if (token === undefined) throw unauthorized('There is no access token.');
                world.grants.openAccess(entry.slug, token);
                return json({ dc: 'us1', login_url: 'https://login.mailchimp.com', api_endpoint: 'https://us1.api.mailchimp.com' });
            },
        },
    ],
    docusign: docusign('account.docusign.com'),
    'docusign-sandbox': docusign('account-d.docusign.com'),
    gusto: gusto('https://api.gusto.com'),
    'gusto-demo': gusto('https://api.gusto-demo.com'),
    calendly: () => [
        get('https://api.calendly.com/users/me', {
            resource: { uri: 'https://api.calendly.com/users/SIMULATED', current_organization: 'https://api.calendly.com/organizations/SIMULATED' },
        }),
    ],
    linear: () => [
        graphql('https://api.linear.app/graphql', 'organization', { organization: { id: 'simulated-organization' } }),
        done('https://api.linear.app/oauth/revoke', 'POST'),
    ],
    jobber: () => [graphql('https://api.getjobber.com/api/graphql', 'account', { account: { id: 'simulated-account' } })],
    attio: () => [get('https://api.attio.com/v2/self', { active: true, workspace_id: 'simulated-workspace', workspace_name: 'Simulated' })],
    basecamp: () => [
        get('https://launchpad.37signals.com/authorization.json', {
            identity: { id: 1 },
            accounts: [{ product: 'bc3', id: 1_000_001, name: 'Simulated', href: 'https://3.basecampapi.com/1000001' }],
        }),
    ],
    procore: () => [get('https://api.procore.com/rest/v1.0/companies', [{ id: 1_000_001, name: 'Simulated', is_active: true }])],
    workable: ({ slug }) => {
        const body = { accounts: [{ id: '1', name: 'Simulated', subdomain: `acme-${slug}` }] };
        return [
            get('https://www.workable.com/spi/v3/accounts', body),
            get('https://${connectionConfig.subdomain}.workable.com/spi/v3/accounts', body),
        ];
    },
    candis: () => [get('https://api.candis.io/v1/organizations/info', { id: 'simulated-organization', name: 'Simulated' })],
    'sage-200': () => [
        get('https://api.columbus.sage.com/uk/${connectionConfig.edition}/accounts/v1/sites', [
            { company_id: 1, site_id: 'simulated-site', company_name: 'Simulated' },
        ]),
    ],
    'sophos-central': ({ slug }) => [
        get('https://api.central.sophos.com/whoami/v1', {
            id: 'simulated-tenant',
            idType: 'tenant',
            apiHosts: { global: 'https://api.central.sophos.com', dataRegion: `https://acme-${slug}.sophos.com` },
        }),
    ],
    'checkr-partner': () => [get('https://api.checkr.com/v1/nodes', { object: 'list', data: [] })],
    'checkr-partner-staging': () => [get('https://api.checkr-staging.com/v1/nodes', { object: 'list', data: [] })],
    snowflake: () => [
        lookup('https://${connectionConfig.snowflake_account_url}/api/v2/statements', ({ request }) => {
            assertMethod(request, 'POST');
            if (!/current_user/i.test(request.body)) throw invalidRequest('The statement does not ask for the current user.');
            return json({ code: '090001', data: [['SIMULATED']], resultSetMetaData: { numRows: 1 } });
        }),
    ],
    'google-mail': ({ slug }) => [
        get('https://gmail.googleapis.com/gmail/v1/users/me/profile', { emailAddress: `twin@${slug}.example`, historyId: '1' }),
    ],
    'google-calendar': calendar,
    'google-calendar-mcp': calendar,
    'github-app-oauth': () => [get('https://api.github.com/user', { login: 'simulated', id: 1_000_001, type: 'User' })],
    'rippling-shop-app': () => [done('https://api.rippling.com/platform/api/mark_app_installed', 'POST')],
    intercom: () => [
        done('https://api.intercom.io/auth/uninstall', 'POST'),
        done('https://api.${connectionConfig.region}.intercom.io/auth/uninstall', 'POST'),
    ],
    onelogin: () => [
        {
            kind: 'revoke',
            url: 'https://${connectionConfig.subdomain}.onelogin.com/auth/oauth2/revoke',
            handle: ({ request, entry, world }): Answer => {
                assertMethod(request, 'POST');
                const [, id, client_secret] = /^client_id:\s*([^,]+),\s*client_secret:\s*(\S+)$/.exec(request.headers['authorization'] ?? '') ?? [];
                if (id === undefined || client_secret === undefined) throw unauthorized('The header must be "client_id:…, client_secret:…".');
                world.credentials.check(entry, { id, secrets: { client_secret } });
                return json({ status: { error: false, code: 200, message: 'Success' } });
            },
        },
    ],
};

/** Microsoft Graph knows the tenant; some hooks ask instead of reading the token. */
const organization = get('https://graph.microsoft.com/v1.0/organization', { value: [{ id: simulatedTenant, displayName: 'Simulated' }] });

export function lookupsOf(entry: Entry): Endpoint[] {
    const graph = entry.proxy?.base_url === 'https://graph.microsoft.com' ? [organization] : [];
    return [...(table[entry.slug]?.(entry) ?? []), ...(verificationScripts[entry.slug]?.(entry) ?? []), ...graph];
}
