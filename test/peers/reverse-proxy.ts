/**
 * A reverse proxy or load balancer, as installations have one in front: strips a base path, sends each request where a test wants it,
 * and writes down in which order things came through. Sockets are passed on byte by byte, pings included.
 */
import { once } from 'node:events';
import { createServer, request as send, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';

export interface ReverseProxy {
    /** With the base path, without a slash at its end. */
    url: string;
    /**
     * Oldest first: `GET /path` when a request was passed on, `200 /path` when the answer has left, `socket /path`, `frame <type>` for a
     * message of the server, `ping` and `pong`.
     */
    journal: string[];
    close(): Promise<void>;
}

export interface ReverseProxyOptions {
    /** An http URL without a path. */
    upstream: (request: { path: string; isSocket: boolean }) => string;
    /** Such as `/base`: taken off. What is not below it is 404. */
    basePath?: string;
}

export async function startReverseProxy({ upstream, basePath = '' }: ReverseProxyOptions): Promise<ReverseProxy> {
    const journal: string[] = [];
    const sockets = new Set<Socket>();

    const inner = ({ url = '/' }: IncomingMessage): string | undefined =>
        url.startsWith(`${basePath}/`) ? url.slice(basePath.length) : url === basePath ? '/' : undefined;

    const server = createServer((request, response) => {
        const target = inner(request);
        if (target === undefined) {
            response.writeHead(404).end();
            return;
        }
        const path = pathOf(target);
        journal.push(`${request.method} ${path}`);
        const { hostname, port } = new URL(upstream({ path, isSocket: false }));
        const passed = send({ hostname, port, path: target, method: request.method, headers: request.headers, agent: false }, (answer) => {
            journal.push(`${answer.statusCode} ${path}`);
            response.writeHead(answer.statusCode ?? 502, answer.headers);
            answer.pipe(response);
            answer.on('error', () => response.destroy());
        });
        passed.on('error', () => {
            if (response.headersSent) response.destroy();
            else response.writeHead(502, { 'access-control-allow-origin': '*' }).end();
        });
        response.on('close', () => passed.destroy());
        request.pipe(passed);
    });

    server.on('upgrade', (request: IncomingMessage, client: Socket, head: Buffer) => {
        const target = inner(request);
        if (target === undefined) {
            client.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n');
            return;
        }
        const path = pathOf(target);
        journal.push(`socket ${path}`);
        const { hostname, port } = new URL(upstream({ path, isSocket: true }));
        const server = connect(Number(port), hostname, () => {
            const lines = request.rawHeaders.flatMap((_, index, all) => (index % 2 === 0 ? [`${all[index]}: ${all[index + 1]}`] : []));
            server.write([`GET ${target} HTTP/1.1`, ...lines, '', ''].join('\r\n'));
            server.write(head);
            server.pipe(client).pipe(server);
        });
        // The outcome socket's messages are short: each is a chunk with one frame, or a few (RFC 6455 §5.2).
        server.on('data', (chunk: Buffer) => {
            for (const [, type] of chunk.toString('latin1').matchAll(/"message_type":"(\w+)"/g)) journal.push(`frame ${type}`);
            if (chunk[0] === 0x89) journal.push('ping');
        });
        client.on('data', (chunk: Buffer) => {
            if (chunk[0] === 0x8a) journal.push('pong');
        });
        for (const [socket, other] of [
            [client, server],
            [server, client],
        ] as const) {
            sockets.add(socket);
            socket.on('error', () => {});
            socket.on('close', () => {
                sockets.delete(socket);
                other.destroy();
            });
        }
    });

    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return {
        url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${basePath}`,
        journal,
        close: async () => {
            const closed = new Promise((resolve) => server.close(resolve));
            sockets.forEach((socket) => socket.destroy());
            server.closeAllConnections();
            await closed;
        },
    };
}

const pathOf = (target: string): string => target.split('?', 1)[0]!;
