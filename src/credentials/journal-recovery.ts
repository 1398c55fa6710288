/** Answers that a crash left in the journal (R2): found at the start of a worker and once a minute, and applied without another call. */
import * as writes from '../store/credential-writes.ts';
import { loadTarget } from '../store/renewal-targets.ts';
import * as journal from '../store/credential-journal.ts';
import { leaseMs, type RenewalDependencies } from './leased-renewal.ts';
import type { TokenAnswers } from './token-answers.ts';

export class JournalRecovery {
    readonly #dependencies: RenewalDependencies;
    readonly #answers: TokenAnswers;

    constructor(dependencies: RenewalDependencies, answers: TokenAnswers) {
        this.#dependencies = dependencies;
        this.#answers = answers;
    }

    /** Applies answers that were journalled by a process that did not live to apply them. @returns how many connections were mended. */
    async recover(receivedBefore: number): Promise<number> {
        const { db, logger } = this.#dependencies;
        let recovered = 0;
        for await (const entry of journal.unsettled(db, new Date(receivedBefore))) {
            try {
                recovered += (await this.#recoverEntry(entry)) ? 1 : 0;
            } catch (error) {
                // Its own trouble: the entries after it have waited as long.
                logger.error({ err: error, journal: entry.id }, 'a journalled token answer could not be looked at');
            }
        }
        return recovered;
    }

    async #recoverEntry(entry: { id: string; connection_row_id: string }): Promise<boolean> {
        const { db, logger, owner, sources } = this.#dependencies;
        const target = await loadTarget(db, entry.connection_row_id);
        if (target === undefined) {
            await journal.discard(db, entry.id);
            return false;
        }
        if (target.journal === null) {
            return false;
        }
        let appliedAt: number | undefined;
        if (target.journal.refresh_epoch === target.refresh_epoch) {
            appliedAt = await this.#answers.applyJournalled(target, target.refresh_epoch);
        } else {
            // A later lease began before this answer was written. While it lasts, its holder may still find it.
            const epoch = await writes.acquireLease(db, target.id, owner, sources.now(), leaseMs);
            const leased = epoch === undefined ? undefined : await loadTarget(db, target.id);
            if (epoch === undefined || leased === undefined) {
                return false;
            }
            try {
                appliedAt = await this.#answers.applyJournalled(leased, epoch);
            } finally {
                // Also of an entry that cannot be opened: it is looked at again and again, and must not keep others away. After a success the epoch is over.
                await writes.releaseLease(db, target.id, epoch);
            }
        }
        if (appliedAt !== undefined) {
            logger.warn({ connection: target.connection_id, integration: target.integration.unique_key }, 'applied a journalled token answer');
        }
        return appliedAt !== undefined;
    }
}
