/**
 * The one way out: every outbound call of Valetkey (token calls, verification, webhooks, proxy) goes through an `Egress`. This
 * file runs a call: deadline, headers, redirects, shutdown. `policy.ts` says where a call may go, `connector.ts` makes
 * connections to checked addresses only, `exchange.ts` does one request and response. OAuth, retries and logging live elsewhere.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { lookup } from 'node:dns/promises';
import { validateHeaderName, validateHeaderValue } from 'node:http';
import type { Sources } from '../sources.ts';
import { parseAllowList } from './allow-list.ts';
import { createConnector, type ClientCertificate } from './connector.ts';
import { EgressError } from './egress-error.ts';
import type { createAgent, EgressResponse, exchange, Hop } from './exchange.ts';
import { createPolicy } from './policy.ts';
import type { Resolve } from './policy.ts';
import { nextHop, redirectRefused } from './redirect.ts';
import { createReroute } from './reroute.ts';

export { EgressAllowError } from './allow-list.ts';
export type { ClientCertificate } from './connector.ts';
export { EgressError } from './egress-error.ts';
export type { EgressErrorCode } from './egress-error.ts';
export type { EgressResponse } from './exchange.ts';
export type { Resolve } from './policy.ts';

export interface EgressRequest {
    url: URL | string;
    /** Default GET. */
    method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
    /**
     * Each name once, in any case. `user-agent` and `accept-encoding: identity` are added unless given. The fields that frame a
     * message or choose its target (`host`, `content-length`, `transfer-encoding`, …) are refused: they are this layer's.
     */
    headers?: Readonly<Record<string, string>>;
    body?: string | Uint8Array;
    /** Whole call, from DNS to the last body byte, redirects included. Default 20 000 ms (N5). */
    deadlineMs?: number;
    /** Largest accepted body after decompression. Default 1 MiB (N5). */
    maxResponseBytes?: number;
    /** A larger body fails the call (`reject`, default) or is cut there (`truncate`). */
    oversize?: 'reject' | 'truncate';
    /** Redirects to follow. Default 0: the redirect itself is the response, as token endpoints never redirect (N5). */
    maxRedirects?: number;
    /**
     * Presented to the server, and to no other that it redirects to. The call has connections of its own, which end with it: one
     * that was opened under a certificate must serve nobody else. Never over plain http.
     */
    clientCertificate?: ClientCertificate;
    /** Aborting ends the call with code `aborted`. */
    signal?: AbortSignal;
}

export interface Egress {
    /** Any HTTP status resolves; rejects only with EgressError. */
    request(request: EgressRequest): Promise<EgressResponse>;
    /**
     * The policy without DNS: scheme, userinfo, literal addresses, names. For checking a URL when it is written.
     * Throws EgressError `blocked_by_policy` or `invalid_url`.
     */
    assertUrl(url: URL | string): void;
    /** Whether `VALETKEY_EGRESS_ALLOW` opens this host, so that plain http may be used; an entry for one port counts. */
    isOpened(hostname: string): boolean;
    /** Refuses new calls, waits for those in flight, then closes all connections. */
    close(): Promise<void>;
}

type Agent = ReturnType<typeof createAgent>;

interface Client {
    /** The connections that all calls share. */
    agent: Agent;
    agentOf(client: ClientCertificate): Agent;
    exchange: typeof exchange;
}

const DEFAULT_DEADLINE_MS = 20_000;
const DEFAULT_MAX_RESPONSE_BYTES = 1024 * 1024;

/** RFC 9110 §7.6.1 and RFC 9112 §6: fields of the connection and of framing, and `host`, which the URL alone decides. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
    'host',
    'content-length',
    'transfer-encoding',
    'connection',
    'keep-alive',
    'proxy-connection',
    'upgrade',
    'expect',
    'te',
    'trailer',
]);

/**
 * `reroute`: address of the twin server of simulate mode, which then gets every call that is not for this machine.
 * `allow`: the entries of `VALETKEY_EGRESS_ALLOW`; a malformed one throws EgressAllowError. `userAgent`: default header.
 * `resolve`: replaces the system's resolver (hosts file and DNS).
 */
export function createEgress(options: {
    allow: readonly string[];
    sources: Sources;
    userAgent: string;
    resolve?: Resolve;
    reroute?: URL | undefined;
}): Egress {
    const { sources } = options;
    const resolve = options.resolve ?? systemResolve;
    const policy = createPolicy(parseAllowList(options.allow), resolve);
    const { reroute: twinServer } = options;
    const reroute = twinServer && createReroute(policy, twinServer);
    // The twin server may be connected to, but not asked for: nothing that a user writes leads to it.
    const connectable = twinServer === undefined ? policy : createPolicy(parseAllowList([...options.allow, twinServer.host]), resolve);
    // The HTTP client is loaded with the first call: a replica that only serves reads never needs it.
    let loading: Promise<Client> | undefined;
    const client = (): Promise<Client> =>
        (loading ??= import('./exchange.ts').then(({ createAgent, exchange }) => ({
            agent: createAgent(createConnector(connectable, sources)),
            agentOf: (client) => createAgent(createConnector(connectable, sources, client)),
            exchange,
        })));
    const inFlight = new Set<Promise<EgressResponse>>();
    let closing: Promise<void> | undefined;

    async function perform(request: EgressRequest): Promise<EgressResponse> {
        const url = policy.judgeUrl(request.url);
        if (closing !== undefined) throw new EgressError('aborted', url.hostname, { neverSent: true });
        if (request.clientCertificate !== undefined && url.protocol !== 'https:') {
            throw new EgressError('blocked_by_policy', url.hostname, { neverSent: true, reason: 'plain_http' });
        }
        const headers = checkHeaders(request.headers ?? {}, url.hostname);
        const hop: Hop = {
            url,
            method: request.method ?? 'GET',
            headers: { 'user-agent': options.userAgent, 'accept-encoding': 'identity', ...headers },
            body: request.body,
        };

        const stop = new AbortController();
        const abort = (): void => stop.abort('aborted');
        if (request.signal?.aborted) abort();
        request.signal?.addEventListener('abort', abort);
        sources.sleep(request.deadlineMs ?? DEFAULT_DEADLINE_MS, stop.signal).then(
            async () => {
                await readWhatHasCome();
                stop.abort('deadline_exceeded');
            },
            () => {},
        );
        try {
            return await follow(hop, request, stop.signal);
        } finally {
            request.signal?.removeEventListener('abort', abort);
            // Nobody waits for the deadline any more. With a reason of our own: without one a DOMException is made, stack trace and all.
            stop.abort('over');
        }
    }

    async function follow(first: Hop, request: EgressRequest, stop: AbortSignal): Promise<EgressResponse> {
        const { maxRedirects = 0, maxResponseBytes = DEFAULT_MAX_RESPONSE_BYTES, oversize = 'reject' } = request;
        let hop = first;
        let redirects = 0;
        let answered = false;
        let own: Agent | undefined;
        try {
            const { agent, agentOf, exchange } = await client();
            own = request.clientCertificate && agentOf(request.clientCertificate);
            for (;;) {
                const isFirstServer = hop.url.origin === first.url.origin;
                const response = await exchange((isFirstServer && own) || agent, reroute?.(hop) ?? hop, {
                    sources,
                    stop,
                    maxResponseBytes,
                    oversize,
                });
                answered = true;
                const next = maxRedirects === 0 ? undefined : nextHop(hop, response, (location) => policy.judgeUrl(location));
                if (next === undefined) return response;
                if (redirects === maxRedirects) throw redirectRefused(hop, 'too_many');
                hop = next;
                redirects += 1;
            }
        } catch (error) {
            // A hop that was blocked or never reached does not undo the hop before it.
            if (!answered || !(error instanceof EgressError) || !error.neverSent) throw error;
            throw new EgressError(error.code, error.host, { neverSent: false, reason: error.reason });
        } finally {
            await own?.destroy();
        }
    }

    return {
        request(request) {
            const call = perform(request);
            inFlight.add(call);
            const forget = (): void => void inFlight.delete(call);
            call.then(forget, forget);
            return call;
        },
        assertUrl: (url) => void policy.judgeUrl(url),
        isOpened: (hostname) => policy.isOpened(hostname),
        close() {
            closing ??= Promise.allSettled(inFlight).then(async () => (await loading)?.agent.close());
            return closing;
        },
    };
}

/**
 * After a process stood still its timers run before its sockets are read. An answer that came in time, and may hold a token
 * that replaces the one it was asked with, must not be thrown away unread (R2).
 */
async function readWhatHasCome(): Promise<void> {
    // One turn reads what the kernel holds of a socket, 64 KiB at a time; an answer of the permitted size may need several.
    for (let turn = 0; turn < 20; turn += 1) {
        await nextTurn();
    }
}

function checkHeaders(headers: Readonly<Record<string, string>>, hostname: string): Record<string, string> {
    const checked = new Map<string, string>();
    for (const [name, value] of Object.entries(headers)) {
        const lowerCase = name.toLowerCase();
        try {
            validateHeaderName(name);
            validateHeaderValue(name, value); // no CR, LF or NUL: RFC 9110 §5.5
        } catch {
            throw new EgressError('invalid_header', hostname, { neverSent: true });
        }
        if (OWN_HEADERS.has(lowerCase) || checked.has(lowerCase)) {
            throw new EgressError('invalid_header', hostname, { neverSent: true, reason: lowerCase });
        }
        checked.set(lowerCase, value);
    }
    return Object.fromEntries(checked);
}

/** getaddrinfo, so that the hosts file and container DNS count; the order is the resolver's (RFC 6724). */
async function systemResolve(hostname: string): Promise<string[]> {
    const answers = await lookup(hostname, { all: true, order: 'verbatim' });
    return answers.map(({ address }) => address);
}
