/** The clock that replicas share: the database's (R11). Read now and then; in between, this process's clock plus the difference. */
import type { Sources } from '../sources.ts';
import type { Database } from './database.ts';

const readEveryMs = 60_000;

export class DatabaseClock {
    readonly #database: Database;
    readonly #sources: Sources;
    readonly #stopping = new AbortController();
    #offset = 0;
    #loop: Promise<void> | undefined;

    constructor(database: Database, sources: Sources) {
        this.#database = database;
        this.#sources = sources;
    }

    /** Milliseconds the database is ahead of this process. */
    offset = (): number => this.#offset;

    async read(): Promise<void> {
        this.#offset = await this.#database.clockOffset(this.#sources.now);
    }

    start(): void {
        this.#loop ??= this.#follow();
    }

    async stop(): Promise<void> {
        this.#stopping.abort();
        await this.#loop;
    }

    async #follow(): Promise<void> {
        while (!this.#stopping.signal.aborted) {
            await this.#sources.sleep(readEveryMs, this.#stopping.signal).catch(() => {});
            // A database that does not answer leaves the last difference standing.
            await (this.#stopping.signal.aborted ? undefined : this.read().catch(() => {}));
        }
    }
}
