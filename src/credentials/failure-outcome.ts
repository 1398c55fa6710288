/** What a failed renewal means for a connection: its state, when to try again, and whether it is news (R5, R15). Decides, writes nothing. */
import type { Sources } from '../sources.ts';
import type { AuthState, ConnectionRow } from '../store/schema.ts';
import { isServable, lifetimeOf } from './expiry.ts';
import { backoff, type TokenFailure } from './token-failure.ts';

const day = 24 * 3600 * 1000;
/** R15: one hiccup is not worth a webhook, a third in a row is. */
const transientFailuresBeforeReport = 3;
/** Where the attempts are not made: as long as three take, and as long as an open circuit stays closed to all but one. */
const unavailableBeforeReportMs = 5 * 60_000;

/** What the decision depends on. */
export type FailingConnection = Pick<
    ConnectionRow,
    'auth_state' | 'auth_error' | 'refresh_attempts' | 'refresh_failure_reported_at' | 'credentials_obtained_at' | 'credentials_expires_at'
>;

export interface FailureOutcome {
    state: AuthState;
    attempts: number;
    /** `null`: given up. */
    nextRefreshAt: Date | null;
    error: {
        type: string;
        description: string;
        notBefore: number | undefined;
        refusals: number;
        refusedSince: number | undefined;
        isClientRefused: boolean;
    };
    keepIntent: boolean;
    isWorthReporting: boolean;
}

export function outcomeOfFailure(connection: FailingConnection, failure: TokenFailure, sources: Sources): FailureOutcome {
    const now = sources.now();
    const attempts = connection.refresh_attempts + 1;
    const isRefusal = failure.kind === 'unknown';
    const refusals = (connection.auth_error?.refusals ?? 0) + (isRefusal ? 1 : 0);
    const refusedSince = refusedSinceOf(connection) ?? (isRefusal ? now : undefined);
    // A lost grant stays lost until something succeeds (§16.9), for the reason it had: an outage during a forced attempt proves nothing.
    const isLost = connection.auth_state === 'needs_reauth';
    const isClientRefused = failure.isClientRefused || (isLost && failure.kind !== 'permanent' && connection.auth_error?.client_refused === true);
    const wait = isLost ? null : waitAfter(failure, isRefusal ? refusals : attempts, refusedSince ?? now, sources);
    // Reads must not use up in minutes the few attempts that are meant for a day.
    const patience = isRefusal ? (wait ?? undefined) : failure.retryAfterMs;
    return {
        state: stateAfter(connection, wait, now),
        attempts,
        nextRefreshAt: wait === null ? null : new Date(now + wait),
        error: {
            type: failure.type,
            description: failure.message,
            notBefore: patience === undefined ? undefined : now + patience,
            refusals,
            refusedSince,
            isClientRefused,
        },
        keepIntent: failure.isAmbiguous,
        isWorthReporting: wait === null || attempts >= transientFailuresBeforeReport,
    };
}

function stateAfter(connection: FailingConnection, wait: number | null, now: number): AuthState {
    // What waits for its installation does so whatever becomes of the person's token.
    if (connection.auth_state === 'pending') {
        return 'pending';
    }
    if (wait === null) {
        return 'needs_reauth';
    }
    return isServable(lifetimeOf(connection), now) ? 'degraded' : 'unavailable';
}

/** When the first refusal came that could not be read; `undefined`: there was none. */
export function refusedSinceOf({ auth_error: error }: Pick<FailingConnection, 'auth_error'>): number | undefined {
    return error?.refusals === undefined ? undefined : Date.parse(error.refused_since ?? error.since);
}

/** `null`: given up. Forced attempts in a row do not shorten the day that an unreadable refusal is given (R5). */
function waitAfter(failure: TokenFailure, attempts: number, refusedSince: number, sources: Sources): number | null {
    const wait = backoff(failure, attempts, sources);
    const leftOfTheDay = refusedSince + day - sources.now();
    return wait === null && failure.kind === 'unknown' && leftOfTheDay > 0 ? leftOfTheDay : wait;
}

/** Whether it has had no token to hand out for so long that it is worth a webhook, although nothing was tried. */
export const isLongUnavailable = ({ auth_state: state, auth_error: error }: FailingConnection, now: number): boolean =>
    state === 'unavailable' && error !== null && now - Date.parse(error.since) >= unavailableBeforeReportMs;

/** R15: once, then at most daily, and once more when a connection that was reported as struggling is lost for good. */
export function isReportedNow(connection: FailingConnection, outcome: Pick<FailureOutcome, 'state' | 'isWorthReporting'>, now: number): boolean {
    const reportedAt = connection.refresh_failure_reported_at?.getTime() ?? null;
    const becomesFinal = (outcome.state === 'needs_reauth' || outcome.state === 'expired_no_refresh') && connection.auth_state !== outcome.state;
    return outcome.isWorthReporting && (reportedAt === null || now - reportedAt >= day || becomesFinal);
}
