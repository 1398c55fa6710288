/** Forms of the real catalogue, as the page would draw them. */
import { join } from 'node:path';
import type { Integration, Presets, Provider } from '../../src/ui/connect/api-types.ts';
import { assembleFields, type Field } from '../../src/ui/connect/fields.ts';
import { en } from '../../src/ui/connect/words/en.ts';
import { loadCatalogue } from '../../src/providers/catalogue.ts';
import { publicProvider } from '../../src/providers/public-form.ts';

const root = join(import.meta.dirname, '../..');
const catalogue = loadCatalogue({
    builtin: join(root, 'providers.yaml'),
    compiled: join(root, 'dist/catalogue.json'),
    isPlainHttpAllowed: () => false,
});

export const providerNames = catalogue.entries().map(({ name }) => name);

/** What `GET /providers/:provider` answers. */
export function catalogueProvider(name: string): Provider {
    const found = catalogue.get(name);
    if (found === undefined) throw new Error(`No provider ${name} in the catalogue`);
    return publicProvider(found, 'https://auth.example.com/logos');
}

/** An entry that the catalogue does not have. */
export const madeUpProvider = (entry: Partial<Provider>): Provider => ({ name: 'acme', display_name: 'Acme', auth_mode: 'API_KEY', ...entry });

export const integrationOf = (provider: Provider, more: Partial<Integration> = {}): Integration => ({
    unique_key: provider.name,
    provider: provider.name,
    display_name: provider.display_name,
    logo: 'https://auth.example.com/logos/x.svg',
    ...more,
});

interface Circumstances {
    presets?: Presets;
    docsOverride?: string;
    integration?: Partial<Integration>;
}

export const formOf = (provider: Provider, { presets, docsOverride, integration }: Circumstances = {}): Field[] =>
    assembleFields({ provider, integration: integrationOf(provider, integration), presets, docsOverride, words: en });

/** Of the visible ones. */
export const idsOf = (fields: readonly Field[]): string[] => fields.filter(({ isHidden }) => !isHidden).map(({ id }) => id);

export function fieldOf(fields: readonly Field[], id: string): Field {
    const found = fields.find((field) => field.id === id);
    if (found === undefined) throw new Error(`No field ${id} among ${fields.map((field) => field.id).join(', ')}`);
    return found;
}
