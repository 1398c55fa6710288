/** Work done over and over, with a rest in between, until it is stopped. What fails is tried again in the next round. */
import type { Sources } from './sources.ts';

export interface PeriodicTaskOptions {
    sources: Sources;
    /** From the end of one round to the beginning of the next. */
    everyMs: number;
    /** Whether the first round begins with `start()`, or after a rest. */
    isDueAtStart: boolean;
    /** Rounds are counted from 1. */
    work(round: number): Promise<unknown>;
    onError(error: unknown): void;
}

export class PeriodicTask {
    readonly #options: PeriodicTaskOptions;
    readonly #stopping = new AbortController();
    #loop: Promise<void> | undefined;

    constructor(options: PeriodicTaskOptions) {
        this.#options = options;
    }

    /** For what the work itself waits for. */
    get stopping(): AbortSignal {
        return this.#stopping.signal;
    }

    start(): void {
        this.#loop ??= this.#run();
    }

    /** Begins no further round and waits for the one under way. */
    async stop(): Promise<void> {
        this.#stopping.abort();
        await this.#loop;
    }

    async #run(): Promise<void> {
        const { isDueAtStart, work, onError } = this.#options;
        if (!isDueAtStart) {
            await this.#rest();
        }
        for (let round = 1; !this.stopping.aborted; round += 1) {
            try {
                await work(round);
            } catch (error) {
                onError(error);
            }
            await this.#rest();
        }
    }

    async #rest(): Promise<void> {
        const { sources, everyMs } = this.#options;
        await sources.sleep(everyMs, this.stopping).catch(() => {});
    }
}
