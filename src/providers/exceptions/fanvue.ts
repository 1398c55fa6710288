import { basicHeader, codeGrant, refreshGrant } from './grants.ts';
import type { TokenException } from './token-exception.ts';

/** Fanvue: the client is in the header alone, beside the PKCE verifier. */
export const fanvue: TokenException = {
    exchange: (given) =>
        given.call({
            url: given.tokenUrl,
            headers: basicHeader(given.clientId, given.clientSecret),
            form: { ...codeGrant(given), code_verifier: given.pkceVerifier },
        }),
    refresh: (given) => given.call({ url: given.refreshUrl, headers: basicHeader(given.clientId, given.clientSecret), form: refreshGrant(given) }),
};
