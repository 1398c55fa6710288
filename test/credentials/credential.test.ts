import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { refreshTokenOf, secretsOf, withoutRefreshTokens } from '../../src/credentials/credential.ts';

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
