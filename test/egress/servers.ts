/** Real servers on loopback for the egress tests; everything is closed after each test. */
import { createServer as createHttp } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { createServer as createTcp } from 'node:net';
import type { AddressInfo, Server as TcpServer, Socket } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterEach } from 'vitest';
import { createEgress, EgressError } from '../../src/egress/egress.ts';
import type { Egress, Resolve } from '../../src/egress/egress.ts';
import { systemSources } from '../../src/sources.ts';
import type { Sources } from '../../src/sources.ts';
import type { ServerCertificate } from './certificate.ts';

const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) {
        await cleanup();
    }
});

export function onCleanup(cleanup: () => Promise<void> | void): void {
    cleanups.push(cleanup);
}

/** An egress that may reach loopback. */
export function loopbackEgress(options: { allow?: readonly string[]; sources?: Sources; resolve?: Resolve } = {}): Egress {
    const egress = createEgress({ allow: ['127.0.0.0/8'], sources: systemSources, userAgent: 'valetkey-test', ...options });
    onCleanup(() => egress.close());
    return egress;
}

/** Trusted like a public authority until the end of the test. */
export function trust(certificate: ServerCertificate): void {
    const authorities = getCACertificates('default');
    setDefaultCACertificates([...authorities, certificate.cert]);
    onCleanup(() => setDefaultCACertificates(authorities));
}

export interface Listening {
    port: number;
    /** `http://127.0.0.1:<port>` or https. */
    origin: string;
    /** Connections accepted so far. */
    connections: Socket[];
}

async function listen(server: Server | TcpServer, scheme: string, host: string): Promise<Listening> {
    const connections: Socket[] = [];
    server.on('connection', (socket: Socket) => connections.push(socket.on('error', () => {})));
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    onCleanup(
        () =>
            new Promise<void>((resolve) => {
                for (const socket of connections) socket.destroy();
                server.close(() => resolve());
            }),
    );
    const { port } = server.address() as AddressInfo;
    return { port, origin: `${scheme}://${host}:${port}`, connections };
}

export function httpServer(listener: RequestListener, host = '127.0.0.1'): Promise<Listening> {
    return listen(createHttp(listener), 'http', host);
}

export function httpsServer(certificate: ServerCertificate, listener: RequestListener): Promise<Listening> {
    return listen(createHttps(certificate, listener), 'https', '127.0.0.1');
}

export function tcpServer(onConnection: (socket: Socket) => void): Promise<Listening> {
    return listen(createTcp(onConnection), 'http', '127.0.0.1');
}

/** A loopback port where nobody listens any more. */
export async function refusingPort(): Promise<number> {
    const server = createTcp();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    return port;
}

/** The error of a call that must fail. */
export async function failureOf(call: Promise<unknown>): Promise<EgressError> {
    const outcome = await call.then(
        () => undefined,
        (error: unknown) => error,
    );
    if (!(outcome instanceof EgressError)) throw new Error(`expected an EgressError, got ${String(outcome)}`);
    return outcome;
}
