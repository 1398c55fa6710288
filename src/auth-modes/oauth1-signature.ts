/** Signing a request with token and consumer secret: OAuth 1.0 (RFC 5849 §3) with HMAC-SHA256, as token-based authentication wants it. */
import { createHmac } from 'node:crypto';
import type { Sources } from '../sources.ts';

export interface SigningKeys {
    consumerKey: string;
    consumerSecret: string;
    token: string;
    tokenSecret: string;
    /** Named first in the header, not signed (RFC 5849 §3.5.1). */
    realm?: string;
}

/** The `Authorization` header of a request whose body is not form-encoded. */
export function oauth1Header(request: { method: string; url: URL }, keys: SigningKeys, sources: Sources): string {
    const parameters: Record<string, string> = {
        oauth_consumer_key: keys.consumerKey,
        oauth_nonce: sources.random(16).toString('hex'),
        oauth_signature_method: 'HMAC-SHA256',
        oauth_timestamp: String(Math.floor(sources.now() / 1000)),
        oauth_token: keys.token,
        oauth_version: '1.0',
    };
    const key = `${encoded(keys.consumerSecret)}&${encoded(keys.tokenSecret)}`;
    const signature = createHmac('sha256', key)
        .update(baseString(request, Object.entries(parameters)))
        .digest('base64');
    const fields = Object.entries({ ...parameters, oauth_signature: signature }).map(([name, value]) => `${name}="${encoded(value)}"`);
    const realm = keys.realm === undefined ? [] : [`realm="${keys.realm.replaceAll(/["\\]/g, '')}"`];
    return `OAuth ${[...realm, ...fields].join(', ')}`;
}

/** RFC 5849 §3.4.1. */
function baseString({ method, url }: { method: string; url: URL }, parameters: [string, string][]): string {
    const normalized = [...parameters, ...url.searchParams]
        .map(([name, value]) => [encoded(name), encoded(value)] as const)
        .toSorted(([a, x], [b, y]) => compare(a, b) || compare(x, y))
        .map(([name, value]) => `${name}=${value}`)
        .join('&');
    return [method.toUpperCase(), `${url.origin}${url.pathname}`, normalized].map(encoded).join('&');
}

/** By bytes, which for percent-encoded text is by characters. */
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** RFC 5849 §3.6: everything but the unreserved characters. */
const encoded = (text: string): string =>
    encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
