/** JWTs signed for a token endpoint: a client's own assertion (RFC 7523 §2.2, N8), and a GitHub App's. */
import { createPrivateKey } from 'node:crypto';
import type { JWK } from 'jose';
import type { OAuth2ClientCredentials } from '../credentials/credential.ts';
import { TokenFailure } from '../credentials/token-failure.ts';
import { newRandomId, type Sources } from '../sources.ts';

/** R11: issuers whose clock is ahead of the provider's are refused. */
const backdatedSeconds = 30;
const clientAssertionSeconds = 300;
/** GitHub accepts ten minutes between the two dates, no more. */
const appJwtSeconds = 600;

const seconds = (sources: Sources): number => Math.floor(sources.now() / 1000);

/** Parameters that speak for the client, by the key it keeps as a JWK. @throws TokenFailure when that is no key for RS256 */
export async function clientAssertion(client: OAuth2ClientCredentials, audience: URL, sources: Sources): Promise<Record<string, string>> {
    const { importJWK, SignJWT } = await import('jose');
    const issuedAt = seconds(sources) - backdatedSeconds;
    try {
        const jwk = JSON.parse(client.client_private_key ?? '') as JWK;
        const assertion = await new SignJWT()
            .setProtectedHeader({ alg: 'RS256', ...(jwk.kid === undefined ? {} : { kid: jwk.kid }) })
            .setIssuer(client.client_id)
            .setSubject(client.client_id)
            .setAudience(audience.href)
            .setIssuedAt(issuedAt)
            .setExpirationTime(issuedAt + clientAssertionSeconds)
            .setJti(newRandomId(sources))
            .sign(await importJWK(jwk, 'RS256'));
        return {
            client_id: client.client_id,
            client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
            client_assertion: assertion,
        };
    } catch {
        // What the libraries say may quote the key.
        throw new TokenFailure('unknown', 'client_private_key is not a private RSA key in JWK form.', {
            type: 'client_credentials_fetch_error',
            isUnasked: true,
        });
    }
}

/** Proof that the caller is the app (auth-modes §12.1). @throws TokenFailure when the key is none for RS256 */
export async function signAppJwt(app: { id: string; privateKey: string }, sources: Sources): Promise<string> {
    const { SignJWT } = await import('jose');
    const issuedAt = seconds(sources) - backdatedSeconds;
    try {
        return await new SignJWT()
            .setProtectedHeader({ alg: 'RS256', typ: 'JWT' })
            .setIssuer(app.id)
            .setIssuedAt(issuedAt)
            .setExpirationTime(issuedAt + appJwtSeconds)
            // PKCS#1, as GitHub hands it out, and PKCS#8
            .sign(createPrivateKey(app.privateKey));
    } catch {
        throw new TokenFailure('unknown', 'The private key of this integration is not an RSA key in PEM form.', {
            type: 'github_app_token_fetch_error',
            isUnasked: true,
        });
    }
}
