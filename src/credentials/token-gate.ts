/**
 * Whether a token call may be made now (R10): is its host well, and is there room within the limits that all replicas share?
 *
 * Callers wait for room, background work only briefly; neither waits for a host that is left alone. What is put back has not
 * been tried: no attempt is counted and nobody is told.
 */
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import { randomFraction, type Sources } from '../sources.ts';
import type { Schema } from '../store/schema.ts';
import { CallShares, type SharedLimit } from './call-shares.ts';
import { TokenFailure } from './token-failure.ts';
import { TokenHosts } from './token-hosts.ts';

/** Adapts to how fast a host answers: at 200 ms it is 500 calls per second. How many per minute is too many, only a provider's entry can say. */
const hostConcurrency = 100;
const uncountedPerHost = 4;
/** Within a caller's 25 s, with room for the call. */
const callerWaitMs = 10_000;
const backgroundWaitMs = 5_000;
const probePauseMs = 250;
/** What is put back returns spread over at least this time. */
const shortestSpreadMs = 10_000;

/** An entry's `token_limits`. */
export interface TokenLimits {
    readonly concurrency?: number;
    readonly per_minute?: number;
}

export interface TokenCallPlan {
    connectionRowId: string;
    provider: string;
    /** `undefined`: unknown; the limits of the provider hold all the same. */
    host: string | undefined;
    limits: TokenLimits | undefined;
    /** Nobody waits for it. */
    isBackground: boolean;
    /** There is a token that still works. */
    canDoWithout: boolean;
}

export type Admission =
    /** @param outcome that it was answered, or the error it ended in; `undefined`: there was no call */
    { kind: 'admitted'; leave(outcome: unknown): void } | { kind: 'put-back'; until: number };

export class TokenGate {
    readonly #sources: Sources;
    readonly #hosts: TokenHosts;
    readonly #shares: CallShares;

    constructor(dependencies: { db: Kysely<Schema>; sources: Sources; logger: Logger; owner: string }) {
        this.#sources = dependencies.sources;
        this.#hosts = new TokenHosts(dependencies);
        this.#shares = new CallShares(dependencies);
    }

    /** Whoever is admitted calls `leave` when the call has ended. */
    async enter(plan: TokenCallPlan): Promise<Admission> {
        const waitUntil = this.#sources.now() + (plan.isBackground ? backgroundWaitMs : callerWaitMs);
        const host = plan.host === undefined ? { isProbe: false } : await this.#pass(plan.host, plan, waitUntil);
        if ('putBackUntil' in host) {
            return this.#putBack(host.putBackUntil);
        }
        const entered: SharedLimit[] = [];
        const leaveAll = (): void => entered.forEach((limit) => this.#shares.leave(limit));
        for (const limit of limitsOf(plan)) {
            if (!(await this.#shares.enter(limit, plan.isBackground, Math.max(0, waitUntil - this.#sources.now())))) {
                leaveAll();
                if (host.isProbe) {
                    this.#hosts.giveUpProbe(plan.host!);
                }
                return this.#putBack(this.#sources.now());
            }
            entered.push(limit);
        }
        return {
            kind: 'admitted',
            leave: (outcome) => {
                leaveAll();
                if (plan.host === undefined) {
                    return;
                }
                if (outcome === 'answered' || (outcome instanceof TokenFailure && !outcome.isUnasked)) {
                    this.#hosts.report(plan.host, plan.connectionRowId, outcome === 'answered' ? undefined : outcome);
                } else if (host.isProbe) {
                    this.#hosts.giveUpProbe(plan.host);
                }
            },
        };
    }

    async drain(): Promise<void> {
        await Promise.all([this.#hosts.drain(), this.#shares.drain()]);
    }

    async #pass(host: string, plan: TokenCallPlan, waitUntil: number): Promise<{ isProbe: boolean } | { putBackUntil: number }> {
        const mayWait = !plan.isBackground && !plan.canDoWithout;
        for (;;) {
            const state = await this.#hosts.stateOf(host);
            if (state.kind === 'open' || (state.kind === 'slow' && !mayWait)) {
                return { putBackUntil: state.until };
            }
            if (state.kind !== 'probing') {
                return { isProbe: state.kind === 'probe' };
            }
            if (!mayWait || this.#sources.now() >= waitUntil) {
                return { putBackUntil: this.#sources.now() };
            }
            await this.#sources.sleep(probePauseMs);
        }
    }

    /** Not all at once when the time has come. */
    #putBack(until: number): Admission {
        const spread = Math.max(shortestSpreadMs, until - this.#sources.now());
        return { kind: 'put-back', until: Math.round(until + randomFraction(this.#sources) * spread) };
    }
}

/** The provider's own, across its hosts, and the host's, across the providers that share it; an entry may know that it bears more. */
function limitsOf({ provider, host, limits }: TokenCallPlan): SharedLimit[] {
    const own =
        limits === undefined
            ? []
            : [{ scope: `provider ${provider}`, concurrency: limits.concurrency ?? hostConcurrency, perMinute: limits.per_minute, uncounted: 0 }];
    return host === undefined
        ? own
        : [...own, { scope: `host ${host}`, concurrency: Math.max(hostConcurrency, limits?.concurrency ?? 0), uncounted: uncountedPerHost }];
}
