/**
 * What of a call may be written down (O7): an allow-list, for no list of bad names would know them all. An address shows its scheme,
 * its host, the names of its parameters, and of its path what is made of words; providers put tokens, and ids of accounts,
 * between them. Known secrets go wherever they stand. Bodies are not this file's: they are not recorded at all.
 */

export const redacted = 'REDACTED';

/** Found within other text from this length on; shorter ones only where they are all there is. */
const shortestWithin = 4;
/** In prose and in hosts, where a short one would blank out ordinary words. */
const shortestInText = 6;
const longestUrl = 2_000;
const longestValue = 200;

/** Parameters of a query that say what is asked for, never by whom. */
const shownParameters: ReadonlySet<string> = new Set([
    'api-version',
    'fields',
    'format',
    'grant_type',
    'limit',
    'page_size',
    'per_page',
    'response_type',
    'scope',
    'token_type_hint',
    'version',
]);
const plainValue = /^[\w .,:/-]*$/;

const shownRequestHeader = /^(?:accept|accept-language|content-type|prefer|user-agent|(?:[a-z-]+-)?version)$/;
const shownResponseHeader = /^(?:content-length|content-type|date|retry-after|server|via|(?:[a-z]+-)*rate-?limit(?:-[a-z-]+)?)$/;
/** What support asks for. Nothing else is shown that is not made of words and numbers. */
const idHeader = /^(?:cf-ray|(?:[a-z-]+-)?(?:request|correlation|trace|transaction)-?id)$/;
const idShape = /^[\w.:=+/-]{1,64}$/;

type Headers = Readonly<Record<string, string>>;

export class Redaction {
    /** In lower case, the longest first: one may begin with another. */
    readonly #secrets: readonly string[];
    readonly #shown: ReadonlySet<string>;

    /** @param shown values that are stored in the clear anyway, shown in a path though they are no words */
    constructor(secrets: Iterable<string>, shown: Iterable<string> = []) {
        const shapes = [...secrets].flatMap((secret) => (secret === '' ? [] : [secret, encodeURIComponent(secret.toWellFormed())]));
        this.#secrets = [...new Set(shapes.map((shape) => shape.toLowerCase()))].toSorted((a, b) => b.length - a.length);
        this.#shown = new Set(shown);
    }

    url(address: URL | string): string {
        const url = URL.parse(String(address));
        if (url === null || url.host === '') {
            return redacted;
        }
        const parameters = [...url.searchParams].map(([name, value]) => `${this.#word(name)}=${this.#parameter(name, value)}`);
        const query = parameters.length === 0 ? '' : `?${parameters.join('&')}`;
        return `${url.protocol}//${this.#host(url)}${this.#path(url.pathname)}${query}`.slice(0, longestUrl);
    }

    /** Without scheme and query, as prose has it. */
    place(address: URL | string): string {
        return this.url(address)
            .replace(/^\w+:\/\//, '')
            .replace(/\?.*$/, '');
    }

    /** Ours, with what others said in it. */
    text(text: string): string {
        const secrets = this.#secrets.filter((secret) => secret.length >= shortestInText).map((secret) => RegExp.escape(secret));
        const safe = secrets.length === 0 ? text : text.replaceAll(new RegExp(secrets.join('|'), 'gi'), redacted);
        return safe.replaceAll(/\p{Cc}+/gu, ' ').toWellFormed();
    }

    requestHeaders(headers: Headers): Record<string, string> {
        return this.#headers(headers, (name, value) => {
            if (name === 'authorization') {
                return redacted;
            }
            return shownRequestHeader.test(name) ? plain(value) : undefined;
        });
    }

    /** @param askedAt where a relative `location` leads from */
    responseHeaders(headers: Headers, askedAt: URL | string): Record<string, string> {
        return this.#headers(headers, (name, value) => {
            if (name === 'location') {
                return this.url(URL.parse(value, String(askedAt)) ?? '');
            }
            if (name === 'www-authenticate') {
                return challenge(value);
            }
            if (idHeader.test(name)) {
                return idShape.test(value) ? value : redacted;
            }
            return shownResponseHeader.test(name) ? plain(value) : undefined;
        });
    }

    #headers(headers: Headers, shownAs: (name: string, value: string) => string | undefined): Record<string, string> {
        const shown = Object.entries(headers).flatMap(([anyCase, value]) => {
            const name = anyCase.toLowerCase();
            const text = shownAs(name, value);
            return text === undefined ? [] : [[name, this.#holdsSecret(text) ? redacted : text.slice(0, longestValue)]];
        });
        return Object.fromEntries(shown) as Record<string, string>;
    }

    #host({ hostname, port }: URL): string {
        const isSecret = (label: string): boolean =>
            this.#secrets.some((secret) => label === secret || (secret.length >= shortestInText && label.includes(secret)));
        const shown = hostname
            .toLowerCase()
            .split('.')
            .map((label) => (isSecret(label) ? redacted : label));
        return shown.join('.') + (port === '' ? '' : `:${port}`);
    }

    #path(path: string): string {
        // One that goes across several segments.
        if (this.#secrets.some((secret) => secret.includes('/') && secret.length >= shortestWithin && decoded(path).toLowerCase().includes(secret))) {
            return `/${redacted}`;
        }
        return path
            .split('/')
            .map((segment) => this.#word(segment))
            .join('/');
    }

    #word(text: string): string {
        if (this.#holdsSecret(text) || this.#holdsSecret(decoded(text))) {
            return redacted;
        }
        return this.#shown.has(decoded(text)) || isWords(text) ? text : redacted;
    }

    #parameter(name: string, value: string): string {
        return shownParameters.has(name.toLowerCase()) && plainValue.test(value) && !this.#holdsSecret(value) ? value : redacted;
    }

    #holdsSecret(text: string): boolean {
        const lowerCase = text.toLowerCase();
        return this.#secrets.some((secret) => lowerCase === secret || (secret.length >= shortestWithin && lowerCase.includes(secret)));
    }
}

/** `oauth2`, `v1.0`, `access_tokens`, `2024-10`; not what has digits among its letters, or is longer than words are. */
function isWords(text: string): boolean {
    const parts = text.split(/[-_.@~$]/);
    return parts.length <= 8 && parts.every((part) => /^(?:[A-Za-z]{0,20}|[A-Za-z]{0,8}\d{1,4}[A-Za-z]{0,2})$/.test(part));
}

/** A media type, a date, a limit, a product with its version. */
const plain = (value: string): string =>
    value.split(/[\s,;:="'()/*+]+/).every((part) => /^\d{1,13}$/.test(part) || isWords(part)) ? value : redacted;

/** RFC 9110 §11.6.1: the scheme, and RFC 6750 §3.1's code. The rest is the server's to fill. */
function challenge(value: string): string | undefined {
    const scheme = /^[A-Za-z][A-Za-z0-9-]{0,19}(?=[\s,]|$)/.exec(value)?.[0];
    const code = /\berror="?([a-z_]{1,40})\b/.exec(value)?.[1];
    return scheme && (code === undefined ? scheme : `${scheme} error="${code}"`);
}

function decoded(text: string): string {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}
