/** The catalogue as the API shows it. It cannot change while the process runs, so each answer is written once. */
import type { Provider } from '../../../providers/provider.ts';
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
        return (this.#list ??= cacheable(listOf(this.#providers.map((provider) => this.#json(provider)))));
    }

    /** Every provider by its name. */
    get map(): Cacheable {
        return (this.#map ??= cacheable(
            `{${this.#providers.map((provider) => `${JSON.stringify(provider.name)}:${this.#json(provider)}`).join(',')}}`,
        ));
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
        const isWanted = ({ name, displayName }: Provider): boolean => name.includes(wanted) || displayName.toLowerCase().includes(wanted);
        return listOf(this.#providers.filter(isWanted).map((provider) => this.#json(provider)));
    }

    get #providers(): readonly Provider[] {
        return this.#services.catalogue.list();
    }

    #json(provider: Provider): string {
        return JSON.stringify(publicProvider(provider, `${this.#services.config.publicUrl}/images/template-logos`));
    }
}

const listOf = (entries: readonly string[]): string => `{"data":[${entries.join(',')}]}`;
