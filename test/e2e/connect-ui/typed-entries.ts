/** Providers of every mode whose credentials the official frontend client posts, over one account server (frontend contract §1.6). */
const text = { type: 'string' };

const entry = (name: string, auth_mode: string, members: Record<string, unknown>): Record<string, unknown> => ({
    [name]: { display_name: `Test ${name}`, categories: ['other'], auth_mode, ...members },
});

const asked = (url: string, headers: Record<string, string> = {}) => ({
    proxy: { base_url: url, headers, verification: { method: 'GET', endpoints: ['/me'] } },
});

/** @param url of the account server */
export const typedEntries = (url: string): Record<string, unknown>[] => [
    entry('two-step', 'TWO_STEP', {
        token_url: `${url}/login`,
        token_params: { client: '${credentials.client_id}', secret: '${credentials.client_secret}' },
        token_headers: { 'content-type': 'application/json' },
        token_response: { token: 'token' },
        credentials: { client_id: { ...text, title: 'Client' }, client_secret: { ...text, title: 'Secret', secret: true } },
        ...asked(url),
    }),
    entry('signature', 'SIGNATURE', {
        signature: { protocol: 'WSSE' },
        token: { expires_in_ms: 300_000 },
        credentials: { username: { ...text, title: 'ID' }, password: { ...text, title: 'Secret', secret: true } },
        ...asked(url, { 'x-wsse': '${accessToken}' }),
    }),
    entry('aws', 'AWS_SIGV4', {
        credentials: { role_arn: { ...text, title: 'IAM Role ARN' } },
        connection_config: { region: { ...text, optional: true }, service: { ...text, automated: true } },
        proxy: { base_url: 'https://${connectionConfig.service}.${connectionConfig.region}.amazonaws.com' },
        integration_config: { service: text, stsMode: { ...text, optional: true }, stsEndpointUrl: { ...text, optional: true } },
    }),
    entry('bill', 'BILL', { token_url: `${url}/login`, proxy: { base_url: url } }),
    entry('jwt', 'JWT', {
        signature: { protocol: 'HMAC' },
        token: {
            signing_key: '${credentials.privateKey.secret}',
            expires_in_ms: 300_000,
            header: { alg: 'HS256', kid: '${credentials.privateKey.id}' },
            payload: { aud: '/admin/' },
        },
        credentials: { privateKey: { ...text, title: 'API Key', pattern: '^[a-fA-F0-9]{24}:[a-fA-F0-9]{64}$', secret: true } },
        ...asked(url, { authorization: 'Ghost ${accessToken}' }),
    }),
    entry('tba', 'TBA', { ...asked(url), connection_config: { accountId: { ...text, title: 'Account ID' } } }),
    entry('cc', 'OAUTH2_CC', { token_url: `${url}/token`, token_params: { grant_type: 'client_credentials' } }),
    entry('outbound', 'OAUTH2', {
        installation: 'outbound',
        authorization_code_param_in_webhook: 'code',
        token_url: `${url}/token`,
        connection_config: { actor: { ...text, title: 'Actor' } },
        proxy: { base_url: url, connection_config: { actor: '${connectionConfig.actor}' } },
    }),
    entry('open', 'NONE', {}),
];
