/**
 * How replicas divide what a token endpoint, or a provider, may be asked at once and per minute.
 *
 * Not a row per call: a process takes a share of the slots, and calls for those who wait, in one short transaction a few
 * times per second, and divides them among its own callers. The row is locked for two statements of that time, so a thousand
 * calls per second of one host do not queue for it. A share names when it ends; that of a dead process ends by itself.
 */
import type { Kysely } from 'kysely';
import { clocksDifferMs } from '../sources.ts';
import { json } from './database.ts';
import type { CallShare, Schema } from './schema.ts';

export interface CallLimit {
    /** `host …` or `provider …`. */
    scope: string;
    /** Calls under way at once, of all processes. */
    concurrency: number;
    perMinute?: number | undefined;
}

export interface ShareRequest {
    owner: string;
    now: number;
    /** When the share ends unless it is renewed, ms; later than any call that it allows. */
    until: number;
    /** Calls of this process that are under way. */
    inFlight: number;
    /** Those that wait, and how many of them somebody waits for. */
    waiting: number;
    urgent: number;
    /** Calls wanted of the minute's. */
    calls: number;
}

export interface Granted {
    /** Of this process's calls so many may be under way, */
    slots: number;
    /** and so many before one begins that nobody waits for. */
    backgroundSlots: number;
    /** Calls of the minute's. */
    calls: number;
}

/** What background work may use of a limit, so that a caller finds room. */
const backgroundPart = 0.75;
/** The minute's calls may not all come at once. */
const burstPart = 1 / 6;

/** Replaces this process's share by what it needs now. */
export function exchangeShare(db: Kysely<Schema>, limit: CallLimit, request: ShareRequest): Promise<Granted> {
    const now = new Date(request.now);
    const burst = Math.max(1, (limit.perMinute ?? 0) * burstPart);
    return db.transaction().execute(async (transaction) => {
        const row = await transaction
            .insertInto('token_call_shares')
            .values({ scope: limit.scope, shares: '{}', calls: burst, refilled_at: now })
            // Changes nothing, but locks the row and returns it as it is now.
            .onConflict((conflict) => conflict.column('scope').doUpdateSet((row) => ({ scope: row.ref('excluded.scope') })))
            .returningAll()
            .executeTakeFirstOrThrow();
        const { slots, backgroundSlots, shares } = divide(row.shares, limit, request);
        const elapsed = Math.max(0, request.now - row.refilled_at.getTime());
        // What a process with a faster clock has counted is not counted again; a clock that is further behind was set back.
        const refilledAt = elapsed === 0 && row.refilled_at.getTime() - request.now <= clocksDifferMs ? row.refilled_at : now;
        const available = Math.min(burst, row.calls + (elapsed * (limit.perMinute ?? 0)) / 60_000);
        const calls = Math.min(request.calls, Math.floor(available));
        const isUnused = Object.keys(shares).length === 0 && limit.perMinute === undefined;
        await (isUnused
            ? transaction.deleteFrom('token_call_shares').where('scope', '=', limit.scope).execute()
            : transaction
                  .updateTable('token_call_shares')
                  .set({ shares: json(shares), calls: available - calls, refilled_at: refilledAt })
                  .where('scope', '=', limit.scope)
                  .execute());
        return { slots, backgroundSlots, calls };
    });
}

/** While another process lacks slots, nobody keeps more than an equal part; what is under way is never taken back. */
export function divide(
    shares: Readonly<Record<string, CallShare>>,
    { concurrency }: Pick<CallLimit, 'concurrency'>,
    { owner, now, until, inFlight, waiting, urgent }: Omit<ShareRequest, 'calls'>,
): { slots: number; backgroundSlots: number; shares: Record<string, CallShare> } {
    const others = Object.entries(shares).filter(([name, share]) => name !== owner && share.until > now);
    const taken = others.reduce((sum, [, share]) => sum + share.slots, 0);
    const isContended = others.some(([, share]) => share.needs > share.slots);
    const needs = inFlight + waiting;
    // Some to spare: the next caller should not have to wait for an exchange.
    const wanted = isContended ? needs : needs + Math.ceil(needs / 4);
    const most = isContended ? Math.max(1, Math.floor(concurrency / (others.length + 1))) : concurrency;
    const part = (ceiling: number, want: number): number => Math.max(0, Math.min(want, most, ceiling - taken));
    const backgroundSlots = part(Math.max(1, Math.floor(concurrency * backgroundPart)), wanted);
    const slots = Math.max(backgroundSlots, urgent > 0 ? part(concurrency, wanted) : 0);
    const own = needs === 0 ? [] : [[owner, { slots: Math.max(slots, inFlight), needs, until }] as const];
    return { slots, backgroundSlots, shares: Object.fromEntries([...others, ...own]) };
}
