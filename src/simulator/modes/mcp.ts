/** MCP_OAUTH2 and MCP_OAUTH2_GENERIC: authorization for MCP servers, discovery and registration included (auth-modes §13). */
import { assertCaller } from '../caller.ts';
import type { AuthorizationRequest } from '../authorization-request.ts';
import { authorizeEndpoint, issueCode } from '../authorize.ts';
import type { Entry } from '../entry.ts';
import { invalidRequest, Refusal } from '../refusal.ts';
import { tokenEndpoints } from '../token-endpoint.ts';
import { assertMethod, readBody } from '../twin-request.ts';
import { json, type Answer, type Call, type Endpoint } from '../twin.ts';
import { oauth2 } from './oauth2.ts';

/** A known server: its endpoints are the entry's. */
export function mcp(entry: Entry): Endpoint[] {
    const issuer = originOf(entry.authorization_url);
    const resource = originOf(entry.proxy?.base_url);
    return [
        ...oauth2(entry),
        ...(entry.registration_url === undefined ? [] : [registration(entry.registration_url)]),
        ...(issuer === undefined
            ? []
            : [
                  metadata(`${issuer}/.well-known/oauth-authorization-server`, ({ entry: known }) => ({
                      issuer,
                      authorization_endpoint: known.authorization_url,
                      token_endpoint: known.token_url,
                      ...(known.registration_url === undefined ? {} : { registration_endpoint: known.registration_url }),
                      ...capabilities,
                  })),
              ]),
        ...(issuer === undefined || resource === undefined
            ? []
            : [metadata(`${resource}/.well-known/oauth-protected-resource`, () => ({ resource, authorization_servers: [issuer] }))]),
    ];
}

const originOf = (url: string | undefined): string | undefined => (url === undefined || url.includes('${') ? undefined : URL.parse(url)?.origin);

const capabilities = {
    response_types_supported: ['code'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['none', 'client_secret_post'],
};

/** A path of our own, so that no other entry's whole-host template is meant. */
const place = { authorize: '/mcp-twin/authorize', token: '/mcp-twin/token', register: '/mcp-twin/register' };

/** Whatever server a person types: it says where its authorization server is, which is the same host. */
export function mcpGeneric(): Endpoint[] {
    const host = 'https://${connectionConfig.mcpHost}';
    const generic = {
        auth_mode: 'MCP_OAUTH2',
        token_params: { grant_type: 'authorization_code' },
        refresh_params: { grant_type: 'refresh_token' },
    } as const;
    const asGeneric = (endpoint: Endpoint): Endpoint => ({
        ...endpoint,
        handle: (call) => endpoint.handle({ ...call, entry: { ...call.entry, ...generic } }),
    });
    return [
        metadata(`${host}/.well-known/oauth-protected-resource`, protectedResource, true),
        metadata(`${host}/.well-known/oauth-authorization-server`, serverMetadata, true),
        metadata(`${host}/.well-known/openid-configuration`, serverMetadata, true),
        asGeneric(authorizeEndpoint(host + place.authorize, { approve: approveWithResource, always: issuer })),
        ...tokenEndpoints({ auth_mode: 'MCP_OAUTH2' } as Entry, host + place.token).map(asGeneric),
        registration(host + place.register),
        { kind: 'api', url: host, isPrefix: true, handle: resourceServer, refuse: challenge },
    ];
}

function protectedResource({ request }: Call): Record<string, unknown> {
    const path = request.url.pathname.slice('/.well-known/oauth-protected-resource'.length);
    return {
        resource: `${request.url.origin}${path}`,
        authorization_servers: [request.url.origin],
        bearer_methods_supported: ['header'],
        scopes_supported: ['mcp:tools', 'mcp:admin'],
    };
}

function serverMetadata({ request }: Call): Record<string, unknown> {
    const { origin } = request.url;
    return {
        issuer: origin,
        authorization_endpoint: origin + place.authorize,
        token_endpoint: origin + place.token,
        registration_endpoint: origin + place.register,
        authorization_response_iss_parameter_supported: true,
        ...capabilities,
    };
}

/** Announced, so it comes with refusals too (RFC 9207 §2). */
const issuer = ({ request }: Call): Record<string, string> => ({ iss: request.url.origin });

/** `resource` is always sent (RFC 8707 §2.1). */
function approveWithResource(call: Call, asked: AuthorizationRequest): Record<string, string> {
    if (asked.resource === undefined) throw new Refusal(400, 'invalid_target', 'The parameter "resource" is missing (RFC 8707 §2.1).');
    if (new URL(asked.resource).host !== call.request.url.host) throw new Refusal(400, 'invalid_target', 'The "resource" is another server.');
    return { code: issueCode(call, asked) };
}

async function resourceServer(call: Call): Promise<Answer> {
    await assertCaller(call);
    return json({
        jsonrpc: '2.0',
        id: 1,
        result: { protocolVersion: '2025-06-18', serverInfo: { name: 'simulated', version: '1' }, capabilities: {} },
    });
}

/** RFC 9728 §5.1: without a token the server says what it wants. */
const challenge = (refusal: Refusal): Answer => ({
    status: refusal.status,
    headers: { 'www-authenticate': 'Bearer error="invalid_token", scope="mcp:tools"' },
    body: { error: refusal.code, error_description: refusal.message },
});

function metadata(url: string, document: (call: Call) => Record<string, unknown>, isPrefix = false): Endpoint {
    return {
        kind: 'metadata',
        url,
        isPrefix,
        handle: (call) => {
            assertMethod(call.request, 'GET');
            return json(document(call));
        },
    };
}

const registration = (url: string): Endpoint => ({ kind: 'register', url, handle: register });

/** RFC 7591 §3: a client that names its redirect URIs gets an id, and a secret unless it says that it keeps none. */
function register({ entry, request, world }: Call): Answer {
    assertMethod(request, 'POST');
    const wanted = readBody(request, 'json');
    const uris = wanted['redirect_uris'];
    if (!Array.isArray(uris) || uris.length === 0 || !uris.every((uri) => typeof uri === 'string' && URL.canParse(uri))) {
        throw new Refusal(400, 'invalid_redirect_uri', 'The "redirect_uris" must be a list of absolute URLs.');
    }
    if (typeof wanted['client_name'] !== 'string') throw new Refusal(400, 'invalid_client_metadata', 'The "client_name" is missing.');
    const method = wanted['token_endpoint_auth_method'] ?? 'client_secret_basic';
    if (method !== 'none' && method !== 'client_secret_post') {
        throw invalidRequest('The "token_endpoint_auth_method" must be none or client_secret_post.');
    }
    const clientId = `${entry.slug}.${world.newId()}`;
    if (method === 'none') world.grants.addPublicClient(entry.slug, clientId);
    const secret = method === 'none' ? {} : { client_secret: world.grants.secret('client'), client_secret_expires_at: 0 };
    if (typeof secret.client_secret === 'string') world.credentials.register(entry, clientId, 'client_secret', secret.client_secret);
    return json({ ...wanted, client_id: clientId, client_id_issued_at: Math.floor(world.now() / 1000), ...secret }, 201);
}
