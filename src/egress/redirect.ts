/** What a redirect turns a request into (RFC 9110 §15.4). Used only where a call allows redirects; token calls do not (N5). */
import { EgressError } from './egress-error.ts';
import type { EgressResponse, Hop } from './exchange.ts';

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * All that another origin gets to see besides the URL and a kept body. Everything else may be a credential: `authorization`,
 * `cookie`, and the many vendor-named keys and signatures that no list of bad names would know.
 */
const SAFE_HEADERS: ReadonlySet<string> = new Set(['accept', 'accept-encoding', 'content-type', 'user-agent']);

/**
 * The next hop, or undefined when the response is not a redirect. Method and body are kept (W13): 307 and 308 are followed for
 * every method, the others for GET only, because they would turn a POST into a GET whose 200 proves nothing. Never from https to http.
 * `judge` is the policy. Throws EgressError `redirect_refused`, or what `judge` throws.
 */
export function nextHop(hop: Hop, response: EgressResponse, judge: (url: URL) => URL): Hop | undefined {
    const { location } = response.headers;
    if (!REDIRECTS.has(response.status) || location === undefined) return undefined;

    const refuse = (reason: string): EgressError => redirectRefused(hop, reason);
    const target = URL.parse(location, hop.url);
    if (target === null) throw refuse('location');
    if (hop.url.protocol === 'https:' && target.protocol === 'http:') throw refuse('downgrade');
    const url = judge(target);

    const sameOrigin = url.origin === hop.url.origin;
    const entries = Object.entries(hop.headers).filter(([name]) => sameOrigin || SAFE_HEADERS.has(name));
    if (response.status === 307 || response.status === 308 || hop.method === 'GET') {
        return { ...hop, url, headers: Object.fromEntries(entries) };
    }
    throw refuse('method');
}

export function redirectRefused(hop: Hop, reason: string): EgressError {
    return new EgressError('redirect_refused', hop.url.hostname, { neverSent: false, reason });
}
