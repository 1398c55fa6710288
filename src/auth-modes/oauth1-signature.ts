/** Signs requests as OAuth 1.0a wants it (RFC 5849 §3), with the `oauth-1.0a` package and our own clock and randomness. */
import { createHmac } from 'node:crypto';
import OAuth from 'oauth-1.0a';
import type { Sources } from '../sources.ts';
import { ConnectFailure } from './auth-mode.ts';

export type SignatureMethod = 'HMAC-SHA1' | 'HMAC-SHA256' | 'PLAINTEXT';

export interface SigningKeys {
    consumerKey: string;
    consumerSecret: string;
    token?: string;
    tokenSecret?: string;
    /** Named first in the header, not signed (§3.5.1). */
    realm?: string;
    method: SignatureMethod;
}

type Pair = readonly [name: string, value: string];

export interface SignedRequest {
    method: string;
    url: URL;
    /**
     * Of a form-encoded body, and of the protocol itself, such as `oauth_callback` and `oauth_verifier`: those travel in the
     * header, and must not be in the body too (§3.5).
     */
    parameters?: Readonly<Record<string, string>> | readonly Pair[];
}

const hashes: Readonly<Record<SignatureMethod, OAuth.HashFunction>> = {
    'HMAC-SHA1': (base, key) => createHmac('sha1', key).update(base).digest('base64'),
    'HMAC-SHA256': (base, key) => createHmac('sha256', key).update(base).digest('base64'),
    PLAINTEXT: (_base, key) => key,
};

/** The value of the `Authorization` header. @throws ConnectFailure when secrets would travel in clear */
export function oauth1Header(request: SignedRequest, keys: SigningKeys, sources: Sources): string {
    const parameters = pairsOf(request.parameters);
    const protocol: Record<string, string> = {
        ...Object.fromEntries(parameters.filter(([name]) => name.startsWith('oauth_'))),
        oauth_consumer_key: keys.consumerKey,
        oauth_nonce: sources.random(16).toString('hex'),
        oauth_signature_method: keys.method,
        oauth_timestamp: String(Math.floor(sources.now() / 1000)),
        oauth_version: '1.0',
        ...(keys.token === undefined ? {} : { oauth_token: keys.token }),
    };
    const oauth_signature = signatureOf(request, protocol, keys);
    const realm = keys.realm?.replaceAll(/["\\]/g, '');
    const signer = signerOf(keys, realm);
    return signer.toHeader({ ...protocol, oauth_signature } as unknown as OAuth.Authorization).Authorization;
}

/** @param protocol the `oauth_` parameters to sign: all but realm and signature */
export function signatureOf(request: SignedRequest, protocol: Readonly<Record<string, string>>, keys: SigningKeys): string {
    // §3.4.4: such a signature is the secrets themselves.
    if (keys.method === 'PLAINTEXT' && !isPrivate(request.url)) {
        throw new ConnectFailure(
            'unsupported_auth',
            `A request with a PLAINTEXT signature needs https, which ${request.url.hostname} does not offer.`,
        );
    }
    return signerOf(keys).getSignature(signable(request, protocol), keys.tokenSecret, {} as OAuth.Data);
}

/** RFC 5849 §3.4.1. */
export function baseString(request: SignedRequest, protocol: Readonly<Record<string, string>>, keys: SigningKeys): string {
    return signerOf(keys).getBaseString(signable(request, protocol), {} as OAuth.Data);
}

/** Encrypted, or never leaving the machine (`.localhost`: RFC 6761 §6.3). */
const isPrivate = ({ protocol, hostname }: URL): boolean =>
    protocol === 'https:' || /^(?:127\.\d+\.\d+\.\d+|\[::1\]|(?:.+\.)?localhost)$/.test(hostname);

const signerOf = ({ consumerKey, consumerSecret, method }: SigningKeys, realm?: string): OAuth =>
    new OAuth({
        consumer: { key: consumerKey, secret: consumerSecret },
        signature_method: method,
        hash_function: hashes[method],
        ...(realm === undefined ? {} : { realm }),
    });

/**
 * The package reads a query without decoding names, and lets a parameter of the URL replace one of the body. So it is given an
 * address without a query, and every parameter (§3.4.1.3.1) as one list by name.
 */
function signable({ method, url, parameters }: SignedRequest, protocol: Readonly<Record<string, string>>): OAuth.RequestOptions {
    const data = new Map<string, string[]>();
    const others = pairsOf(parameters).filter(([name]) => !name.startsWith('oauth_'));
    for (const [name, value] of [...Object.entries(protocol), ...url.searchParams, ...others]) {
        data.set(name, [...(data.get(name) ?? []), value]);
    }
    return { method, url: `${url.origin}${url.pathname}`, data: Object.fromEntries(data) };
}

const pairsOf = (parameters: SignedRequest['parameters'] = {}): readonly Pair[] =>
    Array.isArray(parameters) ? (parameters as readonly Pair[]) : Object.entries(parameters as Record<string, string>);
