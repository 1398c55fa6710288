/**
 * Names under which Postgres keeps statements, where whatever stands between it and us does.
 *
 * A pooler in transaction mode gives each transaction another session. One that does not track prepared statements (PgBouncer before
 * 1.21, or without `max_prepared_statements`) says so by the errors below; from the first on, this process sends no names, at the price
 * of planning each statement again. Nothing was carried out when they come, so that the statement is sent once more.
 */
import { hash } from 'node:crypto';

/** `invalid_sql_statement_name`: prepared in another session. `duplicate_prepared_statement`: by another client of this one. */
const notKept = new Set(['26000', '42P05']);

export class StatementNames {
    readonly #names = new Map<string, string>();
    #areKept = true;

    /**
     * With its text in it: another version of Valetkey may have used the name in the same session.
     * @returns `undefined`: it is to be sent without one
     */
    of(name: string, text: string): string | undefined {
        if (!this.#areKept) {
            return undefined;
        }
        let full = this.#names.get(text);
        if (full === undefined) {
            full = `${name} ${hash('sha1', text).slice(0, 12)}`;
            this.#names.set(text, full);
        }
        return full;
    }

    /** @returns whether a statement that was sent under a name failed for its name, and is to be sent once more, without */
    isRefused(error: unknown): boolean {
        if (!notKept.has((error as { code?: string }).code ?? '')) {
            return false;
        }
        this.#areKept = false;
        return true;
    }
}
