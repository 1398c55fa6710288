/** When a refresh token itself lapses, where the provider says so in its token answer: many names for one fact, read by one parser (R16). */
import { isRefreshTokenName } from './credential.ts';
import { parseExpiresAt, parseLifetime } from './expiry.ts';

/** Letters only, in lower case: `refresh_token_expires_in` (RFC 6749 has no such member; most vendors call it so), Keycloak, QuickBooks. */
const lifetimes: ReadonlySet<string> = new Set(['refreshtokenexpiresin', 'refreshexpiresin', 'xrefreshtokenexpiresin', 'refreshtokenlifetime']);
/** Clover's `refresh_token_expiration` is a date; others give seconds under the same name. */
const ends: ReadonlySet<string> = new Set(['refreshtokenexpiresat', 'refreshexpiresat', 'refreshtokenexpiration', 'refreshtokenexpiry']);

/**
 * @param answer of the token endpoint; vendors that wrap it, and Slack's `authed_user`, have it one level down
 * @returns `null`: the provider does not tell, or says with a zero that it does not end
 */
export function refreshTokenExpiry(answer: unknown, requestedAt: number): number | null {
    const root = membersOf(answer);
    const inside = root.flatMap(([, value]) => membersOf(value));
    // What stands beside another refresh token is about that one.
    const isBesideToken = root.some(([name]) => isRefreshTokenName(name));
    return endAmong(root, requestedAt) ?? (isBesideToken ? null : endAmong(inside, requestedAt));
}

function endAmong(members: readonly (readonly [string, unknown])[], requestedAt: number): number | null {
    for (const [name, value] of members) {
        // Every name that counts has this word whole; most members of most answers do not, and are read with each renewal.
        if (!/refresh/i.test(name)) {
            continue;
        }
        const letters = name.replaceAll(/[^a-z]/gi, '').toLowerCase();
        const end = ends.has(letters) ? (parseExpiresAt(value, requestedAt) ?? parseLifetime(value, requestedAt)) : null;
        const known = lifetimes.has(letters) ? parseLifetime(value, requestedAt) : end;
        if (known !== null && known > requestedAt) {
            return known;
        }
    }
    return null;
}

const membersOf = (value: unknown): [string, unknown][] =>
    typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
