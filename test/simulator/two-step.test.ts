import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { sampleKey } from '../../src/simulator/sample-keys.ts';
import { basic, bearer, startTwins, type Twins } from './twins.ts';

const login = 'https://acme.example/login';
const api = 'https://api.acme.example/me';
const plain = { auth_mode: 'TWO_STEP', token_url: login, token_response: { token: 'access_token' }, proxy: { base_url: 'https://api.acme.example' } };
const start = (quirks: object): Promise<Twins> => startTwins({ acme: { ...plain, ...quirks } });
const ok = async (reply: Promise<{ status: number }>): Promise<number> => (await reply).status;

describe('a login', () => {
    const nested = {
        token_params: {
            credentials: { name: '${credentials.pat}', secret: '${credentials.secret}', site: { contentUrl: '${credentials.site}' } },
            encrypted: false,
        },
        token_headers: { 'content-type': 'application/json', accept: 'application/json' },
        token_response: {
            token: 'credentials.token',
            token_expiration: 'credentials.estimatedTimeToExpiration',
            token_expiration_strategy: 'expireAt',
        },
        proxy: { base_url: 'https://api.acme.example', headers: { 'x-auth': '${accessToken}' } },
        credentials: { pat: { type: 'string' }, secret: { type: 'string' }, site: { type: 'string', optional: true } },
    };
    const body = { credentials: { name: 'me', secret: 's', site: { contentUrl: 'c' } }, encrypted: false };
    const accept = { accept: 'application/json' };

    test('has nested JSON, answers at the declared path, and its token goes where the entry puts it', async () => {
        const twins = await start(nested);
        const reply = await twins.json(login, body, accept);
        expect(reply.body.credentials).toMatchObject({
            token: expect.any(String),
            estimatedTimeToExpiration: expect.stringMatching(/^\d+:\d\d:\d\d$/),
        });
        expect(await ok(twins.get(api, { 'x-auth': reply.body.credentials.token }))).toBe(200);
        expect(await ok(twins.get(api, bearer(reply.body.credentials.token)))).toBe(401);
    });

    test.each<[string, unknown, Record<string, string>]>([
        ['a missing branch', { credentials: { name: 'me', secret: 's' }, encrypted: false }, accept],
        ['a missing value', { credentials: { name: 'me', site: { contentUrl: 'c' } }, encrypted: false }, accept],
        ['another constant', { ...body, encrypted: true }, accept],
        ['a missing header', body, {}],
        ['credentials that are wrong on purpose', { ...body, credentials: { ...body.credentials, secret: 'wrong' } }, accept],
    ])('is refused with %s', async (_what, sent, headers) => {
        expect(await ok((await start(nested)).json(login, sent, headers))).toBeGreaterThanOrEqual(400);
    });

    test('remembers which secret an account has', async () => {
        const twins = await start({ token_params: { email: '${credentials.email}', password: '${credentials.password}' } });
        const ask = (password: string): Promise<number> => ok(twins.json(login, { email: 'me@a.example', password }));
        expect([await ask('one'), await ask('two'), await ask('one')]).toEqual([200, 401, 200]);
    });

    test('may be a GET with everything in headers or the query', async () => {
        const twins = await start({
            token_url: `${login}?secret=\${credentials.secret}`,
            token_request_method: 'GET',
            token_headers: { authorization: 'Basic ${base64(${credentials.user}:${credentials.secret})}' },
            token_response: { token: '' },
        });
        const reply = await twins.get(`${login}?secret=s`, basic('u', 's'));
        expect(reply).toMatchObject({ status: 200, headers: { 'content-type': 'text/plain' } });
        expect(await ok(twins.get(api, bearer(reply.text)))).toBe(200);
        expect(await ok(twins.get(`${login}?secret=other`, basic('u', 's')))).toBe(401);
        expect(await ok(twins.form(`${login}?secret=s`, {}, basic('u', 's')))).toBe(405);
    });

    test('may be a form', async () => {
        const twins = await start({
            body_format: 'form',
            token_params: { grant_type: 'password', username: '${credentials.username}', password: '${credentials.password}' },
        });
        expect(await ok(twins.form(login, { grant_type: 'password', username: 'a', password: 'b' }))).toBe(200);
        expect(await ok(twins.json(login, { grant_type: 'password', username: 'a', password: 'b' }))).toBe(415);
    });

    test('may be XML, with attributes, and is answered so', async () => {
        const twins = await start({
            body_format: 'xml',
            token_headers: { 'content-type': 'application/xml' },
            token_params: {
                request: {
                    control: { senderid: '${credentials.sender}', uniqueid: false },
                    function: { $controlid: '${random}', getAPISession: '' },
                },
            },
            token_response: {
                token: 'response.result.sessionid',
                token_expiration: 'response.sessiontimeout',
                token_expiration_strategy: 'expireAt',
            },
        });
        const post = (text: string) => twins.call(login, { method: 'POST', headers: { 'content-type': 'application/xml' }, body: text });
        const id = '11111111-2222-4333-8444-555555555555';
        const xml = (control: string, controlid = id): string =>
            `<?xml version="1.0"?><request><control>${control}</control><function controlid="${controlid}"><getAPISession></getAPISession></function></request>`;
        const reply = await post(xml('<senderid>me</senderid><uniqueid>false</uniqueid>'));
        expect(reply.headers['content-type']).toBe('application/xml');
        expect(reply.text).toMatch(
            /<response><sessiontimeout>\d{4}-.*<\/sessiontimeout><result><sessionid>access_|<response><result><sessionid>access_/,
        );
        expect(await ok(post(xml('<senderid>me</senderid><uniqueid>true</uniqueid>')))).toBe(400);
        expect(await ok(post(xml('<senderid>me</senderid><uniqueid>false</uniqueid>', '{{$guid}}')))).toBe(400);
    });

    test('may set cookies that the API takes', async () => {
        const twins = await start({
            token_params: { UserName: '${credentials.userName}' },
            token_response: { token: 'SessionId' },
            token_response_headers: ['set-cookie'],
            proxy: { base_url: 'https://api.acme.example', headers: { cookie: '${credentials._cookies}' } },
        });
        const reply = await twins.json(login, { UserName: 'me' });
        expect(reply.headers['set-cookie']).toContain(`B1SESSION=${reply.body.SessionId}`);
        expect(await ok(twins.get(api, { cookie: `B1SESSION=${reply.body.SessionId}; ROUTEID=.node1` }))).toBe(200);
        expect(await ok(twins.get(api, { cookie: 'B1SESSION=guess' }))).toBe(401);
    });
});

describe('further steps', () => {
    const steps = {
        body_format: 'form',
        token_params: { user: '${credentials.user}' },
        token_response_metadata: ['instance_url'],
        additional_steps: [
            {
                token_url: '${step1.instance_url}/services/token',
                token_params: { subject_token: '${step1.access_token}' },
                token_headers: { authorization: 'Bearer ${step1.access_token}' },
                body_format: 'json',
            },
        ],
    };

    test('take values of the first answer, in a format of their own', async () => {
        const twins = await start(steps);
        const first = await twins.form(login, { user: 'me' });
        expect(first.body.instance_url).toBe('https://acme.twin.example');
        const url = `${first.body.instance_url}/services/token`;
        const token = first.body.access_token;
        const second = await twins.json(url, { subject_token: token }, bearer(token));
        expect(await ok(twins.get(api, bearer(second.body.access_token)))).toBe(200);
        expect(await ok(twins.form(url, { subject_token: token }, bearer(token)))).toBe(415);
        expect(await ok(twins.json(url, { subject_token: 'guess' }, bearer('guess')))).toBe(401);
        expect(await ok(twins.json(url, { subject_token: 'guess' }, bearer(token)))).toBe(400);
    });

    test('may discover where to log in', async () => {
        const twins = await start({
            token_request_method: 'GET',
            additional_steps: [
                { token_url: '${step1.IdentityServiceUrl}/.well-known/openid-configuration', token_request_method: 'GET' },
                {
                    token_url: '${step2.token_endpoint}',
                    body_format: 'form',
                    token_params: { grant_type: 'password', username: '${credentials.username}' },
                },
            ],
        });
        const { IdentityServiceUrl } = (await twins.get(login)).body;
        const { token_endpoint } = (await twins.get(`${IdentityServiceUrl}/.well-known/openid-configuration`)).body;
        const { access_token } = (await twins.form(token_endpoint, { grant_type: 'password', username: 'me' })).body;
        expect(await ok(twins.get(api, bearer(access_token)))).toBe(200);
    });
});

describe('a refresh', () => {
    test('goes to its own URL with its own parameters, and rotates', async () => {
        const twins = await start({
            token_params: { email: '${credentials.email}' },
            token_response: { token: 'accessToken', refresh_token: 'refreshToken' },
            refresh_url: 'https://acme.example/refresh',
            refresh_token_params: { refreshtoken: '${refresh_token}' },
        });
        const { refreshToken } = (await twins.json(login, { email: 'a@b.example' })).body;
        const again = await twins.json('https://acme.example/refresh', { refreshtoken: refreshToken });
        expect(again.body).toMatchObject({ accessToken: expect.any(String), refreshToken: expect.any(String) });
        expect((await twins.json('https://acme.example/refresh', { refreshtoken: refreshToken })).body.error).toBe('invalid_grant');
    });

    test('may present the access token itself, without a body', async () => {
        const twins = await start({
            token_headers: { authorization: 'Bearer ${credentials.apiKey}' },
            token_response: { token: 'access_token', refresh_token: 'access_token' },
            refresh_token_headers: { authorization: 'Bearer ${refresh_token}' },
            credentials: { apiKey: { type: 'string', pattern: '^[a-z]+\\.[a-z]+$' } },
        });
        const post = (token: string) => twins.call(login, { method: 'POST', headers: bearer(token) });
        const first = (await post('a.key')).body.access_token;
        const second = await post(first);
        expect(second.body.access_token).not.toBe(first);
        expect(await ok(post(first))).toBeGreaterThanOrEqual(400);
    });
});

describe('a signed assertion', () => {
    const now = (): number => Math.floor(Date.now() / 1000);
    const rsa = (): ReturnType<typeof createPrivateKey> => createPrivateKey(sampleKey('rsa').privateKey);

    test('is the JWT that the entry describes, by the key of the account', async () => {
        const twins = await start({
            body_format: 'form',
            token_params: { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: '${token}' },
            signature: { protocol: 'RSA' },
            token: {
                signing_key: '${credentials.privateKey}',
                expires_in_ms: 3_600_000,
                header: { alg: 'RS256', typ: 'JWT' },
                payload: { iss: '${credentials.clientId}', aud: login, sub: '${credentials.delegate}' },
            },
            credentials: { clientId: { type: 'string' }, privateKey: { type: 'string' }, delegate: { type: 'string', optional: true } },
        });
        const claims = { iss: 'clientId-of-acme', aud: login, sub: 'delegate-of-acme' };
        const ask = async (payload: Record<string, unknown>, { key = rsa(), typ = 'JWT', lifetime = 3600 } = {}): Promise<number> => {
            const assertion = await new SignJWT(payload)
                .setProtectedHeader({ alg: 'RS256', typ })
                .setIssuedAt(now() - 30)
                .setExpirationTime(now() - 30 + lifetime)
                .sign(key);
            return ok(twins.form(login, { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }));
        };
        expect(await ask(claims)).toBe(200);
        expect(await ask({ iss: claims.iss, aud: claims.aud })).toBe(200);
        expect(await ask({ ...claims, aud: 'https://elsewhere.example' })).toBe(401);
        expect(await ask({ aud: claims.aud, sub: claims.sub })).toBe(401);
        expect(await ask(claims, { typ: 'other' })).toBe(401);
        expect(await ask(claims, { lifetime: 7200 })).toBe(401);
        expect(await ask(claims, { key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey })).toBe(401);
    });

    test('may be ES256 over the one-time inputs of the person', async () => {
        const twins = await start({
            body_format: 'form',
            token_params: { client_id: '${credentials.clientId}', client_assertion: '${credentials.assertion}' },
            assertion: {
                type: 'jwt',
                key: '${assertionOption.privateKey}',
                lifetimeInSeconds: 600,
                header: { alg: 'ES256', kid: '${credentials.keyId}' },
                payload: { iss: '${credentials.clientId}', aud: login, jti: '${random}' },
            },
            assertion_option: { privateKey: { type: 'string' } },
            credentials: { clientId: { type: 'string' }, keyId: { type: 'string' } },
        });
        const ask = async (iss: string, kind: 'ec' | 'rsa' = 'ec'): Promise<number> => {
            const jwt = new SignJWT({ iss, aud: login, jti: '11111111-2222-4333-8444-555555555555' }).setIssuedAt().setExpirationTime('10m');
            const client_assertion = await jwt
                .setProtectedHeader({ alg: kind === 'ec' ? 'ES256' : 'RS256', kid: 'keyId-of-acme' })
                .sign(createPrivateKey(sampleKey(kind).privateKey));
            return ok(twins.form(login, { client_id: 'clientId-of-acme', client_assertion }));
        };
        expect([await ask('clientId-of-acme'), await ask('other'), await ask('clientId-of-acme', 'rsa')]).toEqual([200, 401, 401]);
    });

    test('may be SAML, judged by what it says and by being signed', async () => {
        const twins = await start({
            body_format: 'form',
            token_params: { client_id: '${credentials.apiKey}', assertion: '${credentials.assertion}' },
            assertion: {
                type: 'saml',
                key: '${assertionOption.privateKey}',
                issuer: 'issuer.example',
                audiences: 'audience.example',
                recipient: login,
                nameIdentifier: '${assertionOption.userName}',
            },
            assertion_option: { privateKey: { type: 'string' }, userName: { type: 'string' } },
        });
        const saml = ({
            audience = 'audience.example',
            until = Date.now() + 60_000,
            signature = '<Signature><SignatureValue>x</SignatureValue></Signature>',
        } = {}): string => {
            const end = new Date(until).toISOString();
            const subject = `<Subject><NameID Format="f">me</NameID><SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><SubjectConfirmationData NotOnOrAfter="${end}" Recipient="${login}"/></SubjectConfirmation></Subject>`;
            const text = `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"><saml:Issuer>issuer.example</saml:Issuer>${signature}${subject}<Conditions NotOnOrAfter="${end}"><AudienceRestriction><Audience>${audience}</Audience></AudienceRestriction></Conditions></saml:Assertion>`;
            return Buffer.from(text).toString('base64');
        };
        const ask = (assertion: string): Promise<number> => ok(twins.form(login, { client_id: 'k', assertion }));
        expect(await ask(saml())).toBe(200);
        expect([
            await ask(saml({ audience: 'x' })),
            await ask(saml({ until: Date.now() - 1 })),
            await ask(saml({ signature: '' })),
            await ask('xxx'),
        ]).toEqual([401, 401, 401, 401]);
    });
});
