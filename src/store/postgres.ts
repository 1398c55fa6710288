/** The Postgres dialect: a pool for Kysely, and a few pipelined clients for hot prepared reads. */
import { CompiledQuery, Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { StartupError, type PostgresDatabase } from '../config.ts';
import type { Database, Listening } from './database.ts';
import { PipelinedReads } from './pipelined-reads.ts';
import { statementName } from './prepared.ts';
import type { Schema } from './schema.ts';
import { probed, unlessSilent } from './silent-connection.ts';
import { StatementNames } from './statement-names.ts';

const INT8 = 20;
const TIMESTAMPTZ = 1184;
// bigint columns hold counters and ids far below 2^53
pg.types.setTypeParser(INT8, Number);
// A session in UTC writes `2026-05-01 12:00:00.123+00`, which is one character away from what Date reads natively.
const parseTime = pg.types.getTypeParser(TIMESTAMPTZ, 'text') as (text: string) => Date;
pg.types.setTypeParser(TIMESTAMPTZ, (text) =>
    text.endsWith('+00') && text.charCodeAt(4) === 45 ? new Date(`${text.slice(0, 10)}T${text.slice(11, -3)}Z`) : parseTime(text),
);

const minimumServerVersion = 150000;

export async function openPostgres(config: PostgresDatabase): Promise<Database> {
    const pool = new pg.Pool({
        connectionString: config.url,
        max: config.poolSize,
        connectionTimeoutMillis: 10_000,
        application_name: 'valetkey',
        ...probed,
    });
    // An idle connection that the server closes must not end the process; the next query opens another.
    pool.on('error', () => {});
    // Nor one that is lost while a query is under way: the query fails, and the client tells of it once more.
    pool.on('connect', (client) => client.on('error', () => {}));
    const names = new StatementNames();
    pool.on('connect', (client) => sendUnderNames(client, names));
    const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
    const location = describe(config.url);
    const version = await serverVersion(db).catch(async (error: unknown) => {
        await db.destroy();
        throw new StartupError(
            `Postgres at ${location} cannot be reached (${reason(error)}); check DATABASE_URL and that the server accepts connections from here.`,
        );
    });
    if (version.number < minimumServerVersion) {
        await db.destroy();
        throw new StartupError(`Postgres at ${location} is version ${version.text}, but Valetkey needs 15 or newer.`);
    }
    const reads = new PipelinedReads(config.url, names);
    return {
        kind: 'postgres',
        description: `postgres ${version.text} at ${location}`,
        db,
        read: (name, text, values) => reads.query(name, text, values),
        listen: (channel, hear) => listen(config.url, channel, hear),
        readClock: async (localNow) => {
            const before = localNow();
            const { rows } = await db.executeQuery<{ now: number }>(
                CompiledQuery.raw('select (extract(epoch from clock_timestamp()) * 1000)::float8 as now'),
            );
            const after = localNow();
            // The reading was taken somewhere in between; the midpoint halves the error.
            return { offsetMs: (rows[0]?.now ?? before) - (before + after) / 2, errorMs: (after - before) / 2 };
        },
        ping: async () => {
            await db.executeQuery(CompiledQuery.raw('select 1'));
        },
        pool: () => ({ idle: pool.idleCount, busy: pool.totalCount - pool.idleCount, waiting: pool.waitingCount }),
        close: async () => {
            await reads.close();
            await db.destroy();
        },
    };
}

/** Kysely hands over a text and its values; what `prepared.ts` has a name for becomes a prepared statement here. */
function sendUnderNames(client: pg.PoolClient, names: StatementNames): void {
    const query = client.query.bind(client) as (statement: unknown, values?: unknown) => Promise<unknown>;
    const sendUnder = async (name: string, text: string, values: unknown): Promise<unknown> => {
        const as = names.of(name, text);
        try {
            return await unlessSilent(client, query({ name: as, text, values }));
        } catch (error) {
            if (as === undefined || !names.isRefused(error)) {
                throw error;
            }
            return unlessSilent(client, query(text, values));
        }
    };
    const named = (statement: unknown, values?: unknown): unknown => {
        const name = typeof statement === 'string' ? statementName(statement) : undefined;
        return name === undefined ? query(statement, values) : sendUnder(name, statement as string, values);
    };
    client.query = named as pg.PoolClient['query'];
}

/** A connection of its own: a notification comes to the session that listens, whenever it comes. */
async function listen(connectionString: string, channel: string, hear: (text: string) => void): Promise<Listening> {
    const client = new pg.Client({ connectionString, connectionTimeoutMillis: 10_000, application_name: 'valetkey hints', ...probed });
    const ended = new Promise<void>((resolve) => {
        client.on('error', () => resolve());
        client.on('end', () => resolve());
    });
    client.on('notification', ({ payload }) => hear(payload ?? ''));
    const close = (): Promise<void> => client.end().catch(() => {});
    try {
        await client.connect();
        await client.query(`listen ${client.escapeIdentifier(channel)}`);
    } catch (error) {
        await close();
        throw error;
    }
    return { ended, close };
}

async function serverVersion(db: Kysely<Schema>): Promise<{ number: number; text: string }> {
    const { rows } = await db.executeQuery<{ number: string; text: string }>(
        CompiledQuery.raw(`select current_setting('server_version_num') as number, current_setting('server_version') as text`),
    );
    return { number: Number(rows[0]?.number), text: rows[0]?.text.split(' ')[0] ?? 'unknown' };
}

function describe(connectionUrl: string): string {
    const url = new URL(connectionUrl);
    return `${url.host}${url.pathname}`;
}

/** Driver messages name hosts and users, never passwords. */
function reason(error: unknown): string {
    const cause = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
    return cause instanceof Error ? cause.message : 'unknown reason';
}
