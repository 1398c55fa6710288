import { basicHeader, refreshGrant } from './grants.ts';
import type { TokenException } from './token-exception.ts';

const lifetimeSeconds = 3600;

/** Stripe Apps: the developer's secret key as user name, no password, no client id. An hour, though no answer says so. */
export const stripeApp: TokenException = {
    exchange: (given) =>
        given.call({
            url: given.tokenUrl,
            headers: basicHeader(given.clientSecret, ''),
            form: { grant_type: 'authorization_code', code: given.code },
        }),
    refresh: (given) => given.call({ url: given.refreshUrl, headers: basicHeader(given.clientSecret, ''), form: refreshGrant(given) }),
    read: ({ main }) => ({
        access_token: main['access_token'],
        refresh_token: main['refresh_token'],
        expires_in: main['expires_in'] ?? lifetimeSeconds,
        raw: main,
    }),
};
