/**
 * Where a Connect page may send its user afterwards. The environment lists origins and URL prefixes; both sides are compared
 * parsed, never as text: `https://app.example.evil.com` begins with `https://app.example`, and `/application` with `/app`.
 */

/** @returns the URL as it was judged, or `undefined` when no entry of the list allows it. */
export function allowedReturnUrl(text: string, allowed: readonly string[]): string | undefined {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !isSafe(url) || !allowed.some((entry) => URL.canParse(entry) && covers(new URL(entry), url))) {
        return undefined;
    }
    return url.href;
}

/** Encrypted, except on the developer's own machine; without a user name, which is there to make hosts look like others. */
function isSafe({ protocol, hostname, username, password }: URL): boolean {
    const isLocal = /^(?:localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
    return (protocol === 'https:' || (protocol === 'http:' && isLocal)) && username === '' && password === '';
}

function covers(entry: URL, url: URL): boolean {
    const [prefix, path] = [segments(entry), segments(url)];
    if (entry.protocol !== url.protocol || entry.host !== url.host || (entry.search !== '' && entry.search !== url.search)) {
        return false;
    }
    // An encoded slash is one segment here, and two to some servers: `/app/..%2Fadmin`.
    const isPlain = !/%2f|%5c/i.test(url.pathname);
    return prefix.length === 0 || (isPlain && prefix.every((segment, index) => segment === path[index]));
}

/** `/app` and `/app/` are the same prefix. */
const segments = ({ pathname }: URL): string[] => pathname.replace(/\/$/, '').split('/').slice(1);
