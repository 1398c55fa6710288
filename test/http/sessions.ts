/** What tests of connect sessions look at. */
import { expect } from 'vitest';
import { connectKey, createSession } from './accounts.ts';
import type { Answer, TestApp } from './app.ts';

export interface Connection {
    tags: Record<string, string>;
    end_user: unknown;
    metadata: unknown;
    connection_config: Record<string, unknown>;
    webhook_url_override: string | null;
    credentials: unknown;
}

export const create = (valetkey: TestApp, body: unknown): Promise<Answer<{ data: { token: string; connect_link: string; expires_at: string } }>> =>
    valetkey.call('POST', '/connect/sessions', { body });

/** Code and path of each. */
export const issues = (answer: Answer<unknown>): unknown =>
    (answer.body as { error: { errors?: { code: string; path: string[] }[] } }).error.errors?.map(({ code, path }) => [code, path]);

export async function readSession(valetkey: TestApp, token: string): Promise<Record<string, unknown>> {
    const answer = await valetkey.call<{ data: Record<string, unknown> }>('GET', '/connect/session', { key: token });
    expect(answer.status, answer.text).toBe(200);
    return answer.body.data;
}

export const readConnection = async (valetkey: TestApp, id: string, integration = 'keys'): Promise<Connection> =>
    (await valetkey.call<Connection>('GET', `/connections/${id}?provider_config_key=${integration}`)).body;

/** The tags that a session with this body gives its connection. */
export const tagsOf = async (valetkey: TestApp, body: Record<string, unknown>): Promise<Record<string, string>> =>
    (await readConnection(valetkey, await connectKey(valetkey, 'keys', await createSession(valetkey, body)))).tags;
