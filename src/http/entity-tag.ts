/** Optional optimistic concurrency: `ETag` is made of `updated_at`, and a change may say with `If-Match` what it is a change of (S3). */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from './errors.ts';

export const ifMatchDescription =
    'The answer has an `ETag`. A change with `If-Match` is made only while the settings are still those: otherwise 412 `precondition_failed`.';

export function sendTag(reply: FastifyReply, updatedAt: Date | undefined): void {
    if (updatedAt !== undefined) {
        reply.header('etag', `"${updatedAt.toISOString()}"`);
    }
}

/**
 * RFC 9110 §13.1.1. Weak tags count too: proxies that compress make them of ours, which change with every write all the same.
 * @throws ApiError 412
 */
export function assertMatch(request: FastifyRequest, updatedAt: Date | undefined): void {
    const wanted = request.headers['if-match'];
    if (wanted === undefined) {
        return;
    }
    const tags = wanted.split(',').map((tag) => tag.trim().replace(/^W\//, '').replaceAll('"', ''));
    if (updatedAt === undefined || !(tags.includes('*') || tags.includes(updatedAt.toISOString()))) {
        throw ApiError.simple(412, 'precondition_failed', 'These settings were changed since they were read.');
    }
}
