/** The house rules of `src/` that a compiler cannot see. `.oxlintrc.json` says the same to an editor; this is what holds. */
import { globSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

/** From the top. A file imports from its own room and from those below it. */
const rooms = [
    'prove',
    'http',
    'connect',
    'auth-modes',
    'providers',
    'environments',
    'credentials',
    'webhooks',
    'proxy',
    'egress',
    'store',
    'simulator',
    'ui',
];
/** What every room may import, wherever it stands. */
const everybodys = ['egress', 'store', 'config.ts', 'periodic-task.ts', 'sources.ts', 'version.ts'];
/** Pages that run in a browser. */
const browserRoom = 'ui';

interface Import {
    from: string;
    /** As it is written. */
    specifier: string;
    /** Whether it is gone at run time. */
    isTypeOnly: boolean;
}

const root = join(import.meta.dirname, '..');
const sources = globSync('src/**/*.{ts,tsx}', { cwd: root }).map((path) => ({
    path: path.replaceAll('\\', '/'),
    text: withoutComments(readFileSync(join(root, path), 'utf8')),
}));
const imports = sources.flatMap(({ path, text }) => importsOf(path, text));

/** Prose may name what code may not. */
function withoutComments(text: string): string {
    return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}

function importsOf(from: string, text: string): Import[] {
    const statement = /^(?:import|export)\s(type\s)?[^'";]*?\bfrom\s*(['"])(.+?)\2/gm;
    const sideEffect = /^import\s*(['"])(.+?)\1/gm;
    const call = /(typeof\s+)?\b(?:import|require)\(\s*(['"`])(.+?)\2/gm;
    return [
        ...[...text.matchAll(statement)].map(([, type, , specifier]) => ({ from, specifier: specifier!, isTypeOnly: type !== undefined })),
        ...[...text.matchAll(sideEffect)].map(([, , specifier]) => ({ from, specifier: specifier!, isTypeOnly: false })),
        ...[...text.matchAll(call)].map(([, type, , specifier]) => ({ from, specifier: specifier!, isTypeOnly: type !== undefined })),
    ];
}

/** The room of a path, or its name for a file directly in `src/`; `undefined` outside of it. */
const placeOf = (path: string): string | undefined => (path.startsWith('src/') ? path.split('/')[1] : undefined);

const isRelative = ({ specifier }: Import): boolean => specifier.startsWith('.');

const targetOf = ({ from, specifier }: Import): string => relative(root, resolve(root, from, '..', specifier)).replaceAll('\\', '/');

const shown = (found: Import[]): string[] => found.map(({ from, specifier }) => `${from} imports ${specifier}`);

function isAllowed(from: string, to: string | undefined): boolean {
    const [above, below] = [rooms.indexOf(from), to === undefined ? -1 : rooms.indexOf(to)];
    const isFileInSrc = above === -1;
    return isFileInSrc || (to !== undefined && everybodys.includes(to)) || (below !== -1 && below >= above);
}

describe('how the imports are found', () => {
    test.each([
        [`import { a } from '../x.ts';`, '../x.ts', false],
        [`import {\n    a,\n    type B,\n} from '../x.ts';`, '../x.ts', false],
        [`import type { A } from "../x.ts";`, '../x.ts', true],
        [`import a from '../x.ts';`, '../x.ts', false],
        [`import * as x from '../x.ts';`, '../x.ts', false],
        [`import '../x.ts';`, '../x.ts', false],
        [`export * from '../x.ts';`, '../x.ts', false],
        [`export type { A } from '../x.ts';`, '../x.ts', true],
        [`const x = await import('../x.ts');`, '../x.ts', false],
        [`let x: typeof import('../x.ts');`, '../x.ts', true],
    ])('%j', (text, specifier, isTypeOnly) => {
        expect(importsOf('src/a/b.ts', `const before = 'from';\n${text}\nexport const after = 1;\n`)).toEqual([
            { from: 'src/a/b.ts', specifier, isTypeOnly },
        ]);
    });

    test('every file of src/ is looked at, and most import something', () => {
        expect(sources.map(({ path }) => path)).toContain('src/http/endpoints/connections/read-connection.ts');
        expect(new Set(imports.map(({ from }) => from)).size).toBeGreaterThan(sources.length * 0.8);
    });
});

describe('imports', () => {
    test('point downwards: room by room, or to what every room may use', () => {
        const upwards = imports.filter((found) => isRelative(found) && !isAllowed(placeOf(found.from)!, placeOf(targetOf(found))));
        expect(shown(upwards)).toEqual([]);
    });

    test('the order covers every folder', () => {
        const folders = new Set(
            sources
                .map(({ path }) => path.split('/'))
                .filter((parts) => parts.length > 2)
                .map((parts) => parts[1]),
        );
        expect([...folders].filter((folder) => !rooms.includes(folder!))).toEqual([]);
    });

    test('the API surface is known to the wiring alone', () => {
        const importers = imports.filter((found) => placeOf(targetOf(found)) === 'http').map(({ from }) => from);
        expect([...new Set(importers.filter((from) => placeOf(from) !== 'http'))]).toEqual(['src/app.ts']);
    });

    test('of packages are of those that a production install has', () => {
        const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: Record<string, string> };
        const isInstalled = ({ specifier }: Import): boolean => {
            const [scopeOrName, name] = specifier.split('/');
            return (scopeOrName!.startsWith('@') ? `${scopeOrName}/${name}` : scopeOrName!) in dependencies;
        };
        expect(shown(imports.filter((found) => !isRelative(found) && !isBuiltin(found.specifier) && !isInstalled(found)))).toEqual([]);
    });

    test('reach the network in egress alone', () => {
        const clients = /^(?:node:)?(?:undici|https?|http2|net|tls|dgram)$/;
        const reaching = imports.filter((found) => clients.test(found.specifier) && !found.isTypeOnly && placeOf(found.from) !== 'egress');
        // Listens on the port for a moment to learn whether it is free.
        expect(shown(reaching)).toEqual(['src/port.ts imports node:net']);
    });
});

describe('globals', () => {
    const mentioning = (pattern: RegExp): string[] => sources.filter(({ text }) => pattern.test(text)).map(({ path }) => path);

    test('the environment is read by the configuration alone', () => {
        const readers = mentioning(/\bprocess\s*(?:\?\.|\.|\[\s*['"])\s*env\b|\{[^}]*\benv\b[^}]*\}\s*=\s*process\b|['"](?:node:)?process['"]/);
        expect(readers).toEqual(['src/config.ts']);
    });

    test('fetch is for browsers', () => {
        const callers = mentioning(/(?<![.\w#])fetch\s*\(|\bglobalThis\s*\.\s*fetch\b/);
        expect(callers.filter((path) => placeOf(path) !== browserRoom)).toEqual([]);
    });
});
