/**
 * The official frontend client waits for the popup's outcome on a WebSocket. The outcome's truth is the flow's row; this
 * file carries it to the socket, also when another replica handled the callback (frontend contract §1.8, §7.1).
 */
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { WebSocket } from 'ws';
import { newRandomId, type Sources } from '../sources.ts';
import * as connectFlows from '../store/connect-flows.ts';
import * as flows from '../store/oauth-flows.ts';
import type { ConnectOutcome, Schema } from '../store/schema.ts';

/** Proxies drop connections that are silent for a minute or two. */
const pingEveryMs = 20_000;
const pollEveryMs = 750;
const longestWaitMs = 60 * 60 * 1000;
/** How long shutdown waits for browsers to say goodbye. */
const farewellMs = 1_000;

interface Waiting {
    socket: WebSocket;
    /** The page that runs the SDK; the callback page may talk to nobody else (S8). */
    origin: string | undefined;
    since: number;
    lastPing: number;
    /** Has its outcome; the client closes it, and is not kept waiting if it does not. */
    isServed: boolean;
}

export class OutcomeSockets {
    readonly #dependencies: { db: Kysely<Schema>; sources: Sources; logger: Logger };
    readonly #waiting = new Map<string, Waiting>();
    readonly #stopping = new AbortController();
    #loop: Promise<void> | undefined;

    constructor(dependencies: { db: Kysely<Schema>; sources: Sources; logger: Logger }) {
        this.#dependencies = dependencies;
    }

    /** Greets a socket with its id: a bearer capability for one result, 122 random bits. */
    add(socket: WebSocket, origin: string | undefined): void {
        const { sources, logger } = this.#dependencies;
        if (this.#stopping.signal.aborted) {
            socket.terminate();
            return;
        }
        const id = newRandomId(sources);
        this.#waiting.set(id, { socket, origin, since: sources.now(), lastPing: sources.now(), isServed: false });
        socket.on('close', () => this.#waiting.delete(id));
        socket.on('error', (error) => logger.debug({ err: error }, 'an outcome socket failed'));
        socket.send(JSON.stringify({ message_type: 'connection_ack', ws_client_id: id }));
        this.#loop ??= this.#run();
    }

    /** Where the page that owns this socket lives; `undefined` when another replica holds it. */
    originOf(id: string | undefined): string | undefined {
        return id === undefined ? undefined : this.#waiting.get(id)?.origin;
    }

    /** Sends an outcome at once when this process holds the socket. A missing socket never fails a flow. @returns whether it holds it */
    async deliver(id: string | null | undefined, outcome: ConnectOutcome, flowId?: string): Promise<boolean> {
        const waiting = id ? this.#waiting.get(id) : undefined;
        if (waiting === undefined || waiting.isServed) {
            return waiting !== undefined;
        }
        waiting.isServed = true;
        waiting.socket.send(JSON.stringify(outcomeMessage(outcome)));
        if (flowId !== undefined) {
            const { db, sources, logger } = this.#dependencies;
            // Nobody asks for it again while the socket is served, and the page has its outcome still to show.
            await flows
                .markDelivered(db, flowId, new Date(sources.now()))
                .catch((error: unknown) => logger.error({ err: error, flow: flowId }, 'that an outcome was delivered could not be noted'));
        }
        return true;
    }

    async stop(): Promise<void> {
        this.#stopping.abort();
        const open = [...this.#waiting.values()].map(({ socket }) => socket);
        const closed = Promise.all(open.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
        open.forEach((socket) => socket.close(1001));
        const patience = new AbortController();
        await Promise.race([closed, this.#dependencies.sources.sleep(farewellMs, patience.signal).catch(() => {})]);
        patience.abort();
        // The server's own close waits for every connection: one that does not answer must not hold it.
        open.forEach((socket) => socket.terminate());
        await this.#loop;
    }

    /** Runs only while somebody waits. */
    async #run(): Promise<void> {
        const { sources, logger } = this.#dependencies;
        while (this.#waiting.size > 0 && !this.#stopping.signal.aborted) {
            await sources.sleep(pollEveryMs, this.#stopping.signal).catch(() => {});
            this.#keepAlive(sources.now());
            try {
                const ids = [...this.#waiting].flatMap(([id, { isServed }]) => (isServed ? [] : [id]));
                if (ids.length > 0) {
                    await this.#look(ids);
                }
            } catch (error) {
                logger.error({ err: error }, 'outcomes of redirect flows could not be looked up');
            }
        }
        this.#loop = undefined;
    }

    async #look(ids: readonly string[]): Promise<void> {
        const { db } = this.#dependencies;
        for (const { id, ws_client_id: socketId, outcome } of await flows.undelivered(db, ids)) {
            if (outcome !== null) {
                await this.deliver(socketId, outcome, id);
            }
        }
        // What failed at another replica before there was a flow: kept under the socket's own id.
        for (const { id, outcome } of await connectFlows.read(db, ids)) {
            if (outcome !== null) {
                await this.deliver(id, outcome);
            }
        }
    }

    #keepAlive(now: number): void {
        for (const waiting of this.#waiting.values()) {
            if (now - waiting.since > longestWaitMs) {
                waiting.socket.close(1001);
            } else if (now - waiting.lastPing > pingEveryMs) {
                waiting.lastPing = now;
                waiting.socket.ping();
            }
        }
    }
}

function outcomeMessage(outcome: ConnectOutcome): Record<string, unknown> {
    const { provider_config_key, connection_id } = outcome;
    return outcome.status === 'success'
        ? { message_type: 'success', provider_config_key, connection_id, is_pending: outcome.is_pending ?? false }
        : { message_type: 'error', provider_config_key, connection_id, error_type: outcome.error?.type, error_desc: outcome.error?.description };
}
