/** Accounts to connect without a provider behind them: an entry whose keys nobody tests, and the few calls that use it. */
import type { TestApp } from './app.ts';

export const untestedKeyEntry = (name: string): Record<string, unknown> => ({
    [name]: {
        display_name: `Test ${name}`,
        categories: ['other'],
        auth_mode: 'API_KEY',
        proxy: { base_url: 'https://api.example.com' },
        credentials: { apiKey: { type: 'string', title: 'API key', description: 'Any key.', secret: true } },
    },
});

export async function createIntegration(test: TestApp, uniqueKey: string, provider: string, rest: Record<string, unknown> = {}): Promise<void> {
    const answer = await test.call('POST', '/integrations', { body: { provider, unique_key: uniqueKey, ...rest } });
    if (answer.status !== 200) {
        throw new Error(`POST /integrations answered ${answer.status}: ${answer.text}`);
    }
}

/** @returns the session's token. */
export async function createSession(test: TestApp, body: Record<string, unknown> = { end_user: { id: 'user-1' } }, key?: string): Promise<string> {
    const answer = await test.call<{ data: { token: string } }>('POST', '/connect/sessions', { body, ...(key === undefined ? {} : { key }) });
    if (answer.status !== 201) {
        throw new Error(`POST /connect/sessions answered ${answer.status}: ${answer.text}`);
    }
    return answer.body.data.token;
}

/** Connects with an API key. @returns the connection's id. */
export async function connectKey(test: TestApp, integration: string, token: string, apiKey = 'an-account-key', query = ''): Promise<string> {
    const path = `/api-auth/api-key/${encodeURIComponent(integration)}?connect_session_token=${token}${query}`;
    const answer = await test.call<{ connectionId: string }>('POST', path, { key: null, body: { apiKey } });
    if (answer.status !== 200) {
        throw new Error(`POST ${path} answered ${answer.status}: ${answer.text}`);
    }
    return answer.body.connectionId;
}
