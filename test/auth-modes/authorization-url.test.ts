/** The authorization request: the contract's vectors (auth-modes §20.1), and what nobody but the server may set (S3). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assertSettable, authorizationUrl, codeChallenge, type AuthorizationRequest } from '../../src/auth-modes/authorization-url.ts';

const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
const challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM';

const request = (change: Partial<AuthorizationRequest> = {}): AuthorizationRequest => ({
    endpoint: new URL('https://auth.example.com/authorize'),
    clientId: 'cid',
    redirectUri: 'https://vk.example/oauth/callback',
    scopes: ['read', 'write'],
    scopeSeparator: ' ',
    state: 'S',
    pkceVerifier: verifier,
    templateParams: {},
    extraParams: {},
    ...change,
});

const redirect = 'https%3A%2F%2Fvk.example%2Foauth%2Fcallback';

describe('the contract’s vectors', () => {
    test('PKCE S256 (RFC 7636 appendix B)', () => {
        expect(codeChallenge(verifier)).toBe(challenge);
    });

    test.each([
        [
            'plain',
            {},
            `https://auth.example.com/authorize?response_type=code&client_id=cid&redirect_uri=${redirect}&scope=read+write&state=S&code_challenge=${challenge}&code_challenge_method=S256`,
        ],
        [
            'fragment',
            { fragment: 'oauth/authorize' },
            `https://auth.example.com/authorize#oauth/authorize?response_type=code&client_id=cid&redirect_uri=${redirect}&scope=read+write&state=S&code_challenge=${challenge}&code_challenge_method=S256`,
        ],
        [
            'scopes not encoded, joined by +',
            { skipEncodeScopes: true, scopeSeparator: '+' },
            `https://auth.example.com/authorize?response_type=code&client_id=cid&redirect_uri=${redirect}&state=S&code_challenge=${challenge}&code_challenge_method=S256&scope=read+write`,
        ],
        [
            'parameters renamed',
            {
                pkceVerifier: undefined,
                replacements: {
                    'response_type=': 'responseType=',
                    'client_id=': 'appKey=',
                    'redirect_uri=': 'redirectUri=',
                    'state=': 'customField=',
                },
            },
            `https://auth.example.com/authorize?responseType=code&appKey=cid&redirectUri=${redirect}&scope=read+write&customField=S`,
        ],
    ])('%s', async (_name, change, expected) => {
        expect(await authorizationUrl(request(change))).toBe(expected);
    });
});

describe('parameters', () => {
    test('the catalogue may replace response_type and scope; the query of the endpoint is kept', async () => {
        const url = new URL(
            await authorizationUrl(
                request({
                    endpoint: new URL('https://auth.example.com/authorize?tenant=7'),
                    templateParams: { response_type: 'code id_token', prompt: 'consent' },
                }),
            ),
        );
        expect(Object.fromEntries(url.searchParams)).toMatchObject({ tenant: '7', response_type: 'code id_token', prompt: 'consent', state: 'S' });
    });

    test('the text "undefined" removes a parameter of the catalogue', async () => {
        const url = new URL(
            await authorizationUrl(request({ templateParams: { prompt: 'consent' }, extraParams: { prompt: 'undefined', login_hint: 'ann' } })),
        );
        expect(url.searchParams.has('prompt')).toBe(false);
        expect(url.searchParams.get('login_hint')).toBe('ann');
    });

    test('empty parameters stay, unless the provider cannot bear them, adjacent ones included', async () => {
        const some = { scopes: [], templateParams: { first: '', second: '' } };
        expect(await authorizationUrl(request(some))).toContain('scope=&');
        const url = new URL(await authorizationUrl(request({ ...some, skipEmpty: true })));
        expect([...url.searchParams.values()]).not.toContain('');
    });

    test.each([
        'response_type',
        'client_id',
        'redirect_uri',
        'state',
        'code_challenge',
        'code_challenge_method',
        'request',
        'request_uri',
        'nonce',
        'State',
    ])('%s is nobody’s to set', (name) => {
        expect(() => assertSettable({ [name]: 'x' }, 'browser')).toThrow(`"${name}"`);
        expect(() => assertSettable({ [name]: 'x' }, 'session')).toThrow(`"${name}"`);
    });

    test.each(['scope', 'resource'])('%s is the backend’s to set, through its session', (name) => {
        expect(() => assertSettable({ [name]: 'x' }, 'browser')).toThrow(`"${name}"`);
        expect(() => assertSettable({ [name]: 'x' }, 'session')).not.toThrow();
    });

    test('whatever the values hold, they stay values: every parameter reads back as it was set', async () => {
        await fc.assert(
            fc.asyncProperty(fc.array(fc.string({ minLength: 1 }), { maxLength: 3 }), fc.string(), fc.string(), async (scopes, state, hint) => {
                fc.pre([...scopes, state, hint].every((text) => text.isWellFormed()) && hint !== 'undefined');
                const url = new URL(await authorizationUrl(request({ scopes, state, extraParams: { login_hint: hint } })));
                expect(url.searchParams.get('state')).toBe(state);
                expect(url.searchParams.get('scope')).toBe(scopes.join(' '));
                expect(url.searchParams.get('login_hint')).toBe(hint);
                expect(url.origin).toBe('https://auth.example.com');
            }),
        );
    });
});
