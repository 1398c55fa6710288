import { TokenFailure } from '../../credentials/token-failure.ts';
import { newRandomId } from '../../sources.ts';
import { clientParams, codeGrant, refreshGrant, textOf } from './grants.ts';
import type { ExceptionContext, TokenException } from './token-exception.ts';

/** Absorb LMS: token calls carry the portal's API key and a nonce; a refresh repeats the scopes. */
export const absorbLms: TokenException = {
    exchange: (given) =>
        given.call({
            url: given.tokenUrl,
            headers: portalHeaders(given),
            form: { ...codeGrant(given), ...clientParams(given), nonce: newRandomId(given.sources) },
        }),
    refresh: (given) =>
        given.call({
            url: given.refreshUrl,
            headers: portalHeaders(given),
            form: {
                ...refreshGrant(given),
                ...clientParams(given),
                nonce: newRandomId(given.sources),
                ...(given.scopes.length === 0 ? {} : { scope: given.scopes.join(' ') }),
            },
        }),
};

function portalHeaders({ connectionConfig }: ExceptionContext): Record<string, string> {
    const [key, version] = [textOf(connectionConfig['restApiKey']), textOf(connectionConfig['apiVersion'])];
    if (key === undefined || version === undefined) {
        throw new TokenFailure('unknown', `The connection parameter "${key === undefined ? 'restApiKey' : 'apiVersion'}" is missing.`);
    }
    return { 'x-api-key': key, 'x-api-version': version };
}
