/** This process's part of the limits that all replicas share (R10): who may call now, who waits, and who goes first. */
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { Sources } from '../sources.ts';
import { exchangeShare, type CallLimit } from '../store/call-shares.ts';
import type { Schema } from '../store/schema.ts';

/** Longer than any renewal under one lease. */
const shareMs = 60_000;
/** A share that could not be renewed is not used up to its end: calls that begin then would outlive it. */
const leastLeftMs = 45_000;
const exchangeEveryMs = 1_000;
/** While somebody waits. */
const exchangeSoonMs = 200;

export interface SharedLimit extends CallLimit {
    /** So many calls of each process are not counted: most hosts never see more at once, and a renewal of theirs costs no statement. */
    uncounted: number;
}

interface Waiting {
    isBackground: boolean;
    admit(): void;
}

interface Scope {
    limit: SharedLimit;
    inFlight: number;
    slots: number;
    backgroundSlots: number;
    calls: number;
    sharedUntil: number;
    waiting: Waiting[];
    loop?: Promise<void> | undefined;
    hurry?: (() => void) | undefined;
}

export class CallShares {
    readonly #dependencies: { db: Kysely<Schema>; sources: Sources; logger: Logger; owner: string };
    readonly #scopes = new Map<string, Scope>();
    #isDraining = false;

    constructor(dependencies: { db: Kysely<Schema>; sources: Sources; logger: Logger; owner: string }) {
        this.#dependencies = dependencies;
    }

    /** @returns whether the call may begin; if so, `leave` has to be called when it has ended. */
    async enter(limit: SharedLimit, isBackground: boolean, waitMs: number): Promise<boolean> {
        const scope = this.#scopeOf(limit);
        if (this.#mayBegin(scope, isBackground)) {
            this.#begin(scope);
            return true;
        }
        const admitted = Promise.withResolvers<boolean>();
        const waiting: Waiting = { isBackground, admit: () => admitted.resolve(true) };
        scope.waiting.push(waiting);
        this.#keepSharing(scope);
        const abort = new AbortController();
        this.#dependencies.sources.sleep(waitMs, abort.signal).then(
            () => {
                const index = scope.waiting.indexOf(waiting);
                if (index >= 0) {
                    scope.waiting.splice(index, 1);
                    admitted.resolve(false);
                }
            },
            () => {},
        );
        return admitted.promise.finally(() => abort.abort('admitted'));
    }

    leave(limit: SharedLimit): void {
        const scope = this.#scopeOf(limit);
        scope.inFlight -= 1;
        this.#admitWaiting(scope);
        if (scope.inFlight === 0 && scope.loop === undefined) {
            this.#scopes.delete(limit.scope);
        }
    }

    /** Gives everything back; nothing may be under way. */
    async drain(): Promise<void> {
        this.#isDraining = true;
        for (const scope of this.#scopes.values()) {
            scope.hurry?.();
            await scope.loop;
        }
    }

    #scopeOf(limit: SharedLimit): Scope {
        let scope = this.#scopes.get(limit.scope);
        if (scope === undefined) {
            scope = { limit, inFlight: 0, slots: 0, backgroundSlots: 0, calls: 0, sharedUntil: 0, waiting: [] };
            this.#scopes.set(limit.scope, scope);
        }
        scope.limit = limit;
        return scope;
    }

    #begin(scope: Scope): void {
        scope.inFlight += 1;
        if (scope.limit.perMinute !== undefined) {
            scope.calls -= 1;
        }
        if (scope.inFlight > scope.limit.uncounted) {
            this.#keepSharing(scope);
        }
    }

    #mayBegin(scope: Scope, isBackground: boolean): boolean {
        const { limit } = scope;
        const isCovered = this.#dependencies.sources.now() + leastLeftMs <= scope.sharedUntil;
        const shared = isCovered ? (isBackground ? scope.backgroundSlots : scope.slots) : 0;
        const isInTime = limit.perMinute === undefined || scope.calls >= 1;
        return isInTime && scope.inFlight < Math.max(limit.uncounted, shared);
    }

    /** Callers first, then whoever has waited longest. */
    #admitWaiting(scope: Scope): void {
        for (const isBackground of [false, true]) {
            while (scope.waiting.length > 0 && this.#mayBegin(scope, isBackground)) {
                const next = scope.waiting.findIndex((one) => one.isBackground === isBackground);
                if (next < 0) {
                    break;
                }
                const [waiting] = scope.waiting.splice(next, 1);
                this.#begin(scope);
                waiting!.admit();
            }
        }
    }

    #keepSharing(scope: Scope): void {
        if (scope.loop === undefined) {
            scope.loop = this.#share(scope);
        } else {
            scope.hurry?.();
        }
    }

    /** While there is anything to share; the last exchange gives everything back. */
    async #share(scope: Scope): Promise<void> {
        const { sources } = this.#dependencies;
        for (let isIdle = false; !isIdle;) {
            await this.#exchange(scope);
            this.#admitWaiting(scope);
            isIdle = scope.slots === 0 && scope.waiting.length === 0 && scope.inFlight <= scope.limit.uncounted;
            if (!isIdle) {
                await sources.sleep(exchangeSoonMs);
                if (scope.waiting.length === 0 && scope.inFlight > 0) {
                    await this.#rest(scope, exchangeEveryMs - exchangeSoonMs);
                }
            }
        }
        scope.loop = undefined;
        if (scope.inFlight === 0) {
            this.#scopes.delete(scope.limit.scope);
        }
    }

    async #exchange(scope: Scope): Promise<void> {
        const { db, sources, logger, owner } = this.#dependencies;
        const now = sources.now();
        const { limit, waiting } = scope;
        const inFlight = waiting.length > 0 || scope.inFlight > limit.uncounted ? scope.inFlight : 0;
        // Nothing begins meanwhile that the others are not told of.
        scope.slots = Math.min(scope.slots, inFlight);
        scope.backgroundSlots = Math.min(scope.backgroundSlots, inFlight);
        try {
            const { slots, backgroundSlots, calls } = await exchangeShare(db, limit, {
                owner,
                now,
                until: now + shareMs,
                inFlight,
                waiting: waiting.length,
                urgent: waiting.filter(({ isBackground }) => !isBackground).length,
                calls: limit.perMinute === undefined ? 0 : Math.max(0, waiting.length - scope.calls),
            });
            Object.assign(scope, { slots, backgroundSlots, calls: scope.calls + calls, sharedUntil: now + shareMs });
        } catch (error) {
            logger.debug({ err: error, scope: limit.scope }, 'the share of a limit could not be renewed');
            if (this.#isDraining) {
                scope.slots = 0;
            }
        }
    }

    async #rest(scope: Scope, ms: number): Promise<void> {
        const abort = new AbortController();
        scope.hurry = () => abort.abort('hurry');
        await this.#dependencies.sources.sleep(ms, abort.signal).catch(() => {});
        scope.hurry = undefined;
    }
}
