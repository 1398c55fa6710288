import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CompiledQuery } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StartupError } from '../../src/config.ts';
import { openDatabase } from '../../src/store/database.ts';
import { migrate } from '../../src/store/migrate.ts';
import { sealedColumns, type SealedColumn } from '../../src/store/sealed-columns.ts';
import { createDatabase } from '../peers/postgres.ts';
import { dialects, tables, type TestStore } from './dialects.ts';
import { insertConnection, insertEnvironment, insertHook, insertSetting } from './rows.ts';

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

    test('0011 gives connections the status of the hooks they have', async () => {
        const { db } = store.database;
        const setting = await insertSetting(db);
        for (const [name, state] of [['waiting', 'pending'], ['given up', 'failed'], ['finished']] as const) {
            const connection = await insertConnection(db, setting, { connection_id: name });
            if (state !== undefined) await insertHook(db, connection, state);
        }
        await db.updateTable('connections').set({ post_connection_status: null }).execute();
        const text = await readFile(join(import.meta.dirname, '../../migrations/0011_unfinished_connections.sql'), 'utf8');
        const [backfill] = /^update connections[\s\S]*?;/m.exec(text)!;
        await db.executeQuery(CompiledQuery.raw(backfill));
        const rows = await db.selectFrom('connections').select(['connection_id', 'post_connection_status']).execute();
        expect(Object.fromEntries(rows.map((row) => [row.connection_id, row.post_connection_status]))).toEqual({
            waiting: 'metadata_pending',
            'given up': 'failed',
            finished: null,
        });
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

test('0012 makes endpoints of the URLs that were set, and names them in their deliveries', async () => {
    const created = await createDatabase();
    const database = await openDatabase({ kind: 'postgres', url: created.url, poolSize: 1 });
    const run = <Row>(text: string) => database.db.executeQuery<Row>(CompiledQuery.raw(text));
    const directory = join(import.meta.dirname, '../../migrations');
    const files = (await readdir(directory)).toSorted();
    const at = files.indexOf('0012_webhook_endpoints.sql');
    for (const file of files.slice(0, at)) {
        await run(await readFile(join(directory, file), 'utf8'));
    }
    await run(`
        insert into environments (id, name, is_production, created_at, updated_at)
        select ('00000000-0000-4000-8000-00000000000' || n)::uuid, 'e' || n, false, now(), now() from generate_series(1, 3) n;
        insert into webhook_settings (environment_id, primary_url, secondary_url, primary_disabled_reason, updated_at) values
            ('00000000-0000-4000-8000-000000000001', 'https://a.example', 'https://b.example', 'the receiver answered 410 Gone', now()),
            ('00000000-0000-4000-8000-000000000002', null, '', null, now()),
            ('00000000-0000-4000-8000-000000000003', null, 'https://c.example', null, now());
        insert into webhook_events (id, environment_id, type, operation, body, created_at)
        values ('msg_1', '00000000-0000-4000-8000-000000000001', 'auth', 'creation', '{}', now());
        insert into webhook_deliveries (id, event_id, environment_id, destination, url, state, created_at)
        select gen_random_uuid(), 'msg_1', '00000000-0000-4000-8000-000000000001', d, 'https://a.example', 'dead', now()
        from unnest(array['primary', 'override']) d;`);
    await run(await readFile(join(directory, files[at]!), 'utf8'));
    const endpoints = await run(
        `select e.name, p.role, p.url, p.disabled_reason, p.events from webhook_endpoints p join environments e on e.id = p.environment_id order by url`,
    );
    const events = ['auth.creation', 'auth.override', 'auth.refresh'];
    expect(endpoints.rows).toEqual([
        { name: 'e1', role: 'primary', url: 'https://a.example', disabled_reason: 'receiver_gone', events },
        { name: 'e1', role: 'secondary', url: 'https://b.example', disabled_reason: null, events },
        { name: 'e3', role: 'secondary', url: 'https://c.example', disabled_reason: null, events },
    ]);
    const deliveries = await run(
        `select d.destination, p.url from webhook_deliveries d left join webhook_endpoints p on p.id = d.endpoint_id order by d.destination`,
    );
    expect(deliveries.rows).toEqual([
        { destination: 'override', url: null },
        { destination: 'primary', url: 'https://a.example' },
    ]);
    await database.close();
    await created.drop();
});
