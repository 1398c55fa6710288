/** MCP servers that must not be trusted: what discovery refuses, before a browser is sent anywhere (auth-modes §19.4 M1, M2; N4, S5). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createIntegration, createSession } from '../http/accounts.ts';
import { startTestApp, type TestApp } from '../http/app.ts';
import { startMcpServer, type McpServer, type ScriptedAnswer } from '../peers/mcp-server.ts';
import { mcpGenericEntry, providersFile } from './provider-entries.ts';
import { openCallback, startConnect, type CallbackAnswer } from './user.ts';

const resourceDocument = '/.well-known/oauth-protected-resource/mcp';
const serverDocument = '/.well-known/oauth-authorization-server/tenant';

let mcp: McpServer;
let valetkey: TestApp;
let token: string;

beforeAll(async () => {
    mcp = await startMcpServer();
    // One port is open: to everything else on this machine, the policy is what it is on the internet.
    valetkey = await startTestApp({
        providers: providersFile(mcpGenericEntry('mcp')),
        // how long one call of a discovery may take
        waits: { 5000: 1_000 },
        env: { VALETKEY_EGRESS_ALLOW: `127.0.0.1:${new URL(mcp.origin).port}` },
    });
    await valetkey.listen();
    await createIntegration(valetkey, 'mcp', 'mcp');
});

afterAll(async () => {
    await valetkey?.close();
    await mcp?.close();
});

/** A server that keeps every rule; each test breaks one. */
const issuer = () => `${mcp.origin}/tenant`;
const metadata = (changes: Record<string, unknown> = {}): ScriptedAnswer => ({
    body: {
        issuer: issuer(),
        authorization_endpoint: `${mcp.origin}/authorize`,
        token_endpoint: `${mcp.origin}/token`,
        registration_endpoint: `${mcp.origin}/register`,
        response_types_supported: ['code'],
        code_challenge_methods_supported: ['plain', 'S256'],
        ...changes,
    },
});

beforeEach(async () => {
    token = await createSession(valetkey);
    mcp.requests.length = 0;
    mcp.answers.clear();
    mcp.answers.set('/mcp', { status: 401 });
    mcp.answers.set(resourceDocument, { body: { resource: mcp.url, authorization_servers: [issuer()] } });
    mcp.answers.set(serverDocument, metadata());
    mcp.answers.set('/register', { status: 201, body: { client_id: 'registered' } });
    mcp.answers.set('/token', { body: { access_token: 'a-token', refresh_token: 'a-refresh-token', expires_in: 3600 } });
});

/** The refusal of a flow that never left. */
async function refused(url: string = mcp.url, integration = 'mcp'): Promise<{ sentence: string; type: string }> {
    const query = new URLSearchParams({ connect_session_token: token, 'params[mcp_server_url]': url });
    const response = await fetch(`${valetkey.url}/oauth/connect/${integration}?${query}`, { redirect: 'manual' });
    const html = await response.text();
    expect([response.status, response.headers.get('set-cookie')]).toEqual([400, null]);
    return { sentence: /<h1>[^<]*<\/h1>\s*<p>([^<]*)<\/p>/.exec(html)![1]!, type: /<code>([^<]*)<\/code>/.exec(html)![1]! };
}

const begin = () => startConnect(valetkey.url, 'mcp', token, { 'params[mcp_server_url]': mcp.url });
const paths = (): string[] => mcp.requests.map(({ path }) => path);

test('a server that keeps the rules is connected', async () => {
    const { authorizationUrl, cookie } = await begin();
    const state = new URL(authorizationUrl).searchParams.get('state')!;
    const page = await openCallback(`${valetkey.url}/oauth/callback?state=${state}&code=c`, cookie);
    expect(page.status, page.html).toBe(200);
});

describe('the server’s address', () => {
    test.each([
        ['', 'url_param_err', /missing/],
        ['http://mcp.example.com/', 'url_param_err', /https and public/],
        ['https://10.0.0.1/', 'url_param_err', /https and public/],
        ['https://[::ffff:127.0.0.1]/', 'url_param_err', /https and public/],
        ['https://[fd00::1]/', 'url_param_err', /https and public/],
        ['https://169.254.169.254/latest', 'url_param_err', /https and public/],
        ['https://metadata.google.internal/', 'url_param_err', /https and public/],
        ['https://user:secret@mcp.example.com/', 'url_param_err', /https and public/],
        ['https://localhost/', 'url_param_err', /https and public/],
        ['https://mcp.example.com/#fragment', 'url_param_err', /fragment/],
        ['https://mcp.example.com:99999/', 'url_param_err', /absolute URL/],
    ])('%s', async (url, type, sentence) => {
        const failure = await refused(url);
        expect(failure.type).toBe(type);
        expect(failure.sentence).toMatch(sentence);
        expect(failure.sentence).not.toContain('secret');
        expect(mcp.requests).toEqual([]);
    });
});

describe('the resource (M2)', () => {
    test.each([
        ['another host', () => 'https://victim.example.com/mcp'],
        ['another path', () => `${mcp.origin}/other`],
        ['a path below', () => `${mcp.url}/below`],
        ['a path that only looks like one above', () => `${mcp.origin}/mc`],
        ['the origin, which its own path cannot speak for', () => mcp.origin],
        ['with a fragment', () => `${mcp.url}#x`],
        ['none', () => undefined],
    ])('%s', async (_what, resource) => {
        mcp.answers.set(resourceDocument, { body: { resource: resource(), authorization_servers: [issuer()] } });
        expect(await refused()).toEqual({ type: 'provider_config_err', sentence: expect.stringContaining('RFC 9728 §3.3') as string });
    });

    test('a challenge cannot have it judged by a document at an address of its choice', async () => {
        mcp.answers.delete(resourceDocument);
        mcp.answers.set('/mcp', {
            status: 401,
            headers: { 'www-authenticate': `Bearer resource_metadata="${mcp.origin}/.well-known/oauth-protected-resource/victim"` },
        });
        mcp.answers.set('/.well-known/oauth-protected-resource/victim', {
            body: { resource: `${mcp.origin}/victim`, authorization_servers: [issuer()] },
        });
        expect((await refused()).sentence).toContain('RFC 9728 §3.3');
    });
});

describe('the authorization server', () => {
    test.each<[string, () => ScriptedAnswer, RegExp]>([
        ['another issuer (M1)', () => metadata({ issuer: `${mcp.origin}/other` }), /another issuer/],
        ['the issuer with a slash', () => metadata({ issuer: `${issuer()}/` }), /another issuer/],
        ['the issuer in capitals', () => metadata({ issuer: issuer().replace('tenant', 'TENANT') }), /another issuer/],
        ['no issuer', () => metadata({ issuer: undefined }), /another issuer/],
        ['no metadata', () => ({ status: 404 }), /publishes no metadata/],
        ['metadata without end', () => metadata({ padding: 'x'.repeat(1_100_000) }), /publishes no metadata/],
        ['metadata elsewhere', () => ({ status: 302, headers: { location: 'https://evil.example.com/' } }), /publishes no metadata/],
        ['no code flow', () => metadata({ response_types_supported: ['token'] }), /authorization code flow/],
        ['no response types', () => metadata({ response_types_supported: undefined }), /authorization code flow/],
        ['no S256', () => metadata({ code_challenge_methods_supported: ['plain'] }), /S256/],
        ['no PKCE', () => metadata({ code_challenge_methods_supported: undefined }), /S256/],
        ['no token endpoint', () => metadata({ token_endpoint: undefined }), /names no token_endpoint/],
        ['a token endpoint over http', () => metadata({ token_endpoint: 'http://auth.example.com/token' }), /token_endpoint .*https and public/],
        ['a token endpoint on this machine', () => metadata({ token_endpoint: 'https://127.0.0.1:1/token' }), /token_endpoint .*https and public/],
        [
            'a token endpoint in this network',
            () => metadata({ token_endpoint: 'https://[::ffff:10.0.0.1]/token' }),
            /token_endpoint .*https and public/,
        ],
        [
            'an authorization endpoint over http',
            () => metadata({ authorization_endpoint: 'http://auth.example.com/' }),
            /authorization_endpoint .*https/,
        ],
        ['an authorization endpoint of another kind', () => metadata({ authorization_endpoint: 'javascript:alert(1)' }), /authorization_endpoint/],
        ['no way to get a client', () => metadata({ registration_endpoint: undefined }), /neither registers clients/],
        ['a registration endpoint on this machine', () => metadata({ registration_endpoint: 'https://127.0.0.1:1/' }), /neither registers clients/],
        // this test server has no public https address
        [
            'only documents',
            () => metadata({ registration_endpoint: undefined, client_id_metadata_document_supported: true }),
            /neither registers clients/,
        ],
    ])('%s', async (_what, answer, sentence) => {
        mcp.answers.set(serverDocument, answer());
        const failure = await refused();
        expect(failure.type).toBe('provider_config_err');
        expect(failure.sentence).toMatch(sentence);
        expect(paths()).not.toContain('/register');
    });

    test.each(['http://auth.example.com', 'https://192.168.0.1', 'https://127.0.0.1:1', 'not a url', 'https://auth.example.com/#x'])(
        'at %s is not even asked',
        async (named) => {
            mcp.answers.set(resourceDocument, { body: { resource: mcp.url, authorization_servers: [named] } });
            expect((await refused()).type).toBe('provider_config_err');
        },
    );

    test('a redirect is followed on the same origin only', async () => {
        const open = await startMcpServer();
        mcp.answers.set(serverDocument, { status: 307, headers: { location: '/moved' } });
        mcp.answers.set('/moved', metadata());
        await begin();
        mcp.answers.set(serverDocument, { status: 307, headers: { location: `${open.origin}/moved` } });
        open.answers.set('/moved', metadata());
        await refused();
        expect(open.requests).toEqual([]);
        mcp.answers.set(serverDocument, { status: 307, headers: { location: serverDocument } });
        await refused();
        expect(mcp.requests.length).toBeLessThan(40);
        await open.close();
    });

    test('that never answers costs a person little time, and the server few calls', async () => {
        // a challenge is not worth waiting for
        mcp.answers.set('/mcp', () => new Promise(() => {}));
        await begin();
        mcp.requests.length = 0;
        for (const document of [serverDocument, '/.well-known/oauth-authorization-server', '/.well-known/openid-configuration/tenant']) {
            mcp.answers.set(document, () => new Promise(() => {}));
        }
        expect((await refused()).sentence).toContain('publishes no metadata');
        expect(mcp.requests.length).toBeLessThanOrEqual(16);
    });

    test('that refuses to register a client', async () => {
        // one that has no client there yet
        await createIntegration(valetkey, 'new', 'mcp');
        mcp.answers.set('/register', { status: 400, body: { error: 'invalid_client_metadata', error_description: 'its own words' } });
        const failure = await refused(mcp.url, 'new');
        expect(failure).toEqual({ type: 'provider_config_err', sentence: expect.stringContaining('(invalid_client_metadata)') as string });
        expect(failure.sentence).not.toContain('its own words');
    });

    test('a secret is not taken along to where a typed-in address leads (N2)', async () => {
        const own = { 'credentials[oauth_client_id_override]': 'own', 'credentials[oauth_client_secret_override]': 'own-secret' };
        const query = new URLSearchParams({ connect_session_token: token, 'params[mcp_server_url]': mcp.url, ...own });
        const response = await fetch(`${valetkey.url}/oauth/connect/mcp?${query}`, { redirect: 'manual' });
        expect([response.status, mcp.requests]).toEqual([400, []]);
    });
});

describe('the answer (S5, RFC 9207)', () => {
    const tokenCalls = (): number => mcp.requestsTo('/token').length;
    async function comeBack(query: Record<string, string>): Promise<CallbackAnswer> {
        const { authorizationUrl, cookie } = await begin();
        const state = new URL(authorizationUrl).searchParams.get('state')!;
        return openCallback(`${valetkey.url}/oauth/callback?${new URLSearchParams({ state, code: 'c', ...query })}`, cookie);
    }

    test.each<[string, boolean, string | undefined, boolean]>([
        ['names its issuer, as announced', true, 'tenant', true],
        ['names its issuer although it had not announced it', false, 'tenant', true],
        ['does not name one, and had not announced it', false, undefined, true],
        ['does not name one although it was announced', true, undefined, false],
        ['names another path of the same origin', true, 'other', false],
        ['names the issuer with a slash', false, 'tenant/', false],
        ['names nothing', true, '', false],
    ])('%s', async (_what, isAnnounced, path, isAccepted) => {
        mcp.answers.set(serverDocument, metadata({ authorization_response_iss_parameter_supported: isAnnounced }));
        const page = await comeBack(path === undefined ? {} : { iss: path === '' ? '' : `${mcp.origin}/${path}` });
        expect([page.status, tokenCalls()]).toEqual(isAccepted ? [200, 1] : [400, 0]);
        expect(page.html.includes('state_err')).toBe(!isAccepted);
    });

    test('the code goes to the endpoint that was discovered, whatever is published by then; and not where the policy has closed', async () => {
        const { authorizationUrl, cookie } = await begin();
        mcp.answers.set(serverDocument, metadata({ token_endpoint: `${mcp.origin}/elsewhere` }));
        const state = new URL(authorizationUrl).searchParams.get('state')!;
        expect((await openCallback(`${valetkey.url}/oauth/callback?state=${state}&code=c`, cookie)).status).toBe(200);
        expect([tokenCalls(), mcp.requestsTo('/elsewhere').length]).toEqual([1, 0]);
    });
});
