import { clientParams, refreshGrant } from './grants.ts';
import type { TokenException } from './token-exception.ts';

const lifetimeSeconds = 3600;

/** Jobber: no redirect URI in the exchange, and no lifetime in the answers. */
export const jobber: TokenException = {
    exchange: (given) => given.call({ url: given.tokenUrl, form: { grant_type: 'authorization_code', code: given.code, ...clientParams(given) } }),
    refresh: (given) => given.call({ url: given.refreshUrl, form: { ...refreshGrant(given), ...clientParams(given) } }),
    read: ({ main }) => ({
        access_token: main['access_token'],
        refresh_token: main['refresh_token'],
        expires_in: main['expires_in'] ?? lifetimeSeconds,
        raw: main,
    }),
};
