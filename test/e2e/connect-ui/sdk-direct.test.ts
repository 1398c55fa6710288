/**
 * What the official frontend client posts, from a page of another origin: each of its branches, and what comes back when it fails
 * (frontend contract §1.6, §6 F1–F9, F23–F25). Every call here has a preflight (F8): none would arrive otherwise.
 *
 * Shown elsewhere: F2 with the password left out (../browser.test.ts); F4b of each mode without a browser, and the order of checks
 * (test/http/direct-auth.test.ts, direct-modes.test.ts); F7 with 415, 429 and 500 (test/http/pipeline.test.ts,
 * rate-limit.test.ts, direct-auth.test.ts); F23's webhook says override (test/http/reconnect-sessions.test.ts); secrets of a whole deployment's day (F25, ../secrecy.test.ts).
 */
import type { Request } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startAccountServer, type AccountServer } from '../../http/import-entries.ts';
import { approve, startRig, type Outcome, type Rig, type Visit } from './rig.ts';
import { typedEntries } from './typed-entries.ts';

let rig: Rig;
let account: AccountServer;
let visit: Visit;
let token: string;
/** All tokens that were in a query. */
const tokens: string[] = [];

const spaced = 'keys and spaces';
const long = `long-${'k'.repeat(195)}`;

beforeAll(async () => {
    account = await startAccountServer();
    rig = await startRig({ providers: () => typedEntries(account.url), env: { VALETKEY_BODY_LIMIT: '20kb' } });
    for (const slug of ['two-step', 'signature', 'bill', 'jwt', 'cc', 'open']) await rig.integrate(slug, slug);
    await rig.integrate('tba', 'tba', { type: 'TBA', client_id: 'consumer', client_secret: 'consumer-secret' });
    await rig.integrate('outbound', 'outbound', { type: 'OAUTH2', client_id: 'client', client_secret: 'client-secret' });
    const sts = { service: 's3', stsMode: 'custom', stsEndpointUrl: `${account.url}/assume` };
    await rig.valetkey.call('POST', '/integrations', { provider: 'aws', unique_key: 'aws', integration_config: sts });
    for (const key of [spaced, long]) await rig.integrate('key-test', key);
    await rig.integrate('oauth-test', 'oauth and spaces', oauthClient());
});
afterAll(async () => {
    await rig?.close();
    await account?.close();
});

beforeEach(async () => {
    account.requests.length = 0;
    account.answer = { status: 200, body: { sessionId: 's1', organizationId: 'o', userId: 'u', token: 't', access_token: 't', expires_in: 3600 } };
    visit = await rig.visit();
    ({ token } = await rig.session());
    tokens.push(token);
});
afterEach(() => visit?.close());

const oauthClient = () => ({ type: 'OAUTH2', client_id: rig.provider.tokens.clientId, client_secret: rig.provider.tokens.clientSecret });
const config = () => ({ connectSessionToken: token });

/** Calls `auth()` without a popup, and says what it asked the server. */
async function auth(key: string, options: Record<string, unknown>): Promise<{ outcome: Outcome; asked: Request }> {
    const sent = visit.page.waitForRequest((request) => request.url().startsWith(rig.valetkey.url) && request.method() === 'POST');
    await visit.call({ method: 'auth', args: [key, options], config: config() });
    const asked = await sent;
    return { outcome: await visit.outcome(), asked };
}

const connectionOf = async (key: string, { resolved }: Outcome) => {
    const path = `/connections/${resolved!.connectionId}?provider_config_key=${encodeURIComponent(key)}`;
    const answer = await rig.valetkey.call<{ credentials: Record<string, unknown>; connection_config: Record<string, unknown> }>('GET', path);
    expect(answer.status).toBe(200);
    return answer.body;
};

const ghostKey = `${'a'.repeat(24)}:${'0f'.repeat(32)}`;
const app = { client_id: 'an-id', client_secret: 'a-client-secret' };
const bill = { username: 'ann', password: 'pw', organization_id: 'org', dev_key: 'dev' };

describe('F1 to F3: each way of posting credentials finds its endpoint, which takes the body as it comes', () => {
    test.each<[string, string, Record<string, unknown>, string, unknown, string]>([
        [
            'TWO_STEP, shaped like a client',
            'two-step',
            { credentials: { type: 'TWO_STEP', ...app } },
            '/auth/two-step/two-step',
            { type: 'TWO_STEP', ...app },
            'TWO_STEP',
        ],
        [
            'SIGNATURE',
            'signature',
            { credentials: { type: 'SIGNATURE', username: 'ann', password: 'pw', more: 'x' } },
            '/auth/signature/signature',
            { type: 'SIGNATURE', username: 'ann', password: 'pw' },
            'SIGNATURE',
        ],
        ['BILL', 'bill', { credentials: bill }, '/auth/bill/bill', bill, 'BILL'],
        [
            'BASIC with an empty password',
            'basic',
            { credentials: { username: 'ann', password: '' } },
            '/api-auth/basic/basic',
            { username: 'ann', password: '' },
            'BASIC',
        ],
        ['JWT', 'jwt', { credentials: { privateKey: ghostKey } }, '/auth/jwt/jwt', { privateKey: ghostKey }, 'JWT'],
        [
            'TBA',
            'tba',
            { credentials: { token_id: 'ti', token_secret: 'ts' }, params: { accountId: '12 3&4' } },
            '/auth/tba/tba',
            { token_id: 'ti', token_secret: 'ts' },
            'TBA',
        ],
        ['OAUTH2_CC', 'cc', { credentials: app }, '/oauth2/auth/cc', app, 'OAUTH2_CC'],
    ])('%s', async (_name, key, options, path, body, type) => {
        const { outcome, asked } = await auth(key, options);
        expect([new URL(asked.url()).pathname, asked.postDataJSON()]).toEqual([path, body]);
        expect(outcome).toEqual({ resolved: { providerConfigKey: key, connectionId: expect.any(String) as string } });
        expect((await connectionOf(key, outcome)).credentials).toMatchObject({ type });
    });

    test.each([spaced, long, 'keys'])('API_KEY, and F6: the integration is called %s', async (key) => {
        const { outcome, asked } = await auth(key, { credentials: { apiKey: rig.provider.account.apiKey } });
        expect(new URL(asked.url()).pathname).toBe(`/api-auth/api-key/${encodeURIComponent(key)}`);
        expect(outcome).toEqual({ resolved: { providerConfigKey: key, connectionId: expect.any(String) as string } });
        expect((await connectionOf(key, outcome)).credentials).toEqual({ type: 'API_KEY', apiKey: rig.provider.account.apiKey });
    });

    test('AWS_SIGV4, as far as the token service that gives no keys', async () => {
        const credentials = { type: 'AWS_SIGV4', role_arn: 'arn:aws:iam::123456789012:role/app', region: 'eu-central-1' };
        const { outcome, asked } = await auth('aws', { credentials });
        expect(asked.postDataJSON()).toEqual({ role_arn: credentials.role_arn, region: credentials.region });
        expect(account.requests.map(({ url }) => url)).toContain('/assume');
        expect(outcome.rejected).toMatchObject({ name: 'AuthError', type: 'aws_sigv4_sts_request_failed' });
    });
});

describe('F4: no body, and JSON all the same', () => {
    test('an outbound installation', async () => {
        const { outcome, asked } = await auth('outbound', { installation: 'outbound', credentials: {}, params: { actor: '17' } });
        expect([asked.postData(), asked.headers()['content-type']]).toEqual([null, 'application/json']);
        expect(outcome.resolved).toMatchObject({ providerConfigKey: 'outbound' });
    });

    test('an account without credentials', async () => {
        await visit.call({ method: 'create', args: ['open'], config: config() });
        expect(await visit.outcome()).toEqual({ resolved: { providerConfigKey: 'open', connectionId: expect.any(String) as string } });
    });
});

describe('F4b: refused credentials are an AuthError that repeats none of them', () => {
    test.each<[string, Record<string, unknown>]>([
        ['keys', { credentials: { apiKey: 'wrong-secret' } }],
        ['basic', { credentials: { username: 'ann', password: 'wrong-secret' } }],
        ['tba', { credentials: { token_id: 'ti', token_secret: 'wrong-secret' }, params: { accountId: '1' } }],
        ['jwt', { credentials: { privateKey: ghostKey } }],
        ['signature', { credentials: { type: 'SIGNATURE', username: 'ann', password: 'wrong-secret' } }],
    ])('%s', async (key, options) => {
        account.answer = { status: 401, body: { error: 'no' } };
        const { outcome } = await auth(key, options);
        expect(outcome.rejected).toMatchObject({ name: 'AuthError', type: 'connection_test_failed' });
        expect(outcome.rejected?.message).toMatch(/.{10}/);
        expect(outcome.rejected?.message).not.toMatch(/wrong-secret|0f0f/);
    });
});

describe('F5: nested parameters', () => {
    const params = { a: 'b c', 'd&e': '#1=ä', 'dotted.name': 'x' };

    test('by a post', async () => {
        const { outcome } = await auth('keys', { credentials: { apiKey: rig.provider.account.apiKey }, params });
        expect((await connectionOf('keys', outcome)).connection_config).toEqual(params);
    });

    test('by a popup, to an integration with a space in its name (F6)', async () => {
        const popup = visit.nextWindow();
        await visit.call({ method: 'auth', args: ['oauth and spaces', { params }], config: config() });
        await approve(await popup);
        const outcome = await visit.outcome();
        expect(outcome.resolved).toMatchObject({ providerConfigKey: 'oauth and spaces' });
        expect((await connectionOf('oauth and spaces', outcome)).connection_config).toMatchObject(params);
    });
});

describe('F7: whatever goes wrong is an AuthError with a code and a sentence', () => {
    const right = { credentials: { apiKey: 'x' } };

    test.each<[string, () => Promise<Outcome>, string]>([
        ['400', async () => (await auth('keys', { credentials: { apiKey: '' } })).outcome, 'invalid_body'],
        ['400, another mode', async () => (await auth('basic', right)).outcome, 'invalid_auth_mode'],
        [
            '401',
            async () => {
                token = `nango_connect_session_${'0'.repeat(64)}`;
                return (await auth('keys', right)).outcome;
            },
            'unknown_connect_session_token',
        ],
        ['404', async () => (await auth('no-such', right)).outcome, 'unknown_provider_config'],
        ['404, a path that nobody serves', async () => (await auth('a/b', right)).outcome, 'not_found'],
        ['413', async () => (await auth('keys', { credentials: { apiKey: 'x'.repeat(30_000) } })).outcome, 'request_too_large'],
        [
            '400, F9: a connection id beside a session',
            async () => {
                await visit.call({ method: 'auth', args: ['keys', 'my-id', right], config: config() });
                return visit.outcome();
            },
            'invalid_query_params',
        ],
    ])('%s', async (_name, act, type) => {
        const { rejected } = await act();
        expect(rejected).toMatchObject({ name: 'AuthError', type });
        expect(rejected?.message).toMatch(/.{8}/);
    });
});

test('F23: a reconnect keeps the id of its connection, by auth() and by reconnect()', async () => {
    const first = await auth('keys', { credentials: { apiKey: rig.provider.account.apiKey } });
    const id = first.outcome.resolved!.connectionId;
    for (const method of ['auth', 'reconnect'] as const) {
        const body = { connection_id: id, integration_id: 'keys' };
        const session = await rig.valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', body);
        const again = { connectSessionToken: session.body.data.token };
        await visit.call({ method, args: ['keys', { credentials: { apiKey: rig.provider.account.apiKey } }], config: again });
        expect(await visit.outcome()).toEqual({ resolved: { providerConfigKey: 'keys', connectionId: id } });
    }
});

test('F24: what the session presets wins over what the page sends', async () => {
    const defaults = { keys: { connection_config: { region: 'eu', plan: 'pro' } } };
    ({ token } = await rig.session({ integrations_config_defaults: defaults }));
    const { outcome } = await auth('keys', { credentials: { apiKey: rig.provider.account.apiKey }, params: { region: 'us', own: 'x' } });
    expect((await connectionOf('keys', outcome)).connection_config).toEqual({ region: 'eu', plan: 'pro', own: 'x' });
});

test('F25: no line of the log has a token or a credential of all this', () => {
    const log = rig.valetkey.output();
    expect(log).toContain('/api-auth/api-key/');
    for (const secret of [...tokens, rig.provider.account.apiKey, 'wrong-secret', 'a-client-secret', ghostKey, rig.valetkey.apiKey]) {
        expect(log).not.toContain(secret);
    }
});
