/**
 * Answers that are still on their way when shutdown begins. To Node a connection is idle as soon as its answer was handed over, and closing
 * the server destroys it with whatever the caller has not taken yet: a long list would arrive cut off.
 */
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Sources } from '../sources.ts';

/** Who takes no longer than this gets all of it. */
const patienceMs = 20_000;

export function sendBeforeClosing(app: FastifyInstance, sources: Sources): void {
    const open = new Set<Socket>();
    app.server.on('connection', (socket: Socket) => {
        open.add(socket);
        socket.once('close', () => open.delete(socket));
    });
    app.addHook('preClose', async () => {
        const patience = new AbortController();
        const over = sources.sleep(patienceMs, patience.signal).then(
            () => patience.abort('over'),
            () => {},
        );
        for (let unsent: Socket[]; !patience.signal.aborted && (unsent = [...open].filter((socket) => socket.writableLength > 0)).length > 0;) {
            await Promise.race([over, Promise.all(unsent.map(flushed))]);
        }
        patience.abort('sent');
    });
}

/** What is written behind everything else has gone when that has, or will not go any more. */
const flushed = (socket: Socket): Promise<void> => new Promise((resolve) => socket.write('', () => resolve()));
