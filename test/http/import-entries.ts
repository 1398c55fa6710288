/** Provider entries of every mode that can be imported, over one account server; and the integrations of those that POST /integrations cannot make. */
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sealIntegrationSecrets, type IntegrationExtras } from '../../src/credentials/integration-secrets.ts';
import { newRowId, systemSources } from '../../src/sources.ts';
import { apiKeyEntry, basicEntry, oauth2Entry } from '../e2e/provider-entries.ts';
import type { TestApp } from './app.ts';

const common = (name: string, mode: string): Record<string, unknown> => ({ display_name: `Test ${name}`, categories: ['other'], auth_mode: mode });

const installed = {
    authorization_url: '${connectionConfig.appPublicLink}/installations/new',
    proxy: { base_url: 'https://api.example.com' },
    connection_config: {
        appPublicLink: { type: 'string', title: 'Link', description: 'Of the app.', format: 'uri', pattern: '^https?://.*$', automated: true },
        installation_id: { type: 'string', title: 'Installation', description: 'Its number.', example: '1', pattern: '^[0-9]+$', automated: true },
    },
};

export const clientCredentialsEntry = (name: string, tokenUrl: string, extra: Record<string, unknown> = {}): Record<string, unknown> => ({
    [name]: { ...common(name, 'OAUTH2_CC'), token_url: tokenUrl, token_params: { grant_type: 'client_credentials' }, ...extra },
});

/** @param url of the account server */
export const everyEntry = (url: string): Record<string, unknown>[] => [
    oauth2Entry('oauth2', { authorizationEndpoint: `${url}/authorize`, tokenEndpoint: `${url}/token` }),
    clientCredentialsEntry('cc', `${url}/token?tenant=7`),
    {
        oauth1: {
            ...common('oauth1', 'OAUTH1'),
            authorization_url: `${url}/authorize`,
            request_url: `${url}/request`,
            token_url: `${url}/token`,
            signature_method: 'HMAC-SHA1',
        },
    },
    apiKeyEntry('keys', url),
    basicEntry('basic', url),
    { none: common('none', 'NONE') },
    {
        tba: {
            ...common('tba', 'TBA'),
            proxy: { base_url: `${url}/\${connectionConfig.accountId}`, verification: { method: 'GET', endpoints: ['/me?limit=1'] } },
            connection_config: {
                accountId: { type: 'string', title: 'Account', description: 'Its id.', pattern: '^[a-zA-Z0-9-_]+$', example: 'a1' },
            },
        },
    },
    { app: { ...common('app', 'APP'), ...installed, token_url: `${url}/app/installations/\${connectionConfig.installation_id}/access_tokens` } },
    {
        custom: {
            ...common('custom', 'CUSTOM'),
            ...installed,
            token_url: { OAUTH2: `${url}/token`, APP: `${url}/custom/\${connectionConfig.installation_id}/access_tokens` },
        },
    },
];

/** PKCS#1, as GitHub hands it out. */
export const appKey = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
});

export interface NewIntegration {
    provider: string;
    key?: string;
    clientId?: string;
    clientSecret?: string;
    scopes?: string;
    extras?: IntegrationExtras;
    environment?: string;
}

/** Straight into the store. @returns its row id */
export async function insertIntegration(test: TestApp, { provider, key = provider, environment = 'dev', ...rest }: NewIntegration): Promise<string> {
    const [found] = await test.query<{ id: string }>('select id from environments where name = $1', [environment]);
    const row = { id: newRowId(systemSources), environment_id: found!.id };
    const sealed = sealIntegrationSecrets(test.vault, row, { clientSecret: rest.clientSecret ?? null, extras: rest.extras ?? {} });
    await test.query(
        `insert into integrations (id, environment_id, unique_key, provider, oauth_client_id, sealed_oauth_client_secret, oauth_scopes, sealed_custom, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, now(), now())`,
        [
            row.id,
            row.environment_id,
            key,
            provider,
            rest.clientId ?? null,
            sealed.sealed_oauth_client_secret,
            rest.scopes ?? null,
            sealed.sealed_custom,
        ],
    );
    return row.id;
}

/** An integration per entry, under the entry's name. */
export async function insertEveryIntegration(test: TestApp): Promise<void> {
    const client = { clientId: 'client', clientSecret: 'client-secret' };
    await insertIntegration(test, { provider: 'oauth2', ...client });
    await insertIntegration(test, { provider: 'cc', scopes: 'a,b' });
    await insertIntegration(test, { provider: 'oauth1', ...client });
    await insertIntegration(test, { provider: 'keys' });
    await insertIntegration(test, { provider: 'basic' });
    await insertIntegration(test, { provider: 'none' });
    await insertIntegration(test, { provider: 'tba', clientId: 'consumer', clientSecret: 'consumer-secret' });
    await insertIntegration(test, { provider: 'app', clientId: '4711', clientSecret: appKey.privateKey, extras: { app_link: 'https://x.example' } });
    await insertIntegration(test, {
        provider: 'custom',
        ...client,
        extras: { app_id: '4712', app_link: 'https://x.example', private_key: appKey.privateKey },
    });
}

export interface AccountRequest {
    method: string | undefined;
    url: string | undefined;
    headers: IncomingHttpHeaders;
    body: string;
}

export interface AccountServer {
    url: string;
    /** Oldest first. */
    requests: AccountRequest[];
    /** What everything is answered with. */
    answer: { status: number; body: unknown };
    /** Happens while somebody waits for an answer. */
    meanwhile?: (() => Promise<void>) | undefined;
    close(): Promise<void>;
}

/** The other side of all these entries: answers whatever it is told to, and remembers what it was asked. */
export async function startAccountServer(): Promise<AccountServer> {
    const server = createServer((request, response) => {
        let body = '';
        request.on('data', (chunk: Buffer) => (body += chunk.toString()));
        request.on('end', async () => {
            account.requests.push({ method: request.method, url: request.url, headers: request.headers, body });
            await account.meanwhile?.();
            response.writeHead(account.answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(account.answer.body));
        });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const account: AccountServer = {
        url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        requests: [],
        answer: { status: 200, body: {} },
        close: () => new Promise((resolve) => server.close(() => resolve())),
    };
    return account;
}
