import { clientParams } from './grants.ts';
import type { Called, ExceptionContext, TokenException } from './token-exception.ts';

const asApp = (given: ExceptionContext): Promise<Called> =>
    given.call({
        url: given.tokenUrl,
        form: { grant_type: 'client_credentials', ...clientParams(given), scope: given.scopes.join(' ') },
    });

/** Microsoft with an admin's consent: the callback brings a tenant and no code; the app then speaks for itself (RFC 6749 §4.4). */
export const microsoftAdmin: TokenException = {
    renewsWithoutRefreshToken: true,
    exchange: asApp,
    refresh: asApp,
};
