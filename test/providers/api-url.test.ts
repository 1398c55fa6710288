/** Endpoints are taken literally, and stay below the base URL (P7). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { joinUrl } from '../../src/providers/api-url.ts';

const base = new URL('https://api.acme.example/v1/base/');
const join = (endpoint: string, isOwnBase = true, from = base): string | undefined => joinUrl(from, endpoint, {}, isOwnBase)?.url.href;

describe('joinUrl', () => {
    test.each([
        ['/users', 'https://api.acme.example/v1/base/users'],
        ['users', 'https://api.acme.example/v1/base/users'],
        ['///users', 'https://api.acme.example/v1/base/users'],
        ['', 'https://api.acme.example/v1/base'],
        ['/', 'https://api.acme.example/v1/base/'],
        ['?a=1', 'https://api.acme.example/v1/base?a=1'],
        ['/users?a=%2F&b=c d', 'https://api.acme.example/v1/base/users?a=%2F&b=c%20d'],
        ['/a%2Fb/%C3%A9', 'https://api.acme.example/v1/base/a%2Fb/%C3%A9'],
        ['/a/../b', 'https://api.acme.example/v1/base/b'],
        ['/documents:batch', 'https://api.acme.example/v1/base/documents:batch'],
        ['/users#part', 'https://api.acme.example/v1/base/users'],
        ['//evil.example/x', 'https://api.acme.example/v1/base/evil.example/x'],
        ['@evil.example/x', 'https://api.acme.example/v1/base/@evil.example/x'],
        ['/${connectionConfig.x}', 'https://api.acme.example/v1/base/$%7BconnectionConfig.x%7D'],
        ['https://api.acme.example/v1/base', 'https://api.acme.example/v1/base'],
        ['https://api.acme.example/v1/base/users?a=1', 'https://api.acme.example/v1/base/users?a=1'],
        ['/redirect?to=https://a.example/../x', 'https://api.acme.example/v1/base/redirect?to=https://a.example/../x'],
    ])('%s', (endpoint, expected) => {
        expect(join(endpoint)).toBe(expected);
    });

    test.each([
        '/..',
        '/../other',
        '/a/../../other',
        '/%2e%2e/other',
        '/.%2E/other',
        '/a/..%2f..%2fother',
        '/..%5cother',
        '/..\\other',
        '/.\t./other',
        'https://api.acme.example/v1/basement',
        'https://api.acme.example/v1',
        'https://api.acme.example.evil.example/v1/base',
        'https://evil.example/',
        'HTTPS:\\\\evil.example',
    ])('%s is outside', (endpoint) => {
        expect(join(endpoint)).toBeUndefined();
    });

    test('another base URL is not repeated by an endpoint', () => {
        expect(join('https://api.acme.example/v1/base/users', false)).toBeUndefined();
    });

    test('a query of the base URL stays', () => {
        expect(join('/a?b=1', true, new URL('https://a.example/?team=t'))).toBe('https://a.example/a?team=t&b=1');
    });

    test('says what follows the base URL, as it is sent', () => {
        expect(joinUrl(base, 'a b?c=d e', { f: 'g' }, true)?.endpoint).toBe('/a%20b?c=d%20e&f=g');
        expect(joinUrl(new URL('https://a.example'), 'v1/x', {}, true)?.endpoint).toBe('/v1/x');
    });

    test('no endpoint leaves the base URL', () => {
        const piece = fc.constantFrom(
            '..',
            '.',
            '%2e',
            '/',
            '\\',
            '//',
            '%2f',
            '%5c',
            '?',
            '#',
            '@',
            ':',
            'evil.example',
            'https://',
            '\t',
            '\n',
            ' ',
            'a',
            '\u0000',
            '%',
        );
        const hostile = fc.oneof(
            fc.string({ unit: 'binary' }),
            fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
        );
        fc.assert(
            fc.property(hostile, fc.boolean(), (endpoint, isOwnBase) => {
                const url = joinUrl(base, endpoint, {}, isOwnBase)?.url;
                if (url === undefined) return;
                expect(url.origin).toBe(base.origin);
                expect([url.username, url.password, url.hash]).toEqual(['', '', '']);
                // As a server may read it: everything decoded, and every kind of slash one.
                const read = new URL(url.pathname.replaceAll(/%2f|%5c/gi, '/').replaceAll(/%2e/gi, '.'), base.origin).pathname;
                expect(`${read}/`).toMatch(/^\/v1\/base\//);
            }),
        );
    });
});
