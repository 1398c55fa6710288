import { newRandomId } from '../../sources.ts';
import { basicHeader, codeGrant, refreshGrant, textOf } from './grants.ts';
import type { ExceptionContext, TokenException } from './token-exception.ts';

/** Walmart Marketplace: token calls name the seller, as the callback did. The refresh token does not change. */
export const walmart: TokenException = {
    exchange: (given) => given.call({ url: given.tokenUrl, headers: marketplaceHeaders(given), form: codeGrant(given) }),
    refresh: (given) => given.call({ url: given.refreshUrl, headers: marketplaceHeaders(given), form: refreshGrant(given) }),
};

const marketplaceHeaders = ({ clientId, clientSecret, connectionConfig, sources }: ExceptionContext): Record<string, string> => {
    const seller = textOf(connectionConfig['sellerId']);
    return {
        ...basicHeader(clientId, clientSecret),
        'WM_SVC.name': 'Walmart Marketplace',
        'WM_QOS.correlation_id': newRandomId(sources),
        ...(seller === undefined ? {} : { 'WM_PARTNER.id': seller }),
    };
};
