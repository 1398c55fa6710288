/**
 * Pages that wait for their flow to go on. The row is the truth, whoever changes it: one statement looks for all who wait in this
 * process, at once when something happened here, else in short intervals.
 */
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { Sources } from '../sources.ts';
import * as connectFlows from '../store/connect-flows.ts';
import type { Schema } from '../store/schema.ts';
import { statusOf, type ConnectFlowStatus } from './connect-flow.ts';

const pollEveryMs = 700;
/** A page waits for one flow; a few more are tabs and reloads. Beyond, the one that has waited longest is answered. */
const mostPerSession = 4;

interface Waiting {
    flowId: string;
    sessionId: string;
    seen: ConnectFlowStatus;
    until: number;
    answer(status: ConnectFlowStatus): void;
}

export class FlowWaits {
    readonly #dependencies: { db: Kysely<Schema>; sources: Sources; logger: Logger };
    readonly #waiting = new Set<Waiting>();
    readonly #stopping = new AbortController();
    #pause = new AbortController();
    #loop: Promise<void> | undefined;

    constructor(dependencies: { db: Kysely<Schema>; sources: Sources; logger: Logger }) {
        this.#dependencies = dependencies;
    }

    async status(flowId: string, sessionId: string): Promise<ConnectFlowStatus> {
        const { db, sources } = this.#dependencies;
        const [flow] = await connectFlows.read(db, [flowId]);
        return statusOf(flow, sessionId, sources.now());
    }

    /** Resolves when the state is another than `seen`, after `ms`, or when nobody listens any more or the process stops. */
    next(flowId: string, sessionId: string, seen: ConnectFlowStatus, ms: number, gone: AbortSignal): Promise<ConnectFlowStatus> {
        if (this.#stopping.signal.aborted || gone.aborted) {
            return Promise.resolve(seen);
        }
        return new Promise((resolve) => {
            const waiting: Waiting = {
                flowId,
                sessionId,
                seen,
                until: this.#dependencies.sources.now() + ms,
                answer: (status) => {
                    this.#waiting.delete(waiting);
                    resolve(status);
                },
            };
            gone.addEventListener('abort', () => waiting.answer(seen), { once: true });
            const [longest, ...others] = [...this.#waiting].filter((other) => other.sessionId === sessionId);
            if (longest !== undefined && others.length + 1 >= mostPerSession) {
                longest.answer(longest.seen);
            }
            this.#waiting.add(waiting);
            this.#loop ??= this.#run();
        });
    }

    /** Something happened to a flow in this process. */
    wake(): void {
        this.#pause.abort();
    }

    async stop(): Promise<void> {
        this.#stopping.abort();
        await this.#loop;
        this.#waiting.forEach((waiting) => waiting.answer(waiting.seen));
    }

    /** Runs only while somebody waits. */
    async #run(): Promise<void> {
        const { sources, logger } = this.#dependencies;
        while (this.#waiting.size > 0 && !this.#stopping.signal.aborted) {
            await sources.sleep(pollEveryMs, AbortSignal.any([this.#stopping.signal, this.#pause.signal])).catch(() => {});
            this.#pause = new AbortController();
            await this.#look().catch((error: unknown) => logger.error({ err: error }, 'the flows that pages wait for could not be looked up'));
        }
        this.#loop = undefined;
    }

    async #look(): Promise<void> {
        const { db, sources } = this.#dependencies;
        const waiting = [...this.#waiting];
        if (waiting.length === 0) {
            return;
        }
        const now = sources.now();
        // Those whose time is over are answered although the database is away.
        waiting.filter(({ until }) => until <= now).forEach((late) => late.answer(late.seen));
        const flows = await connectFlows.read(db, [...new Set(waiting.map(({ flowId }) => flowId))]);
        const byId = new Map(flows.map((flow) => [flow.id, flow]));
        for (const each of waiting) {
            const status = statusOf(byId.get(each.flowId), each.sessionId, now);
            if (status.state !== each.seen.state) {
                each.answer(status);
            }
        }
    }
}
