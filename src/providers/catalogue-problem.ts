/** What can be wrong with a catalogue file, and how it is told to a person. */

export interface CatalogueProblem {
    /** Id of the broken rule: E01–E12 and W01–W12 of the catalogue contract, or a requirement row (N1, R7, A8). */
    readonly rule: string;
    /** Path of the catalogue file. Empty when entries were linted without one. */
    readonly file: string;
    /** Empty when the file as a whole is at fault. */
    readonly slug: string;
    /** Dotted path inside the entry; empty when the entry as a whole is at fault. */
    readonly path: string;
    /** What to change, as a phrase. Never holds a credential: catalogues have none. */
    readonly message: string;
}

/** The catalogue cannot be used, so the server does not start. */
export class CatalogueError extends Error {
    override readonly name = 'CatalogueError';
    readonly code = 'invalid_catalogue';
    readonly problems: readonly CatalogueProblem[];

    constructor(problems: readonly CatalogueProblem[]) {
        super(summary(problems));
        this.problems = problems;
    }
}

/** `file, entry "slug", path: message [rule]`, without the parts that are empty. */
export function describeProblem({ rule, file, slug, path, message }: CatalogueProblem): string {
    const place = [file, slug && `entry "${slug}"`, path].filter((part) => part !== '').join(', ');
    return `${place}: ${message} [${rule}]`;
}

function summary(problems: readonly CatalogueProblem[]): string {
    const [first, ...others] = problems;
    if (!first) return 'The provider catalogue cannot be used.';
    return describeProblem(first) + (others.length > 0 ? ` (and ${others.length} more)` : '');
}
