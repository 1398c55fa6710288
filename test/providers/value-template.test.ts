import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ExpressionError } from '../../src/providers/expression.ts';
import { interpolate, interpolateTree } from '../../src/providers/value-template.ts';

const values = {
    connectionConfig: { version: '2023', count: 7, empty: '', flag: true, 'team.id': 'T1', nested: { id: 'N1' } },
    credentials: { apiKey: 'k', username: 'u', password: '', privateKey: { id: 'pk' } },
    accessToken: 'at',
    clientId: 'ci',
    clientSecret: 'cs',
    random: '00000000-0000-4000-8000-000000000000',
};

describe('interpolate', () => {
    it.each([
        ['plain text', 'plain text'],
        ['a || b', 'a || b'],
        ['$ {x} }', '$ {x} }'],
        ['Bearer ${accessToken}', 'Bearer at'],
        ['${apiKey}/${username}', 'k/u'],
        ['${credentials.apiKey}', 'k'],
        ['${credentials.privateKey.id}', 'pk'],
        ['${clientId}:${clientSecret}', 'ci:cs'],
        ['${random}', '00000000-0000-4000-8000-000000000000'],
        ['v${connectionConfig.version}', 'v2023'],
        ['${connectionConfig.count}', '7'],
        ['${connectionConfig.team.id}', 'T1'],
        ['${connectionConfig.nested.id}', 'N1'],
        ['Basic ${base64(${username}:${password})}', 'Basic dTo='],
        ['${base64(${base64(é)})}', 'dzZrPQ=='],
        ['${connectionConfig.version} || 2022-11-28', '2023'],
        ['${connectionConfig.empty} || 2022-11-28', '2022-11-28'],
        ['${connectionConfig.absent} || 2022-11-28', '2022-11-28'],
        ['a${accessToken}${connectionConfig.absent} || b', 'b'],
        ['${connectionConfig.absent} || ${connectionConfig.version}', '2023'],
        ['${password} || none', 'none'],
    ])('%s → %s', (template, expected) => {
        expect(interpolate(template, values)).toBe(expected);
    });

    it.each([
        '${connectionConfig.absent}',
        '${connectionConfig.empty}',
        '${connectionConfig.flag}',
        '${connectionConfig.nested}',
        'x ${credentials.absent}',
        '${base64(${connectionConfig.absent})}',
        '${connectionConfig.absent} || ${credentials.absent}',
        '${sha256Hex(${accessToken})}',
        '${now}',
    ])('%s does not resolve', (template) => {
        expect(interpolate(template, values)).toBeUndefined();
    });

    it('finds nothing where nothing was given', () => {
        expect(interpolate('${accessToken}', {})).toBeUndefined();
        expect(interpolate('${connectionConfig.toString}', { connectionConfig: {} })).toBeUndefined();
        expect(interpolate('${connectionConfig.__proto__.x}', { connectionConfig: {} })).toBeUndefined();
    });

    it('accepts an empty password', () => {
        expect(interpolate('${password}', values)).toBe('');
    });

    it('refuses what is no expression', () => {
        expect(() => interpolate('${accesToken}', values)).toThrow(ExpressionError);
    });

    it('never evaluates inserted text', () => {
        const text = fc.oneof(fc.string(), fc.constantFrom('${accessToken}', 'a || b', '${base64(x)}', '}', '$', '$1', '$&'));
        fc.assert(
            fc.property(text, (key) => {
                expect(interpolate('Key ${apiKey};', { credentials: { apiKey: key }, accessToken: 'leak' })).toBe(`Key ${key};`);
            }),
        );
    });
});

describe('interpolateTree', () => {
    it('resolves every text and leaves out what does not resolve', () => {
        const tree = {
            auth: { key: '${apiKey}', tenant: '${connectionConfig.absent}' },
            limit: 1,
            all: true,
            list: ['${username}', '${now}'],
            none: {},
            gone: { a: '${now}' },
        };
        expect(interpolateTree(tree, values)).toEqual({ auth: { key: 'k' }, limit: 1, all: true, list: ['u'], none: {} });
    });
});
