/** Connections to the database whose other end is gone without a word: after a failover, or where a firewall forgot them. */
import type { Duplex } from 'node:stream';
import type pg from 'pg';
import { PeriodicTask } from '../periodic-task.ts';
import { systemSources } from '../sources.ts';

/**
 * Longer than a read or any statement of `prepared.ts` takes. TCP gives a connection up whose other end is gone without a word after a
 * quarter of an hour; whoever holds a token answer has to write it before its lease is over (R2b), and readers do not wait so long.
 */
const longestAnswerMs = 15_000;
/** Firewalls and load balancers forget connections that are quiet for minutes; probes keep them, or find out. */
export const probed = { keepAlive: true, keepAliveInitialDelayMillis: 30_000 };

/** Ends a connection that does not answer: the statement fails, and who repeats it gets another connection. */
export function unlessSilent<Answer>(client: pg.ClientBase, answer: Promise<Answer>): Promise<Answer> {
    const answered = new AbortController();
    systemSources.sleep(longestAnswerMs, answered.signal).then(
        () => end(client),
        () => {},
    );
    return answer.finally(() => answered.abort('answered'));
}

const end = (client: pg.ClientBase): void => void streamOf(client).destroy(new Error('the connection to the database does not answer'));

export const streamOf = (client: pg.ClientBase): Duplex => (client as unknown as { connection: { stream: Duplex } }).connection.stream;

/** What is under way on a connection that many use at once. */
export interface Progress {
    underWay: number;
    answers: number;
}

/** As `unlessSilent`, for all statements of a connection together: a timer for each would cost what a pipeline saves. */
export function endIfSilent(client: pg.ClientBase, progress: Progress): PeriodicTask {
    let [seen, silentMs] = [0, 0];
    const everyMs = longestAnswerMs / 3;
    return new PeriodicTask({
        sources: systemSources,
        everyMs,
        isDueAtStart: false,
        work: async () => {
            silentMs = progress.underWay === 0 || progress.answers !== seen ? 0 : silentMs + everyMs;
            seen = progress.answers;
            if (silentMs >= longestAnswerMs) {
                end(client);
            }
        },
        onError: () => {},
    });
}
