/** Settings of integrations, where HTTP tests do not reach: odd dependencies, long values (http-api §7.2, catalogue contract 4.12). */
import { describe, expect, test } from 'vitest';
import { checkIntegrationConfig } from '../../src/providers/integration-config.ts';
import type { FieldMap } from '../../src/providers/provider.ts';
import { makeProvider } from './make-provider.ts';

const text = { type: 'string' } as const;
const check = (integration_config: FieldMap, submitted: Record<string, string>, stored?: Record<string, string>) =>
    checkIntegrationConfig(makeProvider({ integration_config }), submitted, stored);

describe('visibility', () => {
    const when = (field: string, equals: string) => ({ visible_when: { field, equals } });

    test('of settings that depend on each other is given', () => {
        const cycle = { a: { ...text, ...when('b', 'x') }, b: { ...text, ...when('a', 'x') } };
        expect(check(cycle, { a: 'x', b: 'x' })).toEqual({ values: { a: 'x', b: 'x' }, problems: [] });
        expect(check({ a: { ...text, ...when('a', 'x') } }, {}).problems).toEqual([]);
        expect(check({ a: { ...text, ...when('a', 'x') } }, { a: 'x' }).values).toEqual({ a: 'x' });
    });

    test('follows from a default where nothing was chosen', () => {
        const fields = { mode: { ...text, default_value: 'basic' }, user: { ...text, ...when('mode', 'basic') } };
        expect(check(fields, {}).problems).toEqual([expect.stringContaining('"user"')]);
        expect(check(fields, { mode: 'none' }).problems).toEqual([]);
        expect(check(fields, { mode: '' }).problems).toEqual([expect.stringContaining('"user"')]);
    });

    test('through a hidden link of the chain is not', () => {
        const fields = { a: { ...text, optional: true }, b: { ...text, ...when('a', 'x') }, c: { ...text, ...when('b', 'x') } };
        expect(check(fields, { b: 'x', c: 'x' })).toEqual({ values: { a: '' }, problems: [] });
    });
});

describe('what is demanded', () => {
    test.each<[string, object, boolean]>([
        ['an ordinary setting', {}, true],
        ['an optional one', { optional: true }, false],
        ['one with a default', { default_value: 'x' }, false],
        ['one with an empty default', { default_value: '' }, false],
        ['a hidden one', { hidden: true }, false],
        ['one that the server sets', { automated: true }, false],
    ])('%s', (_name, members, isDemanded) => {
        expect(check({ a: { ...text, ...members } }, {}).problems).toHaveLength(isDemanded ? 1 : 0);
        // Nothing in particular, when it is a change of what is stored.
        expect(check({ a: { ...text, ...members } }, {}, {})).toEqual({ values: {}, problems: [] });
        expect(check({ a: { ...text, ...members } }, { a: '' }, { a: 'x' }).problems).toHaveLength(isDemanded ? 1 : 0);
    });
});

test('a value may be as long as the API lets it, whether or not it has a pattern', () => {
    for (const field of [text, { ...text, pattern: '^x+$' }]) {
        expect(check({ a: field }, { a: 'x'.repeat(8192) }).problems).toEqual([]);
        expect(check({ a: field }, { a: 'x'.repeat(8193) }).problems).toHaveLength(1);
    }
});
