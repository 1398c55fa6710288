import { clientParams, codeGrant, refreshGrant, textOf } from './grants.ts';
import type { Answer, Answers, ExceptionCall, ExceptionContext, ReadingContext, TokenException, TokenReading } from './token-exception.ts';

const sessionMinutes = 10_080;
const minute = 60_000;
/** A login that failed is tried again after this; until then the old session serves. */
const retryAfterMs = 5 * minute;

/**
 * Bullhorn: the OAuth token only buys a session at a REST login; the session is what the API wants. Parameters go in the query.
 * The login comes second on a refresh, so its failure must not cost the refresh token that was rotated before (R2).
 */
export const bullhorn: TokenException = {
    exchange: async (given) => {
        const token = await given.call({ url: given.tokenUrl, query: { ...codeGrant(given), ...clientParams(given) } });
        const { answer, receipt } = await given.call(login(given, token.answer));
        return { ...token, further: { login: { answer, requestedAt: receipt.requestedAt } } };
    },
    refresh: async (given) => {
        const token = await given.call({ url: given.refreshUrl, query: { ...refreshGrant(given), ...clientParams(given) } });
        return { ...token, further: { login: await given.attempt(login(given, token.answer)) } };
    },
    read: readSession,
};

/** `auth-west.bullhornstaffing.com` has its logins at `rest-west.bullhornstaffing.com`. */
function login({ tokenUrl }: ExceptionContext, token: Answer): ExceptionCall {
    const url = new URL('/rest-services/login', tokenUrl);
    url.hostname = url.hostname.replace(/^auth-/, 'rest-');
    return { url, query: { version: '*', access_token: textOf(token['access_token']) ?? '', ttl: String(sessionMinutes) } };
}

function readSession({ main, further, receivedAt }: Answers, { stored }: ReadingContext): TokenReading {
    const session = further['login'];
    // Both are needed: there is no session without a login, and no next one without a refresh token.
    if (session !== undefined && 'answer' in session && session.answer['BhRestToken'] !== undefined) {
        const { BhRestToken: token, restUrl } = session.answer;
        return {
            access_token: (main['refresh_token'] ?? stored?.refreshToken) ? token : undefined,
            refresh_token: main['refresh_token'],
            expires_at: session.requestedAt + sessionMinutes * minute,
            raw: { ...main, ...session.answer },
            // typed in for the authorization page, and of no use after it
            config: { restUrl, username: undefined, password: undefined },
        };
    }
    const why = session !== undefined && 'failure' in session ? session.failure.description : 'The answer holds no session.';
    return {
        // an answer without a token is no rotation, and nothing to save
        access_token: main['access_token'] === undefined ? undefined : stored?.accessToken,
        refresh_token: main['refresh_token'],
        expires_at: stored?.expiresAt,
        raw: { ...stored?.raw, ...main },
        renewBy: receivedAt + retryAfterMs,
        notes: [`The login after the refresh failed, the old session is kept: ${why}`],
    };
}
