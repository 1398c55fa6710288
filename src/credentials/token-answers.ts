/**
 * What becomes of a token answer: journalled before anybody interprets it, then interpreted, then applied under its guards, together
 * with the events and the log line that come of it (auth-modes §16.9 no. 6, R2). Also of an answer that is found in the journal.
 */
import type { Kysely } from 'kysely';
import { newRowId } from '../sources.ts';
import { json } from '../store/database.ts';
import * as writes from '../store/credential-writes.ts';
import type { RenewalTarget } from '../store/renewal-targets.ts';
import * as journal from '../store/credential-journal.ts';
import * as operations from '../store/operations.ts';
import type { Schema } from '../store/schema.ts';
import { mergeConfig } from './connection-secrets.ts';
import { credentialTypeOf, refreshTokenOf, type Credentials, type Obtained } from './credential.ts';
import { credentialsPlace, journalPlace, previousTokenPlace } from './credential-places.ts';
import { dateOrNull } from './expiry.ts';
import { lapseToTell, tellOfLapse } from './expiry-notice.ts';
import { GroupCommit } from './group-commit.ts';
import type { RenewalDependencies } from './leased-renewal.ts';
import { tellOfRecovery } from './recovery-notice.ts';
import { foreseenOf, scheduleOf } from './renewal-schedule.ts';
import type { RenewalStrategy, TokenReceipt } from './renewal-strategy.ts';
import { TokenFailure } from './token-failure.ts';
import { untilDatabaseAnswers } from './until-database-answers.ts';
import type { Vault } from './vault.ts';

/** A provider whose tokens are dead on arrival is not asked again at once. */
const deadOnArrivalPauseMs = 30_000;

/** The events of a renewal, in the transaction of its write. */
type Telling = ((transaction: Kysely<Schema>) => Promise<void>)[];

/** New credentials, and what they come from. */
interface Renewal {
    current: Credentials;
    obtained: Obtained;
    strategy: RenewalStrategy;
    journalId: string;
    reason: operations.Renewed['reason'];
}

export const openCredentials = async (vault: Vault, target: RenewalTarget): Promise<Credentials> =>
    JSON.parse(await vault.openFresh(target.sealed_credentials, credentialsPlace(target))) as Credentials;

export class TokenAnswers {
    readonly #dependencies: RenewalDependencies;
    readonly #entries: GroupCommit<journal.UnsettledEntry, void>;
    readonly #applications: GroupCommit<writes.JournalledWrite, boolean>;

    constructor(dependencies: RenewalDependencies) {
        const { db } = dependencies;
        this.#dependencies = dependencies;
        this.#entries = new GroupCommit(async (entries) => {
            await journal.append(db, entries);
            return entries.map(() => {});
        });
        this.#applications = new GroupCommit(async (all) => {
            const applied = await writes.applyJournalled(db, all);
            return all.map(({ id }) => applied.has(id));
        });
    }

    async journal(target: RenewalTarget, receipt: TokenReceipt): Promise<string> {
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
        };
        await untilDatabaseAnswers(() => this.#entries.add(entry), this.#dependencies);
        return id;
    }

    /** What cannot be read stays in the journal, marked: it may hold a rotated token that a person can still save. */
    async interpret(strategy: RenewalStrategy, receipt: TokenReceipt, credentials: Credentials, journalId: string): Promise<Obtained> {
        try {
            return strategy.interpret(receipt, credentials);
        } catch (error) {
            const { db, sources } = this.#dependencies;
            await untilDatabaseAnswers(() => journal.settle(db, journalId, 'rejected', new Date(sources.now())), this.#dependencies);
            throw error;
        }
    }

    /** @returns whether they are stored: not, when a reconnect or a later lease has overtaken this one */
    async apply(target: RenewalTarget, epoch: number, { current, obtained, strategy, journalId, reason }: Renewal): Promise<boolean> {
        const { vault, sources, strategies, logger } = this.#dependencies;
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
            expiresAtSource: obtained.expiresAtSource ?? null,
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
        const authMode = strategies.authModeOf(target.provider);
        const tell: Telling = [];
        if (target.refresh_failure_reported_at !== null) {
            tell.push((transaction) => tellOfRecovery(transaction, sources, target, authMode));
        }
        if (lapse) {
            tell.push((transaction) => tellOfLapse(transaction, sources, target, authMode, lapse));
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
                await journal.discard(transaction, write.journalId);
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
    async applyJournalled(target: RenewalTarget, epoch: number): Promise<number | undefined> {
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
        const credentials = await openCredentials(vault, target);
        const strategy = await strategies.strategyFor(target, credentials);
        const receipt = JSON.parse(await vault.openFresh(entry.sealed_response, journalPlace(target.environment_id, entry.id))) as TokenReceipt;
        if (strategy === undefined) {
            return undefined;
        }
        try {
            const obtained = await this.interpret(strategy, receipt, credentials, entry.id);
            const renewal: Renewal = { current: credentials, obtained, strategy, journalId: entry.id, reason: 'recovered' };
            return (await this.apply(target, epoch, renewal)) ? obtained.obtainedAt : undefined;
        } catch (error) {
            if (!(error instanceof TokenFailure)) {
                throw error;
            }
            logger.error({ err: error, journal: entry.id }, 'a journalled token answer cannot be applied');
            return undefined;
        }
    }
}
