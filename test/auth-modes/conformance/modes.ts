/** What the conformance suite knows of each mode. Another mode is another entry here, and a line in `auth-modes/index.ts`. */

export interface ModeFixture {
    /** A provider of the catalogue that has the mode. */
    provider: string;
    /** Members of the credentials, as auth-modes §1.1 has them: each of these, and none but these. */
    members: readonly string[];
    /** Some of those may be missing. */
    optional?: readonly string[];
    /** What the mode makes anew, and when. `none`: it is the same for ever. */
    renewal: 'refresh token' | 'repeated' | 'signed here' | 'none';
    /** Whether somebody looks at what is typed in. */
    isProved: boolean;
    /** It is looked at by a call to the provider's API, which says nothing while that is down (A3). */
    isTested?: true;
    /** What `POST /connections` takes besides the type; absent: the reference's import has no such type, and neither has this one. */
    imported?: (samples: Readonly<Record<string, string>>) => Record<string, unknown>;
}

const oauth2 = ['type', 'access_token', 'refresh_token', 'expires_at', 'raw'];

export const fixtures: Readonly<Record<string, ModeFixture>> = {
    OAUTH2: {
        provider: 'hubspot',
        members: oauth2,
        renewal: 'refresh token',
        isProved: true,
        imported: () => ({ type: 'OAUTH2', access_token: 'a', refresh_token: 'r', expires_at: '2040-01-01T00:00:00Z' }),
    },
    MCP_OAUTH2: {
        provider: 'linear-mcp',
        members: oauth2,
        renewal: 'refresh token',
        isProved: true,
        imported: () => ({ type: 'OAUTH2', access_token: 'a', expires_at: '2040-01-01T00:00:00Z' }),
    },
    MCP_OAUTH2_GENERIC: { provider: 'mcp-generic', members: oauth2, renewal: 'refresh token', isProved: true },
    OAUTH1: {
        provider: 'twitter',
        members: ['type', 'oauth_token', 'oauth_token_secret', 'raw'],
        renewal: 'none',
        isProved: true,
        imported: () => ({ type: 'OAUTH1', oauth_token: 't', oauth_token_secret: 's' }),
    },
    OAUTH2_CC: {
        provider: 'zoom-cc',
        members: ['type', 'token', 'client_id', 'client_secret', 'expires_at', 'raw'],
        renewal: 'repeated',
        isProved: true,
        imported: ({ client_id, client_secret }) => ({ type: 'OAUTH2_CC', token: 't', client_id, client_secret }),
    },
    API_KEY: {
        provider: 'github-pat',
        members: ['type', 'apiKey'],
        renewal: 'none',
        isProved: true,
        isTested: true,
        imported: ({ apiKey }) => ({ type: 'API_KEY', apiKey }),
    },
    BASIC: {
        provider: 'bamboohr-basic',
        members: ['type', 'username', 'password'],
        renewal: 'none',
        isProved: true,
        isTested: true,
        imported: ({ username, password }) => ({ type: 'BASIC', username, password }),
    },
    NONE: { provider: 'unauthenticated', members: [], renewal: 'none', isProved: false, imported: () => ({ type: 'NONE' }) },
    TBA: {
        provider: 'netsuite-tba',
        members: ['type', 'token_id', 'token_secret', 'config_override'],
        renewal: 'none',
        isProved: false,
        imported: ({ token_id, token_secret }) => ({ type: 'TBA', token_id, token_secret }),
    },
    JWT: {
        provider: 'apple-app-store',
        members: ['type', 'token', 'expires_at', 'issuerId', 'privateKeyId', 'privateKey'],
        renewal: 'signed here',
        isProved: false,
        imported: (credentials) => ({ type: 'JWT', ...credentials }),
    },
    SIGNATURE: {
        provider: 'emarsys',
        members: ['type', 'username', 'password', 'token', 'expires_at'],
        renewal: 'signed here',
        isProved: true,
        isTested: true,
        imported: ({ username, password }) => ({ type: 'SIGNATURE', username, password }),
    },
    TWO_STEP: {
        provider: 'tableau',
        members: ['type', 'token', 'expires_at', 'raw', 'pat', 'secret', 'contentUrl'],
        optional: ['contentUrl'],
        renewal: 'repeated',
        isProved: true,
        imported: (credentials) => ({ type: 'TWO_STEP', ...credentials }),
    },
    BILL: {
        provider: 'bill',
        members: ['type', 'username', 'password', 'organization_id', 'dev_key', 'session_id', 'user_id', 'expires_at', 'raw'],
        renewal: 'repeated',
        isProved: true,
        imported: ({ username, password, organization_id, dev_key }) => ({ type: 'BILL', username, password, organization_id, dev_key }),
    },
    AWS_SIGV4: {
        provider: 'aws-sigv4',
        members: ['type', 'role_arn', 'region', 'service', 'access_key_id', 'secret_access_key', 'session_token', 'expires_at', 'external_id', 'raw'],
        renewal: 'repeated',
        isProved: true,
        imported: ({ role_arn }) => ({ type: 'AWS_SIGV4', role_arn }),
    },
    APP: { provider: 'github-app', members: ['type', 'access_token', 'expires_at', 'raw', 'jwtToken'], renewal: 'repeated', isProved: true },
    CUSTOM: { provider: 'github-app-oauth', members: ['type', 'access_token', 'expires_at', 'raw', 'jwtToken'], renewal: 'repeated', isProved: true },
    INSTALL_PLUGIN: { provider: 'crisp-plugin-install', members: ['type', 'username', 'password'], renewal: 'none', isProved: true, isTested: true },
};
