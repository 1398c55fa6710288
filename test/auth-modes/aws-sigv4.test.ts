/**
 * Assuming a role against a local STS that checks signatures. The host of AWS cannot be one of loopback, so what is meant for it is
 * sent there by an egress that changes nothing but the address.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { DirectInput } from '../../src/auth-modes/auth-mode.ts';
import { awsSigV4 } from '../../src/auth-modes/aws-sigv4.ts';
import type { AwsCredentials, Obtained } from '../../src/credentials/credential.ts';
import type { EgressRequest } from '../../src/egress/egress.ts';
import { signAwsRequest } from '../../src/providers/aws-signature.ts';
import { systemSources } from '../../src/sources.ts';
import { loopbackEgress, onCleanup } from '../egress/servers.ts';
import { makeProvider } from '../providers/make-provider.ts';

const role = 'arn:aws:iam::123456789012:role/team/app';
const base = { service: 's3', awsAccessKeyId: 'AKIDOWN', awsSecretAccessKey: 'own-secret-key' };
const names =
    'service defaultRegion stsMode awsAccessKeyId awsSecretAccessKey stsEndpointUrl stsAuthType stsAuthHeader stsApiKey stsAuthUsername stsAuthPassword'.split(
        ' ',
    );
const uuid = '11111111-2222-4333-8444-555555555555';

type Shape = 'json' | 'xml' | 'snake' | 'camel' | 'seconds' | 'no date';

async function sts({ shape = 'json' as Shape, acts = 'arn:aws:sts::123456789012:assumed-role/app/s', assume = 200, identify = 200 } = {}) {
    const asked: { host: string; headers: Record<string, unknown>; body: string }[] = [];
    const server = createServer((request, response) => {
        let body = '';
        request.on('data', (chunk: Buffer) => (body += chunk.toString()));
        request.on('end', () => {
            const host = String(request.headers['x-meant-for']);
            asked.push({ host, headers: request.headers, body });
            if (body.includes('GetCallerIdentity')) {
                const isRight = isSigned(host, request.headers, body, { id: 'ASIA', secret: 'temporary', token: 'a&b' });
                const answer = shape === 'xml' ? `<R><Result><Arn>${acts}</Arn></Result></R>` : JSON.stringify({ Result: { Arn: acts } });
                return response.writeHead(isRight ? identify : 403).end(answer);
            }
            if (body.startsWith('Action=') && !isSigned(host, request.headers, body, { id: 'AKIDOWN', secret: 'own-secret-key' })) {
                return response.writeHead(403).end('<E><Error><Code>SignatureDoesNotMatch</Code></Error></E>');
            }
            response.writeHead(assume).end(assume === 200 ? answers[shape] : '{"Error":{"Code":"AccessDenied","Message":"own-secret-key"}}');
        });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onCleanup(() => {
        server.closeAllConnections();
        server.close();
    });
    const egress = loopbackEgress();
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const redirected = (request: EgressRequest) => {
        const meant = new URL(request.url);
        return egress.request({ ...request, url: `${address}${meant.pathname}`, headers: { ...request.headers, 'x-meant-for': meant.host } });
    };
    return { asked, egress: { ...egress, request: redirected } };
}

/** Whole seconds, as AWS writes dates. */
const start = Math.floor(Date.now() / 1000) * 1000;
const at = new Date(start + 1_800_000).toISOString().replace('.000', '');
const answers: Record<Shape, string> = {
    json: JSON.stringify({
        AssumeRoleResponse: {
            Result: { Credentials: { AccessKeyId: 'ASIA', SecretAccessKey: 'temporary', SessionToken: 'a&b', Expiration: Date.parse(at) / 1000 } },
        },
    }),
    xml: `<AssumeRoleResponse xmlns="x"><R><Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>temporary</SecretAccessKey><SessionToken>a&amp;b</SessionToken><Expiration>${at}</Expiration></Credentials></R></AssumeRoleResponse>`,
    snake: JSON.stringify({ credentials: { access_key_id: 'ASIA', secret_access_key: 'temporary', session_token: 'a&b', expiration: at } }),
    camel: JSON.stringify({ accessKeyId: 'ASIA', secretAccessKey: 'temporary', sessionToken: 'a&b', expiration: at }),
    seconds: JSON.stringify({
        credentials: { accessKeyId: 'ASIA', secretAccessKey: 'temporary', sessionToken: 'a&b', expiresAt: Date.parse(at) / 1000 },
    }),
    'no date': JSON.stringify({ accessKeyId: 'ASIA', secretAccessKey: 'temporary', sessionToken: 'a&b' }),
};

function isSigned(host: string, headers: Record<string, unknown>, body: string, keys: { id: string; secret: string; token?: string }): boolean {
    const region = host.split('.')[1]!;
    const own = { 'content-type': String(headers['content-type']), accept: String(headers['accept']) };
    const expected = signAwsRequest(
        { method: 'POST', url: new URL(`https://${host}/`), headers: own, body },
        {
            accessKeyId: keys.id,
            secretAccessKey: keys.secret,
            region,
            service: 'sts',
            ...(keys.token === undefined ? {} : { sessionToken: keys.token }),
        },
        start,
    );
    return headers['authorization'] === expected['authorization'];
}

interface Rest {
    config?: Record<string, unknown>;
    stored?: Record<string, unknown>;
    settings?: Record<string, string>;
}

const input = (
    egress: DirectInput['egress'],
    submitted: Record<string, string>,
    { config = {}, stored, settings = base }: Rest = {},
): DirectInput => ({
    provider: makeProvider({
        auth_mode: 'AWS_SIGV4',
        integration_config: {
            ...Object.fromEntries(names.map((name) => [name, { type: 'string' as const, optional: true }])),
            stsMode: { type: 'string', default_value: 'builtin' },
        },
    }),
    integration: {
        uniqueKey: 'a',
        clientId: null,
        clientSecret: null,
        scopes: null,
        extras: { config: settings },
        allowedHosts: null,
        isProduction: true,
    },
    connectionConfig: config,
    egress,
    sources: { ...systemSources, now: () => start },
    submitted,
    ...(stored === undefined ? {} : { storedConfig: stored }),
});

const create = (...args: Parameters<typeof input>): Promise<Obtained> => awsSigV4.direct!.create(input(...args));
const given = { role_arn: role, region: 'eu-central-1' };
const none = loopbackEgress;

describe('the built-in STS', () => {
    test.each<Shape>(['json', 'xml'])('assumes the role with a signed request, and proves whose keys it got (%s)', async (shape) => {
        const { asked, egress } = await sts({ shape });
        const { credentials, expiresAt, derivedConfig } = await create(egress, given);
        const shown = { access_key_id: 'ASIA', secret_access_key: 'temporary', session_token: 'a&b', expires_at: new Date(at).toISOString() };
        const { external_id } = credentials as AwsCredentials;
        expect(credentials).toEqual({ type: 'AWS_SIGV4', role_arn: role, region: 'eu-central-1', service: 's3', external_id, ...shown, raw: shown });
        expect([expiresAt, derivedConfig]).toEqual([Date.parse(at), { external_id, role_arn: role, region: 'eu-central-1', service: 's3' }]);
        expect(asked.map(({ host }) => host)).toEqual(['sts.eu-central-1.amazonaws.com', 'sts.eu-central-1.amazonaws.com']);
        expect(Object.fromEntries(new URLSearchParams(asked[0]!.body))).toEqual({
            Action: 'AssumeRole',
            Version: '2011-06-15',
            RoleArn: role,
            RoleSessionName: expect.stringMatching(/^valetkey-[0-9a-f]{24}$/) as string,
            ExternalId: external_id,
            DurationSeconds: '3600',
        });
        expect(external_id).toMatch(/^[0-9a-f-]{36}$/);
    });

    test('renewal assumes the same role under the same external id', async () => {
        const { asked, egress } = await sts();
        const { credentials } = await create(egress, given);
        const strategy = awsSigV4.renewal!(input(egress, {}), credentials);
        const again = strategy.interpret(await strategy.present(credentials, undefined, 5_000), credentials);
        expect([strategy.canRenew(credentials), again.credentials]).toEqual([true, credentials]);
        const ids = asked.map(({ body }) => new URLSearchParams(body).get('ExternalId')).filter((id) => id !== null);
        expect([ids.length, new Set(ids).size]).toEqual([2, 1]);
    });

    test.each([
        ['a role whose name contains it', 'arn:aws:sts::123456789012:assumed-role/app-admin/s', 200],
        ['the same name in another account', 'arn:aws:sts::999999999999:assumed-role/app/s', 200],
        ['a user', 'arn:aws:iam::123456789012:user/app', 200],
        ['nobody', '', 200],
        ['refused keys', '', 403],
    ])('keys that act as %s', async (_name, acts, identify) => {
        const { egress } = await sts({ acts, identify });
        await expect(create(egress, given)).rejects.toMatchObject({ type: 'connection_test_failed' });
    });

    test('a refusal says why, without secrets; an outage of the proof is no refusal', async () => {
        const refused = await create((await sts({ assume: 403 })).egress, given).catch((error: unknown) => error);
        expect(refused).toMatchObject({ type: 'aws_sigv4_sts_request_failed', message: expect.stringContaining('403 (AccessDenied)') as string });
        expect(String(refused)).not.toContain('own-secret-key');
        await expect(create((await sts({ identify: 503 })).egress, given)).rejects.toMatchObject({ type: 'verification_unavailable' });
    });
});

describe('an STS of one’s own', () => {
    const custom = { service: 's3', stsMode: 'custom', stsEndpointUrl: 'https://sts.acme.example/assume' };

    test.each<[Shape, number]>([
        ['snake', Date.parse(at)],
        ['camel', Date.parse(at)],
        ['seconds', Date.parse(at)],
    ])('answers %s', async (shape, expiry) => {
        const { asked, egress } = await sts({ shape });
        const { expiresAt } = await create(egress, given, { settings: custom, config: { external_id: uuid } });
        expect([expiresAt, asked[0]!.host, JSON.parse(asked[0]!.body)]).toEqual([
            expiry,
            'sts.acme.example',
            { role_arn: role, external_id: uuid, region: 'eu-central-1', service: 's3' },
        ]);
    });

    test('an hour, where it names no date', async () => {
        const { egress } = await sts({ shape: 'no date' });
        expect(Math.round(((await create(egress, given, { settings: custom })).expiresAt! - Date.now()) / 60_000)).toBeLessThanOrEqual(60);
    });

    test.each<[Record<string, string>, Record<string, string>]>([
        [{ stsAuthType: 'api_key', stsApiKey: 'k' }, { 'x-api-key': 'k' }],
        [{ stsAuthType: 'api_key', stsApiKey: 'k', stsAuthHeader: 'X-Own' }, { 'x-own': 'k' }],
        [{ stsAuthType: 'basic', stsAuthUsername: 'u', stsAuthPassword: 'p' }, { authorization: 'Basic dTpw' }],
    ])('is shown %j', async (settings, headers) => {
        const { asked, egress } = await sts({ shape: 'camel' });
        await create(egress, given, { settings: { ...custom, ...settings } });
        expect(asked[0]!.headers).toMatchObject(headers);
    });

    test.each<[Record<string, string>, string]>([
        [{ stsEndpointUrl: '' }, 'missing_aws_sigv4_sts_endpoint'],
        [{ stsEndpointUrl: 'no url' }, 'invalid_aws_sigv4_config'],
        [{ stsAuthType: 'api_key' }, 'invalid_aws_sigv4_config'],
        [{ stsAuthType: 'api_key', stsApiKey: 'k', stsAuthHeader: 'a b' }, 'invalid_aws_sigv4_config'],
        [{ stsAuthType: 'basic' }, 'invalid_aws_sigv4_config'],
    ])('%j: %s', async (settings, type) => {
        await expect(create(none(), given, { settings: { ...custom, ...settings } })).rejects.toMatchObject({ type });
    });
});

describe('what is said, stored and set', () => {
    test.each<[string, Record<string, string>, Rest, { region: string; external_id?: string }]>([
        [
            'what was stored wins',
            given,
            { stored: { region: 'us-east-1', external_id: 'an/old:id' } },
            { region: 'us-east-1', external_id: 'an/old:id' },
        ],
        ['then the body', given, { config: { region: 'us-east-1', external_id: uuid } }, { region: 'eu-central-1', external_id: uuid }],
        ['then the configuration', { role_arn: role }, { config: { region: 'us-east-1' } }, { region: 'us-east-1' }],
        ['then the integration', { role_arn: role }, { settings: { ...base, defaultRegion: 'us-west-2' } }, { region: 'us-west-2' }],
    ])('%s', async (_name, submitted, rest, expected) => {
        expect((await create((await sts()).egress, submitted, rest)).derivedConfig).toMatchObject(expected);
    });

    test('an external id that is no UUID is not taken from a browser', async () => {
        const { derivedConfig } = await create((await sts()).egress, given, { config: { external_id: 'guessed' } });
        expect(derivedConfig!['external_id']).toMatch(/^[0-9a-f-]{36}$/);
    });

    test.each<[string, Record<string, string>, Rest, string]>([
        ['no region', { role_arn: role }, {}, 'missing_aws_sigv4_region'],
        ['a region that would leave the host', { role_arn: role }, { config: { region: 'a.evil.com/#' } }, 'invalid_body'],
        ['a stored external id with a blank', given, { stored: { external_id: 'a b' } }, 'invalid_body'],
        ['no service', given, { settings: { awsAccessKeyId: 'a', awsSecretAccessKey: 'b' } }, 'missing_aws_sigv4_service'],
        ['no keys', given, { settings: { service: 's3' } }, 'missing_aws_sigv4_builtin_credentials'],
        ['a user’s ARN', { ...given, role_arn: 'arn:aws:iam::123456789012:user/app' }, {}, 'invalid_body'],
    ])('%s', async (_name, submitted, rest, type) => {
        await expect(create(none(), submitted, rest)).rejects.toMatchObject({ type });
    });
});
