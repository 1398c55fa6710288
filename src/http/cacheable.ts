/** Answers that are the same for everybody until the next start: made once, and not sent to those who have them. */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';

export interface Cacheable {
    body: string;
    contentType: string;
    etag: string;
}

export const cacheable = (body: string, contentType: string): Cacheable => ({ body, contentType, etag: `"${fingerprint(body)}"` });

/** Short, for URLs and ETags: it tells versions apart, nobody is kept from making another text for it. */
export const fingerprint = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 22);

/** 304 for those who have it (RFC 9110 §13.1.2). */
export function sendCacheable(
    request: FastifyRequest,
    reply: FastifyReply,
    { body, contentType, etag }: Cacheable,
    cacheControl: string,
): FastifyReply {
    reply.headers({ etag, 'cache-control': cacheControl });
    const known = request.headers['if-none-match'];
    const isKnown = known === '*' || known?.split(',').some((each) => each.trim().replace(/^W\//, '') === etag) === true;
    return isKnown ? reply.code(304).send() : reply.header('content-type', contentType).send(body);
}
