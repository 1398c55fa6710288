import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CompiledQuery } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StartupError } from '../../src/config.ts';
import { openDatabase } from '../../src/store/database.ts';
import { migrate } from '../../src/store/migrate.ts';
import { sealedColumns, type SealedColumn } from '../../src/store/sealed-columns.ts';
import { createDatabase } from '../peers/postgres.ts';
import { dialects, tables, type TestStore } from './dialects.ts';
import { insertEnvironment } from './rows.ts';

describe.each(dialects)('migrations ($name)', ({ open }) => {
    let store: TestStore;
    beforeAll(async () => {
        store = await open();
    });
    afterAll(() => store.close());

    test('a second run applies nothing and keeps the rows', async () => {
        const { db } = store.database;
        const id = await insertEnvironment(db, 'kept');
        expect(await migrate(db)).toEqual([]);
        expect(await db.selectFrom('environments').select(['id', 'name']).execute()).toEqual([{ id, name: 'kept' }]);
    });

    test('makes exactly the tables that have a type', async () => {
        const { rows } = await store.database.db.executeQuery<{ table_name: string }>(
            CompiledQuery.raw(
                `select relname as table_name from pg_class
                 where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition and relname not like 'kysely%'`,
            ),
        );
        expect(rows.map((row) => row.table_name).toSorted()).toEqual(tables.toSorted());
    });

    test('lists every column that holds sealed values', async () => {
        const { rows } = await store.database.db.executeQuery<SealedColumn>(
            CompiledQuery.raw(
                `select table_name as "table", column_name as "column" from information_schema.columns
                 where table_schema = 'public' and column_name like 'sealed\\_%'`,
            ),
        );
        const named = (columns: readonly SealedColumn[]): string[] => columns.map(({ table, column }) => `${table}.${column}`).toSorted();
        expect(named(rows)).toEqual(named(sealedColumns));
    });

    test('a database of a newer version is refused in one sentence, and stays as it is', async () => {
        const { db } = store.database;
        await db.executeQuery(CompiledQuery.raw(`insert into kysely_migration (name, timestamp) values ('9999_future', '2030-01-01')`));
        const refusal = await migrate(db).then(
            () => undefined,
            (error: unknown) => error,
        );
        expect(refusal).toBeInstanceOf(StartupError);
        expect((refusal as Error).message).toMatch(/9999_future.*nothing was changed.*newer Valetkey/);
        await db.executeQuery(CompiledQuery.raw(`delete from kysely_migration where name = '9999_future'`));
        expect(await migrate(db)).toEqual([]);
    });
});

test('replicas that start together on an empty database migrate it once', async () => {
    const created = await createDatabase();
    const replicas = await Promise.all([1, 2, 3].map(() => openDatabase({ kind: 'postgres', url: created.url, poolSize: 2 })));
    const applied = await Promise.all(replicas.map(({ db }) => migrate(db)));
    const files = (await readdir(join(import.meta.dirname, '../../migrations'))).map((file) => file.replace('.sql', '')).toSorted();
    expect(applied.flat()).toEqual(files);
    const { rows } = await replicas[0]!.db.executeQuery<{ name: string }>(CompiledQuery.raw('select name from kysely_migration order by name'));
    expect(rows.map(({ name }) => name)).toEqual(files);
    await Promise.all(replicas.map((replica) => replica.close()));
    await created.drop();
});
