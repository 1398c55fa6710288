/** Provider entries for the test peers, as an operator would write them into a file of their own. */
import type { AuthorizationServer } from '../peers/authorization-server.ts';

type Endpoints = Pick<AuthorizationServer, 'authorizationEndpoint' | 'tokenEndpoint'>;

export const oauth2Entry = (name: string, server: Endpoints, extra: Record<string, unknown> = {}): Record<string, unknown> => ({
    [name]: {
        display_name: `Test ${name}`,
        categories: ['other'],
        auth_mode: 'OAUTH2',
        authorization_url: server.authorizationEndpoint,
        token_url: server.tokenEndpoint,
        ...extra,
    },
});

/** An API-key provider whose key is proved by `GET <base>/me`. */
export const apiKeyEntry = (name: string, baseUrl: string): Record<string, unknown> => ({
    [name]: {
        display_name: `Test ${name}`,
        categories: ['other'],
        auth_mode: 'API_KEY',
        proxy: { base_url: baseUrl, headers: { authorization: 'Bearer ${apiKey}' }, verification: { method: 'GET', endpoints: ['/me'] } },
        credentials: { apiKey: { type: 'string', title: 'API key', description: 'Any key.', secret: true } },
    },
});

export const basicEntry = (name: string, baseUrl: string): Record<string, unknown> => ({
    [name]: {
        display_name: `Test ${name}`,
        categories: ['other'],
        auth_mode: 'BASIC',
        proxy: { base_url: baseUrl, verification: { method: 'GET', endpoints: ['/me'] } },
        credentials: {
            username: { type: 'string', title: 'User name', description: 'Any name.' },
            password: { type: 'string', title: 'Password', description: 'Any password.', secret: true },
        },
    },
});

const entry = (name: string, mode: string, members: Record<string, unknown>): Record<string, unknown> => ({
    [name]: { display_name: `Test ${name}`, categories: ['other'], auth_mode: mode, ...members },
});

/** A known MCP server. The parameters are those that the catalogue’s entries have. */
export const mcpEntry = (
    name: string,
    server: Endpoints,
    registration: 'static' | 'dynamic' | 'cimd',
    { authorization_params = {}, ...extra }: Record<string, unknown> = {},
): Record<string, unknown> =>
    entry(name, 'MCP_OAUTH2', {
        authorization_url: server.authorizationEndpoint,
        authorization_params: { response_type: 'code', ...(authorization_params as object) },
        token_url: server.tokenEndpoint,
        token_params: { grant_type: 'authorization_code' },
        refresh_params: { grant_type: 'refresh_token' },
        client_registration: registration,
        ...extra,
    });

/** An MCP server whose address is typed in; plain http too, which the egress policy then decides about. */
export const mcpGenericEntry = (name: string): Record<string, unknown> =>
    entry(name, 'MCP_OAUTH2_GENERIC', {
        connection_config: {
            mcp_server_url: {
                type: 'string',
                title: 'MCP server URL',
                description: 'Its address.',
                pattern: '^https?://.*$',
                example: 'https://mcp.example.com',
            },
        },
    });

export const providersFile = (...entries: Record<string, unknown>[]): string => JSON.stringify(Object.assign({}, ...entries));
