/**
 * The egress policy (N4): which hosts Valetkey may connect to. It judges names and addresses and does not connect; the connector
 * asks it for the addresses to use and uses no others.
 */
import { isIP, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { inRange } from './allow-list.ts';
import type { Address, AllowList } from './allow-list.ts';
import { EgressError, systemCode } from './egress-error.ts';

/** All addresses of a host name, as text; rejects when there are none. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

export interface Policy {
    /** What can be said without DNS. Returns the URL in its canonical form; throws EgressError `invalid_url` or `blocked_by_policy`. */
    judgeUrl(url: URL | string): URL;
    /** The addresses to connect to, all of them checked. Rejects with EgressError `blocked_by_policy` or `dns_failure`. */
    addressesOf(hostname: string, port: number): Promise<readonly string[]>;
    /** Whether the operator opened this host, on whatever port. */
    isOpened(hostname: string): boolean;
}

/** Only 2000::/3 is global unicast (RFC 4291 §2.4); the rest is private, reserved, or an IPv4 address in disguise. */
const GLOBAL_UNICAST = ipaddr.IPv6.parse('2000::');

/** Names under which clouds serve credentials to whoever asks. Their usual addresses are link-local and blocked as well. */
const METADATA_NAMES: ReadonlySet<string> = new Set([
    'metadata',
    'metadata.google.internal',
    'metadata.goog',
    'instance-data',
    'instance-data.ec2.internal',
]);

const LOOPBACK = ['127.0.0.1', '::1'];

export function createPolicy(allow: AllowList, resolve: Resolve): Policy {
    /** Metadata names take an entry of their own: `.internal` opens a private zone, not the cloud's credentials. */
    const named = (hostname: string, port?: number): boolean =>
        allow.namesHost(hostname, port) || (allow.namesParentOf(hostname, port) && !METADATA_NAMES.has(hostname));
    const permits = (text: string, port: number): boolean => {
        const address = parseAddress(text);
        return address !== undefined && (allow.coversAddress(address, port) || isPublic(address));
    };
    const openLoopback = (hostname: string, port?: number): string[] =>
        LOOPBACK.filter((text) => named(hostname, port) || allow.coversAddress(ipaddr.parse(text), port));

    /** Whether the operator opened the host as it is written: by name, by literal address, or as localhost. Plain http takes this. */
    const opened = (hostname: string, port?: number): boolean => {
        const literal = parseAddress(hostname);
        return (
            named(hostname, port) ||
            (literal !== undefined && allow.coversAddress(literal, port)) ||
            (isLocalhost(hostname) && openLoopback(hostname, port).length > 0)
        );
    };
    /** Why nothing may go there that the operator has not opened. */
    const closedReason = (hostname: string, port: number): string | undefined => {
        if (isIP(hostname) !== 0) return permits(hostname, port) ? undefined : 'address';
        return isLocalhost(hostname) || METADATA_NAMES.has(hostname) ? 'name' : undefined;
    };

    return {
        judgeUrl(input) {
            const url = URL.parse(String(input));
            const hostname = url === null ? '' : canonicalHost(url.hostname);
            if (url === null || hostname === '') throw new EgressError('invalid_url', '', { neverSent: true });
            if (url.protocol !== 'https:' && url.protocol !== 'http:') throw blocked(hostname, 'scheme');
            if (url.username !== '' || url.password !== '') throw blocked(hostname, 'userinfo');

            const port = portOf(url.protocol, url.port);
            if (!opened(hostname, port)) {
                const reason = closedReason(hostname, port) ?? (url.protocol === 'http:' ? 'plain_http' : undefined);
                if (reason !== undefined) throw blocked(hostname, reason);
            }

            if (!isIPv6(hostname)) url.hostname = hostname;
            return url;
        },

        async addressesOf(hostname, port) {
            const reason = opened(hostname, port) ? undefined : closedReason(hostname, port);
            if (reason !== undefined) throw blocked(hostname, reason);
            if (isIP(hostname) !== 0) return [hostname];
            // RFC 6761 §6.3: localhost is loopback, and DNS has no say in it.
            if (isLocalhost(hostname)) return openLoopback(hostname, port);

            let answers: readonly string[];
            try {
                answers = await resolve(hostname);
            } catch (error) {
                throw new EgressError('dns_failure', hostname, { neverSent: true, reason: systemCode(error) });
            }
            if (answers.length === 0) throw new EgressError('dns_failure', hostname, { neverSent: true });
            // One blocked address condemns the host: who answers with a private address beside a public one is probing.
            const trusted = named(hostname, port);
            if (!answers.every((answer) => (trusted ? isIP(answer) !== 0 : permits(answer, port)))) throw blocked(hostname, 'address');
            return answers;
        },

        isOpened(hostname) {
            const url = URL.parse(`http://${isIPv6(hostname) ? `[${hostname}]` : hostname}/`);
            return url !== null && opened(canonicalHost(url.hostname));
        },
    };
}

/** 443 or 80 where the URL names no port. */
export function portOf(protocol: string, port: string): number {
    return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

/** The URL parser has lower-cased names and normalised IPv4 spellings; brackets and the root's dot are left. */
function canonicalHost(hostname: string): string {
    return hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.+$/, '');
}

/** An IPv4-mapped address (RFC 4291 §2.5.5.2) reaches the IPv4 host it holds, so it is judged as that. */
function parseAddress(text: string): Address | undefined {
    return isIP(text) === 0 ? undefined : ipaddr.process(text);
}

/**
 * Default deny: an address must be plain global unicast. ipaddr.js names every special-purpose block of RFC 6890 and its
 * successors (private, shared, loopback, link-local, multicast, documentation, benchmarking, 6to4, Teredo, …). IPv4-compatible,
 * IPv4-translated and NAT64 forms lie outside 2000::/3.
 */
function isPublic(address: Address): boolean {
    return address.range() === 'unicast' && (address.kind() === 'ipv4' || inRange(address, GLOBAL_UNICAST, 3));
}

function isLocalhost(hostname: string): boolean {
    return hostname === 'localhost' || hostname.endsWith('.localhost');
}

function blocked(hostname: string, reason: string): EgressError {
    return new EgressError('blocked_by_policy', hostname, { neverSent: true, reason });
}
