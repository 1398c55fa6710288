import { clientParams, codeGrant, member, refreshGrant, refusalText } from './grants.ts';
import type { Answer, ExceptionContext, Refusal, TokenException } from './token-exception.ts';

/** TikTok for developers: the client id is called a key. */
export const tiktokPersonal: TokenException = {
    exchange: (given) => given.call({ url: given.tokenUrl, form: { ...codeGrant(given), ...keyParams(given) } }),
    refresh: (given) => given.call({ url: given.refreshUrl, form: { ...refreshGrant(given), ...keyParams(given) } }),
};

const keyParams = ({ clientId, clientSecret }: ExceptionContext): Record<string, string> => ({ client_key: clientId, client_secret: clientSecret });

/** TikTok Business, accounts: JSON, and everything about the token under `data`. */
export const tiktokAccounts: TokenException = {
    refusal: businessRefusal,
    exchange: (given) => {
        const { code, ...grant } = codeGrant(given);
        return given.call({ url: given.tokenUrl, json: { ...grant, auth_code: code, ...clientParams(given) } });
    },
    refresh: (given) => given.call({ url: given.refreshUrl, json: { ...refreshGrant(given), ...clientParams(given) } }),
    read: ({ main }) => {
        const data = member(main, 'data');
        return { access_token: data['access_token'], refresh_token: data['refresh_token'], expires_in: data['expires_in'], raw: main };
    },
};

/** TikTok Business, ads: tokens without end. */
export const tiktokAds: TokenException = {
    refusal: businessRefusal,
    exchange: (given) => given.call({ url: given.tokenUrl, json: { app_id: given.clientId, secret: given.clientSecret, auth_code: given.code } }),
    read: ({ main }) => ({ access_token: member(main, 'data')['access_token'], raw: main }),
};

/** The Business API answers 200 to everything; `code` tells. */
function businessRefusal({ code, message }: Answer): Refusal | undefined {
    if (code === undefined || code === 0) {
        return undefined;
    }
    const isOutage = typeof code === 'number' && code >= 50_000 && code < 60_000;
    return {
        code: code === 40_100 ? 'slow_down' : isOutage ? 'server_error' : code === 40_105 ? 'invalid_grant' : undefined,
        description: refusalText('code', code, message),
    };
}
