/**
 * AWS Signature Version 4, in the header form. Own code on node:crypto: the packages for it read the clock themselves, rewrite
 * the request, drop repeated query parameters or keep secret keys in a cache.
 */
import { createHash, createHmac } from 'node:crypto';
import { canonicalParams, strictlyEncoded } from './strict-encoding.ts';

export interface AwsKeys {
    accessKeyId: string;
    secretAccessKey: string;
    /** Of temporary credentials. */
    sessionToken?: string;
    region: string;
    service: string;
}

export interface SignableRequest {
    method: string;
    url: URL;
    /** Names in lower case. */
    headers: Readonly<Record<string, string>>;
    body: string | Uint8Array | undefined;
}

/** Headers that belong to one hop, or that proxies and clients add and change; everything else is signed. */
const unsigned: ReadonlySet<string> = new Set([
    'authorization',
    'cache-control',
    'connection',
    'content-length',
    'accept-encoding',
    'expect',
    'from',
    'keep-alive',
    'max-forwards',
    'pragma',
    'referer',
    'te',
    'trailer',
    'transfer-encoding',
    'upgrade',
    'user-agent',
    'x-amzn-trace-id',
]);

/**
 * The headers to add to a finished request. A body that is not at hand is left unsigned by the request's own
 * `x-amz-content-sha256: UNSIGNED-PAYLOAD`, where the service allows that.
 * @param now milliseconds
 */
export function signAwsRequest(request: SignableRequest, keys: AwsKeys, now: number): Record<string, string> {
    const added = {
        'x-amz-date': amzDate(now),
        'x-amz-content-sha256': request.headers['x-amz-content-sha256'] ?? sha256(request.body ?? ''),
        ...(keys.sessionToken === undefined ? {} : { 'x-amz-security-token': keys.sessionToken }),
    };
    return { ...added, authorization: awsAuthorization({ ...request, headers: { ...request.headers, ...added } }, keys, now) };
}

/** The `Authorization` value alone, over `host`, `x-amz-date` and the headers that the request has. */
export function awsAuthorization(request: SignableRequest, keys: Omit<AwsKeys, 'sessionToken'>, now: number): string {
    const date = amzDate(now);
    const headers = canonicalHeaders({ ...request.headers, host: request.url.host, 'x-amz-date': date });
    const signedHeaders = headers.map(([name]) => name).join(';');
    const canonicalRequest = [
        request.method.toUpperCase(),
        keys.service === 's3' ? encodedOnce(request.url.pathname) : encodedTwice(request.url.pathname),
        canonicalParams(request.url.search),
        ...headers.map(([name, value]) => `${name}:${value}`),
        '',
        signedHeaders,
        request.headers['x-amz-content-sha256'] ?? sha256(request.body ?? ''),
    ].join('\n');
    const scope = `${date.slice(0, 8)}/${keys.region}/${keys.service}/aws4_request`;
    const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256(canonicalRequest)].join('\n');
    const signature = hmac(signingKey(keys, date.slice(0, 8)), toSign).toString('hex');
    return `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${scope}, SignedHeaders=${signedHeaders}, Signature=${signature}`;
}

const amzDate = (now: number): string => new Date(now).toISOString().replaceAll(/[:-]|\.\d{3}/g, '');

const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');

const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text, 'utf8').digest();

const signingKey = ({ secretAccessKey, region, service }: AwsKeys, day: string): Buffer =>
    hmac(hmac(hmac(hmac(`AWS4${secretAccessKey}`, day), region), service), 'aws4_request');

function canonicalHeaders(headers: Readonly<Record<string, string>>): [name: string, value: string][] {
    return Object.entries(headers)
        .map(([name, value]): [string, string] => [name.toLowerCase(), value.trim().replaceAll(/ +/g, ' ')])
        .filter(([name]) => !unsigned.has(name) && !/^(?:proxy|sec)-/.test(name))
        .toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** S3: every character of an object's name counts, encoded as AWS encodes it, whatever the sender left as it is. */
const encodedOnce = (path: string): string => path.split('/').map(decoded).map(strictlyEncoded).join('/');

/** The other services encode the path as it was sent again, without its empty segments. */
const encodedTwice = (path: string): string =>
    path
        .replaceAll(/\/{2,}/g, '/')
        .split('/')
        .map(strictlyEncoded)
        .join('/');

function decoded(segment: string): string {
    try {
        return decodeURIComponent(segment);
    } catch {
        return segment;
    }
}
