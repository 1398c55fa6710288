/** Variables of an environment: names and sealed values. */
import { sql } from 'kysely';
import type { Db } from './database.ts';
import type { EnvironmentVariableRow, NewEnvironmentVariable } from './schema.ts';

/** By name, whatever the database's language. */
export const list = (db: Db, environmentId: string): Promise<EnvironmentVariableRow[]> =>
    db
        .selectFrom('environment_variables')
        .selectAll()
        .where('environment_id', '=', environmentId)
        .orderBy(sql`name collate "C"`)
        .execute();

/** In a transaction that locked the environment. */
export async function replaceAll(db: Db, environmentId: string, rows: readonly NewEnvironmentVariable[]): Promise<void> {
    await db.deleteFrom('environment_variables').where('environment_id', '=', environmentId).execute();
    await add(db, rows);
}

/** Those that exist get the new value, in a row of their own: a value is sealed to its row. */
export async function put(db: Db, environmentId: string, rows: readonly NewEnvironmentVariable[]): Promise<void> {
    if (rows.length > 0) {
        const names = rows.map(({ name }) => name);
        await db.deleteFrom('environment_variables').where('environment_id', '=', environmentId).where('name', 'in', names).execute();
        await add(db, rows);
    }
}

async function add(db: Db, rows: readonly NewEnvironmentVariable[]): Promise<void> {
    if (rows.length > 0) {
        await db
            .insertInto('environment_variables')
            .values([...rows])
            .execute();
    }
}
