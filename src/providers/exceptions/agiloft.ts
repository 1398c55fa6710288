import { basicHeader, codeGrant, refreshGrant } from './grants.ts';
import type { TokenException } from './token-exception.ts';

/** Agiloft: a refresh proves the client by the first 20 characters of its secret, in the clear. The refresh token stays. */
export const agiloft: TokenException = {
    exchange: (given) =>
        given.call({
            url: given.tokenUrl,
            headers: basicHeader(given.clientId, given.clientSecret),
            form: { ...codeGrant(given), client_id: given.clientId },
        }),
    refresh: (given) => given.call({ url: given.refreshUrl, form: { ...refreshGrant(given), md5_secret: given.clientSecret.slice(0, 20) } }),
};
