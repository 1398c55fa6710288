/** The functions of the expression language, on evaluated arguments. `undefined`: there is no result, as when a key is none. */
import { createHash, createHmac, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { awsAuthorization } from './aws-signature.ts';
import type { FunctionName } from './expression.ts';
import type { OutgoingCall } from './value-template.ts';

export interface CallContext {
    /** Milliseconds. */
    now: number | undefined;
    request: OutgoingCall | undefined;
}

export function callFunction(name: FunctionName, args: readonly string[], context: CallContext): string | undefined {
    const [first = '', second = ''] = args;
    switch (name) {
        case 'base64':
            return Buffer.from(first, 'utf8').toString('base64');
        case 'sha256Hex':
            return createHash('sha256').update(first, 'utf8').digest('hex');
        case 'sha256Base64':
            return createHash('sha256').update(first, 'utf8').digest('base64');
        case 'hmacSha1Hex':
            return createHmac('sha1', second).update(first, 'utf8').digest('hex');
        case 'ed25519Sign':
            return ed25519Signature(first, second);
        case 'fingerprint':
            return fingerprint(first);
        case 'awsSigV4':
            return signedForAws(args, context);
    }
}

function ed25519Signature(text: string, pem: string): string | undefined {
    try {
        const key = createPrivateKey(asPem(pem));
        return key.asymmetricKeyType === 'ed25519' ? sign(null, Buffer.from(text, 'utf8'), key).toString('base64') : undefined;
    } catch {
        return undefined;
    }
}

/** Of the public key, which a private one holds too. */
function fingerprint(pem: string): string | undefined {
    try {
        const publicKey = createPublicKey(asPem(pem)).export({ type: 'spki', format: 'der' });
        return `SHA256:${createHash('sha256').update(publicKey).digest('base64')}`;
    } catch {
        return undefined;
    }
}

/** People paste keys with `\n` spelled out, on one line, or without the lines around them. */
function asPem(text: string): string {
    const lines = text.replaceAll('\\n', '\n').trim();
    const [, label = 'PRIVATE KEY', body = lines] = /^-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----$/.exec(lines) ?? [];
    const base64 = body.replaceAll(/\s/g, '');
    return `-----BEGIN ${label}-----\n${base64.replaceAll(/.{64}(?!$)/g, '$&\n')}\n-----END ${label}-----\n`;
}

/**
 * Signs the call as it goes out, `x-amz-date` included, which the entry sets to the same `now`. So the host that is signed is
 * the one of the URL; the fifth argument names that same host and adds nothing.
 */
function signedForAws([id, secret, region, service]: readonly string[], { now, request }: CallContext): string | undefined {
    if (now === undefined || request === undefined || !id || !secret || !region || !service) return undefined;
    const signable = { ...request, headers: contentHeaders(request.headers) };
    return awsAuthorization(signable, { accessKeyId: id, secretAccessKey: secret, region, service }, now);
}

/** What AWS wants signed beside the host: its own headers and the type of the content. */
const contentHeaders = (headers: Readonly<Record<string, string>> = {}): Record<string, string> =>
    Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('x-amz-') || name === 'content-type'));
