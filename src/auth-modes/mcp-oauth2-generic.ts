/**
 * MCP_OAUTH2_GENERIC: authorization code with PKCE against an MCP server whose address a person types in (auth-modes §13.2). Everything
 * else is discovered, checked, and kept sealed: with the flow until the callback, with the connection for its renewals (M5).
 */
import type { Credentials } from '../credentials/credential.ts';
import type { RenewalStrategy } from '../credentials/renewal-strategy.ts';
import {
    ConnectFailure,
    type AuthMode,
    type Completed,
    type ModeContext,
    type RedirectCompletion,
    type RedirectStart,
    type RedirectStarted,
} from './auth-mode.ts';
import { authorizationUrl } from './authorization-url.ts';
import { requiredParam } from './callback-query.ts';
import { asTokenFailure } from './fill-template.ts';
import { findAuthorizationServer, type AuthorizationServer } from './mcp/authorization-server-metadata.ts';
import { clientIdentity, clientMetadataUrl } from './mcp/client-metadata.ts';
import { clientOf, type Client, type RegistrationRequest } from './mcp/client-registration.ts';
import { assertCallable, DiscoveryCalls } from './mcp/discovery-calls.ts';
import { asObject, listOf, textOf } from './mcp/json-document.ts';
import { findProtectedResource } from './mcp/protected-resource-metadata.ts';
import { renewalAs, requestAsClient, storedClient } from './mcp/token-calls.ts';
import { refreshTokenGrant, tokenCallMs } from './oauth2.ts';
import { readTokenResponse } from './token-endpoint.ts';

export const mcpOAuth2Generic: AuthMode = {
    name: 'MCP_OAUTH2_GENERIC',
    redirect: { needsClient: false, start, complete },
    renewal,
};

interface Memo {
    server: AuthorizationServer;
    client: Client;
    resource: string;
}

async function start(input: RedirectStart): Promise<RedirectStarted> {
    const { integration, egress } = input;
    if (integration.clientId !== null) {
        // N2: a secret that a session or an operator sets must not go wherever the address of a server leads.
        throw new ConnectFailure(
            'provider_config_err',
            'The client of an MCP server that is discovered registers itself; it cannot be brought along.',
        );
    }
    const url = serverUrl(input);
    const calls = new DiscoveryCalls(input);
    const { resource, issuer, challengeScopes } = await findProtectedResource(calls, url);
    const server = await findAuthorizationServer(calls, egress, issuer, url);
    const client = await acquireClient(input, server, input.redirectUri);
    // M4: what the server asks for, else what the integration does; never everything that there is.
    const own = (input.scopesOverride ?? integration.scopes ?? '').split(',').filter((scope) => scope !== '');
    const scopes = input.scopesOverride === undefined ? (challengeScopes ?? own) : own;
    const location = await authorizationUrl({
        endpoint: new URL(server.authorization_endpoint),
        clientId: client.client_id,
        redirectUri: input.redirectUri,
        scopes,
        scopeSeparator: ' ',
        state: input.state,
        pkceVerifier: input.pkceVerifier,
        // OpenID Connect Core §11: without a prompt for consent, offline_access is ignored.
        templateParams: { resource, ...(scopes.includes('offline_access') ? { prompt: 'consent' } : {}) },
        extraParams: {},
        skipEmpty: true,
    });
    return {
        location,
        memo: { server, client, resource } satisfies Memo,
        issuer: { identifier: server.issuer, isAnnounced: server.authorization_response_iss_parameter_supported },
    };
}

async function complete(input: RedirectCompletion): Promise<Completed> {
    const { server, client, resource } = input.memo as unknown as Memo;
    const code = requiredParam(input.query, 'code', 'authorization code');
    const { receipt, client: used } = await requestAsClient(
        input,
        {
            url: tokenEndpoint(input, server.token_endpoint),
            // S6: the redirect URI of the flow, whatever it would be now.
            params: { grant_type: 'authorization_code', code, redirect_uri: input.redirectUri, code_verifier: input.pkceVerifier, resource },
            bodyFormat: 'form',
            deadlineMs: tokenCallMs,
            secrets: [],
        },
        { client, registration: replacementOf(input, server, client) },
    );
    const { raw: _raw, ...obtained } = readTokenResponse(receipt, {});
    return { ...obtained, derivedConfig: { oauth_metadata: server, oauth_client_info: used, oauth_resource_url: resource } };
}

function renewal(context: ModeContext, current: Credentials): RenewalStrategy {
    const server = storedServer(context.connectionConfig);
    const client = storedClient(context.connectionConfig);
    if (server === undefined || client === undefined) {
        // Imported without what its flow had found.
        return { ...refreshTokenGrant(context, current), canRenew: () => false };
    }
    const resource = context.connectionConfig['oauth_resource_url'] ?? context.connectionConfig['mcp_server_url'];
    return renewalAs(context, current, {
        presenter: { client, registration: replacementOf(context, server, client) },
        request: (refreshToken) => ({
            url: tokenEndpoint(context, server.token_endpoint),
            params: { grant_type: 'refresh_token', refresh_token: refreshToken, ...(typeof resource === 'string' ? { resource } : {}) },
            bodyFormat: 'form',
        }),
    });
}

/** RFC 8707 §2: absolute, without a fragment. @throws ConnectFailure `url_param_err` */
function serverUrl({ connectionConfig, egress }: ModeContext): string {
    const url = connectionConfig['mcp_server_url'];
    if (typeof url !== 'string' || url === '') {
        throw new ConnectFailure('url_param_err', 'The connection parameter "mcp_server_url" is missing.');
    }
    assertCallable(egress, url, 'The connection parameter "mcp_server_url"', 'url_param_err');
    return url;
}

/** Judged again, for the policy may have changed since it was discovered. @throws TokenFailure */
function tokenEndpoint({ egress }: ModeContext, url: string): URL {
    asTokenFailure(() => assertCallable(egress, url, 'The token endpoint of the MCP server'));
    return new URL(url);
}

/** @throws ConnectFailure */
async function acquireClient(context: ModeContext, server: AuthorizationServer, redirectUri: string): Promise<Client> {
    const { integration, clients } = context;
    const metadataUrl = server.client_id_metadata_document_supported ? clientMetadataUrl(clients.publicUrl, integration) : undefined;
    if (metadataUrl !== undefined) {
        return { client_id: metadataUrl, token_endpoint_auth_method: 'none', redirect_uris: [redirectUri] };
    }
    const request = registrationRequest(context, server, redirectUri);
    if (request === undefined) {
        throw new ConnectFailure(
            'provider_config_err',
            'The authorization server of this MCP server neither registers clients (RFC 7591) nor can it read the client metadata of this server.',
        );
    }
    return clientOf(await clients.acquire(integration, request, context.egress));
}

function registrationRequest(
    { integration }: ModeContext,
    { issuer, registration_endpoint, token_endpoint_auth_methods_supported }: AuthorizationServer,
    redirectUri: string,
): RegistrationRequest | undefined {
    return registration_endpoint === undefined
        ? undefined
        : {
              endpoint: registration_endpoint,
              server: issuer,
              redirectUri,
              identity: clientIdentity(integration.extras.custom),
              grantTypes: ['authorization_code', 'refresh_token'],
              responseTypes: ['code'],
              authMethods: token_endpoint_auth_methods_supported,
          };
}

/** A document cannot be registered anew: it is what it is. */
function replacementOf(context: ModeContext, server: AuthorizationServer, client: Client): RegistrationRequest | undefined {
    const [redirectUri] = client.redirect_uris;
    const isDescribed = client.client_id === clientMetadataUrl(context.clients.publicUrl, context.integration);
    return redirectUri === undefined || isDescribed ? undefined : registrationRequest(context, server, redirectUri);
}

/** What was discovered, as a connection keeps it; also as an import brings it from elsewhere. */
function storedServer({ oauth_metadata: stored }: Readonly<Record<string, unknown>>): AuthorizationServer | undefined {
    const document = asObject(stored);
    const issuer = document && textOf(document, 'issuer');
    const token_endpoint = document && textOf(document, 'token_endpoint');
    if (document === undefined || issuer === undefined || token_endpoint === undefined || !URL.canParse(token_endpoint)) {
        return undefined;
    }
    const registration_endpoint = textOf(document, 'registration_endpoint');
    const methods = listOf(document, 'token_endpoint_auth_methods_supported');
    return {
        issuer,
        authorization_endpoint: textOf(document, 'authorization_endpoint') ?? '',
        token_endpoint,
        ...(registration_endpoint !== undefined && URL.canParse(registration_endpoint) ? { registration_endpoint } : {}),
        ...(methods === undefined ? {} : { token_endpoint_auth_methods_supported: methods }),
        client_id_metadata_document_supported: document['client_id_metadata_document_supported'] === true,
        authorization_response_iss_parameter_supported: document['authorization_response_iss_parameter_supported'] === true,
    };
}
