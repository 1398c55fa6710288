/** Reads one catalogue file, YAML 1.2 or JSON, as a map from slug to whatever was written there. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { CatalogueError } from './catalogue-problem.ts';

/** @throws CatalogueError when the file cannot be read, or is no map. */
export function readCatalogueFile(file: string): ReadonlyMap<string, unknown> {
    const content = parse(file, read(file));
    if (typeof content !== 'object' || content === null || Array.isArray(content)) {
        throw failure(file, 'write a map from provider name to entry');
    }
    return new Map(Object.entries(content));
}

function read(file: string): string {
    try {
        return readFileSync(file, 'utf8');
    } catch (error) {
        throw failure(file, `make the file readable (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`);
    }
}

function parse(file: string, text: string): unknown {
    if (file.endsWith('.json')) {
        try {
            return JSON.parse(text);
        } catch (error) {
            throw failure(file, `correct the JSON: ${(error as Error).message}`);
        }
    }
    // Loaded when there is YAML to read: the built-in file is read in its compiled form.
    const { parseDocument } = createRequire(import.meta.url)('yaml') as typeof import('yaml');
    const document = parseDocument(text, { version: '1.2', stringKeys: true });
    const [error] = document.errors;
    if (error) throw failure(file, `correct the YAML: ${error.message.split('\n')[0]?.replace(/:$/, '')}`);
    return document.toJS();
}

function failure(file: string, message: string): CatalogueError {
    return new CatalogueError([{ rule: 'E01', file, slug: '', path: '', message }]);
}
