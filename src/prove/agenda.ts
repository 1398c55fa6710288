/** A virtual clock: what is to happen, in the order of its time. A binary heap, because a run has millions of steps. */
export class Agenda {
    readonly #times: number[] = [];
    readonly #steps: ((now: number) => void)[] = [];

    add(time: number, step: (now: number) => void): void {
        const [times, steps] = [this.#times, this.#steps];
        let place = times.length;
        for (; place > 0;) {
            const parent = (place - 1) >> 1;
            if (times[parent]! <= time) {
                break;
            }
            times[place] = times[parent]!;
            steps[place] = steps[parent]!;
            place = parent;
        }
        times[place] = time;
        steps[place] = step;
    }

    /** Everything that is due before `end`, and what that leads to. */
    run(end: number): void {
        while (this.#times.length > 0 && this.#times[0]! < end) {
            const [time, step] = [this.#times[0]!, this.#steps[0]!];
            this.#removeFirst();
            step(time);
        }
    }

    #removeFirst(): void {
        const [times, steps] = [this.#times, this.#steps];
        const [time, step] = [times.pop()!, steps.pop()!];
        const size = times.length;
        if (size === 0) {
            return;
        }
        let place = 0;
        for (;;) {
            let child = 2 * place + 1;
            if (child >= size) {
                break;
            }
            if (child + 1 < size && times[child + 1]! < times[child]!) {
                child += 1;
            }
            if (times[child]! >= time) {
                break;
            }
            times[place] = times[child]!;
            steps[place] = steps[child]!;
            place = child;
        }
        times[place] = time;
        steps[place] = step;
    }
}
