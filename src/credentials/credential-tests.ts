/**
 * Typed-in credentials are tried at their provider about once a day (auth-modes §17.1, webhooks §1.3), read or not, under the lease of
 * the work queue. Reading never tests them, and they are handed out whatever a test said: they are the customer's own. A refusal
 * is confirmed once (R5), then said: state, operation, and at most one webhook, in one transaction (R15).
 */
import type { Kysely } from 'kysely';
import type { OperationRecord } from '../egress/operation-record.ts';
import type { Sources } from '../sources.ts';
import * as writes from '../store/credential-writes.ts';
import type { RenewalTarget } from '../store/renewal-targets.ts';
import * as operations from '../store/operations.ts';
import type { Db } from '../store/database.ts';
import type { Schema } from '../store/schema.ts';
import { enqueueAuthEvent } from '../webhooks/auth-events.ts';
import { eventAbout } from './connection-event.ts';
import { afterTest, nextLookAt, postponedTo, type TestOutcome } from './credential-test-schedule.ts';
import { leaveAsTheyAre, tellOfRecovery } from './recovery-notice.ts';
import { logFailure } from './renewal-failures.ts';
import type { CredentialTest, RenewalStrategies } from './renewal-strategy.ts';

const failureType = 'connection_test_failed';

export class CredentialTests {
    readonly #db: Kysely<Schema>;
    readonly #sources: Sources;
    readonly #strategies: Pick<RenewalStrategies, 'authModeOf'>;
    readonly #wakeDeliveries: () => void;
    readonly #intervalMs: number;

    /** @param dependencies `intervalMs`: 0 for never */
    constructor(dependencies: {
        db: Kysely<Schema>;
        sources: Sources;
        strategies: Pick<RenewalStrategies, 'authModeOf'>;
        wakeDeliveries: () => void;
        intervalMs: number;
    }) {
        this.#db = dependencies.db;
        this.#sources = dependencies.sources;
        this.#strategies = dependencies.strategies;
        this.#wakeDeliveries = dependencies.wakeDeliveries;
        this.#intervalMs = dependencies.intervalMs;
    }

    /** Must be called by the holder of the lease with this epoch; ends the lease. */
    async carryOut(target: RenewalTarget, epoch: number, { run }: CredentialTest, calls?: OperationRecord): Promise<void> {
        const dueAt = target.next_refresh_at?.getTime() ?? 0;
        const isTestable = run !== undefined && this.#intervalMs > 0;
        if (!isTestable) {
            const lease = { epoch, authMode: this.#strategies.authModeOf(target.provider), nextRefreshAt: new Date(nextLookAt(this.#sources)) };
            await this.#db.transaction().execute((transaction) => leaveAsTheyAre(transaction, this.#sources, target, lease));
            this.#wakeDeliveries();
            return;
        }
        const later = postponedTo(dueAt, this.#intervalMs, this.#sources);
        if (later !== null) {
            await writes.releaseLease(this.#db, target.id, epoch, { nextRefreshAt: new Date(later) });
            return;
        }
        const verdict = await run();
        const progress = {
            isRejected: target.credential_verdict === 'rejected',
            refusals: target.credential_refusals,
            attempts: target.refresh_attempts,
        };
        const outcome = afterTest(verdict, progress, this.#intervalMs, this.#sources);
        await this.#db
            .transaction()
            .execute((transaction) =>
                this.#record(transaction, target, epoch, outcome, { description: 'description' in verdict ? verdict.description : '', calls }),
            );
        this.#wakeDeliveries();
    }

    async #record(
        db: Db,
        target: RenewalTarget,
        epoch: number,
        outcome: TestOutcome,
        { description, calls }: { description: string; calls: OperationRecord | undefined },
    ): Promise<void> {
        const now = new Date(this.#sources.now());
        const operationId = operations.newOperationId(this.#sources);
        const error = outcome.verdict === 'rejected' ? { type: failureType, description } : undefined;
        // What was stored had been accepted, unless it says that nobody could be asked.
        const isNews = outcome.verdict !== null && outcome.verdict !== (target.credential_verdict ?? 'accepted');
        const isHeld = await writes.writeTestOutcome(db, {
            id: target.id,
            epoch,
            verdict: outcome.verdict,
            refusals: outcome.refusals,
            attempts: outcome.attempts,
            nextRefreshAt: new Date(outcome.nextAt),
            now,
            error: error && { ...error, log_id: operationId, since: target.auth_error?.since ?? now.toISOString() },
            isReported: isNews,
        });
        if (!isHeld) {
            return;
        }
        const authMode = this.#strategies.authModeOf(target.provider);
        const event = eventAbout(target, authMode);
        if (error !== undefined) {
            await logFailure(db, target, { id: operationId, action: 'connection_test', error, calls, at: now });
        }
        const wasReported = target.refresh_failure_reported_at !== null;
        if (isNews && error !== undefined) {
            await enqueueAuthEvent(db, this.#sources, { ...event, operation: 'refresh', error });
        }
        if (outcome.verdict === 'accepted' && wasReported) {
            await tellOfRecovery(db, this.#sources, target, authMode);
        }
        if (isNews) {
            await enqueueAuthEvent(db, this.#sources, { ...event, operation: 'verification', ...(error && { error }) });
        }
    }
}
