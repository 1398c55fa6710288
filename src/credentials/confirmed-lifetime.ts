/**
 * R14: providers that prolong tokens by their use, and name no lifetime in their answers, are asked before a token is replaced.
 * That one cannot be asked is no reason to replace it either; then the lifetime that is assumed, or was confirmed, decides.
 */
import * as writes from '../store/credential-writes.ts';
import type { RenewalTarget } from '../store/renewal-targets.ts';
import { credentialTypeOf, type Credentials } from './credential.ts';
import { credentialsPlace } from './credential-places.ts';
import { lapseToTell } from './expiry-notice.ts';
import type { RenewalDependencies } from './leased-renewal.ts';
import { foreseenOf, scheduleOf } from './renewal-schedule.ts';
import type { RenewalStrategy } from './renewal-strategy.ts';

/** What a provider says of a token holds for a minute at least. */
const validityMs = 60_000;
const callMs = 5_000;

/** Ends the lease when there is nothing to renew yet. @returns whether that is so */
export async function livesOn(
    { db, sources, vault }: Pick<RenewalDependencies, 'db' | 'sources' | 'vault'>,
    target: RenewalTarget,
    epoch: number,
    credentials: Credentials,
    strategy: RenewalStrategy,
): Promise<boolean> {
    // Whoever is to be told that the refresh token lapses is told by a renewal, which may prolong it.
    if (strategy.confirm === undefined || target.auth_state !== 'ok' || lapseToTell(target, sources.now()) !== undefined) {
        return false;
    }
    const confirmation = await strategy.confirm(credentials, callMs);
    const obtainedAt = target.credentials_obtained_at.getTime();
    if (confirmation === 'inactive') {
        return false;
    }
    const nextQuestionAt = sources.now() + validityMs;
    if (confirmation === 'unknown') {
        const assumed = obtainedAt + (strategy.assumedLifetimeSeconds ?? 0) * 1000;
        if (nextQuestionAt + validityMs > (target.credentials_expires_at?.getTime() ?? assumed)) {
            return false;
        }
        await writes.releaseLease(db, target.id, epoch, { nextRefreshAt: new Date(nextQuestionAt) });
        return true;
    }
    const { expiresAt } = confirmation;
    const confirmed = { ...credentials, expires_at: new Date(expiresAt).toISOString() } as Credentials;
    const { nextAt } = scheduleOf({ credentials: confirmed, obtainedAt, expiresAt }, strategy, sources, foreseenOf(target, credentials));
    if (nextAt === null || nextAt <= nextQuestionAt) {
        return false;
    }
    return writes.writeCredentials(db, {
        id: target.id,
        epoch,
        version: target.credentials_version,
        sealedCredentials: vault.sealJson(confirmed, credentialsPlace(target)),
        sealedPreviousRefreshToken: target.sealed_previous_refresh_token,
        credentialType: credentialTypeOf(confirmed),
        // The token is as old as it was: its refresh token still has to be used once a week (R12).
        obtainedAt: target.credentials_obtained_at,
        expiresAt: new Date(expiresAt),
        expiresAtSource: 'introspection',
        nextRefreshAt: new Date(nextAt),
        now: new Date(sources.now()),
    });
}
