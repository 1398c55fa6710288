/** `last_fetched_at`: reads are noted in memory and written together, so that a read costs no write of its own. */
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { Sources } from '../sources.ts';
import { touchFetched } from '../store/connections.ts';
import type { Schema } from '../store/schema.ts';

const flushEveryMs = 1_000;
const resolutionMs = 60_000;

export class FetchedConnections {
    readonly #dependencies: { db: Kysely<Schema>; sources: Sources; logger: Logger };
    #ids = new Set<string>();
    #flushing: Promise<void> | undefined;

    constructor(dependencies: { db: Kysely<Schema>; sources: Sources; logger: Logger }) {
        this.#dependencies = dependencies;
    }

    /** A connection that is read all the time is written once a minute. */
    note(connection: { id: string; last_fetched_at: Date | null }): void {
        const { sources } = this.#dependencies;
        if (sources.now() - (connection.last_fetched_at?.getTime() ?? 0) < resolutionMs) {
            return;
        }
        this.#ids.add(connection.id);
        this.#flushing ??= sources.sleep(flushEveryMs).then(
            () => this.flush(),
            () => {},
        );
    }

    async flush(): Promise<void> {
        const ids = this.#ids;
        this.#ids = new Set();
        this.#flushing = undefined;
        const { db, sources, logger } = this.#dependencies;
        if (ids.size > 0) {
            await touchFetched(db, [...ids], new Date(sources.now())).catch((error: unknown) =>
                logger.warn({ err: error }, 'last_fetched_at not recorded'),
            );
        }
    }
}
