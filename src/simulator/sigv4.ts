/** AWS Signature Version 4, verified from the request as it arrived. Written from the vendor's description. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { Refusal } from './refusal.ts';
import { percentEncode } from './oauth1-signature.ts';
import type { TwinRequest } from './twin-request.ts';

export interface SigV4 {
    readonly keyId: string;
    readonly scope: readonly [date: string, region: string, service: string];
    readonly signedHeaders: readonly string[];
    readonly signature: string;
    readonly date: string;
    readonly sessionToken: string | undefined;
}

const denied = (why: string): Refusal => new Refusal(403, 'SignatureDoesNotMatch', why);

/** @throws Refusal */
export function readSigV4({ headers }: TwinRequest): SigV4 {
    const [, keyId, date, region, service, signed, signature] =
        /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request,\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})$/.exec(
            headers['authorization'] ?? '',
        ) ?? [];
    if (keyId === undefined || signature === undefined) throw new Refusal(403, 'MissingAuthenticationToken', 'There is no AWS4-HMAC-SHA256 header.');
    const time = headers['x-amz-date'] ?? '';
    if (!/^\d{8}T\d{6}Z$/.test(time) || !time.startsWith(date!))
        throw denied('"x-amz-date" is missing, or of another day than the credential scope.');
    const signedHeaders = signed!.split(';');
    const token = headers['x-amz-security-token'];
    for (const name of ['host', 'x-amz-date', ...(token === undefined ? [] : ['x-amz-security-token'])]) {
        if (!signedHeaders.includes(name)) throw denied(`The header "${name}" is not signed.`);
    }
    return { keyId, scope: [date!, region!, service!], signedHeaders, signature, date: time, sessionToken: token };
}

const freshMs = 5 * 60_000;

/** @param secret `undefined`: not known to the twin, which then checks the form alone. @throws Refusal */
export function assertSigV4(request: TwinRequest, secret: string | undefined, now: number): void {
    const parts = readSigV4(request);
    const at = Date.parse(parts.date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
    if (Math.abs(now - at) > freshMs) throw denied('The signature is older than five minutes.');
    if (secret === undefined) return;
    const expected = Buffer.from(signatureOf(request, parts, secret));
    if (!timingSafeEqual(expected, Buffer.from(parts.signature))) throw denied('The signature is not the right one.');
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

function signatureOf(request: TwinRequest, { scope, signedHeaders, date }: SigV4, secret: string): string {
    const [day, region, service] = scope;
    const canonical = [
        request.method,
        canonicalPath(request.url.pathname, service),
        canonicalQuery(request.url),
        ...signedHeaders.map((name) => `${name}:${headerText(request, name)}`),
        '',
        signedHeaders.join(';'),
        request.headers['x-amz-content-sha256'] ?? sha256(request.body),
    ].join('\n');
    const text = ['AWS4-HMAC-SHA256', date, `${day}/${region}/${service}/aws4_request`, sha256(canonical)].join('\n');
    const key = ['aws4_request'].reduce<Buffer>((before, part) => hmac(before, part), hmac(hmac(hmac(`AWS4${secret}`, day), region), service));
    return createHmac('sha256', key).update(text).digest('hex');
}

const headerText = ({ headers, url }: TwinRequest, name: string): string =>
    (name === 'host' ? url.host : (headers[name] ?? '')).trim().replace(/\s+/g, ' ');

/** Each segment encoded once more than it travels, except for S3. */
function canonicalPath(path: string, service: string): string {
    if (service === 's3') return path;
    return path.split('/').map(percentEncode).join('/');
}

function canonicalQuery(url: URL): string {
    return [...url.searchParams]
        .map(([name, value]) => `${percentEncode(name)}=${percentEncode(value)}`)
        .toSorted()
        .join('&');
}
