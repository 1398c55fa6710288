import { graphRefusal, longLivedMarginSeconds } from './facebook.ts';
import { clientParams, codeGrant, textOf } from './grants.ts';
import type { Answer, Answers, ExceptionCall, ExceptionContext, TokenException, TokenReading } from './token-exception.ts';

const shortLivedSeconds = 3600;

/**
 * Instagram and Threads: the code buys a token for an hour, which is swapped for one of 60 days. Renewed is the token itself, at
 * the address of `refresh_url`, with no refresh token and no client. @param prefix of the vendor's grant types
 */
export const longLivedToken = (prefix: 'ig' | 'th'): TokenException => ({
    renewsWithoutRefreshToken: true,
    marginSeconds: longLivedMarginSeconds,
    refusal: graphRefusal,
    exchange: async (given) => {
        const short = await given.call({ url: given.tokenUrl, form: { ...codeGrant(given), ...clientParams(given) } });
        const token = textOf(shortLived(short.answer)['access_token']) ?? '';
        // Without the swap there is a token for an hour at least.
        return { ...short, further: { longLived: await given.attempt(swap(prefix, given, token)) } };
    },
    // A token whose swap failed at connect can be swapped still, but not refreshed.
    refresh: (given) =>
        given.raw['expires_in'] === undefined
            ? given.call(swap(prefix, given, given.accessToken))
            : given.call({
                  method: 'GET',
                  url: given.refreshUrl,
                  query: { grant_type: `${prefix}_refresh_token`, access_token: given.accessToken },
              }),
    read: (answers, { stored }) =>
        stored === undefined ? readExchange(answers) : { ...readLong(answers.main), raw: { ...stored.raw, ...answers.main } },
});

const swap = (prefix: string, { clientSecret, refreshUrl }: ExceptionContext, token: string): ExceptionCall => ({
    method: 'GET',
    url: new URL('/access_token', refreshUrl),
    query: { grant_type: `${prefix}_exchange_token`, client_secret: clientSecret, access_token: token },
});

/** Instagram wraps it in a list of one, or not. */
function shortLived(answer: Answer): Answer {
    const { data } = answer;
    return Array.isArray(data) && typeof data[0] === 'object' && data[0] !== null ? (data[0] as Answer) : answer;
}

const readLong = (answer: Answer): Pick<TokenReading, 'access_token' | 'expires_in'> => ({
    access_token: answer['access_token'],
    expires_in: answer['expires_in'],
});

function readExchange({ main, further }: Answers): TokenReading {
    const short = shortLived(main);
    const swapped = further['longLived'];
    if (swapped !== undefined && 'answer' in swapped && swapped.answer['access_token'] !== undefined) {
        return { ...readLong(swapped.answer), raw: { ...short, ...swapped.answer } };
    }
    const why = swapped !== undefined && 'failure' in swapped ? swapped.failure.description : 'The answer holds no token.';
    return {
        access_token: short['access_token'],
        expires_in: shortLivedSeconds,
        raw: short,
        notes: [`The token was not swapped for a long-lived one, it ends in an hour: ${why}`],
    };
}
