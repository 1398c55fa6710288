/** Five languages say the same things (frontend contract §3.5, §7.32). The compiler sees that no text is missing. */
import { describe, expect, test } from 'vitest';
import { fill, languageOf, languages, loadWords } from '../../src/ui/connect/words/languages.ts';
import { en } from '../../src/ui/connect/words/en.ts';

const flat = (words: object, path = ''): [string, string][] =>
    Object.entries(words).flatMap(([key, value]: [string, unknown]) =>
        typeof value === 'string' ? [[`${path}${key}`, value] as [string, string]] : flat(value as object, `${path}${key}.`),
    );
const placeholdersOf = (text: string): string[] => [...new Set(text.match(/\{\w+\}/g))].toSorted();

const english = Object.fromEntries(flat(en));
/** The same word in both languages. */
const alike = new Set(['de optional', 'de failure.code']);

describe.each(languages)('%s', (language) => {
    test('has the same texts with the same placeholders', async () => {
        const { words, language: loaded } = await loadWords(language);
        expect(loaded).toBe(language);
        const texts = Object.fromEntries(flat(words));
        expect(Object.keys(texts)).toEqual(Object.keys(english));
        const different = Object.keys(texts).filter((key) => placeholdersOf(texts[key]!).join() !== placeholdersOf(english[key]!).join());
        expect(different).toEqual([]);
    });
});

test.each(languages.filter((language) => language !== 'en'))('%s leaves nothing in English', async (language) => {
    const { words } = await loadWords(language);
    const left = flat(words).filter(([key, text]) => text === english[key] && !key.endsWith('.example') && !alike.has(`${language} ${key}`));
    expect(left).toEqual([]);
});

test.each([
    ['fr-FR', 'de', 'fr'],
    [null, 'de-AT', 'de'],
    [null, 'ja', 'ja'],
    ['', 'es', 'es'],
    ['pt', 'fr', 'en'],
    [null, 'zh-CN', 'en'],
    ['EN_us', 'fr', 'en'],
])('languageOf(%s, %s)', (fromAddress, fromBrowser, expected) => {
    expect(languageOf(fromAddress, fromBrowser)).toBe(expected);
});

test('fill', () => {
    expect(fill('{a} and {b}', { a: 1, b: '{a}' })).toBe('1 and {a}');
});
