/**
 * An MCP server as far as discovery goes: asks for authorization in a challenge, and publishes whatever documents a test gives it;
 * its own metadata (RFC 9728), and that of an authorization server (RFC 8414) with endpoints that are scripted too.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { listen, readBody } from './http-server.ts';

export interface ScriptedAnswer {
    status?: number;
    headers?: Record<string, string>;
    /** JSON, unless it is text already. */
    body?: unknown;
}

export interface ReceivedRequest {
    method: string;
    /** With its query. */
    path: string;
    headers: IncomingHttpHeaders;
    body: string;
    /** Of a form. */
    params: Record<string, string>;
}

export interface McpServer {
    origin: string;
    /** Where the protocol is spoken. */
    url: string;
    /** Oldest first. */
    requests: ReceivedRequest[];
    requestsTo(path: string): ReceivedRequest[];
    /** By method and path, or by path alone. What has no answer is a 404. */
    answers: Map<string, ScriptedAnswer | ((request: ReceivedRequest) => ScriptedAnswer | Promise<ScriptedAnswer>)>;
    close(): Promise<void>;
}

export async function startMcpServer(path = '/mcp'): Promise<McpServer> {
    const requests: ReceivedRequest[] = [];
    const answers: McpServer['answers'] = new Map();
    const server = await listen((request, response) => {
        void readBody(request).then(async (body) => {
            const received: ReceivedRequest = {
                method: request.method ?? '',
                path: request.url ?? '',
                headers: request.headers,
                body: body.toString(),
                params: Object.fromEntries(new URLSearchParams(body.toString())),
            };
            requests.push(received);
            const plain = received.path.split('?')[0]!;
            const found = answers.get(`${received.method} ${plain}`) ?? answers.get(plain) ?? { status: 404 };
            const { status = 200, headers = {}, body: answer = '' } = typeof found === 'function' ? await found(received) : found;
            response
                .writeHead(status, { 'content-type': 'application/json', ...headers })
                .end(typeof answer === 'string' ? answer : JSON.stringify(answer));
        });
    });
    const origin = `http://127.0.0.1:${server.port}`;
    return {
        origin,
        url: `${origin}${path}`,
        requests,
        requestsTo: (wanted) => requests.filter((request) => request.path.split('?')[0] === wanted),
        answers,
        close: () => server.close(),
    };
}
