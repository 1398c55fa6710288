/** AWS_SIGV4: assuming a role at the vendor's STS, or at an operator's own (auth-modes §11.3). */
import { refuseCaller } from '../api.ts';
import type { Entry } from '../entry.ts';
import { invalidRequest, Refusal } from '../refusal.ts';
import { assertSigV4, readSigV4 } from '../sigv4.ts';
import { twinDomain } from '../samples.ts';
import { assertMethod, formParams, readBody, required } from '../twin-request.ts';
import { json, type Answer, type Call, type Endpoint } from '../twin.ts';

export const awsSigV4 = (entry: Entry): Endpoint[] => [
    { kind: 'login step', url: 'https://sts.${connectionConfig.region}.amazonaws.com/', handle: sts, refuse: refuseSts },
    { kind: 'login step', url: `https://${entry.slug}.${twinDomain}/assume`, handle: customSts, refuse: refuseCaller },
    { kind: 'login step', url: 'https://sts.example.com/assume', handle: customSts, refuse: refuseCaller },
];

const longestSeconds = 3600;
const roleArn = /^arn:aws:iam::\d{12}:role\/[\w+=,.@/-]+$/;

function sts(call: Call): Answer {
    const { request } = call;
    const params = { ...Object.fromEntries(request.url.searchParams), ...formParams(request.body) };
    if (required(params, 'Version') !== '2011-06-15') throw invalidRequest('The "Version" must be 2011-06-15.');
    const { scope } = readSigV4(request);
    if (scope[2] !== 'sts') throw invalidRequest('The signature is for another service than STS.');
    switch (required(params, 'Action')) {
        case 'AssumeRole':
            return assumeRole(call, params);
        case 'GetCallerIdentity':
            return callerIdentity(call);
        default:
            throw new Refusal(400, 'InvalidAction', 'This twin knows AssumeRole and GetCallerIdentity.');
    }
}

function assumeRole({ entry, request, world }: Call, params: Record<string, string>): Answer {
    assertMethod(request, 'POST');
    const { keyId } = readSigV4(request);
    world.credentials.check(entry, { id: keyId, secrets: {} });
    assertSigV4(request, world.credentials.secretOf(entry, keyId, 'aws_secret'), world.now());
    const arn = required(params, 'RoleArn');
    const session = required(params, 'RoleSessionName');
    const seconds = Number(params['DurationSeconds'] ?? longestSeconds);
    if (!Number.isInteger(seconds) || seconds < 900 || seconds > longestSeconds)
        throw invalidRequest('"DurationSeconds" must be between 900 and 3600.');
    const issued = issue(entry, world, { arn, externalId: required(params, 'ExternalId'), session, seconds });
    return xml('AssumeRole', [
        '<Credentials>',
        `<AccessKeyId>${issued.accessKeyId}</AccessKeyId><SecretAccessKey>${issued.secretAccessKey}</SecretAccessKey>`,
        `<SessionToken>${issued.sessionToken}</SessionToken><Expiration>${issued.expiration}</Expiration>`,
        '</Credentials>',
        `<AssumedRoleUser><Arn>${sessionArn(arn, session)}</Arn><AssumedRoleId>AROATWIN:${session}</AssumedRoleId></AssumedRoleUser>`,
    ]);
}

/** Whoever signed: a role's session, or a user with a key of their own. */
function callerIdentity(call: Call): Answer {
    const { entry, request, world } = call;
    const { keyId, sessionToken } = readSigV4(request);
    if (sessionToken === undefined) {
        world.credentials.check(entry, { id: keyId, secrets: {} });
        assertSigV4(request, world.credentials.secretOf(entry, keyId, 'aws_secret'), world.now());
        return identity('arn:aws:iam::123456789012:user/simulated');
    }
    const grant = world.grants.openAccess(entry.slug, sessionToken);
    if (grant.memory['access_key_id'] !== keyId) throw new Refusal(403, 'InvalidClientTokenId', 'The key and the session token are not a pair.');
    assertSigV4(request, grant.memory['secret_access_key'], world.now());
    return identity(grant.memory['arn']!);
}

export const identity = (arn: string): Answer =>
    xml('GetCallerIdentity', [`<Arn>${arn}</Arn><UserId>AROATWIN</UserId><Account>123456789012</Account>`]);

function customSts({ entry, request, world }: Call): Answer {
    assertMethod(request, 'POST');
    const params = readBody(request, 'json');
    const [arn, externalId] = [required(params, 'role_arn'), required(params, 'external_id')];
    required(params, 'region');
    required(params, 'service');
    const issued = issue(entry, world, { arn, externalId, session: 'custom', seconds: longestSeconds });
    return json({ credentials: issued });
}

function issue(
    entry: Entry,
    world: Call['world'],
    { arn, externalId, session, seconds }: { arn: string; externalId: string; session: string; seconds: number },
) {
    if (!roleArn.test(arn)) throw invalidRequest('The role is not an IAM role ARN.');
    if (!/^[A-Za-z0-9+=,.@:/-]{2,1224}$/.test(externalId)) throw invalidRequest('The external id has a form that IAM refuses.');
    world.credentials.check(entry, { id: undefined, secrets: { role_arn: arn } });
    const [accessKeyId, secretAccessKey] = [`ASIA${world.newId().replaceAll('-', '').slice(0, 16).toUpperCase()}`, world.grants.secret('aws')];
    const memory = { access_key_id: accessKeyId, secret_access_key: secretAccessKey, arn: sessionArn(arn, session) };
    const grant = world.grants.begin({ slug: entry.slug, clientId: arn, scopes: [], memory });
    const lifetime = Math.min(seconds, world.lifetimeOf(entry.slug));
    const sessionToken = world.grants.issueAccess(grant, lifetime);
    return { accessKeyId, secretAccessKey, sessionToken, expiration: new Date(world.now() + lifetime * 1000).toISOString() };
}

const sessionArn = (roleArnText: string, session: string): string =>
    `${roleArnText.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/')}/${session}`;

const namespace = 'https://sts.amazonaws.com/doc/2011-06-15/';

const xml = (action: string, result: readonly string[]): Answer => ({
    status: 200,
    headers: { 'content-type': 'text/xml' },
    body: `<${action}Response xmlns="${namespace}"><${action}Result>${result.join('')}</${action}Result><ResponseMetadata><RequestId>simulated</RequestId></ResponseMetadata></${action}Response>`,
});

const refuseSts = ({ status, code, message }: Refusal): Answer => ({
    status,
    headers: { 'content-type': 'text/xml' },
    body: `<ErrorResponse xmlns="${namespace}"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message.replace(/[&<>]/g, ' ')}</Message></Error></ErrorResponse>`,
});
