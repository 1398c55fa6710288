import { basicHeader, codeGrant, refreshGrant } from './grants.ts';
import type { TokenException } from './token-exception.ts';

const lifetimeSeconds = 3600;
const kept = ['access_token', 'refresh_token', 'token_type', 'expires_in', 'scope'];

/** Workday: a refresh token that was given at connect (`overrideTokenRefresh`) is kept, whatever the answers bring. */
export const workdayOauth: TokenException = {
    exchange: (given) =>
        given.call({
            url: given.tokenUrl,
            headers: basicHeader(given.clientId, given.clientSecret),
            form: { ...codeGrant(given), code_verifier: given.pkceVerifier },
        }),
    refresh: (given) => given.call({ url: given.refreshUrl, headers: basicHeader(given.clientId, given.clientSecret), form: refreshGrant(given) }),
    read: ({ main }, { stored, connectionConfig }) => ({
        access_token: main['access_token'],
        refresh_token: connectionConfig['overrideTokenRefresh'] === true && stored ? stored.refreshToken : main['refresh_token'],
        expires_in: main['expires_in'] ?? lifetimeSeconds,
        raw: Object.fromEntries(Object.entries(main).filter(([name]) => kept.includes(name))),
    }),
};
