/**
 * What the conformance suite is pointed at: any server that speaks this API, named by CONFORMANCE_URL and CONFORMANCE_KEY (an API key
 * with full access to an environment that may be written to; CONFORMANCE_ACCOUNT_KEY adds an account key), else Valetkey,
 * started here with a token server of its own. Everything goes over HTTP; facts that need what only the server started here
 * has say so where they are skipped.
 */
import { randomUUID } from 'node:crypto';
import { env } from 'node:process';
import { afterAll, beforeAll } from 'vitest';
import { oauth2Entry, providersFile } from '../e2e/provider-entries.ts';
import { startTestApp, type TestApp } from '../http/app.ts';
import { startFaultyTokenServer, type FaultyTokenServer } from '../peers/faulty-token-server.ts';

export interface Reply {
    status: number;
    headers: Headers;
    text: string;
    /** The JSON body; `undefined` where there is none. */
    // oxlint-disable-next-line typescript/no-explicit-any -- facts are asserted on whatever comes
    body: any;
}

export interface Request {
    /** JSON; text is sent as it is. */
    body?: unknown;
    /** `null`: no Authorization header. */
    key?: string | null;
    headers?: Record<string, string>;
}

/** What only a server started here has. */
export interface Own {
    app: TestApp;
    tokens: FaultyTokenServer;
}

export const isOwn = env['CONFORMANCE_URL'] === undefined;

export class Target {
    url = env['CONFORMANCE_URL']?.replace(/\/+$/, '') ?? '';
    key = env['CONFORMANCE_KEY'] ?? '';
    accountKey = env['CONFORMANCE_ACCOUNT_KEY'];
    own: Own | undefined;
    readonly #integrations: string[] = [];
    readonly #keys: number[] = [];

    async start(): Promise<void> {
        if (!isOwn) {
            return;
        }
        const tokens = await startFaultyTokenServer();
        const app = await startTestApp({ providers: providersFile(oauth2Entry('faulty', tokens)), waits: { 1_000: 10 } });
        await app.listen();
        this.own = { app, tokens };
        this.url = app.url;
        this.key = app.key;
        this.accountKey = await app.insertKey({ scopes: ['account:*'], environment: null });
    }

    /** Leaves the environment as it was found. */
    async stop(): Promise<void> {
        for (const key of this.#integrations) {
            await this.call('DELETE', `/integrations/${key}`);
        }
        for (const id of this.#keys) {
            await this.call('DELETE', `/environment/api-keys/${id}`);
        }
        await this.own?.app.close();
        await this.own?.tokens.close();
    }

    async call(method: string, path: string, { body, key = this.key, headers = {} }: Request = {}): Promise<Reply> {
        const response = await fetch(this.url + path, {
            method,
            redirect: 'manual',
            headers: {
                ...(key === null ? {} : { authorization: `Bearer ${key}` }),
                ...(body === undefined ? {} : { 'content-type': 'application/json' }),
                ...headers,
            },
            ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        });
        const text = await response.text();
        const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false;
        return { status: response.status, headers: response.headers, text, body: isJson && text !== '' ? JSON.parse(text) : undefined };
    }

    /** @returns the key of a new integration; removed at the end. */
    async integration(provider: string, rest: Record<string, unknown> = {}): Promise<string> {
        const key = `conformance-${randomUUID().slice(0, 8)}`;
        const reply = await this.call('POST', '/integrations', { body: { provider, unique_key: key, ...rest } });
        if (reply.status !== 200) {
            throw new Error(`POST /integrations answered ${reply.status}: ${reply.text}`);
        }
        this.#integrations.push(key);
        return key;
    }

    oauthIntegration(provider = 'github', client = { id: 'a-client', secret: 'a-client-secret' }): Promise<string> {
        return this.integration(provider, { credentials: { type: 'OAUTH2', client_id: client.id, client_secret: client.secret } });
    }

    /** @returns the id of a new connection, imported. */
    async connection(integration: string, rest: Record<string, unknown> = {}): Promise<string> {
        const id = `c-${randomUUID()}`;
        const credentials = { type: 'OAUTH2', access_token: 'an-access-token', refresh_token: 'a-refresh-token' };
        const body = { provider_config_key: integration, connection_id: id, credentials, ...rest };
        const reply = await this.call('POST', '/connections', { body });
        if (reply.status !== 201) {
            throw new Error(`POST /connections answered ${reply.status}: ${reply.text}`);
        }
        return id;
    }

    async session(body: Record<string, unknown> = { tags: {} }): Promise<string> {
        const reply = await this.call('POST', '/connect/sessions', { body });
        if (reply.status !== 201) {
            throw new Error(`POST /connect/sessions answered ${reply.status}: ${reply.text}`);
        }
        return reply.body.data.token as string;
    }

    /** An API key with these scopes only. */
    async keyWith(...scopes: string[]): Promise<string> {
        const reply = await this.call('POST', '/environment/api-keys', { body: { display_name: `conformance ${randomUUID()}`, scopes } });
        if (reply.status !== 200) {
            throw new Error(`POST /environment/api-keys answered ${reply.status}: ${reply.text}`);
        }
        this.#keys.push(reply.body.data.id as number);
        return reply.body.data.secret as string;
    }
}

/** A target for a file of facts. */
export function useTarget(): Target {
    const target = new Target();
    beforeAll(() => target.start());
    afterAll(() => target.stop());
    return target;
}

/** Code and paths of a validation answer. */
export const issuesOf = (reply: Reply): [string, string, string[][]] => [
    `${reply.status} ${reply.body?.error?.code}`,
    (reply.body?.error?.errors ?? []).map((issue: { code: string }) => issue.code).join(' '),
    (reply.body?.error?.errors ?? []).map((issue: { path: string[] }) => issue.path),
];

export const codeOf = (reply: Reply): string => `${reply.status} ${reply.body?.error?.code}`;
