/**
 * The built-in catalogue in its compiled form. Parsing and judging its YAML takes seconds on a small machine, reading the result
 * back some milliseconds; so it is done after an installation, and again by the first start that finds the result missing or stale.
 * The result carries a hash of everything it follows from, so a start that reads it knows that every rule was applied.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { resolveAliases, withoutNotes } from './aliases.ts';
import type { RawEntry } from './aliases.ts';
import { CatalogueError } from './catalogue-problem.ts';
import { readCatalogueFile } from './catalogue-file.ts';
import { checkResolved, checkWritten } from './check-entries.ts';

/** The entries of the built-in file as they are written, all of them good. @throws CatalogueError when one is not. */
export function readBuiltin(file: string, compiledFile: string): ReadonlyMap<string, RawEntry> {
    const key = fingerprint(file);
    return readCompiled(compiledFile, key) ?? compileBuiltin(file, compiledFile, key);
}

/** @throws CatalogueError when an entry breaks a rule. */
export function compileBuiltin(file: string, compiledFile: string, key = fingerprint(file)): ReadonlyMap<string, RawEntry> {
    const written = readCatalogueFile(file) as ReadonlyMap<string, RawEntry>;
    const options = { fileOf: () => file, isKnownGood: () => false, isPlainHttpAllowed: () => false };
    checkWritten(written, options);
    requireReasons(file, written);
    checkResolved(written, resolveAliases(written), options);
    const entries = [...written].map(([slug, entry]) => [slug, withoutNotes(entry)] as const);
    write(compiledFile, `${key}\n${JSON.stringify(entries)}`);
    return new Map(entries);
}

/** S4: whoever switches PKCE off says why, beside the switch. */
function requireReasons(file: string, written: ReadonlyMap<string, RawEntry>): void {
    const silent = [...written].filter(([, entry]) => entry['disable_pkce'] === true && !isReason(entry['x-disable-pkce']));
    const message = 'say in "x-disable-pkce" why PKCE is switched off';
    if (silent.length > 0) throw new CatalogueError(silent.map(([slug]) => ({ rule: 'S4', file, slug, path: 'disable_pkce', message })));
}

const isReason = (note: unknown): boolean => typeof note === 'string' && note.trim() !== '';

function readCompiled(compiledFile: string, key: string): ReadonlyMap<string, RawEntry> | undefined {
    try {
        const text = readFileSync(compiledFile, 'utf8');
        const end = text.indexOf('\n');
        return text.slice(0, end) === key ? new Map(JSON.parse(text.slice(end + 1)) as [string, RawEntry][]) : undefined;
    } catch {
        return undefined; // Missing, or cut short: made anew.
    }
}

/** A directory that cannot be written to costs the next start some time, and nothing else. */
function write(compiledFile: string, text: string): void {
    const unfinished = `${compiledFile}.${process.pid}`;
    try {
        mkdirSync(dirname(compiledFile), { recursive: true });
        writeFileSync(unfinished, text);
        // Whole or not at all, whoever else is starting.
        renameSync(unfinished, compiledFile);
    } catch {
        return;
    }
}

const rules = import.meta.dirname;
/** Names the versions of the parser and the validator. */
const manifest = join(rules, '../../package.json');

/** Over the file and everything that judges it: the rules are this folder. */
function fingerprint(file: string): string {
    const hash = createHash('sha256');
    const sources = readdirSync(rules, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name));
    for (const path of [file, manifest, ...sources.toSorted()]) {
        hash.update(createHash('sha256').update(contentOf(path)).digest());
    }
    return hash.digest('base64url');
}

/** What cannot be read is reported by whoever needs it. */
function contentOf(path: string): Buffer {
    try {
        return readFileSync(path);
    } catch {
        return Buffer.alloc(0);
    }
}
