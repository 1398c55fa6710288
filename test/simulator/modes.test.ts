/** The smaller modes, each by hand. */
import { createHash, createHmac, createPrivateKey, createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { assertSigV4 } from '../../src/simulator/sigv4.ts';
import { sampleKey } from '../../src/simulator/sample-keys.ts';
import { fingerprint } from '../../src/simulator/text-template.ts';
import { basic, bearer, callback, challenge, pkce, startTwins, verifier, type Twins } from './twins.ts';

const ok = async (reply: Promise<{ status: number }>): Promise<number> => (await reply).status;

describe('BILL', () => {
    const login = 'https://bill.example/connect/v3/login';
    const entry = { auth_mode: 'BILL', token_url: login, proxy: { base_url: 'https://bill.example/connect' } };
    const body = { username: 'u', password: 'p', organizationId: '008', devKey: 'd' };

    test('logs in with four inputs, and the session is good for the API', async () => {
        const twins = await startTwins({ bill: entry });
        const reply = await twins.json(login, body);
        expect(reply.body).toMatchObject({ sessionId: expect.any(String), organizationId: '008', userId: expect.any(String) });
        expect(await ok(twins.get('https://bill.example/connect/v3/bills', { sessionid: reply.body.sessionId, devkey: 'd' }))).toBe(200);
        expect(await ok(twins.get('https://bill.example/connect/v3/bills', bearer(reply.body.sessionId)))).toBe(401);
    });

    test('refuses what is missing, more, or another password', async () => {
        const twins = await startTwins({ bill: entry });
        await twins.json(login, body);
        expect(await ok(twins.json(login, { ...body, devKey: '' }))).toBe(400);
        expect(await ok(twins.json(login, { ...body, more: 1 }))).toBe(400);
        expect(await ok(twins.json(login, { ...body, password: 'other' }))).toBe(401);
        expect(await ok(twins.form(login, body))).toBe(415);
    });

    test('ends the session after 35 minutes', async () => {
        const twins = await startTwins({ bill: entry });
        const { sessionId } = (await twins.json(login, body)).body;
        twins.advance(36 * 60_000);
        expect(await ok(twins.get('https://bill.example/connect/v3/bills', { sessionid: sessionId }))).toBe(401);
    });
});

describe('SIGNATURE', () => {
    const url = 'https://ems.example/api/v2/settings';
    const entry = {
        auth_mode: 'SIGNATURE',
        signature: { protocol: 'WSSE' },
        token: { expires_in_ms: 300_000 },
        proxy: { base_url: 'https://ems.example', headers: { 'x-wsse': '${accessToken}' } },
    };
    const token = (password: string, { user = 'username-of-ems', created = new Date().toISOString(), isRaw = false } = {}): string => {
        const nonce = 'ab'.repeat(16);
        const hash = createHash('sha1').update(nonce + created + password);
        const digest = isRaw ? hash.digest('base64') : Buffer.from(hash.digest('hex')).toString('base64');
        return `UsernameToken Username="${user}", PasswordDigest="${digest}", Nonce="${nonce}", Created="${created}"`;
    };

    test('takes the digest over the hex text, fresh, by the password of the user, in its own header', async () => {
        const twins = await startTwins({ ems: entry });
        const ask = (value: string, name = 'x-wsse'): Promise<number> => ok(twins.get(url, { [name]: value }));
        expect(await ask(token('password-of-ems'))).toBe(200);
        expect(await ask(token('guess'))).toBe(401);
        expect(await ask(token('password-of-ems', { isRaw: true }))).toBe(401);
        expect(await ask(token('password-of-ems', { created: new Date(Date.now() - 6 * 60_000).toISOString() }))).toBe(401);
        expect(await ask(token('password-of-ems', { created: 'yesterday' }))).toBe(401);
        expect(await ask(`Bearer ${token('password-of-ems')}`, 'authorization')).toBe(401);
    });

    test('knows no user whose password nobody told', async () => {
        const twins = await startTwins({ ems: entry });
        const ask = (password: string): Promise<number> => ok(twins.get(url, { 'x-wsse': token(password, { user: 'ann' }) }));
        expect(await ask('secret')).toBe(401);
        await twins.control('/_twin/secrets', { provider: 'ems', id: 'ann', name: 'password', secret: 'secret' });
        expect(await ask('secret')).toBe(200);
        expect(await ask('guess')).toBe(401);
    });
});

describe('JWT', () => {
    const api = 'https://jwt.example/x';
    const make = (
        claims: Record<string, unknown>,
        header: { alg: string; kid?: string; typ?: string },
        key: KeyObject,
        lifetime = 300,
    ): Promise<string> => {
        const now = Math.floor(Date.now() / 1000);
        return new SignJWT({ ...claims, iat: now - 30, exp: now - 30 + lifetime }).setProtectedHeader(header).sign(key);
    };

    test('by HMAC, with half of the key as its id', async () => {
        const entry = {
            auth_mode: 'JWT',
            signature: { protocol: 'HMAC' },
            token: {
                signing_key: '${credentials.privateKey.secret}',
                expires_in_ms: 300_000,
                header: { alg: 'HS256', kid: '${credentials.privateKey.id}' },
                payload: { aud: '/admin/' },
            },
            proxy: { base_url: 'https://jwt.example', headers: { authorization: 'Ghost ${accessToken}' } },
            credentials: { privateKey: { type: 'string', pattern: '^[a-fA-F0-9]{24}:[a-fA-F0-9]{64}$' } },
        };
        const twins = await startTwins({ ghost: entry });
        const [kid, secret] = twins.simulator.world.samples.of('ghost').credentials['privateKey']!.split(':') as [string, string];
        const ask = async (claims: Record<string, unknown>, key: Buffer, scheme = 'Ghost', lifetime = 300): Promise<number> =>
            ok(twins.get(api, { authorization: `${scheme} ${await make(claims, { alg: 'HS256', kid }, createSecretKey(key), lifetime)}` }));
        const own = Buffer.from(secret, 'hex');
        expect(await ask({ aud: '/admin/' }, own)).toBe(200);
        expect(await ask({ aud: '/other/' }, own)).toBe(401);
        expect(await ask({ aud: '/admin/' }, Buffer.from(secret))).toBe(401);
        expect(await ask({ aud: '/admin/' }, own, 'Bearer')).toBe(401);
        expect(await ask({ aud: '/admin/' }, own, 'Ghost', 3600)).toBe(401);
    });

    test('by HMAC over text, where two bars are part of the key', async () => {
        const entry = {
            auth_mode: 'JWT',
            signature: { protocol: 'HMAC', hmac_secret_encoding: 'utf8' },
            token: {
                signing_key: '${credentials.id}||${credentials.key}',
                expires_in_ms: 300_000,
                header: { alg: 'HS256', typ: 'JWT' },
                payload: { iss: '${credentials.id}' },
            },
            proxy: { base_url: 'https://jwt.example' },
            credentials: { id: { type: 'string' }, key: { type: 'string' } },
        };
        const twins = await startTwins({ hey: entry });
        const ask = async (key: string): Promise<number> =>
            ok(twins.get(api, bearer(await make({ iss: 'id-of-hey' }, { alg: 'HS256', typ: 'JWT' }, createSecretKey(Buffer.from(key))))));
        expect([await ask('id-of-hey||key-of-hey'), await ask('key-of-hey')]).toEqual([200, 401]);
    });

    test('by RSA, with the fingerprint of the key in the issuer', async () => {
        const entry = {
            auth_mode: 'JWT',
            signature: { protocol: 'RSA' },
            token: {
                signing_key: '${credentials.privateKey}',
                expires_in_ms: 3_600_000,
                header: { alg: 'RS256', typ: 'JWT' },
                payload: {
                    iss: '${credentials.account}.${credentials.userName}.${fingerprint(${credentials.privateKey})}',
                    sub: '${credentials.account}.${credentials.userName}',
                },
            },
            proxy: { base_url: 'https://jwt.example' },
            credentials: { account: { type: 'string' }, userName: { type: 'string' }, privateKey: { type: 'string' } },
        };
        const twins = await startTwins({ snow: entry });
        const { privateKey } = sampleKey('rsa');
        const who = 'account-of-snow.userName-of-snow';
        const ask = async (iss: string, key = createPrivateKey(privateKey)): Promise<number> =>
            ok(twins.get(api, bearer(await make({ iss, sub: who }, { alg: 'RS256', typ: 'JWT' }, key))));
        expect(await ask(`${who}.${fingerprint(privateKey)}`)).toBe(200);
        expect(await ask(`${who}.SHA256:guess`)).toBe(401);
        expect(await ask(`${who}.${fingerprint(privateKey)}`, generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)).toBe(401);
    });

    test('by elliptic curve', async () => {
        const entry = {
            auth_mode: 'JWT',
            signature: { protocol: 'EC' },
            token: {
                signing_key: '${credentials.privateKey}',
                expires_in_ms: 900_000,
                header: { alg: 'ES256', kid: '${credentials.keyId}' },
                payload: { iss: '${credentials.issuerId}', aud: 'store', scope: ['${connectionConfig.scope}'] },
            },
            proxy: { base_url: 'https://jwt.example' },
            credentials: { issuerId: { type: 'string' }, keyId: { type: 'string' }, privateKey: { type: 'string' } },
        };
        const twins = await startTwins({ store: entry });
        const ask = async (kid: string): Promise<number> =>
            ok(
                twins.get(
                    api,
                    bearer(
                        await make(
                            { iss: 'issuerId-of-store', aud: 'store', scope: ['GET /x'] },
                            { alg: 'ES256', kid },
                            createPrivateKey(sampleKey('ec').privateKey),
                        ),
                    ),
                ),
            );
        expect([await ask('keyId-of-store'), await ask('wrong')]).toEqual([200, 401]);
    });
});

describe('AWS_SIGV4', () => {
    const sts = 'https://sts.eu-west-1.amazonaws.com/';
    const entry = {
        auth_mode: 'AWS_SIGV4',
        proxy: { base_url: 'https://${connectionConfig.service}.${connectionConfig.region}.amazonaws.com' },
        connection_config: { region: { type: 'string', optional: true }, service: { type: 'string', automated: true } },
        credentials: { role_arn: { type: 'string' } },
        integration_config: { awsAccessKeyId: { type: 'string' }, awsSecretAccessKey: { type: 'string' } },
    };

    // Published in the vendor's test suite: get-vanilla.
    const vanilla = (signature: string) => ({
        method: 'GET',
        url: new URL('https://example.amazonaws.com/'),
        headers: {
            host: 'example.amazonaws.com',
            'x-amz-date': '20150830T123600Z',
            authorization: `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=${signature}`,
        },
        body: '',
    });
    const at = Date.UTC(2015, 7, 30, 12, 36, 0);
    const right = '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31';

    test('signatures are those of the published vector', () => {
        const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
        expect(() => assertSigV4(vanilla(right), secret, at)).not.toThrow();
        expect(() => assertSigV4(vanilla(right.replace('5', '6')), secret, at)).toThrow('signature');
        expect(() => assertSigV4(vanilla(right), secret, at + 6 * 60_000)).toThrow('older');
        expect(() => assertSigV4(vanilla(right), 'other', at)).toThrow('signature');
    });

    /** By hand, as the vendor describes it. */
    function sign(
        method: string,
        url: string,
        body: string,
        keys: { id: string; secret: string; token?: string },
        service: string,
        region: string,
    ): Record<string, string> {
        const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
        const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
        const date = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
        const day = date.slice(0, 8);
        const { host, pathname, searchParams } = new URL(url);
        const signed: Record<string, string> = {
            host,
            'x-amz-date': date,
            ...(keys.token === undefined ? {} : { 'x-amz-security-token': keys.token }),
        };
        const names = Object.keys(signed).toSorted();
        const query = [...searchParams]
            .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
            .toSorted()
            .join('&');
        const canonical = [method, pathname, query, ...names.map((name) => `${name}:${signed[name]}`), '', names.join(';'), hash(body)].join('\n');
        const scope = `${day}/${region}/${service}/aws4_request`;
        const text = ['AWS4-HMAC-SHA256', date, scope, hash(canonical)].join('\n');
        const key = hmac(hmac(hmac(hmac(`AWS4${keys.secret}`, day), region), service), 'aws4_request');
        const authorization = `AWS4-HMAC-SHA256 Credential=${keys.id}/${scope}, SignedHeaders=${names.join(';')}, Signature=${hmac(key, text).toString('hex')}`;
        const { host: _host, ...sent } = signed;
        return { ...sent, authorization };
    }

    const user = { id: 'AKIATWIN000000000001', secret: 'aws-secret-of-aws' };
    const form = 'application/x-www-form-urlencoded';
    const assume = (twins: Twins, change: Record<string, string> = {}, keys: Parameters<typeof sign>[3] = user) => {
        const params = {
            Action: 'AssumeRole',
            Version: '2011-06-15',
            RoleArn: 'arn:aws:iam::123456789012:role/valetkey-twin',
            RoleSessionName: 's1',
            ExternalId: '11111111-2222-4333-8444-555555555555',
            DurationSeconds: '3600',
            ...change,
        };
        const body = new URLSearchParams(params).toString();
        return twins.call(sts, { method: 'POST', headers: { 'content-type': form, ...sign('POST', sts, body, keys, 'sts', 'eu-west-1') }, body });
    };
    const field = (text: string, name: string): string => new RegExp(`<${name}>([^<]+)</${name}>`).exec(text)![1]!;

    test('a role is assumed, says who it is, and signs calls', async () => {
        const twins = await startTwins({ aws: entry });
        const { text } = await assume(twins);
        const keys = { id: field(text, 'AccessKeyId'), secret: field(text, 'SecretAccessKey'), token: field(text, 'SessionToken') };
        const body = 'Action=GetCallerIdentity&Version=2011-06-15';
        const who = await twins.call(sts, {
            method: 'POST',
            headers: { 'content-type': form, ...sign('POST', sts, body, keys, 'sts', 'eu-west-1') },
            body,
        });
        expect(field(who.text, 'Arn')).toBe('arn:aws:sts::123456789012:assumed-role/valetkey-twin/s1');
        const url = 'https://s3.eu-west-1.amazonaws.com/bucket/a%20b?list-type=2&prefix=x';
        expect(await ok(twins.get(url, sign('GET', url, '', keys, 's3', 'eu-west-1')))).toBe(200);
        expect(await ok(twins.get(url, sign('GET', `${url}y`, '', keys, 's3', 'eu-west-1')))).toBe(403);
        expect(await ok(twins.get(url, sign('GET', url, '', user, 's3', 'eu-west-1')))).toBe(401);
    });

    test.each<[string, Record<string, string>]>([
        ['another secret', { secret: 'guess' }],
        ['a role that is none', { RoleArn: 'role' }],
        ['no external id', { ExternalId: '' }],
        ['a session that is too long', { DurationSeconds: '7200' }],
        ['another version', { Version: '2010-01-01' }],
    ])('a role is refused with %s', async (_what, { secret = user.secret, ...change }) => {
        const reply = await assume(await startTwins({ aws: entry }), change, { ...user, secret });
        expect(reply.status).toBeGreaterThanOrEqual(400);
        expect(reply.text).toContain('<ErrorResponse');
    });

    test('an STS of the operator’s own answers in JSON', async () => {
        const twins = await startTwins({ aws: entry });
        const url = 'https://aws.twin.example/assume';
        const body = { role_arn: 'arn:aws:iam::123456789012:role/valetkey-twin', external_id: 'e1', region: 'eu-west-1', service: 's3' };
        expect((await twins.json(url, body)).body.credentials).toMatchObject({
            accessKeyId: expect.stringMatching(/^ASIA/),
            sessionToken: expect.any(String),
        });
        expect(await ok(twins.json(url, { ...body, region: '' }))).toBe(400);
    });
});

describe('APP and CUSTOM', () => {
    const link = '${connectionConfig.appPublicLink}/installations/new';
    const appUrl = 'https://api.github.com/app/installations/${connectionConfig.installation_id}/access_tokens';
    const proxy = { base_url: 'https://api.github.com' };
    const app = { auth_mode: 'APP', authorization_url: link, token_url: appUrl, proxy };
    const custom = {
        auth_mode: 'CUSTOM',
        authorization_url: link,
        token_url: { OAUTH2: 'https://github.com/login/oauth/access_token', APP: appUrl },
        proxy,
    };
    const jwt = async ({ iss = '123456', lifetime = 600, key = createPrivateKey(sampleKey('rsa').privateKey) } = {}): Promise<string> => {
        const now = Math.floor(Date.now() / 1000);
        return new SignJWT({ iss, iat: now - 30, exp: now - 30 + lifetime }).setProtectedHeader({ alg: 'RS256' }).sign(key);
    };
    const install = async (twins: Twins): Promise<URL> =>
        new URL((await twins.get('https://github.com/apps/mine/installations/new?state=s1&_decision=approve')).headers['location']!);
    const token = async (twins: Twins, id: string, proof: string) =>
        twins.call(appUrl.replace('${connectionConfig.installation_id}', id), { method: 'POST', headers: bearer(proof) });

    test('an installation goes back to Valetkey, and the app gets its token', async () => {
        const twins = await startTwins({ 'github-app': app });
        expect((await twins.get('https://github.com/apps/mine/installations/new?state=s1')).text).toContain('Install the app');
        const back = await install(twins);
        expect(back.href).toMatch(/^http:\/\/localhost:3003\/app-auth\/connect\?installation_id=\d+&setup_action=install&state=s1$/);
        const reply = await token(twins, back.searchParams.get('installation_id')!, await jwt());
        expect(reply).toMatchObject({ status: 201, body: { token: expect.any(String), expires_at: expect.stringMatching(/Z$/) } });
        expect(await ok(twins.get('https://api.github.com/repos', bearer(reply.body.token)))).toBe(200);
    });

    test('an installation token needs the app’s own, short-lived signature and an installation', async () => {
        const twins = await startTwins({ 'github-app': app });
        const id = (await install(twins)).searchParams.get('installation_id')!;
        expect((await token(twins, id, await jwt({ lifetime: 3600 }))).status).toBe(401);
        expect((await token(twins, id, await jwt({ lifetime: -100 }))).status).toBe(401);
        expect((await token(twins, id, await jwt({ key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey }))).status).toBe(401);
        expect((await token(twins, '99', await jwt())).status).toBe(404);
        expect((await token(twins, id, 'none')).status).toBe(401);
    });

    test('with CUSTOM the person’s grant comes along', async () => {
        const twins = await startTwins({ 'github-app-oauth': custom });
        const back = await install(twins);
        expect(back.origin + back.pathname).toBe(callback);
        const exchange = {
            grant_type: 'authorization_code',
            code: back.searchParams.get('code')!,
            redirect_uri: callback,
            client_id: 'github-app-oauth.twin',
            client_secret: 'secret-of-github-app-oauth',
        };
        const user = await twins.form('https://github.com/login/oauth/access_token', exchange);
        expect(await twins.get('https://api.github.com/user', bearer(user.body.access_token))).toMatchObject({
            status: 200,
            body: { login: 'simulated' },
        });
        const { installations } = (await twins.get('https://api.github.com/user/installations', bearer(user.body.access_token))).body;
        expect(installations.map(({ id }: { id: number }) => String(id))).toContain(back.searchParams.get('installation_id'));
    });
});

test('INSTALL_PLUGIN: the payload comes back with what the vendor adds', async () => {
    const entry = { auth_mode: 'INSTALL_PLUGIN', redirect_uri_metadata: ['website_id'], proxy: { base_url: 'https://api.plugin.example' } };
    const twins = await startTwins({ plug: entry });
    expect((await twins.get('https://app.plug.example/install')).status).toBe(400);
    const reply = await twins.get('https://app.plug.example/install?payload=p1&_decision=approve');
    expect(reply.headers['location']).toBe('http://localhost:3003/oauth/callback?payload=p1&website_id=simulated-website_id');
    expect(await ok(twins.get('https://api.plugin.example/v1/account', basic('user-of-plug', 'password-of-plug')))).toBe(200);
    expect(await ok(twins.get('https://api.plugin.example/v1/account', basic('user-of-plug', 'guess')))).toBe(401);
});

describe('MCP', () => {
    const known = {
        auth_mode: 'MCP_OAUTH2',
        authorization_url: 'https://mcp.example/authorize',
        token_url: 'https://mcp.example/token',
        registration_url: 'https://mcp.example/register',
        client_registration: 'dynamic',
        authorization_params: { response_type: 'code', resource: 'https://mcp.example/mcp' },
        token_params: { grant_type: 'authorization_code' },
        proxy: { base_url: 'https://mcp.example' },
    };
    const client = { client_name: 'Valetkey', redirect_uris: [callback], token_endpoint_auth_method: 'none' };

    test('a public client registers, and its grant keeps to the resource', async () => {
        const twins = await startTwins({ mcp: known });
        const { client_id } = (await twins.json('https://mcp.example/register', client)).body;
        const query = {
            response_type: 'code',
            client_id,
            redirect_uri: callback,
            state: 's',
            resource: 'https://mcp.example/mcp',
            ...pkce,
            _decision: 'approve',
        };
        const back = await twins.get(`https://mcp.example/authorize?${new URLSearchParams(query).toString()}`);
        const exchange = {
            grant_type: 'authorization_code',
            code: new URL(back.headers['location']!).searchParams.get('code')!,
            redirect_uri: callback,
            client_id,
            code_verifier: verifier,
        };
        expect((await twins.form('https://mcp.example/token', exchange)).body.error).toBe('invalid_target');
        expect((await twins.form('https://mcp.example/token', { ...exchange, resource: query.resource, client_secret: '' })).body.error).toBe(
            'invalid_client',
        );
        const { body } = await twins.form('https://mcp.example/token', { ...exchange, resource: query.resource });
        expect(await ok(twins.get('https://mcp.example/mcp', bearer(body.access_token)))).toBe(200);
        const refresh = { grant_type: 'refresh_token', refresh_token: body.refresh_token, client_id };
        expect((await twins.form('https://mcp.example/token', refresh)).body.error).toBe('invalid_target');
        expect(await ok(twins.form('https://mcp.example/token', { ...refresh, resource: query.resource }))).toBe(200);
    });

    test.each<[string, Record<string, unknown>]>([
        ['no redirect URIs', { redirect_uris: [] }],
        ['a relative one', { redirect_uris: ['/callback'] }],
        ['no name', { client_name: undefined }],
        ['an unknown method', { token_endpoint_auth_method: 'tls_client_auth' }],
    ])('a registration is refused with %s', async (_what, change) => {
        const twins = await startTwins({ mcp: known });
        expect(await ok(twins.json('https://mcp.example/register', { ...client, ...change }))).toBe(400);
    });

    test('metadata names the endpoints', async () => {
        const twins = await startTwins({ mcp: known });
        expect((await twins.get('https://mcp.example/.well-known/oauth-authorization-server')).body).toMatchObject({
            issuer: 'https://mcp.example',
            token_endpoint: known.token_url,
        });
        expect((await twins.get('https://mcp.example/.well-known/oauth-protected-resource')).body).toMatchObject({
            authorization_servers: ['https://mcp.example'],
        });
    });

    test('of a server that somebody types, everything is discovered', async () => {
        const twins = await startTwins({
            'mcp-generic': { auth_mode: 'MCP_OAUTH2_GENERIC', connection_config: { mcp_server_url: { type: 'string' } } },
        });
        const server = 'https://tools.example/mcp';
        const denied = await twins.json(server, {});
        expect(denied).toMatchObject({ status: 401, headers: { 'www-authenticate': expect.stringContaining('Bearer') } });
        const resource = (await twins.get('https://tools.example/.well-known/oauth-protected-resource/mcp')).body;
        expect(resource).toMatchObject({ resource: server, authorization_servers: ['https://tools.example'] });
        const meta = (await twins.get('https://tools.example/.well-known/oauth-authorization-server')).body;
        expect(meta).toMatchObject({ issuer: 'https://tools.example', code_challenge_methods_supported: ['S256'] });
        const { client_id } = (await twins.json(meta.registration_endpoint, client)).body;
        const query = {
            response_type: 'code',
            client_id,
            redirect_uri: callback,
            state: 's',
            code_challenge: challenge,
            code_challenge_method: 'S256',
            _decision: 'approve',
        };
        const ask = (more: Record<string, string>) =>
            twins.get(`${meta.authorization_endpoint}?${new URLSearchParams({ ...query, ...more }).toString()}`);
        expect((await ask({})).body.error).toBe('invalid_target');
        expect((await ask({ resource: 'https://elsewhere.example' })).body.error).toBe('invalid_target');
        const back = new URL((await ask({ resource: server })).headers['location']!);
        expect(back.searchParams.get('iss')).toBe('https://tools.example');
        const exchange = {
            grant_type: 'authorization_code',
            code: back.searchParams.get('code')!,
            redirect_uri: callback,
            client_id,
            code_verifier: verifier,
            resource: server,
        };
        const { body } = await twins.form(meta.token_endpoint, exchange);
        expect(await ok(twins.json(server, {}, bearer(body.access_token)))).toBe(200);
    });
});

test('NONE: anybody may ask', async () => {
    const twins = await startTwins({ open: { auth_mode: 'NONE', proxy: { base_url: 'https://open.example' } } });
    expect(await ok(twins.get('https://open.example/x'))).toBe(200);
});
