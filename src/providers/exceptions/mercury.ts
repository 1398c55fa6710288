import { codeGrant, refreshGrant } from './grants.ts';
import type { TokenException } from './token-exception.ts';

/** Mercury: token calls say nothing at all about the client; the PKCE verifier ties the exchange to its start. */
export const mercury: TokenException = {
    exchange: (given) => given.call({ url: given.tokenUrl, form: { ...codeGrant(given), code_verifier: given.pkceVerifier } }),
    refresh: (given) => given.call({ url: given.refreshUrl, form: refreshGrant(given) }),
};
