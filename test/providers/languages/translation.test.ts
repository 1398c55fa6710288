import { describe, expect, test } from 'vitest';
import { describeIn } from '../../../src/providers/languages/sentences.ts';
import { Translation } from '../../../src/providers/languages/translation.ts';
import { makeProvider } from '../make-provider.ts';

const fields = {
    apiKey: { type: 'string', title: 'API Key', description: 'A key of Acme; it starts with k_.', secret: true },
    region: { type: 'string', title: 'Region', description: 'Where.', enum: ['eu', 'us'] },
} as const;
const { name, entry } = makeProvider({ credentials: fields });
const file = {
    titles: { 'API Key': 'Clave de API' },
    descriptions: { 'A key of {name}': 'Una clave de {name}', '; it starts with {value}': '; empieza por {value}' },
    overlays: { acme: { credentials: { region: { description: 'Dónde.', enum: ['ue'] } } } },
};

describe('Translation', () => {
    test('lays the dictionary and then the overlay over an entry, deeply, lists whole', () => {
        expect(new Translation(file).entry({ name, entry, isBuiltin: true })).toEqual({
            ...entry,
            credentials: {
                apiKey: { ...fields.apiKey, title: 'Clave de API', description: 'Una clave de Acme; empieza por k_.' },
                region: { ...fields.region, description: 'Dónde.', enum: ['ue'] },
            },
        });
        expect(entry.credentials).toEqual(fields);
    });

    test('lays no overlay over what an operator wrote', () => {
        const translated = new Translation(file).entry({ name, entry, isBuiltin: false });
        expect(translated.credentials).toMatchObject({ apiKey: { title: 'Clave de API' }, region: fields.region });
    });

    test('translates an entry once', () => {
        const translation = new Translation(file);
        const catalogueEntry = { name, entry, isBuiltin: true };
        expect(translation.entry(catalogueEntry)).toBe(translation.entry(catalogueEntry));
    });

    test.each(['constructor', '__proto__'])('has nothing for %s', (odd) => {
        const strange = makeProvider({ credentials: { apiKey: { type: 'string', title: odd, description: `${odd}.` } } }).entry;
        expect(new Translation(file).entry({ name: odd, entry: strange, isBuiltin: true })).toEqual(strange);
    });
});

describe('a description', () => {
    const describe = describeIn({
        'A key of {name}, which {name} shows': 'Clave de {name} que {name} muestra',
        'A key of {name}': 'Una clave de {name}',
        'Before {value}': 'Antes de {value}',
        ', such as {value}': ', por ejemplo {value}',
        ', without https://': ', sin https://',
        '; it has {value} digits': '; tiene {value} cifras',
    });

    test.each([
        ['A key of Acme CRM.', 'Una clave de Acme CRM.'],
        ['A key of Acme.', 'Una clave de Acme.'],
        ['A key of Acme, which Acme shows; it has 32 digits.', 'Clave de Acme que Acme muestra; tiene 32 cifras.'],
        ['Before .acme.com, without https://, such as a.b.', 'Antes de .acme.com, sin https://, por ejemplo a.b.'],
        ['A key of Acme; it has 32 digits, such as $&.', 'Una clave de Acme; tiene 32 cifras, por ejemplo $&.'],
    ])('%s', (english, translated) => {
        expect(describe(english, 'Acme CRM')).toBe(translated);
    });

    test.each([
        ['another provider', 'A key of Other.'],
        ['two of them', 'A key of Acme, which Other shows.'],
        ['words behind the name', 'A key of Acme CRM that you find.'],
        ['more than a word as a value', 'Before .acme.com and the rest.'],
        ['a clause that is not known', 'A key of Acme; ask somebody.'],
        ['no full stop', 'A key of Acme'],
        ['nothing', ''],
    ])('with %s stays as it is', (_, english) => {
        expect(describe(english, 'Acme CRM')).toBeUndefined();
    });
});
