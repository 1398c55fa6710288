/**
 * Dynamic client registration (RFC 7591) and the management of what was registered (RFC 7592). Answers come from servers that
 * anybody may have named: of what they say, only a code of the field's own vocabulary is ever repeated.
 */
import { EgressError, type Egress, type EgressResponse } from '../../egress/egress.ts';
import { ConnectFailure } from '../auth-mode.ts';
import { clientAuthMethods, type ClientAuthMethod, type ClientRegistration, type RegistrationRequest } from './client-registration.ts';
import { listOf, parseJsonObject, textOf } from './json-document.ts';

/** The server did not register a client. */
export class RegistrationFailure extends ConnectFailure {
    /** It may do so later. */
    readonly isOutage: boolean;

    constructor(message: string, isOutage: boolean) {
        super('provider_config_err', message);
        this.isOutage = isOutage;
    }
}

/** Tokens and secrets of clients; longer ones are not kept. */
const longestValue = 4096;

/** @throws RegistrationFailure */
export async function registerClient(egress: Egress, request: RegistrationRequest, deadlineMs: number): Promise<ClientRegistration> {
    const response = await send(egress, {
        url: request.endpoint,
        method: 'POST',
        headers: { accept: 'application/json', 'content-type': 'application/json' },
        body: JSON.stringify({
            ...request.identity,
            redirect_uris: [request.redirectUri],
            token_endpoint_auth_method: wantedMethod(request.authMethods),
            grant_types: request.grantTypes,
            response_types: request.responseTypes,
        }),
        deadlineMs,
    });
    const answer = parseJsonObject(response);
    if (response.status >= 300 || response.status < 200 || answer === undefined) {
        throw refusal(response, answer);
    }
    return readRegistration(answer, request);
}

/**
 * RFC 7592 §2.1: a server that replaces secrets hands out the new one here, and the client keeps its id and its grants.
 * @returns `undefined` when there is nothing new
 */
export async function rereadRegistration(
    egress: Egress,
    stored: ClientRegistration,
    request: RegistrationRequest,
    deadlineMs: number,
): Promise<ClientRegistration | undefined> {
    const response = await manage(egress, stored, 'GET', deadlineMs);
    const answer = response?.status === 200 ? parseJsonObject(response) : undefined;
    const secret = answer && textOf(answer, 'client_secret', longestValue);
    if (answer?.['client_id'] !== stored.client_id || secret === undefined || secret === stored.client_secret) {
        return undefined;
    }
    // What the answer does not repeat stays.
    const { token_endpoint_auth_method, registration_access_token, registration_client_uri } = stored;
    try {
        return readRegistration({ token_endpoint_auth_method, registration_access_token, registration_client_uri, ...answer }, request);
    } catch (error) {
        // Of no use: another client may be.
        if (error instanceof RegistrationFailure) {
            return undefined;
        }
        throw error;
    }
}

/** RFC 7592 §2.3. @returns the status; `undefined`: it cannot be managed, or there was no answer. */
export async function deleteRegistration(egress: Egress, registration: ClientRegistration, deadlineMs: number): Promise<number | undefined> {
    return (await manage(egress, registration, 'DELETE', deadlineMs))?.status;
}

async function manage(
    egress: Egress,
    { registration_access_token: token, registration_client_uri: url }: ClientRegistration,
    method: 'GET' | 'DELETE',
    deadlineMs: number,
): Promise<EgressResponse | undefined> {
    if (token === undefined || url === undefined) {
        return undefined;
    }
    try {
        return await egress.request({ url, method, headers: { accept: 'application/json', authorization: `Bearer ${token}` }, deadlineMs });
    } catch (error) {
        if (error instanceof EgressError) {
            return undefined;
        }
        throw error;
    }
}

async function send(egress: Egress, request: Parameters<Egress['request']>[0]): Promise<EgressResponse> {
    try {
        return await egress.request(request);
    } catch (error) {
        if (error instanceof EgressError) {
            throw new RegistrationFailure(
                error.code === 'blocked_by_policy'
                    ? 'The registration endpoint may not be called: it must be https and public, or its host must be listed in VALETKEY_EGRESS_ALLOW.'
                    : `The registration endpoint could not be used (${error.code}).`,
                error.retryable,
            );
        }
        throw error;
    }
}

function refusal({ status }: EgressResponse, answer: Record<string, unknown> | undefined): RegistrationFailure {
    const code = textOf(answer ?? {}, 'error');
    // RFC 7591 §3.2.2: `invalid_redirect_uri` and the like.
    const said = code !== undefined && /^[a-z_]{1,64}$/.test(code) ? ` (${code})` : '';
    const isOutage = status >= 500 || status === 429 || status === 408;
    return new RegistrationFailure(
        isOutage
            ? `The provider cannot register clients right now: it answered ${status}.`
            : `The provider did not register a client: it answered ${status}${said}.`,
        isOutage,
    );
}

/** Public where that is possible: a secret that does not exist cannot leak, and PKCE protects the code either way. */
const wantedMethod = (named: readonly string[] | undefined): ClientAuthMethod =>
    named === undefined ? 'none' : (clientAuthMethods.find((method) => named.includes(method)) ?? 'none');

/** M3: as it was granted, which may differ from what was asked for (RFC 7591 §3.2.1). @throws RegistrationFailure */
function readRegistration(answer: Record<string, unknown>, request: RegistrationRequest): ClientRegistration {
    const clientId = textOf(answer, 'client_id', longestValue);
    const secret = textOf(answer, 'client_secret', longestValue);
    if (clientId === undefined) {
        throw new RegistrationFailure('The registration endpoint answered without a client id.', false);
    }
    const method = grantedMethod(answer, request, secret !== undefined);
    if (method !== 'none' && secret === undefined) {
        throw new RegistrationFailure('The registration endpoint answered without the client secret that it asks for.', false);
    }
    const granted = listOf(answer, 'redirect_uris');
    if (granted !== undefined && !granted.includes(request.redirectUri)) {
        throw new RegistrationFailure('The registration endpoint registered other redirect URIs than the one it was given.', false);
    }
    const expiresAt = Number(answer['client_secret_expires_at']);
    const isExpiring = method !== 'none' && Number.isFinite(expiresAt) && expiresAt > 0;
    return {
        client_id: clientId,
        ...(method === 'none' ? {} : { client_secret: secret! }),
        ...(isExpiring ? { client_secret_expires_at: expiresAt } : {}),
        token_endpoint_auth_method: method,
        redirect_uris: [request.redirectUri],
        server: request.server,
        ...managementIn(answer, request),
    };
}

function grantedMethod(answer: Record<string, unknown>, { authMethods }: RegistrationRequest, hasSecret: boolean): ClientAuthMethod {
    const named = answer['token_endpoint_auth_method'];
    if (named === undefined || named === null) {
        // RFC 7591 §2: a client with a secret uses Basic, unless the server knows only the other way.
        const isPostOnly = authMethods?.includes('client_secret_post') === true && !authMethods.includes('client_secret_basic');
        return !hasSecret ? 'none' : isPostOnly ? 'client_secret_post' : 'client_secret_basic';
    }
    const method = clientAuthMethods.find((known) => known === named);
    if (method === undefined) {
        throw new RegistrationFailure('The registration endpoint granted a way of client authentication that is not supported here.', false);
    }
    return method;
}

/** Only at the server's own origin: an answer must not choose where else we send a bearer token and a DELETE. */
function managementIn(answer: Record<string, unknown>, { endpoint }: RegistrationRequest): Partial<ClientRegistration> {
    const token = textOf(answer, 'registration_access_token', longestValue);
    const uri = textOf(answer, 'registration_client_uri', longestValue);
    return token !== undefined && uri !== undefined && URL.parse(uri)?.origin === new URL(endpoint).origin
        ? { registration_access_token: token, registration_client_uri: uri }
        : {};
}
