/**
 * The store: Kysely over Postgres, or over the embedded Postgres of one machine. One file of queries per aggregate.
 *
 * Lives here: tables, dialects, migrations, SQL, leases. Does not live here: what a row means, sealing (the store only ever
 * sees sealed text), HTTP.
 */
import type { Kysely, Transaction } from 'kysely';
import type { Config } from '../config.ts';
import type { Schema } from './schema.ts';

/** A connection or a transaction: every query function takes one, so that the caller decides what is atomic. */
export type Db = Kysely<Schema> | Transaction<Schema>;

/** How far the database's clock is ahead of this process's (R11), and how wrong that may be: half the round trip. */
export interface ClockReading {
    offsetMs: number;
    errorMs: number;
}

export interface Database {
    readonly kind: 'postgres' | 'embedded';
    /** For people: `postgres 17.2 at db:5432/valetkey`, never with a password. */
    readonly description: string;
    readonly db: Kysely<Schema>;
    /**
     * One prepared read in one round trip, for hot paths. `name` identifies the text on the connection.
     * Runs outside any transaction.
     */
    read<Row>(name: string, text: string, values: readonly unknown[]): Promise<Row[]>;
    readClock(localNow: () => number): Promise<ClockReading>;
    /**
     * Hears what is notified on a channel, from now until the connection for it ends; `undefined`: there is nobody else to hear of.
     * Nobody may rely on it: behind a transaction-mode pooler nothing is heard.
     */
    listen(channel: string, hear: (text: string) => void): Promise<Listening> | undefined;
    ping(): Promise<void>;
    /** Of the pool, where there is one: connections, and queries that wait for one. */
    pool?(): { idle: number; busy: number; waiting: number };
    close(): Promise<void>;
}

export interface Listening {
    /** Resolves when nothing more will be heard. */
    ended: Promise<void>;
    close(): Promise<void>;
}

/** @throws StartupError when the database cannot be reached, opened or locked. */
export async function openDatabase(config: Config['database']): Promise<Database> {
    // Loaded when chosen: each brings a driver that the other mode does not need in its memory.
    if (config.kind === 'postgres') {
        const { openPostgres } = await import('./postgres.ts');
        return openPostgres(config);
    }
    const { openEmbedded } = await import('./embedded.ts');
    return openEmbedded(config);
}

/** `insert`/`update` values for jsonb columns. */
export const json = (value: unknown): string => JSON.stringify(value);
