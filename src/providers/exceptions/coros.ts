import { clientParams, codeGrant, refreshGrant, refusalText } from './grants.ts';
import type { TokenException } from './token-exception.ts';

const prolongedSeconds = 2_592_000;

/** COROS: a refresh prolongs the token that there is, and refusals are 200s with a result other than `0000`. */
export const coros: TokenException = {
    exchange: (given) => given.call({ url: given.tokenUrl, form: { ...codeGrant(given), ...clientParams(given) } }),
    refresh: (given) => given.call({ url: given.refreshUrl, form: { ...refreshGrant(given), ...clientParams(given) } }),
    refusal: ({ result, message }) =>
        result === undefined || result === '0000' ? undefined : { description: refusalText('result', result, message) },
    read: ({ main }, { stored }) =>
        stored === undefined || main['access_token'] !== undefined
            ? {
                  access_token: main['access_token'],
                  refresh_token: main['refresh_token'],
                  expires_in: main['expires_in'],
                  raw: main,
              }
            : // Without the explicit success the token was not prolonged, and no new one came either.
              {
                  access_token: main['result'] === '0000' ? stored.accessToken : undefined,
                  refresh_token: stored.refreshToken,
                  expires_in: prolongedSeconds,
                  raw: { ...stored.raw, expires_in: prolongedSeconds },
              },
};
