/**
 * Signatures over a webhook body. Four schemes at once, so that handlers written for the reference and for Standard
 * Webhooks both verify: X-Nango-Signature (legacy), X-Nango-Hmac-Sha256, webhook-signature `v1` (HMAC) and `v1a` (Ed25519).
 */
import { createHash, createHmac, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import type { Sources } from '../sources.ts';

export interface SigningKeys {
    /** `whsec_<base64 of 32 bytes>`, or an imported UUID v4. */
    secret: string;
    /** Ed25519 private key, PKCS#8 DER in base64. */
    ed25519: string;
}

const standardPrefix = 'whsec_';
/** The fixed head of a PKCS#8 Ed25519 key (RFC 8410 §7); the 32-byte seed follows. */
const ed25519Head = Buffer.from('302e020100300506032b657004220420', 'hex');

export const newSigningKeys = (sources: Sources): SigningKeys => ({
    secret: `${standardPrefix}${sources.random(32).toString('base64')}`,
    ed25519: Buffer.concat([ed25519Head, sources.random(32)]).toString('base64'),
});

/** The public half for receivers that verify `v1a`: `whpk_<base64 of 32 bytes>`. */
export function publicVerificationKey(keys: SigningKeys): string {
    const spki = createPublicKey(ed25519Key(keys)).export({ format: 'der', type: 'spki' });
    return `whpk_${spki.subarray(-32).toString('base64')}`;
}

/** The keys that sign at the moment, the newest first: more than one while receivers change over from one to the next (W6). */
export type LiveSigningKeys = readonly (SigningKeys & { signsLegacy?: boolean })[];

/**
 * @param keys at least one
 * @param timestamp seconds since the epoch, of this attempt (W4)
 * @returns headers; the same body and id give the same X-Nango-* values on every attempt
 */
export function signatureHeaders(keys: LiveSigningKeys, id: string, timestamp: number, body: string): Record<string, string> {
    const legacy = keys.find(({ signsLegacy }) => signsLegacy) ?? keys[0]!;
    const other = keys.find((key) => key !== legacy);
    const signed = `${id}.${timestamp}.${body}`;
    const hmacs = keys.map(({ secret }) => `v1,${createHmac('sha256', standardWebhooksKey(secret)).update(signed).digest('base64')}`);
    const signatures = keys.map((key) => `v1a,${sign(null, Buffer.from(signed), ed25519Key(key)).toString('base64')}`);
    return {
        'x-nango-signature': createHash('sha256')
            .update(legacy.secret + body)
            .digest('hex'),
        'x-nango-hmac-sha256': bodyHmac(legacy, body),
        ...(other === undefined ? {} : { 'x-valetkey-hmac-sha256-other': bodyHmac(other, body) }),
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': [...hmacs, ...signatures].join(' '),
    };
}

const bodyHmac = ({ secret }: SigningKeys, body: string): string => createHmac('sha256', secret).update(body).digest('hex');

/** The secret as receivers built on Standard Webhooks take it: itself, or the `whsec_` form of an imported UUID (W4). */
export const standardWebhooksSecret = ({ secret }: SigningKeys): string =>
    secret.startsWith(standardPrefix) ? secret : `${standardPrefix}${Buffer.from(secret).toString('base64')}`;

/** `whsec_` secrets are decoded for `webhook-signature`; an imported UUID is used as its UTF-8 text. */
const standardWebhooksKey = (secret: string): Buffer =>
    secret.startsWith(standardPrefix) ? Buffer.from(secret.slice(standardPrefix.length), 'base64') : Buffer.from(secret);

export const ed25519Key = (keys: SigningKeys): ReturnType<typeof createPrivateKey> =>
    createPrivateKey({ key: Buffer.from(keys.ed25519, 'base64'), format: 'der', type: 'pkcs8' });
