/**
 * The provider catalogue: which providers exist and everything that is known about each without asking it. Lives here: reading and
 * checking catalogue files, templates, field rules, and what follows from an entry alone. Not here: HTTP calls, stored
 * integrations, and the auth modes, which read what is compiled here.
 */
import { resolveAliases, restsOn } from './aliases.ts';
import type { RawEntry } from './aliases.ts';
import { readCatalogueFile } from './catalogue-file.ts';
import { checkResolved, checkWritten } from './check-entries.ts';
import { readBuiltin } from './compiled-catalogue.ts';
import { compileProvider } from './provider.ts';
import type { Provider, ProviderEntry } from './provider.ts';

export { CatalogueError } from './catalogue-problem.ts';
export type { CatalogueProblem } from './catalogue-problem.ts';
export type { AuthMode, Provider, ProviderEntry, ProviderField } from './provider.ts';

export interface CatalogueEntry {
    readonly name: string;
    readonly entry: ProviderEntry;
    readonly isBuiltin: boolean;
}

export interface Catalogue {
    get(name: string): Provider | undefined;
    /** In file order: the built-in file first, an operator's replacement in the place of what it replaces. */
    entries(): readonly CatalogueEntry[];
    /** As `entries`, compiled. Most of a thousand are never asked for, so this is for tests and tools. */
    list(): readonly Provider[];
}

export interface CatalogueOptions {
    /** Path of the built-in file. */
    builtin: string;
    /** Where its compiled form is kept; without it, the file is parsed and judged each time. */
    compiled?: string;
    /** Path of the operator's file (VALETKEY_PROVIDERS), laid over the built-in one entry by entry. */
    operator?: string | undefined;
    /** Which hosts an `http://` URL may name. `hostname` is lower-case; an IPv6 address comes without brackets. */
    isPlainHttpAllowed: (hostname: string) => boolean;
}

/**
 * Reads, checks and resolves the whole catalogue. Entries are compiled when they are first asked for, which cannot fail: every rule
 * was applied to every entry, at this start or when the built-in file was compiled.
 * @throws CatalogueError when anything is wrong; no entry is ever skipped.
 */
export function loadCatalogue(options: CatalogueOptions): Catalogue {
    const { builtin, compiled, operator, isPlainHttpAllowed } = options;
    const builtinEntries = compiled === undefined ? (readCatalogueFile(builtin) as ReadonlyMap<string, RawEntry>) : readBuiltin(builtin, compiled);
    const ownEntries = operator === undefined ? new Map<string, RawEntry>() : (readCatalogueFile(operator) as ReadonlyMap<string, RawEntry>);
    const written = new Map([...builtinEntries, ...ownEntries]);
    const ownSlugs = new Set(ownEntries.keys());

    const checks = {
        fileOf: (slug: string): string => (operator !== undefined && ownSlugs.has(slug) ? operator : builtin),
        // A built-in alias of something the operator replaced is another entry than the one that was judged.
        isKnownGood: (slug: string): boolean => compiled !== undefined && !restsOn(slug, ownSlugs, written),
        isPlainHttpAllowed,
    };
    checkWritten(written, checks);
    const resolution = resolveAliases(written);
    checkResolved(written, resolution, checks);

    const entries = [...resolution.entries].map(([name, entry]) => ({ name, entry, isBuiltin: !ownSlugs.has(name) }));
    return new LoadedCatalogue(entries, isPlainHttpAllowed);
}

class LoadedCatalogue implements Catalogue {
    readonly #entries: ReadonlyMap<string, CatalogueEntry>;
    readonly #isPlainHttpAllowed: (hostname: string) => boolean;
    readonly #compiled = new Map<string, Provider>();

    constructor(entries: readonly CatalogueEntry[], isPlainHttpAllowed: (hostname: string) => boolean) {
        this.#entries = new Map(entries.map((entry) => [entry.name, deepFreeze(entry)]));
        this.#isPlainHttpAllowed = isPlainHttpAllowed;
    }

    get(name: string): Provider | undefined {
        let provider = this.#compiled.get(name);
        const found = this.#entries.get(name);
        if (provider === undefined && found !== undefined) {
            const { entry, isBuiltin } = found;
            provider = deepFreeze(compileProvider(name, entry, { isBuiltin, isPlainHttpAllowed: this.#isPlainHttpAllowed }));
            this.#compiled.set(name, provider);
        }
        return provider;
    }

    entries(): readonly CatalogueEntry[] {
        return [...this.#entries.values()];
    }

    list(): readonly Provider[] {
        return this.entries().flatMap(({ name }) => this.get(name) ?? []);
    }
}

function deepFreeze<T>(value: T): T {
    if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
        Object.freeze(value);
        Object.values(value).forEach(deepFreeze);
    }
    return value;
}
