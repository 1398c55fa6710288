/** Every rule that decides whether a catalogue can be used, applied to some or all of its entries. */
import type { RawEntry, Resolution } from './aliases.ts';
import { CatalogueError } from './catalogue-problem.ts';
import type { CatalogueProblem } from './catalogue-problem.ts';
import { isSlug, resolvedFault, writtenFault } from './entry-schema.ts';
import { lintErrors } from './lint.ts';

export interface CheckOptions {
    /** For messages. */
    readonly fileOf: (slug: string) => string;
    /** Entries that are known to be good are not judged again. */
    readonly isKnownGood: (slug: string) => boolean;
    readonly isPlainHttpAllowed: (hostname: string) => boolean;
}

/** Before aliases are expanded. @throws CatalogueError */
export function checkWritten(written: ReadonlyMap<string, RawEntry>, options: CheckOptions): void {
    reject([...written].flatMap(([slug, entry]) => (options.isKnownGood(slug) ? [] : writtenProblems(options.fileOf(slug), slug, entry))));
}

/** Afterwards. @throws CatalogueError */
export function checkResolved(written: ReadonlyMap<string, RawEntry>, { entries, problems }: Resolution, options: CheckOptions): void {
    const { fileOf, isKnownGood, isPlainHttpAllowed } = options;
    const judged = [...entries].filter(([slug]) => !isKnownGood(slug));
    const aliasProblems = judged.flatMap(([slug, entry]) => {
        // An entry that is no alias was judged as it was written.
        const fault = written.get(slug)?.['alias'] === undefined ? undefined : resolvedFault(entry);
        return fault ? [{ rule: 'E04', slug, path: fault.path, message: fault.message }] : [];
    });
    reject([...problems, ...aliasProblems].map((problem) => ({ ...problem, file: fileOf(problem.slug) })));
    const targets = judged.map(([name, entry]) => ({ name, entry }));
    reject(lintErrors(targets, { isPlainHttpAllowed }).map((error) => ({ ...error, file: fileOf(error.slug) })));
}

const retiredModes: Readonly<Record<string, string>> = {
    APP_STORE: 'use the mode JWT; APP_STORE is retired',
    TABLEAU: 'use the mode TWO_STEP; TABLEAU is retired',
};

function writtenProblems(file: string, slug: string, entry: unknown): CatalogueProblem[] {
    const problem = (rule: string, path: string, message: string): CatalogueProblem[] => [{ rule, file, slug, path, message }];
    if (!isSlug(slug)) return problem('E02', '', 'name the entry with up to 64 lower-case letters, digits and dashes');
    const mode = (entry as { auth_mode?: unknown } | null)?.auth_mode;
    if (typeof mode === 'string' && Object.hasOwn(retiredModes, mode)) return problem('E04', 'auth_mode', retiredModes[mode] ?? '');
    const fault = writtenFault(entry);
    return fault ? problem('E01', fault.path, fault.message) : [];
}

function reject(problems: readonly CatalogueProblem[]): void {
    if (problems.length > 0) throw new CatalogueError(problems);
}
