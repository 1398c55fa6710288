import fc from 'fast-check';
import { SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { readLogin } from '../../../src/auth-modes/two-step/read-login.ts';
import type { TwoStepCredentials } from '../../../src/credentials/credential.ts';
import type { TokenReceipt } from '../../../src/credentials/renewal-strategy.ts';
import { TokenFailure } from '../../../src/credentials/token-failure.ts';
import type { ProviderEntry } from '../../../src/providers/provider.ts';
import { makeProvider } from '../../providers/make-provider.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const now = Date.UTC(2026, 5, 1);

const current: TwoStepCredentials = {
    type: 'TWO_STEP',
    token: 'old',
    raw: { old: true },
    expires_at: '2026-01-01T00:00:00.000Z',
    user: 'ann',
    password: 'secret-word',
};
const provider = (entry: Partial<ProviderEntry>) => makeProvider({ auth_mode: 'TWO_STEP', token_response: { token: 'token' }, ...entry });
const receipt = (body: unknown, rest: Partial<TokenReceipt> = {}): TokenReceipt => ({
    status: 200,
    contentType: 'application/json',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    requestedAt: now,
    receivedAt: now + 500,
    ...rest,
});
const read = (entry: Partial<ProviderEntry>, body: unknown, rest: Partial<TokenReceipt> = {}, stored = current) =>
    readLogin(receipt(body, rest), stored, provider(entry));
const credentials = (...args: Parameters<typeof read>): TwoStepCredentials => read(...args).credentials as TwoStepCredentials;
const jwt = (exp?: number): Promise<string> =>
    new SignJWT(exp === undefined ? {} : { exp }).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode('k'.repeat(32)));

describe('what is stored (§1.1, §10)', () => {
    test('the submitted fields, the token, its end, and the last answer', () => {
        const obtained = read(
            { token_response: { token: 'a.token', token_expiration: 'a.in', token_expiration_strategy: 'expireIn' } },
            { a: { token: 't', in: 60 } },
        );
        expect(obtained).toEqual({
            obtainedAt: now,
            expiresAt: now + minute,
            expiresAtSource: 'expires_in',
            credentials: {
                type: 'TWO_STEP',
                user: 'ann',
                password: 'secret-word',
                token: 't',
                expires_at: '2026-06-01T00:01:00.000Z',
                raw: { a: { token: 't', in: 60 } },
            },
        });
    });

    test('the whole body is the token where the path is empty: bare, or as a JSON text', () => {
        const entry = { token_response: { token: '' } };
        expect(credentials(entry, ' eyJ-token\n', { contentType: 'text/plain' })).toMatchObject({ token: 'eyJ-token', raw: 'eyJ-token' });
        expect(credentials(entry, '"eyJ-token"')).toMatchObject({ token: 'eyJ-token', raw: 'eyJ-token' });
        expect(() => read(entry, { error: 'no' })).toThrow('no token (no)');
    });

    test('a number is a token too', () => {
        expect(credentials({}, { token: 12345 })).toMatchObject({ token: '12345' });
    });

    test.each<[string, unknown, string]>([
        ['no token', { error: 'bad', message: 'wrong secret-word' }, 'no token (bad: wrong [redacted])'],
        ['an empty token', { token: '' }, 'no token; '],
        ['an object for a token', { token: {} }, 'no token; '],
        ['a page', '<html></html>', 'a page for people'],
    ])('%s is refused', (_name, body, words) => {
        expect(() => read({}, body)).toThrow(TokenFailure);
        expect(() => read({}, body)).toThrow(words);
    });

    test('kept headers and cookies, which cannot take the place of anything (§10)', () => {
        const further = {
            earlier: [],
            headers: { 'x-session': 's', token: 'evil' },
            setCookies: ['B1SESSION=abc; path=/; HttpOnly', 'ROUTEID=.node1', 'token=evil; Secure', 'user=mallory', 'gone=; Max-Age=0', 'no cookie'],
            isRefreshTokenRefused: false,
        };
        const stored = credentials({ credentials: { user: { type: 'string' } } }, { token: 't' }, { further });
        expect(stored).toMatchObject({ token: 't', user: 'ann', 'x-session': 's', B1SESSION: 'abc', ROUTEID: '.node1' });
        expect(stored['_cookies']).toBe('B1SESSION=abc; ROUTEID=.node1; token=evil; user=mallory');
        expect(stored).not.toHaveProperty('gone');
    });

    test('the assertion that was presented', () => {
        expect(credentials({}, { token: 't' }, { presentedAssertion: 'signed' })).toMatchObject({ assertion: 'signed' });
    });

    test('a member named __proto__ stays data', () => {
        const obtained = read({}, '{"token":"t","__proto__":{"polluted":true}}');
        expect(JSON.stringify(obtained.credentials)).toContain('"__proto__":{"polluted":true}');
        expect({}).not.toHaveProperty('polluted');
    });
});

describe('expiry (§15.3, R13, R16)', () => {
    const at = (strategy: 'expireAt' | 'expireIn' | undefined, value: unknown, entry: Partial<ProviderEntry> = {}): number | null => {
        const token_response = { token: 'token', token_expiration: 'end', ...(strategy && { token_expiration_strategy: strategy }) };
        const { expiresAt } = read({ token_response, ...entry }, { token: 't', end: value });
        return expiresAt === null ? null : expiresAt - now;
    };

    test.each<['expireAt' | 'expireIn' | undefined, unknown, number]>([
        ['expireIn', 3600, hour],
        ['expireIn', '3600', hour],
        ['expireIn', '2h', 2 * hour],
        ['expireIn', '3600.5', hour + 500],
        ['expireIn', 0, 0],
        ['expireAt', '177:05:38', ((177 * 24 + 5) * 60 + 38) * minute],
        [undefined, '2026-06-01T02:00:00+00:00', 2 * hour],
        ['expireAt', (now + hour) / 1000, hour],
        ['expireAt', now + hour, hour],
        ['expireAt', String((now + hour) / 1000), hour],
        // not the year 3600
        ['expireAt', '3600', 30 * minute],
        ['expireIn', 'some time', 30 * minute],
        ['expireIn', '', 30 * minute],
        ['expireIn', undefined, 30 * minute],
    ])('%s %j', (strategy, value, expected) => {
        expect(at(strategy, value)).toBe(expected);
    });

    test('what the answer says wins over what the entry assumes', () => {
        expect(at('expireIn', 60, { token_expires_in_ms: 5 * hour })).toBe(minute);
        expect(at('expireIn', undefined, { token_expires_in_ms: 5 * hour })).toBe(5 * hour);
    });

    test('0 is for ever, and nothing at all is half an hour', () => {
        expect(credentials({ token_expires_in_ms: 0 }, { token: 't' })).not.toHaveProperty('expires_at');
        expect(read({ token_expires_in_ms: 0 }, { token: 't' }).expiresAt).toBeNull();
        expect(credentials({}, { token: 't' })).toMatchObject({ expires_at: '2026-06-01T00:30:00.000Z' });
    });

    test('a token that is a JWT says itself when it ends, and R8 takes nothing off', async () => {
        const token = await jwt((now + 2 * hour) / 1000);
        expect(read({}, { token }).expiresAt).toBe(now + 2 * hour);
        expect(read({ token_expires_in_ms: hour }, { token }).expiresAt).toBe(now + hour);
        expect(read({ token_expires_in_ms: 5 * hour }, { token }).expiresAt).toBe(now + 2 * hour);
        expect(read({ token_expires_in_ms: 0 }, { token }).expiresAt).toBe(now + 2 * hour);
        expect(read({}, { token: await jwt() }).expiresAt).toBe(now + 30 * minute);
        expect(read({}, { token: 'not.a.jwt' }).expiresAt).toBe(now + 30 * minute);
        const token_response = { token: 'token', token_expiration: 'in', token_expiration_strategy: 'expireIn' as const };
        expect(read({ token_response }, { token, in: 5 * 3600 }).expiresAt).toBe(now + 5 * hour);
    });

    test('a refresh token that ends sooner is presented while it is good', async () => {
        const token_response = { token: 'token', refresh_token: 'renewer' };
        const renewer = await jwt((now + 10 * minute) / 1000);
        const { expiresAt, expiresAtSource } = read({ token_response }, { token: 't', renewer });
        expect([expiresAt, expiresAtSource]).toEqual([now + 10 * minute, 'token']);
    });

    test('whatever says it is remembered', async () => {
        const sourceOf = (...[entry, body]: Parameters<typeof read>) => read(entry, body).expiresAtSource;
        const token_response = { token: 'token', token_expiration: 'end' };
        const token = await jwt((now + 2 * hour) / 1000);
        expect(sourceOf({ token_response }, { token, end: now + hour })).toBe('expires_at');
        expect(sourceOf({ token_response }, { token })).toBe('token');
        expect(sourceOf({ token_expires_in_ms: hour }, { token })).toBe('entry');
        expect(sourceOf({}, { token: 't' })).toBe('assumed');
        expect(sourceOf({ token_expires_in_ms: 0 }, { token: 't' })).toBeNull();
    });

    test.each<['expireAt' | 'expireIn', unknown, boolean]>([
        ['expireAt', '3600', true],
        ['expireAt', '2099-01-01', true],
        ['expireAt', { at: 'noon' }, true],
        ['expireIn', 'some time', true],
        ['expireIn', '', false],
        ['expireIn', null, false],
        ['expireIn', 60, false],
    ])('the log says what cannot be right, as of any other mode: %s %j (R16)', (token_expiration_strategy, end, isSaid) => {
        const token_response = { token: 'token', token_expiration: 'end', token_expiration_strategy };
        expect(read({ token_response }, { token: 't', end }).notes ?? []).toHaveLength(isSaid ? 1 : 0);
    });
});

describe('refresh tokens (R6, R17)', () => {
    const entry = { token_response: { token: 'token', refresh_token: 'renewer' } };
    const stored = { ...current, refresh_token: 'r1' };
    const refused = { further: { earlier: [], headers: {}, setCookies: [], isRefreshTokenRefused: true } };

    test('a new one replaces the old one, which is kept otherwise', () => {
        expect(credentials(entry, { token: 't', renewer: 'r2' }, {}, stored).refresh_token).toBe('r2');
        expect(credentials(entry, { token: 't' }, {}, stored).refresh_token).toBe('r1');
        expect(credentials(entry, { token: 't' }, { presentedRefreshToken: 'r0' }, stored).refresh_token).toBe('r0');
        expect(credentials(entry, { token: 't' }).refresh_token).toBeUndefined();
    });

    test('one that was refused is not kept', () => {
        expect(credentials(entry, { token: 't' }, refused, stored).refresh_token).toBeUndefined();
        expect(credentials(entry, { token: 't', renewer: 'r2' }, refused, stored).refresh_token).toBe('r2');
    });

    test('a typed-in one that was rotated is replaced where it was typed in', () => {
        const typedIn = { ...current, refreshToken: 'p1' };
        const nested = { token_response: { token: 'data.token.access_token' } };
        expect(credentials(nested, { data: { token: { access_token: 't', refresh_token: 'p2' } } }, {}, typedIn)).toMatchObject({
            refreshToken: 'p2',
        });
        expect(credentials({ token_response: { token: 'access_token' } }, { access_token: 't', refresh_token: 'p2' }, {}, typedIn)).toMatchObject({
            refreshToken: 'p2',
        });
        expect(credentials(nested, { data: { token: { access_token: 't' } } }, {}, typedIn)).toMatchObject({ refreshToken: 'p1' });
        expect(credentials(nested, { data: { token: { access_token: 't' } } }, { presentedRefreshToken: 'p0' }, typedIn)).toMatchObject({
            refreshToken: 'p0',
        });
        // An entry that names none, and a person who typed none in: nothing to replace.
        expect(credentials(nested, { data: { token: { access_token: 't', refresh_token: 'p2' } } })).not.toHaveProperty('refresh_token');
    });
});

describe('configuration that comes along (R18, N3)', () => {
    const entry: Partial<ProviderEntry> = {
        token_response_metadata: ['instance_url', 'org.id', 'not_there'],
        proxy: { base_url: '${connectionConfig.instance_url}' },
    };

    test('the last answer that knows a value has the say', () => {
        const earlier = [{ contentType: 'application/json', body: '{"instance_url":"https://first.example.com","org":{"id":"o1"}}' }];
        const further = { earlier, headers: {}, setCookies: [], isRefreshTokenRefused: false };
        expect(read(entry, { token: 't', instance_url: 'https://last.example.com' }, { further }).derivedConfig).toEqual({
            instance_url: 'https://last.example.com',
            'org.id': 'o1',
        });
    });

    test('what does not fit the entry, or is no text, does not come along', () => {
        expect(read(entry, { token: 't', instance_url: 'javascript:alert(1)', org: { id: {} } })).not.toHaveProperty('derivedConfig');
    });
});

test('a journalled receipt gives the same credentials, and nothing is changed by reading it (R2)', () => {
    const entry: Partial<ProviderEntry> = { token_response: { token: 'token', refresh_token: 'renewer' }, token_response_metadata: ['site'] };
    const further = {
        earlier: [{ contentType: 'text/xml', body: '<a><site>s</site></a>' }],
        headers: { 'x-a': 'b' },
        setCookies: ['c=d'],
        isRefreshTokenRefused: false,
    };
    const answered = receipt({ token: 't', renewer: 'r2', site: 'main' }, { further, presentedAssertion: 'signed' });
    const stored = { ...current, refresh_token: 'r1', assertionOption: { privateKey: 'k' } };
    const before = structuredClone([answered, stored]);
    const first = readLogin(answered, stored, provider(entry));
    expect([answered, stored]).toEqual(before);
    const [journalled, sealed] = JSON.parse(JSON.stringify([answered, stored])) as [TokenReceipt, TwoStepCredentials];
    expect(readLogin(journalled, sealed, provider(entry))).toEqual(first);
    expect(first.credentials).toMatchObject({ assertionOption: { privateKey: 'k' }, assertion: 'signed', c: 'd', 'x-a': 'b' });
});

test('whatever a provider answers, it is credentials or a refusal', () => {
    const entry: Partial<ProviderEntry> = {
        token_response: { token: 'a.token', token_expiration: 'a.end', refresh_token: 'a.r' },
        token_response_metadata: ['a.site'],
    };
    const member = fc.oneof(
        fc.jsonValue(),
        fc.string(),
        fc.double(),
        fc.constantFrom('__proto__', 'eyJ.e30.x', `e30.${Buffer.from('{"exp":1e400}').toString('base64')}.x`),
    );
    const answer = fc
        .record({ a: fc.record({ token: member, end: member, r: member, site: member }, { requiredKeys: [] }) })
        .map((value) => JSON.stringify(value));
    fc.assert(
        fc.property(fc.oneof(answer, fc.json(), fc.string({ unit: 'binary' })), fc.array(fc.string()), (body, setCookies) => {
            const further = { earlier: [{ contentType: '', body }], headers: {}, setCookies, isRefreshTokenRefused: false };
            try {
                const { credentials: got, expiresAt } = readLogin(receipt(body, { further }), current, provider(entry));
                expect(got).toMatchObject({ type: 'TWO_STEP', password: 'secret-word', token: expect.stringMatching(/./s) as string });
                expect(expiresAt).toBeGreaterThan(now - hour);
                expect(JSON.parse(JSON.stringify(got))).toHaveProperty('token');
            } catch (error) {
                expect(error).toBeInstanceOf(TokenFailure);
            }
        }),
    );
});
