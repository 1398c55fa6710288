import { clientParams } from './grants.ts';
import type { TokenException } from './token-exception.ts';

/** Clover: JSON without grant types; a refresh sends no secret. */
export const clover: TokenException = {
    exchange: (given) => given.call({ url: given.tokenUrl, json: { ...clientParams(given), code: given.code } }),
    refresh: (given) => given.call({ url: given.refreshUrl, json: { client_id: given.clientId, refresh_token: given.refreshToken } }),
    read: ({ main }) => ({
        access_token: main['access_token'],
        refresh_token: main['refresh_token'],
        expires_at: main['access_token_expiration'],
        raw: main,
    }),
};
