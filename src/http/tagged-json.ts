/** JSON that is the same for everybody and large: written once, and sent only to those who do not have it yet (RFC 9110 §8.8.3, §13.1.2). */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';

export interface TaggedJson {
    body: Buffer;
    etag: string;
}

/** Kept by the caller, and asked for again each time: it changes with the next start. */
export const revalidated = 'private, no-cache';

export function taggedJson(text: string): TaggedJson {
    const body = Buffer.from(text);
    return { body, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"` };
}

export function sendTagged(request: FastifyRequest, reply: FastifyReply, { body, etag }: TaggedJson, cacheControl: string): FastifyReply {
    reply.headers({ etag, 'cache-control': cacheControl });
    if (isHeld(request.headers['if-none-match'], etag)) {
        return reply.code(304).send();
    }
    return reply.header('content-type', 'application/json; charset=utf-8').send(body);
}

/** Compared weakly: whoever compresses on the way marks the tag so. */
const isHeld = (header: string | undefined, etag: string): boolean =>
    header !== undefined &&
    header
        .split(',')
        .map((tag) => tag.trim().replace(/^W\//, ''))
        .some((tag) => tag === etag || tag === '*');
