/**
 * AWS_SIGV4: a role in the user's account, assumed for an hour at a time, with an external id that only this connection has
 * (auth-modes §11.3). Renewal assumes it again.
 */
import type { AwsCredentials, Obtained } from '../credentials/credential.ts';
import { shownExpiry } from '../credentials/expiry.ts';
import type { RenewalStrategy } from '../credentials/renewal-strategy.ts';
import { TokenFailure } from '../credentials/token-failure.ts';
import { effectiveSettings } from '../providers/integration-config.ts';
import { newRandomId } from '../sources.ts';
import { ConnectFailure, submittedText, type AuthMode, type DirectInput, type ModeContext } from './auth-mode.ts';
import { assumeRole, callerIdentity, readTemporaryKeys, stsUrl, type StsAccess } from './aws-sts.ts';
import { asTokenFailure } from './fill-template.ts';
import { obtainFirstToken } from './first-token.ts';
import { hostOf } from './token-endpoint.ts';

const identityCallMs = 15_000;

const isRegion = (text: string): boolean => /^[a-z0-9-]{1,64}$/.test(text);
const isExternalId = (text: string): boolean => /^[a-zA-Z0-9+=,.@:/-]{2,1224}$/.test(text);
export const isUuid = (text: string): boolean => /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
/** IAM's own rules for account, path and role name. */
const roleArn = /^arn:aws[a-z-]*:iam::(\d{12}):role\/(?:[\x21-\x7e]+\/)?([\w+=,.@-]{1,64})$/;
const assumedRoleArn = /^arn:aws[a-z-]*:sts::(\d{12}):assumed-role\/([\w+=,.@-]{1,64})\/[\w+=,.@-]+$/;

export const awsSigV4: AuthMode = {
    name: 'AWS_SIGV4',
    direct: { create },
    renewal: (context) => roleSession(context),
};

async function create(input: DirectInput): Promise<Obtained> {
    const settings = settingsOf(input);
    const service = settings['service'] ?? '';
    if (service === '') {
        throw new ConnectFailure('missing_aws_sigv4_service', 'The integration does not name the AWS service (integration_config.service).');
    }
    stsAccess(input);
    const draft: AwsCredentials = {
        type: 'AWS_SIGV4',
        role_arn: checkedRole(submittedText(input, 'role_arn')),
        region: regionOf(input, settings),
        service,
        access_key_id: '',
        secret_access_key: '',
        session_token: '',
        expires_at: '',
        external_id: externalIdOf(input),
        raw: {},
    };
    const obtained = await obtainFirstToken(roleSession(input), draft, ({ type }) => type);
    await assertActsAs(input, obtained.credentials as AwsCredentials);
    const { role_arn, region, external_id } = draft;
    return { ...obtained, derivedConfig: { external_id, role_arn, region, service } };
}

const settingsOf = ({ provider, integration }: ModeContext): Record<string, string> => effectiveSettings(provider, integration.extras.config ?? {});

function checkedRole(arn: string): string {
    if (!roleArn.test(arn)) {
        throw new ConnectFailure('invalid_body', 'role_arn must be the ARN of an IAM role, like arn:aws:iam::123456789012:role/name.');
    }
    return arn;
}

/** A connection stays where it was: what was stored wins over what is said anew. */
function regionOf(input: DirectInput, settings: Readonly<Record<string, string>>): string {
    const region = [input.storedConfig?.['region'], submittedText(input, 'region'), input.connectionConfig['region'], settings['defaultRegion']].find(
        (candidate) => typeof candidate === 'string' && candidate !== '',
    );
    if (typeof region !== 'string') {
        throw new ConnectFailure('missing_aws_sigv4_region', 'The AWS region is missing: neither the person nor the integration has named one.');
    }
    if (!isRegion(region)) {
        throw new ConnectFailure('invalid_body', 'region must be written like us-east-1.');
    }
    return region;
}

/** The user's role trusts this id, so it outlives reconnects. Of those that a browser offers only one that cannot be another's: a UUID. */
function externalIdOf({ storedConfig, connectionConfig, sources }: DirectInput): string {
    const stored = storedConfig?.['external_id'];
    if (typeof stored === 'string' && stored !== '') {
        if (!isExternalId(stored)) {
            throw new ConnectFailure('invalid_body', 'external_id must have 2 to 1224 letters, digits or characters of +=,.@:/-.');
        }
        return stored;
    }
    const offered = connectionConfig['external_id'];
    return typeof offered === 'string' && isUuid(offered) ? offered : newRandomId(sources);
}

/** @throws ConnectFailure naming the setting */
function stsAccess(context: ModeContext): StsAccess {
    const settings = settingsOf(context);
    const mode = settings['stsMode'] ?? context.provider.entry.integration_config?.['stsMode']?.default_value;
    return mode === 'custom' ? customAccess(settings) : builtinAccess(settings);
}

function builtinAccess({ awsAccessKeyId, awsSecretAccessKey }: Record<string, string>): StsAccess {
    if (!awsAccessKeyId || !awsSecretAccessKey) {
        throw new ConnectFailure(
            'missing_aws_sigv4_builtin_credentials',
            'The integration has no AWS keys to assume roles with (awsAccessKeyId, awsSecretAccessKey).',
        );
    }
    return { mode: 'builtin', accessKeyId: awsAccessKeyId, secretAccessKey: awsSecretAccessKey };
}

function customAccess(settings: Record<string, string>): StsAccess {
    const { stsEndpointUrl: address = '', stsAuthHeader = 'x-api-key', stsApiKey = '', stsAuthUsername = '', stsAuthPassword = '' } = settings;
    if (address === '') {
        throw new ConnectFailure('missing_aws_sigv4_sts_endpoint', 'The integration does not name its STS endpoint (stsEndpointUrl).');
    }
    const url = URL.parse(address);
    if (url === null) {
        throw new ConnectFailure('invalid_aws_sigv4_config', 'The STS endpoint of the integration (stsEndpointUrl) is not a URL.');
    }
    switch (settings['stsAuthType']) {
        case 'api_key':
            if (stsApiKey === '' || !/^[\w!#$%&'*+.^`|~-]+$/.test(stsAuthHeader)) {
                throw new ConnectFailure(
                    'invalid_aws_sigv4_config',
                    'The API key for the STS endpoint (stsApiKey, stsAuthHeader) is missing or no header.',
                );
            }
            return { mode: 'custom', url, headers: { [stsAuthHeader.toLowerCase()]: stsApiKey }, secrets: [stsApiKey] };
        case 'basic': {
            if (stsAuthUsername === '' && stsAuthPassword === '') {
                throw new ConnectFailure('invalid_aws_sigv4_config', 'The user for the STS endpoint (stsAuthUsername, stsAuthPassword) is missing.');
            }
            const pair = Buffer.from(`${stsAuthUsername}:${stsAuthPassword}`, 'utf8').toString('base64');
            return { mode: 'custom', url, headers: { authorization: `Basic ${pair}` }, secrets: [stsAuthPassword, pair] };
        }
        default:
            return { mode: 'custom', url, headers: {}, secrets: [] };
    }
}

function roleSession(context: ModeContext): RenewalStrategy {
    const { provider, egress, sources } = context;
    return {
        marginSeconds: provider.entry.token_expiration_buffer,
        tokenLimits: provider.entry.token_limits,
        tokenHost: (credentials) => hostOf(() => stsUrl(stsAccess(context), (credentials as AwsCredentials).region)),
        canRenew: (credentials) => credentials.type === 'AWS_SIGV4',
        present: async (credentials, _refreshToken, deadlineMs) => {
            const { role_arn, external_id, region, service } = credentials as AwsCredentials;
            const access = asTokenFailure(() => stsAccess(context), 'invalid_aws_sigv4_config');
            return assumeRole(access, { roleArn: role_arn, externalId: external_id, region, service }, { egress, sources, deadlineMs });
        },
        interpret: (receipt, credentials) => {
            const keys = readTemporaryKeys(receipt);
            const shown = {
                access_key_id: keys.accessKeyId,
                secret_access_key: keys.secretAccessKey,
                session_token: keys.sessionToken,
                ...shownExpiry(keys.end),
            };
            return {
                obtainedAt: receipt.requestedAt,
                ...keys.end,
                credentials: { ...(credentials as AwsCredentials), ...shown, raw: shown },
            };
        },
    };
}

/** The keys must be those of the role that was named, not of one whose name contains it. @throws ConnectFailure */
async function assertActsAs({ egress, sources }: ModeContext, credentials: AwsCredentials): Promise<void> {
    const { access_key_id, secret_access_key, session_token, region, role_arn } = credentials;
    const keys = { accessKeyId: access_key_id, secretAccessKey: secret_access_key, sessionToken: session_token, region };
    let actual: string | undefined;
    try {
        actual = await callerIdentity(keys, { egress, sources, deadlineMs: identityCallMs });
    } catch (error) {
        throw error instanceof TokenFailure ? new ConnectFailure('verification_unavailable', error.message) : error;
    }
    const [, account, name] = roleArn.exec(role_arn) ?? [];
    const [, actualAccount, actualName] = assumedRoleArn.exec(actual ?? '') ?? [];
    if (account === undefined || actualAccount !== account || actualName !== name) {
        throw new ConnectFailure(
            'connection_test_failed',
            actual === undefined ? 'AWS rejected the temporary keys of this role.' : 'The temporary keys do not act as the role that was named.',
        );
    }
}
