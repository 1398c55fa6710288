/** The background refresher (R12): renews what is due whether or not anybody reads it, and mends what a crash left behind. */
import { PeriodicTask } from '../periodic-task.ts';
import { loadTargets, type RenewalTarget } from '../store/renewal-targets.ts';
import { LeasedWorker, claimDue, refreshQueue, type ClaimedRow } from '../store/leased-work.ts';
import { leaseMs, writersFirstMs, type RenewalDependencies } from './leased-renewal.ts';
import type { Renewals } from './renewal.ts';

/**
 * Nearly all of a renewal is waiting for its provider, and costs nothing meanwhile: at 200 ms a call, 320 slots are 1 600 renewals a
 * second. What a provider can bear is not this number's business.
 */
const concurrency = 400;
/** R12: of the slots that one provider may hold, a fifth always stays free; of two, a ninth; and so on. */
const perFreeSlot = 4;
const perProvider = (concurrency * perFreeSlot) / (perFreeSlot + 1);
const pollMs = 1_000;
const gather = { slots: 50, ms: 50 };
/** A live process applies its own answers within this time. */
const journalGraceMs = 60_000;
const recoverEveryMs = 60_000;

export class Refresher {
    readonly #worker: LeasedWorker<ClaimedRenewal>;
    readonly #recovery: PeriodicTask;
    readonly #dependencies: Pick<RenewalDependencies, 'db' | 'sources'>;
    #isDatabaseAway = false;

    constructor(renewals: Renewals, dependencies: Pick<RenewalDependencies, 'db' | 'sources' | 'logger' | 'owner'>) {
        const { db, sources, logger, owner } = dependencies;
        this.#dependencies = dependencies;
        this.#worker = new LeasedWorker({
            sources,
            concurrency,
            pollMs,
            gather,
            claim: (limit, busyGroups) =>
                this.#afterOutage(async () => {
                    const now = sources.now();
                    return withTargets(
                        db,
                        await claimDue(db, refreshQueue, { owner, now, leaseMs, limit, groupLimit: perProvider, busyGroups, perFreeSlot }),
                    );
                }),
            work: async (item) => {
                const result = await renewals.renewClaimed(item.id, item.epoch, item.target);
                logger.debug({ connection_row: item.id, provider: item.group, result: result.kind }, 'background renewal');
            },
            onError: (error) => logger.error({ err: error }, 'background renewal could not be carried out'),
        });
        this.#recovery = new PeriodicTask({
            sources,
            everyMs: recoverEveryMs,
            isDueAtStart: true,
            // At start everything unsettled is somebody's unfinished work; later only what is older than any live process needs.
            work: (round) => renewals.recover(sources.now() - (round === 1 ? 0 : journalGraceMs)),
            onError: (error) => logger.error({ err: error }, 'journalled token answers could not be looked at'),
        });
    }

    get busy(): number {
        return this.#worker.busy;
    }

    start(): void {
        this.#worker.start();
        this.#recovery.start();
    }

    async stop(): Promise<void> {
        await Promise.all([this.#worker.stop(), this.#recovery.stop()]);
    }

    /**
     * When the database comes back, whoever holds a token answer in memory writes first: a connection whose lease ran out
     * during the outage looks abandoned, and to present its refresh token again would cost the grant (R2b).
     */
    async #afterOutage<T>(claim: () => Promise<T>): Promise<T> {
        const { sources } = this.#dependencies;
        if (this.#isDatabaseAway) {
            await this.#dependencies.db.selectNoFrom((query) => query.val(1).as('one')).execute();
            await sources.sleep(writersFirstMs, this.#recovery.stopping).catch(() => {});
            this.#isDatabaseAway = false;
        }
        try {
            return await claim();
        } catch (error) {
            this.#isDatabaseAway = true;
            throw error;
        }
    }
}

interface ClaimedRenewal extends ClaimedRow {
    /** `undefined`: deleted since. */
    target: RenewalTarget | undefined;
}

/** One read for all of them, after the claim has been committed: what a renewal needs is read under its lease. */
async function withTargets(db: RenewalDependencies['db'], claimed: ClaimedRow[]): Promise<ClaimedRenewal[]> {
    const targets =
        claimed.length === 0
            ? []
            : await loadTargets(
                  db,
                  claimed.map(({ id }) => id),
              );
    const byId = new Map(targets.map((target) => [target.id, target]));
    return claimed.map((row) => ({ ...row, target: byId.get(row.id) }));
}
