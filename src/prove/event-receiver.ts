/** The backend that gets the webhooks, and is out of order now and then. */
import type { AddressInfo } from 'node:net';
import fastify from 'fastify';
import type { Dice } from './seed.ts';

export interface ReceivedEvent {
    operation: string;
    success: boolean;
    connectionId: string;
}

export interface EventReceiver {
    url: string;
    /** What was accepted, by `webhook-id`. */
    events: ReadonlyMap<string, ReceivedEvent>;
    /** Deliveries of an event that had been accepted before. */
    duplicates(): number;
    /** From now on every delivery is accepted. */
    clearUp(): void;
    close(): Promise<void>;
}

export async function startEventReceiver(dice: Dice): Promise<EventReceiver> {
    const events = new Map<string, ReceivedEvent>();
    let duplicates = 0;
    let isMoody = true;
    const server = fastify({ logger: false, forceCloseConnections: true });
    server.post('/webhooks', async (request, reply) => {
        if (isMoody && dice.happens(0.1)) {
            return reply.code(500).send({});
        }
        const id = String(request.headers['webhook-id']);
        duplicates += events.has(id) ? 1 : 0;
        events.set(id, request.body as ReceivedEvent);
        if (isMoody && dice.happens(0.05)) {
            // Accepted, but the sender does not hear of it.
            request.raw.socket.destroy();
        }
        return reply.code(200).send({});
    });
    await server.listen({ host: '127.0.0.1', port: 0 });
    return {
        url: `http://127.0.0.1:${(server.server.address() as AddressInfo).port}/webhooks`,
        events,
        duplicates: () => duplicates,
        clearUp: () => {
            isMoody = false;
        },
        close: () => server.close(),
    };
}
