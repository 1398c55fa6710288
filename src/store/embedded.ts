/**
 * The embedded dialect: Postgres in this process (PGlite), for a first try and for small single-machine installations.
 *
 * Two defaults of PGlite are mended here, because a committed credential must survive a power cut:
 *   - it never calls fsync; here every commit ends in fdatasync;
 *   - it does not lock its directory, so two processes corrupt it; here an exclusive SQLite lock stands beside it.
 */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { PGlite, types } from '@electric-sql/pglite';
import { NodeFS } from '@electric-sql/pglite/nodefs';
import { CompiledQuery, Kysely, PGliteDialect } from 'kysely';
import { StartupError, type EmbeddedDatabase } from '../config.ts';
import type { Database } from './database.ts';
import type { Schema } from './schema.ts';

export async function openEmbedded(config: EmbeddedDatabase): Promise<Database> {
    prepareDirectory(config.dataDir);
    const lock = lockDirectory(config.dataDir);
    try {
        const pglite = await PGlite.create({
            fs: new DurableNodeFs(join(config.dataDir, 'postgres')),
            startParams: [...PGlite.defaultStartParams.filter((parameter) => parameter !== '-F'), '-c', 'wal_sync_method=fsync'],
            parsers: { [types.INT8]: Number },
        });
        const db = new Kysely<Schema>({ dialect: new PGliteDialect({ pglite }) });
        return {
            kind: 'embedded',
            description: `embedded Postgres in ${config.dataDir}`,
            db,
            // Through Kysely, whose mutex keeps it out of other requests' transactions: PGlite has one session.
            read: async <Row>(_name: string, text: string, values: readonly unknown[]) =>
                (await db.executeQuery<Row>(CompiledQuery.raw(text, [...values]))).rows,
            readClock: () => Promise.resolve({ offsetMs: 0, errorMs: 0 }),
            ping: async () => {
                await db.executeQuery(CompiledQuery.raw('select 1'));
            },
            close: async () => {
                await db.destroy();
                if (!pglite.closed) {
                    await pglite.close();
                }
                lock.close();
            },
        };
    } catch (error) {
        lock.close();
        throw new StartupError(
            `The embedded database in ${config.dataDir} cannot be opened (${error instanceof Error ? error.message : 'unknown reason'}); ` +
                'restore it from a backup, or set VALETKEY_DATA_DIR to another directory.',
        );
    }
}

/** NodeFS whose files reach the disk: Emscripten's fsync is a no-op until a stream operation is supplied. */
class DurableNodeFs extends NodeFS {
    override async init(...[pglite, options]: Parameters<NodeFS['init']>): ReturnType<NodeFS['init']> {
        const prepared = await super.init(pglite, options);
        type Emscripten = { NODEFS: { stream_ops: { fsync?: (stream: { nfd?: number }) => number } } };
        const makeDurable = (module: unknown): void => {
            (module as Emscripten).NODEFS.stream_ops.fsync = (stream) => {
                if (stream.nfd !== undefined) {
                    fs.fdatasyncSync(stream.nfd);
                }
                return 0;
            };
        };
        prepared.emscriptenOpts.preRun = [...(prepared.emscriptenOpts.preRun ?? []), makeDurable];
        return prepared;
    }
}

function prepareDirectory(dataDir: string): void {
    try {
        fs.mkdirSync(dataDir, { recursive: true, mode: 0o700 });
        // The database in it too: one that another user has made is no damaged one.
        for (const directory of [dataDir, join(dataDir, 'postgres')].filter((path) => path === dataDir || fs.existsSync(path))) {
            fs.accessSync(directory, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
        }
    } catch (error) {
        throw new StartupError(
            `The data directory ${dataDir} cannot be used (${(error as NodeJS.ErrnoException).code}); ` +
                'make it readable and writable for this user, or set VALETKEY_DATA_DIR to another directory.',
        );
    }
}

/** An exclusive SQLite transaction held for the life of the process: the operating system releases it even after kill -9. */
function lockDirectory(dataDir: string): DatabaseSync {
    // Loaded here, not at the top: only the embedded mode needs it.
    const { DatabaseSync: Sqlite } = createRequire(import.meta.url)('node:sqlite') as typeof import('node:sqlite');
    const file = join(dataDir, 'lock.sqlite');
    let lock: DatabaseSync | undefined;
    try {
        lock = new Sqlite(file);
        lock.exec('pragma locking_mode = exclusive; pragma journal_mode = delete; begin exclusive; create table if not exists held (by int);');
        return lock;
    } catch (error) {
        lock?.close();
        if (error instanceof Error && /locked|busy/i.test(error.message)) {
            throw new StartupError(
                `Another Valetkey process is using the data directory ${dataDir}; stop it, or set VALETKEY_DATA_DIR to another directory ` +
                    '(several processes need a Postgres server: set DATABASE_URL).',
            );
        }
        throw new StartupError(
            `The lock file ${file} cannot be used (${error instanceof Error ? error.message : 'unknown reason'}); make it writable for this user.`,
        );
    }
}
