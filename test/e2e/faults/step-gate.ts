/** Where a process that reaches its held step asks how it goes on. It is held until the test has an answer. */
import { listen } from '../../peers/http-server.ts';

export interface StepGate {
    url: string;
    /** The step was reached, and the process waits. */
    reached: Promise<void>;
    answer(word: 'go on' | 'die'): void;
    close(): Promise<void>;
}

/** @param occurrence the one that is held; the process passes all others */
export async function startStepGate(occurrence: number): Promise<StepGate> {
    const reached = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<string>();
    let count = 0;
    const server = await listen((_request, response) => {
        count += 1;
        if (count !== occurrence) {
            response.end('go on');
            return;
        }
        reached.resolve();
        void answered.promise.then((word) => response.end(word));
    });
    return {
        url: `http://127.0.0.1:${server.port}/`,
        reached: reached.promise,
        answer: (word) => answered.resolve(word),
        close: () => server.close(),
    };
}
