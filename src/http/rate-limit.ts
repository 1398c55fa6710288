/**
 * Requests per minute and API key, in fixed windows (http-api §1.10). Counted per replica: a shared count would cost a round
 * trip per request, so N replicas together admit up to N times the budget.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Sources } from '../sources.ts';
import type { Principal } from './authentication.ts';
import { ApiError } from './errors.ts';

const windowMs = 60_000;

export class RateLimits {
    readonly #budget: number;
    readonly #sources: Sources;
    #window = 0;
    #counts = new Map<string, number>();

    constructor(budgetPerMinute: number, sources: Sources) {
        this.#budget = budgetPerMinute;
        this.#sources = sources;
    }

    /** Sets the headers on every answer. @throws ApiError 429 */
    count(principal: Principal, request: FastifyRequest, reply: FastifyReply): void {
        if (principal.kind === 'nobody') {
            return;
        }
        const now = this.#sources.now();
        const window = Math.floor(now / windowMs);
        if (window !== this.#window) {
            this.#window = window;
            this.#counts = new Map();
        }
        const used = (this.#counts.get(principal.bucket) ?? 0) + 1;
        this.#counts.set(principal.bucket, used);
        const reset = (window + 1) * windowMs;
        reply.header('x-ratelimit-limit', this.#budget);
        reply.header('x-ratelimit-remaining', Math.max(0, this.#budget - used));
        reply.header('x-ratelimit-reset', reset / 1000);
        if (used > this.#budget) {
            const path = request.url.split('?')[0] ?? '/';
            throw ApiError.tooManyRequests(request.method, path, { 'retry-after': String(Math.ceil((reset - now) / 1000)) });
        }
    }
}
