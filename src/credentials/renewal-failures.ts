/** Writes what a failed renewal does to a connection (`failure-outcome.ts`): its state, the operation log, and at most one webhook. */
import type { Kysely } from 'kysely';
import type { OperationRecord } from '../egress/operation-record.ts';
import type { Sources } from '../sources.ts';
import * as writes from '../store/credential-writes.ts';
import type { RenewalTarget } from '../store/renewal-targets.ts';
import * as integrations from '../store/integrations.ts';
import * as operations from '../store/operations.ts';
import { json, type Db } from '../store/database.ts';
import type { Schema } from '../store/schema.ts';
import { enqueueAuthEvent } from '../webhooks/auth-events.ts';
import { eventAbout } from './connection-event.ts';
import { lapseToTell, tellOfLapse } from './expiry-notice.ts';
import { isLongUnavailable, isReportedNow, outcomeOfFailure, refusedSinceOf, type FailureOutcome } from './failure-outcome.ts';
import { isServable, lifetimeOf, servableUntil } from './expiry.ts';
import type { RenewalResult } from './leased-renewal.ts';
import { leaveAsTheyAre } from './recovery-notice.ts';
import { earlier } from './renewal-schedule.ts';
import type { RenewalStrategies } from './renewal-strategy.ts';
import type { TokenFailure } from './token-failure.ts';

export class RenewalFailures {
    readonly #db: Kysely<Schema>;
    readonly #sources: Sources;
    readonly #strategies: Pick<RenewalStrategies, 'authModeOf'>;
    readonly #wakeDeliveries: () => void;

    constructor(dependencies: {
        db: Kysely<Schema>;
        sources: Sources;
        strategies: Pick<RenewalStrategies, 'authModeOf'>;
        wakeDeliveries: () => void;
    }) {
        this.#db = dependencies.db;
        this.#sources = dependencies.sources;
        this.#strategies = dependencies.strategies;
        this.#wakeDeliveries = dependencies.wakeDeliveries;
    }

    /** Writes the outcome of a failed token call, if this process still held the lease. */
    async record(target: RenewalTarget, epoch: number, failure: TokenFailure, calls?: OperationRecord): Promise<void> {
        await this.#write(target, epoch, outcomeOfFailure(target, failure, this.#sources), calls);
    }

    /**
     * R10: the call was not made, for its host is in trouble or busy. No attempt, and nobody is told at once; but a token that has died
     * meanwhile must not pass for a good one, and one that is about to is come back for before it does. What stays without a token is
     * told of like any failure: that the circuit spared it the attempts is nothing to whoever reads it (R15).
     */
    async putBack(target: RenewalTarget, epoch: number, until: number): Promise<void> {
        const now = this.#sources.now();
        const lifetime = lifetimeOf(target);
        const isDead = !isServable(lifetime, now);
        const isNews = target.auth_state === 'ok' || target.auth_state === 'degraded';
        const isWorthReporting = isLongUnavailable(target, now);
        if (isDead && (isNews || (isWorthReporting && isReportedNow(target, { state: 'unavailable', isWorthReporting }, now)))) {
            const notBefore = target.auth_error?.not_before === undefined ? undefined : Date.parse(target.auth_error.not_before);
            await this.#write(target, epoch, {
                state: 'unavailable',
                attempts: target.refresh_attempts,
                nextRefreshAt: new Date(Math.max(until, notBefore ?? 0)),
                error: {
                    type: 'token_endpoint_unavailable',
                    description:
                        'The token endpoint of this provider does not answer, or is busy; the credentials are renewed as soon as it can be called.',
                    notBefore,
                    refusals: target.auth_error?.refusals ?? 0,
                    refusedSince: refusedSinceOf(target),
                    isClientRefused: false,
                },
                keepIntent: target.refresh_intent !== null,
                isWorthReporting,
            });
            return;
        }
        const due = target.next_refresh_at;
        const latest = isDead ? until : Math.min(until, servableUntil(lifetime));
        await writes.releaseLease(this.#db, target.id, epoch, due === null ? {} : { nextRefreshAt: new Date(Math.max(due.getTime(), now, latest)) });
    }

    /** R9: an expired credential without a way to renew it is handed out still, but said to be what it is, once. */
    async nothingToRenewWith(target: RenewalTarget, epoch: number): Promise<RenewalResult> {
        const expiresAt = target.credentials_expires_at;
        const isNews =
            ['ok', 'degraded', 'unavailable'].includes(target.auth_state) && expiresAt !== null && expiresAt.getTime() <= this.#sources.now();
        if (!isNews) {
            await this.#awaitExpiry(target, epoch);
            return { kind: 'unchanged' };
        }
        await this.#write(target, epoch, {
            state: 'expired_no_refresh',
            attempts: target.refresh_attempts,
            nextRefreshAt: null,
            error: {
                type: 'expired_no_refresh',
                description: 'The access token has expired and there is no refresh token to renew it with.',
                notBefore: undefined,
                refusals: 0,
                refusedSince: undefined,
                isClientRefused: false,
            },
            keepIntent: false,
            isWorthReporting: true,
        });
        return { kind: 'unchanged' };
    }

    /** Ends the lease until the credentials expire, and says that they will, where it is time for that. */
    async #awaitExpiry(target: RenewalTarget, epoch: number): Promise<void> {
        const now = this.#sources.now();
        const { credentials_expires_at: expiresAt, expiry_notice_at: noticeAt } = target;
        const lapse = lapseToTell(target, now);
        const next = earlier(expiresAt?.getTime() ?? null, lapse === undefined ? (noticeAt?.getTime() ?? null) : null);
        const authMode = this.#strategies.authModeOf(target.provider);
        await this.#db.transaction().execute(async (transaction) => {
            const isHeld = await leaveAsTheyAre(transaction, this.#sources, target, {
                epoch,
                authMode,
                nextRefreshAt: next !== null && next > now ? new Date(next) : null,
                ...(lapse === undefined ? {} : { expiryNoticeAt: null }),
            });
            if (isHeld && lapse !== undefined) {
                await tellOfLapse(transaction, this.#sources, target, authMode, lapse);
            }
        });
        this.#wakeDeliveries();
    }

    async #write(target: RenewalTarget, epoch: number, outcome: FailureOutcome, calls?: OperationRecord): Promise<void> {
        const at = new Date(this.#sources.now());
        const isReported = isReportedNow(target, outcome, at.getTime());
        const operationId = operations.newOperationId(this.#sources);
        const authMode = this.#strategies.authModeOf(target.provider);
        // Of a lost grant nothing is left that could lapse.
        const lapse = outcome.state === 'degraded' || outcome.state === 'unavailable' ? lapseToTell(target, at.getTime()) : undefined;
        await this.#db.transaction().execute(async (transaction) => {
            if (outcome.error.isClientRefused && !(await isStillItsClient(transaction, target))) {
                await writes.releaseLease(transaction, target.id, epoch, { nextRefreshAt: at });
                return;
            }
            const isHeld = await writes.writeFailure(transaction, {
                id: target.id,
                epoch,
                state: outcome.state,
                error: {
                    type: outcome.error.type,
                    description: outcome.error.description,
                    log_id: operationId,
                    since: target.auth_error?.since ?? at.toISOString(),
                    ...(outcome.error.notBefore === undefined ? {} : { not_before: new Date(outcome.error.notBefore).toISOString() }),
                    ...(outcome.error.refusals === 0 ? {} : { refusals: outcome.error.refusals }),
                    ...(outcome.error.refusedSince === undefined ? {} : { refused_since: new Date(outcome.error.refusedSince).toISOString() }),
                    ...(outcome.error.isClientRefused ? { client_refused: true } : {}),
                },
                attempts: outcome.attempts,
                nextRefreshAt: outcome.nextRefreshAt,
                now: at,
                keepIntent: outcome.keepIntent,
                reportedAt: isReported ? at : null,
                isLapseTold: lapse !== undefined,
            });
            if (!isHeld) {
                return;
            }
            await logFailure(transaction, target, { id: operationId, action: 'refresh_token', error: outcome.error, calls, at });
            if (isReported) {
                await enqueueAuthEvent(transaction, this.#sources, {
                    ...eventAbout(target, authMode),
                    operation: 'refresh',
                    error: { type: outcome.error.type, description: outcome.error.description },
                });
            }
            if (lapse !== undefined) {
                await tellOfLapse(transaction, this.#sources, target, authMode, lapse);
            }
        });
        this.#wakeDeliveries();
    }
}

/**
 * A client that was replaced while its token call was under way says nothing about the one that replaced it. Held, so that a
 * replacement now finds this failure written, or is found here.
 */
async function isStillItsClient(db: Db, { integration }: RenewalTarget): Promise<boolean> {
    const current = await integrations.hold(db, integration.id);
    return (
        current === undefined ||
        (current.oauth_client_id === integration.oauth_client_id && current.sealed_oauth_client_secret === integration.sealed_oauth_client_secret)
    );
}

export async function logFailure(
    db: Db,
    target: RenewalTarget,
    failed: {
        id: string;
        action: 'refresh_token' | 'connection_test';
        error: { type: string; description: string };
        /** What was said to the provider. */
        calls: OperationRecord | undefined;
        at: Date;
    },
): Promise<void> {
    const { id, action, error, calls, at } = failed;
    const operation = {
        id,
        environment_id: target.environment_id,
        type: 'auth',
        action,
        state: 'failed',
        level: 'error',
        message: error.description,
        integration_id: target.integration.id,
        connection_row_id: target.id,
        connection_id: target.connection_id,
        error: json({ type: error.type, message: error.description }),
        meta: null,
        created_at: at,
        ended_at: at,
        expires_at: null,
    } as const;
    await operations.open(db, operation, calls?.messages());
}
