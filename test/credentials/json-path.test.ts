import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { containerOf, valueAt, withoutValueAt } from '../../src/credentials/json-path.ts';

const answer = { data: { token: { access_token: 't', 'a.b': 1 }, list: [{ id: 'x' }, { id: 'y' }] }, 'odata.token': 'flat', none: null };

describe('valueAt', () => {
    test.each<[string, unknown]>([
        ['data.token.access_token', 't'],
        ['data.list[1].id', 'y'],
        ['data.list.0.id', 'x'],
        ['odata.token', 'flat'],
        ['none', null],
        ['', answer],
        ['data.token.missing', undefined],
        ['data.token.access_token.length', undefined],
        ['none.more', undefined],
        ['constructor', undefined],
        ['data.list.length', 2],
    ])('%s', (path, expected) => {
        expect(valueAt(answer, path)).toEqual(expected);
    });

    test('of something that is no object', () => {
        expect(['text', 1, null, undefined].map((value) => valueAt(value, 'a.b'))).toEqual([undefined, undefined, undefined, undefined]);
        expect(valueAt('text', '')).toBe('text');
    });
});

test('containerOf is what the last step is taken from', () => {
    expect(containerOf(answer, 'data.token.access_token')).toBe(answer.data.token);
    expect(containerOf(answer, 'odata.token')).toBe(answer);
    expect(containerOf(answer, 'no.such.path')).toBeUndefined();
});

describe('withoutValueAt', () => {
    test('leaves that member out of a copy, and nothing else', () => {
        const { access_token: _, ...token } = answer.data.token;
        expect(withoutValueAt(answer, 'data.token.access_token')).toEqual({ ...answer, data: { ...answer.data, token } });
        expect(withoutValueAt(answer, 'data.list[0].id')).toEqual({ ...answer, data: { ...answer.data, list: [{}, { id: 'y' }] } });
        expect(withoutValueAt(answer, 'odata.token')).toEqual({ data: answer.data, none: null });
        expect(answer['odata.token']).toBe('flat');
    });

    test('is the same where there is nothing', () => {
        fc.assert(
            fc.property(fc.jsonValue(), fc.constantFrom('', 'no.such', 'x-y-z[3]'), (value, path) => {
                expect(withoutValueAt(value, path)).toEqual(value);
            }),
        );
    });
});
