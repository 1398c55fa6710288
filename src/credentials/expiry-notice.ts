/**
 * Telling that credentials are about to lapse (webhooks §8.2 `expiring`): once, in the transaction that notes that it was told. A
 * reconnect, or a renewal that prolongs the refresh token, begins anew.
 */
import type { Sources } from '../sources.ts';
import type { RenewalTarget } from '../store/renewal-targets.ts';
import type { Db } from '../store/database.ts';
import type { ConnectionRow } from '../store/schema.ts';
import { enqueueAuthEvent } from '../webhooks/auth-events.ts';
import { eventAbout } from './connection-event.ts';

export interface Lapse {
    /** The access token where there is nothing to renew it with. */
    what: 'refresh token' | 'access token';
    at: Date;
}

type Ends = Pick<ConnectionRow, 'expiry_notice_at' | 'refresh_token_expires_at' | 'credentials_expires_at'>;

/** What of a connection is to be told now; `undefined`: nothing. */
export function lapseToTell({ expiry_notice_at: noticeAt, ...ends }: Ends, now: number): Lapse | undefined {
    const at = ends.refresh_token_expires_at ?? ends.credentials_expires_at;
    if (noticeAt === null || noticeAt.getTime() > now || at === null || at.getTime() <= now) {
        return undefined;
    }
    return { what: ends.refresh_token_expires_at === null ? 'access token' : 'refresh token', at };
}

export async function tellOfLapse(db: Db, sources: Sources, target: RenewalTarget, authMode: string, { what, at }: Lapse): Promise<void> {
    const description = `The ${what} ends at ${at.toISOString()}, and nothing prolongs it; the user has to reconnect before.`;
    const type = what === 'refresh token' ? 'refresh_token_expiring' : 'access_token_expiring';
    await enqueueAuthEvent(db, sources, { ...eventAbout(target, authMode), operation: 'expiring', error: { type, description } });
}
