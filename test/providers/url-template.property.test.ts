import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TemplateError } from '../../src/providers/url-template.ts';
import type { UrlTemplate } from '../../src/providers/url-template.ts';
import { compile } from './compile-template.ts';
import type { Fields } from './compile-template.ts';

/** Text made mostly of what parsers stumble over: separators, encodings, look-alike letters and dots, controls. */
const hostile = fc
    .array(
        fc.oneof(
            { weight: 4, arbitrary: fc.constantFrom(...'/#?\\@:%.[]&=+;,!$\'"<>|^`{}_- ') },
            {
                weight: 3,
                arbitrary: fc.constantFrom(
                    'a',
                    'b',
                    'Z',
                    '0',
                    '9',
                    'evil',
                    'com',
                    'evil.com',
                    'xn--',
                    'xn--80ak6aa92e',
                    '127',
                    '0x7f',
                    'https://',
                    '//',
                ),
            },
            {
                weight: 2,
                arbitrary: fc.constantFrom(
                    '。',
                    '．',
                    '｡',
                    '․',
                    'а',
                    'е',
                    'о',
                    'K',
                    'ſ',
                    'İ',
                    '℀',
                    '／',
                    '＠',
                    '：',
                    '％',
                    'ａ',
                    '①',
                    '\u00ad',
                    '\u200b',
                    '\u202e',
                    '\ud800',
                ),
            },
            { weight: 2, arbitrary: fc.constantFrom('\u0000', '\t', '\n', '\r', '\u007f', '\u0085', '\u2028', '\ufeff') },
            {
                weight: 2,
                arbitrary: fc.constantFrom(
                    '%2F',
                    '%2f',
                    '%23',
                    '%40',
                    '%5C',
                    '%00',
                    '%2E',
                    '%252F',
                    '..',
                    './',
                    '..%2f',
                    '${connectionConfig.b}',
                    ' || ',
                ),
            },
            { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 4 }) },
        ),
        { maxLength: 8 },
    )
    .map((pieces) => pieces.join(''));
const plain = fc.stringMatching(/^[a-zA-Z0-9.-]{1,12}$/);
const value = fc.oneof({ weight: 3, arbitrary: hostile }, { weight: 2, arbitrary: plain });

/** The most permissive declarations: only the kinds protect. */
const permissive: Fields = { a: { pattern: '^[^]*$' }, b: { pattern: '^[^]*$' }, tld: { enum: ['com', 'com.au'] } };

function attempt(template: UrlTemplate, values: Record<string, unknown>): URL | undefined {
    try {
        return template.build({ connectionConfig: values });
    } catch (error) {
        if (error instanceof TemplateError) return undefined;
        throw error;
    }
}

const numRuns = 3000;

/** Checks every URL that can be built, and that enough could be for the check to mean something. */
function forEveryUrl(
    template: UrlTemplate,
    values: fc.Arbitrary<Record<string, string>>,
    check: (url: URL, values: Record<string, string>) => void,
): void {
    let built = 0;
    fc.assert(
        fc.property(values, (given) => {
            const url = attempt(template, given);
            if (!url) return;
            built += 1;
            check(url, given);
        }),
        { numRuns },
    );
    expect(built).toBeGreaterThan(numRuns / 150);
}

describe('no value moves a URL off its host', () => {
    it.each([
        ['https://${connectionConfig.a}.acme.example/token?x=1', '.acme.example'],
        ['https://api.${connectionConfig.a}.acme.example/token?x=1', '.acme.example'],
        ['https://api-${connectionConfig.a}.acme.example/token?x=1', '.acme.example'],
        ['https://${connectionConfig.a}-api.acme.example/token?x=1', '.acme.example'],
        ['https://${connectionConfig.a}.${connectionConfig.b}.acme.example/token?x=1', '.acme.example'],
        ['https://${connectionConfig.a}${connectionConfig.b}.acme.example/token?x=1', '.acme.example'],
        ['https://${connectionConfig.a}.acme.${connectionConfig.tld}/token?x=1', '.acme.com.au'],
    ])('%s stays below %s', (source, suffix) => {
        forEveryUrl(compile(source, permissive), fc.record({ a: value, b: value, tld: fc.constant('com.au') }), (url) => {
            expect(url.protocol).toBe('https:');
            expect(url.hostname.endsWith(suffix)).toBe(true);
            expect(url.hostname).toMatch(/^[a-z0-9.-]+$/);
            expect([url.username, url.password, url.port, url.hash]).toEqual(['', '', '', '']);
            expect(url.pathname + url.search).toBe('/token?x=1');
        });
    });

    it('a suffix choice is one of the choices', () => {
        const tld = fc.oneof({ weight: 9, arbitrary: value }, { weight: 1, arbitrary: fc.constantFrom('com', 'com.au') });
        forEveryUrl(compile('https://accounts.acme.${connectionConfig.tld}/token', permissive), fc.record({ tld }), (url) => {
            expect(['accounts.acme.com', 'accounts.acme.com.au']).toContain(url.hostname);
        });
    });

    it.each(['https://${connectionConfig.a}/token?x=1', '${connectionConfig.a}/token?x=1'])('%s has the host that was written, or none', (source) => {
        const a = fc.oneof(
            value,
            value.map((text) => `https://${text}`),
            value.map((text) => `https://good.example/${text}`),
        );
        forEveryUrl(compile(source, permissive), fc.record({ a }), (url, given) => {
            const written = /^(?:https:\/\/)?([A-Za-z0-9.-]+)(?:\/|$)/.exec(given['a'] ?? '');
            expect(url.hostname).toBe(written?.[1]?.toLowerCase());
            expect([url.protocol, url.username, url.password, url.port, url.hash, url.search]).toEqual(['https:', '', '', '', '', '?x=1']);
            expect(url.pathname.endsWith('/token')).toBe(true);
        });
    });

    it('a path segment stays one segment, a query value one value', () => {
        const template = compile('https://acme.example/v1/${connectionConfig.a}/users?q=${connectionConfig.b}&z=1', permissive);
        forEveryUrl(template, fc.record({ a: value, b: value }), (url, { a, b }) => {
            expect(url.origin).toBe('https://acme.example');
            expect(url.pathname.split('/').map(decodeURIComponent)).toEqual(['', 'v1', a, 'users']);
            expect([...url.searchParams]).toEqual([
                ['q', b],
                ['z', '1'],
            ]);
            expect(url.hash).toBe('');
        });
    });

    it.each([
        'https://${connectionConfig.a}.acme.example/x',
        'https://${connectionConfig.a}/x',
        '${connectionConfig.a}/x',
        'https://acme.example/${connectionConfig.a}/x',
    ])('%s: what the slot accepts can be built, what it refuses cannot', (source) => {
        const template = compile(source, permissive);
        const a = fc.oneof(
            value,
            plain.map((text) => `https://${text}/p`),
        );
        fc.assert(
            fc.property(a, (given) => {
                fc.pre(given !== '');
                expect(template.fields[0]?.accepts(given)).toBe(attempt(template, { a: given }) !== undefined);
            }),
            { numRuns },
        );
    });
});
