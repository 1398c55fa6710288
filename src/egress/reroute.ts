/**
 * Simulate mode: calls that would leave the machine go to the twin server instead, by plain HTTP, as they are. Their own origin
 * travels in a header. The policy has judged the URL before; DNS is not asked, since nobody is called by name.
 */
import { isIP } from 'node:net';
import type { Hop } from './exchange.ts';
import type { Policy } from './policy.ts';

const originHeader = 'x-simulated-origin';

export type Reroute = (hop: Hop) => Hop;

/** Loopback, address literals and hosts of VALETKEY_EGRESS_ALLOW are real, and stay so. */
export function createReroute(policy: Policy, twinServer: URL): Reroute {
    return (hop) => {
        const { url } = hop;
        const hostname = url.hostname.replace(/^\[(.*)\]$/, '$1');
        const isReal = isIP(hostname) !== 0 || hostname === 'localhost' || hostname.endsWith('.localhost') || policy.isOpened(hostname);
        if (isReal) return hop;
        const target = new URL(url.pathname + url.search, twinServer);
        return { ...hop, url: target, headers: { ...hop.headers, [originHeader]: url.origin } };
    };
}

/** Where a browser finds the twin of an address. */
export function simulatedAddress(address: string, twinServer: URL): string {
    const url = new URL(address);
    if (isIP(url.hostname.replace(/^\[(.*)\]$/, '$1')) !== 0 || url.hostname === 'localhost') return address;
    return `http://localhost:${twinServer.port}/at/${url.host}${url.pathname}${url.search}${url.hash}`;
}
