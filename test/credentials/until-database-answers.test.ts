import { connect, createServer } from 'node:net';
import pg from 'pg';
import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { ConnectFailure } from '../../src/auth-modes/auth-mode.ts';
import { untilDatabaseAnswers } from '../../src/credentials/until-database-answers.ts';
import { systemSources, type Sources } from '../../src/sources.ts';
import { openDatabase } from '../../src/store/database.ts';
import { migrate } from '../../src/store/migrate.ts';
import { freePort } from '../peers/free-port.ts';
import { createDatabase } from '../peers/postgres.ts';
import { insertEnvironment } from '../store/rows.ts';
import { virtualSources } from '../virtual-sources.ts';

const logger = pino({ level: 'silent' });
const databaseError = (code: string, message = 'from the server'): Error => Object.assign(new Error(message), { code });

/** Runs a write that fails as told before it succeeds. @returns attempts, or the error that ended it. */
async function attemptsWith(...failures: Error[]): Promise<{ attempts: number; error: unknown }> {
    const sources = virtualSources();
    let attempts = 0;
    const result = untilDatabaseAnswers(
        async () => {
            attempts += 1;
            const failure = failures.shift();
            if (failure) {
                throw failure;
            }
            return 'written';
        },
        { sources, logger },
    ).then(
        () => undefined,
        (error: unknown) => error,
    );
    await sources.advance(60_000);
    return { attempts, error: await result };
}

describe('waits for', () => {
    test.each([
        ['57P01', 'terminating connection due to administrator command'],
        ['57P03', 'the database system is starting up'],
        ['53300', 'sorry, too many clients already'],
        ['53100', 'could not extend file: No space left on device'],
        ['08006', 'connection failure'],
        ['40001', 'could not serialize access'],
        ['40P01', 'deadlock detected'],
        ['55P03', 'could not obtain lock'],
        ['58030', 'could not read block'],
        // what a demoted primary says until the pool has found the new one
        ['25006', 'cannot execute INSERT in a read-only transaction'],
        // opening a connection: it let this process in before
        ['28P01', 'password authentication failed for user "valetkey"'],
        ['28000', 'PAM authentication failed for user "valetkey"'],
        ['3D000', 'database "valetkey" does not exist'],
        ['ECONNREFUSED', ''],
        ['ECONNRESET', 'read ECONNRESET'],
        ['EPIPE', 'write EPIPE'],
        ['ETIMEDOUT', 'connect ETIMEDOUT'],
        ['ENOTFOUND', 'getaddrinfo ENOTFOUND db'],
        ['EAI_AGAIN', 'getaddrinfo EAI_AGAIN db'],
        ['ERR_STREAM_DESTROYED', 'Cannot call write after a stream was destroyed'],
    ])('%s: %s', async (code, message) => {
        expect(await attemptsWith(databaseError(code, message), databaseError(code, message))).toEqual({ attempts: 3, error: undefined });
    });

    test.each([
        'Connection terminated unexpectedly',
        'Connection terminated due to connection timeout',
        'timeout exceeded when trying to connect',
        'Client has encountered a connection error and is not queryable',
    ])('the driver’s own: %s', async (message) => {
        expect(await attemptsWith(new Error(message))).toEqual({ attempts: 2, error: undefined });
    });
});

describe('gives up at once on', () => {
    test.each([
        ['a broken constraint', databaseError('23505', 'duplicate key value')],
        ['a missing column', databaseError('42703', 'column does not exist')],
        ['a bad value', databaseError('22P02', 'invalid input syntax')],
        ['a programming error of Node', databaseError('ERR_INVALID_ARG_TYPE', 'The argument must be of type string')],
        ['a programming error of ours', new TypeError('x is not a function')],
        ['a failure that speaks of another kind of connection', new ConnectFailure('invalid_connection', 'The connection no longer exists.')],
    ])('%s', async (_, error) => {
        expect(await attemptsWith(error)).toEqual({ attempts: 1, error });
    });
});

test('waits longer each time, up to half a second: who holds a token must not be the last to write', async () => {
    const sources = virtualSources();
    const moments: number[] = [];
    const start = sources.now();
    const result = untilDatabaseAnswers(
        async () => {
            moments.push(sources.now() - start);
            if (moments.length < 10) {
                throw databaseError('57P03');
            }
        },
        { sources, logger },
    );
    await sources.advance(60_000);
    await result;
    expect(moments.map((moment, index) => moment - (moments[index - 1] ?? 0))).toEqual([0, 100, 200, 400, 500, 500, 500, 500, 500, 500]);
});

describe('with a real server', () => {
    const cleanups: (() => Promise<unknown>)[] = [];
    afterEach(async () => {
        for (const cleanup of cleanups.splice(0).toReversed()) {
            await cleanup();
        }
    });

    test('a write is made once the server takes connections again', async () => {
        const created = await createDatabase();
        cleanups.push(() => created.drop());
        const server = new URL(created.url);
        const port = await freePort();
        // Stands in for the server's address: absent at first, then forwards.
        const proxy = createServer((socket) => {
            const upstream = connect(Number(server.port), server.hostname);
            socket.pipe(upstream).pipe(socket);
            for (const end of [socket, upstream]) {
                end.on('error', () => {});
            }
        });
        const listen = (): Promise<void> => new Promise((resolve) => proxy.listen(port, '127.0.0.1', resolve));
        const away = (): Promise<unknown> => new Promise((resolve) => proxy.close(resolve));
        await listen();
        const throughProxy = new URL(created.url);
        throughProxy.port = String(port);
        throughProxy.hostname = '127.0.0.1';
        const database = await openDatabase({ kind: 'postgres', url: throughProxy.href, poolSize: 2 });
        cleanups.push(() => database.close());
        await migrate(database.db);

        const sessions = new pg.Client({ connectionString: created.url });
        await sessions.connect();
        const leaving = away();
        await sessions.query(
            `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'valetkey%'`,
        );
        await leaving;

        let attempts = 0;
        const impatient: Sources = { ...systemSources, sleep: () => systemSources.sleep(20) };
        const written = untilDatabaseAnswers(
            () => {
                attempts += 1;
                return insertEnvironment(database.db, 'kept');
            },
            { sources: impatient, logger },
        );
        await expect.poll(() => attempts).toBeGreaterThan(3);
        await listen();
        cleanups.push(away);
        await written;
        expect((await sessions.query(`select count(*)::int as n from environments where name = 'kept'`)).rows).toEqual([{ n: 1 }]);
        await sessions.end();
    });
});
