import { basicHeader, member } from './grants.ts';
import type { Answer, TokenException, TokenReading } from './token-exception.ts';

/**
 * Braintree: the gateway wraps everything in a `credentials` object, both ways. Its libraries speak XML to it, in which names
 * have hyphens; in JSON they are camel case in some places and have underscores in others, so both are read.
 */
export const braintree: TokenException = {
    exchange: (given) =>
        given.call({
            url: given.tokenUrl,
            headers: basicHeader(given.clientId, given.clientSecret),
            json: { credentials: { grant_type: 'authorization_code', code: given.code } },
        }),
    refresh: (given) =>
        given.call({
            url: given.refreshUrl,
            headers: basicHeader(given.clientId, given.clientSecret),
            json: { credentials: { grant_type: 'refresh_token', refresh_token: given.refreshToken } },
        }),
    read: ({ main }) => readCredentials(main),
};

function readCredentials(main: Answer): TokenReading {
    const credentials = member(main, 'credentials');
    return {
        access_token: credentials['accessToken'] ?? credentials['access_token'],
        refresh_token: credentials['refreshToken'] ?? credentials['refresh_token'],
        expires_at: credentials['expiresAt'] ?? credentials['expires_at'],
        raw: main,
    };
}
