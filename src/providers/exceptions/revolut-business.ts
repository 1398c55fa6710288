import { createPrivateKey } from 'node:crypto';
import { TokenFailure } from '../../credentials/token-failure.ts';
import { newRandomId } from '../../sources.ts';
import { codeGrant, refreshGrant, textOf } from './grants.ts';
import type { ExceptionContext, TokenException } from './token-exception.ts';

const audience = 'https://revolut.com';
const lifetimeSeconds = 300;
/** R11: issuers whose clock is ahead of the provider's are refused. */
const backdatedSeconds = 30;
/** Connection configuration; the issuer must be the same at every refresh, and only the exchange knows the callback URL. */
const issuerName = 'assertionIssuer';

/** Revolut Business: the integration's secret is a private key, and every token call an assertion signed with it (RFC 7523 §2.2). */
export const revolutBusiness: TokenException = {
    exchange: async (given) =>
        given.call({ url: given.tokenUrl, form: { ...codeGrant(given), ...(await assertion(given, new URL(given.redirectUri).hostname)) } }),
    refresh: async (given) => {
        const issuer = textOf(given.connectionConfig[issuerName]);
        if (issuer === undefined) {
            throw new TokenFailure('unknown', `The connection parameter "${issuerName}", the host of the callback URL, is missing.`);
        }
        return given.call({ url: given.refreshUrl, form: { ...refreshGrant(given), ...(await assertion(given, issuer)) } });
    },
    read: ({ main }, { redirectUri }) => ({
        access_token: main['access_token'],
        refresh_token: main['refresh_token'],
        expires_in: main['expires_in'],
        raw: main,
        ...(redirectUri === undefined ? {} : { config: { [issuerName]: new URL(redirectUri).hostname } }),
    }),
};

async function assertion({ clientId, clientSecret, sources }: ExceptionContext, issuer: string): Promise<Record<string, string>> {
    const { SignJWT } = await import('jose');
    const issuedAt = Math.floor(sources.now() / 1000) - backdatedSeconds;
    try {
        const signed = await new SignJWT()
            .setProtectedHeader({ alg: 'RS256', typ: 'JWT' })
            .setIssuer(issuer)
            .setSubject(clientId)
            .setAudience(audience)
            .setIssuedAt(issuedAt)
            .setExpirationTime(issuedAt + lifetimeSeconds)
            .setJti(newRandomId(sources))
            // pasted into a form, line breaks may have become `\n`
            .sign(createPrivateKey(clientSecret.replaceAll('\\n', '\n')));
        return { client_id: clientId, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: signed };
    } catch {
        // What the libraries say may quote the key.
        throw new TokenFailure('unknown', 'The client secret of this integration is not a private RSA key in PEM form.');
    }
}
