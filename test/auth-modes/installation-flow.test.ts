/** What a browser may name as an installation. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { installationIn } from '../../src/auth-modes/installation-flow.ts';

test('a number, and nothing that could be more than one part of a path', () => {
    expect(installationIn({ installation_id: '38631545' })).toBe('38631545');
    for (const other of [
        undefined,
        '',
        '-1',
        '1.0',
        '1e3',
        ' 1',
        '1\n',
        '１',
        '../1',
        '1/access_tokens',
        '1?x',
        ['1'],
        { 1: 1 },
        1,
        '1'.repeat(21),
    ]) {
        expect(installationIn({ installation_id: other })).toBeUndefined();
    }
    fc.assert(fc.property(fc.string(), (text) => (installationIn({ installation_id: text }) ?? '0').replace(/[0-9]/g, '') === ''));
});
