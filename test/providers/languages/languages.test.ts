/** The files of each language, against the built-in catalogue. */
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { loadCatalogue, type CatalogueEntry } from '../../../src/providers/catalogue.ts';
import { translatedLanguages } from '../../../src/providers/languages/language.ts';
import { describeIn } from '../../../src/providers/languages/sentences.ts';
import { readLanguage, Translation } from '../../../src/providers/languages/translation.ts';
import { fieldMaps } from '../../../src/providers/public-form.ts';

const builtin = fileURLToPath(new URL('../../../providers.yaml', import.meta.url));
const entries = loadCatalogue({ builtin, isPlainHttpAllowed: () => false }).entries();

const fieldsOf = ({ entry }: CatalogueEntry) =>
    fieldMaps.flatMap((map) => Object.entries(entry[map] ?? {}).map(([name, field]) => ({ map, name, field })));
const shown = entries.flatMap(fieldsOf).filter(({ field }) => field.hidden !== true && field.automated !== true);
const titles = new Set(shown.flatMap(({ field }) => field.title ?? []));

/** `[['github', 'credentials', …], text]` for every text. */
function leaves(tree: unknown, path: readonly string[] = []): [readonly string[], unknown][] {
    return typeof tree === 'object' && tree !== null ? Object.entries(tree).flatMap(([key, value]) => leaves(value, [...path, key])) : [[path, tree]];
}

const at = (tree: unknown, path: readonly string[]): unknown =>
    path.reduce((value, key) => (value as Record<string, unknown> | undefined)?.[key], tree);
const byName = Object.fromEntries(entries.map(({ name, entry }) => [name, entry]));

describe.each(translatedLanguages)('%s', (language) => {
    const file = readLanguage(language);
    const translation = new Translation(file);

    test('translates the title of every field that is shown, and no other', () => {
        expect(Object.keys(file.titles).toSorted()).toEqual([...titles].toSorted());
        expect(Object.values(file.titles).filter((title) => title.trim() !== title || title === '')).toEqual([]);
    });

    test('every clause occurs in some description that can be told whole, with its placeholders', () => {
        const described = entries.flatMap((entry) =>
            fieldsOf(entry).map(({ field }) => [field.description ?? '', entry.entry.display_name] as const),
        );
        const unused = Object.keys(file.descriptions).filter((clause) => {
            const others = describeIn(Object.fromEntries(Object.entries(file.descriptions).filter(([other]) => other !== clause)));
            const all = describeIn(file.descriptions);
            return !described.some(([text, name]) => all(text, name) !== undefined && others(text, name) === undefined);
        });
        expect(unused).toEqual([]);
        const placeholders = (text: string): Set<string> => new Set(text.match(/\{\w+\}/g));
        for (const [clause, translated] of Object.entries(file.descriptions)) {
            expect(placeholders(translated), clause).toEqual(placeholders(clause));
        }
    });

    test('every path of the overlays exists in the catalogue, is a text for people, and says something else there', () => {
        for (const [path, text] of leaves(file.overlays)) {
            expect(['display_name', 'title', 'description', 'warnings'], path.join('.')).toContain(path.at(path.at(-2) === 'warnings' ? -2 : -1));
            expect(typeof at(byName, path), path.join('.')).toBe('string');
            expect(text, path.join('.')).not.toBe(at(byName, path));
        }
    });

    test('has the same overlays and clauses as the other languages', () => {
        const other = readLanguage('es');
        expect(leaves(file.overlays).map(([path]) => path)).toEqual(leaves(other.overlays).map(([path]) => path));
        expect(Object.keys(file.descriptions)).toEqual(Object.keys(other.descriptions));
    });

    test('changes texts for people and nothing else', () => {
        for (const entry of entries) {
            const before = leaves(entry.entry);
            const after = leaves(translation.entry(entry));
            expect(after.map(([path]) => path)).toEqual(before.map(([path]) => path));
            const changed = before.flatMap(([path, value], index) => (after[index]![1] === value ? [] : [path.at(-1)]));
            expect(['display_name', 'title', 'description'], entry.name).toEqual(expect.arrayContaining(changed));
        }
    });

    test('never leaves an English clause inside a translated description', () => {
        const english = /\b(?:your|which|where|the|of|from|with|it is) /;
        const mixed = entries.flatMap((entry) =>
            fieldsOf(entry).flatMap(({ map, name, field }) => {
                const text = translation.entry(entry)[map]?.[name]?.description ?? '';
                return text !== field.description && english.test(text) ? [`${entry.name}: ${text}`] : [];
            }),
        );
        expect(mixed).toEqual([]);
    });

    test('tells more than half of what is asked of people in its own words', () => {
        const told = entries.flatMap((entry) =>
            fieldsOf(entry)
                .filter(({ field }) => field.hidden !== true && field.automated !== true)
                .map(({ map, name, field }) => translation.entry(entry)[map]?.[name]?.description !== field.description),
        );
        expect(told.filter(Boolean).length / told.length).toBeGreaterThan(0.5);
    });
});
