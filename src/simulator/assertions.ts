/** JWTs that others signed: assertions of clients and users (RFC 7523), app JWTs, tokens that stand for an API key. */
import type { JWTPayload, ProtectedHeaderParameters } from 'jose';
import { createPublicKey, type KeyObject } from 'node:crypto';
import { invalidClient, type Refusal } from './refusal.ts';
import type { Call } from './twin.ts';

export interface Expected {
    readonly algorithms: readonly string[];
    readonly issuer?: string;
    readonly subject?: string;
    readonly audience?: string;
    /** Longest accepted time between `iat` and `exp`. */
    readonly longestSeconds: number;
    /** Under which name a public key may have been registered. */
    readonly keyOf: string;
    /** A key that the twin knows anyhow, such as a shared secret. */
    readonly key?: KeyObject | undefined;
}

export interface Assertion {
    readonly header: ProtectedHeaderParameters;
    readonly claims: JWTPayload;
    /** `false`: nobody told the twin the public key, so only the claims were checked. */
    readonly isVerified: boolean;
}

/** Clocks may differ by this much. */
const leewaySeconds = 60;

/** @throws Refusal made by `refuse` */
export async function assertAssertion(
    call: Call,
    jwt: string,
    expected: Expected,
    refuse: (why: string) => Refusal = invalidClient,
): Promise<Assertion> {
    const { decodeJwt, decodeProtectedHeader, compactVerify } = await import('jose');
    let header: ProtectedHeaderParameters;
    let claims: JWTPayload;
    try {
        header = decodeProtectedHeader(jwt);
        claims = decodeJwt(jwt);
    } catch {
        throw refuse('The assertion is not a JWT.');
    }
    if (!expected.algorithms.includes(header.alg ?? '')) throw refuse(`The assertion must be signed with ${expected.algorithms.join(' or ')}.`);
    assertClaims(claims, expected, call.world.now() / 1000, refuse);

    const key = expected.key ?? publicKeyOf(call, expected.keyOf);
    if (key === undefined) return { header, claims, isVerified: false };
    try {
        await compactVerify(jwt, key, { algorithms: [...expected.algorithms] });
    } catch {
        throw refuse('The signature of the assertion is not by the key of this account.');
    }
    return { header, claims, isVerified: true };
}

function assertClaims(claims: JWTPayload, expected: Expected, now: number, refuse: (why: string) => Refusal): void {
    if (expected.issuer !== undefined && claims.iss !== expected.issuer) throw refuse('The claim "iss" is not the one expected.');
    if (expected.subject !== undefined && claims.sub !== expected.subject) throw refuse('The claim "sub" is not the one expected.');
    const audiences = [claims.aud].flat();
    if (expected.audience !== undefined && !audiences.includes(expected.audience)) throw refuse('The claim "aud" is not the one expected.');
    if (claims.exp === undefined) throw refuse('The claim "exp" is missing.');
    if (claims.exp < now - leewaySeconds) throw refuse('The assertion has expired.');
    const issuedAt = claims.iat ?? now;
    if (issuedAt > now + leewaySeconds) throw refuse('The assertion is from the future.');
    // Signers may back-date `iat` and keep the distance.
    if (claims.exp - issuedAt > expected.longestSeconds + leewaySeconds)
        throw refuse('The assertion is valid for longer than this provider accepts.');
}

/** Of a sample, or registered through the control API. */
function publicKeyOf({ world, entry }: Call, id: string): KeyObject | undefined {
    const pem = world.credentials.publicKeyOf(entry, id);
    return pem === undefined ? undefined : createPublicKey(pem);
}
