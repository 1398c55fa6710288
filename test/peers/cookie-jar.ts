/** The cookies of a user without a browser: kept per host and path, as far as OAuth servers need it (RFC 6265 §5.3). */
export class CookieJar {
    readonly #cookies: { host: string; path: string; name: string; value: string }[] = [];

    store(url: string, setCookies: string[]): void {
        const { hostname: host } = new URL(url);
        for (const line of setCookies) {
            const [pair = '', ...attributes] = line.split(/;\s*/);
            const separator = pair.indexOf('=');
            const [name, value] = [pair.slice(0, separator), pair.slice(separator + 1)];
            const attribute = (key: string) => attributes.find((text) => text.toLowerCase().startsWith(`${key}=`))?.slice(key.length + 1);
            const path = attribute('path') ?? '/';
            const expires = attribute('expires');
            const known = this.#cookies.findIndex((cookie) => cookie.host === host && cookie.path === path && cookie.name === name);
            if (known >= 0) this.#cookies.splice(known, 1);
            const gone = attribute('max-age') === '0' || (expires !== undefined && Date.parse(expires) <= Date.now());
            if (!gone) this.#cookies.push({ host, path, name, value });
        }
    }

    /** The `Cookie` header for a request to `url`; may be empty. */
    header(url: string): string {
        const { hostname, pathname } = new URL(url);
        return this.#cookies
            .filter(({ host, path }) => host === hostname && (pathname === path || pathname.startsWith(path.replace(/\/?$/, '/'))))
            .map(({ name, value }) => `${name}=${value}`)
            .join('; ');
    }
}
