/** Redirect flows that come back with an account which may be connected already: whose connection that is, and who may renew it. */
import { ConnectFailure, type Completed, type RedirectFlow } from '../auth-modes/auth-mode.ts';
import type { SessionRead } from '../store/connect-sessions.ts';
import * as installations from '../store/installations.ts';
import type { ConnectionRow, IntegrationRow } from '../store/schema.ts';
import type { ConnectContext } from './connect-session.ts';

/** The connection that this integration has of the account which the callback names (auth-modes §12.2). @throws ConnectFailure */
export async function connectedAccount(
    context: ConnectContext,
    { accountParam }: RedirectFlow,
    query: Readonly<Record<string, unknown>>,
    { session, integration }: { session: SessionRead; integration: IntegrationRow },
): Promise<ConnectionRow | undefined> {
    const account = accountParam === undefined ? undefined : query[accountParam];
    if (accountParam === undefined || typeof account !== 'string' || account === '') {
        return undefined;
    }
    const known = await installations.findByConfig(context.db, integration.id, accountParam, account);
    if (known !== undefined && session.connection_id !== null && known.id !== session.connection_id) {
        throw new ConnectFailure('callback_err', 'This account is connected already, and not by the connection that was to be renewed.');
    }
    return known;
}

/**
 * S13: the account's number is no secret, and the connection of it may be somebody else's. Whoever renews it is known to have
 * made it, or to be one whom the provider lets use it.
 * @throws ConnectFailure
 */
export function assertMayRenew(
    { session, renewed, known }: { session: SessionRead; renewed: ConnectionRow | undefined; known: ConnectionRow | undefined },
    { isAccountProven }: Completed,
): void {
    if (known !== undefined && isAccountProven !== true && renewed?.id !== known.id && !isSameUser(session, known)) {
        throw new ConnectFailure(
            'callback_err',
            'This account is connected already by somebody else, and the provider did not say that it is yours too.',
        );
    }
}

function isSameUser(session: SessionRead, row: ConnectionRow): boolean {
    const [asking, owning] = [session, row].map(({ end_user, tags }) => end_user?.id ?? tags?.['end_user_id']);
    return asking !== undefined && asking === owning;
}
