/** Where exceptional providers differ from what one would expect: refusals inside 200s, second tokens, tokens that stay. */
import { createHmac } from 'node:crypto';
import { decodeProtectedHeader, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { obtainByCode, refreshTokenGrant } from '../../../src/auth-modes/oauth2.ts';
import { refreshTokenOf, type OAuth2Credentials, type Obtained } from '../../../src/credentials/credential.ts';
import { nextRefreshAt } from '../../../src/credentials/expiry.ts';
import { TokenFailure } from '../../../src/credentials/token-failure.ts';
import { withFraction } from '../../virtual-sources.ts';
import { codeGrant, contextOf, keyPair, recordings, type Recording } from './recordings.ts';
import { fixedSources, now, startVendors, type RecordedCall, type Vendors } from './vendors.ts';

const second = 1000;
const minute = 60 * second;
const day = 24 * 60 * minute;

let vendors: Vendors;
beforeAll(async () => {
    vendors = await startVendors();
});
afterAll(() => vendors.close());

const of = (slug: string): Recording => recordings.get(slug)!;

/** The recorded requests with other answers. */
const answered = (calls: readonly RecordedCall[], ...answers: readonly (RecordedCall['response'] | undefined)[]): RecordedCall[] =>
    calls.slice(0, answers.length).map((call, index) => ({ ...call, response: answers[index] ?? call.response }));

const ok = (body: unknown): RecordedCall['response'] => ({ status: 200, body });
const down = { status: 503, body: { error: 'down' } };

async function exchange(
    slug: string,
    calls: readonly RecordedCall[],
    config?: Record<string, unknown>,
): Promise<Obtained & { credentials: OAuth2Credentials }> {
    vendors.expectCalls(calls);
    const obtained = await obtainByCode(contextOf(vendors, of(slug), config), codeGrant);
    vendors.verify();
    return obtained as Obtained & { credentials: OAuth2Credentials };
}

async function refresh(
    slug: string,
    calls: readonly RecordedCall[],
    { stored = of(slug).refresh!.stored!, config = of(slug).refresh!.connection_config ?? of(slug).connection_config } = {},
): Promise<Obtained & { credentials: OAuth2Credentials }> {
    vendors.expectCalls(calls);
    const strategy = refreshTokenGrant(contextOf(vendors, of(slug), config), stored);
    const receipt = await strategy.present(stored, refreshTokenOf(stored), 20_000);
    vendors.verify();
    return strategy.interpret(JSON.parse(JSON.stringify(receipt)) as typeof receipt, stored) as Obtained & { credentials: OAuth2Credentials };
}

const exchangeCalls = (slug: string): RecordedCall[] => of(slug).exchange!.calls;
const refreshCalls = (slug: string): RecordedCall[] => of(slug).refresh!.calls;
const failureOf = (promise: Promise<unknown>): Promise<TokenFailure> =>
    promise.then(
        () => expect.fail('it succeeded'),
        (error: unknown) => {
            expect(error).toBeInstanceOf(TokenFailure);
            return error as TokenFailure;
        },
    );

describe('refusals inside a 200', () => {
    test.each([
        ['slack', { ok: false, error: 'invalid_refresh_token' }, 'permanent', 'invalid_refresh_token'],
        ['slack', { ok: false, error: 'ratelimited' }, 'transient', 'ratelimited'],
        ['slack', { ok: false }, 'unknown', ''],
        ['coros', { result: '1003', message: 'Refresh token is wrong' }, 'unknown', 'result 1003: Refresh token is wrong'],
        ['tiktok-accounts', { code: 40105, message: 'Token is revoked', data: {} }, 'permanent', 'code 40105: Token is revoked'],
        ['tiktok-accounts', { code: 40100, message: 'Too many requests' }, 'transient', 'code 40100'],
        ['tiktok-accounts', { code: 50002, message: 'Outage' }, 'transient', 'code 50002'],
        ['tiktok-accounts', { code: 40002, message: 'Wrong' }, 'unknown', 'code 40002: Wrong'],
        ['tiktok-personal', { error: 'invalid_grant', error_description: 'Refresh token is invalid' }, 'permanent', 'Refresh token is invalid'],
        [
            'shopline-oauth',
            { code: 500, i18nCode: 'SIGN_ERROR', message: 'sign verify failed' },
            'unknown',
            'code 500: SIGN_ERROR: sign verify failed',
        ],
    ])('%s %j is %s', async (slug, body, kind, said) => {
        const failure = await failureOf(refresh(slug, answered(refreshCalls(slug), ok(body))));
        expect([failure.kind, failure.message]).toEqual([kind, expect.stringContaining(said)]);
    });

    test.each([
        [{ error: { message: 'Session has expired', type: 'OAuthException', code: 190 } }, 'permanent'],
        [{ error: { message: 'Try again', type: 'OAuthException', code: 190, is_transient: true } }, 'transient'],
        [{ error: { message: 'Limit', type: 'OAuthException', code: 4 } }, 'transient'],
        [{ error: { message: 'Parameter', type: 'OAuthException', code: 100 } }, 'unknown'],
    ])('a Graph error %j is %s', async (body, kind) => {
        for (const slug of ['facebook', 'instagram', 'threads']) {
            const failure = await failureOf(refresh(slug, answered(refreshCalls(slug), { status: 400, body })));
            expect([slug, failure.kind, failure.message]).toEqual([slug, kind, expect.stringContaining(body.error.message)]);
        }
    });

    test('what was sent is not repeated, whatever its place in the request', async () => {
        const said = (slug: string): string =>
            ({
                bullhorn: 'client_secret=secret-1 of refresh-1',
                facebook: 'secret-1 access-1',
                braintree: `refresh-1 ${Buffer.from('client-1:secret-1').toString('base64')}`,
                'absorb-lms': 'portal-key secret-1 refresh-1',
            })[slug]!;
        for (const slug of ['bullhorn', 'facebook', 'braintree', 'absorb-lms']) {
            const failure = await failureOf(
                refresh(slug, answered(refreshCalls(slug), { status: 400, body: { error: 'x', error_description: said(slug) } })),
            );
            expect(failure.message, slug).toContain('[redacted]');
            expect(failure.message, slug).not.toMatch(/secret-1|refresh-1|access-1|portal-key|Y2xpZW50/);
        }
    });

    test('a redirect is not followed (N5)', async () => {
        const [call] = refreshCalls('heygen');
        const redirect = { status: 302, body: '', headers: { location: 'https://elsewhere.example/' } };
        expect((await failureOf(refresh('heygen', answered([call!], redirect)))).message).toContain('redirect');
    });
});

describe('Slack', () => {
    const calls = () => refreshCalls('slack');
    const both = () => of('slack').refresh!.stored as OAuth2Credentials;

    test('the shorter of two lives counts, at connect and at a renewal', async () => {
        const [call] = exchangeCalls('slack');
        const body = call!.response.body as { expires_in: number; authed_user: { expires_in: number } };
        const shortBot = await exchange('slack', [{ ...call!, response: ok({ ...body, expires_in: 600 }) }]);
        expect(shortBot.expiresAt).toBe(now + 600 * second);
        const shortUser = await exchange('slack', [{ ...call!, response: ok({ ...body, authed_user: { ...body.authed_user, expires_in: 300 } }) }]);
        expect(shortUser.expiresAt).toBe(now + 300 * second);
    });

    test('a bot alone, and tokens that do not end', async () => {
        const [call] = exchangeCalls('slack');
        const obtained = await exchange('slack', [{ ...call!, response: ok({ ok: true, access_token: 'xoxb-1', authed_user: { id: 'U1' } }) }]);
        expect(obtained.credentials).toEqual({
            type: 'OAUTH2',
            access_token: 'xoxb-1',
            raw: { ok: true, access_token: 'xoxb-1', authed_user: { id: 'U1' } },
        });
        expect(obtained.expiresAt).toBeNull();
    });

    test('a user alone is the token, and is renewed as such', async () => {
        const raw = { ok: true, authed_user: { id: 'U1', access_token: 'xoxp-1', refresh_token: 'xoxe-1-user', expires_in: 43200 } };
        const [call] = exchangeCalls('slack');
        const { credentials } = await exchange('slack', [{ ...call!, response: ok(raw) }]);
        expect(credentials).toMatchObject({ access_token: 'xoxp-1', refresh_token: 'xoxe-1-user', raw });

        const request = { ...calls()[0]!.request, form: { ...calls()[0]!.request.form, refresh_token: 'xoxe-1-user' } };
        const renewed = await refresh(
            'slack',
            [{ request, response: ok({ ok: true, access_token: 'xoxp-2', refresh_token: 'xoxe-2-user', expires_in: 43200 }) }],
            {
                stored: credentials,
            },
        );
        expect(renewed.credentials).toMatchObject({
            access_token: 'xoxp-2',
            refresh_token: 'xoxe-2-user',
            raw: { authed_user: { id: 'U1', access_token: 'xoxp-2', refresh_token: 'xoxe-2-user' } },
        });
    });

    test('equal refresh tokens are presented once', async () => {
        const stored = both();
        const user = { ...(stored.raw['authed_user'] as object), refresh_token: stored.refresh_token };
        const { credentials } = await refresh('slack', calls().slice(0, 1), { stored: { ...stored, raw: { ...stored.raw, authed_user: user } } });
        expect(credentials.raw['authed_user']).toEqual(user);
    });

    test.each([
        ['an outage', down, true],
        ['a refusal', ok({ ok: false, error: 'invalid_refresh_token' }), false],
        ['an answer without a token', ok({ ok: true }), false],
    ])('%s of the user half loses neither what is stored of it nor what the bot has got', async (_what, answer, isRetried) => {
        const { credentials, notes, renewBy, expiresAt } = await refresh('slack', answered(calls(), undefined, answer));
        expect(credentials).toMatchObject({ access_token: 'xoxe.xoxb-2', refresh_token: 'xoxe-2-bot' });
        expect(credentials.raw['authed_user']).toEqual(both().raw['authed_user']);
        expect(expiresAt).toBe(now + 43_200 * second);
        expect(notes).toEqual([expect.stringContaining('user token')]);
        expect(renewBy === undefined ? undefined : renewBy > now).toBe(isRetried ? true : undefined);
    });

    test('a failure of the bot half is a failure, and the user half is not touched', async () => {
        expect((await failureOf(refresh('slack', answered(calls(), down)))).kind).toBe('transient');
    });
});

describe('second tokens of Microsoft', () => {
    const stored = () => of('one-drive').refresh!.connection_config!;

    test.each([
        ['an outage', down, true],
        ['a refusal', { status: 400, body: { error: 'invalid_resource' } }, false],
    ])('%s of the second keeps it, and what the first has got', async (_what, answer, isRetried) => {
        const renewed = await refresh('one-drive', answered(refreshCalls('one-drive'), undefined, answer));
        expect(renewed.credentials.refresh_token).toBe('refresh-2');
        expect(renewed.derivedConfig).toBeUndefined();
        expect(renewed.notes).toEqual([expect.stringContaining('sharepointAccessToken')]);
        expect(renewed.renewBy === undefined).toBe(!isRetried);

        const connected = await exchange('one-drive', answered(exchangeCalls('one-drive'), undefined, answer));
        expect([connected.credentials.refresh_token, connected.derivedConfig]).toEqual(['refresh-1', { tenantId: stored()['tenantId'] }]);
    });

    test('one that ends before the first is renewed in time, with a margin of its own', async () => {
        const [, second_] = refreshCalls('one-drive');
        const short = ok({ ...(second_!.response.body as object), expires_in: 1200 });
        const { renewBy, expiresAt, obtainedAt } = await refresh('one-drive', answered(refreshCalls('one-drive'), undefined, short));
        expect(renewBy).toBe(now + 900 * second);
        expect(nextRefreshAt({ obtainedAt, expiresAt, renewBy }, { canRenew: true, hasRefreshToken: true }, withFraction(fixedSources, 0.5))).toBe(
            renewBy,
        );
    });

    test('it keeps its refresh token where the answer has none', async () => {
        const [, second_] = refreshCalls('one-drive');
        const { refresh_token: _none, ...body } = second_!.response.body as Record<string, unknown>;
        const { derivedConfig } = await refresh('one-drive', answered(refreshCalls('one-drive'), undefined, ok(body)));
        expect(derivedConfig).toMatchObject({ sharepointAccessToken: { access_token: 'sharepoint-2', refresh_token: 'sp-refresh-1' } });
    });

    test.each(['opaque', 'a.b.c', `h.${Buffer.from('{"tid":"evil.example/#"}').toString('base64url')}.s`])(
        'a token whose claims name no tenant (%s) has no second',
        async (access_token) => {
            const [call] = exchangeCalls('one-drive');
            const obtained = await exchange('one-drive', [{ ...call!, response: ok({ access_token, refresh_token: 'r', expires_in: 3600 }) }]);
            expect(obtained.derivedConfig).toEqual({});
        },
    );

    test("a bot without a tenant of its own gets Microsoft's", async () => {
        const { botHostTenantId: _none, ...config } = of('microsoft-teams-bot').connection_config;
        const [first, bot] = exchangeCalls('microsoft-teams-bot');
        const request = { ...bot!.request, url: 'https://login.microsoftonline.com/botframework.com/oauth2/v2.0/token' };
        const { derivedConfig } = await exchange('microsoft-teams-bot', [first!, { ...bot!, request }], config);
        expect(derivedConfig).toEqual(of('microsoft-teams-bot').exchange!.config);
    });
});

describe('Instagram and Threads', () => {
    test.each(['instagram', 'threads'])('%s: a failed swap leaves a token for an hour, which is swapped at its renewal', async (slug) => {
        const [, swap] = exchangeCalls(slug);
        const short = await exchange(slug, answered(exchangeCalls(slug), undefined, down));
        expect(short.credentials).toMatchObject({ access_token: 'short-1', expires_at: new Date(now + 3600 * second).toISOString() });
        expect(short.notes).toEqual([expect.stringContaining('long-lived')]);

        const long = await refresh(slug, [swap!], { stored: short.credentials });
        expect(long.credentials).toMatchObject({ access_token: 'access-1', raw: { user_id: '17841400000000000', expires_in: 5_183_944 } });
        // and refreshed, not swapped, from then on
        await refresh(slug, refreshCalls(slug), { stored: long.credentials });
    });

    test('an answer wrapped in a list', async () => {
        const [first, swap] = exchangeCalls('instagram');
        const { credentials } = await exchange('instagram', [{ ...first!, response: ok({ data: [first!.response.body] }) }, swap!]);
        expect(credentials).toEqual(of('instagram').exchange!.credentials);
    });

    test.each(['facebook', 'instagram', 'threads'])('%s: a token of 60 days is exchanged at 45, without a refresh token (R12)', (slug) => {
        const { stored } = of(slug).refresh!;
        const strategy = refreshTokenGrant(contextOf(vendors, of(slug)), stored!);
        expect(strategy.canRenew(stored!)).toBe(true);
        const life = { obtainedAt: now, expiresAt: now + 60 * day };
        const at = nextRefreshAt(
            life,
            { canRenew: true, hasRefreshToken: false, marginSeconds: strategy.marginSeconds },
            withFraction(fixedSources, 0.5),
        );
        expect((at! - now) / day).toBe(45);
    });
});

describe('Bullhorn', () => {
    test.each([
        ['an outage', down],
        ['no session', ok({})],
    ])('%s at the login after a refresh keeps the rotated refresh token, and the old session', async (_what, answer) => {
        const renewed = await refresh('bullhorn', answered(refreshCalls('bullhorn'), undefined, answer), {
            config: { restUrl: 'https://rest99.bullhornstaffing.com/rest-services/a1/' },
        });
        expect(renewed.credentials).toMatchObject({
            access_token: 'session-1',
            refresh_token: 'refresh-2',
            expires_at: (of('bullhorn').refresh!.stored as OAuth2Credentials).expires_at,
        });
        expect(renewed.derivedConfig).toBeUndefined();
        expect(renewed.renewBy).toBeGreaterThan(now);
        expect(renewed.notes).toEqual([expect.stringContaining('old session')]);
    });

    test('at connect, a login that fails is a connection that fails, and so is a token that cannot be renewed', async () => {
        expect((await failureOf(exchange('bullhorn', answered(exchangeCalls('bullhorn'), undefined, down)))).kind).toBe('transient');
        const once = answered(exchangeCalls('bullhorn'), ok({ access_token: 'oauth-1' }), undefined);
        expect((await failureOf(exchange('bullhorn', once))).type).toBe('unable_to_parse_token_response');
    });

    test('an address of the API that is none is not taken over (N3)', async () => {
        const [, login] = refreshCalls('bullhorn');
        const entry = {
            ...of('bullhorn').entry,
            connection_config: { restUrl: { type: 'string' as const, format: 'uri' as const, automated: true } },
        };
        const calls = answered(refreshCalls('bullhorn'), undefined, ok({ ...(login!.response.body as object), restUrl: 'javascript:alert(1)' }));
        vendors.expectCalls(calls);
        const stored = of('bullhorn').refresh!.stored!;
        const strategy = refreshTokenGrant(contextOf(vendors, { ...of('bullhorn'), entry }, {}), stored);
        expect(strategy.interpret(await strategy.present(stored, 'refresh-1', 20_000), stored).derivedConfig).toBeUndefined();
    });
});

describe('tokens that stay', () => {
    test('Workday: a refresh token given at connect is kept although the answer has another', async () => {
        const config = { ...of('workday-oauth').connection_config, overrideTokenRefresh: true };
        expect((await refresh('workday-oauth', refreshCalls('workday-oauth'), { config })).credentials.refresh_token).toBe('refresh-1');
    });

    test('Workday: only the members that belong to a token are stored', async () => {
        const [call] = exchangeCalls('workday-oauth');
        const body = { ...(call!.response.body as object), employee: 'private' };
        expect((await exchange('workday-oauth', [{ ...call!, response: ok(body) }])).credentials.raw).not.toHaveProperty('employee');
    });

    test('Coros: without the explicit success nothing was prolonged', async () => {
        expect((await failureOf(refresh('coros', answered(refreshCalls('coros'), ok({ message: 'OK' }))))).type).toBe(
            'unable_to_parse_token_response',
        );
    });

    test('R6: an answer with a new refresh token replaces the old one, for whoever usually sends none', async () => {
        for (const slug of ['figma', 'agiloft', 'walmart', 'revolut-business']) {
            const [call] = refreshCalls(slug);
            const { credentials } = await refresh(slug, [{ ...call!, response: ok({ access_token: 'a', refresh_token: 'rotated' }) }]);
            expect([slug, credentials.refresh_token]).toEqual([slug, 'rotated']);
        }
    });
});

describe('proofs', () => {
    test('Revolut: the assertion is signed by the key, for five minutes, and unique', async () => {
        vendors.expectCalls(exchangeCalls('revolut-business'));
        await obtainByCode(contextOf(vendors, of('revolut-business')), codeGrant);
        const [seen] = vendors.verify();
        const assertion = new URLSearchParams(seen!.body).get('client_assertion')!;
        expect(decodeProtectedHeader(assertion)).toEqual({ alg: 'RS256', typ: 'JWT' });
        const { payload } = await jwtVerify(assertion, keyPair.publicKey, {
            issuer: 'vk.example',
            subject: 'client-1',
            audience: 'https://revolut.com',
            currentDate: new Date(now),
        });
        expect(payload.exp! - payload.iat!).toBe(300);
        expect(payload.jti).toMatch(/^[0-9a-f-]{36}$/);
    });

    test('Revolut: a secret that is no key, and a connection without an issuer, fail with the name and no value', async () => {
        vendors.expectCalls([]);
        const broken = await failureOf(obtainByCode(contextOf(vendors, { ...of('revolut-business'), client_secret: 'not-a-key' }), codeGrant));
        expect(broken.message).toContain('private RSA key');
        expect(broken.message).not.toContain('not-a-key');
        const unnamed = await failureOf(refresh('revolut-business', [], { config: { apiHost: 'b2b.revolut.com' } }));
        expect(unnamed.message).toContain('assertionIssuer');
    });

    test('Shopline: exactly the body that is sent is signed', async () => {
        vendors.expectCalls(exchangeCalls('shopline-oauth'));
        await obtainByCode(contextOf(vendors, of('shopline-oauth')), codeGrant);
        const [seen] = vendors.verify();
        const { sign, timestamp } = seen!.headers;
        expect(sign).toBe(
            createHmac('sha256', 'secret-1')
                .update(seen!.body + timestamp!)
                .digest('hex'),
        );
    });

    test.each(['restApiKey', 'apiVersion'])('Absorb: a missing %s is named', async (name) => {
        const { [name]: _none, ...config } = of('absorb-lms').connection_config;
        vendors.expectCalls([]);
        expect((await failureOf(obtainByCode(contextOf(vendors, of('absorb-lms'), config), codeGrant))).message).toContain(name);
    });

    test('N2: an exception sends no secret to a host that is not on the list', async () => {
        vendors.expectCalls([]);
        const config = { hostname: 'agiloft.evil.example' };
        await expect(obtainByCode(contextOf(vendors, of('agiloft'), config), codeGrant)).rejects.toMatchObject({ type: 'url_param_err' });
        vendors.verify();
    });
});

test('one deadline holds for all calls of an exchange', async () => {
    let time = now;
    const context = contextOf(vendors, of('one-drive'));
    const slow = {
        ...context,
        sources: { ...fixedSources, now: () => time },
        egress: {
            ...context.egress,
            request: async (request: Parameters<typeof context.egress.request>[0]) => {
                deadlines.push(request.deadlineMs);
                time += 15 * second;
                return vendors.egress.request({ ...request, deadlineMs: 20_000 });
            },
        },
    };
    const deadlines: (number | undefined)[] = [];
    vendors.expectCalls(exchangeCalls('one-drive'));
    await obtainByCode(slow, codeGrant);
    expect(deadlines).toEqual([20_000, 5_000]);
});
