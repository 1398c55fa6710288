/** The Connect UI's page as `npm run prepare` built it: read once, served from memory, by name. */
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { z } from 'zod';
import { Cacheable } from '../cacheable.ts';

/** Of Vite's manifest, what a document has to know. */
const Manifest = z.record(
    z.string(),
    z.object({
        file: z.string(),
        isEntry: z.boolean().optional(),
        css: z.array(z.string()).default([]),
        imports: z.array(z.string()).default([]),
    }),
);

export interface PageBuild {
    /** Addresses relative to the page. */
    script: string;
    /** What the script will import: loaded beside it. */
    preloads: readonly string[];
    styles: readonly string[];
    /** By file name. */
    assets: ReadonlyMap<string, Cacheable>;
}

const mediaTypes: Readonly<Record<string, string>> = {
    '.js': 'text/javascript; charset=utf-8',
    '.css': 'text/css; charset=utf-8',
    '.svg': 'image/svg+xml; charset=utf-8',
    '.json': 'application/json; charset=utf-8',
    '.png': 'image/png',
    '.woff2': 'font/woff2',
};

/** @returns `undefined` where nothing was built */
export function readBuild(directory: string): PageBuild | undefined {
    const text = textOf(join(directory, 'manifest.json'));
    const manifest = text === undefined ? undefined : Manifest.parse(JSON.parse(text));
    const entry = Object.values(manifest ?? {}).find(({ isEntry }) => isEntry);
    if (manifest === undefined || entry === undefined) {
        return undefined;
    }
    const chunks = new Set([entry]);
    for (const { imports } of chunks) {
        imports.forEach((name) => manifest[name] && chunks.add(manifest[name]));
    }
    const assets = join(directory, 'assets');
    return {
        script: entry.file,
        preloads: [...chunks].filter((chunk) => chunk !== entry).map(({ file }) => file),
        styles: [...new Set([...chunks].flatMap(({ css }) => css))],
        assets: new Map(readdirSync(assets).map((name) => [name, assetOf(join(assets, name))])),
    };
}

function assetOf(path: string): Cacheable {
    const type = mediaTypes[extname(path)] ?? 'application/octet-stream';
    const isText = type.endsWith('utf-8');
    return new Cacheable(isText ? readFileSync(path, 'utf8') : readFileSync(path), type);
}

function textOf(path: string): string | undefined {
    try {
        return readFileSync(path, 'utf8');
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
    }
}
