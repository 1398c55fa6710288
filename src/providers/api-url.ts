/** The address of an API call: an endpoint, taken literally, below a base URL that it cannot leave (P7). */

export interface ApiUrl {
    url: URL;
    /** What follows the base URL, as it is sent. */
    endpoint: string;
}

/**
 * @param isOwnBase an endpoint may repeat the base URL, where that is the provider's own
 * @returns undefined when the endpoint is outside the base URL
 */
export function joinUrl(base: URL, endpoint: string, query: Readonly<Record<string, string>>, isOwnBase: boolean): ApiUrl | undefined {
    const root = base.pathname.replace(/\/+$/, '');
    const relative = withoutBase(endpoint.split('#', 1)[0] ?? '', base.origin + root, isOwnBase);
    if (relative === undefined) return undefined;
    const mark = relative.indexOf('?');
    const path = mark < 0 ? relative : relative.slice(0, mark);
    const search = [base.search.slice(1), mark < 0 ? '' : relative.slice(mark + 1)].filter((part) => part !== '').join('&');
    // Not even an empty endpoint adds a slash: some APIs are one document.
    const url = new URL(base.origin + root + (path === '' ? '' : `/${path.replace(/^[/\\]+/, '')}`) + (search && `?${search}`));
    const isBelow = url.pathname.startsWith(`${root}/`) || url.pathname === root;
    if (url.origin !== base.origin || !isBelow || climbs(url.pathname.slice(root.length))) return undefined;
    for (const [name, value] of Object.entries(query)) setParameter(url, name, value);
    return { url, endpoint: url.pathname.slice(root.length) + url.search };
}

/** Replaces parameters of this name. The others stay as they are written, since their encoding may matter to the caller. */
export function setParameter(url: URL, name: string, value: string): void {
    const others = url.search
        .slice(1)
        .split('&')
        .filter((pair) => pair !== '' && ![...new URLSearchParams(pair).keys()].includes(name));
    const [encodedName, encodedValue] = [name, value].map((text) => encodeURIComponent(text.toWellFormed()));
    url.search = [...others, `${encodedName}=${encodedValue}`].join('&');
}

function withoutBase(endpoint: string, base: string, isOwnBase: boolean): string | undefined {
    if (!/^https?:[/\\]/i.test(endpoint)) return endpoint;
    const rest = endpoint.slice(base.length);
    return isOwnBase && endpoint.startsWith(base) && /^(?:$|[/?])/.test(rest) ? rest : undefined;
}

/** URL parsers resolve plain `..`; servers may see one in what is encoded, and in backslashes. */
function climbs(path: string): boolean {
    let depth = 0;
    for (const segment of path
        .replaceAll(/%2f|%5c|\\/gi, '/')
        .replaceAll(/%2e/gi, '.')
        .split('/')) {
        if (segment === '..') depth -= 1;
        else if (segment !== '' && segment !== '.') depth += 1;
        if (depth < 0) return true;
    }
    return false;
}
