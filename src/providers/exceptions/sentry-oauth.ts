import { clientParams } from './grants.ts';
import type { TokenException } from './token-exception.ts';

/** Sentry: JSON at the installation's own address, answered with 201 and names of its own. */
export const sentryOauth: TokenException = {
    exchange: (given) => given.call({ url: given.tokenUrl, json: { grant_type: 'authorization_code', code: given.code, ...clientParams(given) } }),
    refresh: (given) =>
        given.call({ url: given.refreshUrl, json: { grant_type: 'refresh_token', refresh_token: given.refreshToken, ...clientParams(given) } }),
    read: ({ main }) => ({ access_token: main['token'], refresh_token: main['refreshToken'], expires_at: main['expiresAt'], raw: main }),
};
