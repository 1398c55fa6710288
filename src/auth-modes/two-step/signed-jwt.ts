/** JWTs that a login call presents (RFC 7523): the `assertion` of an entry, or its self-signed `token`. */
import type { KeyObject } from 'node:crypto';
import type { JWTPayload } from 'jose';
import { newRandomId, type Sources } from '../../sources.ts';

/** R11: issuers whose clock is ahead of the provider's are refused. */
const backdatedSeconds = 30;
/** N8: each is made for one exchange and used at once. */
const longestSeconds = 300;

/** @param claims with everything but the dates @param longest seconds that the entry allows @throws when the key does not fit `alg` */
export async function signJwt(
    jwt: { header: Readonly<Record<string, string>>; claims: JWTPayload; key: KeyObject | Uint8Array; longest: number },
    sources: Sources,
): Promise<string> {
    const { SignJWT } = await import('jose');
    const issuedAt = Math.floor(sources.now() / 1000) - backdatedSeconds;
    return new SignJWT({ jti: newRandomId(sources), ...jwt.claims })
        .setProtectedHeader({ alg: '', ...jwt.header })
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + Math.min(jwt.longest, longestSeconds))
        .sign(jwt.key);
}

/** When a JWT says it ends, in milliseconds; `undefined`: it does not say, or is none. Read, not verified: it came from its issuer. */
export function jwtExpiry(token: string): number | undefined {
    const [, payload = '', signature] = token.split('.');
    if (signature === undefined) return undefined;
    try {
        const { exp } = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { exp?: unknown };
        return typeof exp === 'number' && Number.isFinite(exp) ? exp * 1000 : undefined;
    } catch {
        return undefined;
    }
}
