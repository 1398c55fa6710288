/**
 * Many rows as the arguments of one statement: an array for each column. Postgres reads that at two thirds of what the same rows
 * cost as JSON, and this process writes it at half.
 */
import { sql, type RawBuilder } from 'kysely';

/** The Postgres type of each column. Times go as milliseconds since the epoch. */
export type ColumnTypes<Row> = { readonly [Column in keyof Row]-?: 'uuid' | 'text' | 'bigint' | 'timestamptz' | 'jsonb' };

export type RowArrays<Row> = { readonly [Column in keyof Row]: readonly (string | number | null)[] };

/** For `from …`: a relation of this name with these columns. */
export function rowsFrom<Row>(
    name: string,
    types: ColumnTypes<Row>,
    slots: { readonly [Column in keyof Row]-?: RawBuilder<unknown> },
): RawBuilder<unknown> {
    const columns = Object.keys(types) as (keyof Row & string)[];
    const arrays = columns.map((column) => sql`${slots[column]}::${sql.raw(types[column] === 'timestamptz' ? 'bigint' : types[column])}[]`);
    const values = columns.map((column) =>
        types[column] === 'timestamptz'
            ? sql`timestamptz 'epoch' + ${sql.ref(column)} * interval '1 millisecond' as ${sql.ref(column)}`
            : sql.ref(column),
    );
    return sql`(select ${sql.join(values)} from unnest(${sql.join(arrays)}) as given (${sql.join(columns.map((column) => sql.ref(column)))})) as ${sql.ref(name)}`;
}

export function arraysOf<Row extends object>(types: ColumnTypes<Row>, rows: readonly Row[]): RowArrays<Row> {
    const arrays: Partial<Record<keyof Row, (string | number | null)[]>> = {};
    for (const column of Object.keys(types) as (keyof Row)[]) {
        arrays[column] = rows.map((row) => plain(row[column]));
    }
    return arrays as RowArrays<Row>;
}

const plain = (value: unknown): string | number | null =>
    (value instanceof Date ? value.getTime() : (value as string | number | null | undefined)) ?? null;
