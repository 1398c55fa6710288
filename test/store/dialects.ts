/**
 * Both dialects of the store, for suites that must hold on each: `describe.each(dialects)('… ($name)', ({ open }) => …)`.
 *
 * Open once per file, in `beforeAll`: an embedded database takes seconds to make. `empty()` gives each test a clean one.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase, type Database } from '../../src/store/database.ts';
import { migrate } from '../../src/store/migrate.ts';
import type { Schema } from '../../src/store/schema.ts';
import { createDatabase } from '../peers/postgres.ts';

export interface TestStore {
    database: Database;
    /** Removes every row of every table. */
    empty(): Promise<void>;
    /** Closes the database and removes it. */
    close(): Promise<void>;
}

export interface Dialect {
    name: Database['kind'];
    /** A fresh database with all migrations applied. */
    open(): Promise<TestStore>;
}

/** Every table, children before their parents. */
export const tables = Object.keys({
    token_hosts: true,
    token_call_shares: true,
    operation_messages: true,
    operations: true,
    idempotent_requests: true,
    webhook_delivery_attempts: true,
    webhook_sequences: true,
    webhook_deliveries: true,
    webhook_events: true,
    credential_journal: true,
    post_connection_hooks: true,
    oauth_flow_requests: true,
    oauth_flows: true,
    connect_flows: true,
    connect_sessions: true,
    connections: true,
    connection_facets: true,
    client_registrations: true,
    integrations: true,
    webhook_signing_keys: true,
    webhook_settings: true,
    webhook_endpoints: true,
    environment_settings: true,
    environment_variables: true,
    api_keys: true,
    environments: true,
    data_keys: true,
} satisfies Record<keyof Schema, true>) as (keyof Schema)[];

export const dialects: readonly Dialect[] = [
    { name: 'postgres', open: openPostgresStore },
    { name: 'embedded', open: openEmbeddedStore },
];

export async function openPostgresStore(): Promise<TestStore> {
    const created = await createDatabase();
    const database = await openDatabase({ kind: 'postgres', url: created.url, poolSize: 10 });
    return prepared(database, () => created.drop());
}

async function openEmbeddedStore(): Promise<TestStore> {
    const directory = await mkdtemp(join(tmpdir(), 'valetkey-store-'));
    const database = await openDatabase({ kind: 'embedded', dataDir: join(directory, 'data') });
    return prepared(database, () => rm(directory, { recursive: true, force: true }));
}

async function prepared(database: Database, remove: () => Promise<void>): Promise<TestStore> {
    await migrate(database.db);
    return {
        database,
        empty: async () => {
            // Deleting few rows is much cheaper than truncating, which makes new files.
            for (const table of tables) {
                await database.db.deleteFrom(table).execute();
            }
        },
        close: async () => {
            await database.close();
            await remove();
        },
    };
}
