import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { basic, bearer, callback, challenge, codeOf, decide, pkce, request, startTwins, verifier, type Twins } from './twins.ts';

const authorize = 'https://acme.example/authorize';
const token = 'https://acme.example/token';
const plain = { auth_mode: 'OAUTH2', authorization_url: authorize, token_url: token, proxy: { base_url: 'https://api.acme.example' } };

const start = (quirks: object = {}): Promise<Twins> => startTwins({ acme: { ...plain, ...quirks } });
const exchange = (code: string, more: Record<string, string> = {}): Record<string, string> => ({
    grant_type: 'authorization_code',
    code,
    redirect_uri: callback,
    client_id: 'acme.twin',
    client_secret: 'secret-of-acme',
    code_verifier: verifier,
    ...more,
});
const refreshing = (refresh_token: string, more: Record<string, string> = {}): Record<string, string> => ({
    grant_type: 'refresh_token',
    refresh_token,
    client_id: 'acme.twin',
    client_secret: 'secret-of-acme',
    ...more,
});
const without = (params: Record<string, string>, name: string): Record<string, string> =>
    Object.fromEntries(Object.entries(params).filter(([key]) => key !== name));

test('a grant from consent to the API and through a refresh', async () => {
    const twins = await start({ token_params: { grant_type: 'authorization_code' }, refresh_params: { grant_type: 'refresh_token' } });
    const back = await decide(twins, authorize, request('acme', { ...pkce, scope: 'read write' }));
    expect(back.origin + back.pathname).toBe(callback);
    expect(back.searchParams.get('state')).toBe('state-1');
    const first = await twins.form(token, exchange(back.searchParams.get('code')!));
    expect(first).toMatchObject({ status: 200, body: { token_type: 'Bearer', expires_in: 3600, scope: 'read write' } });
    expect(await twins.get('https://api.acme.example/me', bearer(first.body.access_token))).toMatchObject({
        status: 200,
        body: { provider: 'acme' },
    });
    const second = await twins.form(token, refreshing(first.body.refresh_token));
    expect(second.status).toBe(200);
    expect(second.body.access_token).not.toBe(first.body.access_token);
    expect(second.body.refresh_token).not.toBe(first.body.refresh_token);
});

describe('the authorization request', () => {
    const refused = async (quirks: object, query: string): Promise<string> => {
        const twins = await start(quirks);
        const reply = await twins.get(`${authorize}?${query}`);
        expect(reply.status).toBe(400);
        return reply.body.error_description as string;
    };
    const query = (more: Record<string, string> = pkce): string => new URLSearchParams(request('acme', more)).toString();

    test('shows a page that names the app, its scopes and where it goes back to', async () => {
        const twins = await start();
        const reply = await twins.get(`${authorize}?${query({ ...pkce, scope: 'read' })}`);
        expect(reply.headers['content-security-policy']).toContain("default-src 'none'");
        for (const text of ['acme.twin', 'read', 'localhost:3003', 'Approve', 'Deny']) expect(reply.text).toContain(text);
    });

    test('escapes what it shows', async () => {
        const twins = await start();
        const reply = await twins.get(`${authorize}?${query({ ...pkce, scope: '<script>alert(1)</script>' })}`);
        expect(reply.text).not.toContain('<script>alert');
    });

    test.each(['client_id', 'redirect_uri', 'state', 'response_type', 'code_challenge'])('needs %s', async (name) => {
        expect(await refused({}, new URLSearchParams(without(request('acme', pkce), name)).toString())).toContain(name);
    });

    test('needs S256', async () => {
        expect(await refused({}, query({ ...pkce, code_challenge_method: 'plain' }))).toContain('S256');
    });

    test('must not have a challenge where the vendor knows no PKCE', async () => {
        expect(await refused({ disable_pkce: true }, query())).toContain('PKCE');
    });

    test('joins scopes as the vendor wants them', async () => {
        expect(await refused({ scope_separator: ',' }, query({ ...pkce, scope: 'a b' }))).toContain('joined');
        expect(await refused({}, query({ ...pkce, scope: 'a,b' }))).toContain('joined');
    });

    test('has the parameters of the entry, with their values', async () => {
        const quirks = {
            authorization_params: { prompt: 'consent', audience: 'https://${connectionConfig.site}.example' },
            connection_config: { site: { type: 'string' } },
        };
        expect(await refused(quirks, query({ ...pkce, prompt: 'none', audience: 'https://a.example' }))).toContain('prompt');
        expect(await refused(quirks, query({ ...pkce, prompt: 'consent' }))).toContain('audience');
        const twins = await start(quirks);
        expect((await twins.get(`${authorize}?${query({ ...pkce, prompt: 'consent', audience: 'https://a.example' })}`)).status).toBe(200);
    });

    test('has no parameter twice', async () => {
        expect(await refused({}, `${query()}&state=other`)).toContain('twice');
    });

    test('has the names that the entry renames parameters to', async () => {
        const quirks = { authorization_url_replacements: { client_id: 'client_key', 'state=': 'customField=' }, disable_pkce: true };
        expect(await refused(quirks, query({}))).toContain('client_key');
        const twins = await start(quirks);
        const { client_id, state, ...rest } = request('acme');
        const back = await decide(twins, authorize, { ...rest, client_key: client_id!, customField: state! });
        expect(back.searchParams.get('customField')).toBe('state-1');
        expect(back.searchParams.has('state')).toBe(false);
    });

    test('lacks the name of a parameter that the entry cuts out', async () => {
        const quirks = { authorization_url_replacements: { response_type: '' }, disable_pkce: true };
        expect(await refused(quirks, query({}))).toContain('response_type');
        const twins = await start(quirks);
        const rest = new URLSearchParams(without(request('acme'), 'response_type')).toString();
        expect((await twins.get(`${authorize}?=code&${rest}`)).status).toBe(200);
    });

    test('lacks empty parameters where they are to be left out', async () => {
        expect(await refused({ authorization_url_skip_empty: true }, query({ ...pkce, scope: '' }))).toContain('empty');
    });

    test('has scopes in the address as they are, where they are not to be encoded', async () => {
        const quirks = { authorization_url_skip_encode: ['scopes'], scope_separator: '+' };
        expect(await refused(quirks, `${query()}&scope=a%2Bb`)).toContain('percent-encoded');
        const twins = await start(quirks);
        const reply = await twins.get(`${authorize}?${query()}&scope=a:x+b&_decision=approve`);
        const code = new URL(reply.headers['location']!).searchParams.get('code')!;
        expect((await twins.form(token, exchange(code))).body.scope).toBe('a:x+b');
    });

    test('may come behind a fragment, which the page sends on', async () => {
        const twins = await start({ authorization_url_fragment: 'oauth/authorize' });
        const relay = await twins.get(authorize);
        expect(relay.text).toContain('location.hash');
        expect((await twins.get(`${authorize}?${query()}&_fragment=elsewhere`)).status).toBe(400);
        expect((await twins.get(`${authorize}?${query()}&_fragment=${encodeURIComponent('oauth/authorize')}`)).text).toContain('Approve');
    });

    test('may be answered with a no', async () => {
        const back = await decide(await start(), authorize, request('acme', pkce), 'deny');
        expect(back.searchParams.get('error')).toBe('access_denied');
        expect(back.searchParams.has('code')).toBe(false);
    });

    test('is answered with what the entry wants from the callback', async () => {
        const quirks = {
            authorization_code_param_in_callback: 'spapi_oauth_code',
            redirect_uri_metadata: ['realmId', 'sellerId'],
            connection_config: { realmId: { type: 'string', pattern: String.raw`^\d{10,19}$` } },
        };
        const back = await decide(await start(quirks), authorize, request('acme', pkce));
        expect(back.searchParams.get('spapi_oauth_code')).toMatch(/^code_/);
        expect(back.searchParams.get('realmId')).toMatch(/^\d{10,19}$/);
        expect(back.searchParams.get('sellerId')).toBe('simulated-sellerId');
    });
});

describe('the token request', () => {
    test.each<[string, Record<string, string>, string]>([
        ['another code', { code: 'code_other' }, 'invalid_grant'],
        ['another redirect URI', { redirect_uri: `${callback}2` }, 'invalid_grant'],
        ['another verifier', { code_verifier: 'x'.repeat(43) }, 'invalid_grant'],
        ['a short verifier', { code_verifier: 'x' }, 'invalid_request'],
        ['another grant type', { grant_type: 'password' }, 'unsupported_grant_type'],
        ['another client', { client_id: 'somebody' }, 'invalid_client'],
        ['another secret', { client_secret: 'guess' }, 'invalid_client'],
        ['a parameter of a refresh', { refresh_token: 'x' }, 'invalid_request'],
    ])('is refused with %s', async (_what, change, code) => {
        const twins = await start();
        const reply = await twins.form(token, exchange(await codeOf(twins, authorize, request('acme', pkce)), change));
        expect(reply.body.error).toBe(code);
        expect(reply.status).toBe(code === 'invalid_client' ? 401 : 400);
    });

    test.each(['code', 'redirect_uri', 'code_verifier', 'client_id', 'client_secret', 'grant_type'])('needs %s', async (name) => {
        const twins = await start();
        const params = exchange(await codeOf(twins, authorize, request('acme', pkce)));
        const reply = await twins.form(token, without(params, name));
        expect(reply.status).toBeGreaterThanOrEqual(400);
        expect(reply.body.error_description).toContain(name === 'grant_type' ? 'grant' : name);
        // What was refused has used nothing up.
        expect((await twins.form(token, params)).status).toBe(200);
    });

    test('takes a code once; a second time ends what the first gave', async () => {
        const twins = await start();
        const params = exchange(await codeOf(twins, authorize, request('acme', pkce)));
        const first = await twins.form(token, params);
        expect((await twins.form(token, params)).body.error).toBe('invalid_grant');
        expect((await twins.get('https://api.acme.example/me', bearer(first.body.access_token))).status).toBe(401);
    });

    test('takes a code for ten minutes', async () => {
        const twins = await start();
        const code = await codeOf(twins, authorize, request('acme', pkce));
        twins.advance(11 * 60_000);
        expect((await twins.form(token, exchange(code))).body).toMatchObject({
            error: 'invalid_grant',
            error_description: expect.stringContaining('expired'),
        });
    });

    test('takes no verifier where there was no challenge', async () => {
        const twins = await start({ disable_pkce: true });
        const code = await codeOf(twins, authorize, request('acme'));
        expect((await twins.form(token, exchange(code))).body.error_description).toContain('code_verifier');
        expect((await twins.form(token, without(exchange(code), 'code_verifier'))).status).toBe(200);
    });

    test('is a form, or JSON, as the entry has it', async () => {
        const form = await start();
        expect((await form.json(token, exchange('x'))).status).toBe(415);
        const json = await start({ body_format: 'json' });
        expect((await json.form(token, exchange('x'))).status).toBe(415);
        expect((await json.json(token, exchange(await codeOf(json, authorize, request('acme', pkce))))).status).toBe(200);
    });

    test('is a POST', async () => {
        expect((await (await start()).get(`${token}?grant_type=authorization_code`)).status).toBe(405);
    });

    test('has the parameters of the entry, and the query of its URL', async () => {
        const twins = await start({
            token_url: `${token}?subscription-key=\${connectionConfig.key}`,
            token_params: { request: 'token' },
            connection_config: { key: { type: 'string' } },
        });
        const params = exchange(await codeOf(twins, authorize, request('acme', pkce)));
        expect((await twins.form(`${token}?subscription-key=k`, params)).body.error_description).toContain('request');
        expect((await twins.form(`${token}?subscription-key=k`, { ...params, request: 'token' })).status).toBe(200);
    });

    test('of a Basic client has the pair form-encoded in the header, and the secret nowhere else', async () => {
        for (const quirk of [{ token_request_auth_method: 'basic' }, { authorization_method: 'header' }]) {
            const twins = await start(quirk);
            await twins.control('/_twin/secrets', { provider: 'acme', id: 'a:b c', name: 'client_secret', secret: 's/+%' });
            const params = without(
                without(exchange(await codeOf(twins, authorize, { ...request('acme', pkce), client_id: 'a:b c' })), 'client_id'),
                'client_secret',
            );
            expect((await twins.form(token, params)).body.error).toBe('invalid_client');
            expect((await twins.form(token, params, basic('a:b c', 's/+%'))).body.error).toBe('invalid_client');
            const header = basic('a%3Ab+c', 's%2F%2B%25');
            expect((await twins.form(token, { ...params, client_secret: 's/+%' }, header)).body.error_description).toContain('another place');
            expect((await twins.form(token, params, header)).status).toBe(200);
        }
    });

    test('of a body client has no Authorization header', async () => {
        const twins = await start();
        const reply = await twins.form(token, exchange(await codeOf(twins, authorize, request('acme', pkce))), basic('acme.twin', 'secret-of-acme'));
        expect(reply.body.error).toBe('invalid_client');
    });

    test('of a new client is believed, and from then on it has that secret', async () => {
        const twins = await start();
        const mine = { client_id: 'my-app', client_secret: 'my-secret' };
        const again = (): Promise<string> => codeOf(twins, authorize, { ...request('acme', pkce), client_id: 'my-app' });
        expect((await twins.form(token, exchange(await again(), mine))).status).toBe(200);
        expect((await twins.form(token, exchange(await again(), { ...mine, client_secret: 'other' }))).body.error).toBe('invalid_client');
        expect((await twins.form(token, exchange(await again(), { ...mine, client_secret: 'wrong-one' }))).body.error).toBe('invalid_client');
    });
});

describe('the token answer', () => {
    const answer = async (quirks: object, more: Record<string, string> = {}, headers?: Record<string, string>) => {
        const twins = await start(quirks);
        return twins.form(token, exchange(await codeOf(twins, authorize, request('acme', { ...pkce, ...more }))), headers);
    };

    test('counts in milliseconds where the entry says so', async () => {
        expect((await answer({ expires_in_unit: 'milliseconds' })).body.expires_in).toBe(3_600_000);
    });

    test('has the token in another place, and metadata beside it', async () => {
        const { body } = await answer({
            alternate_access_token_response_path: 'authed_user',
            token_response_metadata: ['team.id', 'instance_url'],
            connection_config: { instance_url: { type: 'string', format: 'uri', automated: true } },
        });
        expect(body).toMatchObject({
            authed_user: { access_token: expect.any(String) },
            team: { id: expect.any(String) },
            instance_url: 'https://acme.twin.example',
        });
        expect(body.access_token).toBeUndefined();
    });

    test('of GitHub is a form unless JSON is asked for', async () => {
        const twins = await startTwins({ github: { ...plain, disable_pkce: true } });
        const params = { grant_type: 'authorization_code', redirect_uri: callback, client_id: 'github.twin', client_secret: 'secret-of-github' };
        const code = (): Promise<string> => codeOf(twins, authorize, request('github'));
        const form = await twins.form(token, { ...params, code: await code() });
        expect(form.headers['content-type']).toContain('form-urlencoded');
        expect(new URLSearchParams(form.text).get('access_token')).toBeTruthy();
        const json = await twins.form(token, { ...params, code: await code() }, { accept: 'application/json' });
        expect(json.body.access_token).toBeTruthy();
        expect(json.body.expires_in).toBeUndefined();
    });

    test('has a refresh token only for who asked for offline access', async () => {
        const quirks = { authorization_params: { access_type: 'offline' } };
        expect((await answer(quirks, { access_type: 'offline' })).body.refresh_token).toBeTruthy();
        const byScope = { default_scopes: ['read', 'offline_access'] };
        expect((await answer(byScope, { scope: 'read' })).body.refresh_token).toBeUndefined();
        expect((await answer(byScope, { scope: 'read offline_access' })).body.refresh_token).toBeTruthy();
    });
});

describe('the refresh', () => {
    const granted = async (quirks: object = {}): Promise<{ twins: Twins; body: { access_token: string; refresh_token: string } }> => {
        const twins = await start(quirks);
        const { body } = await twins.form(token, exchange(await codeOf(twins, authorize, request('acme', pkce))));
        return { twins, body };
    };

    test('rotates; the old token is then a sign of theft and ends the grant', async () => {
        const { twins, body } = await granted();
        const second = await twins.form(token, refreshing(body.refresh_token));
        expect((await twins.form(token, refreshing(body.refresh_token))).body.error).toBe('invalid_grant');
        expect((await twins.form(token, refreshing(second.body.refresh_token))).body.error).toBe('invalid_grant');
    });

    test('keeps the token with vendors who do', async () => {
        const twins = await startTwins({ 'google-mail': { ...plain, disable_pkce: true } });
        const client = { client_id: 'google-mail.twin', client_secret: 'secret-of-google-mail' };
        const code = await codeOf(twins, authorize, request('google-mail'));
        const { body } = await twins.form(token, { grant_type: 'authorization_code', redirect_uri: callback, code, ...client });
        for (const _time of [1, 2]) {
            const again = await twins.form(token, { grant_type: 'refresh_token', refresh_token: body.refresh_token, ...client });
            expect(again.body.access_token).toBeTruthy();
            expect(again.body.refresh_token).toBeUndefined();
        }
    });

    test.each<[string, Record<string, string>, string]>([
        ['another token', { refresh_token: 'refresh_x' }, 'invalid_grant'],
        ['the grant type of an exchange', { grant_type: 'authorization_code' }, 'invalid_request'],
        ['another secret', { client_secret: 'guess' }, 'invalid_client'],
        ['a parameter of an exchange', { code_verifier: verifier }, 'invalid_request'],
    ])('is refused with %s', async (_what, change, code) => {
        const { twins, body } = await granted();
        expect((await twins.form(token, refreshing(body.refresh_token, change))).body.error).toBe(code);
    });

    test('goes to its own URL, with its own parameters, where the entry has some', async () => {
        const { twins, body } = await granted({ refresh_url: 'https://acme.example/refresh', refresh_params: { expires_in: '1800' } });
        expect((await twins.form('https://acme.example/refresh', refreshing(body.refresh_token))).body.error_description).toContain('expires_in');
        expect((await twins.form('https://acme.example/refresh', refreshing(body.refresh_token, { expires_in: '1800' }))).status).toBe(200);
        expect((await twins.form('https://acme.example/refresh', exchange('x'))).body.error).toBe('unsupported_grant_type');
    });

    test('outlives the access token', async () => {
        const { twins, body } = await granted();
        twins.advance(2 * 3600_000);
        const expired = await twins.get('https://api.acme.example/me', bearer(body.access_token));
        expect(expired).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer error="invalid_token"' } });
        expect((await twins.form(token, refreshing(body.refresh_token))).status).toBe(200);
    });

    test('ends with a revocation (RFC 7009)', async () => {
        const { twins, body } = await granted({ revocation_url: 'https://acme.example/revoke' });
        expect((await twins.form('https://acme.example/revoke', { token: body.refresh_token })).status).toBe(200);
        expect((await twins.form(token, refreshing(body.refresh_token))).body.error).toBe('invalid_grant');
        expect((await twins.get('https://api.acme.example/me', bearer(body.access_token))).status).toBe(401);
    });
});

describe('of several entries with one address', () => {
    const entries = { first: plain, second: { ...plain, default_scopes: ['x'] } };

    test('the sample client says which one is meant, and the code belongs to it', async () => {
        const twins = await startTwins(entries);
        const code = await codeOf(twins, authorize, request('second', pkce));
        const { body } = await twins.form(token, { ...exchange(code), client_id: 'second.twin', client_secret: 'secret-of-second' });
        expect(await twins.get('https://api.acme.example/me', bearer(body.access_token))).toMatchObject({ body: { provider: 'second' } });
        expect(twins.simulator.activity.list('first')).toEqual([]);
    });

    test('a host that is named after an entry is that entry’s', async () => {
        const anyHost = {
            ...plain,
            authorization_url: 'https://${connectionConfig.host}/authorize',
            token_url: 'https://${connectionConfig.host}/token',
        };
        const twins = await startTwins({ one: anyHost, two: { ...anyHost, disable_pkce: true } });
        expect(
            (await twins.get(`https://two.twin.example/authorize?${new URLSearchParams(request('x', pkce)).toString()}`)).body.error_description,
        ).toContain('PKCE');
        expect((await twins.get(`https://one.twin.example/authorize?${new URLSearchParams(request('x', pkce)).toString()}`)).status).toBe(200);
    });
});

test('the challenge of the tests is the one of RFC 7636 appendix B', () => {
    expect(challenge).toBe('E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM');
    expect(createHash('sha256').update(verifier).digest('base64url')).toBe(challenge);
});
