/**
 * When a credential dies, and when to renew it. All times are milliseconds since the epoch.
 * One parser for every token response (R16); one margin rule for every provider (R8).
 */
import { randomFraction, type Sources } from '../sources.ts';
import type { ExpirySource } from '../store/schema.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const year = 365.25 * day;

/** Numbers below are seconds, from here on milliseconds: 1e11 s is the year 5138, 1e11 ms is 1973. */
const smallestMilliseconds = 1e11;

/** The year 10000, whose dates are written in another way. */
const endOfYears = Date.UTC(10_000, 0);

const defaultMargin = 900 * second;
const smallestMargin = 30 * second;
/** R12: a refresh token that is not used for longer than this may be dropped by its server; `max_idle` of an entry knows better. */
export const keepAliveInterval = 7 * day;
/** R4: a token with more life than this is handed out although its last renewal failed. */
const smallestServedLife = 30 * second;

/** `expires_at` of a token response: epoch seconds or milliseconds, as number or text, a date, or `D:HH:MM` from now. `null`: unknown. */
export function parseExpiresAt(value: unknown, now: number): number | null {
    const instant = toInstant(value, now);
    return instant !== null && instant > now - hour && instant < now + 20 * year ? instant : null;
}

/** As `parseExpiresAt`, of a token obtained elsewhere: it may have expired long ago, and be good for its refresh token still. `null`: no date. */
export function parseStoredExpiry(value: unknown, now: number): number | null {
    const instant = toInstant(value, now);
    return instant !== null && instant >= 0 && instant < endOfYears ? instant : null;
}

/** `expires_in` seconds counted from the start of the request (R11); zero or less means: expired already. */
export function parseExpiresIn(value: unknown, requestedAt: number): number | null {
    const seconds = typeof value === 'string' && /^\s*-?\d+(\.\d+)?\s*$/.test(value) ? Number(value) : value;
    if (typeof seconds !== 'number' || !Number.isFinite(seconds)) {
        return null;
    }
    const expiresAt = requestedAt + Math.max(0, seconds) * second;
    return expiresAt < requestedAt + 20 * year ? expiresAt : null;
}

const durations: Readonly<Record<string, number>> = {
    s: second,
    sec: second,
    second,
    m: minute,
    min: minute,
    minute,
    h: hour,
    hour,
    d: day,
    day,
    w: 7 * day,
    week: 7 * day,
};

/** As `parseExpiresIn`, and durations with a unit: `2h`, `30 minutes`. A number without one is seconds, also a decimal one (R16). */
export function parseLifetime(value: unknown, requestedAt: number): number | null {
    const [, number, unit = ''] = (typeof value === 'string' && /^\s*(\d+(?:\.\d+)?)\s*([a-z]+?)s?\s*$/i.exec(value)) || [];
    const unitMs = Object.hasOwn(durations, unit.toLowerCase()) ? durations[unit.toLowerCase()] : undefined;
    return parseExpiresIn(number === undefined || unitMs === undefined ? value : (Number(number) * unitMs) / second, requestedAt);
}

/** When credentials end, as far as it is known, and what says so. */
export interface Expiry {
    expiresAt: number | null;
    /** `null`: nothing does. */
    expiresAtSource: ExpirySource | null;
    /** What could not be used, for the log. Values stay out of it. */
    notes?: readonly string[];
}

const impossible = 'The answer names an expiry that cannot be read, or lies more than 20 years ahead or an hour ago; it counts as unknown.';

/**
 * R16: what an answer says of its token's end, in any mode: a moment, a lifetime, or the `exp` of the token itself (seconds). What cannot
 * be right counts as silent, and the log says so.
 */
export function readExpiry(said: { expires_at?: unknown; expires_in?: unknown; exp?: unknown }, requestedAt: number): Expiry {
    const readings = [
        ['expires_at', parseExpiresAt(said.expires_at, requestedAt)],
        ['expires_in', parseLifetime(said.expires_in, requestedAt)],
        ['token', parseExpiresAt(said.exp, requestedAt)],
    ] as const;
    const [source, expiresAt] = readings.find(([, moment]) => moment !== null) ?? [null, null];
    const isImpossible = expiresAt === null && [said.expires_at, said.expires_in, said.exp].some(Boolean);
    return { expiresAt, expiresAtSource: source, ...(isImpossible ? { notes: [impossible] } : {}) };
}

export const endsAt = (expiresAt: number, expiresAtSource: ExpirySource): Expiry => ({ expiresAt, expiresAtSource });

export const withoutEnd: Expiry = { expiresAt: null, expiresAtSource: null };

export const firstKnown = (...ends: readonly Expiry[]): Expiry =>
    chosenAmong(
        ends,
        ends.find(({ expiresAt }) => expiresAt !== null),
    );

export const earliestOf = (...ends: readonly Expiry[]): Expiry =>
    chosenAmong(ends, ends.toSorted((a, b) => (a.expiresAt ?? Infinity) - (b.expiresAt ?? Infinity))[0]);

/** What could not be used is said whichever was chosen. */
function chosenAmong(ends: readonly Expiry[], { expiresAt, expiresAtSource }: Expiry = withoutEnd): Expiry {
    const notes = [...new Set(ends.flatMap((end) => end.notes ?? []))];
    return { expiresAt, expiresAtSource, ...(notes.length === 0 ? {} : { notes }) };
}

/** As the credentials show it. */
export const shownExpiry = ({ expiresAt }: Expiry): { expires_at?: string } =>
    expiresAt === null ? {} : { expires_at: new Date(expiresAt).toISOString() };

const zoneless = /^\s*(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*$/;
const daysHoursMinutes = /^\s*(\d+):([01]?\d|2[0-3]):([0-5]?\d)\s*$/;

function toInstant(value: unknown, now: number): number | null {
    if (value instanceof Date) {
        return value.getTime();
    }
    const number = typeof value === 'string' && /^\s*\d+(\.\d+)?\s*$/.test(value) ? Number(value) : value;
    if (typeof number === 'number') {
        return number < smallestMilliseconds ? number * second : number;
    }
    if (typeof value !== 'string') {
        return null;
    }
    const duration = daysHoursMinutes.exec(value);
    if (duration) {
        return now + Number(duration[1]) * day + Number(duration[2]) * hour + Number(duration[3]) * minute;
    }
    // Without a zone it is UTC: the zone of the machine that happens to read it means nothing.
    const parsed = Date.parse(value.replace(zoneless, '$1T$2Z'));
    return Number.isNaN(parsed) ? null : parsed;
}

/** As a column has it. */
export const dateOrNull = (time: number | null): Date | null => (time === null ? null : new Date(time));

export interface Lifetime {
    obtainedAt: number;
    expiresAt: number | null;
    /** When a renewal is wanted although the credentials live longer. */
    renewBy?: number | undefined;
}

/** The lifetime of a stored connection's credentials. */
export const lifetimeOf = (row: { credentials_obtained_at: Date; credentials_expires_at: Date | null }): Lifetime => ({
    obtainedAt: row.credentials_obtained_at.getTime(),
    expiresAt: row.credentials_expires_at?.getTime() ?? null,
});

/** R8: the configured margin (or 900 s), at most a quarter of the lifetime, at least 30 s, never more than half the lifetime. */
export function effectiveMargin(life: Lifetime & { expiresAt: number }, configuredSeconds?: number): number {
    const lifetime = Math.max(0, life.expiresAt - life.obtainedAt);
    const configured = configuredSeconds === undefined ? defaultMargin : configuredSeconds * second;
    return Math.min(Math.max(smallestMargin, Math.min(configured, lifetime / 4)), lifetime / 2);
}

export interface Renewability {
    canRenew: boolean;
    hasRefreshToken: boolean;
    marginSeconds?: number | undefined;
    /** For tokens of unknown lifetime. */
    assumedLifetimeSeconds?: number | undefined;
    /** Longest that the refresh token may lie unused. */
    maxIdleSeconds?: number | undefined;
}

/**
 * When the work queue should look at the connection again; `null`: never by itself.
 * Due times are spread by ±10 % of the margin, so that connections made together do not fall due together.
 */
export function nextRefreshAt(life: Lifetime, renewability: Renewability, sources: Sources): number | null {
    if (!renewability.canRenew) {
        // only to notice that it has expired (R9)
        return life.expiresAt;
    }
    const wanted = [plannedRefreshAt(life, renewability, sources), life.renewBy ?? null].filter((moment) => moment !== null);
    return wanted.length === 0 ? null : Math.min(...wanted);
}

function plannedRefreshAt(life: Lifetime, renewability: Renewability, sources: Sources): number | null {
    const jitter = (randomFraction(sources) * 2 - 1) / 10;
    const { assumedLifetimeSeconds, maxIdleSeconds } = renewability;
    const idle = maxIdleSeconds === undefined ? keepAliveInterval : maxIdleSeconds * second;
    const keepAlive = renewability.hasRefreshToken ? life.obtainedAt + idle * (1 + jitter) : null;
    const expiresAt = life.expiresAt ?? (assumedLifetimeSeconds === undefined ? null : life.obtainedAt + assumedLifetimeSeconds * second);
    if (expiresAt === null) {
        return keepAlive;
    }
    const margin = effectiveMargin({ ...life, expiresAt }, renewability.marginSeconds);
    const beforeExpiry = expiresAt - margin * (1 + jitter);
    return keepAlive === null ? beforeExpiry : Math.min(beforeExpiry, keepAlive);
}

/** Whether the token may still be handed out after a failed renewal (R4). */
export const isServable = (life: Lifetime, now: number): boolean => now < servableUntil(life);

/** Short-lived tokens are served to their last tenth. */
export function servableUntil({ obtainedAt, expiresAt }: Lifetime): number {
    if (expiresAt === null) {
        return Number.POSITIVE_INFINITY;
    }
    return expiresAt - Math.min(smallestServedLife, Math.max(0, expiresAt - obtainedAt) / 10);
}
