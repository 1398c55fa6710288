/**
 * What happens under a renewal's lease: due, intent, call, journal, apply (auth-modes §16.9 nos. 3–7), and the recovery of
 * answers that a crash left in the journal. Taking the lease, and waiting for others who hold it, is `renewal.ts`.
 */
import { createHash } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import { newRowId, type Sources } from '../sources.ts';
import { json } from '../store/database.ts';
import * as writes from '../store/credential-writes.ts';
import type { RenewalTarget } from '../store/credential-writes.ts';
import type { Hints } from '../store/hints.ts';
import * as journal from '../store/credential-journal.ts';
import * as operations from '../store/operations.ts';
import type { NewJournalEntry, RefreshIntent, Schema } from '../store/schema.ts';
import { livesOn } from './confirmed-lifetime.ts';
import { mergeConfig } from './connection-secrets.ts';
import { credentialTypeOf, refreshTokenOf, type Credentials, type Obtained } from './credential.ts';
import { credentialsPlace, journalPlace, previousTokenPlace } from './credential-places.ts';
import { isServable, keepAliveInterval, lifetimeOf } from './expiry.ts';
import type { CredentialTests } from './credential-tests.ts';
import { lapseToTell, tellOfLapse } from './expiry-notice.ts';
import { GroupCommit } from './group-commit.ts';
import { confirmPauseMs, presentGrant, type Grant } from './present-grant.ts';
import { tellOfRecovery } from './recovery-notice.ts';
import type { RenewalFailures } from './renewal-failures.ts';
import { foreseenOf, scheduleOf } from './renewal-schedule.ts';
import type { RenewalStrategies, RenewalStrategy, TokenReceipt } from './renewal-strategy.ts';
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
/** A provider whose tokens are dead on arrival is not asked again at once. */
const deadOnArrivalPauseMs = 30_000;
const worrisomeSkewMs = 60_000;

/** The events of a renewal, in the transaction of its write. */
type Telling = ((transaction: Kysely<Schema>) => Promise<void>)[];

export class LeasedRenewal {
    readonly #dependencies: RenewalDependencies;
    readonly #intents: GroupCommit<{ id: string; intent: RefreshIntent }, boolean>;
    readonly #entries: GroupCommit<NewJournalEntry, void>;
    readonly #applications: GroupCommit<writes.JournalledWrite, boolean>;
    readonly #gate: TokenGate;

    constructor(dependencies: RenewalDependencies) {
        const { db } = dependencies;
        this.#dependencies = dependencies;
        this.#intents = new GroupCommit((intents) => writes.recordIntents(db, intents));
        this.#entries = new GroupCommit(async (entries) => {
            await journal.appendAll(db, entries);
            return entries.map(() => {});
        });
        this.#applications = new GroupCommit(async (all) => {
            const applied = await writes.applyJournalled(db, all);
            return all.map(({ id }) => applied.has(id));
        });
        this.#gate = new TokenGate(dependencies);
    }

    /** Must be called by the holder of the lease with this epoch; ends the lease. @param loaded the target, if it was read under this lease */
    async run(id: string, epoch: number, request: RenewalRequest, loaded?: RenewalTarget): Promise<RenewalResult> {
        const { db, observer } = this.#dependencies;
        await this.#step('leased');
        const target = loaded ?? (await writes.loadTarget(db, id));
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
        try {
            const recoveredAt = target.journal === null ? undefined : await this.#applyJournalled(target, epoch);
            if (recoveredAt !== undefined) {
                return { kind: 'renewed', at: recoveredAt };
            }
            const isDue = target.next_refresh_at !== null && target.next_refresh_at.getTime() <= sources.now();
            const isSatisfied = target.credentials_obtained_at.getTime() >= request.since;
            if (isSatisfied || (!request.force && !isDue && !isRetriedByRead(target, sources.now()))) {
                await writes.releaseLease(db, id, epoch, { nextRefreshAt: target.next_refresh_at });
                return { kind: 'unchanged' };
            }
            const credentials = await this.#open(target);
            const test = await strategies.testOf?.(target, credentials);
            if (test !== undefined) {
                await (request.isBackground
                    ? this.#dependencies.tests?.carryOut(target, epoch, test)
                    : writes.releaseLease(db, id, epoch, { nextRefreshAt: target.next_refresh_at }));
                return { kind: 'unchanged' };
            }
            const strategy = await strategies.strategyFor(target, credentials);
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
            const receipt = await this.#call(strategy, target, credentials, leaseEnd - writeReserveMs).then(
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
            const entryId = await this.#journal(target, receipt);
            await this.#step('journalled');
            const obtained = await this.#interpret(strategy, receipt, credentials, entryId);
            const applied = await this.#apply(target, epoch, credentials, obtained, strategy, entryId, reasonOf(request, target));
            await this.#step('applied');
            // Overtaken by a reconnect or a later lease: their credentials are newer, ours stay in the journal.
            return applied ? { kind: 'renewed', at: obtained.obtainedAt } : { kind: 'overtaken' };
        } catch (error) {
            const known = asFailure(error);
            // Asked second: a provider that cannot be reached is described in the words of a database that cannot.
            if (known === undefined && isPassing(error)) {
                // The database is away: the lease runs out by itself if it cannot be given back.
                await writes.releaseLease(db, id, epoch, { nextRefreshAt: target.next_refresh_at }).catch(() => {});
                throw error;
            }
            const failure = known ?? this.#unexpected(error, target);
            await untilDatabaseAnswers(() => failures.record(target, epoch, failure), this.#dependencies);
            return { kind: 'failed', failure, at: sources.now() };
        }
    }

    /** @returns the provider's answer, or `undefined` when a reconnect or a later lease has overtaken this one. */
    async #call(strategy: RenewalStrategy, target: RenewalTarget, credentials: Credentials, until: number): Promise<TokenReceipt | undefined> {
        const { sources, vault, observer } = this.#dependencies;
        const intent: RefreshIntent = {
            epoch: target.refresh_epoch,
            started_at: new Date(sources.now()).toISOString(),
            fingerprint: createHash('sha256')
                .update(refreshTokenOf(credentials) ?? '')
                .digest('base64url')
                .slice(0, 16),
        };
        if (!(await this.#intents.add({ id: target.id, intent }))) {
            return undefined;
        }
        await this.#step('intent-recorded');
        const sealedPrevious = target.sealed_previous_refresh_token;
        const previousRefreshToken = async (): Promise<string | undefined> =>
            sealedPrevious === null ? undefined : vault.openFresh(sealedPrevious, previousTokenPlace(target));
        const onCall: Grant['onCall'] = observer && ((ms, outcome) => observer.tokenCalled(target.provider, ms, outcome));
        return presentGrant(strategy, { credentials, previousRefreshToken, until, onCall }, sources);
    }

    async #journal(target: RenewalTarget, receipt: TokenReceipt): Promise<string> {
        const { vault, sources } = this.#dependencies;
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
        await untilDatabaseAnswers(() => this.#entries.add(entry), this.#dependencies);
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
        reason: operations.Renewed['reason'],
    ): Promise<boolean> {
        const { vault, sources, logger } = this.#dependencies;
        const newToken = refreshTokenOf(obtained.credentials);
        const oldToken = refreshTokenOf(current);
        const now = new Date(sources.now());
        const { nextAt, refreshTokenExpiresAt, noticeAt } = scheduleOf(obtained, strategy, sources, foreseenOf(target, current));
        const foreseen = {
            credentials_expires_at: dateOrNull(obtained.expiresAt),
            refresh_token_expires_at: dateOrNull(refreshTokenExpiresAt),
            expiry_notice_at: dateOrNull(noticeAt),
        };
        const lapse = lapseToTell(foreseen, now.getTime());
        const isDeadOnArrival = obtained.expiresAt !== null && obtained.expiresAt <= obtained.obtainedAt;
        const write: writes.JournalledWrite = {
            journalId,
            id: target.id,
            epoch,
            version: target.credentials_version,
            sealedCredentials: vault.sealJson(obtained.credentials, credentialsPlace(target)),
            sealedPreviousRefreshToken:
                oldToken !== undefined && oldToken !== newToken
                    ? vault.seal(oldToken, previousTokenPlace(target))
                    : target.sealed_previous_refresh_token,
            credentialType: credentialTypeOf(obtained.credentials),
            obtainedAt: new Date(obtained.obtainedAt),
            expiresAt: foreseen.credentials_expires_at,
            nextRefreshAt: nextAt === null ? null : new Date(nextAt + (isDeadOnArrival ? deadOnArrivalPauseMs : 0)),
            refreshTokenExpiresAt: foreseen.refresh_token_expires_at,
            expiryNoticeAt: lapse === undefined ? foreseen.expiry_notice_at : null,
            now,
            isPending: target.auth_state === 'pending',
            log: {
                id: operations.newOperationId(sources),
                environmentId: target.environment_id,
                integrationId: target.integration.id,
                connectionRowId: target.id,
                connectionId: target.connection_id,
                reason,
                expiresAt: foreseen.credentials_expires_at,
            },
        };
        for (const note of obtained.notes ?? []) {
            logger.warn({ connection_row: target.id, provider: target.provider }, note);
        }
        const { strategies } = this.#dependencies;
        const tell: Telling = [];
        if (target.refresh_failure_reported_at !== null) {
            tell.push((transaction) => tellOfRecovery(transaction, sources, target, strategies));
        }
        if (lapse) {
            tell.push((transaction) => tellOfLapse(transaction, sources, target, strategies.authModeOf(target.provider), lapse));
        }
        // What comes with most renewals is nothing but credentials, and many of those are written at once.
        const isPlain = obtained.derivedConfig === undefined && tell.length === 0;
        return untilDatabaseAnswers(
            () => (isPlain ? this.#applications.add(write) : this.#applyWithNews(write, target.id, obtained, strategy, tell)),
            this.#dependencies,
        );
    }

    #applyWithNews(write: writes.JournalledWrite, id: string, obtained: Obtained, strategy: RenewalStrategy, tell: Telling): Promise<boolean> {
        return this.#dependencies.db.transaction().execute(async (transaction) => {
            const news = await this.#newsOf(transaction, id, obtained, strategy);
            const applied = await writes.writeCredentials(transaction, { ...write, ...news });
            if (applied) {
                await journal.settle(transaction, write.journalId, 'applied', write.now);
                await operations.recordRenewal(transaction, write.log);
                for (const told of tell) {
                    await told(transaction);
                }
            }
            return applied;
        });
    }

    /** R18: configuration that came with the token, laid over what is stored now: a hook may have written since the call began (R3). */
    async #newsOf(
        transaction: Kysely<Schema>,
        id: string,
        { derivedConfig }: Obtained,
        strategy: RenewalStrategy,
    ): Promise<Pick<writes.CredentialWrite, 'alongside'>> {
        const row = derivedConfig && (await writes.lockConfig(transaction, id));
        if (derivedConfig === undefined || row === undefined) {
            return {};
        }
        const isMarkedSecret = (name: string): boolean => strategy.isSecretConfig?.(name) ?? false;
        const { clear, sealed } = await mergeConfig(this.#dependencies.vault, row, derivedConfig, isMarkedSecret);
        return { alongside: { connection_config: json(clear), sealed_secrets: sealed } };
    }

    /** Applies the target's open journal entry if nothing newer was written since. Idempotent: the write is fenced by `epoch`. */
    async #applyJournalled(target: RenewalTarget, epoch: number): Promise<number | undefined> {
        const { db, vault, sources, strategies, logger } = this.#dependencies;
        const entry = target.journal;
        if (entry === null) {
            return undefined;
        }
        if (entry.base_version !== target.credentials_version) {
            await journal.settle(db, entry.id, 'superseded', new Date(sources.now()));
            return undefined;
        }
        if (epoch !== target.refresh_epoch) {
            // Another process holds a later lease and will find the entry itself.
            return undefined;
        }
        // What cannot be opened or is not in the catalogue now may be later: the answer stays in the journal.
        const credentials = await this.#open(target);
        const strategy = await strategies.strategyFor(target, credentials);
        const receipt = JSON.parse(await vault.openFresh(entry.sealed_response, journalPlace(target.environment_id, entry.id))) as TokenReceipt;
        if (strategy === undefined) {
            return undefined;
        }
        try {
            const obtained = await this.#interpret(strategy, receipt, credentials, entry.id);
            return (await this.#apply(target, epoch, credentials, obtained, strategy, entry.id, 'recovered')) ? obtained.obtainedAt : undefined;
        } catch (error) {
            if (!(error instanceof TokenFailure)) {
                throw error;
            }
            logger.error({ err: error, journal: entry.id }, 'a journalled token answer cannot be applied');
            return undefined;
        }
    }

    async #open(target: RenewalTarget): Promise<Credentials> {
        return JSON.parse(await this.#dependencies.vault.openFresh(target.sealed_credentials, credentialsPlace(target))) as Credentials;
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
        const target = await writes.loadTarget(db, entry.connection_row_id);
        if (target === undefined) {
            await journal.discard(db, entry.id);
            return false;
        }
        if (target.journal === null) {
            return false;
        }
        let appliedAt: number | undefined;
        if (target.journal.refresh_epoch === target.refresh_epoch) {
            appliedAt = await this.#applyJournalled(target, target.refresh_epoch);
        } else {
            // A later lease began before this answer was written. While it lasts, its holder may still find it.
            const epoch = await writes.acquireLease(db, target.id, owner, sources.now(), leaseMs);
            const leased = epoch === undefined ? undefined : await writes.loadTarget(db, target.id);
            if (epoch === undefined || leased === undefined) {
                return false;
            }
            try {
                appliedAt = await this.#applyJournalled(leased, epoch);
            } finally {
                // Also of an entry that cannot be opened: it is looked at again and again, and must not keep others away. After a success the epoch is over.
                await writes.releaseLease(db, target.id, epoch, { nextRefreshAt: leased.next_refresh_at });
            }
        }
        if (appliedAt !== undefined) {
            logger.warn({ connection: target.connection_id, integration: target.integration.unique_key }, 'applied a journalled token answer');
        }
        return appliedAt !== undefined;
    }

    async #step(step: RenewalStep): Promise<void> {
        await this.#dependencies.onStep?.(step);
    }
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

const dateOrNull = (time: number | null): Date | null => (time === null ? null : new Date(time));

/** An unreadable row is a failure of that row, not of the queue (R12). */
function asFailure(error: unknown): TokenFailure | undefined {
    if (error instanceof VaultError) {
        // A repaired key ring makes it readable again, so it is never given up.
        return new TokenFailure('transient', `The stored credentials cannot be opened (${error.code}).`, { type: 'credentials_unreadable' });
    }
    return error instanceof TokenFailure ? error : undefined;
}
