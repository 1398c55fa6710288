/** What a failed renewal does to a connection: its state, when to try again, the operation log, and at most one webhook (R5, R15). */
import type { Kysely } from 'kysely';
import type { Sources } from '../sources.ts';
import * as writes from '../store/credential-writes.ts';
import type { RenewalTarget } from '../store/credential-writes.ts';
import * as integrations from '../store/integrations.ts';
import * as operations from '../store/operations.ts';
import { json, type Db } from '../store/database.ts';
import type { AuthState, Schema } from '../store/schema.ts';
import { enqueueAuthEvent } from '../webhooks/auth-events.ts';
import { isServable, lifetimeOf, servableUntil } from './expiry.ts';
import type { RenewalResult } from './leased-renewal.ts';
import type { RenewalStrategies } from './renewal-strategy.ts';
import { backoff, type TokenFailure } from './token-failure.ts';

const day = 24 * 3600 * 1000;
/** R15: one hiccup is not worth a webhook, a third in a row is. */
const transientFailuresBeforeReport = 3;

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
    async record(target: RenewalTarget, epoch: number, failure: TokenFailure): Promise<void> {
        const now = this.#sources.now();
        const attempts = target.refresh_attempts + 1;
        const isRefusal = failure.kind === 'unknown';
        const refusals = (target.auth_error?.refusals ?? 0) + (isRefusal ? 1 : 0);
        // A lost grant stays lost until something succeeds (§16.9), for the reason it had: an outage during a forced attempt proves nothing.
        const isLost = target.auth_state === 'needs_reauth';
        const isClientRefused = failure.isClientRefused || (isLost && failure.kind !== 'permanent' && target.auth_error?.client_refused === true);
        const wait = isLost ? null : this.#wait(target, failure, isRefusal ? refusals : attempts);
        // Reads must not use up in minutes the few attempts that are meant for a day.
        const patience = isRefusal ? (wait ?? undefined) : failure.retryAfterMs;
        await this.#write(target, epoch, {
            // What waits for its installation does so whatever becomes of the person's token.
            state:
                target.auth_state === 'pending'
                    ? 'pending'
                    : wait === null
                      ? 'needs_reauth'
                      : isServable(lifetimeOf(target), now)
                        ? 'degraded'
                        : 'unavailable',
            attempts,
            nextRefreshAt: wait === null ? null : new Date(now + wait),
            error: {
                type: failure.type,
                description: failure.message,
                notBefore: patience === undefined ? undefined : now + patience,
                refusals,
                isClientRefused,
            },
            keepIntent: failure.isAmbiguous,
            isWorthReporting: wait === null || attempts >= transientFailuresBeforeReport,
        });
    }

    /** `null`: given up. Forced attempts in a row do not shorten the day that an unreadable refusal is given (R5). */
    #wait(target: RenewalTarget, failure: TokenFailure, attempts: number): number | null {
        const wait = backoff(failure, attempts, this.#sources);
        const since = target.auth_error === null ? this.#sources.now() : Date.parse(target.auth_error.since);
        const leftOfTheDay = since + day - this.#sources.now();
        return wait === null && failure.kind === 'unknown' && leftOfTheDay > 0 ? leftOfTheDay : wait;
    }

    /**
     * R10: the call was not made, for its host is in trouble or busy. No attempt, and nobody is told; but a token that has died
     * meanwhile must not pass for a good one, and one that is about to is come back for before it does.
     */
    async putBack(target: RenewalTarget, epoch: number, until: number): Promise<void> {
        const now = this.#sources.now();
        const lifetime = lifetimeOf(target);
        const isDead = !isServable(lifetime, now);
        if (isDead && (target.auth_state === 'ok' || target.auth_state === 'degraded')) {
            await this.#write(target, epoch, {
                state: 'unavailable',
                attempts: target.refresh_attempts,
                nextRefreshAt: new Date(until),
                error: {
                    type: 'token_endpoint_unavailable',
                    description:
                        'The token endpoint of this provider does not answer, or is busy; the credentials are renewed as soon as it can be called.',
                    notBefore: undefined,
                    refusals: target.auth_error?.refusals ?? 0,
                    isClientRefused: false,
                },
                keepIntent: target.refresh_intent !== null,
                isWorthReporting: false,
            });
            return;
        }
        const due = target.next_refresh_at;
        const latest = isDead ? until : Math.min(until, servableUntil(lifetime));
        await writes.releaseLease(this.#db, target.id, epoch, {
            nextRefreshAt: due === null ? null : new Date(Math.max(due.getTime(), now, latest)),
        });
    }

    /** R9: an expired credential without a way to renew it is handed out still, but said to be what it is, once. */
    async nothingToRenewWith(target: RenewalTarget, epoch: number): Promise<RenewalResult> {
        const expiresAt = target.credentials_expires_at;
        const isNews = target.auth_state === 'ok' && expiresAt !== null && expiresAt.getTime() <= this.#sources.now();
        if (!isNews) {
            const isAhead = expiresAt !== null && expiresAt.getTime() > this.#sources.now();
            await writes.releaseLease(this.#db, target.id, epoch, { nextRefreshAt: isAhead ? expiresAt : null });
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
                isClientRefused: false,
            },
            keepIntent: false,
            isWorthReporting: true,
        });
        return { kind: 'unchanged' };
    }

    async #write(
        target: RenewalTarget,
        epoch: number,
        outcome: {
            state: AuthState;
            attempts: number;
            nextRefreshAt: Date | null;
            error: { type: string; description: string; notBefore: number | undefined; refusals: number; isClientRefused: boolean };
            keepIntent: boolean;
            isWorthReporting: boolean;
        },
    ): Promise<void> {
        const at = new Date(this.#sources.now());
        const reportedAt = target.refresh_failure_reported_at?.getTime() ?? null;
        const isReported =
            outcome.isWorthReporting && (reportedAt === null || at.getTime() - reportedAt >= day || becomesFinal(target, outcome.state));
        const operationId = operations.newOperationId(this.#sources);
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
                    ...(outcome.error.isClientRefused ? { client_refused: true } : {}),
                },
                attempts: outcome.attempts,
                nextRefreshAt: outcome.nextRefreshAt,
                now: at,
                keepIntent: outcome.keepIntent,
                reportedAt: isReported ? at : null,
            });
            if (!isHeld) {
                return;
            }
            await logFailure(transaction, target, operationId, outcome.error, at);
            if (isReported) {
                await enqueueAuthEvent(transaction, this.#sources, {
                    environment: { id: target.environment_id, name: target.environment_name },
                    connectionRowId: target.id,
                    connectionId: target.connection_id,
                    providerConfigKey: target.integration.unique_key,
                    provider: target.provider,
                    authMode: this.#strategies.authModeOf(target.provider),
                    operation: 'refresh',
                    tags: target.tags,
                    urlOverride: target.webhook_url_override,
                    error: { type: outcome.error.type, description: outcome.error.description },
                });
            }
        });
        this.#wakeDeliveries();
    }
}

/** A connection that was reported as struggling is reported once more when it is lost for good. */
const becomesFinal = (target: RenewalTarget, state: AuthState): boolean => state === 'needs_reauth' && target.auth_state !== 'needs_reauth';

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

async function logFailure(db: Db, target: RenewalTarget, id: string, error: { type: string; description: string }, at: Date): Promise<void> {
    await operations.open(db, {
        id,
        environment_id: target.environment_id,
        type: 'auth',
        action: 'refresh_token',
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
    });
}
