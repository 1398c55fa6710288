/**
 * Logos of the providers whose brand the icon collection has (simple-icons, CC0), compiled at installation so that neither the
 * collection nor its thousands of files are needed to serve them.
 *
 * `brands.json` says which provider has which icon; each line was looked at. Nothing is guessed from names: there is a fediverse
 * server called Firefish and a recruiting software called Firefish, and a wrong logo is worse than none.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { z } from 'zod';

export interface Logo {
    /** The brand's colour, `rrggbb`. */
    hex: string;
    /** Of an SVG path in a square of 24. */
    path: string;
}

/** By provider. */
export type Logos = ReadonlyMap<string, Logo>;

const compiled = join(import.meta.dirname, '../../../dist/logos.json');
const brandsFile = join(import.meta.dirname, 'brands.json');
const Brands = z.record(z.string(), z.array(z.string()));
const Icons = z.array(z.object({ slug: z.string(), hex: z.string().regex(/^[0-9A-F]{6}$/), license: z.object({ type: z.string() }).optional() }));
const Compiled = z.record(z.string(), z.strictObject({ hex: z.string(), path: z.string() }));

/** Where the collection names a licence of the icon itself, it has to be one that asks for nothing that a page with many logos cannot do. */
const permissive = new Set(['CC0-1.0', 'Unlicense', 'MIT', 'Apache-2.0', 'BSD-3-Clause', 'MPL-2.0']);

/** What was compiled, or is now; none where the collection is not installed either. */
export const readLogos = (compiledFile = compiled): Logos => readCompiled(compiledFile) ?? compileLogos(compiledFile) ?? new Map();

/** @returns `undefined` where the collection is not installed. @throws Error for a brand that it does not have, or that may not be shown */
export function compileLogos(compiledFile = compiled): Logos | undefined {
    const collection = findCollection();
    if (collection === undefined) {
        return undefined;
    }
    const icons = new Map(Icons.parse(JSON.parse(readFileSync(collection.data, 'utf8'))).map((icon) => [icon.slug, icon]));
    const logos = new Map<string, Logo>();
    for (const [slug, providers] of Object.entries(Brands.parse(JSON.parse(readFileSync(brandsFile, 'utf8'))))) {
        const icon = icons.get(slug);
        const [, path] = /<path d="([MmLlHhVvCcSsQqTtAaZz0-9 ,.-]+)"\/>/.exec(readFileSync(join(collection.icons, `${slug}.svg`), 'utf8')) ?? [];
        if (icon === undefined || path === undefined || (icon.license !== undefined && !permissive.has(icon.license.type))) {
            throw new Error(`brands.json: the icon "${slug}" cannot be used`);
        }
        providers.forEach((provider) => logos.set(provider, { hex: icon.hex, path }));
    }
    write(compiledFile, JSON.stringify(Object.fromEntries(logos)));
    return logos;
}

function findCollection(): { data: string; icons: string } | undefined {
    try {
        const data = createRequire(import.meta.url).resolve('simple-icons/icons.json');
        return { data, icons: join(dirname(data), '../icons') };
    } catch {
        return undefined;
    }
}

function readCompiled(file: string): Logos | undefined {
    try {
        return new Map(Object.entries(Compiled.parse(JSON.parse(readFileSync(file, 'utf8')))));
    } catch {
        return undefined; // Missing, or cut short: made anew.
    }
}

/** Whole or not at all. A directory that cannot be written to costs the next start some time, and nothing else. */
function write(file: string, text: string): void {
    const unfinished = `${file}.${process.pid}`;
    try {
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(unfinished, text);
        renameSync(unfinished, file);
    } catch {
        return;
    }
}
