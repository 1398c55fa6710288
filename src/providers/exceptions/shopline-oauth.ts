import { hmacSha256, member, refusalText } from './grants.ts';
import type { ExceptionContext, TokenException } from './token-exception.ts';

/** Shopline: requests are signed with the app's secret. There are no refresh tokens; a signed request for a new token is enough. */
export const shoplineOauth: TokenException = {
    renewsWithoutRefreshToken: true,
    exchange: (given) => {
        const body = JSON.stringify({ code: given.code });
        return given.call({ url: given.tokenUrl, headers: { 'content-type': 'application/json', ...signed(given, body) }, text: body });
    },
    refresh: (given) => given.call({ url: given.refreshUrl, headers: { 'content-type': 'application/json', ...signed(given, '') }, text: '' }),
    refusal: ({ code, message, i18nCode }) =>
        code === undefined || code === 200 ? undefined : { description: refusalText('code', code, i18nCode, message) },
    read: ({ main }) => {
        const data = member(main, 'data');
        return { access_token: data['accessToken'], expires_at: data['expireTime'], raw: main };
    },
};

function signed({ clientId, clientSecret, sources }: ExceptionContext, body: string): Record<string, string> {
    const timestamp = String(sources.now());
    return { appkey: clientId, timestamp, sign: hmacSha256(clientSecret, body + timestamp) };
}
