/**
 * The peers: the real servers and the real browser that tests talk to. Each is a file, or a few, and brings what it
 * needs along, so that a clean clone can run every test. Nothing in here knows Valetkey.
 *
 * This file: the database of a test file, on the one Postgres server that `global-postgres.ts` started for the run.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

declare module 'vitest' {
    interface ProvidedContext {
        /** The run's Postgres server: a role that may create databases, and a database to connect to for that. */
        databaseUrl: string;
    }
}

export interface TestDatabase {
    url: string;
    /** Cuts every session of the database and removes it. */
    drop(): Promise<void>;
}

/** A fresh, empty database. One per test file is the usual measure; it takes some 30 ms. */
export async function createDatabase(): Promise<TestDatabase> {
    const name = `valetkey_test_${randomBytes(8).toString('hex')}`;
    const url = new URL(inject('databaseUrl'));
    await execute(`CREATE DATABASE ${name}`);
    url.pathname = `/${name}`;
    return { url: url.href, drop: () => execute(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

async function execute(statement: string): Promise<void> {
    const client = new pg.Client({ connectionString: inject('databaseUrl') });
    await client.connect();
    try {
        await client.query(statement);
    } finally {
        await client.end();
    }
}
