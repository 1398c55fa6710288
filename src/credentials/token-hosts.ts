/**
 * Which token endpoints are in trouble, so that nobody makes it worse: a circuit breaker per host, shared by all replicas (R10).
 *
 * Five connections whose calls fail one after the other (outages only: a refusal is an answer) open a host for 30 s, then for
 * twice as long, up to 5 min; afterwards one call alone finds out. An answer closes it at once. One connection alone never
 * opens a host: its own back-off (R5) is patience enough.
 */
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { Sources } from '../sources.ts';
import type { Schema, TokenHostRow } from '../store/schema.ts';
import * as hosts from '../store/token-hosts.ts';
import type { TokenFailure } from './token-failure.ts';

const threshold = 5;
const windowMs = 60_000;
const coolDownMs = 30_000;
/** A third of the usual margin: what is put back is still renewed before it expires. */
const longestCoolDownMs = 300_000;
/** Longer than a lease, within which the probe either ends or is lost. */
const probeMs = 45_000;
/** The most that one connection's `Retry-After` holds up the others: it may have been meant for that account alone. */
const longestSlowMs = 60_000;
const readEveryMs = 1_000;

/** `probing`: its cool-down is over, and somebody else is finding out whether it is well. */
export type HostState =
    | { kind: 'well' }
    | { kind: 'slow'; until: number }
    | { kind: 'open'; until: number }
    | { kind: 'probing' }
    | { kind: 'probe' };

export class TokenHosts {
    readonly #dependencies: { db: Kysely<Schema>; sources: Sources; logger: Logger };
    #rows = new Map<string, TokenHostRow>();
    #readAt = Number.NEGATIVE_INFINITY;
    #reading: Promise<void> | undefined;
    readonly #writing = new Set<Promise<void>>();

    constructor(dependencies: { db: Kysely<Schema>; sources: Sources; logger: Logger }) {
        this.#dependencies = dependencies;
    }

    /** At most a second old. `probe`: this caller is the one to find out, and must report how that went. */
    async stateOf(host: string): Promise<HostState> {
        const { db, sources } = this.#dependencies;
        const now = sources.now();
        if (now - this.#readAt >= readEveryMs) {
            await (this.#reading ??= this.#read().finally(() => (this.#reading = undefined)));
        }
        const row = this.#rows.get(host);
        const openUntil = row?.open_until?.getTime();
        if (openUntil !== undefined) {
            if (openUntil > now) {
                return { kind: 'open', until: openUntil };
            }
            return (await hosts.beginProbe(db, host, new Date(now), new Date(now + probeMs))) ? { kind: 'probe' } : { kind: 'probing' };
        }
        const slowUntil = row?.slow_until?.getTime() ?? 0;
        return slowUntil > now ? { kind: 'slow', until: slowUntil } : { kind: 'well' };
    }

    /** How a call went. Does not wait for the write: a token may have come. */
    report(host: string, connectionRowId: string, failure: TokenFailure | undefined): void {
        if (failure?.kind === 'transient') {
            this.#write(() => this.#failed(host, connectionRowId, failure));
            return;
        }
        const row = this.#rows.get(host);
        if (row !== undefined && (row.failing.length > 0 || row.open_until !== null)) {
            this.#write(() => this.#answered(host));
        }
    }

    /** The probe was not carried out. */
    giveUpProbe(host: string): void {
        this.#write(() => hosts.endProbe(this.#dependencies.db, host));
    }

    async drain(): Promise<void> {
        await Promise.all(this.#writing);
    }

    async #read(): Promise<void> {
        const { db, sources, logger } = this.#dependencies;
        try {
            const rows = await hosts.troubled(db);
            this.#rows = new Map(rows.map((row) => [row.host, row]));
            this.#readAt = sources.now();
        } catch (error) {
            logger.debug({ err: error }, 'which token endpoints are in trouble could not be read');
        }
    }

    async #failed(host: string, connectionRowId: string, { retryAfterMs, message }: TokenFailure): Promise<void> {
        const { db, sources, logger } = this.#dependencies;
        const now = sources.now();
        const row = await hosts.recordFailure(db, {
            host,
            connectionRowId,
            now: new Date(now),
            since: new Date(now - windowMs),
            slowUntil: retryAfterMs === undefined ? null : new Date(now + Math.min(retryAfterMs, longestSlowMs)),
            threshold,
            coolDownMs,
            longestCoolDownMs,
        });
        if (row === undefined) {
            return;
        }
        this.#rows.set(host, row);
        if (row.opened_at?.getTime() === now) {
            logger.warn(
                { tokenHost: host, openUntil: row.open_until, openings: row.openings, lastFailure: message },
                'a token endpoint fails for several connections and is left alone for a while',
            );
        }
    }

    async #answered(host: string): Promise<void> {
        const { db, sources, logger } = this.#dependencies;
        const wasOpen = await hosts.recordAnswer(db, host, new Date(sources.now()));
        this.#rows.delete(host);
        if (wasOpen) {
            logger.info({ tokenHost: host }, 'a token endpoint answers again');
        }
    }

    #write(write: () => Promise<void>): void {
        const { logger } = this.#dependencies;
        const writing = write()
            .catch((error: unknown) => logger.debug({ err: error }, 'what became of a token call could not be told to other processes'))
            .finally(() => this.#writing.delete(writing));
        this.#writing.add(writing);
    }
}
