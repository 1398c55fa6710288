/**
 * Why a token call failed, and what that means for the next one (R5).
 *
 *   permanent  the grant or the client is rejected: confirmed once, then `needs_reauth`
 *   transient  the provider or the way to it is down: retried with back-off, never given up
 *   unknown    a refusal we cannot read: a handful of attempts over a day, then treated as permanent
 */
import { randomFraction, type Sources } from '../sources.ts';

export type FailureKind = 'permanent' | 'transient' | 'unknown';

export interface FailureDetails {
    type?: string;
    /** The `error` member of the provider's answer. */
    code?: string | undefined;
    retryAfterMs?: number | undefined;
    isAmbiguous?: boolean;
    isUnasked?: boolean;
}

export class TokenFailure extends Error {
    override readonly name = 'TokenFailure';
    readonly kind: FailureKind;
    /** The error type clients and webhooks see, e.g. `refresh_token_external_error`. */
    readonly type: string;
    readonly retryAfterMs: number | undefined;
    /** The request may have reached the provider although no answer came: a rotated token may be lost. */
    readonly isAmbiguous: boolean;
    /** The call could not be made: this says nothing about the provider. */
    readonly isUnasked: boolean;
    /** It is the refresh token that is refused, not the client that presents it. */
    readonly isGrantRefused: boolean;
    /** It is the client that is refused: another client secret may mend every connection of the integration. */
    readonly isClientRefused: boolean;

    /** @param description for people; must already be free of secret values. */
    constructor(kind: FailureKind, description: string, details: FailureDetails = {}) {
        super(description);
        this.kind = kind;
        this.type = details.type ?? 'refresh_token_external_error';
        this.retryAfterMs = details.retryAfterMs;
        this.isAmbiguous = details.isAmbiguous ?? false;
        this.isUnasked = details.isUnasked ?? false;
        const code = details.code?.toLowerCase() ?? '';
        this.isGrantRefused = refusedGrantCodes.has(code);
        this.isClientRefused = refusedClientCodes.has(code);
    }
}

const refusedGrantCodes = new Set(['invalid_grant', 'bad_refresh_token', 'invalid_refresh_token', 'token_revoked', 'token_expired']);

/** RFC 6749 §5.2; GitHub; Slack. */
const refusedClientCodes = new Set([
    'invalid_client',
    'unauthorized_client',
    'incorrect_client_credentials',
    'bad_client_secret',
    'invalid_client_id',
]);

/** RFC 6749 §5.2, and the names some providers use for the same facts. */
const permanentCodes = new Set([...refusedGrantCodes, ...refusedClientCodes, 'unsupported_grant_type', 'account_inactive']);

/** RFC 6749 §4.1.2.1 has these for the redirect; servers send them from the token endpoint too. */
const transientCodes = new Set(['temporarily_unavailable', 'server_error', 'ratelimited', 'rate_limited', 'slow_down']);

const transientStatuses = new Set([408, 425, 429]);

/** @param code the `error` member of the answer, when it has one. */
export function classify(status: number, code: string | undefined): FailureKind {
    if (code !== undefined && permanentCodes.has(code.toLowerCase())) {
        return 'permanent';
    }
    if (transientStatuses.has(status) || status >= 500 || (code !== undefined && transientCodes.has(code.toLowerCase()))) {
        return 'transient';
    }
    return 'unknown';
}

const second = 1000;
const hour = 3600 * second;
const firstBackoff = 30 * second;
const longestBackoff = 6 * hour;
/** R5: five attempts over at least a day. */
const unknownSchedule = [0.5 * hour, 2 * hour, 6 * hour, 16 * hour];

/** Milliseconds until the next attempt after `attempts` failures in a row; `null`: give up. */
export function backoff(failure: TokenFailure, attempts: number, sources: Sources): number | null {
    if (failure.kind === 'permanent') {
        return null;
    }
    if (failure.kind === 'unknown') {
        const wait = unknownSchedule[attempts - 1];
        return wait === undefined ? null : Math.max(wait, failure.retryAfterMs ?? 0);
    }
    const ceiling = Math.min(longestBackoff, firstBackoff * 2 ** Math.min(attempts - 1, 20));
    // Full jitter above the first step: replicas and connections that failed together do not return together.
    const wait = firstBackoff + randomFraction(sources) * (ceiling - firstBackoff);
    return Math.max(wait, failure.retryAfterMs ?? 0);
}

/** Provider text made fit for people and logs: one line, bounded, every known secret replaced (E5). */
export function safeText(text: string, secrets: readonly string[]): string {
    let safe = text;
    // The longest first: one secret may begin with another.
    for (const secret of [...secrets].toSorted((a, b) => b.length - a.length)) {
        // shorter values would blank out ordinary words
        if (secret.length >= 4) {
            safe = safe.replaceAll(secret, '[redacted]');
        }
    }
    // Control characters and half a surrogate pair, which the cut can leave, are refused by jsonb.
    return safe
        .replaceAll(/[\s\p{Cc}]+/gu, ' ')
        .trim()
        .slice(0, 300)
        .toWellFormed();
}
