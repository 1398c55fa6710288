/**
 * What happens under a renewal's lease: due, intent, call (auth-modes §16.9 nos. 3–5). What becomes of the answer is
 * `token-answers.ts`; taking the lease, and waiting for others who hold it, `renewal.ts`.
 */
import { hash } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import { OperationRecord } from '../egress/operation-record.ts';
import { clocksDifferMs, type Sources } from '../sources.ts';
import * as writes from '../store/credential-writes.ts';
import { loadTarget, type RenewalTarget } from '../store/renewal-targets.ts';
import type { Hints } from '../store/hints.ts';
import type * as operations from '../store/operations.ts';
import type { RefreshIntent, Schema } from '../store/schema.ts';
import { livesOn } from './confirmed-lifetime.ts';
import { refreshTokenOf, type Credentials } from './credential.ts';
import { previousTokenPlace } from './credential-places.ts';
import { isServable, keepAliveInterval, lifetimeOf } from './expiry.ts';
import type { CredentialTests } from './credential-tests.ts';
import { GroupCommit } from './group-commit.ts';
import { confirmPauseMs, presentGrant, type Grant } from './present-grant.ts';
import type { RenewalFailures } from './renewal-failures.ts';
import type { RenewalStrategies, RenewalStrategy, TokenReceipt } from './renewal-strategy.ts';
import { openCredentials, type TokenAnswers } from './token-answers.ts';
import { TokenFailure } from './token-failure.ts';
import { TokenGate } from './token-gate.ts';
import { isPassing, untilDatabaseAnswers } from './until-database-answers.ts';
import { VaultError, type Vault } from './vault.ts';

/** How a call for fresh credentials ended. `unchanged`: nothing was due, or nothing can be renewed. */
export type RenewalResult =
    | { kind: 'renewed'; at: number }
    | { kind: 'unchanged' }
    /** A reconnect or a later lease came first; what it brings may not be there yet. */
    | { kind: 'overtaken' }
    | { kind: 'failed'; failure: TokenFailure; at: number }
    /** Not tried: its token endpoint is in trouble, or has enough to do. */
    | { kind: 'put-back'; until: number; by: RenewalRequest }
    | { kind: 'busy' }
    | { kind: 'gone' };

export interface RenewalRequest {
    /** Renew although nothing is due. */
    force: boolean;
    /** When the caller began, ms: credentials obtained after that satisfy even a forced request (R10). */
    since: number;
    /** The work queue asks, nobody waits: it makes room for callers, and what is not renewed but tested is tested now. */
    isBackground?: boolean;
}

/** Labelled moments of a renewal, for fault injection. */
export type RenewalStep = 'leased' | 'intent-recorded' | 'answered' | 'journalled' | 'applied';

/** Told of what happens, to count it. */
export interface RenewalObserver {
    tokenCalled(provider: string, ms: number, outcome: 'answered' | 'failed'): void;
    renewed(provider: string, result: RenewalResult): void;
}

export interface RenewalDependencies {
    db: Kysely<Schema>;
    vault: Vault;
    sources: Sources;
    logger: Logger;
    /** Names this process in leases. */
    owner: string;
    strategies: RenewalStrategies;
    failures: RenewalFailures;
    tests?: CredentialTests | undefined;
    /** Absent: what other processes do is found by polling alone. */
    hints?: Hints | undefined;
    observer?: RenewalObserver | undefined;
    onStep?: ((step: RenewalStep) => void | Promise<void>) | undefined;
}

export const leaseMs = 45_000;
/** Left in the lease for the writes after the last token call. */
const writeReserveMs = 5_000;
const worrisomeSkewMs = 60_000;
/** Several times the pause with which outcomes in memory are tried again. */
export const writersFirstMs = 3_000;

export class LeasedRenewal {
    readonly #dependencies: RenewalDependencies;
    readonly #answers: TokenAnswers;
    readonly #intents: GroupCommit<{ id: string; intent: RefreshIntent }, boolean>;
    readonly #gate: TokenGate;

    constructor(dependencies: RenewalDependencies, answers: TokenAnswers) {
        const { db } = dependencies;
        this.#dependencies = dependencies;
        this.#answers = answers;
        this.#intents = new GroupCommit((intents) => writes.recordIntents(db, intents));
        this.#gate = new TokenGate(dependencies);
    }

    /** Must be called by the holder of the lease with this epoch; ends the lease. @param loaded the target, if it was read under this lease */
    async run(id: string, epoch: number, request: RenewalRequest, loaded?: RenewalTarget): Promise<RenewalResult> {
        const { db, observer } = this.#dependencies;
        await this.#step('leased');
        const target = loaded ?? (await loadTarget(db, id));
        if (target === undefined || target.refresh_epoch !== epoch) {
            return { kind: 'gone' };
        }
        const result = await this.#renew(target, epoch, request);
        observer?.renewed(target.provider, result);
        return result;
    }

    async #renew(target: RenewalTarget, epoch: number, request: RenewalRequest): Promise<RenewalResult> {
        const { db, sources, strategies, failures } = this.#dependencies;
        const { id } = target;
        const record = new OperationRecord(sources);
        try {
            const recoveredAt = target.journal === null ? undefined : await this.#answers.applyJournalled(target, epoch);
            if (recoveredAt !== undefined) {
                return { kind: 'renewed', at: recoveredAt };
            }
            const isDue = target.next_refresh_at !== null && target.next_refresh_at.getTime() <= sources.now();
            const isSatisfied = isBetween(target.credentials_obtained_at, request.since, sources.now());
            if (isSatisfied || (!request.force && !isDue && !isRetriedByRead(target, sources.now()))) {
                await writes.releaseLease(db, id, epoch);
                return { kind: 'unchanged' };
            }
            const credentials = await openCredentials(this.#dependencies.vault, target);
            const test = await strategies.testOf?.(target, credentials, record);
            if (test !== undefined) {
                await (request.isBackground ? this.#dependencies.tests?.carryOut(target, epoch, test, record) : writes.releaseLease(db, id, epoch));
                return { kind: 'unchanged' };
            }
            const strategy = await strategies.strategyFor(target, credentials, record);
            if (strategy === undefined || !strategy.canRenew(credentials)) {
                return await failures.nothingToRenewWith(target, epoch);
            }
            // As the row says: the claim may have waited for a connection, and this process for its own unfinished work.
            const leaseEnd = target.refresh_lease_until?.getTime() ?? 0;
            if (leaseEnd - sources.now() < writeReserveMs + confirmPauseMs) {
                return { kind: 'busy' };
            }
            if (!request.force && (await livesOn(this.#dependencies, target, epoch, credentials, strategy))) {
                return { kind: 'unchanged' };
            }
            if (isAbandoned(target)) {
                await sources.sleep(writersFirstMs);
                const fresh = await loadTarget(db, id);
                if (fresh === undefined || fresh.refresh_epoch !== epoch) {
                    return { kind: 'overtaken' };
                }
                const savedAt = await this.#answers.applyJournalled(fresh, epoch);
                if (savedAt !== undefined) {
                    return { kind: 'renewed', at: savedAt };
                }
            }
            const admission = await this.#gate.enter({
                connectionRowId: id,
                provider: target.provider,
                host: strategy.tokenHost?.(credentials),
                limits: strategy.tokenLimits,
                isBackground: request.isBackground ?? false,
                canDoWithout: !request.force && isServable(lifetimeOf(target), sources.now()),
            });
            if (admission.kind === 'put-back') {
                await failures.putBack(target, epoch, admission.until);
                return { ...admission, by: request };
            }
            const receipt = await this.#call(strategy, target, credentials, { until: leaseEnd - writeReserveMs, record }).then(
                (answer) => {
                    admission.leave(answer && 'answered');
                    return answer;
                },
                (error: unknown) => {
                    admission.leave(error);
                    throw error;
                },
            );
            if (receipt === undefined) {
                return { kind: 'overtaken' };
            }
            await this.#step('answered');
            this.#noticeSkew(target, receipt);
            const entryId = await this.#answers.journal(target, receipt);
            await this.#step('journalled');
            const obtained = await this.#answers.interpret(strategy, receipt, credentials, entryId);
            const applied = await this.#answers.apply(target, epoch, {
                current: credentials,
                obtained,
                strategy,
                journalId: entryId,
                reason: reasonOf(request, target),
            });
            await this.#step('applied');
            // Overtaken by a reconnect or a later lease: their credentials are newer, ours stay in the journal.
            return applied ? { kind: 'renewed', at: obtained.obtainedAt } : { kind: 'overtaken' };
        } catch (error) {
            const known = asFailure(error);
            // Asked second: a provider that cannot be reached is described in the words of a database that cannot.
            if (known === undefined && isPassing(error)) {
                // The database is away: the lease runs out by itself if it cannot be given back.
                await writes.releaseLease(db, id, epoch).catch(() => {});
                throw error;
            }
            const failure = known ?? this.#unexpected(error, target);
            await untilDatabaseAnswers(() => failures.record(target, epoch, failure, record), this.#dependencies);
            return { kind: 'failed', failure, at: sources.now() };
        }
    }

    /** @returns the provider's answer, or `undefined` when a reconnect or a later lease has overtaken this one. */
    async #call(
        strategy: RenewalStrategy,
        target: RenewalTarget,
        credentials: Credentials,
        { until, record }: Pick<Grant, 'until' | 'record'>,
    ): Promise<TokenReceipt | undefined> {
        const { sources, vault, observer } = this.#dependencies;
        const intent: RefreshIntent = {
            epoch: target.refresh_epoch,
            started_at: new Date(sources.now()).toISOString(),
            fingerprint: hash('sha256', refreshTokenOf(credentials) ?? '', 'base64url').slice(0, 16),
        };
        if (!(await this.#intents.add({ id: target.id, intent }))) {
            return undefined;
        }
        await this.#step('intent-recorded');
        const sealedPrevious = target.sealed_previous_refresh_token;
        const previousRefreshToken = async (): Promise<string | undefined> =>
            sealedPrevious === null ? undefined : vault.openFresh(sealedPrevious, previousTokenPlace(target));
        const onCall: Grant['onCall'] = observer && ((ms, outcome) => observer.tokenCalled(target.provider, ms, outcome));
        return presentGrant(strategy, { credentials, previousRefreshToken, until, onCall, record }, sources);
    }

    /** A mistake of ours is not the connection's end: recorded like an outage, so that neither readers nor the queue hang on it. */
    #unexpected(error: unknown, target: RenewalTarget): TokenFailure {
        this.#dependencies.logger.error({ err: error, connection_row: target.id }, 'a renewal failed unexpectedly');
        return new TokenFailure('transient', 'Something unexpected went wrong in Valetkey; its log has the details.', { type: 'server_error' });
    }

    /** R11: lifetimes are counted on our clock, so a difference does no harm here, but it is the first suspect when tokens die early. */
    #noticeSkew(target: RenewalTarget, { serverAheadMs }: TokenReceipt): void {
        if (serverAheadMs !== undefined && Math.abs(serverAheadMs) > worrisomeSkewMs) {
            this.#dependencies.logger.warn({ provider: target.provider, serverAheadMs }, 'the clocks of the provider and of this server differ');
        }
    }

    /** When nothing is under way any more. */
    drain(): Promise<void> {
        return this.#gate.drain();
    }

    async #step(step: RenewalStep): Promise<void> {
        await this.#dependencies.onStep?.(step);
    }
}

/** A time that is still to come was written by a clock that was wrong, and proves nothing: whoever forces a renewal would get none until then. */
export const isBetween = (time: Date, since: number, now: number): boolean => time.getTime() >= since && time.getTime() <= now + clocksDifferMs;

/**
 * Whether an earlier lease ran out with its call begun and no outcome written. Its holder need not be dead: after an outage of the database it holds
 * its answer still, and is about to write it (R2b). To present its refresh token again at once would cost the grant.
 */
function isAbandoned({ refresh_intent: intent, refresh_epoch: epoch, last_refresh_failure: failedAt }: RenewalTarget): boolean {
    return intent !== null && intent.epoch < epoch && (failedAt?.getTime() ?? 0) < Date.parse(intent.started_at);
}

/** What is renewed only so that its grant is used has no end that is near. */
function reasonOf({ force }: RenewalRequest, row: RenewalTarget): operations.Renewed['reason'] {
    if (force) {
        return 'forced';
    }
    const [obtained, expires] = [row.credentials_obtained_at.getTime(), row.credentials_expires_at?.getTime() ?? Infinity];
    return expires - obtained > keepAliveInterval ? 'keep_alive' : 'expiry';
}

/** While the token is unusable a read may retry every 30 s, earlier than the queue's back-off, unless the provider asked for patience. */
export function isRetriedByRead(
    row: Pick<RenewalTarget, 'auth_state' | 'auth_error' | 'last_refresh_failure' | 'credentials_expires_at' | 'credentials_obtained_at'>,
    now: number,
): boolean {
    if (row.auth_state !== 'degraded' && row.auth_state !== 'unavailable') {
        return false;
    }
    const notBefore = row.auth_error?.not_before;
    const mayRetry = now - (row.last_refresh_failure?.getTime() ?? 0) >= 30_000 && (notBefore === undefined || Date.parse(notBefore) <= now);
    return mayRetry && !isServable(lifetimeOf(row), now);
}

/** An unreadable row is a failure of that row, not of the queue (R12). */
function asFailure(error: unknown): TokenFailure | undefined {
    if (error instanceof VaultError) {
        // A repaired key ring makes it readable again, so it is never given up.
        return new TokenFailure('transient', `The stored credentials cannot be opened (${error.code}).`, { type: 'credentials_unreadable' });
    }
    return error instanceof TokenFailure ? error : undefined;
}
