/** Calls to the server (frontend contract §2.5, §3.4). Nothing is cached or repeated here. */
import type { FlowStatus, Integration, Provider, Session } from './api-types.ts';

export class ApiError extends Error {
    readonly status: number;
    readonly code: string;

    constructor(status: number, code: string, message: string) {
        super(message);
        this.status = status;
        this.code = code;
    }

    get isExpired(): boolean {
        return this.status === 401;
    }
}

/** The code of a failure that no server has a part in. */
export const networkFailure = 'unknown_error';

export class Api {
    readonly #url: string;
    readonly #language: string;
    token = '';

    /** @param language of the provider's texts (§7.32) */
    constructor(url: string, language: string) {
        this.#url = url;
        this.#language = language === 'en' ? 'en' : `${language}, en;q=0.5`;
    }

    address(path: string): string {
        return `${this.#url}/${path}`;
    }

    session(): Promise<Session> {
        return this.#read('connect/session');
    }

    integrations(): Promise<Integration[]> {
        return this.#read('integrations');
    }

    provider(name: string): Promise<Provider> {
        return this.#read(`providers/${encodeURIComponent(name)}`);
    }

    /** Answers when the state changes, or after `wait` seconds. */
    flow(flowId: string, wait: number): Promise<FlowStatus> {
        return this.#read(`connect/flows/${flowId}?wait=${wait}`);
    }

    /** The session's token is in the path, as the endpoints for browsers have it. */
    async connect(path: string, body: unknown): Promise<{ providerConfigKey: string; connectionId: string; isPending?: boolean }> {
        return (await this.#send(path, { method: 'POST', body })) as { providerConfigKey: string; connectionId: string; isPending?: boolean };
    }

    /** @returns the address at which the flow begins */
    async prepareFlow(body: unknown): Promise<string> {
        const { data } = (await this.#send('oauth/flows', { method: 'POST', body, isBearer: true })) as { data: { url: string } };
        return data.url;
    }

    async #read<T>(path: string): Promise<T> {
        return ((await this.#send(path, { method: 'GET', isBearer: true })) as { data: T }).data;
    }

    /** @throws ApiError */
    async #send(path: string, call: { method: string; body?: unknown; isBearer?: boolean }): Promise<unknown> {
        let response: Response;
        try {
            response = await fetch(this.address(path), {
                method: call.method,
                credentials: 'omit',
                headers: {
                    'Accept-Language': this.#language,
                    ...(call.isBearer ? { Authorization: `Bearer ${this.token}` } : {}),
                    ...(call.method === 'GET' ? {} : { 'Content-Type': 'application/json' }),
                },
                ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
            });
        } catch {
            throw new ApiError(0, networkFailure, '');
        }
        const answer: unknown = await response.json().catch(() => undefined);
        if (!response.ok || answer === undefined) {
            throw failureOf(response.status, answer);
        }
        return answer;
    }
}

function failureOf(status: number, answer: unknown): ApiError {
    const { error } = (answer ?? {}) as { error?: { code?: string; message?: string; errors?: { message?: string }[] } };
    const details = error?.errors?.flatMap(({ message }) => message ?? []).join(' ');
    return new ApiError(status, error?.code ?? networkFailure, error?.message || details || `HTTP ${status}`);
}
