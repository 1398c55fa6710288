import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
    primaryRefreshField,
    refreshTokenOf,
    secretsOf,
    withoutRefreshTokens,
    withoutWhatRenews,
    type TwoStepCredentials,
} from '../../src/credentials/credential.ts';

describe('withoutRefreshTokens (http-api §8.2)', () => {
    test('drops the member at any depth and in any spelling, and keeps its neighbours', () => {
        const value = {
            access_token: 'a',
            refresh_token: 'r',
            raw: {
                refreshToken: 'r',
                'Refresh-Token': 'r',
                refresh_token_expires_in: 5,
                list: [{ REFRESH_TOKEN: 'r', kept: true }, 'text', null],
            },
        };
        expect(withoutRefreshTokens(value)).toEqual({
            access_token: 'a',
            raw: { refresh_token_expires_in: 5, list: [{ kept: true }, 'text', null] },
        });
        expect(value.refresh_token).toBe('r');
    });

    test('keeps a member named __proto__ as data', () => {
        const copy = withoutRefreshTokens(JSON.parse('{"__proto__":{"polluted":true},"refresh_token":"r"}') as object);
        expect(JSON.stringify(copy)).toBe('{"__proto__":{"polluted":true}}');
        expect(copy).not.toHaveProperty('polluted');
    });

    test('changes nothing else', () => {
        fc.assert(
            fc.property(fc.jsonValue(), (value) => {
                fc.pre(!/refresh_?token/i.test(JSON.stringify(value)));
                expect(withoutRefreshTokens(value)).toEqual(value);
            }),
        );
    });
});

test('refreshTokenOf finds it where the type has one', () => {
    expect(refreshTokenOf({ type: 'OAUTH2', access_token: 'a', refresh_token: 'r', raw: {} })).toBe('r');
    expect(refreshTokenOf({ type: 'OAUTH2', access_token: 'a', raw: {} })).toBeUndefined();
    expect(refreshTokenOf({ type: 'API_KEY', apiKey: 'k' })).toBeUndefined();
    const twoStep: TwoStepCredentials = { type: 'TWO_STEP', token: 't', raw: {}, password: 'p' };
    expect(refreshTokenOf(twoStep)).toBeUndefined();
    expect(refreshTokenOf({ ...twoStep, refresh_token: 'r' })).toBe('r');
    // typed in, and presented by every login
    expect([primaryRefreshField({ ...twoStep, refreshToken: 'p' }), refreshTokenOf({ ...twoStep, refreshToken: 'p' })]).toEqual([
        'refreshToken',
        'p',
    ]);
    expect(refreshTokenOf({ ...twoStep, refreshToken: 'p', refresh_token: 'r' })).toBe('r');
    expect(refreshTokenOf({ ...twoStep, refreshToken: 5 })).toBeUndefined();
});

test('withoutWhatRenews leaves out the inputs of an assertion, and a refresh token under a name of its own', () => {
    const credentials: TwoStepCredentials = {
        type: 'TWO_STEP',
        token: 't',
        refresh_token: 't',
        raw: { data: { renewer: 't', other: 1 } },
        clientId: 'c',
        assertionOption: { privateKey: 'k' },
    };
    expect(withoutWhatRenews(credentials, 'data.renewer')).toEqual({ type: 'TWO_STEP', token: 't', raw: { data: { other: 1 } }, clientId: 'c' });
    expect(withoutWhatRenews(credentials)).toEqual({ type: 'TWO_STEP', token: 't', raw: credentials.raw, clientId: 'c' });
    expect(withoutWhatRenews({ type: 'OAUTH2', access_token: 'a', refresh_token: 'r', raw: { renewer: 'x' } }, 'renewer')).toEqual({
        type: 'OAUTH2',
        access_token: 'a',
        raw: { renewer: 'x' },
    });
    expect(withoutWhatRenews({})).toEqual({});
});

test('secretsOf finds every text, at any depth', () => {
    const secrets = secretsOf({
        type: 'OAUTH2',
        access_token: 'access',
        refresh_token: 'refresh',
        raw: { nested: [{ id_token: 'id' }], expires_in: 3600, access_token: 'access' },
        config_override: { client_secret: 'client-secret' },
    });
    expect(secrets).toEqual(expect.arrayContaining(['access', 'refresh', 'id', 'client-secret']));
    expect(new Set(secrets).size).toBe(secrets.length);
});
