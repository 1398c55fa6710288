/**
 * OAUTH1: temporary credentials, consent, access token (RFC 5849 §2; auth-modes §6, S16). Access tokens do not expire and are not
 * renewed. Requests are signed in their header; redirects are never followed, as a signature is for one address (N5).
 */
import type { OAuth1Credentials } from '../credentials/credential.ts';
import { classify, safeText, TokenFailure } from '../credentials/token-failure.ts';
import { equalInConstantTime } from '../credentials/vault.ts';
import { EgressError, type EgressResponse } from '../egress/egress.ts';
import type { UrlTemplate } from '../providers/url-template.ts';
import {
    ConnectFailure,
    type AuthMode,
    type Completed,
    type ModeContext,
    type RedirectCompletion,
    type RedirectStart,
    type RedirectStarted,
} from './auth-mode.ts';
import { assertSettable } from './authorization-url.ts';
import { requiredParam } from './callback-query.ts';
import { asTokenFailure, buildUrl, fillParams } from './fill-template.ts';
import { oauth1Header, type SignatureMethod } from './oauth1-signature.ts';
import { endpointUrl } from './oauth2.ts';

const callMs = 20_000;

export const oauth1: AuthMode = {
    name: 'OAUTH1',
    redirect: { needsClient: true, start, complete },
};

interface Token {
    token: string;
    secret: string;
}

async function start(input: RedirectStart): Promise<RedirectStarted> {
    const { provider, integration } = input;
    const { entry } = provider;
    if (provider.authorizationUrl === undefined || provider.requestUrl === undefined || provider.tokenUrl === undefined) {
        throw new ConnectFailure('auth_mode_err', `The entry of ${provider.displayName} lacks an address that OAuth 1.0 needs.`);
    }
    assertSettable(input.clientAuthorizationParams, 'browser');
    assertSettable(input.sessionAuthorizationParams ?? {}, 'session');
    const callback = new URL(input.redirectUri);
    callback.searchParams.set('state', input.state);
    const temporary = await obtainTemporary(input, provider.requestUrl, callback);
    const scopes = (input.scopesOverride ?? integration.scopes ?? '').split(',').filter((scope) => scope !== '');
    const location = buildUrl(provider.authorizationUrl, input);
    const params = {
        scope: scopes.join(entry.scope_separator ?? ' '),
        ...fillParams(entry.authorization_params ?? {}, { connectionConfig: input.connectionConfig }),
        ...(input.sessionAuthorizationParams ?? input.clientAuthorizationParams),
        // Last: what ties the answer to this flow is nobody else's (S3).
        oauth_token: temporary.token,
        oauth_callback: callback.href,
    };
    for (const [name, value] of Object.entries(params)) {
        if (value === 'undefined') {
            location.searchParams.delete(name);
        } else {
            location.searchParams.set(name, value);
        }
    }
    return { location: location.href, memo: { ...temporary } };
}

/** RFC 5849 §2.1. @throws ConnectFailure `token_err` */
async function obtainTemporary(input: RedirectStart, template: UrlTemplate, callback: URL): Promise<Token> {
    const { entry } = input.provider;
    try {
        const answer = await send(input, endpointUrl(input, template), {
            method: entry.request_http_method ?? 'POST',
            protocol: { oauth_callback: callback.href },
            params: fillParams(entry.request_params ?? {}, { connectionConfig: input.connectionConfig }),
            what: 'The request for temporary credentials',
        });
        // Without it the server speaks the version of before 2009, in which consent could be slipped in from another session.
        if (answer.params['oauth_callback_confirmed'] !== 'true') {
            throw new ConnectFailure('token_err', `${input.provider.displayName} did not confirm the callback address (oauth_callback_confirmed).`);
        }
        return tokenIn(answer.params);
    } catch (error) {
        throw error instanceof TokenFailure ? new ConnectFailure('token_err', error.message) : error;
    }
}

async function complete(input: RedirectCompletion): Promise<Completed> {
    const { provider, query, memo, sources } = input;
    const { entry } = provider;
    const temporary = memo as unknown as Token;
    // No standard says how a refusal looks: Twitter returns the temporary token under this name, in place of the two below.
    if (typeof query['denied'] === 'string' && equalInConstantTime(query['denied'], temporary.token)) {
        throw new ConnectFailure('callback_err', 'The provider did not grant access (denied).');
    }
    const returned = requiredParam(query, 'oauth_token', 'oauth_token');
    const verifier = requiredParam(query, 'oauth_verifier', 'oauth_verifier');
    if (!equalInConstantTime(returned, temporary.token)) {
        throw new ConnectFailure('callback_err', 'The provider answered for another request than the one that this attempt made.');
    }
    if (provider.tokenUrl === undefined) {
        throw new ConnectFailure('auth_mode_err', `The entry of ${provider.displayName} lacks a token URL.`);
    }
    const obtainedAt = sources.now();
    const { params } = await send(input, endpointUrl(input, provider.tokenUrl), {
        method: entry.token_http_method ?? 'POST',
        protocol: { oauth_verifier: verifier },
        params: fillParams(entry.token_params ?? {}, { connectionConfig: input.connectionConfig }),
        what: 'The request for an access token',
        temporary,
    });
    const access = tokenIn(params);
    const credentials: OAuth1Credentials = { type: 'OAUTH1', oauth_token: access.token, oauth_token_secret: access.secret, raw: params };
    return { credentials, obtainedAt, expiresAt: null };
}

interface SignedCall {
    method: 'GET' | 'PUT' | 'POST';
    /** Of the protocol, for the header. */
    protocol: Readonly<Record<string, string>>;
    /** The entry's own: in the body, or in the query of a GET. */
    params: Readonly<Record<string, string>>;
    /** For a person, as the beginning of a sentence. */
    what: string;
    temporary?: Token;
}

/** @throws TokenFailure on anything but a 2xx answer, and when the secrets would travel in clear (RFC 5849 §3.4.4) */
async function send(context: ModeContext, endpoint: URL, call: SignedCall): Promise<{ params: Record<string, string> }> {
    const { integration, egress, sources, provider } = context;
    const url = new URL(endpoint);
    const hasBody = call.method !== 'GET' && Object.keys(call.params).length > 0;
    if (call.method === 'GET') {
        Object.entries(call.params).forEach(([name, value]) => url.searchParams.set(name, value));
    }
    const keys = {
        consumerKey: integration.clientId ?? '',
        consumerSecret: integration.clientSecret ?? '',
        ...(call.temporary === undefined ? {} : { token: call.temporary.token, tokenSecret: call.temporary.secret }),
        method: signatureMethod(context),
    };
    const parameters = hasBody ? { ...call.params, ...call.protocol } : call.protocol;
    const authorization = asTokenFailure(() => oauth1Header({ method: call.method, url, parameters }, keys, sources));
    let response: EgressResponse;
    try {
        response = await egress.request({
            url,
            method: call.method,
            headers: {
                accept: 'application/x-www-form-urlencoded, */*;q=0.5',
                authorization,
                ...(hasBody ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
            },
            ...(hasBody ? { body: new URLSearchParams(call.params).toString() } : {}),
            deadlineMs: callMs,
        });
    } catch (error) {
        if (error instanceof EgressError) {
            throw new TokenFailure('transient', `${call.what} came to nothing: ${provider.displayName} could not be reached (${error.code}).`);
        }
        throw error;
    }
    const body = response.body.toString('utf8');
    if (response.status < 200 || response.status >= 300) {
        const secrets = [keys.consumerSecret, ...(call.temporary === undefined ? [] : [call.temporary.secret, call.temporary.token])];
        throw new TokenFailure(
            classify(response.status, undefined),
            `${call.what} was answered with ${response.status}${said(response, body, secrets)}.`,
        );
    }
    // RFC 5849 §2.1 and §2.3: form-encoded, whatever the content type says.
    return { params: Object.fromEntries(new URLSearchParams(body)) };
}

/** The problem that a server names (the `oauth_problem` extension), in its body or its challenge. */
function said({ headers }: EgressResponse, body: string, secrets: readonly string[]): string {
    const problem =
        new URLSearchParams(body).get('oauth_problem') ?? /oauth_problem="?([\w%-]+)/.exec(headers['www-authenticate'] ?? '')?.[1] ?? undefined;
    return problem === undefined ? '' : ` (${safeText(problem, secrets)})`;
}

/** @throws TokenFailure */
function tokenIn({ oauth_token: token, oauth_token_secret: secret }: Readonly<Record<string, string>>): Token {
    // The secret may be empty (§3.4.2), not absent.
    if (!token || secret === undefined) {
        throw new TokenFailure('unknown', 'The provider answered without an oauth_token and its secret.', { type: 'unable_to_parse_token_response' });
    }
    return { token, secret };
}

/** @throws ConnectFailure */
function signatureMethod({ provider }: ModeContext): SignatureMethod {
    const method = provider.entry.signature_method ?? 'HMAC-SHA1';
    if (method === 'RSA-SHA1') {
        throw new ConnectFailure('auth_mode_err', `${provider.displayName} wants RSA-SHA1 signatures, which are not made here.`);
    }
    return method;
}
