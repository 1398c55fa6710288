/** Where webhooks go: records every request to it, answers as told, and can be down for a while on a port that stays its own. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';

import { freePort } from './free-port.ts';
import { listen, readBody } from './http-server.ts';
import type { HttpServer } from './http-server.ts';

/** A status; `never`: none at all; `cut`: the event is taken, and the connection cut in place of an answer. */
export type Answer = number | 'never' | 'cut';

export interface Delivery {
    /** Milliseconds since the epoch. */
    at: number;
    method: string;
    path: string;
    headers: IncomingHttpHeaders;
    /** Exactly as sent: signatures are over these bytes. */
    body: Buffer;
    status: Answer;
}

export interface WebhookReceiver {
    url: string;
    /** Oldest first. */
    deliveries: readonly Delivery[];
    /** What the next calls get, in order. After them, and without them, 200. */
    answer(...statuses: Answer[]): void;
    /** The first delivery that matches, past ones included; rejects after `timeoutMs`, by default 30 s. */
    waitFor(predicate: (delivery: Delivery) => boolean, timeoutMs?: number): Promise<Delivery>;
    /** Down: connections are refused. What was recorded stays. */
    stop(): Promise<void>;
    /** Up again, on the same port. */
    start(): Promise<void>;
    close(): Promise<void>;
}

export async function startWebhookReceiver(host = '127.0.0.1'): Promise<WebhookReceiver> {
    const deliveries: Delivery[] = [];
    const script: Answer[] = [];
    const watchers = new Set<(delivery: Delivery) => void>();

    async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
        const at = Date.now();
        const body = await readBody(request);
        const status = script.shift() ?? 200;
        const { method = '', url = '', headers } = request;
        const delivery: Delivery = { at, method, path: url, headers, body, status };
        deliveries.push(delivery);
        if (status === 'cut') request.socket.destroy();
        else if (status !== 'never') response.writeHead(status).end();
        for (const watch of watchers) watch(delivery);
    }

    // A sender that gives up halfway through its body has delivered nothing.
    const open = (port: number) => listen((request, response) => void receive(request, response).catch(() => {}), host, port);
    // Nobody is given this port while it is down.
    const port = await freePort();
    let server: HttpServer | undefined = await open(port);

    async function stop(): Promise<void> {
        await server?.close();
        server = undefined;
    }

    return {
        url: `http://${host}:${port}/`,
        deliveries,
        answer: (...statuses) => {
            script.push(...statuses);
        },
        waitFor: (predicate, timeoutMs = 30_000) => {
            const past = deliveries.find(predicate);
            if (past) return Promise.resolve(past);
            return new Promise((resolve, reject) => {
                const watch = (delivery: Delivery) => {
                    if (!predicate(delivery)) return;
                    watchers.delete(watch);
                    clearTimeout(timer);
                    resolve(delivery);
                };
                const timer = setTimeout(() => {
                    watchers.delete(watch);
                    const received = deliveries.map(describe).join('\n') || 'none';
                    reject(new Error(`no matching delivery within ${timeoutMs} ms; received: ${received}`));
                }, timeoutMs);
                watchers.add(watch);
            });
        },
        stop,
        start: async () => {
            server ??= await open(port);
        },
        close: stop,
    };
}

function describe({ method, path, status, body }: Delivery): string {
    return `${method} ${path} ${status} ${body.toString().slice(0, 200)}`;
}
