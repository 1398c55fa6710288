/** Presenting a refresh token to its provider: once, and only when it is refused for good, once more and with the one before it. */
import type { OperationRecord, Retry } from '../egress/operation-record.ts';
import type { Sources } from '../sources.ts';
import { refreshTokenOf, type Credentials } from './credential.ts';
import type { RenewalStrategy, TokenReceipt } from './renewal-strategy.ts';
import { TokenFailure } from './token-failure.ts';

const tokenCallMs = 20_000;
export const confirmPauseMs = 1_000;
/** Less than this is not worth the attempt: a call that is cut off may lose a rotated refresh token. */
export const shortestCallMs = 3_000;

export interface Grant {
    credentials: Credentials;
    /** The generation before the newest, where it is kept (R2c). */
    previousRefreshToken(): Promise<string | undefined>;
    /** No call may last longer than this moment, ms. */
    until: number;
    /** Told of every call. */
    onCall?: ((ms: number, outcome: 'answered' | 'failed') => void) | undefined;
    /** Told which attempt a call belongs to. */
    record?: OperationRecord | undefined;
}

const attempt = (number: number, waited: number): Retry => ({ attempt: number, max: 3, waited });
const firstAttempt = attempt(1, 0);

/**
 * R5: a permanent refusal is confirmed once. R2c: if it is the token that is refused, not the client, the one before it is
 * tried once: the newest may have been lost by the server, or by us. @throws TokenFailure
 */
export async function presentGrant(strategy: RenewalStrategy, grant: Grant, sources: Sources): Promise<TokenReceipt> {
    const newest = refreshTokenOf(grant.credentials);
    const { record } = grant;
    const count = (retry: Retry): void => {
        if (record !== undefined) {
            record.retry = retry;
        }
    };
    count(firstAttempt);
    const present = async (refreshToken: string | undefined): Promise<TokenReceipt> => {
        const timeLeft = grant.until - sources.now();
        if (timeLeft < shortestCallMs) {
            throw new TokenFailure('transient', 'The provider answered too slowly for another attempt under the same lease.', { isUnasked: true });
        }
        const begin = sources.now();
        const noteCall = (outcome: 'answered' | 'failed') => (): void => grant.onCall?.(sources.now() - begin, outcome);
        const call = strategy.present(grant.credentials, refreshToken, Math.min(tokenCallMs, timeLeft));
        call.then(noteCall('answered'), noteCall('failed'));
        const receipt = await call;
        return refreshToken === newest ? receipt : { ...receipt, presentedRefreshToken: refreshToken };
    };
    try {
        return await present(newest);
    } catch (error) {
        permanent(error);
    }
    await sources.sleep(confirmPauseMs);
    count(attempt(2, confirmPauseMs));
    let refusal: TokenFailure;
    try {
        return await present(newest);
    } catch (error) {
        refusal = permanent(error);
    }
    const previous = refusal.isGrantRefused ? await grant.previousRefreshToken() : undefined;
    if (previous === undefined) {
        throw refusal;
    }
    count(attempt(3, 0));
    record?.conceal(() => previous);
    return present(previous);
}

/** @throws what is not a permanent refusal */
function permanent(error: unknown): TokenFailure {
    if (error instanceof TokenFailure && error.kind === 'permanent') {
        return error;
    }
    throw error;
}
