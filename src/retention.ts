/** Removes what nobody needs any more: expired sessions and flows, settled journal entries and webhooks, old operations, installations that never came, shredded connections and keys. */
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import { expirePending } from './connect/pending.ts';
import { PeriodicTask } from './periodic-task.ts';
import type { Sources } from './sources.ts';
import * as connectFlows from './store/connect-flows.ts';
import * as sessions from './store/connect-sessions.ts';
import * as idempotentRequests from './store/idempotent-requests.ts';
import * as flows from './store/oauth-flows.ts';
import { keepPartitions } from './store/operation-partitions.ts';
import * as operations from './store/operations.ts';
import * as retained from './store/retention.ts';
import { dropRoutine } from './store/routine-operations.ts';
import type { Schema } from './store/schema.ts';
import * as tokenHosts from './store/token-hosts.ts';
import * as signingKeys from './store/webhook-signing-keys.ts';

const hour = 3600 * 1000;
const day = 24 * hour;
/** Webhooks §5.1: how soon it is said of an operation that nothing more will come of it. */
const expiryMs = 10 * 60 * 1000;
/** O1. */
export const operationsKeptMs = 15 * day;

interface Dependencies {
    db: Kysely<Schema>;
    sources: Sources;
    logger: Logger;
    /** How long routine renewals stay in the operation log. */
    renewalLogKeptMs: number;
}

export class Retention {
    readonly #dependencies: Dependencies;
    readonly #rounds: PeriodicTask;

    constructor(dependencies: Dependencies) {
        const { db, sources, logger } = dependencies;
        this.#dependencies = dependencies;
        this.#rounds = new PeriodicTask({
            sources,
            everyMs: expiryMs,
            isDueAtStart: false,
            work: (round) => (round % (hour / expiryMs) === 0 ? this.purge() : operations.expire(db, new Date(sources.now()))),
            onError: (error) => logger.error({ err: error }, 'expired rows could not be removed'),
        });
    }

    start(): void {
        this.#rounds.start();
    }

    stop(): Promise<void> {
        return this.#rounds.stop();
    }

    async purge(): Promise<void> {
        const { db, sources, renewalLogKeptMs } = this.#dependencies;
        const before = (age: number): Date => new Date(sources.now() - age);
        await flows.purge(db, before(2 * day));
        await connectFlows.purge(db, before(2 * day));
        await sessions.purge(db, before(31 * day));
        await idempotentRequests.purge(db, before(day));
        await retained.purgeJournal(db, before(7 * day));
        await retained.purgeWebhooks(db, before(30 * day));
        await signingKeys.revokeExpired(db, before(0));
        await signingKeys.purgeRevoked(db, before(90 * day));
        await keepPartitions(db, sources.now(), operationsKeptMs);
        await operations.expire(db, before(0));
        await expirePending({ db, sources });
        await tokenHosts.purge(db, before(day));
        await retained.purgeConnections(db, before(31 * day));
        // Last: where somebody reads the whole log, as a backup does, it gives up, until the next time.
        await dropRoutine(db, sources.now(), renewalLogKeptMs);
    }
}
