/** The end of a failure that was reported (§8.2): one `refresh` event that says success, for endpoints that ask for `auth.recovery`. */
import type { Sources } from '../sources.ts';
import type { RenewalTarget } from '../store/renewal-targets.ts';
import { endFailure, releaseLease } from '../store/credential-writes.ts';
import type { Db } from '../store/database.ts';
import { enqueueAuthEvent } from '../webhooks/auth-events.ts';
import { eventAbout } from './connection-event.ts';

/** Of a target whose failure was reported, in the transaction that forgets the report: so it is told once. */
export async function tellOfRecovery(db: Db, sources: Sources, target: RenewalTarget, authMode: string): Promise<void> {
    await enqueueAuthEvent(db, sources, { ...eventAbout(target, authMode), operation: 'refresh' });
}

/**
 * Ends the lease on credentials that nothing renews, and with it whatever kept them from being looked at: a key that was missing, or
 * an entry. @returns whether this process still held it
 */
export async function leaveAsTheyAre(
    db: Db,
    sources: Sources,
    target: RenewalTarget,
    lease: { epoch: number; authMode: string; nextRefreshAt: Date | null; expiryNoticeAt?: null },
): Promise<boolean> {
    if (target.auth_state !== 'degraded' && target.auth_state !== 'unavailable') {
        return releaseLease(db, target.id, lease.epoch, lease);
    }
    const isHeld = await endFailure(db, target.id, lease.epoch, lease);
    if (isHeld && target.refresh_failure_reported_at !== null) {
        await tellOfRecovery(db, sources, target, lease.authMode);
    }
    return isHeld;
}
