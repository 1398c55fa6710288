/** Expands aliases (catalogue contract 3), in any file order and depth, and drops the notes that are for readers of the file alone. */
import type { CatalogueProblem } from './catalogue-problem.ts';
import { hasEffect } from './effective-keys.ts';
import type { AuthMode, ProviderEntry } from './provider.ts';

/** An entry as its author wrote it. */
export type RawEntry = Readonly<Record<string, unknown>>;

export interface Resolution {
    readonly entries: ReadonlyMap<string, ProviderEntry>;
    readonly problems: readonly Omit<CatalogueProblem, 'file'>[];
}

/** Own keys replace inherited ones whole, at the top level. Entries that cannot be resolved are left out, and have a problem. */
export function resolveAliases(written: ReadonlyMap<string, RawEntry>): Resolution {
    const resolved = new Map<string, RawEntry | undefined>();
    const problems: Omit<CatalogueProblem, 'file'>[] = [];

    const resolve = (slug: string, path: readonly string[]): RawEntry | undefined => {
        if (resolved.has(slug)) return resolved.get(slug);
        const source = written.get(slug);
        if (!source) return undefined;
        const { alias, ...own } = source;
        const complain = (message: string): undefined => {
            problems.push({ rule: 'E03', slug, path: 'alias', message });
        };
        let entry: RawEntry | undefined = withoutNotes(own);
        if (typeof alias === 'string') {
            if (!written.has(alias)) {
                entry = complain(`name an entry that exists; there is no "${alias}"`);
            } else if (path.includes(alias) || alias === slug) {
                entry = complain(`break the cycle ${[...path, slug, alias].join(' → ')}`);
            } else {
                const target = resolve(alias, [...path, slug]);
                entry = target && { ...inherited(target, entry['auth_mode']), ...entry };
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

/** Whether the entry, or one it inherits from, is among `slugs`. */
export function restsOn(slug: string, slugs: ReadonlySet<string>, written: ReadonlyMap<string, RawEntry>): boolean {
    const seen = new Set<string>();
    for (let at: unknown = slug; typeof at === 'string' && !seen.has(at); at = written.get(at)?.['alias']) {
        if (slugs.has(at)) return true;
        seen.add(at);
    }
    return false;
}

/** What the target says about another mode is not inherited: `netsuite-tba` has no use for the OAuth 2 addresses of `netsuite`. */
function inherited(target: RawEntry, mode: unknown): RawEntry {
    if (typeof mode !== 'string' || mode === target['auth_mode']) return target;
    return Object.fromEntries(Object.entries(target).filter(([key]) => hasEffect(key, mode as AuthMode)));
}

const fieldMaps: ReadonlySet<string> = new Set(['connection_config', 'credentials', 'integration_config', 'assertion_option']);

/** Drops the `x-` annotations, which the schema allows on entries and on fields. */
export function withoutNotes(entry: RawEntry): RawEntry {
    const cleaned = Object.entries(dropNotes(entry)).map(([key, value]) => {
        if (!fieldMaps.has(key)) return [key, value] as const;
        return [key, mapChanged(value as Record<string, RawEntry>, dropNotes)] as const;
    });
    return cleaned.every(([key, value]) => entry[key] === value) && cleaned.length === Object.keys(entry).length
        ? entry
        : Object.fromEntries(cleaned);
}

/** Most entries have none, and are not copied for that. */
function dropNotes(members: RawEntry): RawEntry {
    if (!Object.keys(members).some(isNote)) return members;
    return Object.fromEntries(Object.entries(members).filter(([key]) => !isNote(key)));
}

function mapChanged(fields: Readonly<Record<string, RawEntry>>, change: (field: RawEntry) => RawEntry): Readonly<Record<string, RawEntry>> {
    const changed = Object.entries(fields).map(([name, field]) => [name, change(field)] as const);
    return changed.every(([name, field]) => fields[name] === field) ? fields : Object.fromEntries(changed);
}

const isNote = (key: string): boolean => key.startsWith('x-');
