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

const installed = {
    authorization_url: '${connectionConfig.appPublicLink}/installations/new',
    connection_config: {
        appPublicLink: {
            type: 'string',
            title: 'App Public Link',
            description: 'Where the app is installed.',
            format: 'uri',
            pattern: '^https?://.*$',
            automated: true,
        },
        installation_id: { type: 'string', title: 'Installation ID', description: 'Its number.', example: '38631545', automated: true },
    },
};

/** `github-app` as the catalogue's facts have it, at another address. */
export const githubAppEntry = (name: string, url: string): Record<string, unknown> => ({
    [name]: {
        display_name: 'GitHub (App)',
        categories: ['dev-tools'],
        auth_mode: 'APP',
        ...installed,
        token_url: `${url}/app/installations/\${connectionConfig.installation_id}/access_tokens`,
        proxy: { base_url: url },
    },
});

/** `github-app-oauth` likewise. */
export const githubAppOauthEntry = (name: string, url: string): Record<string, unknown> => ({
    [name]: {
        display_name: 'GitHub (App OAuth)',
        categories: ['dev-tools'],
        auth_mode: 'CUSTOM',
        ...installed,
        authorization_url_skip_encode: ['base_url'],
        token_url: { OAUTH2: `${url}/login/oauth/access_token`, APP: `${url}/app/installations/\${connectionConfig.installation_id}/access_tokens` },
        proxy: { base_url: url },
    },
});

/** `crisp-plugin-install` likewise. */
export const crispEntry = (name: string, url: string): Record<string, unknown> => ({
    [name]: {
        display_name: 'Crisp (Plugin Install)',
        categories: ['support'],
        auth_mode: 'INSTALL_PLUGIN',
        auth_type: 'BASIC',
        redirect_uri_metadata: ['website_id'],
        proxy: {
            base_url: url,
            headers: { 'x-crisp-tier': 'plugin' },
            verification: { method: 'GET', endpoints: ['/v1/plugin/connect/account'] },
        },
    },
});

/** `sentry-oauth` likewise, but for its token answers, which are an exception of their own. */
export const outboundEntry = (name: string, url: string): Record<string, unknown> => ({
    [name]: {
        display_name: 'Sentry (Public Integrations)',
        categories: ['dev-tools'],
        installation: 'outbound',
        auth_mode: 'OAUTH2',
        authorization_code_param_in_webhook: 'data.installation.code',
        token_url: `${url}/api/0/sentry-app-installations/\${connectionConfig.installation.uuid}/authorizations/`,
        webhook_response_metadata: ['installation.uuid'],
        proxy: { base_url: 'https://${connectionConfig.hostname}/api', connection_config: { actor: '${connectionConfig.actor}' } },
        connection_config: {
            hostname: {
                type: 'string',
                title: 'Hostname',
                description: 'Of the organisation.',
                format: 'hostname',
                enum: ['sentry.io', 'us.sentry.io', 'eu.sentry.io', 'de.sentry.io'],
                order: 1,
            },
            actor: { type: 'string', title: 'User ID', description: 'Yours.', example: '1' },
            'installation.uuid': { type: 'string', title: 'Installation', description: 'Its id.', example: 'a', automated: true },
        },
    },
});
