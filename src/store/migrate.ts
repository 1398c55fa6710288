/**
 * Runs `migrations/NNNN_name.sql`, forward-only. Several replicas may start at once: one migrates and the others wait for its
 * transaction, in which all files of one run commit together. The lock belongs to that transaction, so that it works behind a
 * transaction-mode pooler too; it is taken only when there is something to do.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CompiledQuery, type Kysely } from 'kysely';
import type { Migration, MigrationResultSet } from 'kysely/migration';
import { StartupError } from '../config.ts';
import type { Schema } from './schema.ts';

/** Any number that nothing else in this database uses. */
const lockKey = 7_362_518_401;
const directory = join(import.meta.dirname, '../../migrations');

/** @returns the names of the migrations that were run now, oldest first. */
export async function migrate(db: Kysely<Schema>): Promise<string[]> {
    const migrations = await readMigrations();
    if (await isUpToDate(db, Object.keys(migrations))) {
        return [];
    }
    const { Migrator } = await import('kysely/migration');
    const provider = { getMigrations: () => Promise.resolve(migrations) };
    const { error, results } = await db
        .transaction()
        .execute(async (transaction) => {
            await transaction.executeQuery(CompiledQuery.raw(`select pg_advisory_xact_lock(${lockKey})`));
            await assertMayCreate(transaction);
            return orRollBack(await new Migrator({ db: transaction, provider }).migrateToLatest());
        })
        .catch((failure: unknown) => (failure instanceof RolledBack ? failure.results : { error: failure, results: undefined }));
    if (error instanceof StartupError) {
        throw error;
    }
    if (error !== undefined) {
        const failed = results?.find((result) => result.status === 'Error')?.migrationName;
        throw new StartupError(
            `The database could not be migrated${failed ? ` (${failed})` : ''}: ${error instanceof Error ? error.message : 'unknown reason'}; ` +
                'nothing was changed. If the database belongs to a newer Valetkey, run that version.',
        );
    }
    return (results ?? []).filter((result) => result.status === 'Success').map((result) => result.migrationName);
}

/** The migrator reports its failure instead of throwing it; the transaction must not commit then. */
class RolledBack extends Error {
    readonly results: MigrationResultSet;

    constructor(results: MigrationResultSet) {
        super('rolled back');
        this.results = results;
    }
}

function orRollBack(results: MigrationResultSet): MigrationResultSet {
    if (results.error !== undefined) {
        throw new RolledBack(results);
    }
    return results;
}

/** Asked first: the migrator's own complaint would be that its transaction is aborted. Since version 15 only owners may create tables. */
async function assertMayCreate(db: Kysely<Schema>): Promise<void> {
    const { rows } = await db.executeQuery<{ role: string; may_create: boolean; is_read_only: boolean }>(
        CompiledQuery.raw(
            `select current_user as role, coalesce(has_schema_privilege(current_schema(), 'create'), false) as may_create,
                current_setting('transaction_read_only')::boolean as is_read_only`,
        ),
    );
    const [found] = rows;
    if (found?.is_read_only) {
        throw new StartupError('The database is read-only, and has to be migrated; point DATABASE_URL at the primary server. Nothing was changed.');
    }
    if (!found?.may_create) {
        throw new StartupError(
            `The database role "${found?.role}" may not create tables; make it the owner of the database, or run: ` +
                `grant create on schema public to "${found?.role}". Nothing was changed.`,
        );
    }
}

/** Most starts find nothing to do, and need no lock to find that. */
async function isUpToDate(db: Kysely<Schema>, names: readonly string[]): Promise<boolean> {
    const applied = new Set(await appliedNames(db));
    return applied.size === names.length && names.every((name) => applied.has(name));
}

/** Oldest first. */
async function appliedNames(db: Kysely<Schema>): Promise<string[]> {
    const exists = await db.executeQuery<{ found: string | null }>(CompiledQuery.raw(`select to_regclass('kysely_migration')::text as found`));
    if (!exists.rows[0]?.found) {
        return [];
    }
    const { rows } = await db.executeQuery<{ name: string }>(CompiledQuery.raw('select name from kysely_migration order by name'));
    return rows.map(({ name }) => name);
}

export interface MigrationState {
    applied: number;
    /** `null`: the database is empty. */
    newest: string | null;
    /** Of this version, not applied. */
    pending: string[];
    /** Applied by another version. */
    unknown: string[];
}

/** While replicas are replaced one by one, the older ones find what the newer ones applied. */
export async function readMigrationState(db: Kysely<Schema>): Promise<MigrationState> {
    const [known, applied] = [(await migrationFiles()).map(nameOf).toSorted(), await appliedNames(db)];
    return {
        applied: applied.length,
        newest: applied.at(-1) ?? null,
        pending: known.filter((name) => !applied.includes(name)),
        unknown: applied.filter((name) => !known.includes(name)),
    };
}

let found: Promise<string[]> | undefined;

/** As this process found them at its start: an upgrade may exchange the files under it. */
const migrationFiles = (): Promise<string[]> => (found ??= readdir(directory).then((files) => files.filter((file) => file.endsWith('.sql'))));

const nameOf = (file: string): string => file.replace(/\.sql$/, '');

async function readMigrations(): Promise<Record<string, Migration>> {
    const files = await migrationFiles();
    const migrations = await Promise.all(
        files.map(async (file) => {
            const statements = splitStatements(await readFile(join(directory, file), 'utf8'));
            const migration: Migration = {
                up: async (db) => {
                    for (const statement of statements) {
                        await db.executeQuery(CompiledQuery.raw(statement));
                    }
                },
            };
            return [nameOf(file), migration] as const;
        }),
    );
    return Object.fromEntries(migrations);
}

/**
 * The embedded dialect runs one statement at a time; in our files a statement ends with `;` at the end of a line, and the
 * `$$` body of a function, whose own lines end so too, holds no comment behind code.
 */
const splitStatements = (text: string): string[] =>
    text
        .replace(/^\s*--.*$/gm, '')
        .replace(/\$\$.*?\$\$/gs, (body) => body.replaceAll('\n', ' '))
        .split(/;\s*$/m)
        .map((statement) => statement.trim())
        .filter((statement) => statement !== '');
