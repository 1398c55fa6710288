/** A database of the proof's own, on the server of `DATABASE_URL`; the one that it names is not touched. */
import pg from 'pg';
import type { Sources } from '../sources.ts';

/** No process of a proof opens a database of another name. */
export const scratchPrefix = 'valetkey_prove_';

export interface ScratchDatabase {
    url: string;
    query<Row extends pg.QueryResultRow>(text: string): Promise<Row[]>;
    drop(): Promise<void>;
}

export async function createScratchDatabase(serverUrl: string, sources: Sources): Promise<ScratchDatabase> {
    const name = `${scratchPrefix}${sources.random(6).toString('hex')}`;
    await once(serverUrl, `create database ${name}`);
    const url = new URL(serverUrl);
    url.pathname = `/${name}`;
    const pool = new pg.Pool({ connectionString: url.href, max: 1 });
    return {
        url: url.href,
        query: async <Row extends pg.QueryResultRow>(text: string) => (await pool.query<Row>(text)).rows,
        drop: async () => {
            await pool.end();
            await once(serverUrl, `drop database if exists ${name} with (force)`);
        },
    };
}

async function once(url: string, statement: string): Promise<void> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
        await client.query(statement);
    } finally {
        await client.end();
    }
}
