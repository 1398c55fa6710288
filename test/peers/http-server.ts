/** The few lines of `node:http` that every HTTP peer shares: listen on a port, read a body, close without waiting. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HttpServer {
    port: number;
    /** Cuts open connections, frees the port. */
    close(): Promise<void>;
}

/** @param port 0 lets the system choose. */
export async function listen(handler: RequestListener, host = '127.0.0.1', port = 0): Promise<HttpServer> {
    const server = createServer(handler);
    server.listen(port, host);
    await once(server, 'listening');
    return {
        port: (server.address() as AddressInfo).port,
        close: async () => {
            const closed = new Promise((resolve) => server.close(resolve));
            server.closeAllConnections();
            await closed;
        },
    };
}

/** The whole request body, exactly as it came. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
}
