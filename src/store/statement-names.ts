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

    /** @param send gets the name, or `undefined` to send without one */
    async under<Answer>(name: string, text: string, send: (name: string | undefined) => Promise<Answer>): Promise<Answer> {
        if (!this.#areKept) {
            return send(undefined);
        }
        try {
            return await send(this.#of(name, text));
        } catch (error) {
            if (!notKept.has((error as { code?: string }).code ?? '')) {
                throw error;
            }
            this.#areKept = false;
            return send(undefined);
        }
    }

    /** With its text in it: another version of Valetkey may have used the name in the same session. */
    #of(name: string, text: string): string {
        let full = this.#names.get(text);
        if (full === undefined) {
            full = `${name} ${hash('sha1', text).slice(0, 12)}`;
            this.#names.set(text, full);
        }
        return full;
    }
}
