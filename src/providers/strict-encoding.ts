/** Percent-encoding that leaves only the unreserved characters of RFC 3986 §2.3, as signatures and slots of URLs need it. */

export const strictlyEncoded = (text: string): string =>
    encodeURIComponent(text).replaceAll(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);

/** The parameters of a query or form as signatures read them: encoded, then sorted by name and by value. */
export const canonicalParams = (params: string): string =>
    [...new URLSearchParams(params)]
        .map(([name, value]) => [strictlyEncoded(name), strictlyEncoded(value)] as const)
        .toSorted(([a, x], [b, y]) => compare(a, b) || compare(x, y))
        .map(([name, value]) => `${name}=${value}`)
        .join('&');

/** By code point, which in encoded texts is by byte. */
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
