/** Reads a provider catalogue by itself: a twin that saw it through Valetkey's loader would share the loader's mistakes. */
import { readFileSync } from 'node:fs';
import type { Entry } from './entry.ts';

type Written = Record<string, unknown> & { alias?: string };

/** Of several files a later one replaces entries of an earlier one. Aliases are expanded, chains and forward references too. */
export async function readCatalogue(files: readonly string[]): Promise<Map<string, Entry>> {
    const written = new Map<string, Written>();
    for (const file of files) {
        for (const [slug, entry] of Object.entries(await readFile(file))) {
            written.set(slug, entry);
        }
    }
    return new Map([...written.keys()].map((slug) => [slug, { ...expand(slug, written, []), slug } as unknown as Entry]));
}

async function readFile(file: string): Promise<Record<string, Written>> {
    const text = readFileSync(file, 'utf8');
    if (file.endsWith('.json')) {
        return JSON.parse(text) as Record<string, Written>;
    }
    const { parse } = await import('yaml');
    // `<<` joins a map into another one, where a file uses it.
    return parse(text, { merge: true }) as Record<string, Written>;
}

/** An alias starts as a copy of its target and lays its own keys over it, at the top level. */
function expand(slug: string, written: ReadonlyMap<string, Written>, behind: readonly string[]): Written {
    const own = written.get(slug);
    if (own === undefined || behind.includes(slug)) {
        throw new Error(`The catalogue's alias ${[...behind, slug].join(' → ')} leads nowhere.`);
    }
    return own.alias === undefined ? own : { ...expand(own.alias, written, [...behind, slug]), ...own };
}
