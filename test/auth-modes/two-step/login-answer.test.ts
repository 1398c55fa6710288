import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { complaintIn, readLoginAnswer, textAt } from '../../../src/auth-modes/two-step/login-answer.ts';

const read = (body: string, contentType = 'application/json'): unknown => readLoginAnswer({ contentType, body });

describe('readLoginAnswer', () => {
    test.each<[string, string, string, unknown]>([
        ['JSON', '{"token":"t"}', 'application/json', { token: 't' }],
        ['JSON that calls itself text', '{"token":"t"}', 'text/plain', { token: 't' }],
        ['a JSON text', '"abc"', 'application/json', 'abc'],
        ['a bare text', ' eyJ.a.b \n', 'text/plain', 'eyJ.a.b'],
        ['a form', 'access_token=t&expires_in=5', 'application/x-www-form-urlencoded', { access_token: 't', expires_in: '5' }],
        ['XML', '<a><token>t</token></a>', 'text/xml; charset=utf-8', { a: { token: 't' } }],
        ['XML that calls itself JSON', '<?xml version="1.0"?><a><token>t</token></a>', 'application/json', { a: { token: 't' } }],
        ['a page', '<!DOCTYPE html><html><body>Sign in</body></html>', 'text/html', undefined],
        ['a page that calls itself text', '  <html lang="en">', 'text/plain', undefined],
        ['a word that calls itself a page', 'token', 'text/html', undefined],
        ['nothing', '', '', ''],
        ['depth without end', `{"token":"t","x":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 'application/json', undefined],
    ])('%s', (_name, body, contentType, expected) => {
        expect(read(body, contentType)).toEqual(expected);
    });

    test('no body makes it throw', () => {
        fc.assert(
            fc.property(
                fc.string({ unit: 'binary' }),
                fc.string(),
                (body, contentType) => read(body, contentType) !== null || body.trim() === 'null',
            ),
        );
    });
});

test('textAt takes texts and numbers', () => {
    expect([textAt({ a: 5 }, 'a'), textAt({ a: 'x' }, 'a'), textAt('x', '')]).toEqual(['5', 'x', 'x']);
    expect([textAt({ a: '' }, 'a'), textAt({ a: true }, 'a'), textAt({ a: {} }, 'a'), textAt({}, '')]).toEqual([
        undefined,
        undefined,
        undefined,
        undefined,
    ]);
});

describe('complaintIn', () => {
    test.each<[unknown, string]>([
        [{ error: 'invalid_client', error_description: 'No such client' }, 'invalid_client: No such client'],
        [{ error: { code: 5, message: 'Wrong password' } }, 'Wrong password'],
        [{ data: null, errors: [{ message: 'Not signed in' }, { message: 'more' }] }, 'Not signed in'],
        [{ Message: 'Denied', extra: 1 }, 'Denied'],
        [
            {
                response: {
                    control: { status: 'success' },
                    operation: { errormessage: { error: { errorno: 'XL03', description2: 'Sign-in incorrect' } } },
                },
            },
            'Sign-in incorrect',
        ],
        [{ message: 'twice', detail: 'twice' }, 'twice'],
        [{ ok: false }, ''],
        ['text', ''],
        [undefined, ''],
    ])('of %j', (answer, expected) => {
        expect(complaintIn(answer)).toBe(expected);
    });
});
