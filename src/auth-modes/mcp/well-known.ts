/** Addresses of metadata documents: a well-known name between host and path (RFC 8414 §3.1, RFC 9728 §3.1). */

/** `https://host/a` → `https://host/.well-known/<name>/a`. The query belongs to a resource identifier, and stays. */
export function insertWellKnown(identifier: string, name: string): string {
    const { origin, pathname, search } = new URL(identifier);
    return `${origin}/.well-known/${name}${pathname === '/' ? '' : pathname.replace(/\/$/, '')}${search}`;
}
