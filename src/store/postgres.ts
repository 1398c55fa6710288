/** The Postgres dialect: a pool for Kysely, and a few pipelined clients for hot prepared reads. */
import type { Duplex } from 'node:stream';
import { CompiledQuery, Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { StartupError, type PostgresDatabase } from '../config.ts';
import { PeriodicTask } from '../periodic-task.ts';
import { systemSources } from '../sources.ts';
import type { Database, Listening } from './database.ts';
import { statementName } from './prepared.ts';
import type { Schema } from './schema.ts';
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
const pipelinedClients = 2;
/**
 * Longer than a read or any statement of `prepared.ts` takes. TCP gives a connection up whose other end is gone without a word after a
 * quarter of an hour; whoever holds a token answer has to write it before its lease is over (R2b), and readers do not wait so long.
 */
const longestAnswerMs = 15_000;
/** Firewalls and load balancers forget connections that are quiet for minutes; probes keep them, or find out. */
const probed = { keepAlive: true, keepAliveInitialDelayMillis: 30_000 };

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
    const reads = new PipelinedReads(config.url, pipelinedClients, names);
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
    const named = (statement: unknown, values?: unknown): unknown => {
        const name = typeof statement === 'string' ? statementName(statement) : undefined;
        return name === undefined
            ? query(statement, values)
            : names.under(name, statement as string, (as) => unlessSilent(client, query({ name: as, text: statement, values })));
    };
    client.query = named as pg.PoolClient['query'];
}

/** Ends a connection that does not answer: the statement fails, and who repeats it gets another connection. */
function unlessSilent<Answer>(client: pg.ClientBase, answer: Promise<Answer>): Promise<Answer> {
    const answered = new AbortController();
    systemSources.sleep(longestAnswerMs, answered.signal).then(
        () => end(client),
        () => {},
    );
    return answer.finally(() => answered.abort('answered'));
}

const end = (client: pg.ClientBase): void => void streamOf(client).destroy(new Error('the connection to the database does not answer'));

const streamOf = (client: pg.ClientBase): Duplex => (client as unknown as { connection: { stream: Duplex } }).connection.stream;

/**
 * Prepared reads on a few connections that send without waiting for earlier answers. Measured at about twice the
 * throughput of a pool. Only single statements outside transactions may run here: clients are shared between requests.
 */
class PipelinedReads {
    readonly #url: string;
    readonly #slots: (Promise<ReadingClient> | undefined)[];
    readonly #names: StatementNames;
    #next = 0;

    constructor(url: string, size: number, names: StatementNames) {
        this.#url = url;
        this.#names = names;
        this.#slots = Array.from({ length: size });
    }

    async query<Row>(name: string, text: string, values: readonly unknown[]): Promise<Row[]> {
        const slot = this.#next;
        this.#next = (slot + 1) % this.#slots.length;
        const reading = await (this.#slots[slot] ??= this.#connect(slot));
        gatherWrites(reading.client);
        reading.underWay += 1;
        try {
            const { rows } = await this.#names.under(name, text, (as) => reading.client.query({ name: as, text, values: values as unknown[] }));
            return rows as Row[];
        } finally {
            reading.underWay -= 1;
            reading.answers += 1;
        }
    }

    #connect(slot: number): Promise<ReadingClient> {
        const connecting = openPipelined(this.#url, () => {
            // A client tells of its end more than once, and late: its place may have been taken.
            if (this.#slots[slot] === connecting) {
                this.#slots[slot] = undefined;
            }
        });
        return connecting;
    }

    async close(): Promise<void> {
        const open = this.#slots.filter((slot) => slot !== undefined);
        await Promise.all(open.map((slot) => slot.then(({ client }) => client.end()).catch(() => {})));
    }
}

interface ReadingClient {
    readonly client: pg.Client;
    underWay: number;
    answers: number;
}

/** As `unlessSilent`, for all reads of a client together: a timer for each would cost what the pipeline saves. */
function endIfSilent(reading: ReadingClient): PeriodicTask {
    let [seen, silentMs] = [0, 0];
    const everyMs = longestAnswerMs / 3;
    return new PeriodicTask({
        sources: systemSources,
        everyMs,
        isDueAtStart: false,
        work: async () => {
            silentMs = reading.underWay === 0 || reading.answers !== seen ? 0 : silentMs + everyMs;
            seen = reading.answers;
            if (silentMs >= longestAnswerMs) {
                end(reading.client);
            }
        },
        onError: () => {},
    });
}

/** Queries of one turn of the event loop leave in one write: under load that is one system call for many, here and in Postgres. */
function gatherWrites(client: pg.Client): void {
    const stream = streamOf(client);
    if (stream.writableCorked === 0) {
        stream.cork();
        setImmediate(() => stream.uncork());
    }
}

async function openPipelined(connectionString: string, onEnd: () => void): Promise<ReadingClient> {
    const client = new pg.Client({
        connectionString,
        pipeline: true,
        connectionTimeoutMillis: 10_000,
        application_name: 'valetkey reads',
        ...probed,
    } as pg.ClientConfig);
    const reading: ReadingClient = { client, underWay: 0, answers: 0 };
    const watch = endIfSilent(reading);
    const ended = (): void => {
        void watch.stop();
        onEnd();
    };
    client.on('error', ended);
    client.on('end', ended);
    try {
        await client.connect();
        // These statements find single rows by unique keys: planning anew for each value would take longer than running them.
        await client.query('set plan_cache_mode = force_generic_plan');
        watch.start();
        return reading;
    } catch (error) {
        ended();
        throw error;
    }
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
