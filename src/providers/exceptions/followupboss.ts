import { basicHeader, codeGrant, refreshGrant } from './grants.ts';
import type { TokenException } from './token-exception.ts';

/** Follow Up Boss: the exchange repeats the state. */
export const followUpBoss: TokenException = {
    exchange: (given) =>
        given.call({
            url: given.tokenUrl,
            headers: basicHeader(given.clientId, given.clientSecret),
            form: { ...codeGrant(given), state: given.state },
        }),
    refresh: (given) => given.call({ url: given.refreshUrl, headers: basicHeader(given.clientId, given.clientSecret), form: refreshGrant(given) }),
};
