/** `VALETKEY_EGRESS_ALLOW`: the private hosts and ranges that an operator has opened. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

export type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Where no port is given, an entry for any port counts. Names are in the form that `URL.hostname` gives them. */
export interface AllowList {
    namesHost(hostname: string, port?: number): boolean;
    /** An entry `.example.com` names every host below example.com. */
    namesParentOf(hostname: string, port?: number): boolean;
    coversAddress(address: Address, port?: number): boolean;
}

/** Thrown while the process starts: an entry that cannot be read must not be skipped in silence. */
export class EgressAllowError extends Error {
    readonly code = 'invalid_egress_allow';
    constructor(entry: string) {
        super(
            `VALETKEY_EGRESS_ALLOW: "${entry}" is not a host name, a .parent.domain, an IP address or a CIDR, ` +
                'each optionally followed by :port (IPv6 in brackets then).',
        );
    }
}

type Entry = { port: number | undefined } & ({ kind: 'host' | 'parent'; name: string } | { kind: 'range'; network: Address; bits: number });

/**
 * Entries: `internal.example` (that name), `.example.com` (every name below it, not itself), `10.1.2.3`, `::1`, `10.0.0.0/8`,
 * `fd00::/8`; with a port `internal.example:8443`, `10.0.0.0/8:8443`, `[fd00::/8]:8443`.
 */
export function parseAllowList(texts: readonly string[]): AllowList {
    const entries = texts.map(parseEntry);
    const on = (port: number | undefined): Entry[] =>
        entries.filter((entry) => entry.port === undefined || port === undefined || entry.port === port);
    return {
        namesHost: (hostname, port) => on(port).some((entry) => entry.kind === 'host' && entry.name === hostname),
        namesParentOf: (hostname, port) => on(port).some((entry) => entry.kind === 'parent' && hostname.endsWith(`.${entry.name}`)),
        coversAddress: (address, port) => on(port).some((entry) => entry.kind === 'range' && inRange(address, entry.network, entry.bits)),
    };
}

const BRACKETED = /^\[(?<host>[0-9a-f:./]+)\](?::(?<port>\d{1,5}))?$/;
const BARE_IPV6 = /^(?<host>[0-9a-f]*:[0-9a-f:.]*:[0-9a-f:./]*)$/;
const NAME = /^(?:[a-z0-9_-]+\.)*[a-z0-9_-]*[a-z][a-z0-9_-]*$/;
const PLAIN = /^(?<host>[^\s:[\]@?#\\]+)(?::(?<port>\d{1,5}))?$/;

function parseEntry(text: string): Entry {
    const entry = text.trim().toLowerCase();
    const { host, port: digits } = (BRACKETED.exec(entry) ?? BARE_IPV6.exec(entry) ?? PLAIN.exec(entry))?.groups ?? {};
    const port = digits === undefined ? undefined : Number(digits);
    if (host === undefined || (port !== undefined && (port < 1 || port > 65535))) throw new EgressAllowError(text);
    const range = parseRange(host);
    if (range !== undefined) {
        const [network, bits] = range;
        return { kind: 'range', network, bits, port };
    }
    const kind = host.startsWith('.') ? 'parent' : 'host';
    const name = parseName(kind === 'parent' ? host.slice(1) : host);
    if (name === undefined) throw new EgressAllowError(text);
    return { kind, name, port };
}

/** Strict forms only: ipaddr.js itself would read `10/8` as 0.0.0.10/8. */
export function parseRange(host: string): [Address, number] | undefined {
    if (isIP(host) !== 0) {
        const address = ipaddr.process(host);
        return [address, address.kind() === 'ipv4' ? 32 : 128];
    }
    if (!ipaddr.IPv4.isValidCIDRFourPartDecimal(host) && !ipaddr.IPv6.isValidCIDR(host)) return undefined;
    const [network, bits] = ipaddr.parseCIDR(host);
    // IPv4-mapped addresses are judged as the IPv4 address they hold, so a mapped range would open nothing.
    return network.range() === 'ipv4Mapped' ? undefined : [network, bits];
}

function parseName(text: string): string | undefined {
    // The URL parser turns international names into their ASCII form, and odd IPv4 spellings (`0x7f.1`) into addresses.
    const url = URL.parse(`http://${text}/`);
    return url !== null && url.pathname === '/' && NAME.test(url.hostname) ? url.hostname : undefined;
}

export function inRange(address: Address, network: Address, bits: number): boolean {
    return address.kind() === network.kind() && address.match(network, bits);
}
