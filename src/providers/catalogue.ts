/**
 * The provider catalogue: which providers exist and everything that is known about each without asking it. Lives here: reading and
 * checking catalogue files, templates, field rules, and what follows from an entry alone. Not here: HTTP calls, stored
 * integrations, and the auth modes, which read what is compiled here.
 */
import { readCatalogueFile } from './catalogue-file.ts';
import { CatalogueError } from './catalogue-problem.ts';
import type { CatalogueProblem } from './catalogue-problem.ts';
import { isSlug, resolvedFault, writtenFault } from './entry-schema.ts';
import { lintErrors } from './lint.ts';
import { compileProvider } from './provider.ts';
import type { Provider, ProviderEntry } from './provider.ts';

export { CatalogueError } from './catalogue-problem.ts';
export type { CatalogueProblem } from './catalogue-problem.ts';
export type { AuthMode, Provider, ProviderEntry, ProviderField } from './provider.ts';

export interface Catalogue {
    get(name: string): Provider | undefined;
    /** In file order: the built-in file first, an operator's replacement in the place of what it replaces. */
    list(): readonly Provider[];
}

export interface CatalogueOptions {
    /** Path of the built-in file. */
    builtin: string;
    /** Path of the operator's file (VALETKEY_PROVIDERS), laid over the built-in one entry by entry. */
    operator?: string | undefined;
    /** Which hosts an `http://` URL may name. `hostname` is lower-case; an IPv6 address comes without brackets. */
    isPlainHttpAllowed: (hostname: string) => boolean;
    /**
     * Whether the built-in file is known to fit the schema: the release's own tests have checked it, and compiling the validator
     * is a good part of a start. All other rules are applied to it all the same.
     */
    isBuiltinChecked?: boolean;
}

/**
 * Reads, checks, resolves, compiles and freezes the whole catalogue.
 * @throws CatalogueError when anything is wrong; no entry is ever skipped.
 */
export function loadCatalogue(options: CatalogueOptions): Catalogue {
    const written = new Map<string, WrittenEntry>();
    for (const file of [options.builtin, options.operator]) {
        if (file === undefined) continue;
        for (const [slug, entry] of readCatalogueFile(file)) {
            written.set(slug, { file, isBuiltin: file === options.builtin, entry: entry as RawEntry });
        }
    }
    const fileOf = (slug: string): string => written.get(slug)?.file ?? options.builtin;
    const hasKnownShape = (slug: string): boolean => options.isBuiltinChecked === true && written.get(slug)?.isBuiltin === true;
    reject([...written].flatMap(([slug, { file, entry }]) => (hasKnownShape(slug) ? [] : writtenProblems(file, slug, entry))));

    const { entries, problems } = resolveAliases(written, hasKnownShape);
    reject(problems);

    const isPlainHttpAllowed = options.isPlainHttpAllowed;
    const linted = [...entries].map(([name, entry]) => ({ name, entry }));
    reject(lintErrors(linted, { isPlainHttpAllowed }).map((error) => ({ ...error, file: fileOf(error.slug) })));

    const providers = new Map<string, Provider>();
    for (const [name, entry] of entries) {
        const isBuiltin = written.get(name)?.isBuiltin === true;
        providers.set(name, deepFreeze(compileProvider(name, entry, { isBuiltin, isPlainHttpAllowed })));
    }
    const list = Object.freeze([...providers.values()]);
    return { get: (name) => providers.get(name), list: () => list };
}

type RawEntry = Readonly<Record<string, unknown>>;

interface WrittenEntry {
    readonly file: string;
    readonly isBuiltin: boolean;
    readonly entry: RawEntry;
}

const retiredModes: Readonly<Record<string, string>> = {
    APP_STORE: 'use the mode JWT; APP_STORE is retired',
    TABLEAU: 'use the mode TWO_STEP; TABLEAU is retired',
};

function reject(problems: readonly CatalogueProblem[]): void {
    if (problems.length > 0) throw new CatalogueError(problems);
}

function writtenProblems(file: string, slug: string, entry: unknown): CatalogueProblem[] {
    const problem = (rule: string, path: string, message: string): CatalogueProblem[] => [{ rule, file, slug, path, message }];
    if (!isSlug(slug)) return problem('E02', '', 'name the entry with up to 64 lower-case letters, digits and dashes');
    const mode = (entry as { auth_mode?: unknown } | null)?.auth_mode;
    if (typeof mode === 'string' && Object.hasOwn(retiredModes, mode)) return problem('E04', 'auth_mode', retiredModes[mode] ?? '');
    const fault = writtenFault(entry);
    return fault ? problem('E01', fault.path, fault.message) : [];
}

/** Expands aliases in any order and depth (catalogue contract 3). Own keys replace inherited ones whole, at the top level. */
function resolveAliases(
    written: ReadonlyMap<string, WrittenEntry>,
    hasKnownShape: (slug: string) => boolean,
): {
    entries: ReadonlyMap<string, ProviderEntry>;
    problems: readonly CatalogueProblem[];
} {
    const resolved = new Map<string, RawEntry | undefined>();
    const problems: CatalogueProblem[] = [];

    const resolve = (slug: string, path: readonly string[]): RawEntry | undefined => {
        if (resolved.has(slug)) return resolved.get(slug);
        const source = written.get(slug);
        if (!source) return undefined;
        const { alias, ...own } = source.entry;
        const complain = (rule: string, place: string, message: string): undefined => {
            problems.push({ rule, file: source.file, slug, path: place, message });
        };
        let entry: RawEntry | undefined = withoutNotes(own);
        if (typeof alias === 'string') {
            if (!written.has(alias)) {
                entry = complain('E03', 'alias', `name an entry that exists; there is no "${alias}"`);
            } else if (path.includes(alias) || alias === slug) {
                entry = complain('E03', 'alias', `break the cycle ${[...path, slug, alias].join(' → ')}`);
            } else {
                const target = resolve(alias, [...path, slug]);
                entry = target && { ...target, ...entry };
                const fault = entry && !hasKnownShape(slug) ? resolvedFault(entry) : undefined;
                if (fault) entry = complain('E04', fault.path, fault.message);
            }
        }
        resolved.set(slug, entry);
        return entry;
    };

    const entries = new Map<string, ProviderEntry>();
    for (const slug of written.keys()) {
        const entry = resolve(slug, []);
        if (entry) entries.set(slug, entry as unknown as ProviderEntry);
    }
    return { entries, problems };
}

const fieldMaps: ReadonlySet<string> = new Set(['connection_config', 'credentials', 'integration_config', 'assertion_option']);

/** Drops the `x-` annotations, which the schema allows on entries and on fields. */
function withoutNotes(entry: RawEntry): RawEntry {
    const drop = (members: RawEntry): RawEntry => Object.fromEntries(Object.entries(members).filter(([key]) => !key.startsWith('x-')));
    return Object.fromEntries(
        Object.entries(drop(entry)).map(([key, value]) => {
            if (!fieldMaps.has(key)) return [key, value];
            return [key, Object.fromEntries(Object.entries(value as Record<string, RawEntry>).map(([name, field]) => [name, drop(field)]))];
        }),
    );
}

function deepFreeze<T>(value: T): T {
    if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
        Object.freeze(value);
        Object.values(value).forEach(deepFreeze);
    }
    return value;
}
