/** OAUTH2_CC: client credentials (RFC 6749 §4.4). The client belongs to the connection; renewal is the same call again. */
import type { Obtained, OAuth2ClientCredentials } from '../credentials/credential.ts';
import { endsAt, firstKnown, readExpiry, shownExpiry } from '../credentials/expiry.ts';
import type { RenewalStrategy, TokenReceipt } from '../credentials/renewal-strategy.ts';
import { TokenFailure } from '../credentials/token-failure.ts';
import { parseTemplate, references } from '../providers/expression.ts';
import { interpolate, type ExpressionValues } from '../providers/value-template.ts';
import { newRandomId } from '../sources.ts';
import { ConnectFailure, submittedText, type AuthMode, type DirectInput, type ModeContext } from './auth-mode.ts';
import { clientAssertion } from './client-assertion.ts';
import { readClientCertificate, UnusableCertificate } from './client-certificate.ts';
import { asTokenFailure, buildUrl } from './fill-template.ts';
import { obtainFirstToken } from './first-token.ts';
import { basicOf } from './oauth2.ts';
import { assertSecretMayGoTo } from './secret-destination.ts';
import { hostOf, readAnswer, requestToken, type TokenRequest } from './token-endpoint.ts';
import { confirmation } from './token-exceptions.ts';
import { derivedFromAnswer, newsAmong } from './token-metadata.ts';

/** auth-modes §15.2: of a token whose answer names no lifetime. */
export const assumedTokenLifetimeMs = 55 * 60 * 1000;
const failureType = 'client_credentials_fetch_error';

export const oauth2ClientCredentials: AuthMode = {
    name: 'OAUTH2_CC',
    direct: { create },
    renewal: (context) => clientCredentialsGrant(context),
};

/** The first token proves the client. */
async function create(input: DirectInput): Promise<Obtained> {
    const given = (name: 'client_certificate' | 'client_private_key'): Record<string, string> => {
        const value = submittedText(input, name);
        return value === '' ? {} : { [name]: value };
    };
    const draft: OAuth2ClientCredentials = {
        type: 'OAUTH2_CC',
        token: '',
        client_id: submittedText(input, 'client_id'),
        client_secret: submittedText(input, 'client_secret'),
        ...given('client_certificate'),
        ...given('client_private_key'),
        raw: {},
    };
    if (input.provider.tokenUrl === undefined) {
        throw new ConnectFailure('missing_token_url', `${input.provider.displayName} has no token URL.`);
    }
    if (input.provider.entry.require_client_certificate) {
        assertUsable(draft);
    }
    // Built here too, so that a parameter that is missing is told apart from a client that is refused.
    grantRequest(input, draft);
    return obtainFirstToken(clientCredentialsGrant(input), draft, ({ type }) => type);
}

/** @throws ConnectFailure naming the field */
function assertUsable(draft: OAuth2ClientCredentials): void {
    try {
        readClientCertificate(draft);
    } catch (error) {
        throw error instanceof UnusableCertificate ? new ConnectFailure('invalid_credentials', error.message) : error;
    }
}

function clientCredentialsGrant(context: ModeContext): RenewalStrategy {
    const { provider } = context;
    return {
        marginSeconds: provider.entry.token_expiration_buffer,
        tokenLimits: provider.entry.token_limits,
        tokenHost: (credentials) => hostOf(() => grantRequest(context, credentials as OAuth2ClientCredentials).url),
        canRenew: (credentials) => credentials.type === 'OAUTH2_CC' && hasClient(provider.entry, credentials),
        present: async (credentials, _refreshToken, deadlineMs) => {
            const own = credentials as OAuth2ClientCredentials;
            const { client, ...request } = asTokenFailure(() => grantRequest(context, own), failureType);
            const params = client === 'key' ? { ...request.params, ...(await clientAssertion(own, request.url, context.sources)) } : request.params;
            const secrets = [own.token, own.client_private_key, own.client_certificate].filter((secret) => secret !== undefined);
            const clientCertificate = certificateOf(context, own);
            return requestToken(context.egress, { ...request, params, clientCertificate, deadlineMs, secrets, failureType });
        },
        isSecretConfig: (name) => provider.entry.connection_config?.[name]?.secret === true,
        interpret: (receipt, credentials) => readClientToken(receipt, credentials as OAuth2ClientCredentials, context),
        ...confirmation(context, (credentials) => {
            const { token: accessToken, client_id: id, client_secret: secret, raw } = credentials as OAuth2ClientCredentials;
            return { accessToken, client: { id, secret }, raw };
        }),
    };
}

function hasClient(entry: ModeContext['provider']['entry'], client: OAuth2ClientCredentials): boolean {
    const { client_id, client_secret, client_certificate, client_private_key } = client;
    const isCertified = entry.require_client_certificate === true && Boolean(client_certificate) && Boolean(client_private_key);
    const secret = entry.token_request_auth_method === 'private_key_jwt' ? client_private_key : client_secret;
    // RFC 8705 §2.1: a certificate can stand in for the secret.
    return client_id !== '' && (entry.require_client_certificate === true ? isCertified : Boolean(secret));
}

/** N6. Presented where the entry asks for it: otherwise the key is for assertions. @throws TokenFailure */
function certificateOf({ provider }: ModeContext, own: OAuth2ClientCredentials): TokenRequest['clientCertificate'] {
    if (provider.entry.require_client_certificate !== true) {
        return undefined;
    }
    try {
        return readClientCertificate(own);
    } catch (error) {
        throw error instanceof UnusableCertificate ? new TokenFailure('unknown', error.message, { type: failureType, isUnasked: true }) : error;
    }
}

type GrantRequest = Omit<TokenRequest, 'deadlineMs' | 'secrets'> & { client: 'secret' | 'key' };

/** Parameters in the order of auth-modes §5: `token_params`, scope, then what the connection sets. */
function grantRequest(context: ModeContext, own: OAuth2ClientCredentials): GrantRequest {
    const { provider, connectionConfig } = context;
    const { entry } = provider;
    if (provider.tokenUrl === undefined) {
        throw new TokenFailure('unknown', `${provider.displayName} has no token URL.`, { type: 'missing_token_url' });
    }
    const values: ExpressionValues & { connectionConfig: ModeContext['connectionConfig'] } = {
        connectionConfig,
        credentials: { ...own },
        clientId: own.client_id,
        clientSecret: own.client_secret,
        random: newRandomId(context.sources),
    };
    const url = buildUrl(provider.tokenUrl, values);
    // N2 protects the integration's secret. This one came with its host, from whoever owns both; a list is still kept to.
    assertSecretMayGoTo(url, provider.tokenUrl, { provider, integration: { ...context.integration, isProduction: false } });
    const scope = scopesOf(context).join(entry.scope_separator ?? ' ');
    return {
        url,
        params: {
            ...tokenParams(provider, values),
            ...(scope === '' ? {} : { scope }),
            ...textsIn(connectionConfig['authorization_params']),
        },
        clientId: own.client_id,
        clientSecret: own.client_secret,
        clientAuthentication: clientAuthentication(entry),
        bodyFormat: entry.body_format === 'json' || entry.body_format === 'query' ? entry.body_format : 'form',
        client: entry.token_request_auth_method === 'private_key_jwt' ? 'key' : 'secret',
    };
}

/** What the entry calls optional may be missing, and is left out then. @throws ConnectFailure naming what must not be (N9) */
function tokenParams(provider: ModeContext['provider'], values: ExpressionValues): Record<string, string> {
    const filled: Record<string, string> = {};
    for (const [name, tree] of Object.entries(provider.entry.token_params ?? {})) {
        // Texts, numbers and booleans: a form holds nothing else.
        const template = typeof tree === 'string' ? tree : JSON.stringify(tree);
        const value = interpolate(template, values);
        if (value !== undefined) {
            filled[name] = value;
            continue;
        }
        const missing = parseTemplate(template)
            .flatMap(references)
            .find(({ root, name: config }) => root === 'connectionConfig' && provider.requiredConfig.includes(config));
        if (missing !== undefined) {
            throw new ConnectFailure('url_param_err', `The connection parameter "${missing.name}" is missing.`);
        }
    }
    return filled;
}

function clientAuthentication(entry: ModeContext['provider']['entry']): TokenRequest['clientAuthentication'] {
    switch (entry.token_request_auth_method) {
        case 'basic':
            return basicOf(entry);
        case 'basic_secret':
            return 'basic_secret';
        case 'custom':
            return 'username_password';
        case 'private_key_jwt':
            return 'none';
        default:
            return entry.authorization_method === 'header' ? basicOf(entry) : 'body';
    }
}

/** R19: looked up at each call, so that a change of the integration's scopes reaches its connections. */
function scopesOf({ connectionConfig, integration }: ModeContext): string[] {
    const own = connectionConfig['oauth_scopes_override'] ?? connectionConfig['oauth_scopes'];
    const list = Array.isArray(own) ? own.map(String) : (typeof own === 'string' ? own : (integration.scopes ?? '')).split(',');
    return list.map((scope) => scope.trim()).filter((scope) => scope !== '');
}

const textsIn = (value: unknown): Record<string, string> =>
    Object.fromEntries(
        Object.entries(typeof value === 'object' && value !== null ? value : {}).filter(
            (entry): entry is [string, string] => typeof entry[1] === 'string',
        ),
    );

function readClientToken(receipt: TokenReceipt, current: OAuth2ClientCredentials, context: ModeContext): Obtained {
    const raw = readAnswer(receipt);
    const token = [raw['access_token'], (raw['data'] as Record<string, unknown> | undefined)?.['token'], raw['jwt']].find(
        (candidate) => typeof candidate === 'string' && candidate !== '',
    );
    if (typeof token !== 'string') {
        throw new TokenFailure('unknown', 'The token endpoint answered without an access token.', { type: 'incomplete_raw_credentials' });
    }
    const named = readExpiry({ expires_at: raw['expires_at'], expires_in: inSeconds(raw['expires_in'], context) }, receipt.requestedAt);
    const end = firstKnown(named, endsAt(receipt.requestedAt + assumedTokenLifetimeMs, 'assumed'));
    return {
        obtainedAt: receipt.requestedAt,
        ...end,
        credentials: { ...current, token, ...shownExpiry(end), raw },
        ...metadataIn(raw, context),
    };
}

const inSeconds = (lifetime: unknown, { provider }: ModeContext): unknown =>
    provider.entry.expires_in_unit === 'milliseconds' && Number.isFinite(Number(lifetime)) ? Number(lifetime) / 1000 : lifetime;

/** R18: where the account lives, for those that say so with each token. */
function metadataIn(raw: Record<string, unknown>, { provider, connectionConfig }: ModeContext): Pick<Obtained, 'derivedConfig'> {
    const news = newsAmong(derivedFromAnswer(provider, raw), connectionConfig);
    return news === undefined ? {} : { derivedConfig: news };
}
