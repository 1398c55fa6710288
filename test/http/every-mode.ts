/** A provider of every auth mode that keeps something on its integrations, for tests of integrations. */
import { basicEntry, oauth2Entry, providersFile } from '../e2e/provider-entries.ts';
import { untestedKeyEntry } from './accounts.ts';
import type { Answer } from './app.ts';

const urls = { authorization_url: 'https://auth.example.com/authorize', token_url: 'https://auth.example.com/token' };
const server = { authorizationEndpoint: urls.authorization_url, tokenEndpoint: urls.token_url };
const text = { type: 'string' };

const entry = (name: string, auth_mode: string, members: Record<string, unknown>): Record<string, unknown> => ({
    [name]: { display_name: `Test ${name}`, categories: ['other'], auth_mode, ...members },
});

/** Settings of every kind: demanded, chosen, patterned, addressed, optional, defaulted, and visible only after a choice. */
export const settings = {
    keyPlacement: { ...text, title: 'Placement', enum: ['header', 'query'] },
    keyName: { ...text, pattern: '^[A-Za-z-]+$', visible_when: { field: 'keyPlacement', equals: 'header' } },
    keyPrefix: { ...text, visible_when: { field: 'keyName', equals: 'Authorization' } },
    baseUrl: { ...text, format: 'uri', optional: true },
    keyLabel: { ...text, optional: true },
    timeout: { ...text, pattern: '^[0-9]+$', default_value: '30' },
};

export const everyMode = (): string =>
    providersFile(
        untestedKeyEntry('keys'),
        basicEntry('basic', 'https://api.example.com'),
        oauth2Entry('oauth', server, { docs: 'https://docs.example.com/oauth' }),
        oauth2Entry('scoped', server, { default_scopes: ['read', 'write'] }),
        entry('oauth1', 'OAUTH1', { ...urls, request_url: 'https://auth.example.com/request', signature_method: 'HMAC-SHA1' }),
        entry('tba', 'TBA', {}),
        entry('app', 'APP', urls),
        entry('custom', 'CUSTOM', { ...urls, token_url: { OAUTH2: urls.token_url, APP: 'https://auth.example.com/app' } }),
        entry('mcp', 'MCP_OAUTH2', { ...urls, client_registration: 'static' }),
        entry('set-up', 'API_KEY', { credentials: { apiKey: { ...text, secret: true } }, integration_config: settings }),
        entry('two-step', 'TWO_STEP', {
            token_url: urls.token_url,
            token_response: { token: 'token' },
            credentials: { company: text },
            integration_config: { sender: { ...text, optional: true }, password: { ...text, optional: true, secret: true } },
        }),
    );

/** Shaped like keys, which is all that is asked of them here. */
export const pem = '-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAKj34Gkx\n-----END RSA PRIVATE KEY-----';
export const pkcs8 = '-----BEGIN PRIVATE KEY-----\nMIIBVQIBADANBgkqhkiG\n-----END PRIVATE KEY-----';

/** What each mode takes, by the name of its provider. */
export const credentialsOf = {
    oauth: { type: 'OAUTH2', client_id: 'id', client_secret: 'a-client-secret' },
    oauth1: { type: 'OAUTH1', client_id: 'consumer', client_secret: 'a-consumer-secret' },
    tba: { type: 'TBA', client_id: 'consumer', client_secret: 'a-consumer-secret' },
    mcp: { type: 'OAUTH2', client_id: 'registered', client_secret: 'a-client-secret' },
    app: { type: 'APP', app_id: '17', app_link: 'https://apps.example.com/17', private_key: pem },
    custom: {
        type: 'CUSTOM',
        client_id: 'id',
        client_secret: 'a-client-secret',
        app_id: '17',
        app_link: 'https://apps.example.com/17',
        private_key: pem,
    },
} as const;

/** Code and path of each issue; `undefined`: none, as in an answer of shape B. */
export const issues = (answer: Answer<unknown>): [string, string[]][] | undefined =>
    (answer.body as { error: { errors?: { code: string; path: string[] }[] } }).error.errors?.map(({ code, path }) => [code, path]);

export const codeOf = (answer: Answer<unknown>): unknown => (answer.body as { error?: { code?: unknown } }).error?.code;
