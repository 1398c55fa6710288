/** API calls of JWT providers: each carries a token that the caller signed itself (auth-modes §9). */
import type { Reading } from './declared-params.ts';
import { unauthorized } from './refusal.ts';
import { assertSignedToken } from './signed-token.ts';
import type { Call } from './twin.ts';

export function assertCallerJwt(call: Call, reading: Reading, jwt: string): Promise<Reading> {
    const { token, signature } = call.entry;
    const declared = {
        ...token,
        key: token?.signing_key,
        lifetimeSeconds: (token?.expires_in_ms ?? 0) / 1000,
        hmacEncoding: signature?.hmac_secret_encoding,
    };
    return assertSignedToken(call, reading, jwt, declared, unauthorized);
}
