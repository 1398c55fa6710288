/**
 * AWS Security Token Service: temporary keys for a role, and the proof whose they are (auth-modes §11.3). Built in: AssumeRole with
 * keys of the integration; custom: a service of the integration's owner that does so on its own.
 */
import { endsAt, firstKnown, readExpiry, type Expiry } from '../credentials/expiry.ts';
import type { TokenReceipt } from '../credentials/renewal-strategy.ts';
import { classify, safeText, TokenFailure } from '../credentials/token-failure.ts';
import { EgressError, type Egress, type EgressRequest, type EgressResponse } from '../egress/egress.ts';
import { parseRetryAfter } from '../egress/retry-after.ts';
import { estimateSkew } from '../egress/server-clock.ts';
import { signAwsRequest, type AwsKeys } from '../providers/aws-signature.ts';
import type { Sources } from '../sources.ts';

export const stsFailureType = 'aws_sigv4_sts_request_failed';

export interface AssumedRole {
    roleArn: string;
    externalId: string;
    region: string;
    service: string;
}

export type StsAccess =
    | { mode: 'builtin'; accessKeyId: string; secretAccessKey: string }
    | { mode: 'custom'; url: URL; headers: Readonly<Record<string, string>>; secrets: readonly string[] };

export interface TemporaryKeys {
    accessKeyId: string;
    secretAccessKey: string;
    sessionToken: string;
    end: Expiry;
}

interface Caller {
    egress: Egress;
    sources: Sources;
    deadlineMs: number;
}

const roleSeconds = 3600;
const apiVersion = '2011-06-15';

/** @throws TokenFailure */
export async function assumeRole(access: StsAccess, role: AssumedRole, caller: Caller): Promise<TokenReceipt> {
    const request = access.mode === 'builtin' ? assumeRoleRequest(access, role, caller.sources) : customRequest(access, role);
    const secrets = access.mode === 'builtin' ? [access.secretAccessKey] : access.secrets;
    const response = await send(request, caller);
    const { status, requestedAt, receivedAt, headers } = response;
    const body = response.body.toString('utf8');
    if (status < 200 || status >= 300) {
        const code = awsErrorCode(body);
        const said = code === undefined ? '' : ` (${safeText(code, secrets)})`;
        throw new TokenFailure(classify(status, undefined), `The security token service answered ${status}${said}.`, {
            type: stsFailureType,
            retryAfterMs: parseRetryAfter(headers['retry-after'], receivedAt),
        });
    }
    return {
        status,
        contentType: headers['content-type'] ?? '',
        body,
        requestedAt,
        receivedAt,
        serverAheadMs: estimateSkew(headers['date'], requestedAt, receivedAt),
    };
}

/** The ARN that the keys act as; `undefined`: the service refuses them. @throws TokenFailure when it says nothing about them */
export async function callerIdentity(keys: Omit<AwsKeys, 'service'>, caller: Caller): Promise<string | undefined> {
    const response = await send(stsRequest({ Action: 'GetCallerIdentity' }, { ...keys, service: 'sts' }, caller.sources), caller);
    const { status } = response;
    if (classify(status, undefined) === 'transient') {
        throw new TokenFailure('transient', `The security token service answered ${status}.`, { type: stsFailureType });
    }
    const answer = status === 200 ? textsIn(response.body.toString('utf8')) : undefined;
    return answer?.get('arn');
}

function assumeRoleRequest(access: StsAccess & { mode: 'builtin' }, role: AssumedRole, sources: Sources): EgressRequest {
    const keys = { accessKeyId: access.accessKeyId, secretAccessKey: access.secretAccessKey, region: role.region, service: 'sts' };
    const params = {
        Action: 'AssumeRole',
        RoleArn: role.roleArn,
        RoleSessionName: `valetkey-${sources.random(12).toString('hex')}`,
        ExternalId: role.externalId,
        DurationSeconds: String(roleSeconds),
    };
    return stsRequest(params, keys, sources);
}

/** The region has been held to its rule: it is a label of the host. */
const regionalUrl = (region: string): URL => new URL(`https://sts.${region}.amazonaws.com/`);

export const stsUrl = (access: StsAccess, region: string): URL => (access.mode === 'custom' ? access.url : regionalUrl(region));

function stsRequest(params: Readonly<Record<string, string>>, keys: AwsKeys, sources: Sources): EgressRequest {
    const url = regionalUrl(keys.region);
    const body = new URLSearchParams({ ...params, Version: apiVersion }).toString();
    const headers = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8', accept: 'application/json' };
    const signed = signAwsRequest({ method: 'POST', url, headers, body }, keys, sources.now());
    return { url, method: 'POST', headers: { ...headers, ...signed }, body };
}

const customRequest = ({ url, headers }: StsAccess & { mode: 'custom' }, { roleArn, externalId, region, service }: AssumedRole): EgressRequest => ({
    url,
    method: 'POST',
    headers: { accept: 'application/json', ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ role_arn: roleArn, external_id: externalId, region, service }),
});

async function send(request: EgressRequest, { egress, deadlineMs }: Caller): Promise<EgressResponse> {
    try {
        return await egress.request({ ...request, deadlineMs });
    } catch (error) {
        if (!(error instanceof EgressError)) {
            throw error;
        }
        throw new TokenFailure('transient', `The security token service gave no answer (${error.code}).`, { type: stsFailureType });
    }
}

/** Pure: journalled answers are read again after a crash. @throws TokenFailure */
export function readTemporaryKeys(receipt: TokenReceipt): TemporaryKeys {
    const texts = textsIn(receipt.body);
    const [accessKeyId, secretAccessKey, sessionToken] = ['accesskeyid', 'secretaccesskey', 'sessiontoken'].map((name) => texts.get(name) ?? '');
    if (!accessKeyId || !secretAccessKey || !sessionToken) {
        throw new TokenFailure('unknown', 'The security token service answered without temporary keys.', { type: stsFailureType });
    }
    const date = texts.get('expiration') ?? texts.get('expiresat');
    return {
        accessKeyId,
        secretAccessKey,
        sessionToken,
        end: firstKnown(readExpiry({ expires_at: date }, receipt.requestedAt), endsAt(receipt.requestedAt + roleSeconds * 1000, 'assumed')),
    };
}

const awsErrorCode = (body: string): string | undefined => textsIn(body).get('code');

/**
 * Every text of an answer by its name, in small letters only: AWS has `AccessKeyId`, services of one's own `accessKeyId` or
 * `access_key_id`, at the root or below `credentials`. No name that is asked for here occurs twice in an answer.
 */
function textsIn(body: string): Map<string, string> {
    try {
        return new Map(leaves(JSON.parse(body)));
    } catch {
        // STS answers XML to those who do not ask for JSON, and emulators of it to everybody. Its elements have no attributes.
        const elements = body.matchAll(/<(?:[\w-]+:)?([\w-]+)>([^<>]*)<\//g);
        return new Map([...elements].map(([, name = '', text = '']) => [plain(name), withoutReferences(text.trim())]));
    }
}

function leaves(value: unknown): [name: string, text: string][] {
    if (typeof value !== 'object' || value === null) {
        return [];
    }
    return Object.entries(value).flatMap(([name, member]): [string, string][] =>
        typeof member === 'string' || typeof member === 'number' ? [[plain(name), String(member)]] : leaves(member),
    );
}

const plain = (name: string): string => name.replaceAll(/[^A-Za-z]/g, '').toLowerCase();

const characters: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };

const withoutReferences = (text: string): string => text.replaceAll(/&(lt|gt|quot|apos|amp);/g, (_reference, name: string) => characters[name] ?? '');
