/** The clock that replicas share: the database's (R11). Read now and then; in between, this process's clock plus the difference. */
import { PeriodicTask } from '../periodic-task.ts';
import type { Sources } from '../sources.ts';
import type { ClockReading, Database } from './database.ts';

const readEveryMs = 60_000;
/** A reading may be wrong by this much. A process that stood still in the middle of one would be wrong by half of that pause. */
const toleratedErrorMs = 1_000;
const attempts = 3;

export class DatabaseClock {
    readonly #database: Database;
    readonly #sources: Sources;
    readonly #readings: PeriodicTask;
    #offset = 0;
    #isRead = false;

    constructor(database: Database, sources: Sources) {
        this.#database = database;
        this.#sources = sources;
        this.#readings = new PeriodicTask({
            sources,
            everyMs: readEveryMs,
            isDueAtStart: false, // whoever starts a process reads it before
            work: () => this.read(),
            onError: () => {}, // a database that does not answer leaves the last difference standing
        });
    }

    /** Milliseconds the database is ahead of this process. */
    offset = (): number => this.#offset;

    /** Takes the first reading that is exact enough. Without any the last one stands; at the start, the best there is. */
    async read(): Promise<void> {
        let best: ClockReading | undefined;
        for (let attempt = 0; attempt < attempts; attempt += 1) {
            const reading = await this.#database.readClock(this.#sources.now);
            best = best === undefined || reading.errorMs < best.errorMs ? reading : best;
            if (best.errorMs <= toleratedErrorMs) {
                break;
            }
        }
        if (best !== undefined && (best.errorMs <= toleratedErrorMs || !this.#isRead)) {
            this.#offset = best.offsetMs;
            this.#isRead = true;
        }
    }

    start(): void {
        this.#readings.start();
    }

    stop(): Promise<void> {
        return this.#readings.stop();
    }
}
