/**
 * The catalogue's texts for people in another language (catalogue contract 13). What has no translation stays English. Each
 * language's file has titles of fields by their English text, clauses of descriptions (sentences.ts), and overlays: partial
 * entries by slug, for what those two cannot say.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CatalogueEntry } from '../catalogue.ts';
import type { FieldMap, ProviderEntry, ProviderField } from '../provider.ts';
import { fieldMaps } from '../public-form.ts';
import type { TranslatedLanguage } from './language.ts';
import { describeIn, type DescriptionTranslator } from './sentences.ts';

export interface LanguageFile {
    readonly titles: Readonly<Record<string, string>>;
    readonly descriptions: Readonly<Record<string, string>>;
    readonly overlays: Readonly<Record<string, Tree>>;
}

interface Tree {
    readonly [key: string]: unknown;
}

export class Translation {
    readonly #titles: ReadonlyMap<string, string>;
    readonly #describe: DescriptionTranslator;
    readonly #overlays: ReadonlyMap<string, Tree>;
    readonly #entries = new Map<string, ProviderEntry>();

    constructor({ titles, descriptions, overlays }: LanguageFile) {
        this.#titles = new Map(Object.entries(titles));
        this.#describe = describeIn(descriptions);
        this.#overlays = new Map(Object.entries(overlays));
    }

    /** Translated for the first who asks, and kept. */
    entry({ name, entry, isBuiltin }: CatalogueEntry): ProviderEntry {
        let translated = this.#entries.get(name);
        if (translated === undefined) {
            // An operator's replacement has fields of its own, to which an overlay was not written.
            const overlay = isBuiltin ? this.#overlays.get(name) : undefined;
            translated = merge(this.#fromDictionary(entry), overlay ?? {});
            this.#entries.set(name, translated);
        }
        return translated;
    }

    #fromDictionary(entry: ProviderEntry): ProviderEntry {
        const translated: Partial<Record<(typeof fieldMaps)[number], FieldMap>> = {};
        for (const map of fieldMaps) {
            const fields = entry[map];
            if (fields === undefined) continue;
            translated[map] = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, this.#field(field, entry.display_name)]));
        }
        return { ...entry, ...translated };
    }

    #field(field: ProviderField, displayName: string): ProviderField {
        const title = field.title === undefined ? undefined : this.#titles.get(field.title);
        const description = field.description === undefined ? undefined : this.#describe(field.description, displayName);
        return { ...field, ...(title === undefined ? {} : { title }), ...(description === undefined ? {} : { description }) };
    }
}

/** JSON, so that reading it takes a millisecond and no parser that would stay in memory. */
export const readLanguage = (language: TranslatedLanguage): LanguageFile =>
    JSON.parse(readFileSync(join(import.meta.dirname, `${language}.json`), 'utf8')) as LanguageFile;

/** Deeply; lists are replaced. */
function merge<T extends Tree>(base: T, overlay: Tree): T {
    const merged: Record<string, unknown> = { ...base };
    for (const [key, value] of Object.entries(overlay)) {
        const own = merged[key];
        merged[key] = isTree(own) && isTree(value) ? merge(own, value) : value;
    }
    return merged as T;
}

const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value);
