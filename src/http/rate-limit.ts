/**
 * Points per minute, in fixed windows (http-api §1.10): per API key, per environment for its connect sessions, of which one gets a part only,
 * per address for callers who present nothing or the wrong thing. Counted per replica: a shared count would cost a round trip per request, so
 * N replicas together admit up to N times the budget.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import ipaddr from 'ipaddr.js';
import type { Sources } from '../sources.ts';
import type { Principal } from './authentication.ts';
import { ApiError } from './errors.ts';

const windowMs = 60_000;
/** What a request without credentials costs, unless its endpoint says otherwise; so does a failed authentication. */
const anonymousPoints = 10;
/** One browser must not use up what all users of an environment have: it gets a tenth, or what a page may need with a bad network. */
const sessionsPerBudget = 10;
const leastPerSession = 100;
/** Addresses are anybody's to invent: beyond so many in one minute, new ones are not counted. */
const mostBuckets = 100_000;

export class RateLimits {
    readonly #budget: number;
    readonly #budgetOfSession: number;
    readonly #sources: Sources;
    #window = 0;
    #counts = new Map<string, number>();

    constructor(budgetPerMinute: number, sources: Sources) {
        this.#budget = budgetPerMinute;
        this.#budgetOfSession = Math.min(budgetPerMinute, Math.max(leastPerSession, Math.ceil(budgetPerMinute / sessionsPerBudget)));
        this.#sources = sources;
    }

    /** Sets the headers on the answer. @param points 0: not limited @throws ApiError 429 */
    count(principal: Principal, request: FastifyRequest, reply: FastifyReply, points: number | undefined): void {
        if (points === 0) {
            return;
        }
        if (principal.kind === 'nobody') {
            this.#take(subscriberOf(request.ip), points ?? anonymousPoints, request, reply);
        } else {
            if (principal.session !== undefined) {
                // First: what is refused here is not taken from the others (frontend contract §7.19).
                this.#take(`session ${principal.session.id}`, points ?? 1, request, reply, this.#budgetOfSession);
            }
            this.#take(principal.bucket, points ?? 1, request, reply);
        }
    }

    /**
     * A failed authentication counts for the caller's address. Right credentials are never refused for what others at the same
     * address get wrong: behind a proxy that is not trusted to name them, everybody has one address.
     * @throws ApiError 429
     */
    countFailure(request: FastifyRequest, reply: FastifyReply): void {
        this.#take(subscriberOf(request.ip), anonymousPoints, request, reply);
    }

    #take(bucket: string, points: number, request: FastifyRequest, reply: FastifyReply, budget = this.#budget): void {
        const now = this.#sources.now();
        const window = Math.floor(now / windowMs);
        if (window !== this.#window) {
            this.#window = window;
            this.#counts = new Map();
        }
        const before = this.#counts.get(bucket);
        const used = (before ?? 0) + points;
        if (before !== undefined || this.#counts.size < mostBuckets) {
            this.#counts.set(bucket, used);
        }
        const reset = (window + 1) * windowMs;
        reply.header('x-ratelimit-limit', budget);
        reply.header('x-ratelimit-remaining', Math.max(0, budget - used));
        reply.header('x-ratelimit-reset', reset / 1000);
        if (used > budget) {
            const path = request.url.split('?')[0] ?? '/';
            throw ApiError.tooManyRequests(request.method, path, { 'retry-after': String(Math.ceil((reset - now) / 1000)) });
        }
    }
}

/** One subscriber has a whole /64 of IPv6. */
export function subscriberOf(ip: string): string {
    if (!ip.includes(':') || !ipaddr.isValid(ip)) {
        return `address ${ip}`;
    }
    const address = ipaddr.process(ip);
    return `address ${address.kind() === 'ipv6' ? `${(address as ipaddr.IPv6).parts.slice(0, 4).join(':')}::/64` : address.toString()}`;
}
