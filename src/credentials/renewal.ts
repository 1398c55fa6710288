/**
 * Credentials after they were obtained: sealing, expiry, renewal, the background refresher. Obtaining them is `auth-modes/`.
 *
 * This file lets one caller renew and the others wait; `leased-renewal.ts` is what that one does, `token-answers.ts` what becomes of the answer. Together they are the
 * renewal algorithm (auth-modes §16.9), the only one: reads, `force_refresh` and the background worker all come through here.
 * Its invariants: one outstanding token call per connection across all processes (a Postgres lease with a fencing epoch, R1);
 * an answer is journalled before it is parsed (R2); every path ends in a result.
 */
import { randomFraction } from '../sources.ts';
import * as writes from '../store/credential-writes.ts';
import { readProgress, type RenewalTarget } from '../store/renewal-targets.ts';
import { renewAppJwt } from './app-jwt.ts';
import { JournalRecovery } from './journal-recovery.ts';
import { isBetween, LeasedRenewal, leaseMs, type RenewalDependencies, type RenewalRequest, type RenewalResult } from './leased-renewal.ts';
import { TokenAnswers } from './token-answers.ts';
import { TokenFailure } from './token-failure.ts';

/** How long a caller waits for another process before it takes what there is. */
const callerDeadlineMs = 25_000;
/** Between two looks at a renewal of another process; longer where a hint comes when it ends. */
const longestPauseMs = 400;
const longestHintedPauseMs = 2_000;

export class Renewals {
    readonly #dependencies: RenewalDependencies;
    readonly #leased: LeasedRenewal;
    readonly #recovery: JournalRecovery;
    /** What callers join: it may still be waiting for another process. */
    readonly #running = new Map<string, Promise<RenewalResult>>();
    readonly #underLease = new Map<string, Promise<RenewalResult>>();

    constructor(dependencies: RenewalDependencies) {
        this.#dependencies = dependencies;
        const answers = new TokenAnswers(dependencies);
        this.#leased = new LeasedRenewal(dependencies, answers);
        this.#recovery = new JournalRecovery(dependencies, answers);
    }

    /** Renews if due, or if forced and nothing was obtained since the request began. Settles within 25 seconds. */
    async renew(id: string, request: RenewalRequest): Promise<RenewalResult> {
        const { sources } = this.#dependencies;
        const deadline = sources.now() + callerDeadlineMs;
        const abort = new AbortController();
        const outOfTime: RenewalResult = { kind: 'busy' };
        const ended = sources.sleep(callerDeadlineMs, abort.signal).then(
            () => outOfTime,
            () => outOfTime,
        );
        try {
            for (;;) {
                const joined = this.#running.get(id);
                const attempt = joined ?? track(this.#running, id, this.#attempt(id, request, deadline));
                const result = await Promise.race([attempt, ended]);
                if (joined === undefined || result === outOfTime || result.kind === 'gone' || satisfies(result, request)) {
                    return result;
                }
            }
        } finally {
            abort.abort('answered');
        }
    }

    /** Renews, or tests, a connection whose lease the work queue has just claimed. @param loaded as it was read under this lease */
    renewClaimed(id: string, epoch: number, loaded?: RenewalTarget): Promise<RenewalResult> {
        const request = { force: false, since: this.#dependencies.sources.now(), isBackground: true };
        return track(this.#running, id, this.#renewUnderLease(id, epoch, request, loaded));
    }

    /** @throws TokenFailure, VaultError */
    renewAppJwt(id: string): Promise<void> {
        return renewAppJwt(this.#dependencies, id);
    }

    /** Applies answers that were journalled by a process that did not live to apply them. @returns how many connections were mended. */
    recover(receivedBefore: number): Promise<number> {
        return this.#recovery.recover(receivedBefore);
    }

    /** Resolves when no renewal is under way. */
    async drain(): Promise<void> {
        while (this.#running.size + this.#underLease.size > 0) {
            await Promise.allSettled([...this.#running.values(), ...this.#underLease.values()]);
        }
        await this.#leased.drain();
    }

    async #attempt(id: string, request: RenewalRequest, deadline: number): Promise<RenewalResult> {
        const { db, sources, owner } = this.#dependencies;
        while (sources.now() < deadline) {
            const epoch = await writes.acquireLease(db, id, owner, sources.now(), leaseMs);
            if (epoch !== undefined) {
                const result = await this.#renewUnderLease(id, epoch, request);
                if (result.kind === 'overtaken') {
                    // The row may hold the spent token still: whoever came first is waited for.
                    continue;
                }
                return result;
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
        const { db, sources, hints } = this.#dependencies;
        const watch = hints?.watchRenewal(id);
        let isTold: boolean | undefined;
        try {
            for (let pause = 40; sources.now() < deadline; pause *= 1.5) {
                const hint = watch?.next();
                const row = await readProgress(db, id);
                if (row === undefined) {
                    return { kind: 'gone' };
                }
                const now = sources.now();
                if (isBetween(row.credentials_obtained_at, request.since, now)) {
                    return { kind: 'renewed', at: row.credentials_obtained_at.getTime() };
                }
                if (row.last_refresh_failure !== null && isBetween(row.last_refresh_failure, request.since, now)) {
                    return {
                        kind: 'failed',
                        failure: new TokenFailure('transient', 'another process could not renew the credentials'),
                        at: row.last_refresh_failure.getTime(),
                    };
                }
                if (row.lease_over === null || row.lease_over.getTime() < now) {
                    return undefined;
                }
                if (hints?.isHearing) {
                    isTold ??= await writes.waitForLease(db, id);
                }
                const longest = isTold && hints?.isHearing ? longestHintedPauseMs : longestPauseMs;
                await this.#pause(Math.min(pause, longest) * (0.5 + randomFraction(sources)), hint);
            }
            return { kind: 'busy' };
        } finally {
            watch?.end();
        }
    }

    async #pause(ms: number, hint: Promise<void> | undefined): Promise<void> {
        const abort = new AbortController();
        await Promise.race([hint, this.#dependencies.sources.sleep(ms, abort.signal).catch(() => {})].filter((wait) => wait !== undefined));
        abort.abort('told');
    }

    /** After what an earlier lease of this process has left: it may have ended with its answer still in memory (R2b). */
    #renewUnderLease(id: string, epoch: number, request: RenewalRequest, loaded?: RenewalTarget): Promise<RenewalResult> {
        const earlier = this.#underLease.get(id);
        const renewed =
            earlier === undefined ? this.#leased.run(id, epoch, request, loaded) : settled(earlier).then(() => this.#leased.run(id, epoch, request));
        return track(this.#underLease, id, renewed);
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

/**
 * A forced caller accepts what was obtained, or tried, after it began; and everybody that one who was no less urgent was put back.
 * Nobody accepts that another had no more time to wait.
 */
function satisfies(result: RenewalResult, request: RenewalRequest): boolean {
    if (result.kind === 'busy') {
        return false;
    }
    if (result.kind === 'put-back') {
        return !result.by.isBackground && (result.by.force || !request.force);
    }
    return !request.force || ((result.kind === 'renewed' || result.kind === 'failed') && result.at >= request.since);
}
