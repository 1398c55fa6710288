/**
 * Statements that run so often that reading and planning them would cost more than their rows: compiled once here, sent under a
 * name, and so read once per database connection, and planned again only where Postgres expects to gain by it. Embedded mode takes
 * no names.
 */
import { CompiledQuery, sql, type RawBuilder } from 'kysely';
import type { Db } from './database.ts';

const names = new Map<string, string>();
const texts = new Map<string, string>();

/** Where an argument stands in a statement that is compiled before there are any. */
class Slot {
    readonly name: string;

    constructor(name: string) {
        this.name = name;
    }
}

type Slots<Arguments> = { readonly [Name in keyof Arguments]-?: RawBuilder<Arguments[Name]> };

/**
 * @param name no other statement has it
 * @param build is called once, with what stands for each argument. All that varies is an argument, and no `*` depends on what a
 *   later migration adds.
 */
export function prepare<Arguments extends object, Row>(
    name: string,
    build: (slots: Slots<Arguments>) => RawBuilder<Row>,
): (db: Db, values: Arguments) => Promise<Row[]> {
    let statement: { text: string; order: (keyof Arguments)[] } | undefined;
    const compile = (db: Db): NonNullable<typeof statement> => {
        const slots = new Proxy({} as Slots<Arguments>, { get: (_, slot: string) => sql.val(new Slot(slot)) });
        const { sql: text, parameters } = build(slots).compile(db);
        const order = parameters.map((parameter) => {
            if (!(parameter instanceof Slot)) {
                throw new Error(`the statement "${name}" holds a value that is not an argument`);
            }
            return parameter.name as keyof Arguments;
        });
        if ((names.get(text) ?? name) !== name || (texts.get(name) ?? text) !== text) {
            throw new Error(`the statement "${name}" has another name, or its name another statement`);
        }
        names.set(text, name);
        texts.set(name, text);
        return { text, order };
    };
    return async (db, values) => {
        statement ??= compile(db);
        const { rows } = await db.executeQuery<Row>(
            CompiledQuery.raw(
                statement.text,
                statement.order.map((slot) => values[slot]),
            ),
        );
        return rows;
    };
}

/** `undefined`: it has none. */
export const statementName = (text: string): string | undefined => names.get(text);
