/** Login endpoints of a product: each path is answered by what a test sets for it, and every request is kept. */
import type { IncomingHttpHeaders } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { listen, readBody } from './http-server.ts';

export interface LoginRequest {
    method: string;
    path: string;
    query: Record<string, string>;
    headers: IncomingHttpHeaders;
    body: string;
    /** Of a form. */
    form: Record<string, string>;
    /** Of a JSON body. */
    json: unknown;
}

export interface LoginReply {
    status?: number;
    headers?: Record<string, string | string[]>;
    /** JSON, unless it is text already. */
    body?: unknown;
}

/** `hang-up`: closes the connection; `silence`: never answers. */
export type LoginHandler = (request: LoginRequest) => LoginReply | 'hang-up' | 'silence' | Promise<LoginReply>;

export interface LoginServer {
    url: string;
    /** Oldest first. */
    requests: LoginRequest[];
    /** By path. What has none is 404. */
    handlers: Map<string, LoginHandler>;
    close(): Promise<void>;
}

export async function startLoginServer(): Promise<LoginServer> {
    const requests: LoginRequest[] = [];
    const handlers = new Map<string, LoginHandler>();
    const server = await listen(async (incoming, response) => {
        const url = new URL(incoming.url ?? '/', 'http://login.invalid');
        const body = (await readBody(incoming)).toString('utf8');
        const request: LoginRequest = {
            method: incoming.method ?? '',
            path: url.pathname,
            query: Object.fromEntries(url.searchParams),
            headers: incoming.headers,
            body,
            form: Object.fromEntries(new URLSearchParams(body)),
            json: parsed(body),
        };
        requests.push(request);
        const reply = await (handlers.get(request.path) ?? ((): LoginReply => ({ status: 404, body: { message: 'no such login' } })))(request);
        if (reply === 'hang-up') {
            response.destroy();
            return;
        }
        if (reply === 'silence') {
            await delay(60_000, undefined, { ref: false });
            return;
        }
        const isText = typeof reply.body === 'string';
        response
            .writeHead(reply.status ?? 200, { 'content-type': isText ? 'text/plain' : 'application/json', ...reply.headers })
            .end(isText ? reply.body : JSON.stringify(reply.body ?? {}));
    });
    return { url: `http://127.0.0.1:${server.port}`, requests, handlers, close: server.close };
}

function parsed(body: string): unknown {
    try {
        return JSON.parse(body) as unknown;
    } catch {
        return undefined;
    }
}
