import { basicHeader } from './grants.ts';
import type { TokenException } from './token-exception.ts';

/** Figma and FigJam: JSON, the redirect URI in the query, and refreshes that name no grant. Their answers bring no refresh token (R6). */
export const figma: TokenException = {
    exchange: (given) =>
        given.call({
            url: given.tokenUrl,
            query: { redirect_uri: given.redirectUri },
            headers: basicHeader(given.clientId, given.clientSecret),
            json: { grant_type: 'authorization_code', code: given.code },
        }),
    refresh: (given) =>
        given.call({
            url: given.refreshUrl,
            headers: basicHeader(given.clientId, given.clientSecret),
            json: { refresh_token: given.refreshToken },
        }),
};
