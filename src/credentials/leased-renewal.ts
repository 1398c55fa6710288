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
import * as journal from '../store/credential-journal.ts';
import * as operations from '../store/operations.ts';
import type { RefreshIntent, Schema } from '../store/schema.ts';
import { livesOn, renewalAt } from './confirmed-lifetime.ts';
import { mergeConfig } from './connection-secrets.ts';
import { credentialTypeOf, refreshTokenOf, type Credentials, type Obtained } from './credential.ts';
import { credentialsPlace, journalPlace, previousTokenPlace } from './credential-places.ts';
import { isServable, keepAliveInterval, lifetimeOf } from './expiry.ts';
import { confirmPauseMs, presentGrant } from './present-grant.ts';
import type { RenewalFailures } from './renewal-failures.ts';
import type { RenewalStrategies, RenewalStrategy, TokenReceipt } from './renewal-strategy.ts';
import { TokenFailure } from './token-failure.ts';
import { isPassing, untilDatabaseAnswers } from './until-database-answers.ts';
import { VaultError, type Vault } from './vault.ts';

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
/** Left in the lease for the writes after the last token call. */
const writeReserveMs = 5_000;
/** A provider whose tokens are dead on arrival is not asked again at once. */
const deadOnArrivalPauseMs = 30_000;
const worrisomeSkewMs = 60_000;

export class LeasedRenewal {
    readonly #dependencies: RenewalDependencies;

    constructor(dependencies: RenewalDependencies) {
        this.#dependencies = dependencies;
    }

    /** Must be called by the holder of the lease with this epoch; ends the lease. */
    async run(id: string, epoch: number, request: RenewalRequest): Promise<RenewalResult> {
        const { db, sources, strategies, failures } = this.#dependencies;
        await this.#step('leased');
        const target = await writes.loadTarget(db, id);
        if (target === undefined || target.refresh_epoch !== epoch) {
            return { kind: 'gone' };
        }
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
            const receipt = await this.#call(strategy, target, credentials, leaseEnd - writeReserveMs);
            if (receipt === undefined) {
                return { kind: 'unchanged' };
            }
            await this.#step('answered');
            this.#noticeSkew(target, receipt);
            const entryId = await this.#journal(target, receipt);
            await this.#step('journalled');
            const obtained = await this.#interpret(strategy, receipt, credentials, entryId);
            const applied = await this.#apply(target, epoch, credentials, obtained, strategy, entryId, reasonOf(request, target));
            await this.#step('applied');
            // Overtaken by a reconnect or a later lease: their credentials are newer, ours stay in the journal.
            return applied ? { kind: 'renewed', at: obtained.obtainedAt } : { kind: 'unchanged' };
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
        const { db, sources, vault } = this.#dependencies;
        const intent: RefreshIntent = {
            epoch: target.refresh_epoch,
            started_at: new Date(sources.now()).toISOString(),
            fingerprint: createHash('sha256')
                .update(refreshTokenOf(credentials) ?? '')
                .digest('base64url')
                .slice(0, 16),
        };
        if (!(await writes.recordIntent(db, target.id, intent))) {
            return undefined;
        }
        await this.#step('intent-recorded');
        const sealedPrevious = target.sealed_previous_refresh_token;
        const previousRefreshToken = async (): Promise<string | undefined> =>
            sealedPrevious === null ? undefined : vault.openFresh(sealedPrevious, previousTokenPlace(target));
        return presentGrant(strategy, { credentials, previousRefreshToken, until }, sources);
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
        reason: operations.Renewed['reason'],
    ): Promise<boolean> {
        const { db, vault, sources, logger } = this.#dependencies;
        const newToken = refreshTokenOf(obtained.credentials);
        const oldToken = refreshTokenOf(current);
        const nextAt = renewalAt(obtained, strategy, sources);
        const isDeadOnArrival = obtained.expiresAt !== null && obtained.expiresAt <= obtained.obtainedAt;
        const write: writes.CredentialWrite = {
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
            expiresAt: obtained.expiresAt === null ? null : new Date(obtained.expiresAt),
            nextRefreshAt: nextAt === null ? null : new Date(nextAt + (isDeadOnArrival ? deadOnArrivalPauseMs : 0)),
            now: new Date(sources.now()),
            isPending: target.auth_state === 'pending',
        };
        const log: operations.Renewed = {
            id: operations.newOperationId(sources),
            environmentId: target.environment_id,
            integrationId: target.integration.id,
            connectionRowId: target.id,
            connectionId: target.connection_id,
            reason,
            expiresAt: write.expiresAt,
        };
        for (const note of obtained.notes ?? []) {
            logger.warn({ connection_row: target.id, provider: target.provider }, note);
        }
        return untilDatabaseAnswers(
            () =>
                db.transaction().execute(async (transaction) => {
                    const applied = await writes.writeCredentials(transaction, {
                        ...write,
                        ...(await this.#newsOf(transaction, target.id, obtained, strategy)),
                    });
                    if (applied) {
                        await journal.settle(transaction, journalId, 'applied', write.now);
                        await operations.recordRenewals(transaction, [log]);
                    }
                    return applied;
                }),
            this.#dependencies,
        );
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

/** An unreadable row is a failure of that row, not of the queue (R12). */
function asFailure(error: unknown): TokenFailure | undefined {
    if (error instanceof VaultError) {
        // A repaired key ring makes it readable again, so it is never given up.
        return new TokenFailure('transient', `The stored credentials cannot be opened (${error.code}).`, { type: 'credentials_unreadable' });
    }
    return error instanceof TokenFailure ? error : undefined;
}
