/** Which language an answer is in (catalogue contract 13). */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { acceptedLanguage } from '../../src/http/accepted-language.ts';

test.each([
    [undefined, 'en'],
    ['', 'en'],
    ['de', 'de'],
    ['DE-at', 'de'],
    ['fr-CA,fr;q=0.9,en;q=0.8', 'fr'],
    ['en;q=0.8, es;q=0.9', 'es'],
    ['es, de', 'es'],
    ['de;q=0.5, es;q=0.5', 'de'],
    ['pt-BR, it;q=0.9, de;q=0.1', 'de'],
    ['pt, ja', 'en'],
    ['*', 'en'],
    ['*;q=1, fr;q=0.2', 'fr'],
    ['fr;q=0', 'en'],
    ['fr;q=0.0, de;q=0.001', 'de'],
    ['en;q=0', 'en'],
    // One after the other: what is no weight weighs nothing.
    ['fr;q=x, de;q=0.1', 'de'],
    ['fr;q=, de;q=0.1', 'de'],
    ['fr;q=-1', 'en'],
    ['fr;q=2, de;q=0.1', 'de'],
    ['fr;q=Infinity, de;q=0.1', 'de'],
    [' fr ; q=0.3 ,, es ; Q=0.4', 'es'],
    ['fr;v=1;q=0.3, es;q=0.2', 'fr'],
    ['french, germany', 'en'],
    ['__proto__, constructor', 'en'],
    [';;,;q=1,-,-fr', 'en'],
])('%s: %s', (header, language) => {
    expect(acceptedLanguage(header)).toBe(language);
});

test('is always one of the four, and one that was asked for or English', () => {
    fc.assert(
        fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[ a-z;=,.*0-9-]*$/)), (header) => {
            const language = acceptedLanguage(header);
            expect(language === 'en' || (['es', 'fr', 'de'].includes(language) && header.toLowerCase().includes(language))).toBe(true);
        }),
    );
});

test('the highest weight wins, the first of several with it', () => {
    const ranges = fc.array(
        fc.record({
            tag: fc.constantFrom('en', 'es', 'fr', 'de', 'it', '*'),
            region: fc.constantFrom('', '-XX', '-x-y'),
            weight: fc.integer({ min: 0, max: 1000 }),
        }),
    );
    fc.assert(
        fc.property(ranges, (wanted) => {
            const header = wanted.map(({ tag, region, weight }) => `${tag}${region};q=${weight / 1000}`).join(', ');
            const known = wanted.filter(({ tag, weight }) => weight > 0 && !['it', '*'].includes(tag));
            const highest = Math.max(...known.map(({ weight }) => weight));
            expect(acceptedLanguage(header)).toBe(known.find(({ weight }) => weight === highest)?.tag ?? 'en');
        }),
    );
});
