/** Puts a connection's credentials into a call to its provider's API, each type its own way (webhooks-proxy §3.4). */
import type { Credentials } from '../credentials/credential.ts';
import { apiRequest, ApiRequestError, type ApiCall, type ApiRequest, type Authentication } from '../providers/api-request.ts';
import { signAwsRequest } from '../providers/aws-signature.ts';
import { parseTemplate, references } from '../providers/expression.ts';
import { effectiveSettings } from '../providers/integration-config.ts';
import type { Provider } from '../providers/provider.ts';
import { newRandomId } from '../sources.ts';
import { ConnectFailure, type ModeContext } from './auth-mode.ts';
import { readClientCertificate, UnusableCertificate } from './client-certificate.ts';
import type { SigningKeys, SignatureMethod } from './oauth1-signature.ts';
import { withOwnClient } from './oauth2.ts';

type Present<Type extends Credentials['type']> = Extract<Credentials, { type: Type }>;

/**
 * The finished request, one instant and one nonce throughout. Nothing is sent.
 * @throws TemplateError when a value of the base URL is missing or does not fit; ApiRequestError when the call cannot be made;
 * ConnectFailure `unsupported_auth` when it cannot be signed
 */
export async function authenticatedRequest(context: ModeContext, credentials: Credentials, call: ApiCall): Promise<ApiRequest> {
    const values = requestValues(context, credentials);
    const settings = effectiveSettings(context.provider, context.integration.extras.config ?? {});
    const request = apiRequest(context.provider, call, { values, settings, ...(await authenticationOf(context, credentials, values.now)) });
    return { ...request, ...clientCertificate(context.provider, credentials) };
}

/** RFC 8705 §3: a token that was bound to a certificate is good on connections that present it, and on no other. */
function clientCertificate({ entry }: Provider, credentials: Credentials): Pick<ApiRequest, 'clientCertificate'> {
    if (entry.require_client_certificate !== true || credentials.type !== 'OAUTH2_CC') {
        return {};
    }
    try {
        return { clientCertificate: readClientCertificate(credentials) };
    } catch (error) {
        throw error instanceof UnusableCertificate ? new ConnectFailure('unsupported_auth', error.message) : error;
    }
}

/** What the entry's templates may draw on. */
export function requestValues(context: ModeContext, credentials: Credentials): Authentication['values'] & { now: number } {
    const { connectionConfig, sources } = context;
    return {
        connectionConfig,
        credentials: { ...credentials },
        ...accessToken(credentials),
        ...oauthClient(context, credentials),
        random: newRandomId(sources),
        now: sources.now(),
    };
}

/** auth-modes §1.1: each type has its own name for it. */
function accessToken(credentials: Credentials): { accessToken?: string } {
    switch (credentials.type) {
        case 'OAUTH2':
            return credentials.access_token === undefined ? {} : { accessToken: credentials.access_token };
        case 'APP':
            return { accessToken: credentials.access_token };
        case 'OAUTH2_CC':
        case 'JWT':
        case 'TWO_STEP':
        case 'SIGNATURE':
            return { accessToken: credentials.token };
        case 'BILL':
            return { accessToken: credentials.session_id };
        case 'API_KEY':
            return { accessToken: credentials.apiKey };
        case 'OAUTH1':
            return { accessToken: credentials.oauth_token };
        case 'TBA':
            return { accessToken: credentials.token_id };
        default:
            return {};
    }
}

/** OAuth 2.0 only: in other modes the column of the client secret holds what no API may see, such as an app's private key. */
function oauthClient(context: ModeContext, credentials: Credentials): { clientId?: string; clientSecret?: string } {
    if (credentials.type === 'OAUTH2_CC') {
        return { clientId: credentials.client_id, clientSecret: credentials.client_secret };
    }
    if (credentials.type !== 'OAUTH2') {
        return {};
    }
    const { clientId, clientSecret } = withOwnClient(context, credentials).integration;
    return { ...(clientId === null ? {} : { clientId }), ...(clientSecret === null ? {} : { clientSecret }) };
}

async function authenticationOf(context: ModeContext, credentials: Credentials, now: number): Promise<Omit<Authentication, 'values' | 'settings'>> {
    switch (credentials.type) {
        case 'OAUTH2':
            // An account that waits for an installation has nothing to present yet.
            return credentials.access_token === undefined ? {} : bearer(credentials.access_token);
        case 'APP':
            return bearer(credentials.access_token);
        case 'OAUTH2_CC':
        case 'JWT':
        case 'SIGNATURE':
            return bearer(credentials.token);
        case 'TWO_STEP':
            return presentsTokenItself(context.provider) ? {} : bearer(credentials.token);
        case 'BASIC': {
            const pair = Buffer.from(`${credentials.username}:${credentials.password}`, 'utf8').toString('base64');
            return { modeHeaders: () => ({ authorization: `Basic ${pair}` }) };
        }
        case 'OAUTH1':
            return signedByOauth1(context, oauth1Keys(context, credentials));
        case 'TBA':
            return signedByOauth1(context, tokenBasedKeys(context, credentials));
        case 'AWS_SIGV4':
            return signedForAws(context, credentials, now);
        default:
            // API_KEY, BILL and no credentials at all: whatever the entry says, and nothing else.
            return {};
    }
}

const bearer = (token: string): Omit<Authentication, 'values'> => (token === '' ? {} : { modeHeaders: () => ({ authorization: `Bearer ${token}` }) });

/** A token is not shown twice: an entry whose headers have it, or the cookie of the login, needs no other. */
function presentsTokenItself({ entry }: Provider): boolean {
    return Object.entries(entry.proxy?.headers ?? {}).some(([name, template]) =>
        parseTemplate(template)
            .flatMap(references)
            .some(
                (reference) =>
                    reference.root === 'accessToken' ||
                    (name.toLowerCase() === 'cookie' && reference.root === 'credentials' && reference.name === '_cookies'),
            ),
    );
}

const signatureMethods: readonly unknown[] = ['HMAC-SHA1', 'HMAC-SHA256', 'PLAINTEXT'] satisfies SignatureMethod[];

function oauth1Keys({ provider, integration }: ModeContext, { oauth_token, oauth_token_secret }: Present<'OAUTH1'>): SigningKeys {
    const method = provider.entry['signature_method'];
    if (!signatureMethods.includes(method)) {
        throw new ConnectFailure('unsupported_auth', `${provider.displayName} names no signature method that Valetkey knows.`);
    }
    return {
        consumerKey: integration.clientId ?? '',
        consumerSecret: integration.clientSecret ?? '',
        token: oauth_token,
        tokenSecret: oauth_token_secret,
        method: method as SignatureMethod,
    };
}

/** auth-modes §8. Sandbox accounts have more than one dash in their id. */
function tokenBasedKeys(context: ModeContext, credentials: Present<'TBA'>): SigningKeys {
    const { clientId, clientSecret } = withOwnClient(context, credentials).integration;
    return {
        consumerKey: clientId ?? '',
        consumerSecret: clientSecret ?? '',
        token: credentials.token_id,
        tokenSecret: credentials.token_secret,
        realm: String(context.connectionConfig['accountId']).replaceAll('-', '_').toUpperCase(),
        method: 'HMAC-SHA256',
    };
}

async function signedByOauth1({ sources }: ModeContext, keys: SigningKeys): Promise<Omit<Authentication, 'values'>> {
    const { oauth1Header } = await import('./oauth1-signature.ts');
    return {
        modeHeaders: ({ method, url, headers, body }) => ({
            authorization: oauth1Header({ method, url, parameters: formParameters(headers['content-type'], body) }, keys, sources),
        }),
    };
}

/** RFC 5849 §3.4.1.3.1: a form is signed, any other body is not. Parameters of the protocol are in the header only. */
function formParameters(contentType: string | undefined, body: ApiRequest['body']): [string, string][] {
    if (body === undefined || !/^application\/x-www-form-urlencoded\b/i.test(contentType ?? '')) return [];
    const form = typeof body === 'string' ? body : Buffer.from(body).toString('utf8');
    return [...new URLSearchParams(form)].filter(([name]) => !name.startsWith('oauth_'));
}

/** The connection may name an endpoint of its own, such as one in a private network (auth-modes §11.3). */
function signedForAws({ connectionConfig }: ModeContext, credentials: Present<'AWS_SIGV4'>, now: number): Omit<Authentication, 'values'> {
    const { access_key_id, secret_access_key, session_token, region, service } = credentials;
    const keys = { accessKeyId: access_key_id, secretAccessKey: secret_access_key, sessionToken: session_token, region, service };
    const baseUrl = connectionConfig['base_url'];
    if (typeof baseUrl === 'string' && baseUrl !== '' && !URL.canParse(baseUrl)) {
        throw new ApiRequestError('invalid_base_url', 'The connection parameter "base_url" is not a URL.');
    }
    return {
        ...(typeof baseUrl === 'string' && baseUrl !== '' ? { baseUrl: new URL(baseUrl) } : {}),
        sign: (request) => signAwsRequest(request, keys, now),
    };
}
