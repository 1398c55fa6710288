/**
 * Writes that are ready at about the same moment leave in one statement: one round trip and one commit for all of them. While one
 * is under way the next gather, so that nothing waits for company when there is none.
 */
import { isPassing } from './until-database-answers.ts';

export class GroupCommit<Item, Result> {
    readonly #write: (items: readonly Item[]) => Promise<readonly Result[]>;
    readonly #waiting: Waiting<Item, Result>[] = [];
    #isWriting = false;

    /** @param write all or none; the results in the order of the items */
    constructor(write: (items: readonly Item[]) => Promise<readonly Result[]>) {
        this.#write = write;
    }

    /** Resolves when the item is committed. */
    add(item: Item): Promise<Result> {
        const { promise, resolve, reject } = Promise.withResolvers<Result>();
        this.#waiting.push({ item, resolve, reject });
        if (!this.#isWriting) {
            this.#isWriting = true;
            // Those that were claimed together get here in the same turn of the event loop.
            setImmediate(() => void this.#writeAll());
        }
        return promise;
    }

    async #writeAll(): Promise<void> {
        while (this.#waiting.length > 0) {
            await this.#settle(this.#waiting.splice(0, most));
        }
        this.#isWriting = false;
    }

    async #settle(group: readonly Waiting<Item, Result>[]): Promise<void> {
        try {
            const results = await this.#write(group.map(({ item }) => item));
            group.forEach(({ resolve }, index) => resolve(results[index]!));
        } catch (error) {
            if (group.length === 1 || isPassing(error)) {
                group.forEach(({ reject }) => reject(error));
                return;
            }
            // Whose fault it is shows when each is written by itself; the others must not suffer from it.
            await Promise.all(group.map((one) => this.#settle([one])));
        }
    }
}

interface Waiting<Item, Result> {
    item: Item;
    resolve(result: Result): void;
    reject(error: unknown): void;
}

/** A statement's parameters stay below a megabyte or so. */
const most = 100;
