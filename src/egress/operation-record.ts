/**
 * What an operation has done so far, for its owner to write together with how it ended: its steps, and its calls to the provider
 * (webhooks §5.1). Nothing is redacted, or even looked at, before somebody asks for the messages, so that a renewal which
 * succeeds, and says nothing of itself, pays for no more than the list. Bodies are not kept.
 */
import type { Sources } from '../sources.ts';
import type { OperationMessage } from '../store/operations.ts';
import type { Egress, EgressRequest } from './egress.ts';
import { EgressError } from './egress-error.ts';
import { Redaction } from './redaction.ts';

/** Which attempt at the same thing a call belongs to; `waited`: ms before it. */
export interface Retry {
    attempt: number;
    max: number;
    waited: number;
}

interface Step {
    kind: 'step';
    level: OperationMessage['level'];
    message: string;
    meta: Readonly<Record<string, unknown>> | undefined;
    at: number;
}

interface Exchange {
    kind: 'exchange';
    request: Pick<EgressRequest, 'url' | 'method' | 'headers'>;
    retry: Retry | undefined;
    at: number;
    response?: { status: number; headers: Readonly<Record<string, string>> };
    error?: unknown;
    endedAt?: number;
}

/** An operation that makes more calls is in a loop: the first ones tell of it. */
const mostExchanges = 50;

export class OperationRecord {
    readonly #sources: Sources;
    readonly #entries: (Step | Exchange)[] = [];
    readonly #secrets: (() => unknown)[] = [];
    readonly #shown: (() => Iterable<string>)[] = [];
    #exchanges = 0;
    /** Of the calls that follow. */
    retry: Retry | undefined;

    constructor(sources: Sources) {
        this.#sources = sources;
    }

    /** The way out, with what goes through it recorded. */
    through(egress: Egress): Egress {
        return {
            request: (request) => {
                const exchange = this.#begin(request);
                const answer = egress.request(request);
                return answer.then(
                    (response) => {
                        exchange.response = { status: response.status, headers: response.headers };
                        exchange.endedAt = this.#sources.now();
                        return response;
                    },
                    (error: unknown) => {
                        exchange.error = error;
                        exchange.endedAt = this.#sources.now();
                        throw error;
                    },
                );
            },
            assertUrl: egress.assertUrl,
            isOpened: egress.isOpened,
            close: egress.close,
        };
    }

    /** @param message of ours. What others said in it or in `meta` is cleared of the secrets that are known. */
    step(message: string, { level = 'info', meta }: { level?: Step['level']; meta?: Readonly<Record<string, unknown>> } = {}): void {
        this.#entries.push({ kind: 'step', level, message, meta, at: this.#sources.now() });
    }

    /** Every text in it is a secret of this operation. Asked only when there is something to write. */
    conceal(secrets: () => unknown): void {
        this.#secrets.push(secrets);
    }

    /** No secrets, whatever they look like. */
    show(values: () => Iterable<string>): void {
        this.#shown.push(values);
    }

    get hasCalls(): boolean {
        return this.#exchanges > 0;
    }

    /** In the order in which they began. Asked twice, it says the same again. */
    messages(): OperationMessage[] {
        const redaction = this.#redaction();
        const messages = this.#entries.map((entry) => (entry.kind === 'step' ? said(entry, redaction) : exchanged(entry, redaction)));
        const left = this.#exchanges - mostExchanges;
        if (left > 0) {
            messages.push({ level: 'warn', message: `${left} further calls are not listed`, at: new Date(this.#sources.now()) });
        }
        return messages;
    }

    #begin({ url, method = 'GET', headers = {} }: EgressRequest): Exchange {
        const exchange: Exchange = { kind: 'exchange', request: { url, method, headers }, retry: this.retry, at: this.#sources.now() };
        this.#exchanges += 1;
        if (this.#exchanges <= mostExchanges) {
            this.#entries.push(exchange);
        }
        return exchange;
    }

    #redaction(): Redaction {
        const sent = this.#entries.flatMap((entry) => (entry.kind === 'exchange' ? secretsSent(entry.request) : []));
        return new Redaction(
            new Set([...this.#secrets.flatMap((secrets) => [...textsIn(secrets())]), ...sent]),
            this.#shown.flatMap((shown) => [...shown()]),
        );
    }
}

/** Say what a credential is, not what it says. */
const spoken: ReadonlySet<string> = new Set(['type', 'token_type', 'scope', 'scopes', 'expires_at', 'expires_in']);
/** Deeper down are whole answers, and values of an operator's own: what is shorter there is mostly a word. */
const shortestBelow = 8;

function* textsIn(value: unknown, depth = 0): Generator<string> {
    if (typeof value === 'string') {
        if (depth < 2 || value.length >= shortestBelow) {
            yield value;
        }
    } else if (Array.isArray(value)) {
        for (const member of value) {
            yield* textsIn(member, depth);
        }
    } else if (typeof value === 'object' && value !== null) {
        for (const [name, member] of Object.entries(value)) {
            if (!spoken.has(name)) {
                yield* textsIn(member, depth + 1);
            }
        }
    }
}

/** Servers repeat in one place what they were sent in another. */
function secretsSent({ url, headers = {} }: Exchange['request']): string[] {
    const parameters = URL.parse(String(url))?.searchParams.values() ?? [];
    const [[, authorization] = []] = Object.entries(headers).filter(([name]) => name.toLowerCase() === 'authorization');
    const proof = authorization?.slice(authorization.indexOf(' ') + 1) ?? '';
    return [...parameters, proof].filter((text) => text.length >= shortestBelow);
}

const said = ({ level, message, meta, at }: Step, redaction: Redaction): OperationMessage => ({
    level,
    message: redaction.text(message),
    ...(meta === undefined ? {} : { meta: cleared(meta, redaction) as Record<string, unknown> }),
    at: new Date(at),
});

function cleared(value: unknown, redaction: Redaction): unknown {
    if (typeof value === 'string') {
        return redaction.text(value);
    }
    if (Array.isArray(value)) {
        return value.map((member) => cleared(member, redaction));
    }
    return typeof value === 'object' && value !== null
        ? Object.fromEntries(Object.entries(value).map(([name, member]) => [name, cleared(member, redaction)]))
        : value;
}

function exchanged({ request, response, error, retry, at, endedAt = at }: Exchange, redaction: Redaction): OperationMessage {
    const { url, method = 'GET', headers = {} } = request;
    const failure = response === undefined ? failureOf(error) : undefined;
    const outcome = response === undefined ? `no answer (${failure?.type})` : String(response.status);
    return {
        type: 'http',
        level: response === undefined || response.status >= 400 ? 'error' : 'info',
        message: `${method} ${redaction.place(url)}: ${outcome}`,
        request: { method, url: redaction.url(url), headers: redaction.requestHeaders(headers) },
        ...(response === undefined ? {} : { response: { code: response.status, headers: redaction.responseHeaders(response.headers, url) } }),
        ...(failure === undefined ? {} : { error: failure }),
        ...(retry === undefined ? {} : { retry: { ...retry } }),
        at: new Date(at),
        endedAt: new Date(endedAt),
        durationMs: endedAt - at,
    };
}

/** In words of a closed vocabulary: without the host, which the address shows, redacted. */
function failureOf(error: unknown): { type: string; message: string } {
    if (error === undefined) {
        return { type: 'unfinished', message: 'The operation ended before the answer came.' };
    }
    if (!(error instanceof EgressError)) {
        return { type: 'server_error', message: 'Something unexpected went wrong in Valetkey; its log has the details.' };
    }
    const sent = error.neverSent ? 'Nothing was sent' : 'The request was sent, and may have been acted on';
    return { type: error.code, message: `${sent}: ${error.code}${error.reason === undefined ? '' : ` (${error.reason})`}` };
}
