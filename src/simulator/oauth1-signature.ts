/** Signatures of OAuth 1.0a, verified (RFC 5849 §3.4). Written from the RFC: the signer's library must not check itself. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { unauthorized } from './refusal.ts';
import { mediaTypeOf, type TwinRequest } from './twin-request.ts';

export interface OAuth1Params {
    readonly realm: string | undefined;
    /** `oauth_…`, decoded. */
    readonly params: Readonly<Record<string, string>>;
}

/** RFC 5849 §3.6. */
export const percentEncode = (text: string): string =>
    encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);

/** The Authorization header (RFC 5849 §3.5.1). @throws Refusal */
export function readOAuth1Header(request: TwinRequest): OAuth1Params {
    const [, list] = /^OAuth\s+(.+)$/s.exec(request.headers['authorization'] ?? '') ?? [];
    if (list === undefined) throw unauthorized('There is no OAuth header.');
    const params: Record<string, string> = {};
    for (const item of list.split(',')) {
        const [, name, value] = /^\s*([^=\s]+)="([^"]*)"\s*$/.exec(item) ?? [];
        if (name === undefined || value === undefined) throw unauthorized('The OAuth header is malformed.');
        if (Object.hasOwn(params, name)) throw unauthorized(`"${name}" is there twice in the OAuth header.`);
        params[decodeURIComponent(name)] = decodeURIComponent(value);
    }
    const { realm, ...rest } = params;
    return { realm, params: rest };
}

/** RFC 5849 §3.4.1. */
export function signatureBase(request: TwinRequest, oauth: Readonly<Record<string, string>>): string {
    const pairs: [string, string][] = [...request.url.searchParams];
    if (mediaTypeOf(request) === 'application/x-www-form-urlencoded') pairs.push(...new URLSearchParams(request.body));
    pairs.push(...Object.entries(oauth).filter(([name]) => name !== 'oauth_signature'));
    const normalized = pairs
        .map(([name, value]) => [percentEncode(name), percentEncode(value)] as const)
        .toSorted(([a, x], [b, y]) => (a === b ? compare(x, y) : compare(a, b)))
        .map(([name, value]) => `${name}=${value}`)
        .join('&');
    const { protocol, host, pathname } = request.url;
    return [request.method.toUpperCase(), `${protocol}//${host}${pathname}`, normalized].map(percentEncode).join('&');
}

const compare = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0);

/** `false`: not by these secrets. @throws Refusal for a method that is none of the known ones */
export function isSignedBy(request: TwinRequest, oauth: Readonly<Record<string, string>>, secrets: { consumer: string; token: string }): boolean {
    const key = `${percentEncode(secrets.consumer)}&${percentEncode(secrets.token)}`;
    const signature = Buffer.from(oauth['oauth_signature'] ?? '');
    const hash = { 'HMAC-SHA1': 'sha1', 'HMAC-SHA256': 'sha256' }[oauth['oauth_signature_method'] ?? ''];
    if (hash === undefined && oauth['oauth_signature_method'] !== 'PLAINTEXT') throw unauthorized('The signature method is unknown.');
    const expected = Buffer.from(hash === undefined ? key : createHmac(hash, key).update(signatureBase(request, oauth)).digest('base64'));
    return signature.length === expected.length && timingSafeEqual(signature, expected);
}

const freshSeconds = 300;

/** What every signed request has (RFC 5849 §3.1, §3.3). @throws Refusal */
export function assertOAuth1Form({ params }: OAuth1Params, method: string, now: number): void {
    for (const name of ['oauth_consumer_key', 'oauth_signature_method', 'oauth_signature']) {
        if (!params[name]) throw unauthorized(`"${name}" is missing in the OAuth header.`);
    }
    if (params['oauth_signature_method'] !== method) throw unauthorized(`The signature method must be ${method}.`);
    if (params['oauth_version'] !== undefined && params['oauth_version'] !== '1.0') throw unauthorized('"oauth_version" must be 1.0.');
    // Without a hash there is nothing that a nonce would make unique.
    if (method === 'PLAINTEXT' && params['oauth_timestamp'] === undefined) return;
    if (!params['oauth_nonce']) throw unauthorized('"oauth_nonce" is missing in the OAuth header.');
    if (!/^\d+$/.test(params['oauth_timestamp'] ?? '')) throw unauthorized('"oauth_timestamp" is not a number of seconds.');
    if (Math.abs(now / 1000 - Number(params['oauth_timestamp'])) > freshSeconds) throw unauthorized('"oauth_timestamp" is too far from now.');
}
