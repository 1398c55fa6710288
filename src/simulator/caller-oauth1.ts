/** Signed API calls: OAuth 1.0a after consent (auth-modes §6), and token-based authentication without it (§8). */
import type { Grant } from './grants.ts';
import { assertOAuth1Form, isSignedBy, readOAuth1Header } from './oauth1-signature.ts';
import { unauthorized } from './refusal.ts';
import type { Call } from './twin.ts';

/** The secret of a consumer that the twin knows: a sample's, or one it was told. */
export const consumerSecretOf = ({ world, entry }: Call, key: string): string | undefined => world.credentials.secretOf(entry, key, 'client_secret');

/** @throws Refusal */
export function assertOAuth1(call: Call): Grant {
    const { entry, request, world } = call;
    const header = readOAuth1Header(request);
    assertOAuth1Form(header, entry.signature_method ?? 'HMAC-SHA1', world.now());
    const grant = world.grants.openAccess(entry.slug, header.params['oauth_token'] ?? '');
    if (grant.clientId !== header.params['oauth_consumer_key']) throw unauthorized('The token belongs to another consumer.');
    const consumer = consumerSecretOf(call, grant.clientId);
    if (consumer !== undefined && !isSignedBy(request, header.params, { consumer, token: grant.memory['token_secret'] ?? '' })) {
        throw unauthorized('The signature is not the right one.');
    }
    return grant;
}

/** @throws Refusal */
export function assertTba(call: Call): void {
    const { entry, request, world, bindings } = call;
    const header = readOAuth1Header(request);
    assertOAuth1Form(header, 'HMAC-SHA256', world.now());
    const realm = (bindings['connectionConfig.accountId'] ?? '').replaceAll('-', '_').toUpperCase();
    if (header.realm !== realm) throw unauthorized('The realm is the account id in upper case, with every dash an underscore.');
    const { oauth_consumer_key: key = '', oauth_token: token = '' } = header.params;
    world.credentials.check(entry, { id: key, secrets: {} });
    world.credentials.check(entry, { id: token, secrets: { token_id: token } });
    const [consumer, tokenSecret] = [consumerSecretOf(call, key), world.credentials.secretOf(entry, token, 'token_secret')];
    if (consumer !== undefined && tokenSecret !== undefined && !isSignedBy(request, header.params, { consumer, token: tokenSecret })) {
        throw unauthorized('The signature is not the right one.');
    }
}
