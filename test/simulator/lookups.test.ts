/** What hooks and verification scripts ask for. */
import { describe, expect, test } from 'vitest';
import { basic, bearer, startTwins, type Reply, type Twins } from './twins.ts';

const cc = (base_url: string): object => ({ auth_mode: 'OAUTH2', token_url: 'https://x.example/token', proxy: { base_url } });

/** A token without the way to it. */
async function withToken(slug: string, base: string): Promise<{ twins: Twins; headers: { authorization: string }; token: string }> {
    const twins = await startTwins({ [slug]: cc(base) });
    const { grants } = twins.simulator.world;
    const token = grants.issueAccess(grants.begin({ slug, clientId: `${slug}.twin`, scopes: [], memory: {} }), 3600);
    return { twins, headers: bearer(token), token };
}

test.each<[string, string, string, unknown]>([
    ['hubspot', 'https://api.hubapi.com', '/account-info/v3/details', { portalId: 1_000_001 }],
    ['xero', 'https://api.xero.com', '/connections', [{}, { authEventId: 'event-of-xero', tenantId: 'simulated-tenant' }]],
    ['jira', 'https://api.atlassian.com', '/oauth/token/accessible-resources', [{}, { url: 'https://acme-jira.atlassian.net' }]],
    ['calendly', 'https://api.calendly.com', '/users/me', { resource: { current_organization: expect.any(String) } }],
    ['attio', 'https://api.attio.com', '/v2/self', { workspace_id: expect.any(String) }],
    ['procore', 'https://api.procore.com', '/rest/v1.0/companies', [{ id: expect.any(Number) }]],
    ['candis', 'https://api.candis.io', '/v1/organizations/info', { id: expect.any(String) }],
    ['gusto', 'https://api.gusto.com', '/v1/token_info', { resource: { uuid: expect.any(String) } }],
    ['docusign', 'https://account.docusign.com', '/oauth/userinfo', { accounts: [{}, { is_default: true, base_uri: expect.any(String) }] }],
    ['basecamp', 'https://launchpad.37signals.com', '/authorization.json', { accounts: [{ id: expect.any(Number) }] }],
    [
        'sophos-central',
        'https://api.central.sophos.com',
        '/whoami/v1',
        { id: expect.any(String), apiHosts: { dataRegion: 'https://acme-sophos-central.sophos.com' } },
    ],
    ['google-mail', 'https://gmail.googleapis.com', '/gmail/v1/users/me/profile', { emailAddress: expect.stringContaining('@') }],
])('%s answers its hook, with a token only', async (slug, base, path, expected) => {
    const { twins, headers } = await withToken(slug, base);
    expect((await twins.get(base + path, headers)).body).toMatchObject(expected as object);
    expect((await twins.get(base + path)).status).toBe(401);
});

test('linear wants a query about the organization', async () => {
    const { twins, headers } = await withToken('linear', 'https://api.linear.app');
    const ask = (query: string): Promise<Reply> => twins.json('https://api.linear.app/graphql', { query }, headers);
    expect((await ask('{ organization { id } }')).body.data.organization.id).toEqual(expect.any(String));
    expect((await ask('{ viewer { id } }')).status).toBe(400);
});

test('mailchimp takes its own scheme', async () => {
    const { twins, token } = await withToken('mailchimp', 'https://us1.api.mailchimp.com');
    expect((await twins.get('https://login.mailchimp.com/oauth2/metadata', { authorization: `OAuth ${token}` })).body.dc).toBe('us1');
});

test('hubspot deletes a refresh token by its address', async () => {
    const twins = await startTwins({ hubspot: cc('https://api.hubapi.com') });
    const { grants } = twins.simulator.world;
    const grant = grants.begin({ slug: 'hubspot', clientId: 'c', scopes: [], memory: {} });
    const refresh = grants.issueRefresh(grant);
    const remove = (token: string): Promise<Reply> => twins.call(`https://api.hubapi.com/oauth/v1/refresh-tokens/${token}`, { method: 'DELETE' });
    expect([(await remove('other')).status, (await remove(refresh)).status, grant.isRevoked]).toEqual([400, 204, true]);
    expect(JSON.stringify(twins.simulator.activity.list())).not.toContain(refresh);
});

test('an answer for one provider’s hook does not stand in the way of another provider’s API', async () => {
    const proxy = { base_url: 'https://api.github.com', headers: { authorization: 'Bearer ${apiKey}' } };
    const twins = await startTwins({ 'github-app-oauth': cc('https://api.github.com'), 'github-pat': { auth_mode: 'API_KEY', proxy } });
    expect((await twins.get('https://api.github.com/user', bearer('my-key'))).body.provider).toBe('github-pat');
});

test('of several providers at one host, the one that the host is called after is meant', async () => {
    const entry = { auth_mode: 'API_KEY', proxy: { base_url: 'https://api.openai.com', headers: { authorization: 'Bearer ${apiKey}' } } };
    const twins = await startTwins({ another: entry, 'openai-admin': entry, openai: entry });
    expect((await twins.get('https://api.openai.com/v1/models', bearer('my-key'))).body.provider).toBe('openai');
});

describe('verification scripts', () => {
    const key = { auth_mode: 'API_KEY', proxy: { base_url: 'https://x.example', headers: { 'x-api-key': '${apiKey}' } } };
    const user = {
        auth_mode: 'BASIC',
        proxy: { base_url: 'https://x.example' },
        connection_config: { organizationUrl: { type: 'string' }, baseUrl: { type: 'string' }, subdomain: { type: 'string' } },
    };

    test.each<[string, object, (twins: Twins, secret: string) => Promise<Reply>, (reply: Reply) => boolean]>([
        [
            'apollo',
            key,
            (twins, secret) => twins.get('https://app.apollo.io/api/v1/auth/health', { 'x-api-key': secret }),
            ({ body }) => body.is_logged_in === true,
        ],
        [
            'azure-devops',
            user,
            (twins, secret) => twins.get('https://dev.example/_apis/projects', basic('u', secret)),
            ({ status }) => status === 200,
        ],
        [
            'cdw',
            { ...key, connection_config: { baseUrl: { type: 'string' } } },
            (twins, secret) => twins.json('https://cdw.twin.example/orders', {}, { 'x-api-key': secret }),
            ({ status }) => status === 400,
        ],
        [
            'expensify',
            user,
            (twins, secret) =>
                twins.form('https://integrations.expensify.com/Integration-Server/ExpensifyIntegrations', {
                    requestJobDescription: JSON.stringify({ type: 'get', credentials: { partnerUserID: 'u', partnerUserSecret: secret } }),
                }),
            ({ body }) => body.responseCode === 200,
        ],
        [
            'lastpass',
            user,
            (twins, secret) => twins.json('https://lastpass.com/enterpriseapi.php', { cid: '1', provhash: secret, cmd: 'getuserdata' }),
            ({ text }) => !text.includes('Authorization Error'),
        ],
        [
            'pushpay-chms-v1',
            user,
            (twins, secret) => twins.get('https://acme.ccbchurch.com/api.php?srv=api_status', basic('u', secret)),
            ({ text }) => !text.includes('<error'),
        ],
        [
            'skio',
            key,
            (twins, secret) => twins.json('https://graphql.skio.com/v1/graphql', { query: '{ Orders { id } }' }, { 'x-api-key': secret }),
            ({ body }) => Array.isArray(body.data?.Orders),
        ],
        [
            'vantage-apparel',
            user,
            (twins, secret) =>
                twins.call('https://brandedpromoapparel.com/WebServices/OrderStatusService', {
                    method: 'POST',
                    headers: { 'content-type': 'text/xml', soapaction: '"getOrderStatusDetails"' },
                    body: `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><o:GetOrderStatusDetailsRequest xmlns:o="http://www.promostandards.org/WSDL/OrderStatusService/1.0.0/"><o:wsVersion>1.0.0</o:wsVersion><o:id>u</o:id><o:password>${secret}</o:password><o:queryType>1</o:queryType><o:referenceNumber>1</o:referenceNumber></o:GetOrderStatusDetailsRequest></s:Body></s:Envelope>`,
                }),
            ({ text }) => text.includes('301: ') && !text.includes('105: '),
        ],
    ])('%s says yes and no in its own way', async (slug, entry, ask, isYes) => {
        const twins = await startTwins({ [slug]: entry });
        expect([isYes(await ask(twins, 'fine')), isYes(await ask(twins, 'wrong'))]).toEqual([true, false]);
    });
});
