/**
 * Statements that run so often that Postgres would spend more on reading and planning them than on their rows: sent under a name,
 * each is read and planned once per database connection. Embedded mode takes no names.
 */
import type { RawBuilder } from 'kysely';
import type { Db } from './database.ts';

const names = new Map<string, string>();
const texts = new Map<string, string>();

/** For SQL whose text is the same each time: all that varies is a parameter, and no `*` depends on what a later migration adds. */
export async function executePrepared<Row>(db: Db, name: string, query: RawBuilder<Row>): Promise<Row[]> {
    const compiled = query.compile(db);
    const known = texts.get(name);
    if (known === undefined) {
        texts.set(name, compiled.sql);
        names.set(compiled.sql, name);
    } else if (known !== compiled.sql) {
        throw new Error(`the statement "${name}" has more than one text`);
    }
    const { rows } = await db.executeQuery(compiled);
    return rows;
}

/** `undefined`: it has none. */
export const statementName = (text: string): string | undefined => names.get(text);
