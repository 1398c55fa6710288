/** The authorization request of OAuth 2.0 (RFC 6749 §4.1.1, RFC 7636 §4.3) as a URL, with the catalogue's deviations. */
import { createHash } from 'node:crypto';
import { ConnectFailure } from './auth-mode.ts';

export interface AuthorizationRequest {
    /** Endpoint with every placeholder filled in; its query is kept. */
    endpoint: URL;
    clientId: string;
    redirectUri: string;
    scopes: readonly string[];
    scopeSeparator: string;
    state: string;
    /** `undefined`: PKCE is switched off for this provider. */
    pkceVerifier: string | undefined;
    /** The catalogue's `authorization_params`, filled in. */
    templateParams: Readonly<Record<string, string>>;
    /** The browser's and the session's; the text `undefined` removes a template parameter. */
    extraParams: Readonly<Record<string, string>>;
    skipEncodeScopes?: boolean;
    skipEmpty?: boolean;
    fragment?: string | undefined;
    replacements?: Readonly<Record<string, string>>;
}

/** S3: what ties the answer to this flow belongs to the server alone. */
const reserved = new Set([
    'response_type',
    'client_id',
    'redirect_uri',
    'state',
    'code_challenge',
    'code_challenge_method',
    'request',
    'request_uri',
    'nonce',
]);
/** Only the backend, through its session, widens what is asked for. */
const sessionOnly = new Set(['scope', 'resource']);

/** @throws ConnectFailure `url_param_err` naming the parameter. */
export function assertSettable(params: Readonly<Record<string, string>>, origin: 'browser' | 'session'): void {
    for (const name of Object.keys(params)) {
        if (reserved.has(name.toLowerCase()) || (origin === 'browser' && sessionOnly.has(name.toLowerCase()))) {
            throw new ConnectFailure(
                'url_param_err',
                `The authorization parameter "${name}" cannot be set ${origin === 'browser' ? 'by the browser' : 'here'}.`,
            );
        }
    }
}

/** S256 (RFC 7636 §4.2). */
export const codeChallenge = (verifier: string): string => createHash('sha256').update(verifier).digest('base64url');

export async function authorizationUrl(request: AuthorizationRequest): Promise<string> {
    // Loaded with the first flow: its validation library is larger than the rest of the start.
    const { AuthorizationCode } = await import('simple-oauth2');
    const client = new AuthorizationCode({
        client: { id: request.clientId, secret: '' },
        auth: {
            tokenHost: request.endpoint.origin,
            authorizeHost: request.endpoint.origin,
            authorizePath: request.endpoint.pathname + request.endpoint.search,
        },
        options: { scopeSeparator: request.scopeSeparator },
    });
    const scope = request.scopes.join(request.scopeSeparator);
    const params: Record<string, string> = {
        redirect_uri: request.redirectUri,
        ...(request.skipEncodeScopes ? {} : { scope }),
        state: request.state,
        ...request.templateParams,
        ...(request.pkceVerifier === undefined ? {} : { code_challenge: codeChallenge(request.pkceVerifier), code_challenge_method: 'S256' }),
    };
    for (const [name, value] of Object.entries(request.extraParams)) {
        if (value === 'undefined') {
            delete params[name];
        } else {
            params[name] = value;
        }
    }
    const plain = new URL(client.authorizeURL(params));
    if (request.skipEmpty) {
        [...plain.searchParams].filter(([, value]) => value === '').forEach(([name]) => plain.searchParams.delete(name));
    }
    let url = plain.toString();
    if (request.skipEncodeScopes) {
        url += `&scope=${scope}`;
    }
    if (request.fragment !== undefined) {
        // for login pages that route by fragment: the query moves behind it
        url = url.replace('?', `#${request.fragment}?`);
    }
    for (const [from, to] of Object.entries(request.replacements ?? {})) {
        url = url.replace(from, () => to);
    }
    return url;
}
