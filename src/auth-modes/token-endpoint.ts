/**
 * Calls to a token endpoint (RFC 6749 §3.2) and the reading of its answers.
 *
 * Not through simple-oauth2: its client hides response headers (`Date`, `Retry-After`), refuses form-encoded answers, and
 * parses before the answer can be journalled (R2, R11, N5). It builds the authorization request, in `authorization-url.ts`.
 */
import type { OAuth2Credentials, Obtained } from '../credentials/credential.ts';
import { readExpiry, shownExpiry } from '../credentials/expiry.ts';
import type { TokenReceipt } from '../credentials/renewal-strategy.ts';
import { classify, safeText, TokenFailure } from '../credentials/token-failure.ts';
import { EgressError, type ClientCertificate, type Egress, type EgressErrorCode, type EgressRequest, type EgressResponse } from '../egress/egress.ts';
import { parseRetryAfter } from '../egress/retry-after.ts';
import { estimateSkew } from '../egress/server-clock.ts';
import type { Refusal, TokenException } from '../providers/exceptions/token-exception.ts';

export interface TokenRequest {
    url: URL;
    /** Without client authentication. */
    params: Readonly<Record<string, string>>;
    clientId: string;
    /** `''`: a public client. */
    clientSecret: string;
    /**
     * Exactly one method per request (N7, RFC 6749 §2.3). `basic_raw`: with id and secret as they are; `username_password`: under those names, in the body; `bearer`: the secret
     * is an assertion of its own; `none`: nothing is said about the client, or an assertion among the parameters speaks for it.
     */
    clientAuthentication: 'body' | 'basic' | 'basic_raw' | 'basic_secret' | 'username_password' | 'bearer' | 'none';
    /** `query`: the parameters are part of the URL; `empty`: there are none. */
    bodyFormat: 'form' | 'json' | 'query' | 'empty';
    /** Default `application/json`. */
    accept?: string;
    /** Presented in the TLS handshake (RFC 8705 §2). */
    clientCertificate?: ClientCertificate | undefined;
    deadlineMs: number;
    /** Further values that must not appear in an error. */
    secrets: readonly string[];
    /** The type of a failure, where it is not the one of a refresh token. */
    failureType?: string;
    /** Refusals that do not look like RFC 6749's. */
    refusal?: TokenException['refusal'] | undefined;
}

/** A call to a token endpoint, whatever its shape. */
export interface TokenCall {
    request: EgressRequest;
    /** Values that must not appear in an error, in every shape they may have. */
    secrets: readonly string[];
    failureType?: string | undefined;
    refusal?: TokenException['refusal'] | undefined;
}

/** For a strategy's `tokenHost`: what cannot be built is found out, and said, when the call is made. */
export function hostOf(build: () => URL): string | undefined {
    try {
        return build().host;
    } catch {
        return undefined;
    }
}

/** @throws TokenFailure on anything but a 2xx answer that carries no error. */
export const requestToken = (egress: Egress, request: TokenRequest): Promise<TokenReceipt> =>
    callTokenEndpoint(egress, {
        request: asClient(request),
        // Only a failure asks for them.
        get secrets() {
            return secretsIn(request);
        },
        failureType: request.failureType,
        refusal: request.refusal,
    });

/** @throws TokenFailure on anything but a 2xx answer that carries no error. */
export async function callTokenEndpoint(egress: Egress, call: TokenCall): Promise<TokenReceipt> {
    const response = await send(egress, call);
    const body = response.body.toString('utf8');
    const contentType = response.headers['content-type'] ?? '';
    const answer = parseBody(contentType, body);
    const ofItsOwn = answer && call.refusal?.(answer, response.status);
    const refusal = ofItsOwn ?? usualRefusal(answer);
    if (response.status >= 200 && response.status < 300 && ofItsOwn === undefined && refusal.code === undefined) {
        const { status, requestedAt, receivedAt } = response;
        return { status, contentType, body, requestedAt, receivedAt, serverAheadMs: estimateSkew(response.headers['date'], requestedAt, receivedAt) };
    }
    const description = describeRefusal(response.status, contentType, answer === undefined, refusal, call.secrets);
    throw new TokenFailure(classify(response.status, refusal.code), description, {
        ...typeOf(call),
        code: refusal.code,
        retryAfterMs: parseRetryAfter(response.headers['retry-after'], response.receivedAt),
    });
}

/** RFC 6749 §5.2, whatever the status. */
function usualRefusal(answer: Readonly<Record<string, unknown>> | undefined): Refusal {
    const said = [answer?.['error'], answer?.['error_description']].filter((part) => typeof part === 'string');
    return { code: typeof answer?.['error'] === 'string' ? answer['error'] : undefined, description: said.join(': ') };
}

/** What must not be repeated of a request and its answer, in every shape it may have there. */
export const secretsIn = (request: TokenRequest): string[] => [
    ...[...request.secrets, request.clientSecret, ...secretParams(request.params)].flatMap(shapesOf),
    basicPair(request.clientId, request.clientSecret),
    rawPair(request.clientId, request.clientSecret),
];

/** Named in a request, and part of ordinary words: blanked out, they would garble `unsupported_grant_type` or `bad_refresh_token`. */
const publicParams: ReadonlySet<string> = new Set(['grant_type', 'redirect_uri']);

export const secretParams = (params: Readonly<Record<string, string>>): string[] =>
    Object.entries(params).flatMap(([name, value]) => (publicParams.has(name) ? [] : [value]));

/** As it is, form-encoded as it was sent, and percent-encoded: a provider may repeat any of them. */
export const shapesOf = (secret: string): string[] => [secret, formEncoded(secret), encodeURIComponent(secret.toWellFormed())];

/** What a call without a usable answer came to, where that is not that nobody could be reached. */
export const unanswered: Partial<Record<EgressErrorCode, string>> = {
    deadline_exceeded: 'did not answer in time',
    connection_lost: 'hung up before it had answered',
    response_too_large: 'sent far more than a token answer',
    blocked_by_policy: 'may not be called: it must be https and public, or its host must be listed in VALETKEY_EGRESS_ALLOW',
};

const typeOf = ({ failureType }: TokenCall): { type?: string } => (failureType === undefined ? {} : { type: failureType });

async function send(egress: Egress, call: TokenCall): Promise<EgressResponse> {
    try {
        return await egress.request(call.request);
    } catch (error) {
        if (error instanceof EgressError) {
            throw new TokenFailure('transient', `The token endpoint ${unanswered[error.code] ?? 'could not be reached'} (${error.code}).`, {
                ...typeOf(call),
                isAmbiguous: !error.neverSent,
            });
        }
        throw error;
    }
}

/** The request with its client authentication, whatever comes back. Redirects are not followed (N5). @throws EgressError */
export const sendAsClient = (egress: Egress, request: TokenRequest): Promise<EgressResponse> => egress.request(asClient(request));

function asClient(request: TokenRequest): EgressRequest {
    const params = { ...request.params, ...clientParams(request) };
    const contentType = { form: 'application/x-www-form-urlencoded', json: 'application/json', query: undefined, empty: undefined }[
        request.bodyFormat
    ];
    const authorization = authorizationOf(request);
    const body = request.bodyFormat === 'json' ? JSON.stringify(params) : new URLSearchParams(params).toString();
    return {
        url: request.bodyFormat === 'query' ? withQuery(request.url, body) : request.url,
        method: 'POST',
        headers: {
            accept: request.accept ?? 'application/json',
            ...(contentType === undefined ? {} : { 'content-type': contentType }),
            ...(authorization === undefined ? {} : { authorization }),
        },
        ...(contentType === undefined ? {} : { body }),
        ...(request.clientCertificate === undefined ? {} : { clientCertificate: request.clientCertificate }),
        deadlineMs: request.deadlineMs,
    };
}

function clientParams({ clientAuthentication, clientId, clientSecret }: TokenRequest): Record<string, string> {
    switch (clientAuthentication) {
        case 'body':
            return { client_id: clientId, ...(clientSecret === '' ? {} : { client_secret: clientSecret }) };
        case 'username_password':
            return { username: clientId, password: clientSecret };
        default:
            return {};
    }
}

function authorizationOf({ clientAuthentication, clientId, clientSecret }: TokenRequest): string | undefined {
    switch (clientAuthentication) {
        case 'basic':
            return `Basic ${basicPair(clientId, clientSecret)}`;
        case 'basic_raw':
            return `Basic ${rawPair(clientId, clientSecret)}`;
        case 'basic_secret':
            return `Basic ${basicPair(clientSecret, '')}`;
        case 'bearer':
            return `Bearer ${clientSecret}`;
        default:
            return undefined;
    }
}

export function withQuery(url: URL, query: string): URL {
    const full = new URL(url);
    full.search += `${full.search === '' ? '?' : '&'}${query}`;
    return full;
}

/** For servers that decode nothing. */
export const rawPair = (id: string, secret: string): string => Buffer.from(`${id}:${secret}`).toString('base64');

/** Both parts are form-encoded first (RFC 6749 §2.3.1). */
export const basicPair = (id: string, secret: string): string => Buffer.from(`${formEncoded(id)}:${formEncoded(secret)}`).toString('base64');

const formEncoded = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1);

/** JSON or form-encoded, whatever the content type claims (N5). `undefined`: neither. */
export function parseBody(contentType: string, body: string): Record<string, unknown> | undefined {
    try {
        const value: unknown = JSON.parse(body);
        return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
    } catch {
        const mayBeForm = !/html|xml/i.test(contentType) && /^[\w.%+-]+=/.test(body);
        return mayBeForm ? Object.fromEntries(new URLSearchParams(body)) : undefined;
    }
}

function describeRefusal(status: number, contentType: string, isUnreadable: boolean, refusal: Refusal, secrets: readonly string[]): string {
    if (status >= 300 && status < 400) {
        return `The token endpoint answered with a redirect (${status}), which is never followed.`;
    }
    const said = refusal.description ?? refusal.code ?? '';
    const form = isUnreadable ? ` and ${/html/i.test(contentType) ? 'an HTML page' : 'no readable body'}` : '';
    return `The token endpoint answered ${status}${said === '' ? form : ` (${safeText(said, secrets)})`}.`;
}

/** @throws TokenFailure `unable_to_parse_token_response` */
export function readAnswer(receipt: TokenReceipt): Record<string, unknown> {
    const raw = parseBody(receipt.contentType, receipt.body);
    if (raw === undefined) {
        const what = /html/i.test(receipt.contentType) ? 'an HTML page' : 'something that is neither JSON nor form-encoded';
        throw new TokenFailure('transient', `The token endpoint answered ${receipt.status} with ${what}.`, {
            type: 'unable_to_parse_token_response',
        });
    }
    return raw;
}

export interface ReadingRules {
    /** Where to look when the root has no `access_token` (Slack: `authed_user`). */
    alternatePath?: string | undefined;
}

/** @throws TokenFailure when the answer holds no access token. */
export function readTokenResponse(
    receipt: TokenReceipt,
    rules: ReadingRules,
): Obtained & { credentials: OAuth2Credentials; raw: Record<string, unknown> } {
    const raw = readAnswer(receipt);
    return { raw, ...obtainedFrom(receipt, tokenSource(raw, rules), raw) };
}

/** Token, refresh token and expiry under their usual names. @throws TokenFailure when there is no access token. */
export function obtainedFrom(
    receipt: TokenReceipt,
    source: { access_token?: unknown; refresh_token?: unknown; expires_at?: unknown; expires_in?: unknown },
    raw: Readonly<Record<string, unknown>>,
): Obtained & { credentials: OAuth2Credentials } {
    const accessToken = source.access_token;
    if (typeof accessToken !== 'string' || accessToken === '') {
        throw new TokenFailure('unknown', 'The token endpoint answered without an access token.', { type: 'unable_to_parse_token_response' });
    }
    const refreshToken = source.refresh_token;
    const { expires_at, expires_in } = source;
    const end = readExpiry({ expires_at, expires_in }, receipt.requestedAt);
    const expiry = shownExpiry(end);
    return {
        obtainedAt: receipt.requestedAt,
        ...end,
        credentials: {
            type: 'OAUTH2',
            access_token: accessToken,
            ...(typeof refreshToken === 'string' && refreshToken !== '' ? { refresh_token: refreshToken } : {}),
            ...expiry,
            raw: { ...raw, ...expiry },
        },
    };
}

/** The object that holds token, refresh token and expiry. */
function tokenSource(raw: Record<string, unknown>, rules: ReadingRules): Record<string, unknown> {
    if (raw['access_token'] !== undefined || rules.alternatePath === undefined) {
        return raw;
    }
    let value: unknown = raw;
    for (const name of rules.alternatePath.split('.')) {
        value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
    }
    return typeof value === 'string'
        ? { access_token: value }
        : typeof value === 'object' && value !== null
          ? (value as Record<string, unknown>)
          : raw;
}
