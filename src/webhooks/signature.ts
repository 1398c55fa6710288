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

/** The fixed head of a PKCS#8 Ed25519 key (RFC 8410 §7); the 32-byte seed follows. */
const ed25519Head = Buffer.from('302e020100300506032b657004220420', 'hex');

export const newSigningKeys = (sources: Sources): SigningKeys => ({
    secret: `whsec_${sources.random(32).toString('base64')}`,
    ed25519: Buffer.concat([ed25519Head, sources.random(32)]).toString('base64'),
});

/** The public half for receivers that verify `v1a`: `whpk_<base64 of 32 bytes>`. */
export function publicVerificationKey(keys: SigningKeys): string {
    const spki = createPublicKey(ed25519Key(keys)).export({ format: 'der', type: 'spki' });
    return `whpk_${spki.subarray(-32).toString('base64')}`;
}

/**
 * @param timestamp seconds since the epoch, of this attempt (W4)
 * @returns headers; the same body and id give the same X-Nango-* values on every attempt
 */
export function signatureHeaders(keys: SigningKeys, id: string, timestamp: number, body: string): Record<string, string> {
    const signed = `${id}.${timestamp}.${body}`;
    const hmac = createHmac('sha256', standardWebhooksKey(keys.secret)).update(signed).digest('base64');
    const ed25519 = sign(null, Buffer.from(signed), ed25519Key(keys)).toString('base64');
    return {
        'x-nango-signature': createHash('sha256')
            .update(keys.secret + body)
            .digest('hex'),
        'x-nango-hmac-sha256': createHmac('sha256', keys.secret).update(body).digest('hex'),
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': `v1,${hmac} v1a,${ed25519}`,
    };
}

/** `whsec_` secrets are decoded for `webhook-signature`; an imported UUID is used as its UTF-8 text. */
const standardWebhooksKey = (secret: string): Buffer =>
    secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : Buffer.from(secret);

const ed25519Key = (keys: SigningKeys): ReturnType<typeof createPrivateKey> =>
    createPrivateKey({ key: Buffer.from(keys.ed25519, 'base64'), format: 'der', type: 'pkcs8' });
