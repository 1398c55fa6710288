/** Answers that are the same, in one language, for everybody until the next start: made once, and not sent to those who have them. */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { acceptedCoding, compress, type ContentCoding } from './content-coding.ts';

interface Form {
    body: string | Buffer;
    /** Each coding is a representation of its own (RFC 9110 §8.8.3). */
    etag: string;
}

/** Below this, headers outweigh what compression saves. */
const shortestCompressed = 1024;

export class Cacheable {
    readonly contentType: string;
    /** Of texts for people, where there are others to choose from. */
    readonly language: string | undefined;
    readonly #content: string | Buffer;
    readonly #fingerprint: string;
    readonly #compressed = new Map<ContentCoding, Form>();

    constructor(content: string | Buffer, contentType: string, language?: string) {
        this.contentType = contentType;
        this.language = language;
        this.#content = content;
        // Two languages are two representations, also where nothing is there to translate.
        this.#fingerprint = fingerprint(Buffer.concat([Buffer.from(`${language ?? ''}\n`), Buffer.from(content)]));
    }

    get isCompressible(): boolean {
        return typeof this.#content === 'string' && this.#content.length >= shortestCompressed;
    }

    /** Compressed for the first who wants it so, and kept. */
    as(coding: ContentCoding | undefined): Form {
        if (coding === undefined || typeof this.#content !== 'string') {
            return { body: this.#content, etag: `"${this.#fingerprint}"` };
        }
        let form = this.#compressed.get(coding);
        if (form === undefined) {
            form = { body: compress(this.#content, coding), etag: `"${this.#fingerprint}-${coding}"` };
            this.#compressed.set(coding, form);
        }
        return form;
    }
}

/** Short, for URLs and ETags: it tells versions apart, nobody is kept from making another text for it. */
export const fingerprint = (text: string | Buffer): string => createHash('sha256').update(text).digest('base64url').slice(0, 22);

/** 304 for those who have it (RFC 9110 §13.1.2). */
export function sendCacheable(request: FastifyRequest, reply: FastifyReply, answer: Cacheable, cacheControl: string): FastifyReply {
    const coding = answer.isCompressible ? acceptedCoding(request.headers['accept-encoding']) : undefined;
    const { body, etag } = answer.as(coding);
    const negotiated = [...(answer.language === undefined ? [] : ['Accept-Language']), ...(answer.isCompressible ? ['Accept-Encoding'] : [])];
    reply.headers({
        etag,
        'cache-control': cacheControl,
        ...(answer.language === undefined ? {} : { 'content-language': answer.language }),
        ...(negotiated.length === 0 ? {} : { vary: negotiated.join(', ') }),
    });
    if (isHeld(request.headers['if-none-match'], etag)) {
        return reply.code(304).send();
    }
    return reply.headers({ 'content-type': answer.contentType, ...(coding === undefined ? {} : { 'content-encoding': coding }) }).send(body);
}

/** Compared weakly: whoever changes the coding on the way marks the tag so. */
const isHeld = (header: string | undefined, etag: string): boolean =>
    header !== undefined &&
    header
        .split(',')
        .map((tag) => tag.trim().replace(/^W\//, ''))
        .some((tag) => tag === etag || tag === '*');
