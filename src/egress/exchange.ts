/** One request and its response on one connection: no redirects, no deadline of its own, never sent twice. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Agent, Client, Pool } from 'undici';
import type { Dispatcher, buildConnector } from 'undici';
import type { Sources } from '../sources.ts';
import { decodeBody } from './body.ts';
import { EgressError, systemCode } from './egress-error.ts';
import type { EgressErrorCode } from './egress-error.ts';

export interface Hop {
    /** Judged by the policy. */
    url: URL;
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
    /** Checked, names in lower case. */
    headers: Readonly<Record<string, string>>;
    body: string | Uint8Array | undefined;
}

export interface EgressResponse {
    status: number;
    /** Names in lower case, repeated fields joined by `, `, except `set-cookie`, which cannot be joined (RFC 9110 §5.3). */
    headers: Readonly<Record<string, string>>;
    /** The `set-cookie` fields, in order. */
    setCookies: readonly string[];
    /** Decompressed. */
    body: Buffer;
    /** Clock reading just before the request was written, ms. */
    requestedAt: number;
    /** Clock reading when the response's header section had arrived, ms. */
    receivedAt: number;
    /** Address that answered. */
    remoteAddress: string | undefined;
}

/** A response handler that is told which connection serves it. */
interface Handler extends Dispatcher.DispatchHandler {
    peer?: Peer;
}
interface Peer {
    address: string | undefined;
}

/** undici does not tell a handler whom it talks to; a Client has one connection at a time, so it can. */
class PeerClient extends Client {
    readonly #peer: Peer;

    constructor(origin: URL, options: Client.Options, connect: buildConnector.connector) {
        const peer: Peer = { address: undefined };
        super(origin, {
            ...options,
            connect: (target, callback) =>
                connect(target, (...outcome) => {
                    peer.address = outcome[1]?.remoteAddress;
                    callback(...outcome);
                }),
        });
        this.#peer = peer;
    }

    override dispatch(options: Dispatcher.DispatchOptions, handler: Handler): boolean {
        handler.peer = this.#peer;
        return super.dispatch(options, handler);
    }
}

/**
 * Keep-alive pools, one per origin. A pooled connection was made to a checked address; a new one asks the connector again.
 * Idle connections live 4 s unless the server says otherwise: a request written just as the server hangs up is ambiguous, and most
 * servers wait 5 s or more.
 */
export function createAgent(connect: buildConnector.connector): Agent {
    return new Agent({
        allowH2: false,
        pipelining: 1,
        keepAliveTimeout: 4_000,
        keepAliveMaxTimeout: 60_000,
        // The caller's deadline covers both.
        headersTimeout: 0,
        bodyTimeout: 0,
        factory: (origin, options) =>
            new Pool(origin, {
                ...(options as Pool.Options),
                factory: (url, clientOptions) => new PeerClient(url, clientOptions, connect),
            }),
    });
}

/** `stop` aborts with an EgressErrorCode as its reason. Rejects with EgressError only. */
export function exchange(
    agent: Agent,
    hop: Hop,
    options: { sources: Sources; stop: AbortSignal; maxResponseBytes: number; oversize: 'reject' | 'truncate' },
): Promise<EgressResponse> {
    const { sources, stop, maxResponseBytes } = options;
    const { promise, resolve, reject } = Promise.withResolvers<EgressResponse>();
    let controller: Dispatcher.DispatchController | undefined; // set once undici is about to write the request
    let requestedAt = 0;
    let head: { status: number; headers: Record<string, string>; setCookies: string[]; receivedAt: number } | undefined;
    const chunks: Buffer[] = [];
    let size = 0;
    let finished = false;

    const fail = (code: EgressErrorCode, reason?: string): void => {
        finished = true;
        const neverSent = controller === undefined;
        // Of a connection that is still to be made, the peer is not known yet.
        const remoteAddress = neverSent ? undefined : handler.peer?.address;
        const error = new EgressError(code, hop.url.hostname, { neverSent, reason, remoteAddress });
        reject(error);
        controller?.abort(error);
    };
    const onStop = (): void => {
        // Its answer is here and only being decoded.
        if (!finished) fail(stop.reason as EgressErrorCode);
    };

    const complete = (cut: boolean): void => {
        finished = true;
        if (head === undefined) return fail('connection_lost');
        const { status, headers, setCookies, receivedAt } = head;
        decodeBody(Buffer.concat(chunks), headers['content-encoding'], { limit: maxResponseBytes, cut }).then(
            async (decoded) => {
                // undici gives a connection back one turn of the event loop later; a caller's next call shall find it.
                await nextTurn();
                if (decoded.exceeded && options.oversize === 'reject') return fail('response_too_large');
                if (decoded.encoded) {
                    delete headers['content-encoding'];
                    delete headers['content-length'];
                }
                resolve({ status, headers, setCookies, body: decoded.body, requestedAt, receivedAt, remoteAddress: handler.peer?.address });
            },
            (error: unknown) => fail('connection_lost', systemCode(error)),
        );
    };

    const handler: Handler = {
        onRequestStart(current) {
            // Given up while connecting, or about to be written a second time: neither may reach the server.
            if (finished || controller !== undefined) {
                return current.abort(new EgressError('connection_lost', hop.url.hostname, { neverSent: false }));
            }
            controller = current;
            requestedAt = sources.now();
        },
        // Informational responses (1xx) come here too; the final one replaces them.
        onResponseStart(_controller, status, headers) {
            head = { status, headers: joinHeaders(headers), setCookies: [headers['set-cookie'] ?? []].flat(), receivedAt: sources.now() };
        },
        onResponseData(current, chunk) {
            if (finished) return;
            const room = maxResponseBytes - size;
            chunks.push(chunk.subarray(0, room));
            size += chunk.length;
            if (chunk.length <= room) return;
            if (options.oversize === 'reject') return fail('response_too_large');
            complete(true);
            current.abort(new EgressError('response_too_large', hop.url.hostname, { neverSent: false }));
        },
        onResponseEnd() {
            if (!finished) complete(false);
        },
        onResponseError(_controller, error) {
            if (finished) return;
            if (error instanceof EgressError) return fail(error.code, error.reason);
            const reason = systemCode(error);
            if (reason === 'UND_ERR_HEADERS_OVERFLOW') return fail('response_too_large', reason);
            fail(controller === undefined ? 'connection_failed' : 'connection_lost', reason);
        },
    };

    if (stop.aborted) {
        onStop();
    } else {
        stop.addEventListener('abort', onStop);
        const { url, method, headers, body } = hop;
        agent.dispatch({ origin: url.origin, path: `${url.pathname}${url.search}`, method, headers, body: body ?? null }, handler);
    }
    return promise.finally(() => stop.removeEventListener('abort', onStop));
}

function joinHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
    return Object.fromEntries(
        Object.entries(headers).flatMap(([name, value]) =>
            value === undefined || name === 'set-cookie' ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]],
        ),
    );
}
