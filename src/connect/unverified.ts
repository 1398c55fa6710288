/** Credentials that the provider could not be asked about (A3): refused, unless the environment has chosen to keep such ones. */
import { ConnectFailure } from '../auth-modes/auth-mode.ts';
import type { Obtained } from '../credentials/credential.ts';
import type { ConnectionRow } from '../store/schema.ts';
import type { ConnectContext } from './connect-session.ts';

type Tested = Pick<Obtained, 'unverified'>;

/** @throws ConnectFailure `verification_unavailable` */
export function assertMayKeep({ unverified }: Tested, acceptsUnverified: boolean): void {
    if (unverified !== undefined && !acceptsUnverified) {
        throw new ConnectFailure('verification_unavailable', `${unverified} Try again in a few minutes.`);
    }
}

/** How the operation that made the connection ends. */
export const successOf = (message: string, { unverified }: Tested): { state: 'success'; level: 'info' | 'warn'; message: string } =>
    unverified === undefined
        ? { state: 'success', level: 'info', message }
        : { state: 'success', level: 'warn', message: `${message}, untested: ${unverified}` };

/** Once it is stored. */
export function warnOfUnverified({ logger }: ConnectContext, row: ConnectionRow, { unverified }: Tested): void {
    if (unverified !== undefined) {
        logger.warn({ connection_row: row.id, provider: row.provider, reason: unverified }, 'credentials were kept untested');
    }
}
