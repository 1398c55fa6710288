/** The catalogue as the API shows it. It cannot change while the process runs, so each answer is written once in each language. */
import type { CatalogueEntry } from '../../../providers/catalogue.ts';
import type { Language } from '../../../providers/languages/language.ts';
import { readLanguage, Translation } from '../../../providers/languages/translation.ts';
import { publicProvider } from '../../../providers/public-form.ts';
import { Cacheable } from '../../cacheable.ts';
import type { Services } from '../../services.ts';

const json = 'application/json; charset=utf-8';

/** Kept by the caller, and asked for again each time: it changes with the next start. */
export const revalidated = 'private, no-cache';

export class PublicCatalogue {
    readonly #services: Services;
    readonly #editions = new Map<Language, Edition>();
    #map: Cacheable | undefined;

    constructor(services: Services) {
        this.#services = services;
    }

    /** A language nobody asks for is never read. */
    in(language: Language): Edition {
        let edition = this.#editions.get(language);
        if (edition === undefined) {
            edition = new Edition(this.#services, language);
            this.#editions.set(language, edition);
        }
        return edition;
    }

    /** Every provider by its name, in English. */
    get map(): Cacheable {
        return (this.#map ??= new Cacheable(this.in('en').map, json));
    }
}

class Edition {
    readonly #services: Services;
    readonly #language: Language;
    readonly #translation: Translation | undefined;
    readonly #entries = new Map<string, Cacheable>();
    #list: Cacheable | undefined;

    constructor(services: Services, language: Language) {
        this.#services = services;
        this.#language = language;
        this.#translation = language === 'en' ? undefined : new Translation(readLanguage(language));
    }

    /** `{data: […]}`. */
    get list(): Cacheable {
        return (this.#list ??= this.#cacheable(listOf(this.#entriesInOrder.map((entry) => this.#json(entry)))));
    }

    get map(): string {
        return `{${this.#entriesInOrder.map((entry) => `${JSON.stringify(entry.name)}:${this.#json(entry)}`).join(',')}}`;
    }

    /** `{data: …}`. */
    entry(name: string): Cacheable | undefined {
        const kept = this.#entries.get(name);
        const found = kept === undefined ? this.#entriesInOrder.find((entry) => entry.name === name) : undefined;
        if (found === undefined) return kept;
        const entry = this.#cacheable(`{"data":${this.#json(found)}}`);
        this.#entries.set(name, entry);
        return entry;
    }

    /** `{data: […]}`: what has the text in its name or display name, as written or as shown, in any case. */
    search(text: string): string {
        const wanted = text.toLowerCase();
        const isWanted = (entry: CatalogueEntry): boolean =>
            [entry.name, entry.entry.display_name, this.#translated(entry).display_name].some((name) => name.toLowerCase().includes(wanted));
        return listOf(this.#entriesInOrder.filter(isWanted).map((entry) => this.#json(entry)));
    }

    get #entriesInOrder(): readonly CatalogueEntry[] {
        return this.#services.catalogue.entries();
    }

    #cacheable(text: string): Cacheable {
        return new Cacheable(text, json, this.#language);
    }

    #translated(entry: CatalogueEntry): CatalogueEntry['entry'] {
        return this.#translation?.entry(entry) ?? entry.entry;
    }

    #json(entry: CatalogueEntry): string {
        const shown = { name: entry.name, entry: this.#translated(entry) };
        return JSON.stringify(publicProvider(shown, `${this.#services.config.publicUrl}/images/template-logos`));
    }
}

const listOf = (entries: readonly string[]): string => `{"data":[${entries.join(',')}]}`;
