/**
 * When the work queue is to look at a connection again, and what is foreseen of its end: the renewal, the end of the refresh token
 * where the provider names one, and the notice that credentials are about to lapse (webhooks §8.2 `expiring`). Pure.
 *
 * A refresh token whose end moves with each renewal is renewed before it, and never noticed. One whose end stands, or credentials
 * that cannot be renewed, lapse whatever is done: then somebody is told in time.
 */
import { refreshTokenOf, type Credentials, type Obtained } from './credential.ts';
import { keepAliveInterval, nextRefreshAt } from './expiry.ts';
import { refreshTokenExpiry } from './refresh-token-expiry.ts';
import type { RenewalStrategy } from './renewal-strategy.ts';
import type { Sources } from '../sources.ts';
import type { ConnectionRow } from '../store/schema.ts';

const day = 24 * 3600 * 1000;
const longestNotice = 7 * day;

/** Milliseconds since the epoch; `null`: never by itself, not known, nothing to tell. */
export interface Schedule {
    nextAt: number | null;
    refreshTokenExpiresAt: number | null;
    noticeAt: number | null;
}

/** What was known before a renewal. */
export interface Foreseen {
    refreshToken: string | undefined;
    obtainedAt: number;
    refreshTokenExpiresAt: number | null;
    noticeAt: number | null;
}

export const foreseenOf = (
    row: Pick<ConnectionRow, 'credentials_obtained_at' | 'refresh_token_expires_at' | 'expiry_notice_at'>,
    stored: Credentials,
): Foreseen => ({
    refreshToken: refreshTokenOf(stored),
    obtainedAt: row.credentials_obtained_at.getTime(),
    refreshTokenExpiresAt: row.refresh_token_expires_at?.getTime() ?? null,
    noticeAt: row.expiry_notice_at?.getTime() ?? null,
});

/** @param before absent: a fresh grant, or credentials that were typed in or imported */
export function scheduleOf(
    obtained: Obtained,
    strategy: Pick<RenewalStrategy, 'canRenew' | 'marginSeconds' | 'assumedLifetimeSeconds' | 'maxIdleSeconds'> | undefined,
    sources: Sources,
    before?: Foreseen,
): Schedule {
    const canRenew = strategy?.canRenew(obtained.credentials) ?? false;
    const hasRefreshToken = refreshTokenOf(obtained.credentials) !== undefined;
    const { isProlonged, ...foreseen } = foresee(obtained, canRenew, before);
    const renewal = nextRefreshAt(
        obtained,
        {
            canRenew,
            hasRefreshToken,
            marginSeconds: strategy?.marginSeconds,
            assumedLifetimeSeconds: strategy?.assumedLifetimeSeconds,
            maxIdleSeconds: isProlonged
                ? atMostHalf(strategy?.maxIdleSeconds, obtained.obtainedAt, foreseen.refreshTokenExpiresAt)
                : strategy?.maxIdleSeconds,
        },
        sources,
    );
    // One that is due is told by whoever asked.
    const isAhead = foreseen.noticeAt !== null && foreseen.noticeAt > sources.now();
    return { ...foreseen, nextAt: isAhead ? earlier(renewal, foreseen.noticeAt) : renewal };
}

type Foresight = Omit<Schedule, 'nextAt'> & { isProlonged: boolean };

function foresee(obtained: Obtained, canRenew: boolean, before: Foreseen | undefined): Foresight {
    const { credentials, obtainedAt, expiresAt } = obtained;
    // What is bought anew with a client's or a person's own secret does not lapse; a login can be made again (R17).
    const refreshToken = credentials.type === 'TWO_STEP' && credentials.refresh_token !== undefined ? undefined : refreshTokenOf(credentials);
    if (!canRenew || refreshToken === undefined) {
        return { refreshTokenExpiresAt: null, noticeAt: canRenew ? null : noticeOf(obtainedAt, expiresAt), isProlonged: false };
    }
    const told = refreshTokenExpiry('raw' in credentials ? credentials.raw : undefined, obtainedAt);
    const end = told ?? (before?.refreshToken === refreshToken ? before.refreshTokenExpiresAt : null);
    if (end === null || before === undefined || before.refreshTokenExpiresAt === null) {
        return { refreshTokenExpiresAt: end, noticeAt: noticeOf(obtainedAt, end), isProlonged: end !== null };
    }
    // An end that stands is named a second earlier or later each time; one that moves does so by the time that has passed.
    const isProlonged = end - before.refreshTokenExpiresAt > (obtainedAt - before.obtainedAt) / 2;
    return { refreshTokenExpiresAt: end, noticeAt: isProlonged ? noticeOf(obtainedAt, end) : before.noticeAt, isProlonged };
}

/** A week ahead, of shorter lives in their last quarter. What lives less than a day ends before anybody could act. */
function noticeOf(from: number, end: number | null): number | null {
    const life = end === null ? 0 : end - from;
    return end === null || life < day ? null : end - Math.min(longestNotice, life / 4);
}

function atMostHalf(maxIdleSeconds: number | undefined, from: number, end: number | null): number | undefined {
    const half = end === null ? Infinity : (end - from) / 2000;
    return half < (maxIdleSeconds ?? keepAliveInterval / 1000) ? half : maxIdleSeconds;
}

export const earlier = (a: number | null, b: number | null): number | null => (a === null ? b : b === null ? a : Math.min(a, b));
