/**
 * Prepared reads on a few connections that send without waiting for earlier answers. Measured at about twice the
 * throughput of a pool. Only single statements outside transactions may run here: clients are shared between requests.
 */
import pg from 'pg';
import { endIfSilent, probed, streamOf, type Progress } from './silent-connection.ts';
import type { StatementNames } from './statement-names.ts';

const clients = 2;

export class PipelinedReads {
    readonly #url: string;
    readonly #slots: (Promise<ReadingClient> | undefined)[];
    readonly #names: StatementNames;
    #next = 0;

    constructor(url: string, names: StatementNames) {
        this.#url = url;
        this.#names = names;
        this.#slots = Array.from({ length: clients });
    }

    async query<Row>(name: string, text: string, values: readonly unknown[]): Promise<Row[]> {
        const slot = this.#next;
        this.#next = (slot + 1) % this.#slots.length;
        const reading = await (this.#slots[slot] ??= this.#connect(slot));
        gatherWrites(reading.client);
        const as = this.#names.of(name, text);
        reading.underWay += 1;
        try {
            const { rows } = await reading.client.query({ name: as, text, values: values as unknown[] });
            return rows as Row[];
        } catch (error) {
            if (as === undefined || !this.#names.isRefused(error)) {
                throw error;
            }
            return (await reading.client.query(text, values as unknown[])).rows as Row[];
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

interface ReadingClient extends Progress {
    readonly client: pg.Client;
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
    const watch = endIfSilent(client, reading);
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
