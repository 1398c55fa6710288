/** The outcome socket of the official frontend client: one path, exactly, from any origin (frontend contract §1.8). */
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { WebSocketServer } from 'ws';
import type { Config } from '../config.ts';
import { isAllowedAddress } from '../environments/allowed-addresses.ts';
import type { OutcomeSockets } from '../connect/outcome-sockets.ts';
import { subscriberOf } from './rate-limit.ts';

/** Of one subscriber at once. An office, or a proxy that is not trusted to name its clients, is one too; a popup has one each. */
const mostPerSubscriber = 500;

export function acceptSockets(app: FastifyInstance, config: Pick<Config, 'trustedProxies' | 'websocketsPath'>, sockets: OutcomeSockets): void {
    const server = new WebSocketServer({ noServer: true, maxPayload: 1024 });
    const open = new Map<string, number>();
    app.server.on('upgrade', (request, socket, head) => {
        const subscriber = subscriberOf(clientAddress(request, config.trustedProxies));
        const count = open.get(subscriber) ?? 0;
        const refusal =
            request.url?.split('?')[0] !== config.websocketsPath
                ? '400 Bad Request'
                : count >= mostPerSubscriber
                  ? '429 Too Many Requests'
                  : undefined;
        if (refusal !== undefined) {
            // Node leaves the socket to us: without a listener, its reset would end the process.
            socket.on('error', () => {});
            socket.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\n\r\n`);
            return;
        }
        server.handleUpgrade(request, socket, head, (client) => {
            open.set(subscriber, (open.get(subscriber) ?? 0) + 1);
            client.once('close', () => {
                const left = (open.get(subscriber) ?? 1) - 1;
                if (left === 0) {
                    open.delete(subscriber);
                } else {
                    open.set(subscriber, left);
                }
            });
            sockets.add(client, request.headers.origin);
        });
    });
    app.addHook('onClose', () => {
        server.close();
    });
}

/** What `request.ip` is to a request: the first address, from ours outwards, that no trusted proxy has. */
function clientAddress(request: IncomingMessage, trusted: Config['trustedProxies']): string {
    const forwarded = [request.headers['x-forwarded-for'] ?? ''].flat().join(',').split(',');
    const hops = [
        request.socket.remoteAddress ?? '',
        ...forwarded
            .map((address) => address.trim())
            .filter((address) => address !== '')
            .toReversed(),
    ];
    const isTrusted = (address: string, hop: number): boolean => (typeof trusted === 'number' ? hop < trusted : isAllowedAddress(trusted, address));
    return hops.find((address, hop) => hop === hops.length - 1 || !isTrusted(address, hop)) ?? '';
}
