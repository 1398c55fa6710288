/** Which endpoints a URL may be meant for: of literal hosts before templated ones, and what says more before what says less. */
import type { Entry } from './entry.ts';
import { fieldFault } from './field-rules.ts';
import type { Bindings } from './text-template.ts';
import type { Endpoint } from './twin.ts';
import { urlPatterns, type UrlPattern } from './url-pattern.ts';

export interface Route {
    readonly entry: Entry;
    readonly endpoint: Endpoint;
    readonly bindings: Bindings;
}

interface Entrance {
    readonly entry: Entry;
    readonly endpoint: Endpoint;
    readonly pattern: UrlPattern;
}

export class Router {
    readonly #byHost = new Map<string, Entrance[]>();
    readonly #templated: Entrance[] = [];
    readonly #slugs: ReadonlySet<string>;

    constructor(twins: Iterable<readonly [Entry, readonly Endpoint[]]>) {
        const slugs = new Set<string>();
        for (const [entry, endpoints] of twins) {
            slugs.add(entry.slug);
            for (const endpoint of endpoints) {
                for (const pattern of urlPatterns(endpoint.url, { isPrefix: endpoint.isPrefix ?? false })) this.#add({ entry, endpoint, pattern });
            }
        }
        this.#slugs = slugs;
    }

    #add(entrance: Entrance): void {
        const { host } = entrance.pattern;
        if (host === undefined) {
            this.#templated.push(entrance);
            return;
        }
        const there = this.#byHost.get(host) ?? [];
        there.push(entrance);
        this.#byHost.set(host, there);
    }

    /** Best first. An endpoint for exactly this URL hides whole APIs that begin like it; an API call that is known hides its own only. */
    routes(url: URL): Route[] {
        const named = this.#slugIn(url.hostname);
        const found = [...(this.#byHost.get(url.host) ?? []), ...this.#templated].flatMap((entrance) => {
            const bindings = entrance.pattern.match(url);
            return bindings === undefined ? [] : [{ ...entrance, bindings }];
        });
        const own = named === undefined ? [] : found.filter(({ entry }) => entry.slug === named);
        if (own.length > 0) return ranked(own, url);
        // A template that says nothing at all fits every URL; it counts where the host is named after its entry.
        const candidates = found.filter(({ pattern, endpoint }) => says(pattern) > 0 || endpoint.isPrefix === true);
        // A value that its field refuses was hardly meant for this entry.
        const fitting = new Set(candidates.filter(({ entry, bindings }) => fits(entry, bindings, url)));
        return [
            ...ranked([...fitting], url),
            ...ranked(
                candidates.filter((route) => !fitting.has(route)),
                url,
            ),
        ];
    }

    /** `acme-okta.okta.com` and `okta.twin.example` are meant for okta. */
    #slugIn(hostname: string): string | undefined {
        const label = hostname.split('.')[0]!.replace(/^acme-/, '');
        return this.#slugs.has(label) && (hostname.startsWith('acme-') || hostname.endsWith('.twin.example')) ? label : undefined;
    }
}

type Found = Route & Entrance;

function ranked(candidates: readonly Found[], url: URL): Found[] {
    const exact = candidates.filter(({ endpoint }) => endpoint.isPrefix !== true || endpoint.kind === 'metadata');
    const known = exact.filter(({ endpoint }) => endpoint.kind === 'lookup');
    const isAnswered = (entry: Entry): boolean => known.some((route) => route.entry === entry);
    const calls = candidates.filter(({ endpoint, entry }) => endpoint.kind !== 'api' || !isAnswered(entry));
    const meant = exact.length > known.length ? exact : calls;
    // Whoever has a host of its own is not stood in for by entries that take any host.
    const isKnown = meant.some(({ pattern }) => pattern.host !== undefined);
    const hosts = isKnown ? meant.filter(({ pattern }) => pattern.host !== undefined || pattern.weight[0] > 0) : meant;
    return hosts.toSorted(
        (left, right) =>
            Number(right.pattern.host !== undefined) - Number(left.pattern.host !== undefined) ||
            right.pattern.weight[0] - left.pattern.weight[0] ||
            right.pattern.weight[1] - left.pattern.weight[1] ||
            likeness(right.entry.slug, url) - likeness(left.entry.slug, url) ||
            Number(left.entry.alias !== undefined) - Number(right.entry.alias !== undefined),
    );
}

function fits({ connection_config: fields }: Entry, bindings: Bindings, url: URL): boolean {
    return Object.entries(bindings).every(([name, value]) => {
        const field = fields?.[name.replace(/^connectionConfig\./, '')];
        if (field === undefined) return true;
        // Only a field that says so holds a path behind its host.
        if (field.pattern === undefined && value.includes('/') && !value.includes('://')) return false;
        return longerValues(value, url).some((text) => fieldFault(field, text) === undefined);
    });
}

/** Of a value that begins an address nobody knows where it ends: with each further segment of the path. */
function longerValues(value: string, { origin, host, pathname }: URL): string[] {
    const start = [origin, host].find((text) => value === text);
    const segments = start === undefined ? [] : pathname.split('/').slice(1);
    return [value, ...segments.map((_, index) => `${value}/${segments.slice(0, index + 1).join('/')}`)];
}

/** The host of a vendor mostly says who it is. */
const likeness = (slug: string, { hostname }: URL): number =>
    hostname.split('.').includes(slug) ? 2 : hostname.split('.').includes(slug.split('-')[0]!) ? 1 : 0;

const says = ({ weight }: UrlPattern): number => weight[0] + weight[1];
