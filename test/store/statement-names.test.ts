import { describe, expect, test } from 'vitest';
import { StatementNames } from '../../src/store/statement-names.ts';

const failure = (code: string) => Object.assign(new Error('refused'), { code });

describe('names of statements', () => {
    test('are the same for the same text, and another’s for another', () => {
        const names = new StatementNames();
        const first = names.of('find', 'select 1');
        expect(first).toMatch(/^find [0-9a-f]{12}$/);
        expect([names.of('find', 'select 1'), names.of('find', 'select 2') === first]).toEqual([first, false]);
    });

    test.each(['26000', '42P05'])('are given up with the first that is refused with %s', (code) => {
        const names = new StatementNames();
        names.of('find', 'select 1');
        expect(names.isRefused(failure(code))).toBe(true);
        expect([names.of('find', 'select 1'), names.of('other', 'select 2')]).toEqual([undefined, undefined]);
    });

    test.each([failure('23505'), new Error('Connection terminated')])('are kept whatever else fails: %s', (error) => {
        const names = new StatementNames();
        expect([names.isRefused(error), names.of('find', 'select 1')]).toEqual([false, expect.any(String)]);
    });
});
