/** What only the Postgres dialect has: a server that can be away, refuse, or cut connections. */
import { Socket } from 'node:net';
import { sql } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { StartupError } from '../../src/config.ts';
import { isPassing } from '../../src/credentials/until-database-answers.ts';
import { systemSources } from '../../src/sources.ts';
import { openDatabase, type Database } from '../../src/store/database.ts';
import { prepare } from '../../src/store/prepared.ts';
import { startDatabaseProxy } from '../peers/database-proxy.ts';
import { freePort } from '../peers/free-port.ts';
import { createDatabase, type TestDatabase } from '../peers/postgres.ts';

const open = (url: string): Promise<Database> => openDatabase({ kind: 'postgres', url, poolSize: 3 });

describe('opening', () => {
    test.each([
        ['a server that is not there', async (url: URL) => void (url.port = String(await freePort())), /ECONNREFUSED/],
        ['a wrong password', (url: URL) => void (url.password = 'not-the-password'), /password authentication failed/],
        ['a database that does not exist', (url: URL) => void (url.pathname = '/nowhere'), /"nowhere" does not exist/],
    ])('%s is one sentence that names the place and the variable, and no password', async (_, spoil, cause) => {
        const url = new URL(inject('databaseUrl'));
        url.password ||= 'unused-password';
        await spoil(url);
        const refusal = await open(url.href).then(
            () => undefined,
            (error: unknown) => error,
        );
        expect(refusal).toBeInstanceOf(StartupError);
        const { message } = refusal as Error;
        expect(message).toContain(`Postgres at ${url.host}${url.pathname}`);
        expect(message).toMatch(cause);
        expect(message).toContain('DATABASE_URL');
        expect(message).not.toContain(url.password);
        expect(message).not.toContain('\n');
    });

    test('the description names version, host and database, and no password', async () => {
        const created = await createDatabase();
        const database = await open(created.url);
        const url = new URL(created.url);
        expect(database.description).toMatch(/^postgres \d+\.\d+ at /);
        expect(database.description).toContain(`${url.host}${url.pathname}`);
        expect(url.password === '' || !database.description.includes(url.password)).toBe(true);
        await database.close();
        await created.drop();
    });
});

describe('connections that the server cuts', () => {
    let created: TestDatabase;
    let database: Database;
    let observer: pg.Client;
    beforeAll(async () => {
        created = await createDatabase();
        database = await open(created.url);
        observer = new pg.Client({ connectionString: created.url, application_name: 'observer' });
        await observer.connect();
    });
    afterAll(async () => {
        await observer.end();
        await created.drop();
    });

    const sessions = async (name: string): Promise<number> => {
        const { rows } = await observer.query<{ n: string }>(
            'select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name like $1',
            [name],
        );
        return Number(rows[0]!.n);
    };
    const cut = async (name: string): Promise<void> => {
        await observer.query(
            'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like $1',
            [name],
        );
    };
    const echo = (value: string): Promise<{ value: string }[]> => database.read('echo', 'select $1::text as value', [value]);

    test('are replaced, and never add up', async () => {
        for (let round = 0; round < 5; round += 1) {
            await Promise.all(Array.from({ length: 10 }, (_, index) => echo(`${index}`)));
            // The server may still be ending the one before.
            await expect.poll(() => sessions('valetkey reads')).toBe(2);
            await cut('valetkey%');
            // Some reads meet the cut, and fail; none may hang, and the ones after them find new connections.
            const met = await Promise.allSettled(Array.from({ length: 10 }, (_, index) => echo(`${index}`)));
            expect(met).toHaveLength(10);
            await expect.poll(() => echo('again').catch(() => undefined)).toEqual([{ value: 'again' }]);
            await expect
                .poll(() =>
                    database.ping().then(
                        () => true,
                        () => false,
                    ),
                )
                .toBe(true);
        }
        await Promise.all(Array.from({ length: 10 }, () => echo('x')));
        await expect.poll(() => sessions('valetkey reads')).toBe(2);
    });

    test('are met by queries under way as an error, not as silence', async () => {
        const long = database.read('long', 'select pg_sleep(30)', []);
        const refused = expect(long).rejects.toThrow(/terminat/);
        const sleeping = async (): Promise<number> =>
            (await observer.query(`select 1 from pg_stat_activity where state = 'active' and query = 'select pg_sleep(30)'`)).rows.length;
        await expect.poll(sleeping).toBe(1);
        await cut('valetkey reads');
        await refused;
    });

    test('close() ends every session', async () => {
        await echo('x').catch(() => {});
        await database.close();
        await expect.poll(() => sessions('valetkey%')).toBe(0);
    });
});

/** Without a listener of its own, a connection that is lost while somebody holds it ends the process, and with it every answer in memory (R2b). */
test.each([
    [
        'while a query is under way',
        async (db: Database['db'], cut: () => void) => {
            const query = sql`select pg_sleep(30)`.execute(db);
            setTimeout(cut, 200);
            await query;
        },
    ],
    [
        'between two statements of a transaction',
        async (db: Database['db'], cut: () => void) => {
            await db.transaction().execute(async (transaction) => {
                await sql`select 1`.execute(transaction);
                cut();
                await systemSources.sleep(200);
                await sql`select 1`.execute(transaction);
            });
        },
    ],
])('a connection that is lost %s fails what it was for, and nothing else', async (_, use) => {
    const created = await createDatabase();
    const proxy = await startDatabaseProxy(created.url);
    const database = await open(proxy.url);
    const uncaught: unknown[] = [];
    const note = (error: unknown): void => void uncaught.push(error);
    process.on('uncaughtException', note);
    await expect(use(database.db, () => proxy.cut())).rejects.toThrow();
    await systemSources.sleep(100);
    process.off('uncaughtException', note);
    expect(uncaught).toEqual([]);
    proxy.restore();
    await database.ping();
    await database.close();
    await proxy.close();
    await created.drop();
});

describe('prepared statements', () => {
    test('a statement is read once per connection, and survives a migration', async () => {
        const created = await createDatabase();
        const { db, close } = await openDatabase({ kind: 'postgres', url: created.url, poolSize: 1 });
        await sql`create table things (id int)`.execute(db);
        await sql`insert into things values (1), (2)`.execute(db);
        const count = prepare<{ from: number; to: number }, { n: number }>(
            'count things',
            ({ from, to }) => sql`select count(*)::int as n from things where id >= ${from} and id <= ${to} and ${to}::int > 0`,
        );
        expect(await count(db, { to: 2, from: 1 })).toEqual([{ n: 2 }]);
        await sql`alter table things add column name text`.execute(db);
        expect(await count(db, { from: 2, to: 3 })).toEqual([{ n: 1 }]);
        const named = await sql<{ name: string; uses: number }>`
            select name, (generic_plans + custom_plans)::int as uses from pg_prepared_statements where name like 'count things %'`.execute(db);
        expect(named.rows).toEqual([{ name: expect.any(String), uses: 2 }]);
        await close();
        await created.drop();
    });

    test('what would be sent as another statement, or with the value of another call, is refused', async () => {
        const created = await createDatabase();
        const { db, close } = await openDatabase({ kind: 'postgres', url: created.url, poolSize: 1 });
        expect(await prepare('one of two', () => sql`select 1 as n`)(db, {})).toEqual([{ n: 1 }]);
        await expect(prepare('one of two', () => sql`select 2 as n`)(db, {})).rejects.toThrow('"one of two" has another name, or its name another');
        await expect(prepare('the other', () => sql`select 1 as n`)(db, {})).rejects.toThrow('"the other" has another name, or its name another');
        await expect(prepare('holds a value', () => sql`select ${1}::int`)(db, {})).rejects.toThrow(
            '"holds a value" holds a value that is not an argument',
        );
        await close();
        await created.drop();
    });
});

test('connections are probed while they are idle, of whichever kind', async () => {
    const setKeepAlive = vi.spyOn(Socket.prototype, 'setKeepAlive');
    const created = await createDatabase();
    const database = await open(created.url);
    await database.read('one', 'select 1 as one', []);
    const listening = await database.listen('some', () => {});
    expect(setKeepAlive.mock.calls).toEqual(Array.from({ length: 3 }, () => [true, expect.toSatisfy((ms: number) => ms > 0 && ms <= 60_000)]));
    setKeepAlive.mockRestore();
    await listening?.close();
    await database.close();
    await created.drop();
});

test('reads on connections that nobody answers fail soon, however many follow, and others go on on new ones', async () => {
    const created = await createDatabase();
    const proxy = await startDatabaseProxy(created.url);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const database = await open(proxy.url);
    try {
        const read = () => database.read('one', 'select 1 as one', []);
        const both = [{ one: 1 }];
        expect([await read(), await read()]).toEqual([both, both]);
        // Quiet for a while is not silent.
        await vi.advanceTimersByTimeAsync(60_000);
        expect([await read(), await read()]).toEqual([both, both]);
        proxy.silence();
        const lost: Promise<unknown>[] = [];
        for (let seconds = 0; seconds < 25; seconds += 1) {
            lost.push(read().catch((reason: unknown) => reason));
            await vi.advanceTimersByTimeAsync(1_000);
        }
        vi.useRealTimers();
        const reasons = await Promise.all(lost);
        expect(isPassing(reasons[0])).toBe(true);
        expect([await read(), await read()]).toEqual([both, both]);
    } finally {
        vi.useRealTimers();
        await database.close();
        await proxy.close();
        await created.drop();
    }
});

test('a prepared statement on a connection that nobody answers fails soon, so that an answer in memory is written on another (R2)', async () => {
    const created = await createDatabase();
    const proxy = await startDatabaseProxy(created.url);
    const database = await open(proxy.url);
    try {
        const noted = prepare<{ what: string }, { what: string }>('note', ({ what }) => sql`insert into notes select ${what}::text returning what`);
        await sql`create table notes (what text)`.execute(database.db);
        proxy.silence();
        vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
        const lost = noted(database.db, { what: 'a' });
        lost.catch(() => {});
        await vi.advanceTimersByTimeAsync(20_000);
        vi.useRealTimers();
        const error: unknown = await lost.catch((reason: unknown) => reason);
        expect(isPassing(error)).toBe(true);
        expect(await noted(database.db, { what: 'b' })).toEqual([{ what: 'b' }]);
    } finally {
        vi.useRealTimers();
        await database.close();
        await proxy.close();
        await created.drop();
    }
});
