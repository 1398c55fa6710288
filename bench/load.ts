/** Load by autocannon, in this process: neither server shares its event loop. */
import { randomInt } from 'node:crypto';
import autocannon from 'autocannon';

export interface Load {
    url: string;
    paths: readonly string[];
    headers: Record<string, string>;
    connections: number;
    seconds: number;
}

export interface LoadResult {
    requestsPerSecond: number;
    /** Milliseconds. */
    p50: number;
    p99: number;
    /** Answers other than 2xx, and requests without an answer. */
    failures: number;
}

/** Made before the clock runs, so that picking costs the generator nothing. */
const requestsPerConnection = 1_000;

export async function drive({ url, paths, headers, connections, seconds }: Load): Promise<LoadResult> {
    const result = await autocannon({
        url,
        connections,
        duration: seconds,
        headers,
        setupClient: (client) => {
            client.setRequests(Array.from({ length: requestsPerConnection }, () => ({ method: 'GET', path: paths[randomInt(paths.length)]! })));
        },
    });
    return {
        requestsPerSecond: result['2xx'] / result.duration,
        p50: result.latency.p50,
        p99: result.latency.p99,
        failures: result.non2xx + result.errors + result.timeouts,
    };
}
