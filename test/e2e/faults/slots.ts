/** Bounds how many processes run at once: each takes memory. Whoever waits for slots must hold none. */
export class Slots {
    readonly #waiting: { count: number; begin: () => void }[] = [];
    #free: number;

    constructor(size: number) {
        this.#free = size;
    }

    async use<T>(count: number, work: () => Promise<T>): Promise<T> {
        await new Promise<void>((begin) => {
            this.#waiting.push({ count, begin });
            this.#next();
        });
        try {
            return await work();
        } finally {
            this.#free += count;
            this.#next();
        }
    }

    /** In their order, so that a large request is not overtaken for ever. */
    #next(): void {
        for (let first = this.#waiting[0]; first !== undefined && first.count <= this.#free; first = this.#waiting[0]) {
            this.#waiting.shift();
            this.#free -= first.count;
            first.begin();
        }
    }
}
