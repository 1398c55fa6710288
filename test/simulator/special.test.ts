/** Providers with rules of their own: what they take, what they give, and what they refuse (provider-catalog §11). */
import { createHmac, createPrivateKey } from 'node:crypto';
import { SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { sampleKey } from '../../src/simulator/sample-keys.ts';
import { specials } from '../../src/simulator/special/index.ts';
import { basic, bearer, callback, codeOf, decide, pkce, request, startTwins, verifier, type Reply, type Twins } from './twins.ts';

const host = 'https://acme.example';
const urls = { authorize: `${host}/authorize`, token: `${host}/token`, refresh: `${host}/refresh` };
const api = 'https://api.acme.example/me';
const plain = { auth_mode: 'OAUTH2', authorization_url: urls.authorize, token_url: urls.token, proxy: { base_url: 'https://api.acme.example' } };
const bare = { ...plain, disable_pkce: true };

const clientOf = (slug: string): { client_id: string; client_secret: string } => ({ client_id: `${slug}.twin`, client_secret: `secret-of-${slug}` });
const basicOf = (slug: string): { authorization: string } => basic(`${slug}.twin`, `secret-of-${slug}`);
const grantType = { grant_type: 'authorization_code' };
const redirect = { redirect_uri: callback };

async function start(slug: string, entry: object, params: Record<string, string> = pkce): Promise<{ twins: Twins; code: string }> {
    const twins = await startTwins({ [slug]: entry });
    return { twins, code: await codeOf(twins, urls.authorize, request(slug, params)) };
}

/** The right request is accepted after each wrong one was refused: refusing uses nothing up. */
async function expectOnly(
    right: () => Promise<Reply>,
    wrong: (() => Promise<Reply>)[],
    isRefused = ({ status }: Reply): boolean => status >= 400,
): Promise<Reply> {
    for (const [index, attempt] of wrong.entries()) expect([index, isRefused(await attempt())]).toEqual([index, true]);
    const reply = await right();
    expect([reply.text, isRefused(reply)]).toEqual([reply.text, false]);
    return reply;
}

test('all forty are there', () => {
    expect(Object.keys(specials)).toHaveLength(40);
});

test('salesforce: no lifetime in the answer, an introspection endpoint instead', async () => {
    const { twins, code } = await start('salesforce', bare, {});
    const { body } = await twins.form(urls.token, { ...grantType, ...redirect, code, ...clientOf('salesforce') });
    expect(body.expires_in).toBeUndefined();
    const url = 'https://salesforce.twin.example/services/oauth2/introspect';
    const ask = { token: body.access_token, token_type_hint: 'access_token', ...clientOf('salesforce') };
    const active = await expectOnly(
        () => twins.form(url, ask),
        [
            () => twins.form(url, { ...ask, client_secret: 'guess' }),
            () => twins.form(url, { ...ask, token_type_hint: 'refresh_token' }),
            () => twins.json(url, ask),
        ],
    );
    expect(active.body).toMatchObject({ active: true, exp: expect.any(Number) });
    twins.advance(2 * 3600_000);
    expect((await twins.form(url, ask)).body).toEqual({ active: false });
});

test('slack: two tokens with a refresh token each, and failures that are 200', async () => {
    const { twins, code } = await start(
        'slack',
        { ...bare, scope_separator: ',', alternate_access_token_response_path: 'authed_user' },
        { scope: 'chat:write', user_scope: 'search:read' },
    );
    const exchange = { ...redirect, code, ...clientOf('slack') };
    const first = await expectOnly(
        () => twins.form(urls.token, exchange),
        [() => twins.form(urls.token, { ...exchange, client_secret: 'guess' }), () => twins.form(urls.token, { ...exchange, code: 'x' })],
        ({ status, body }) => status === 200 && body.ok === false,
    );
    expect(first.body).toMatchObject({
        ok: true,
        token_type: 'bot',
        team: { id: 'T000TWIN' },
        incoming_webhook: { channel: '#simulated' },
        authed_user: { token_type: 'user', scope: 'search:read' },
    });
    for (const half of [first.body, first.body.authed_user]) {
        const again = await twins.form(urls.token, { grant_type: 'refresh_token', refresh_token: half.refresh_token, ...clientOf('slack') });
        expect(again.body).toMatchObject({ ok: true, token_type: half.token_type, access_token: expect.any(String) });
        expect((await twins.form(urls.token, { grant_type: 'refresh_token', refresh_token: half.refresh_token, ...clientOf('slack') })).body.ok).toBe(
            false,
        );
    }
});

describe('microsoft', () => {
    const tenant = '11111111-2222-4333-8444-555555555555';
    const tokenUrl = (of: string): string => `https://login.microsoftonline.com/${of}/oauth2/v2.0/token`;

    test('one-drive: a second token for the file host of the tenant that the first one names', async () => {
        const { twins, code } = await start('one-drive', { ...bare, token_url: tokenUrl('common') }, {});
        const client = clientOf('one-drive');
        const { body } = await twins.form(tokenUrl('common'), { ...grantType, ...redirect, code, ...client });
        expect(JSON.parse(Buffer.from(body.access_token.split('.')[1], 'base64url').toString()).tid).toBe(tenant);
        const second = {
            grant_type: 'refresh_token',
            refresh_token: body.refresh_token,
            scope: `https://${tenant}.sharepoint.com/Sites.Read.All`,
            ...client,
        };
        await expectOnly(
            () => twins.form(tokenUrl(tenant), second),
            [() => twins.form(tokenUrl(tenant), { ...second, scope: 'https://other.sharepoint.com/Sites.Read.All' })],
        );
        // The first refresh token lives on.
        expect((await twins.form(tokenUrl('common'), { grant_type: 'refresh_token', refresh_token: body.refresh_token, ...client })).status).toBe(
            200,
        );
    });

    test('microsoft-teams-bot: a token of its own for the bot framework', async () => {
        const twins = await startTwins({ 'microsoft-teams-bot': { ...bare, token_url: tokenUrl('${connectionConfig.tenantId}') } });
        const ask = { grant_type: 'client_credentials', scope: 'https://api.botframework.com/.default', ...clientOf('microsoft-teams-bot') };
        await expectOnly(() => twins.form(tokenUrl(tenant), ask), [() => twins.form(tokenUrl(tenant), { ...ask, scope: 'other' })]);
    });

    test('microsoft-admin: the callback names the tenant, client credentials do the rest', async () => {
        const entry = {
            ...plain,
            authorization_url: 'https://login.microsoftonline.com/${connectionConfig.tenantId}/adminconsent',
            token_url: tokenUrl('${connectionConfig.tenantId}'),
        };
        const twins = await startTwins({ 'microsoft-admin': { ...entry, authorization_code_param_in_callback: 'tenant' } });
        const back = await decide(twins, `https://login.microsoftonline.com/${tenant}/adminconsent`, request('microsoft-admin', pkce));
        expect([back.searchParams.get('tenant'), back.searchParams.has('code')]).toEqual([tenant, false]);
        const ask = { grant_type: 'client_credentials', scope: 'a b', ...clientOf('microsoft-admin') };
        await expectOnly(
            () => twins.form(tokenUrl(tenant), ask),
            [
                () => twins.form(tokenUrl(tenant), { ...ask, scope: '' }),
                () => twins.form(tokenUrl(tenant), { ...ask, scope: 'a%20b' }),
                () => twins.form(tokenUrl(tenant), { ...ask, grant_type: 'authorization_code' }),
            ],
        );
    });
});

test('facebook: JSON with the redirect URI in the query; the token is exchanged for itself', async () => {
    const { twins, code } = await start('facebook', plain);
    const url = `${urls.token}?${new URLSearchParams(redirect).toString()}`;
    const body = { code, ...redirect, code_verifier: verifier, ...clientOf('facebook') };
    const first = await expectOnly(
        () => twins.json(url, body),
        [() => twins.json(urls.token, body), () => twins.form(url, body), () => twins.json(url, { ...body, code_verifier: undefined })],
    );
    expect(first.body.refresh_token).toBeUndefined();
    const longer = (change: Record<string, string> = {}): Promise<Reply> =>
        twins.get(
            `${urls.token}?${new URLSearchParams({ grant_type: 'fb_exchange_token', fb_exchange_token: first.body.access_token, ...clientOf('facebook'), ...change }).toString()}`,
        );
    await expectOnly(longer, [() => longer({ client_secret: 'guess' }), () => longer({ fb_exchange_token: 'x' })]);
});

test.each([
    ['instagram', 'ig', 'https://graph.instagram.com/access_token'],
    ['threads', 'th', 'https://graph.threads.net/access_token'],
])('%s: a short token, a long one, and renewal by the token itself', async (slug, prefix, longUrl) => {
    const { twins, code } = await start(slug, { ...plain, refresh_url: urls.refresh });
    const short = await twins.form(urls.token, { ...grantType, ...redirect, code, ...clientOf(slug) });
    const get = (url: string, params: Record<string, string>): Promise<Reply> => twins.get(`${url}?${new URLSearchParams(params).toString()}`);
    const exchange = { grant_type: `${prefix}_exchange_token`, client_secret: `secret-of-${slug}`, access_token: short.body.access_token };
    const long = await expectOnly(
        () => get(longUrl, exchange),
        [() => get(longUrl, { ...exchange, client_secret: 'guess' }), () => twins.form(longUrl, exchange)],
    );
    expect(long.body.expires_in).toBe(5_184_000);
    const renew = { grant_type: `${prefix}_refresh_token`, access_token: long.body.access_token };
    await expectOnly(
        () => get(urls.refresh, renew),
        [() => get(urls.refresh, { ...renew, grant_type: 'refresh_token' }), () => get(urls.refresh, { ...renew, access_token: 'x' })],
    );
});

test('figma: JSON, the redirect URI in the query, and no refresh token in a refresh', async () => {
    const { twins, code } = await start('figma', { ...bare, refresh_url: urls.refresh }, {});
    const url = `${urls.token}?${new URLSearchParams(redirect).toString()}`;
    const body = { ...grantType, code };
    const first = await expectOnly(
        () => twins.json(url, body, basicOf('figma')),
        [
            () => twins.json(urls.token, body, basicOf('figma')),
            () => twins.form(url, body, basicOf('figma')),
            () => twins.json(url, { ...body, ...clientOf('figma') }, basicOf('figma')),
        ],
    );
    const refresh = { refresh_token: first.body.refresh_token };
    const second = await expectOnly(
        () => twins.json(urls.refresh, refresh, basicOf('figma')),
        [() => twins.json(urls.refresh, { ...refresh, grant_type: 'refresh_token' }, basicOf('figma'))],
    );
    expect(second.body.refresh_token).toBeUndefined();
    expect((await twins.json(urls.refresh, refresh, basicOf('figma'))).status).toBe(200);
});

test('stripe-app: the secret as user, the password empty, the client id nowhere', async () => {
    const { twins, code } = await start('stripe-app', bare, {});
    const params = { ...grantType, code };
    const secret = basic('secret-of-stripe-app', '');
    const first = await expectOnly(
        () => twins.form(urls.token, params, secret),
        [
            () => twins.form(urls.token, params, basicOf('stripe-app')),
            () => twins.form(urls.token, { ...params, client_id: 'stripe-app.twin' }, secret),
            () => twins.form(urls.token, params, basic('guess', '')),
            () => twins.form(urls.token, { ...params, ...clientOf('stripe-app') }),
        ],
    );
    expect(first.body.expires_in).toBeUndefined();
    expect((await twins.form(urls.token, { grant_type: 'refresh_token', refresh_token: first.body.refresh_token }, secret)).status).toBe(200);
});

test('workday-oauth: Basic and a verifier; no lifetime is named', async () => {
    const { twins, code } = await start('workday-oauth', plain);
    const params = { ...grantType, ...redirect, code, code_verifier: verifier };
    const { body } = await expectOnly(
        () => twins.form(urls.token, params, basicOf('workday-oauth')),
        [
            () => twins.form(urls.token, { ...params, ...clientOf('workday-oauth') }),
            () => twins.form(urls.token, { ...params, code_verifier: '' }, basicOf('workday-oauth')),
        ],
    );
    expect(body.expires_in).toBeUndefined();
});

test('fanvue: a Basic header and nothing about the client in the body', async () => {
    const { twins, code } = await start('fanvue', plain);
    const params = { ...grantType, ...redirect, code, code_verifier: verifier };
    await expectOnly(
        () => twins.form(urls.token, params, basicOf('fanvue')),
        [() => twins.form(urls.token, { ...params, client_id: 'fanvue.twin' }, basicOf('fanvue'))],
    );
});

test('followupboss: the state is repeated', async () => {
    const { twins, code } = await start('followupboss', bare, {});
    const params = { ...grantType, ...redirect, code, state: 'state-1' };
    await expectOnly(
        () => twins.form(urls.token, params, basicOf('followupboss')),
        [
            () => twins.form(urls.token, { ...params, state: 'x' }, basicOf('followupboss')),
            () => twins.form(urls.token, { ...params, state: '' }, basicOf('followupboss')),
        ],
    );
});

test('walmart: seller, service and correlation id as headers; the refresh token stays', async () => {
    const { twins, code } = await start('walmart', { ...bare, redirect_uri_metadata: ['sellerId'] }, {});
    const headers = {
        ...basicOf('walmart'),
        'wm_svc.name': 'Valetkey',
        'wm_partner.id': 'simulated-sellerId',
        'wm_qos.correlation_id': '11111111-2222-4333-8444-555555555555',
    };
    const params = { ...grantType, ...redirect, code };
    const first = await expectOnly(
        () => twins.form(urls.token, params, headers),
        [
            () => twins.form(urls.token, params, basicOf('walmart')),
            () => twins.form(urls.token, params, { ...headers, 'wm_partner.id': 'other' }),
            () => twins.form(urls.token, params, { ...headers, 'wm_qos.correlation_id': 'x' }),
        ],
    );
    const refresh = { grant_type: 'refresh_token', refresh_token: first.body.refresh_token };
    for (const _time of [1, 2]) expect((await twins.form(urls.token, refresh, headers)).body.refresh_token).toBeUndefined();
});

test('agiloft: Basic and the id for the code, the start of the secret for a refresh', async () => {
    const { twins, code } = await start('agiloft', plain);
    const params = { ...grantType, ...redirect, code, client_id: 'agiloft.twin' };
    const first = await expectOnly(
        () => twins.form(urls.token, params, basicOf('agiloft')),
        [() => twins.form(urls.token, { ...params, client_id: '' }, basicOf('agiloft')), () => twins.form(urls.token, params)],
    );
    const refresh = { grant_type: 'refresh_token', refresh_token: first.body.refresh_token, md5_secret: 'secret-of-agiloft'.slice(0, 20) };
    await expectOnly(
        () => twins.form(urls.token, refresh),
        [
            () => twins.form(urls.token, { ...refresh, md5_secret: 'x' }),
            () => twins.form(urls.token, { ...refresh, client_secret: 'secret-of-agiloft' }),
            () => twins.form(urls.token, refresh, basicOf('agiloft')),
        ],
    );
});

test.each(['heygen', 'posthog-oauth'])('%s: an id and a verifier, never a secret', async (slug) => {
    const { twins, code } = await start(slug, { ...plain, ...(slug === 'heygen' ? { refresh_url: urls.refresh } : {}) });
    const params = { ...grantType, ...redirect, code, client_id: `${slug}.twin`, code_verifier: verifier };
    const first = await expectOnly(
        () => twins.form(urls.token, params),
        [
            () => twins.form(urls.token, { ...params, client_secret: `secret-of-${slug}` }),
            () => twins.form(urls.token, params, basicOf(slug)),
            () => twins.form(urls.token, { ...params, code_verifier: '' }),
        ],
    );
    const refresh = { grant_type: 'refresh_token', refresh_token: first.body.refresh_token, client_id: `${slug}.twin` };
    const url = slug === 'heygen' ? urls.refresh : urls.token;
    await expectOnly(() => twins.form(url, refresh), [() => twins.form(url, { ...refresh, client_secret: 'x' })]);
});

test('mercury: no client at all', async () => {
    const { twins, code } = await start('mercury', { ...plain, authorization_method: 'header' });
    const params = { ...grantType, ...redirect, code, code_verifier: verifier };
    await expectOnly(
        () => twins.form(urls.token, params),
        [() => twins.form(urls.token, params, basicOf('mercury')), () => twins.form(urls.token, { ...params, client_id: 'mercury.twin' })],
    );
});

test('jobber: no lifetime is named', async () => {
    const { twins, code } = await start('jobber', bare, {});
    const { body } = await twins.form(urls.token, { ...grantType, code, ...clientOf('jobber') });
    expect(body).toMatchObject({ access_token: expect.any(String), refresh_token: expect.any(String) });
    expect(body.expires_in).toBeUndefined();
});

test('absorb-lms: key, version and nonce, and the scopes again', async () => {
    const { twins, code } = await start('absorb-lms', bare, { scope: 'a b' });
    const headers = { 'x-api-key': 'k', 'x-api-version': '1' };
    const nonce = '11111111-2222-4333-8444-555555555555';
    const params = { ...grantType, ...redirect, code, nonce, ...clientOf('absorb-lms') };
    const first = await expectOnly(
        () => twins.form(urls.token, params, headers),
        [() => twins.form(urls.token, params), () => twins.form(urls.token, { ...params, nonce: '1' }, headers)],
    );
    const refresh = { grant_type: 'refresh_token', refresh_token: first.body.refresh_token, nonce, scope: 'a b', ...clientOf('absorb-lms') };
    await expectOnly(() => twins.form(urls.token, refresh, headers), [() => twins.form(urls.token, { ...refresh, scope: 'a' }, headers)]);
});

test('clover: JSON without a grant type, a moment of expiry, a refresh by id alone', async () => {
    const { twins, code } = await start('clover', { ...bare, refresh_url: urls.refresh }, {});
    const body = { code, ...clientOf('clover') };
    const first = await expectOnly(
        () => twins.json(urls.token, body),
        [() => twins.json(urls.token, { ...body, ...grantType }), () => twins.form(urls.token, body)],
    );
    expect(first.body.access_token_expiration).toBeGreaterThan(Date.now() / 1000);
    const refresh = { refresh_token: first.body.refresh_token, client_id: 'clover.twin' };
    await expectOnly(() => twins.json(urls.refresh, refresh), [() => twins.json(urls.refresh, { ...refresh, client_secret: 'secret-of-clover' })]);
});

test('coros: the same token for thirty days more; yes and no are both 200', async () => {
    const { twins, code } = await start('coros', { ...plain, refresh_url: urls.refresh });
    const first = await twins.form(urls.token, { ...grantType, ...redirect, code, ...clientOf('coros') });
    expect(first.body).toMatchObject({ openId: expect.any(String), expires_in: 2_592_000 });
    twins.advance(29 * 24 * 3600_000);
    const refresh = { grant_type: 'refresh_token', refresh_token: first.body.refresh_token, ...clientOf('coros') };
    expect((await twins.form(urls.refresh, { ...refresh, client_secret: 'guess' })).body).toMatchObject({ result: '5001' });
    expect((await twins.form(urls.refresh, refresh)).body.result).toBe('0000');
    twins.advance(10 * 24 * 3600_000);
    expect((await twins.get(api, bearer(first.body.access_token))).status).toBe(200);
});

test('braintree: everything in a credentials object', async () => {
    const { twins, code } = await start('braintree', { ...plain, scope_separator: ',', redirect_uri_metadata: ['merchantId'] });
    const first = await expectOnly(
        () => twins.json(urls.token, { credentials: { ...grantType, code } }, basicOf('braintree')),
        [
            () => twins.json(urls.token, { ...grantType, code }, basicOf('braintree')),
            () => twins.json(urls.token, { credentials: { ...grantType, code, ...clientOf('braintree') } }),
        ],
    );
    expect(first.body.credentials).toMatchObject({ accessToken: expect.any(String), expiresAt: expect.stringMatching(/Z$/) });
    const refresh = { credentials: { grant_type: 'refresh_token', refresh_token: first.body.credentials.refreshToken } };
    expect((await twins.json(urls.token, refresh, basicOf('braintree'))).status).toBe(200);
});

test('bullhorn: all in the query; the token buys a session, and the session is what the API takes', async () => {
    const entry = {
        ...bare,
        proxy: { base_url: '${connectionConfig.restUrl}', headers: { bhresttoken: '${accessToken}' } },
        connection_config: { restUrl: { type: 'string', automated: true } },
    };
    const { twins, code } = await start('bullhorn', entry, {});
    const query = (params: Record<string, string>): string => new URLSearchParams(params).toString();
    const params = { ...grantType, code, ...redirect, ...clientOf('bullhorn') };
    const first = await expectOnly(() => twins.call(`${urls.token}?${query(params)}`, { method: 'POST' }), [() => twins.form(urls.token, params)]);
    const login = 'https://rest-west.bullhornstaffing.com/rest-services/login';
    const ask = { version: '*', access_token: first.body.access_token, ttl: '10080' };
    const session = await expectOnly(
        () => twins.call(`${login}?${query(ask)}`, { method: 'POST' }),
        [
            () => twins.call(`${login}?${query({ ...ask, version: '2' })}`, { method: 'POST' }),
            () => twins.call(`${login}?${query({ ...ask, ttl: '99999' })}`, { method: 'POST' }),
        ],
    );
    const { BhRestToken, restUrl } = session.body;
    expect((await twins.get(`${restUrl}entity/Candidate`, { bhresttoken: BhRestToken })).status).toBe(200);
    expect((await twins.get(`${restUrl}entity/Candidate`, bearer(BhRestToken))).status).toBe(401);
});

test('revolut-business: the secret is a key that signs and is never sent', async () => {
    const { twins, code } = await start('revolut-business', bare, {});
    const sign = (claims: Record<string, unknown> = {}): Promise<string> =>
        new SignJWT({ iss: 'localhost', sub: 'revolut-business.twin', aud: 'https://revolut.com', ...claims })
            .setProtectedHeader({ alg: 'RS256' })
            .setIssuedAt()
            .setExpirationTime('5m')
            .sign(createPrivateKey(sampleKey('rsa').privateKey));
    const type = { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' };
    const params = { ...grantType, code, ...type, client_assertion: await sign() };
    const audience = await sign({ aud: 'https://elsewhere.example' });
    const issuer = await sign({ iss: 'elsewhere.example' });
    const first = await expectOnly(
        () => twins.form(urls.token, params),
        [
            () => twins.form(urls.token, { ...params, client_assertion: audience }),
            () => twins.form(urls.token, { ...params, client_assertion: issuer }),
            () => twins.form(urls.token, { ...params, client_secret: 'key' }),
        ],
    );
    const refresh = { grant_type: 'refresh_token', refresh_token: first.body.refresh_token, ...type, client_assertion: await sign() };
    expect((await twins.form(urls.token, refresh)).body.refresh_token).toBeUndefined();
});

test('sentry-oauth: a signed webhook brings the code, and the answer is 201 under other names', async () => {
    const url = 'https://sentry.io/api/0/sentry-app-installations/${connectionConfig.installation.uuid}/authorizations/';
    const twins = await startTwins({
        'sentry-oauth': { auth_mode: 'OAUTH2', installation: 'outbound', token_url: url, proxy: { base_url: 'https://sentry.io/api' } },
    });
    const { body: webhook } = await twins.control('/_twin/installations', {
        provider: 'sentry-oauth',
        actor: '7',
        client_secret: 'secret-of-sentry-oauth',
    });
    expect(webhook.headers['sentry-hook-signature']).toBe(createHmac('sha256', 'secret-of-sentry-oauth').update(webhook.body).digest('hex'));
    const { actor, data } = JSON.parse(webhook.body) as { actor: { id: string }; data: { installation: { uuid: string; code: string } } };
    expect(actor.id).toBe('7');
    const { uuid, code } = data.installation;
    const at = (id: string): string => url.replace('${connectionConfig.installation.uuid}', id);
    const body = { ...grantType, code, ...clientOf('sentry-oauth') };
    const first = await expectOnly(
        () => twins.json(at(uuid), body),
        [() => twins.json(at('other'), body), () => twins.form(at(uuid), body), () => twins.json(at(uuid), { ...body, client_secret: 'guess' })],
    );
    expect([first.status, first.body]).toMatchObject([
        201,
        { token: expect.any(String), refreshToken: expect.any(String), expiresAt: expect.stringMatching(/Z$/) },
    ]);
    const refresh = { grant_type: 'refresh_token', refresh_token: first.body.refreshToken, ...clientOf('sentry-oauth') };
    expect((await twins.json(at(uuid), refresh)).status).toBe(201);
    const installed = { method: 'PUT', headers: { 'content-type': 'application/json', ...bearer(first.body.token) }, body: '{"status":"installed"}' };
    expect((await twins.call(at(uuid).replace('authorizations/', ''), installed)).status).toBe(200);
});

test('shopline-oauth: signed by time and body; refreshing is signing again', async () => {
    const entry = { ...bare, refresh_url: urls.refresh };
    const { twins, code } = await start('shopline-oauth', entry, {});
    const post = (url: string, body: string, { secret = 'secret-of-shopline-oauth', at = Date.now() } = {}): Promise<Reply> => {
        const sign = createHmac('sha256', secret).update(`${body}${at}`).digest('hex');
        return twins.call(url, {
            method: 'POST',
            body,
            headers: { 'content-type': 'application/json', appkey: 'shopline-oauth.twin', timestamp: String(at), sign },
        });
    };
    const body = JSON.stringify({ code });
    const first = await expectOnly(
        () => post(urls.token, body),
        [() => post(urls.token, body, { secret: 'guess' }), () => post(urls.token, body, { at: Date.now() - 3600_000 })],
    );
    expect(first.body.data).toMatchObject({ accessToken: expect.any(String), expireTime: expect.any(String) });
    await expectOnly(() => post(urls.refresh, ''), [() => post(urls.refresh, '{}')]);
});

describe('tiktok', () => {
    const isRefused = ({ status, body }: Reply): boolean => status >= 400 || body.code !== 0;

    test('tiktok-ads: app id, secret and auth code in JSON; the answer under data', async () => {
        const { twins, code } = await (async () => {
            const started = await startTwins({ 'tiktok-ads': { ...plain, authorization_url_replacements: { client_id: 'app_id' } } });
            const { client_id, ...rest } = request('tiktok-ads', pkce);
            return { twins: started, code: await codeOf(started, urls.authorize, { ...rest, app_id: client_id! }) };
        })();
        const body = { app_id: 'tiktok-ads.twin', secret: 'secret-of-tiktok-ads', auth_code: code };
        const first = await expectOnly(
            () => twins.json(urls.token, body),
            [
                () => twins.json(urls.token, { ...clientOf('tiktok-ads'), auth_code: code }),
                () => twins.json(urls.token, { ...body, secret: 'guess' }),
            ],
            isRefused,
        );
        expect(first.body.data).toMatchObject({ access_token: expect.any(String), advertiser_ids: [expect.any(String)] });
        expect(first.body.data.refresh_token).toBeUndefined();
    });

    test('tiktok-accounts: auth code in JSON, and a refresh under data', async () => {
        const { twins, code } = await start('tiktok-accounts', { ...plain, refresh_url: urls.refresh });
        const body = { ...grantType, auth_code: code, ...redirect, ...clientOf('tiktok-accounts') };
        const first = await expectOnly(
            () => twins.json(urls.token, body),
            [() => twins.json(urls.token, { ...body, auth_code: undefined, code })],
            isRefused,
        );
        const refresh = { grant_type: 'refresh_token', refresh_token: first.body.data.refresh_token, ...clientOf('tiktok-accounts') };
        expect((await twins.json(urls.refresh, refresh)).body.data.access_token).toEqual(expect.any(String));
    });

    test('tiktok-personal: a client key on every call', async () => {
        const { twins, code } = await start('tiktok-personal', plain);
        const client = { client_key: 'tiktok-personal.twin', client_secret: 'secret-of-tiktok-personal' };
        const params = { ...grantType, code, ...redirect, ...client };
        const first = await expectOnly(
            () => twins.form(urls.token, params),
            [
                () => twins.form(urls.token, { ...params, client_id: 'tiktok-personal.twin' }),
                () => twins.form(urls.token, { ...params, client_key: '' }),
            ],
        );
        expect((await twins.form(urls.token, { grant_type: 'refresh_token', refresh_token: first.body.refresh_token, ...client })).status).toBe(200);
    });
});
