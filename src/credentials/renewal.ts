/**
 * Credentials after they were obtained: sealing, expiry, renewal, the background refresher. Obtaining them is `auth-modes/`.
 *
 * This file is the renewal algorithm (auth-modes §16.9), the only one: reads, `force_refresh` and the background worker
 * all come through here. Its invariants: one outstanding token call per connection across all processes (a Postgres lease
 * with a fencing epoch, R1); an answer is journalled before it is parsed (R2); every path ends in a result.
 */
import { createHash } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import { newRowId, randomFraction, type Sources } from '../sources.ts';
import * as writes from '../store/credential-writes.ts';
import type { RenewalTarget } from '../store/credential-writes.ts';
import * as journal from '../store/credential-journal.ts';
import type { RefreshIntent, Schema } from '../store/schema.ts';
import { refreshTokenOf, type Credentials, type Obtained } from './credential.ts';
import { isServable, lifetimeOf, nextRefreshAt } from './expiry.ts';
import type { RenewalFailures } from './renewal-failures.ts';
import type { RenewalStrategies, RenewalStrategy, TokenReceipt } from './renewal-strategy.ts';
import { TokenFailure } from './token-failure.ts';
import { untilDatabaseAnswers } from './until-database-answers.ts';
import { VaultError, type SealedPlace, type Vault } from './vault.ts';

/** How a call for fresh credentials ended. `unchanged`: nothing was due, or nothing can be renewed. */
export type RenewalResult =
    | { kind: 'renewed'; at: number }
    | { kind: 'unchanged' }
    | { kind: 'failed'; failure: TokenFailure; at: number }
    | { kind: 'busy' }
    | { kind: 'gone' };

export interface RenewalRequest {
    /** Renew although nothing is due. */
    force: boolean;
    /** When the caller began, ms: credentials obtained after that satisfy even a forced request (R10). */
    since: number;
}

/** Labelled moments of a renewal, for fault injection. */
export type RenewalStep = 'leased' | 'intent-recorded' | 'answered' | 'journalled' | 'applied';

export interface RenewalDependencies {
    db: Kysely<Schema>;
    vault: Vault;
    sources: Sources;
    logger: Logger;
    /** Names this process in leases. */
    owner: string;
    strategies: RenewalStrategies;
    failures: RenewalFailures;
    onStep?: ((step: RenewalStep) => void | Promise<void>) | undefined;
}

export const leaseMs = 45_000;
const tokenCallMs = 20_000;
/** Left in the lease for the writes after the last token call. */
const writeReserveMs = 5_000;
const confirmPauseMs = 1_000;
/** A provider whose tokens are dead on arrival is not asked again at once. */
const deadOnArrivalPauseMs = 30_000;
const worrisomeSkewMs = 60_000;
/** How long a caller waits for another process before it takes what there is. */
const callerDeadlineMs = 25_000;

export const credentialsPlace = (row: { environment_id: string; id: string }): SealedPlace => ({
    environmentId: row.environment_id,
    table: 'connections',
    column: 'sealed_credentials',
    rowId: row.id,
});

export const previousTokenPlace = (row: { environment_id: string; id: string }): SealedPlace => ({
    ...credentialsPlace(row),
    column: 'sealed_previous_refresh_token',
});

const journalPlace = (environmentId: string, id: string): SealedPlace => ({
    environmentId,
    table: 'credential_journal',
    column: 'sealed_response',
    rowId: id,
});

export class Renewals {
    readonly #dependencies: RenewalDependencies;
    /** What callers join: it may still be waiting for another process. */
    readonly #running = new Map<string, Promise<RenewalResult>>();
    readonly #underLease = new Map<string, Promise<RenewalResult>>();

    constructor(dependencies: RenewalDependencies) {
        this.#dependencies = dependencies;
    }

    /** Renews if due, or if forced and nothing was obtained since the request began. Settles within 25 seconds. */
    async renew(id: string, request: RenewalRequest): Promise<RenewalResult> {
        const { sources } = this.#dependencies;
        const deadline = sources.now() + callerDeadlineMs;
        const abort = new AbortController();
        const outOfTime = sources.sleep(callerDeadlineMs, abort.signal).then((): RenewalResult => ({ kind: 'busy' }), (): RenewalResult => ({ kind: 'busy' }));
        try {
            for (;;) {
                const joined = this.#running.get(id);
                const attempt = joined ?? track(this.#running, id, this.#attempt(id, request, deadline));
                const result = await Promise.race([attempt, outOfTime]);
                if (joined === undefined || result.kind === 'busy' || result.kind === 'gone' || satisfies(result, request)) {
                    return result;
                }
            }
        } finally {
            abort.abort();
        }
    }

    /** Renews a connection whose lease the work queue has just claimed. */
    renewClaimed(id: string, epoch: number): Promise<RenewalResult> {
        return track(this.#running, id, this.#renewUnderLease(id, epoch, { force: false, since: this.#dependencies.sources.now() }));
    }

    /** Applies answers that were journalled by a process that did not live to apply them. @returns how many connections were mended. */
    async recover(receivedBefore: number): Promise<number> {
        const { db, logger } = this.#dependencies;
        let recovered = 0;
        for (const entry of await journal.unsettled(db, new Date(receivedBefore), 100)) {
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
        const target = await writes.loadTarget(db, entry.connection_row_id);
        if (target === undefined) {
            await journal.discard(db, entry.id);
            return false;
        }
        if (target.journal === null) {
            return false;
        }
        let isApplied: boolean;
        if (target.journal.refresh_epoch === target.refresh_epoch) {
            isApplied = await this.#applyJournalled(target, target.refresh_epoch);
        } else {
            // A later lease began before this answer was written. While it lasts, its holder may still find it.
            const epoch = await writes.acquireLease(db, target.id, owner, sources.now(), leaseMs);
            const leased = epoch === undefined ? undefined : await writes.loadTarget(db, target.id);
            if (epoch === undefined || leased === undefined) {
                return false;
            }
            isApplied = await this.#applyJournalled(leased, epoch);
            await writes.releaseLease(db, target.id, epoch, { nextRefreshAt: leased.next_refresh_at });
        }
        if (isApplied) {
            logger.warn({ connection: target.connection_id, integration: target.integration.unique_key }, 'applied a journalled token answer');
        }
        return isApplied;
    }

    /** Resolves when no renewal is under way. */
    async drain(): Promise<void> {
        while (this.#running.size + this.#underLease.size > 0) {
            await Promise.allSettled([...this.#running.values(), ...this.#underLease.values()]);
        }
    }

    async #attempt(id: string, request: RenewalRequest, deadline: number): Promise<RenewalResult> {
        const { db, sources, owner } = this.#dependencies;
        while (sources.now() < deadline) {
            const epoch = await writes.acquireLease(db, id, owner, sources.now(), leaseMs);
            if (epoch !== undefined) {
                return this.#renewUnderLease(id, epoch, request);
            }
            const other = await this.#waitForOther(id, request, deadline);
            if (other !== undefined) {
                return other;
            }
        }
        return { kind: 'busy' };
    }

    /** Watches a renewal that another process holds. `undefined`: it let go without a result for us. */
    async #waitForOther(id: string, request: RenewalRequest, deadline: number): Promise<RenewalResult | undefined> {
        const { db, sources } = this.#dependencies;
        for (let pause = 40; sources.now() < deadline; pause = Math.min(pause * 1.5, 400)) {
            const row = await writes.readProgress(db, id);
            if (row === undefined) {
                return { kind: 'gone' };
            }
            if (row.credentials_obtained_at.getTime() >= request.since) {
                return { kind: 'renewed', at: row.credentials_obtained_at.getTime() };
            }
            const failedAt = row.last_refresh_failure?.getTime() ?? 0;
            if (failedAt >= request.since) {
                return { kind: 'failed', failure: new TokenFailure('transient', 'another process could not renew the credentials'), at: failedAt };
            }
            if (row.lease_over === null || row.lease_over.getTime() < sources.now()) {
                return undefined;
            }
            await sources.sleep(pause * (0.5 + randomFraction(sources)));
        }
        return { kind: 'busy' };
    }

    /** After what an earlier lease of this process has left: it may have ended with its answer still in memory (R2b). */
    #renewUnderLease(id: string, epoch: number, request: RenewalRequest): Promise<RenewalResult> {
        const earlier = this.#underLease.get(id);
        const renewed = earlier === undefined ? this.#renewNow(id, epoch, request) : settled(earlier).then(() => this.#renewNow(id, epoch, request));
        return track(this.#underLease, id, renewed);
    }

    async #renewNow(id: string, epoch: number, request: RenewalRequest): Promise<RenewalResult> {
        const { db, sources, strategies, failures } = this.#dependencies;
        await this.#step('leased');
        const target = await writes.loadTarget(db, id);
        if (target === undefined || target.refresh_epoch !== epoch) {
            return { kind: 'gone' };
        }
        try {
            if (target.journal !== null && (await this.#applyJournalled(target, epoch))) {
                return { kind: 'renewed', at: sources.now() };
            }
            const isDue = target.next_refresh_at !== null && target.next_refresh_at.getTime() <= sources.now();
            const isSatisfied = target.credentials_obtained_at.getTime() >= request.since;
            if (isSatisfied || (!request.force && !isDue && !isRetriedByRead(target, sources.now()))) {
                await writes.releaseLease(db, id, epoch, { nextRefreshAt: target.next_refresh_at });
                return { kind: 'unchanged' };
            }
            const credentials = await this.#open(target);
            const strategy = await strategies.strategyFor(target, credentials);
            if (strategy === undefined || !strategy.canRenew(credentials)) {
                return await failures.nothingToRenewWith(target, epoch);
            }
            // As the row says: the claim may have waited for a connection, and this process for its own unfinished work.
            const leaseEnd = target.refresh_lease_until?.getTime() ?? 0;
            if (leaseEnd - sources.now() < writeReserveMs + confirmPauseMs) {
                return { kind: 'busy' };
            }
            const receipt = await this.#call(strategy, target, credentials, leaseEnd);
            await this.#step('answered');
            this.#noticeSkew(target, receipt);
            const entryId = await this.#journal(target, receipt);
            await this.#step('journalled');
            const obtained = await this.#interpret(strategy, receipt, credentials, entryId);
            const applied = await this.#apply(target, epoch, credentials, obtained, strategy, entryId);
            await this.#step('applied');
            // Overtaken by a reconnect or a later lease: their credentials are newer, ours stay in the journal.
            return applied ? { kind: 'renewed', at: obtained.obtainedAt } : { kind: 'unchanged' };
        } catch (error) {
            const failure = asFailure(error);
            if (failure === undefined) {
                throw error;
            }
            await untilDatabaseAnswers(() => failures.record(target, epoch, failure), this.#dependencies);
            return { kind: 'failed', failure, at: sources.now() };
        }
    }

    /** One token call; a permanent refusal is confirmed once, and the previous refresh token is tried once (R5, R2c). */
    async #call(strategy: RenewalStrategy, target: RenewalTarget, credentials: Credentials, leaseEnd: number): Promise<TokenReceipt> {
        const { db, sources, vault } = this.#dependencies;
        const current = refreshTokenOf(credentials);
        const intent: RefreshIntent = {
            epoch: target.refresh_epoch,
            started_at: new Date(sources.now()).toISOString(),
            fingerprint: createHash('sha256').update(current ?? '').digest('base64url').slice(0, 16),
        };
        if (!(await writes.recordIntent(db, target.id, intent))) {
            throw new TokenFailure('transient', 'the renewal was overtaken before its token call');
        }
        await this.#step('intent-recorded');
        const present = (refreshToken: string | undefined): Promise<TokenReceipt> => {
            const timeLeft = leaseEnd - writeReserveMs - sources.now();
            if (timeLeft < confirmPauseMs) {
                throw new TokenFailure('transient', 'the provider answered too slowly for another attempt under the same lease');
            }
            return strategy.present(credentials, refreshToken, Math.min(tokenCallMs, timeLeft));
        };
        try {
            return await present(current);
        } catch (error) {
            rethrowUnlessPermanent(error);
        }
        await sources.sleep(confirmPauseMs);
        try {
            return await present(current);
        } catch (error) {
            rethrowUnlessPermanent(error);
            if (target.sealed_previous_refresh_token === null) {
                throw error;
            }
        }
        return present(await vault.openFresh(target.sealed_previous_refresh_token, previousTokenPlace(target)));
    }

    async #journal(target: RenewalTarget, receipt: TokenReceipt): Promise<string> {
        const { db, vault, sources } = this.#dependencies;
        const id = newRowId(sources);
        const entry = {
            id,
            environment_id: target.environment_id,
            connection_row_id: target.id,
            refresh_epoch: target.refresh_epoch,
            base_version: target.credentials_version,
            requested_at: new Date(receipt.requestedAt),
            received_at: new Date(receipt.receivedAt),
            sealed_response: vault.sealJson(receipt, journalPlace(target.environment_id, id)),
            outcome: null,
            settled_at: null,
        };
        await untilDatabaseAnswers(() => journal.append(db, entry), this.#dependencies);
        return id;
    }

    /** What cannot be read stays in the journal, marked: it may hold a rotated token that a person can still save. */
    async #interpret(strategy: RenewalStrategy, receipt: TokenReceipt, credentials: Credentials, journalId: string): Promise<Obtained> {
        try {
            return strategy.interpret(receipt, credentials);
        } catch (error) {
            const { db, sources } = this.#dependencies;
            await untilDatabaseAnswers(() => journal.settle(db, journalId, 'rejected', new Date(sources.now())), this.#dependencies);
            throw error;
        }
    }

    async #apply(
        target: RenewalTarget,
        epoch: number,
        current: Credentials,
        obtained: Obtained,
        strategy: RenewalStrategy,
        journalId: string,
    ): Promise<boolean> {
        const { db, vault, sources } = this.#dependencies;
        const newToken = refreshTokenOf(obtained.credentials);
        const oldToken = refreshTokenOf(current);
        const nextAt = nextRefreshAt(
            obtained,
            { canRenew: strategy.canRenew(obtained.credentials), hasRefreshToken: newToken !== undefined, marginSeconds: strategy.marginSeconds },
            sources,
        );
        const isDeadOnArrival = obtained.expiresAt !== null && obtained.expiresAt <= obtained.obtainedAt;
        const write: writes.CredentialWrite = {
            id: target.id,
            epoch,
            version: target.credentials_version,
            sealedCredentials: vault.sealJson(obtained.credentials, credentialsPlace(target)),
            sealedPreviousRefreshToken:
                oldToken !== undefined && oldToken !== newToken ? vault.seal(oldToken, previousTokenPlace(target)) : target.sealed_previous_refresh_token,
            credentialType: obtained.credentials.type,
            obtainedAt: new Date(obtained.obtainedAt),
            expiresAt: obtained.expiresAt === null ? null : new Date(obtained.expiresAt),
            nextRefreshAt: nextAt === null ? null : new Date(nextAt + (isDeadOnArrival ? deadOnArrivalPauseMs : 0)),
            now: new Date(sources.now()),
        };
        return untilDatabaseAnswers(
            () =>
                db.transaction().execute(async (transaction) => {
                    const applied = await writes.writeCredentials(transaction, write);
                    if (applied) {
                        await journal.settle(transaction, journalId, 'applied', write.now);
                    }
                    return applied;
                }),
            this.#dependencies,
        );
    }

    /** Applies the target's open journal entry if nothing newer was written since. Idempotent: the write is fenced by `epoch`. */
    async #applyJournalled(target: RenewalTarget, epoch: number): Promise<boolean> {
        const { db, vault, sources, strategies, logger } = this.#dependencies;
        const entry = target.journal;
        if (entry === null) {
            return false;
        }
        if (entry.base_version !== target.credentials_version) {
            await journal.settle(db, entry.id, 'superseded', new Date(sources.now()));
            return false;
        }
        if (epoch !== target.refresh_epoch) {
            // Another process holds a later lease and will find the entry itself.
            return false;
        }
        try {
            const credentials = await this.#open(target);
            const strategy = await strategies.strategyFor(target, credentials);
            if (strategy === undefined) {
                return false;
            }
            const receipt = JSON.parse(await vault.openFresh(entry.sealed_response, journalPlace(target.environment_id, entry.id))) as TokenReceipt;
            return await this.#apply(target, epoch, credentials, strategy.interpret(receipt, credentials), strategy, entry.id);
        } catch (error) {
            if (asFailure(error) === undefined) {
                throw error;
            }
            await journal.settle(db, entry.id, 'rejected', new Date(sources.now()));
            logger.error({ err: error, journal: entry.id }, 'a journalled token answer cannot be applied');
            return false;
        }
    }

    async #open(target: RenewalTarget): Promise<Credentials> {
        return JSON.parse(await this.#dependencies.vault.openFresh(target.sealed_credentials, credentialsPlace(target))) as Credentials;
    }

    /** R11: lifetimes are counted on our clock, so a difference does no harm here, but it is the first suspect when tokens die early. */
    #noticeSkew(target: RenewalTarget, { serverAheadMs }: TokenReceipt): void {
        if (serverAheadMs !== undefined && Math.abs(serverAheadMs) > worrisomeSkewMs) {
            this.#dependencies.logger.warn({ provider: target.provider, serverAheadMs }, 'the clocks of the provider and of this server differ');
        }
    }

    async #step(step: RenewalStep): Promise<void> {
        await this.#dependencies.onStep?.(step);
    }
}

/** Keeps a promise findable while it is under way. */
function track<T>(under: Map<string, Promise<T>>, id: string, promise: Promise<T>): Promise<T> {
    const tracked = promise.finally(() => {
        if (under.get(id) === tracked) {
            under.delete(id);
        }
    });
    under.set(id, tracked);
    return tracked;
}

const settled = (promise: Promise<unknown>): Promise<void> =>
    promise.then(
        () => {},
        () => {},
    );

/** A forced caller accepts what was obtained, or tried, after it began. */
const satisfies = (result: RenewalResult, request: RenewalRequest): boolean =>
    !request.force || ((result.kind === 'renewed' || result.kind === 'failed') && result.at >= request.since);

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

function rethrowUnlessPermanent(error: unknown): void {
    if (!(error instanceof TokenFailure && error.kind === 'permanent')) {
        throw error;
    }
}

/** An unreadable row is a failure of that row, not of the queue (R12). */
function asFailure(error: unknown): TokenFailure | undefined {
    if (error instanceof VaultError) {
        return new TokenFailure('unknown', `the stored credentials cannot be opened (${error.code})`, { type: 'credentials_unreadable' });
    }
    return error instanceof TokenFailure ? error : undefined;
}
