/** Metadata of an authorization server (RFC 8414), and what of it a flow needs: checked once, then kept with the flow and the connection. */
import type { Egress } from '../../egress/egress.ts';
import { ConnectFailure } from '../auth-mode.ts';
import { assertCallable, type DiscoveryCalls } from './discovery-calls.ts';
import { listOf, textOf, type JsonObject } from './json-document.ts';
import { insertWellKnown } from './well-known.ts';

/** In the field's own names: stored as `oauth_metadata`. */
export interface AuthorizationServer {
    issuer: string;
    authorization_endpoint: string;
    token_endpoint: string;
    registration_endpoint?: string;
    token_endpoint_auth_methods_supported?: readonly string[];
    client_id_metadata_document_supported: boolean;
    /** RFC 9207: every answer names its issuer. */
    authorization_response_iss_parameter_supported: boolean;
}

/**
 * @param issuer as the resource names it; `undefined`: the server itself is its authorization server
 * @throws ConnectFailure
 */
export async function findAuthorizationServer(
    calls: DiscoveryCalls,
    egress: Egress,
    issuer: string | undefined,
    serverUrl: string,
): Promise<AuthorizationServer> {
    const { origin } = new URL(serverUrl);
    const identifier = issuer ?? origin;
    assertCallable(egress, identifier, 'The issuer of the MCP server');
    // Nobody has spelled out the issuer then, and both spellings have the same documents.
    const accepted = issuer === undefined ? [origin, `${origin}/`] : [issuer];
    let isMisnamed = false;
    for (const url of documentsOf(identifier)) {
        const document = await calls.document(url);
        const named = document && textOf(document, 'issuer');
        if (document !== undefined && named !== undefined && accepted.includes(named)) {
            return checked(egress, document, named);
        }
        isMisnamed ||= document !== undefined;
    }
    throw new ConnectFailure(
        'provider_config_err',
        isMisnamed
            ? 'The metadata of the authorization server names another issuer than the one it was asked for (RFC 8414 §3.3).'
            : 'The authorization server of this MCP server publishes no metadata (RFC 8414).',
    );
}

/** RFC 8414 §3.1 and §5, OpenID Connect Discovery §4, each with and without the issuer's path. */
function documentsOf(issuer: string): string[] {
    const { origin, pathname } = new URL(issuer);
    const path = pathname.replace(/\/$/, '');
    return [
        ...new Set([
            insertWellKnown(issuer, 'oauth-authorization-server'),
            `${origin}/.well-known/oauth-authorization-server`,
            insertWellKnown(issuer, 'openid-configuration'),
            `${origin}${path}/.well-known/openid-configuration`,
        ]),
    ];
}

/**
 * Endpoints may be on other domains than their issuer: RFC 8414 allows it, and many are. What binds them is that the issuer's own
 * document names them (M1); which they were is recorded with the connection. @throws ConnectFailure
 */
function checked(egress: Egress, document: JsonObject, issuer: string): AuthorizationServer {
    const refuse = (what: string): ConnectFailure =>
        new ConnectFailure('provider_config_err', `The authorization server of this MCP server ${what}.`);
    const endpoint = (name: string): string => {
        const url = textOf(document, name);
        if (url === undefined) {
            throw refuse(`names no ${name}`);
        }
        assertCallable(egress, url, `The ${name} of the authorization server`);
        return url;
    };
    if (listOf(document, 'response_types_supported')?.includes('code') !== true) {
        throw refuse('does not support the authorization code flow');
    }
    if (listOf(document, 'code_challenge_methods_supported')?.includes('S256') !== true) {
        throw refuse('does not support PKCE with S256 (RFC 7636)');
    }
    const authMethods = listOf(document, 'token_endpoint_auth_methods_supported');
    const registration = callable(egress, textOf(document, 'registration_endpoint'));
    return {
        issuer,
        authorization_endpoint: endpoint('authorization_endpoint'),
        token_endpoint: endpoint('token_endpoint'),
        ...(registration === undefined ? {} : { registration_endpoint: registration }),
        ...(authMethods === undefined ? {} : { token_endpoint_auth_methods_supported: authMethods.slice(0, 20) }),
        client_id_metadata_document_supported: document['client_id_metadata_document_supported'] === true,
        authorization_response_iss_parameter_supported: document['authorization_response_iss_parameter_supported'] === true,
    };
}

/** A registration endpoint that may not be called is none. */
function callable(egress: Egress, url: string | undefined): string | undefined {
    try {
        if (url !== undefined) {
            assertCallable(egress, url, 'The registration endpoint');
        }
        return url;
    } catch (error) {
        if (error instanceof ConnectFailure) {
            return undefined;
        }
        throw error;
    }
}
