/** The end of a failure that was reported (§8.2): one `refresh` event that says success, for endpoints that ask for `auth.recovery`. */
import type { Sources } from '../sources.ts';
import type { RenewalTarget } from '../store/renewal-targets.ts';
import type { Db } from '../store/database.ts';
import { enqueueAuthEvent } from '../webhooks/auth-events.ts';
import { eventAbout } from './connection-event.ts';

/** Of a target whose failure was reported, in the transaction that forgets the report: so it is told once. */
export async function tellOfRecovery(db: Db, sources: Sources, target: RenewalTarget, authMode: string): Promise<void> {
    await enqueueAuthEvent(db, sources, { ...eventAbout(target, authMode), operation: 'refresh' });
}
