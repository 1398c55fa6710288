/**
 * What replicas tell each other so that nobody has to wait for a poll: LISTEN/NOTIFY on one connection per process.
 *
 * Hints only: a row is the truth, and whoever waits polls it. A notification may be lost, come twice or come for nothing, and
 * behind a transaction-mode pooler none ever arrives; a process believes in its ears once it has heard itself.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import type { Sources } from '../sources.ts';
import type { Database, Listening } from './database.ts';

/** Also in migration 0016, whose trigger tells of ended renewals. */
const channel = 'valetkey';
const shortestPauseMs = 1_000;
const longestPauseMs = 30_000;

/** Whoever waits for one renewal to end. */
export interface RenewalWatch {
    /** Resolves with the next hint after this call. */
    next(): Promise<void>;
    end(): void;
}

export class Hints {
    readonly #dependencies: { database: Database; sources: Sources; logger: Logger; owner: string };
    readonly #watches = new Map<string, Set<() => void>>();
    readonly #stopping = new AbortController();
    #onDeliveries: () => void = () => {};
    #telling: Promise<void> | undefined;
    #hasMoreToTell = false;
    #isHearing = false;
    #loop: Promise<void> | undefined;

    constructor(dependencies: { database: Database; sources: Sources; logger: Logger; owner: string }) {
        this.#dependencies = dependencies;
    }

    /** @param onDeliveries another process has put events into the outbox */
    start(onDeliveries: () => void): void {
        this.#onDeliveries = onDeliveries;
        this.#loop ??= this.#run();
    }

    async stop(): Promise<void> {
        this.#stopping.abort();
        await Promise.all([this.#loop, this.#telling]);
    }

    /** Whether hints arrive, so that polling may be rare. */
    get isHearing(): boolean {
        return this.#isHearing;
    }

    watchRenewal(id: string): RenewalWatch {
        let pending = Promise.withResolvers<void>();
        const wake = (): void => {
            pending.resolve();
            pending = Promise.withResolvers();
        };
        const watches = this.#watches.get(id) ?? new Set();
        this.#watches.set(id, watches.add(wake));
        return {
            next: () => pending.promise,
            end: () => {
                watches.delete(wake);
                if (watches.size === 0 && this.#watches.get(id) === watches) {
                    this.#watches.delete(id);
                }
            },
        };
    }

    /** One notification at a time, however many events there are: NOTIFY takes a lock of the whole database at commit. */
    tellOfDeliveries(): void {
        this.#hasMoreToTell = true;
        this.#telling ??= this.#tellRepeatedly().finally(() => (this.#telling = undefined));
    }

    async #tellRepeatedly(): Promise<void> {
        while (this.#hasMoreToTell && !this.#stopping.signal.aborted) {
            this.#hasMoreToTell = false;
            await this.#tell('deliveries').catch(() => {});
        }
    }

    async #run(): Promise<void> {
        const { database, sources, logger, owner } = this.#dependencies;
        const stopped = new Promise<void>((resolve) => this.#stopping.signal.addEventListener('abort', () => resolve(), { once: true }));
        for (let pause = shortestPauseMs; !this.#stopping.signal.aborted; pause = Math.min(pause * 2, longestPauseMs)) {
            let listening: Listening | undefined;
            try {
                const opening = database.listen(channel, (text) => this.#hear(text));
                if (opening === undefined) {
                    return;
                }
                listening = await opening;
                await this.#tell(`hello ${owner}`);
                await Promise.race([listening.ended, stopped]);
                pause = shortestPauseMs;
            } catch (error) {
                logger.debug({ err: error }, 'hints of other processes cannot be heard; everything is found by polling');
            }
            this.#isHearing = false;
            await listening?.close();
            await sources.sleep(pause, this.#stopping.signal).catch(() => {});
        }
    }

    async #tell(text: string): Promise<void> {
        await sql`select pg_notify(${channel}, ${text})`.execute(this.#dependencies.database.db);
    }

    #hear(text: string): void {
        const [about, id = ''] = text.split(' ');
        if (about === 'renewed') {
            this.#watches.get(id)?.forEach((wake) => wake());
        } else if (about === 'deliveries') {
            this.#onDeliveries();
        } else if (about === 'hello' && id === this.#dependencies.owner) {
            this.#isHearing = true;
        }
    }
}
