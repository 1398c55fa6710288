/**
 * Years of renewals on a virtual clock: the schedule (R8, R12), what failures lead to (R5) and what is told of them (R15), by the
 * code that production runs, for thousands of connections in seconds. No database and no network: what these add, `proof.ts` tries.
 */
import { nextRefreshAt, type Renewability } from '../credentials/expiry.ts';
import { isReportedNow, outcomeOfFailure, type FailingConnection } from '../credentials/failure-outcome.ts';
import { TokenFailure } from '../credentials/token-failure.ts';
import type { Sources } from '../sources.ts';
import { Agenda } from './agenda.ts';
import { diceOf, seededRandom, type Dice } from './seed.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** How a provider treats tokens; the grant ends when it is not used for `idleMs`. */
export interface Manner {
    name: string;
    share: number;
    lifetimeMs: number | null;
    idleMs: number;
}

export const usualManners: readonly Manner[] = [
    { name: 'hours', share: 0.1, lifetimeMs: 8 * hour, idleMs: 14 * day },
    { name: 'a day', share: 0.3, lifetimeMs: day, idleMs: 30 * day },
    { name: 'two months', share: 0.4, lifetimeMs: 60 * day, idleMs: 14 * day },
    { name: 'unknown', share: 0.2, lifetimeMs: null, idleMs: 14 * day },
];

export interface CalendarOptions {
    days: number;
    connections: number;
    seed: number;
    /** Default: the usual ones. */
    manners?: readonly Manner[];
}

export interface CalendarResult {
    renewals: number;
    /** Grants that their user withdrew. */
    withdrawn: number;
    /** Of these, marked `needs_reauth`, each with one event that says so. */
    marked: number;
    /** Grants that ended because nobody used them in time: the refresher's fault. */
    lapsed: number;
    /** Marked although the grant lives. */
    wronglyMarked: number;
    /** Attempts on a connection after it was given up. */
    attemptsAfterEnd: number;
    /** Events about a connection that came less than a day after the one before, its last word excepted. */
    hastyEvents: number;
    failures: number;
    events: number;
    /** Most renewals that fell into one minute, the first day excepted: all connections were made in the first hour. */
    busiestMinute: number;
    /** Longest that a connection with a living grant was without a usable token while its provider was up, ms. */
    longestWithoutToken: number;
}

interface Life extends FailingConnection {
    manner: Manner;
    usedAt: number;
    withdrawnAt: number;
    isOver: boolean;
}

/** Nothing of a provider's answers in these hours. */
interface Outage {
    from: number;
    until: number;
    failure: TokenFailure;
}

export function liveThrough({ days, connections, seed, manners = usualManners }: CalendarOptions): CalendarResult {
    const dice = diceOf(seededRandom(seed, 'calendar'));
    const agenda = new Agenda();
    let now = 0;
    const sources: Sources = { now: () => now, random: seededRandom(seed, 'jitter'), sleep: () => Promise.reject(new Error('Nothing sleeps here.')) };
    const end = days * day;
    const outages = manners.map(() => drawOutages(dice, end));
    const perMinute = new Map<number, number>();
    const result: CalendarResult = {
        renewals: 0,
        withdrawn: 0,
        marked: 0,
        lapsed: 0,
        wronglyMarked: 0,
        attemptsAfterEnd: 0,
        hastyEvents: 0,
        failures: 0,
        events: 0,
        busiestMinute: 0,
        longestWithoutToken: 0,
    };

    function attempt(life: Life): void {
        result.attemptsAfterEnd += life.isOver ? 1 : 0;
        const outage = outages[manners.indexOf(life.manner)]!.find(({ from, until }) => from <= now && now < until);
        if (outage !== undefined) {
            return fail(life, outage.failure);
        }
        const hasLapsed = now - life.usedAt > life.manner.idleMs;
        if (hasLapsed || life.withdrawnAt <= now) {
            result.lapsed += hasLapsed && life.withdrawnAt > now ? 1 : 0;
            return fail(life, new TokenFailure('permanent', 'refused', { code: 'invalid_grant' }));
        }
        succeed(life);
    }

    function succeed(life: Life): void {
        const { lifetimeMs } = life.manner;
        const expiredAt = life.credentials_expires_at?.getTime() ?? now;
        const isAfterOutage = life.refresh_attempts > 0;
        result.longestWithoutToken = Math.max(result.longestWithoutToken, isAfterOutage ? 0 : now - expiredAt);
        const place = Math.floor(now / minute);
        perMinute.set(place, (perMinute.get(place) ?? 0) + 1);
        result.renewals += 1;
        Object.assign(life, {
            usedAt: now,
            credentials_obtained_at: new Date(now),
            credentials_expires_at: lifetimeMs === null ? null : new Date(now + lifetimeMs),
            auth_state: 'ok',
            auth_error: null,
            refresh_attempts: 0,
            refresh_failure_reported_at: null,
        });
        plan(life, nextRefreshAt({ obtainedAt: now, expiresAt: lifetimeMs === null ? null : now + lifetimeMs }, renewability, sources));
    }

    function fail(life: Life, failure: TokenFailure): void {
        const outcome = outcomeOfFailure(life, failure, sources);
        const isReported = isReportedNow(life, outcome, now);
        const reportedAt = life.refresh_failure_reported_at?.getTime();
        result.failures += 1;
        result.events += isReported ? 1 : 0;
        result.hastyEvents += isReported && reportedAt !== undefined && now - reportedAt < day && outcome.state !== 'needs_reauth' ? 1 : 0;
        if (outcome.state === 'needs_reauth') {
            life.isOver = true;
            result.marked += life.withdrawnAt <= now && isReported ? 1 : 0;
            result.wronglyMarked += life.withdrawnAt > now && now - life.usedAt <= life.manner.idleMs ? 1 : 0;
        }
        const { type, description, refusals, refusedSince } = outcome.error;
        const since = life.auth_error?.since ?? new Date(now).toISOString();
        const refused = refusedSince === undefined ? {} : { refusals, refused_since: new Date(refusedSince).toISOString() };
        Object.assign(life, {
            auth_state: outcome.state,
            auth_error: { type, description, log_id: '', since, ...refused },
            refresh_attempts: outcome.attempts,
            ...(isReported ? { refresh_failure_reported_at: new Date(now) } : {}),
        });
        plan(life, outcome.nextRefreshAt?.getTime() ?? null);
    }

    function plan(life: Life, at: number | null): void {
        if (at !== null) {
            agenda.add(Math.max(at, now), (time) => {
                now = time;
                attempt(life);
            });
        }
    }

    for (let index = 0; index < connections; index += 1) {
        const life = newLife(mannerOf(manners, index / connections), dice.happens(0.05) ? dice.between(day, end - 30 * day) : Infinity);
        result.withdrawn += life.withdrawnAt < end ? 1 : 0;
        agenda.add(dice.between(0, hour), (time) => {
            now = time;
            succeed(life);
        });
    }
    agenda.run(end);
    const settled = [...perMinute].filter(([place]) => place > day / minute);
    result.busiestMinute = settled.reduce((most, [, count]) => Math.max(most, count), 0);
    return result;
}

const renewability: Renewability = { canRenew: true, hasRefreshToken: true };

const newLife = (manner: Manner, withdrawnAt: number): Life => ({
    manner,
    withdrawnAt,
    usedAt: 0,
    isOver: false,
    auth_state: 'ok',
    auth_error: null,
    refresh_attempts: 0,
    refresh_failure_reported_at: null,
    credentials_obtained_at: new Date(0),
    credentials_expires_at: null,
});

function mannerOf(manners: readonly Manner[], place: number): Manner {
    let from = 0;
    return manners.find(({ share }) => (from += share) > place + 1e-9) ?? manners.at(-1)!;
}

/** About one a month, from minutes to three days; each in one of the ways in which providers fail. */
function drawOutages(dice: Dice, end: number): Outage[] {
    const ways = [
        () => new TokenFailure('transient', 'The provider answered 503.'),
        () => new TokenFailure('transient', 'The provider did not answer.', { isAmbiguous: true }),
        () => new TokenFailure('transient', 'The provider answered 429.', { retryAfterMs: dice.between(minute, 2 * hour) }),
    ];
    const outages: Outage[] = [];
    for (let from = dice.between(0, 60 * day); from < end - 5 * day; from += dice.between(day, 60 * day)) {
        const until = from + (dice.happens(0.8) ? dice.between(5 * minute, 6 * hour) : dice.between(6 * hour, 3 * day));
        outages.push({ from, until, failure: dice.pick(ways)() });
        from = until;
    }
    return outages;
}
