/**
 * A claim of an access token that is a JWT; `undefined` where it is none. Read without a check of the signature: the token came
 * from its own issuer over TLS, and nobody is let in because of it (auth-modes §17.3).
 */
import type { Credentials } from '../../credentials/credential.ts';
import { isId } from './answers.ts';

export function tokenClaim(credentials: Credentials, name: string): string | number | undefined {
    const payload = accessToken(credentials)?.split('.')[1];
    if (payload === undefined) {
        return undefined;
    }
    try {
        const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
        const value =
            typeof claims === 'object' && claims !== null && Object.hasOwn(claims, name) ? (claims as Record<string, unknown>)[name] : undefined;
        return isId(value) ? value : undefined;
    } catch {
        return undefined;
    }
}

function accessToken(credentials: Credentials): string | undefined {
    switch (credentials.type) {
        case 'OAUTH2':
            return credentials.access_token;
        case 'OAUTH2_CC':
            return credentials.token;
        default:
            return undefined;
    }
}
