/** A revocation endpoint (RFC 7009) that records what it is sent, and answers as it is told. */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { listen, readBody } from './http-server.ts';

export interface RevocationRequest {
    /** With its query. */
    path: string;
    headers: IncomingHttpHeaders;
    /** As it was sent. */
    body: string;
}

export interface RevocationServer {
    url: string;
    /** Oldest first; those that are not answered yet included. */
    requests: RevocationRequest[];
    /** From now on; default: an empty 200. */
    respond(how: (response: ServerResponse, request: RevocationRequest) => void | Promise<void>): void;
    close(): Promise<void>;
}

export const succeed = (response: ServerResponse): void => void response.writeHead(200).end();

export async function startRevocationServer(): Promise<RevocationServer> {
    const requests: RevocationRequest[] = [];
    let answer: Parameters<RevocationServer['respond']>[0] = succeed;
    const server = await listen((incoming, response) => {
        void readBody(incoming).then(async (body) => {
            const request = { path: `${incoming.method} ${incoming.url}`, headers: incoming.headers, body: body.toString() };
            requests.push(request);
            await answer(response, request);
        });
    });
    return {
        url: `http://127.0.0.1:${server.port}`,
        requests,
        respond: (how) => {
            answer = how;
        },
        close: server.close,
    };
}
