/** POST /auth/two-step: logins of every shape that the catalogue has, against servers that check them; and how they are renewed (auth-modes §10). */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { DOMParser } from '@xmldom/xmldom';
import { decodeProtectedHeader, jwtVerify } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SignedXml } from 'xml-crypto';
import { ConnectionObject } from '../../src/http/connection-schema.ts';
import { startLoginServer, type LoginHandler, type LoginRequest, type LoginServer } from '../peers/login-server.ts';
import { createIntegration, createSession } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';
import { twoStepEntries } from './two-step-entries.ts';

const minute = 60_000;
const hour = 60 * minute;

let valetkey: TestApp;
let server: LoginServer;
let token: string;
/** How far the application's clock is ahead. */
let ahead = 0;

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsaPem = rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const ecPem = ec.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

beforeAll(async () => {
    server = await startLoginServer();
    // The pause before a refusal is confirmed; and the deadline of a login, for a server that says nothing.
    valetkey = await startTestApp({ providers: JSON.stringify(twoStepEntries(server.url)), waits: { 1000: 0, 20_000: 1500 } });
    for (const name of Object.keys(twoStepEntries(server.url))) {
        await createIntegration(valetkey, name, name);
    }
    await createIntegration(valetkey, 'preset', 'sage-300-cre', { integration_config: { dppKey: 'preset-dpp-key' } });
    await valetkey.call('PATCH', '/environment/webhooks', { body: { primary_url: 'https://hooks.example.com' } });
});
afterAll(async () => {
    await valetkey?.close();
    await server?.close();
});
beforeEach(async () => {
    server.handlers.clear();
    server.requests.length = 0;
    token = await createSession(valetkey);
});

const now = (): number => Date.now() + ahead;
const advance = (ms: number): void => {
    ahead += ms;
    valetkey.advance(ms);
};
const on = (path: string, handler: LoginHandler): void => void server.handlers.set(path, handler);
const post = (integration: string, body: unknown, query = '', session = token): Promise<Answer<{ connectionId: string }>> =>
    valetkey.call('POST', `/auth/two-step/${integration}?connect_session_token=${session}${query}`, { key: null, body });
const connect = async (integration: string, body: Record<string, unknown>, query = ''): Promise<string> => {
    const answer = await post(integration, { type: 'TWO_STEP', ...body }, query);
    expect([answer.status, answer.text]).toEqual([200, JSON.stringify({ connectionId: answer.body.connectionId, providerConfigKey: integration })]);
    return answer.body.connectionId;
};
type Connection = { credentials: Record<string, unknown>; connection_config: Record<string, unknown>; errors: unknown[]; metadata: unknown };
const ask = (id: string, integration: string, query = '') =>
    valetkey.call<Connection>('GET', `/connections/${id}?provider_config_key=${integration}${query}`);
const read = async (id: string, integration: string, query = ''): Promise<Connection> => {
    const answer = await ask(id, integration, query);
    expect(answer.status, answer.text).toBe(200);
    ConnectionObject.parse(answer.body);
    return answer.body;
};
const livesFor = ({ credentials }: Connection): number => Math.round((Date.parse(credentials['expires_at'] as string) - now()) / minute);
const last = (): LoginRequest => server.requests.at(-1)!;

describe('shapes of the first call', () => {
    test('nested JSON, a URL made of configuration, a token at a path that lives for days, hours and minutes (tableau)', async () => {
        on('/api/3.26/auth/signin', () => ({ body: { credentials: { token: 'tab-token', estimatedTimeToExpiration: '1:02:03' } } }));
        const id = await connect('tableau', { pat: ' name ', secret: 'tab-secret' }, '&params[version]=3.26');
        expect(server.requests).toHaveLength(1);
        expect([last().method, last().headers['content-type'], last().json]).toEqual([
            'POST',
            'application/json',
            { credentials: { personalAccessTokenName: 'name', personalAccessTokenSecret: 'tab-secret', site: { contentUrl: '' } } },
        ]);
        const connection = await read(id, 'tableau');
        expect(connection.credentials).toEqual({
            type: 'TWO_STEP',
            pat: 'name',
            secret: 'tab-secret',
            contentUrl: '',
            token: 'tab-token',
            expires_at: expect.any(String) as string,
            raw: { credentials: { token: 'tab-token', estimatedTimeToExpiration: '1:02:03' } },
        });
        expect([livesFor(connection), connection.connection_config]).toEqual([24 * 60 + 2 * 60 + 3, { version: '3.26' }]);
    });

    test('a form with a Basic header of hidden defaults (datto)', async () => {
        on('/datto', () => ({ body: { access_token: 'datto-token', expires_in: 7200 } }));
        const id = await connect('datto-rmm-password-grant', { username: 'ABCD1234', password: ' p w ' });
        expect(last().headers).toMatchObject({
            'content-type': 'application/x-www-form-urlencoded',
            authorization: `Basic ${Buffer.from('public-client:public').toString('base64')}`,
        });
        expect(last().form).toEqual({ grant_type: 'password', username: 'ABCD1234', password: ' p w ' });
        expect(livesFor(await read(id, 'datto-rmm-password-grant'))).toBe(120);
    });

    test('a signed GET whose whole answer is the token (avanan)', async () => {
        on('/avanan', ({ headers }) => {
            const [random, date] = [String(headers['x-av-req-id']), String(headers['x-av-date'])];
            const signed = Buffer.from(`${random}app${date}av-secret`).toString('base64');
            const isRight = headers['x-av-sig'] === createHash('sha256').update(signed).digest('hex');
            return isRight ? { body: 'av-token\n' } : { status: 401 };
        });
        const id = await connect('avanan', { appId: 'app', secretKey: 'av-secret' });
        expect([last().method, last().body]).toEqual(['GET', '']);
        const connection = await read(id, 'avanan');
        expect([connection.credentials['token'], connection.credentials['raw'], livesFor(connection)]).toEqual(['av-token', 'av-token', 60]);
    });

    test('credentials in the query (jobdiva)', async () => {
        on('/jobdiva', ({ query }) => (query['password'] === 'a&b=c/ü' ? { body: '"jd-token"' } : { status: 401 }));
        const id = await connect('jobdiva', { clientId: '1234', password: 'a&b=c/ü' });
        expect(last().query).toEqual({ clientid: '1234', password: 'a&b=c/ü' });
        const connection = await read(id, 'jobdiva');
        // R13: nothing says how long, so half an hour is assumed
        expect([connection.credentials['token'], livesFor(connection)]).toEqual(['jd-token', 30]);
    });

    test('cookies of the answer (sap-business-one)', async () => {
        on('/b1s/Login', () => ({
            headers: { 'set-cookie': ['B1SESSION=s-1; path=/; HttpOnly', 'ROUTEID=.node2; path=/b1s'] },
            body: { SessionId: 's-1' },
        }));
        const id = await connect('sap-business-one', { userName: 'manager', password: 'pw-of-sap' }, '&params[companyDb]=DEMO');
        expect(last().json).toEqual({ CompanyDB: 'DEMO', UserName: 'manager', Password: 'pw-of-sap' });
        expect((await read(id, 'sap-business-one')).credentials).toMatchObject({
            token: 's-1',
            B1SESSION: 's-1',
            ROUTEID: '.node2',
            _cookies: 'B1SESSION=s-1; ROUTEID=.node2',
        });
    });

    test('XML there and back (sage-intacct)', async () => {
        on('/xmlgw', () => ({
            headers: { 'content-type': 'text/xml' },
            body:
                `<?xml version="1.0"?><response><operation><authentication><sessiontimeout>${new Date(now() + 2 * hour).toISOString()}</sessiontimeout></authentication>` +
                '<result><data><api><sessionid>xml-token</sessionid></api></data></result></operation></response>',
        }));
        const id = await connect('sage-intacct', { senderId: 'sender', senderPassword: 'a<b>&"c', userId: 'ann' });
        expect(last().headers['content-type']).toBe('application/xml');
        const document = new DOMParser().parseFromString(last().body, 'text/xml');
        expect(document.getElementsByTagName('password')[0]?.textContent).toBe('a<b>&"c');
        expect(document.getElementsByTagName('function')[0]?.getAttribute('controlid')).toMatch(/^[0-9a-f-]{36}$/);
        const connection = await read(id, 'sage-intacct');
        expect([connection.credentials['token'], livesFor(connection)]).toEqual(['xml-token', 120]);
        expect(connection.credentials['raw']).toMatchObject({ response: { operation: { result: {} } } });
    });

    test('one that never ends, and configuration that comes along (salesforce-jwt)', async () => {
        on('/sfdc', () => ({ body: { access_token: 'sf-token', instance_url: 'https://acme.my.salesforce.example' } }));
        const connection = await read(await connect('salesforce-jwt', { username: 'ann' }), 'salesforce-jwt');
        expect(connection.credentials).not.toHaveProperty('expires_at');
        expect(connection.connection_config).toEqual({ instance_url: 'https://acme.my.salesforce.example' });
    });
});

describe('further calls', () => {
    test('three, each where the one before said (docuware)', async () => {
        on('/dw/IdentityServiceInfo', () => ({ body: { IdentityServiceUrl: `${server.url}/identity` } }));
        on('/identity/.well-known/openid-configuration', () => ({ body: { token_endpoint: `${server.url}/identity/connect/token` } }));
        on('/identity/connect/token', ({ form }) =>
            form['password'] === 'dw-secret' ? { body: { access_token: 'dw', expires_in: 60 } } : { status: 400 },
        );
        const id = await connect('docuware', { username: 'ann', password: 'dw-secret' });
        expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
            'GET /dw/IdentityServiceInfo',
            'GET /identity/.well-known/openid-configuration',
            'POST /identity/connect/token',
        ]);
        expect((await read(id, 'docuware')).credentials).toMatchObject({ token: 'dw', raw: { access_token: 'dw', expires_in: 60 } });
    });

    test('what an earlier answer said of the account is kept (sellercloud)', async () => {
        on('/server-by-team', ({ query }) => ({ body: { restApiEndpoint: `${server.url}/rest-${query['team']}` } }));
        on('/rest-acme/api/token', () => ({ body: { access_token: 'sc', expires_in: 600 } }));
        const id = await connect('sellercloud', { teamName: 'acme', username: 'ann', password: 'sc-secret' });
        expect(last().json).toEqual({ Username: 'ann', Password: 'sc-secret' });
        expect((await read(id, 'sellercloud')).connection_config).toEqual({ restApiEndpoint: `${server.url}/rest-acme` });
    });

    test.each([
        ['no address', {}, 'invalid_two_step_credentials'],
        ['an address without https that is not opened', { restApiEndpoint: 'http://internal.example/rest' }, 'two_step_credentials_fetch_error'],
        ['an address with a user part', { restApiEndpoint: 'https://a@evil.example' }, 'two_step_credentials_fetch_error'],
        ['an address of the metadata service', { restApiEndpoint: 'https://169.254.169.254/latest' }, 'two_step_credentials_fetch_error'],
        ['no text', { restApiEndpoint: { a: 1 } }, 'invalid_two_step_credentials'],
    ])('%s in an answer ends the login without another call', async (_name, body, code) => {
        on('/server-by-team', () => ({ body }));
        const answer = await post('sellercloud', { teamName: 'acme', username: 'ann', password: 'sc-secret' });
        expect([answer.status, answer.body]).toEqual([400, { error: { code, message: expect.stringMatching(/.{20}/) as string } }]);
        expect(answer.text).not.toMatch(/sc-secret|evil|internal/);
        expect(server.requests).toHaveLength(1);
    });

    test('a refusal of a later call is one of the credentials, not an error of the server', async () => {
        on('/server-by-team', () => ({ body: { restApiEndpoint: `${server.url}/rest` } }));
        on('/rest/api/token', () => ({ status: 401, body: { message: 'Bad password sc-secret' } }));
        const answer = await post('sellercloud', { teamName: 'acme', username: 'ann', password: 'sc-secret' });
        expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'invalid_two_step_credentials' } }]);
        expect(answer.text).toContain('it answered 401 (Bad password [redacted]) to call 2 of the login');
    });
});

describe('assertions', () => {
    const verified = (jwt: string | undefined, key: typeof rsa.publicKey, rest: object = {}) =>
        jwtVerify(jwt ?? '', key, { currentDate: new Date(now()), requiredClaims: ['jti', 'iat', 'exp'], ...rest });
    const refused = { status: 400, body: { error: 'invalid_client' } };

    test('RS256 from a stored key, then a further call with the answer (workday-adaptive-planning)', async () => {
        on('/wd/token', async ({ form }) => {
            const { payload } = await verified(form['assertion'], rsa.publicKey, { issuer: 'c', subject: 'u', audience: 'wd' });
            return payload.exp! - payload.iat! === 120 ? { body: { access_token: 'first' } } : refused;
        });
        on('/wd/adaptive/t1', ({ headers }) => (headers.authorization === 'Bearer first' ? { body: { adaptiveAPIAccessToken: 'second' } } : refused));
        const id = await connect('workday-adaptive-planning', { clientId: 'c', isu: 'u', privateKey: rsaPem }, '&params[tenant]=t1');
        const first = await read(id, 'workday-adaptive-planning');
        expect(first.credentials).toMatchObject({ token: 'second', privateKey: rsaPem.trim(), assertion: expect.stringMatching(/^eyJ/) as string });
        // N8: another for each exchange
        const second = await read(id, 'workday-adaptive-planning', '&force_refresh=true');
        expect(second.credentials['assertion']).not.toBe(first.credentials['assertion']);
    });

    test('PS256 with the thumbprint of a certificate (microsoft-oauth2-cc-cert)', async () => {
        on('/ms/t1/token', async ({ form }) => {
            expect(decodeProtectedHeader(form['client_assertion']!)).toEqual({ alg: 'PS256', 'x5t#S256': 'thumb' });
            const { payload } = await verified(form['client_assertion'], rsa.publicKey, { issuer: 'c', audience: `${server.url}/ms/t1/token` });
            return payload.exp! - payload.iat! === 300 ? { body: { access_token: 'ms', expires_in: 3600 } } : refused;
        });
        await connect('microsoft-oauth2-cc-cert', { clientId: 'c', privateKey: rsaPem, certificateThumbprint: 'thumb' }, '&params[tenantId]=t1');
    });

    test('ES256 with a key that is typed in once: kept to renew, shown to nobody who does not ask for it (R17)', async () => {
        on('/apple', async ({ form }) => {
            expect(decodeProtectedHeader(form['client_assertion']!)).toEqual({ alg: 'ES256', kid: 'k1' });
            await verified(form['client_assertion'], ec.publicKey, { issuer: 'c', audience: 'https://account.apple.example', maxTokenAge: '10 min' });
            return { body: { access_token: `apple-${server.requests.length}`, expires_in: 3600 } };
        });
        const body = { clientId: 'c', keyId: 'k1', assertionOption: { privateKey: ecPem.replaceAll('\n', '\\n') } };
        const id = await connect('apple-business-manager', body);
        advance(30 * 24 * hour);
        const connection = await read(id, 'apple-business-manager');
        expect(connection.credentials).toMatchObject({ token: 'apple-2', clientId: 'c' });
        expect(connection.credentials).not.toHaveProperty('assertionOption');
        expect(JSON.stringify(connection)).not.toContain('PRIVATE KEY');
        const exported = await read(id, 'apple-business-manager', '&refresh_token=true');
        expect(exported.credentials['assertionOption']).toEqual(body.assertionOption);
        // What was exported can be imported.
        const imported = await valetkey.call<{ connection_id: string }>('POST', '/connections', {
            body: { provider_config_key: 'apple-business-manager', credentials: exported.credentials },
        });
        expect(imported.status, imported.text).toBe(201);
        expect((await read(imported.body.connection_id, 'apple-business-manager')).credentials['token']).toBe('apple-3');
    });

    test('SAML, signed (sap-success-factors)', async () => {
        const longToken = 'sf-'.repeat(2000);
        on('/sf/token', ({ form }) => {
            const xml = Buffer.from(form['assertion']!, 'base64').toString('utf8');
            const signature = new DOMParser().parseFromString(xml, 'text/xml').getElementsByTagName('ds:Signature')[0]!;
            const signed = new SignedXml({
                publicCert: rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
                getCertFromKeyInfo: () => null,
            });
            signed.loadSignature(signature as unknown as Node);
            const isRight =
                signed.checkSignature(xml) && xml.includes('>ann</saml:NameID>') && xml.includes('>sf-api-key</') && form['new_token'] === 'true';
            return isRight ? { body: { access_token: longToken, expires_in: 3600 } } : { status: 401 };
        });
        const body = { apiKey: 'sf-api-key', assertionOption: { userName: 'ann', privateKey: rsaPem } };
        const id = await connect('sap-success-factors', body, '&params[companyId]=c1');
        const { credentials } = await read(id, 'sap-success-factors', '&force_refresh=true&refresh_token=true');
        expect(credentials['token']).toBe(longToken);
        // Longer than a field may be, but not the person's to say: what was exported can be imported.
        const exported = { provider_config_key: 'sap-success-factors', credentials, connection_config: { companyId: 'c1' } };
        const imported = await valetkey.call('POST', '/connections', { body: exported });
        expect(imported.status, imported.text).toBe(201);
    });

    test('a token signed by the entry itself; a claim that was not given is left out (google-service-account)', async () => {
        const claims: unknown[] = [];
        on('/google', async ({ form }) => {
            const { payload } = await verified(form['assertion'], rsa.publicKey, { audience: 'https://oauth2.google.example' });
            claims.push([payload.iss, payload['scope'], payload.sub, payload.exp! - payload.iat!]);
            return { body: { access_token: 'g', expires_in: 3599 } };
        });
        const body = { email: 'robot@acme.example', scopes: 'a b', privateKey: rsaPem };
        await connect('google-service-account', body);
        token = await createSession(valetkey);
        await connect('google-service-account', { ...body, delegated: '' });
        token = await createSession(valetkey);
        await connect('google-service-account', { ...body, delegated: 'ann@acme.example' });
        const own = ['robot@acme.example', 'a b', undefined, 300];
        expect(claims).toEqual([own, own, ['robot@acme.example', 'a b', 'ann@acme.example', 300]]);
    });

    test.each<[string, string, Record<string, unknown>, string, string]>([
        ['no key', 'apple-business-manager', { clientId: 'c', keyId: 'k' }, 'invalid_two_step_credentials', 'privateKey'],
        [
            'an empty key',
            'apple-business-manager',
            { clientId: 'c', keyId: 'k', assertionOption: { privateKey: ' ' } },
            'connection_test_failed',
            'privateKey',
        ],
        [
            'no key at all',
            'apple-business-manager',
            { clientId: 'c', keyId: 'k', assertionOption: { privateKey: 'key-text' } },
            'invalid_two_step_credentials',
            'privateKey',
        ],
        [
            'a key of another kind',
            'apple-business-manager',
            { clientId: 'c', keyId: 'k', assertionOption: { privateKey: rsaPem } },
            'invalid_two_step_credentials',
            'privateKey',
        ],
        [
            'an EC key for SAML',
            'sap-success-factors',
            { apiKey: 'k', assertionOption: { privateKey: ecPem, userName: 'u' } },
            'invalid_two_step_credentials',
            'privateKey',
        ],
        ['no user for SAML', 'sap-success-factors', { apiKey: 'k', assertionOption: { privateKey: rsaPem } }, 'connection_test_failed', 'userName'],
        [
            'a token that is not signed',
            'google-service-account',
            { email: 'a@b.c', scopes: 's', privateKey: 'no-key-text' },
            'invalid_two_step_credentials',
            'privateKey',
        ],
    ])('%s: the field is named, its content is not, and nobody is asked', async (_name, integration, body, code, field) => {
        const answer = await post(integration, body, '&params[companyId]=c1');
        expect([answer.status, answer.body]).toEqual([400, { error: { code, message: expect.stringContaining(field) as string } }]);
        expect(answer.text).not.toMatch(/BEGIN|key-text/);
        expect(server.requests).toEqual([]);
    });

    test('an assertion made elsewhere serves while it lives; then the connection says what it needs', async () => {
        on('/apple', ({ form }) => ({ body: { access_token: form['client_assertion'], expires_in: 600 } }));
        const exp = Math.floor(now() / 1000) + 3600;
        const assertion = `e30.${Buffer.from(JSON.stringify({ exp })).toString('base64url')}.x`;
        const id = await connect('apple-business-manager', { clientId: 'c', keyId: 'k', assertion });
        expect((await read(id, 'apple-business-manager', '&force_refresh=true')).credentials['token']).toBe(assertion);
        const before = server.requests.length;
        advance(hour - 30_000);
        const answer = await ask(id, 'apple-business-manager', '&force_refresh=true');
        expect([answer.status, answer.text]).toEqual([400, expect.stringMatching(/privateKey.*must be connected again/) as string]);
        expect(server.requests).toHaveLength(before);
    });
});

describe('what an integration sets (integration_config)', () => {
    test('it wins over what is submitted, is not asked for, and is stored on no connection', async () => {
        on('/cre', ({ headers }) => ({ body: { Data: headers['x-dppkey'] } }));
        const id = await connect('preset', { username: 'u', password: 'p', dppKey: 'submitted-key' });
        token = await createSession(valetkey);
        await connect('preset', { username: 'u', password: 'p' });
        expect(server.requests.map(({ headers }) => headers['x-dppkey'])).toEqual(['preset-dpp-key', 'preset-dpp-key']);
        const { credentials } = await read(id, 'preset', '&force_refresh=true');
        expect(Object.keys(credentials).toSorted()).toEqual(['expires_at', 'password', 'raw', 'token', 'type', 'username']);
        expect(last().headers['x-dppkey']).toBe('preset-dpp-key');
    });

    test('without it the field is demanded', async () => {
        const answer = await post('sage-300-cre', { username: 'u', password: 'p' });
        expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'connection_test_failed' } }]);
        expect(answer.text).toContain('dppKey');
        on('/cre', ({ headers }) => ({ body: { Data: headers['x-dppkey'] } }));
        const id = await connect('sage-300-cre', { username: 'u', password: 'p', dppKey: 'own-key' });
        expect((await read(id, 'sage-300-cre')).credentials).toMatchObject({ token: 'own-key', dppKey: 'own-key' });
    });

    test('N2: in production its secret goes to no host that a person picks, unless the integration lists it', async () => {
        on('/cre', ({ headers }) => ({ body: { Data: String(headers['x-dppkey']) } }));
        const key = valetkey.prodKey;
        const settings = { provider: 'cre-anywhere', unique_key: 'anywhere', integration_config: { dppKey: 'preset-dpp-key' } };
        expect((await valetkey.call('POST', '/integrations', { key, body: settings })).status).toBe(200);
        const query = `&params[baseUrl]=${encodeURIComponent(server.url)}`;
        token = await createSession(valetkey, undefined, key);
        const answer = await post('anywhere', { username: 'u' }, query);
        expect([answer.status, answer.body]).toMatchObject([400, { error: { message: expect.stringContaining('allowed_hosts') as string } }]);
        expect(server.requests).toEqual([]);
        await valetkey.call('PATCH', '/integrations/anywhere', { key, body: { allowed_hosts: ['127.0.0.1'] } });
        token = await createSession(valetkey, undefined, key);
        expect((await post('anywhere', { username: 'u' }, query)).status).toBe(200);
        expect(last().headers['x-dppkey']).toBe('preset-dpp-key');
    });

    test('its secret is not repeated to the person at the form', async () => {
        on('/cre', ({ headers }) => ({ status: 403, body: { message: `key ${String(headers['x-dppkey'])} is blocked` } }));
        const answer = await post('preset', { username: 'u', password: 'p' });
        expect(answer.body).toMatchObject({ error: { message: expect.stringContaining('key [redacted] is blocked') as string } });
    });
});

describe('refusals and outages', () => {
    const login = { username: 'ann', password: 'pass-of-ann' };
    const outcome = async (): Promise<unknown> =>
        (await valetkey.call<{ data: { outcome: unknown } }>('GET', '/connect/session', { key: token })).body.data.outcome;
    const count = async (): Promise<number> => (await valetkey.query('select 1 from connections')).length;

    test.each<[string, LoginHandler, string, string]>([
        [
            '401',
            () => ({ status: 401, body: { error: { message: 'no pass-of-ann' } } }),
            'invalid_two_step_credentials',
            'refused these credentials: it answered 401 (no [redacted])',
        ],
        ['400 with a code', () => ({ status: 400, body: { error: 'invalid_grant' } }), 'invalid_two_step_credentials', 'invalid_grant'],
        ['404', () => ({ status: 404, body: 'nothing here' }), 'invalid_two_step_credentials', '404'],
        ['200 without a token', () => ({ body: { errors: [{ message: 'Wrong password' }] } }), 'invalid_two_step_credentials', 'Wrong password'],
        [
            '200 with a page',
            () => ({ headers: { 'content-type': 'text/html' }, body: '<html>pass-of-ann</html>' }),
            'invalid_two_step_credentials',
            'page',
        ],
        [
            '302',
            () => ({ status: 302, headers: { location: 'https://elsewhere.example/?p=pass-of-ann' } }),
            'two_step_credentials_fetch_error',
            'redirect',
        ],
        ['503', () => ({ status: 503, body: 'down' }), 'two_step_credentials_fetch_error', 'is not available'],
        ['429', () => ({ status: 429, body: {} }), 'two_step_credentials_fetch_error', 'patience'],
        ['nothing at all', () => 'hang-up', 'two_step_credentials_fetch_error', 'the credentials were not judged'],
        ['silence', () => 'silence', 'two_step_credentials_fetch_error', 'did not answer in time'],
        ['more than a token', () => ({ body: 'x'.repeat(1_200_000) }), 'two_step_credentials_fetch_error', 'far more'],
    ])('%s', async (_name, handler, code, words) => {
        on('/login', handler);
        const before = await count();
        const answer = await post('agencyzoom', login);
        expect([answer.status, answer.body]).toEqual([400, { error: { code, message: expect.stringContaining(words) as string } }]);
        expect(answer.text).not.toMatch(/pass-of-ann|elsewhere/);
        expect(await outcome()).toMatchObject({ status: 'error', error: { type: code } });
        expect(await count()).toBe(before);
        expect(valetkey.log()).not.toContain('pass-of-ann');
    });

    test('a header that would be two', async () => {
        const answer = await post('salesmsg', { apiKey: 'ab\tc' });
        expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'connection_test_failed' } }]);
        expect(server.requests).toEqual([]);
    });

    test.each<[string, string, unknown, string]>([
        ['a field that is missing', 'agencyzoom', { username: 'ann' }, 'password'],
        ['a field that is no text', 'agencyzoom', { username: 'ann', password: { a: 1 } }, 'password'],
        ['a field that breaks its rule', 'jobdiva', { clientId: '12', password: 'p' }, 'clientId'],
    ])('%s is named, and nobody is asked', async (_name, integration, body, field) => {
        const answer = await post(integration, body);
        expect([answer.status, answer.body]).toEqual([
            400,
            { error: { code: 'connection_test_failed', message: expect.stringContaining(`"${field}"`) as string } },
        ]);
        expect(server.requests).toEqual([]);
    });

    test.each<[string, unknown]>([
        ['a list', []],
        ['an assertionOption that is no object', { ...login, assertionOption: 'x' }],
    ])('%s is no body', async (_name, body) => {
        const answer = await post('agencyzoom', body);
        expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'invalid_body' } }]);
    });

    test('a provider of another mode', async () => {
        const answer = await valetkey.call('POST', `/api-auth/basic/agencyzoom?connect_session_token=${token}`, { key: null, body: login });
        expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'invalid_auth_mode' } }]);
    });

    test('what the server sets cannot be submitted', async () => {
        on('/login', () => ({ body: { jwt: 'right' } }));
        const hostile = { ...login, type: 'OAUTH2', token: 'evil', refresh_token: 'evil', expires_at: '2999-01-01', raw: { evil: true }, extra: 5 };
        const id = (await post('agencyzoom', hostile)).body.connectionId;
        expect((await read(id, 'agencyzoom', '&refresh_token=true')).credentials).toEqual({
            type: 'TWO_STEP',
            ...login,
            extra: 5,
            token: 'right',
            expires_at: expect.stringMatching(/^2\d{3}-/) as string,
            raw: { jwt: 'right' },
        });
    });
});

describe('renewal', () => {
    const login = { username: 'ann', password: 'pass-of-ann' };
    const numbered: LoginHandler = () => ({ body: { jwt: `t${server.requests.length}` } });

    test('the same login again: before the end, and when asked', async () => {
        on('/login', numbered);
        const id = await connect('agencyzoom', login);
        expect((await read(id, 'agencyzoom')).credentials['token']).toBe('t1');
        advance(20 * minute);
        expect((await read(id, 'agencyzoom')).credentials['token']).toBe('t1');
        advance(8 * minute);
        const renewed = await read(id, 'agencyzoom');
        expect([renewed.credentials['token'], livesFor(renewed), last().json]).toEqual(['t2', 30, login]);
        expect((await read(id, 'agencyzoom', '&force_refresh=true')).credentials).toMatchObject({ ...login, token: 't3' });
        expect(server.requests).toHaveLength(3);
    });

    test('an outage serves the token while it lives (R4), then says so, and mends itself', async () => {
        on('/login', numbered);
        const id = await connect('agencyzoom', login);
        on('/login', () => ({ status: 503 }));
        advance(28 * minute);
        const degraded = await read(id, 'agencyzoom');
        expect([degraded.credentials['token'], degraded.errors]).toEqual(['t1', [expect.objectContaining({ type: 'auth' })]]);
        advance(5 * minute);
        const answer = await ask(id, 'agencyzoom');
        expect([answer.status, answer.body]).toMatchObject([424, { error: { payload: { type: 'connection_refresh_backoff' } } }]);
        const forced = await ask(id, 'agencyzoom', '&force_refresh=true');
        expect([forced.status, forced.body]).toMatchObject([
            400,
            { error: { code: 'invalid_credentials', payload: { type: 'two_step_credentials_fetch_error' } } },
        ]);
        expect(forced.text).not.toContain('pass-of-ann');
        on('/login', numbered);
        expect(await read(id, 'agencyzoom', '&force_refresh=true')).toMatchObject({ errors: [] });
    });

    test('a client that is refused for good has to reconnect, which keeps metadata (A2)', async () => {
        on('/login', numbered);
        const id = await connect('agencyzoom', login);
        await valetkey.call('PATCH', '/connections/metadata', {
            body: { connection_id: id, provider_config_key: 'agencyzoom', metadata: { plan: 'gold' } },
        });
        on('/login', () => ({ status: 401, body: { error: 'invalid_client' } }));
        advance(31 * minute);
        const answer = await ask(id, 'agencyzoom');
        expect([answer.status, answer.body]).toMatchObject([424, { error: { payload: { type: 'connection_refresh_exhausted' } } }]);
        on('/login', ({ json }) => ((json as typeof login).password === 'the-new-one' ? { body: { jwt: 'again' } } : { status: 401 }));
        const session = await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', {
            body: { connection_id: id, integration_id: 'agencyzoom' },
        });
        const wrong = await post('agencyzoom', login, '', session.body.data.token);
        expect(wrong.status).toBe(400);
        const right = await post('agencyzoom', { ...login, password: 'the-new-one' }, '', session.body.data.token);
        expect([right.status, right.body.connectionId]).toEqual([200, id]);
        expect(await read(id, 'agencyzoom')).toMatchObject({
            credentials: { token: 'again', password: 'the-new-one' },
            metadata: { plan: 'gold' },
            errors: [],
        });
    });

    test('by refresh token where the entry has such a call; its rotation is kept (timify)', async () => {
        on('/timify/token', () => ({ body: { accessToken: 'a1', expires: 3600, renewer: 'r1' } }));
        on('/timify/refresh', ({ json }) => {
            const presented = (json as { refreshtoken: string }).refreshtoken;
            return { body: { accessToken: `after-${presented}`, expires: 3600, ...(presented === 'r1' ? { renewer: 'r2' } : {}) } };
        });
        const id = await connect('timify', { appId: 'a', appSecret: 's' });
        const plain = await read(id, 'timify');
        expect(plain.credentials).toEqual({
            type: 'TWO_STEP',
            appId: 'a',
            appSecret: 's',
            token: 'a1',
            expires_at: expect.any(String) as string,
            raw: { accessToken: 'a1', expires: 3600 },
        });
        expect((await read(id, 'timify', '&refresh_token=true')).credentials).toMatchObject({ refresh_token: 'r1', raw: { renewer: 'r1' } });
        expect((await read(id, 'timify', '&force_refresh=true&refresh_token=true')).credentials).toMatchObject({
            token: 'after-r1',
            refresh_token: 'r2',
        });
        // R6: an answer without one leaves it alive
        expect((await read(id, 'timify', '&force_refresh=true&refresh_token=true')).credentials).toMatchObject({
            token: 'after-r2',
            refresh_token: 'r2',
        });
        expect(server.requests.map(({ path }) => path)).toEqual(['/timify/token', '/timify/refresh', '/timify/refresh']);
    });

    test('a refused refresh token falls back to the login (R17); an outage of the refresh does not', async () => {
        on('/timify/token', () => ({ body: { accessToken: `a${server.requests.length}`, expires: 3600, renewer: `r${server.requests.length}` } }));
        const id = await connect('timify', { appId: 'a', appSecret: 's' });
        on('/timify/refresh', () => ({ status: 503 }));
        expect((await ask(id, 'timify', '&force_refresh=true')).status).toBe(400);
        expect(server.requests.map(({ path }) => path)).toEqual(['/timify/token', '/timify/refresh']);
        for (const refusal of [{ status: 401 }, { status: 400, body: { error: 'invalid_grant' } }, { status: 200, body: { success: false } }]) {
            on('/timify/refresh', () => refusal);
            const { credentials } = await read(id, 'timify', '&force_refresh=true&refresh_token=true');
            expect(last().path).toBe('/timify/token');
            expect(credentials).toMatchObject({ token: `a${server.requests.length}`, refresh_token: `r${server.requests.length}` });
        }
    });

    test('the token itself renews itself, in a header (salesmsg)', async () => {
        on('/salesmsg', ({ headers }) => ({ body: { access_token: `${String(headers.authorization).slice('Bearer '.length)}+`, expires_in: 3600 } }));
        const id = await connect('salesmsg', { apiKey: 'personal' });
        expect(last().headers['content-type']).toBe('application/json');
        expect((await read(id, 'salesmsg', '&force_refresh=true')).credentials).toMatchObject({ token: 'personal++', apiKey: 'personal' });
        // http-api §8.2: the refresh token's own place in the answer is hidden too
        expect((await read(id, 'salesmsg')).credentials['raw']).toEqual({ expires_in: 3600 });
    });

    test('a refresh token that no call takes is kept, and the login repeated (sap-concur-password)', async () => {
        on('/concur', () => ({ body: { access_token: `c${server.requests.length}`, refresh_token: 'cr', expires_in: 3600 } }));
        const id = await connect('sap-concur-password', login);
        const { credentials } = await read(id, 'sap-concur-password', '&force_refresh=true&refresh_token=true');
        expect([credentials['token'], credentials['refresh_token'], last().form['grant_type']]).toEqual(['c2', 'cr', 'password']);
    });

    test('a typed-in refresh token that its server rotates is followed, and the one before it tried once (setmore, R17, R2c)', async () => {
        let valid = 'r1/a';
        const answer: LoginHandler = ({ query }) => {
            if (query['refreshToken'] !== valid) {
                return { status: 401, body: { error: 'invalid_grant' } };
            }
            return { body: { data: { token: { access_token: `for-${valid}`, expires_in: 3600, refresh_token: 'r1/b' } } } };
        };
        on('/setmore', answer);
        const id = await connect('setmore', { refreshToken: 'r1/a' });
        valid = 'r1/b';
        const rotated = await read(id, 'setmore', '&force_refresh=true&refresh_token=true');
        expect(rotated.credentials).toMatchObject({ token: 'for-r1/b', refreshToken: 'r1/b' });
        expect((await read(id, 'setmore')).credentials).not.toHaveProperty('refreshToken');
        on('/setmore', ({ query }) =>
            query['refreshToken'] === 'r1/b'
                ? { body: { data: { token: { access_token: 'x', expires_in: 3600, refresh_token: 'r1/c' } } } }
                : { status: 401, body: { error: 'invalid_grant' } },
        );
        await read(id, 'setmore', '&force_refresh=true');
        // The server has lost r1/c.
        const mended = await read(id, 'setmore', '&force_refresh=true&refresh_token=true');
        expect(server.requests.slice(-3).map(({ query }) => query['refreshToken'])).toEqual(['r1/c', 'r1/c', 'r1/b']);
        expect(mended.credentials).toMatchObject({ token: 'x', refreshToken: 'r1/c' });
    });

    test('configuration is taken from every answer again (R18)', async () => {
        on('/sfdc', () => ({ body: { access_token: 's1', instance_url: 'https://one.example' } }));
        const id = await connect('salesforce-jwt', { username: 'ann' });
        on('/sfdc', () => ({ body: { access_token: 's2', instance_url: 'https://two.example' } }));
        expect((await read(id, 'salesforce-jwt', '&force_refresh=true')).connection_config).toEqual({ instance_url: 'https://two.example' });
    });
});

describe('the rest of a connection’s life', () => {
    test('an import is a login too (A6), and fails like one', async () => {
        on('/login', ({ json }) => ((json as { password: string }).password === 'right-word' ? { body: { jwt: 'imported' } } : { status: 401 }));
        const submit = (password: string) =>
            valetkey.call<{ connection_id: string; credentials: unknown }>('POST', '/connections', {
                body: { provider_config_key: 'agencyzoom', credentials: { type: 'TWO_STEP', username: 'ann', password }, metadata: { a: 1 } },
            });
        const wrong = await submit('wrong-word');
        expect([wrong.status, wrong.body]).toMatchObject([400, { error: { code: 'invalid_two_step_credentials' } }]);
        expect(wrong.text).not.toContain('wrong-word');
        const right = await submit('right-word');
        expect([right.status, right.body]).toMatchObject([201, { credentials: { type: 'TWO_STEP', token: 'imported', username: 'ann' } }]);
        expect((await read(right.body.connection_id, 'agencyzoom')).credentials).toMatchObject({ token: 'imported' });
    });

    test('deletion', async () => {
        on('/login', () => ({ body: { jwt: 't' } }));
        const id = await connect('agencyzoom', { username: 'ann', password: 'p' });
        expect((await valetkey.call('DELETE', `/connections/${id}?provider_config_key=agencyzoom`)).status).toBe(200);
        expect((await ask(id, 'agencyzoom')).status).toBe(404);
    });

    test('nothing of it is stored in clear', async () => {
        on('/apple', () => ({ body: { access_token: 'canary-token', expires_in: 60 } }));
        await connect('apple-business-manager', { clientId: 'canary-client', keyId: 'k', assertionOption: { privateKey: ecPem } });
        const rows = await valetkey.query('select to_jsonb(connections.*)::text as row from connections');
        expect(JSON.stringify(rows)).not.toMatch(/canary|PRIVATE KEY/);
        expect(valetkey.log()).not.toMatch(/canary-token|PRIVATE KEY/);
    });
});
