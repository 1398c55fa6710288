import { codeGrant, refreshGrant } from './grants.ts';
import type { TokenException } from './token-exception.ts';

/** Attio's MCP server, HeyGen, PostHog: a public client, known by its id and the PKCE verifier; its secret is never sent. */
export const publicClient: TokenException = {
    exchange: (given) =>
        given.call({
            url: given.tokenUrl,
            form: { ...codeGrant(given), client_id: given.clientId, code_verifier: given.pkceVerifier },
        }),
    refresh: (given) => given.call({ url: given.refreshUrl, form: { ...refreshGrant(given), client_id: given.clientId } }),
};
