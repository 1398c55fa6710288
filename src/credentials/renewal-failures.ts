/** Writes what a failed renewal does to a connection (`failure-outcome.ts`): its state, the operation log, and at most one webhook. */
import type { Kysely } from 'kysely';
import type { Sources } from '../sources.ts';
import * as writes from '../store/credential-writes.ts';
import type { RenewalTarget } from '../store/credential-writes.ts';
import * as integrations from '../store/integrations.ts';
import * as operations from '../store/operations.ts';
import { json, type Db } from '../store/database.ts';
import type { Schema } from '../store/schema.ts';
import { enqueueAuthEvent } from '../webhooks/auth-events.ts';
import { isReportedNow, outcomeOfFailure, type FailureOutcome } from './failure-outcome.ts';
import type { RenewalResult } from './leased-renewal.ts';
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
    async record(target: RenewalTarget, epoch: number, failure: TokenFailure): Promise<void> {
        await this.#write(target, epoch, outcomeOfFailure(target, failure, this.#sources));
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

    async #write(target: RenewalTarget, epoch: number, outcome: FailureOutcome): Promise<void> {
        const at = new Date(this.#sources.now());
        const isReported = isReportedNow(target, outcome, at.getTime());
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
