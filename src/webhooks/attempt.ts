/** One attempt to hand an event to a receiver: the request, its bounds (W13), and what is kept of the answer (W11). */
import { EgressError, type Egress, type EgressResponse } from '../egress/egress.ts';
import type { Sources } from '../sources.ts';
import type { PostConnectionStatus, WebhookDeliveryAttemptRow } from '../store/schema.ts';
import { signatureHeaders, type LiveSigningKeys } from './signature.ts';

const attemptMs = 20_000;
/** More of an answer is not read. */
const responseBytes = 64 * 1024;
/** More of an answer is not kept. */
const keptBytes = 4096;
const mostRedirects = 3;
export const longestBody = 256 * 1024;

/** What tells servers and answers apart. Everything else may be a secret: cookies, tokens, addresses that are one. */
const keptHeaders = [
    'content-type',
    'content-length',
    'date',
    'server',
    'via',
    'retry-after',
    'x-request-id',
    'x-correlation-id',
    'x-amzn-requestid',
    'x-amzn-trace-id',
    'cf-ray',
];

export interface EventToSend {
    id: string;
    createdAt: Date;
    /** The exact bytes (W19). */
    body: string;
    /** W12. */
    sequence: number | null;
    isRedelivery: boolean;
    followRedirects: boolean;
    /** Of the connection when the event was written (A5). */
    postConnectionStatus?: PostConnectionStatus | null;
}

export interface Attempt {
    startedAt: Date;
    durationMs: number;
    /** `null` when there was no answer. */
    status: number | null;
    /** Why the event was not accepted, if it was not: `http_<status>`, or a code of the egress layer's (W15). */
    error: string | null;
    resolvedIp: string | null;
    responseHeaders: Record<string, string> | null;
    responseBody: string | null;
    /** As the receiver wrote it. */
    retryAfter: string | undefined;
}

export async function attempt(
    { egress, sources }: { egress: Egress; sources: Sources },
    url: string,
    keys: LiveSigningKeys,
    event: EventToSend,
): Promise<Attempt> {
    if (Buffer.byteLength(event.body) > longestBody) {
        return withoutAnswer(sources, 'body_too_large');
    }
    const startedAt = new Date(sources.now());
    const answer = await egress
        .request({
            url,
            method: 'POST',
            headers: {
                'content-type': 'application/json',
                'x-valetkey-event-id': event.id,
                'x-valetkey-created-at': event.createdAt.toISOString(),
                ...(event.sequence === null ? {} : { 'x-valetkey-sequence': String(event.sequence) }),
                ...(event.postConnectionStatus ? { 'x-valetkey-post-connection-status': event.postConnectionStatus } : {}),
                ...(event.isRedelivery ? { 'x-valetkey-redelivery': 'true' } : {}),
                ...signatureHeaders(keys, event.id, Math.floor(startedAt.getTime() / 1000), event.body),
            },
            body: event.body,
            deadlineMs: attemptMs,
            maxResponseBytes: responseBytes,
            oversize: 'truncate',
            maxRedirects: event.followRedirects ? mostRedirects : 0,
        })
        .catch((error: unknown) => {
            if (error instanceof EgressError) {
                return error;
            }
            throw error;
        });
    const durationMs = Math.max(0, Math.round(sources.now() - startedAt.getTime()));
    if (answer instanceof EgressError) {
        return { ...withoutAnswer(sources, answer.code), startedAt, durationMs, resolvedIp: answer.remoteAddress ?? null };
    }
    return { startedAt, durationMs, ...kept(answer) };
}

/** As the delivery log has it (W11). */
export const loggedAttempt = (made: Attempt): Omit<WebhookDeliveryAttemptRow, 'delivery_id' | 'number' | 'message_id'> => ({
    started_at: made.startedAt,
    duration_ms: made.durationMs,
    status: made.status,
    error: made.error,
    resolved_ip: made.resolvedIp,
    response_headers: made.responseHeaders,
    response_body: made.responseBody,
});

/** An attempt that ended before anything was sent. */
export const withoutAnswer = (sources: Sources, error: string): Attempt => ({
    startedAt: new Date(sources.now()),
    durationMs: 0,
    status: null,
    error,
    resolvedIp: null,
    responseHeaders: null,
    responseBody: null,
    retryAfter: undefined,
});

function kept({ status, headers, body, remoteAddress }: EgressResponse): Omit<Attempt, 'startedAt' | 'durationMs'> {
    return {
        status,
        error: status >= 200 && status < 300 ? null : `http_${status}`,
        resolvedIp: remoteAddress ?? null,
        responseHeaders: Object.fromEntries(keptHeaders.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]]))),
        responseBody: body.length === 0 ? null : storableText(body.subarray(0, keptBytes)),
        retryAfter: headers['retry-after'],
    };
}

/** As UTF-8, whatever it is; a character that the cut went through is left out, and NUL, which Postgres cannot keep, replaced. */
const storableText = (bytes: Buffer): string => new TextDecoder().decode(bytes, { stream: bytes.length === keptBytes }).replaceAll('\0', '\uFFFD');
