/**
 * Runs `migrations/NNNN_name.sql`, forward-only. Several replicas may start at once: Kysely's migrator takes a
 * transaction-level advisory lock, so one migrates and the others wait; all files of one run commit together.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CompiledQuery, type Kysely } from 'kysely';
import { Migrator, type Migration } from 'kysely/migration';
import { StartupError } from '../config.ts';
import type { Schema } from './schema.ts';

const directory = join(import.meta.dirname, '../../migrations');

/** @returns the names of the migrations that were run now, oldest first. */
export async function migrate(db: Kysely<Schema>): Promise<string[]> {
    const migrator = new Migrator({ db, provider: { getMigrations: readMigrations } });
    const { error, results } = await migrator.migrateToLatest();
    if (error !== undefined) {
        const failed = results?.find((result) => result.status === 'Error')?.migrationName;
        throw new StartupError(
            `The database could not be migrated${failed ? ` (${failed})` : ''}: ${error instanceof Error ? error.message : 'unknown reason'}; ` +
                'nothing was changed. If the database belongs to a newer Valetkey, run that version.',
        );
    }
    return (results ?? []).filter((result) => result.status === 'Success').map((result) => result.migrationName);
}

async function readMigrations(): Promise<Record<string, Migration>> {
    const files = (await readdir(directory)).filter((file) => file.endsWith('.sql'));
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
            return [file.replace(/\.sql$/, ''), migration] as const;
        }),
    );
    return Object.fromEntries(migrations);
}

/** The embedded dialect runs one statement at a time; in our files a statement ends with `;` at the end of a line. */
const splitStatements = (text: string): string[] =>
    text
        .replace(/^\s*--.*$/gm, '')
        .split(/;\s*$/m)
        .map((statement) => statement.trim())
        .filter((statement) => statement !== '');
