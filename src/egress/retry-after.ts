/** `Retry-After` as seconds or an HTTP date (RFC 9110 §10.2.3), in milliseconds from `now`; at most a day is believed. */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
    if (header === undefined) {
        return undefined;
    }
    const wait = /^\s*\d+\s*$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
    return Number.isNaN(wait) ? undefined : Math.min(Math.max(0, wait), longestBelieved);
}

const longestBelieved = 24 * 3600 * 1000;
