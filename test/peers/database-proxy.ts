/** A TCP way to a Postgres server that can be closed: for tests in which the database goes away and comes back. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface DatabaseProxy {
    /** The database's URL, by way of the proxy. */
    url: string;
    /** Ends every connection, and each new one at once. */
    cut(): void;
    restore(): void;
    /** What goes through the connections there are gets lost from now on, as when a machine or a route is gone; new ones work. */
    silence(): void;
    /** Connections that were asked for while it was cut. */
    refused(): number;
    close(): Promise<void>;
}

export async function startDatabaseProxy(databaseUrl: string): Promise<DatabaseProxy> {
    const target = new URL(databaseUrl);
    const sockets = new Set<Socket>();
    let isCut = false;
    let refused = 0;
    const keep = (socket: Socket): Socket => {
        sockets.add(socket);
        socket.on('close', () => sockets.delete(socket));
        socket.on('error', () => {});
        return socket;
    };
    const server = createServer((client) => {
        if (isCut) {
            refused += 1;
            client.destroy();
            return;
        }
        const upstream = keep(connect(Number(target.port), target.hostname));
        keep(client).pipe(upstream).pipe(client);
        client.on('close', () => upstream.destroy());
        upstream.on('close', () => client.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = new URL(databaseUrl);
    url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const silence = (): void =>
        sockets.forEach((socket) => {
            socket.unpipe();
            socket.resume();
        });
    const end = (): void => sockets.forEach((socket) => socket.destroy());
    return {
        url: url.href,
        cut: () => {
            isCut = true;
            end();
        },
        restore: () => {
            isCut = false;
        },
        silence,
        refused: () => refused,
        close: async () => {
            const closed = new Promise((resolve) => server.close(resolve));
            end();
            await closed;
        },
    };
}
