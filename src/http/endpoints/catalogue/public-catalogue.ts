/** The catalogue as the API shows it. It cannot change while the process runs, so each answer is written once. */
import type { CatalogueEntry } from '../../../providers/catalogue.ts';
import type { ProviderEntry } from '../../../providers/provider.ts';
import { publicProvider } from '../../../providers/public-form.ts';
import { Cacheable } from '../../cacheable.ts';
import type { Services } from '../../services.ts';

const cacheable = (text: string): Cacheable => new Cacheable(text, 'application/json; charset=utf-8');

/** Kept by the caller, and asked for again each time: it changes with the next start. */
export const revalidated = 'private, no-cache';

export class PublicCatalogue {
    readonly #services: Services;
    readonly #entries = new Map<string, Cacheable>();
    #list: Cacheable | undefined;
    #map: Cacheable | undefined;

    constructor(services: Services) {
        this.#services = services;
    }

    /** `{data: […]}`. */
    get list(): Cacheable {
        return (this.#list ??= cacheable(listOf(this.#entriesInOrder.map((entry) => this.#json(entry)))));
    }

    /** Every provider by its name. */
    get map(): Cacheable {
        return (this.#map ??= cacheable(`{${this.#entriesInOrder.map((entry) => `${JSON.stringify(entry.name)}:${this.#json(entry)}`).join(',')}}`));
    }

    /** `{data: …}`. */
    entry(name: string): Cacheable | undefined {
        const provider = this.#services.catalogue.get(name);
        let entry = this.#entries.get(name);
        if (entry === undefined && provider !== undefined) {
            entry = cacheable(`{"data":${this.#json(provider)}}`);
            this.#entries.set(name, entry);
        }
        return entry;
    }

    /** `{data: […]}`: what has the text in its name or display name, in any case. */
    search(text: string): string {
        const wanted = text.toLowerCase();
        const isWanted = ({ name, entry }: CatalogueEntry): boolean => name.includes(wanted) || entry.display_name.toLowerCase().includes(wanted);
        return listOf(this.#entriesInOrder.filter(isWanted).map((entry) => this.#json(entry)));
    }

    get #entriesInOrder(): readonly CatalogueEntry[] {
        return this.#services.catalogue.entries();
    }

    #json(entry: { readonly name: string; readonly entry: ProviderEntry }): string {
        return JSON.stringify(publicProvider(entry, `${this.#services.config.publicUrl}/images/template-logos`));
    }
}

const listOf = (entries: readonly string[]): string => `{"data":[${entries.join(',')}]}`;
