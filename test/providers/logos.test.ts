/** Which provider has which logo, and how it is drawn: `src/providers/logos`. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { builtinCatalogue } from '../../src/app.ts';
import { loadCatalogue } from '../../src/providers/catalogue.ts';
import brands from '../../src/providers/logos/brands.json' with { type: 'json' };
import { compileLogos, readLogos, type Logos } from '../../src/providers/logos/logos.ts';
import { contrast, logoTile, monogramTile } from '../../src/providers/logos/tile.ts';

const catalogue = loadCatalogue({ ...builtinCatalogue, operator: undefined, isPlainHttpAllowed: () => false });
let directory: string;
let file: string;
let logos: Logos;

beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'valetkey-logos-'));
    file = join(directory, 'dist/logos.json');
    logos = compileLogos(file)!;
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test('brands are listed for providers that there are, each once', () => {
    const listed = Object.values(brands).flat();
    expect(listed.filter((name) => catalogue.get(name) === undefined)).toEqual([]);
    expect(new Set(listed).size).toBe(listed.length);
    expect([...logos.keys()].toSorted()).toEqual(listed.toSorted());
});

test('what was compiled is read back; what is missing or broken is made again', async () => {
    const text = await readFile(file, 'utf8');
    expect(readLogos(file)).toEqual(logos);
    await writeFile(file, text.slice(0, 1000));
    expect(readLogos(file)).toEqual(logos);
    expect(await readFile(file, 'utf8')).toBe(text);
});

test('other companies of the same name have no logo', () => {
    for (const name of ['firefish', 'fathom', 'aspire', 'circle-so', 'loop-returns', 'lucid-scim', 'roam-scim', 'sage-member', 'figjam']) {
        expect([name, catalogue.get(name)?.name, logos.get(name)]).toEqual([name, name, undefined]);
    }
});

/** Fill of the tile and of what is on it. */
const fills = (svg: string): string[] => [...svg.matchAll(/fill="#?([^"]+)"/g)].map(([, fill]) => fill!);

describe('a tile', () => {
    test('lets every logo stand out, on white where it can', () => {
        for (const logo of logos.values()) {
            const [tile, mark] = fills(logoTile(logo));
            expect(mark).toBe(logo.hex);
            expect([logo.hex, contrast(tile!, mark!) >= 3, tile === 'ffffff']).toEqual([logo.hex, true, contrast('ffffff', logo.hex) >= 3]);
        }
        expect(fills(logoTile({ hex: 'FFC700', path: 'M0 0' }))[0]).toBe('16181d');
    });

    test.each([
        ['Acme', 'A'],
        ['Acme Books', 'AB'],
        ['Acme (Sandbox)', 'A'],
        ['a<b & "c"', 'AB'],
        ['3CX', '3'],
        ['Élan vital', 'ÉV'],
        ['((', '?'],
    ])('of %j shows %s', (name, initials) => {
        const svg = monogramTile(name);
        expect(/>([^<]*)<\/text>/.exec(svg)?.[1]).toBe(initials);
    });

    test('of a variant looks like the provider’s, and others do not', () => {
        expect(monogramTile('Acme (OAuth)')).toBe(monogramTile('Acme'));
        expect(monogramTile('Acme')).not.toBe(monogramTile('Apex'));
    });
});
