/** N3: an address that a provider's answer sends calls to is an origin of that vendor. */
export function isHostBelow(text: string, ...domains: readonly string[]): boolean {
    if (!URL.canParse(text)) return false;
    const { protocol, hostname, username, password, port, pathname, search, hash } = new URL(text);
    const isOrigin = protocol === 'https:' && username === '' && password === '' && port === '' && pathname === '/' && search === '' && hash === '';
    return isOrigin && domains.some((domain) => hostname === domain || hostname.endsWith(`.${domain}`));
}
