import { clientParams, member, textOf } from './grants.ts';
import type { Answer, Refusal, TokenException } from './token-exception.ts';

const day = 86_400;
/** R12: tokens of 60 days are exchanged at the age of 45. They are not renewed at any other time unless somebody asks. */
export const longLivedMarginSeconds = 15 * day;

/** Facebook: there are no refresh tokens; a token that still lives is exchanged for one that lives longer. */
export const facebook: TokenException = {
    renewsWithoutRefreshToken: true,
    marginSeconds: longLivedMarginSeconds,
    refusal: graphRefusal,
    exchange: (given) =>
        given.call({
            url: given.tokenUrl,
            query: { redirect_uri: given.redirectUri },
            json: {
                grant_type: 'authorization_code',
                code: given.code,
                redirect_uri: given.redirectUri,
                ...clientParams(given),
                code_verifier: given.pkceVerifier,
            },
        }),
    refresh: (given) =>
        given.call({
            method: 'GET',
            url: given.refreshUrl,
            query: { grant_type: 'fb_exchange_token', ...clientParams(given), fb_exchange_token: given.accessToken },
        }),
};

/** Of the Graph API: 1 and 2 are outages, 4, 17, 32 and 613 are limits, 190 and 102 mean that the token is over. */
const transientCodes: readonly unknown[] = [1, 2, 4, 17, 32, 613];
const endedCodes: readonly unknown[] = [102, 190];

/** Graph errors are objects with numbers in them (Facebook, Instagram, Threads). */
export function graphRefusal(answer: Answer): Refusal | undefined {
    const { code, message, type, is_transient: isTransient } = member(answer, 'error');
    if (code === undefined && message === undefined) {
        return undefined;
    }
    const isPassing = isTransient === true || transientCodes.includes(code);
    return {
        code: isPassing ? 'temporarily_unavailable' : endedCodes.includes(code) ? 'invalid_grant' : undefined,
        description: [textOf(type), textOf(message)].filter(Boolean).join(': '),
    };
}
