/** Addresses from which a key may be used (S2). */
import ipaddr from 'ipaddr.js';
import { inRange, parseRange, type Address } from '../egress/allow-list.ts';

type Range = readonly [Address, number];

/** By their text: keys share few ranges, and requests come by the thousand. */
const ranges = new Map<string, Range | undefined>();
const mostRanges = 10_000;

/** A range as it is stored, a single address being a range of one; `undefined`: it is neither. */
export function canonicalRange(text: string): string | undefined {
    // A zone means something on one machine only.
    const range = text.includes('%') ? undefined : parseRange(text.toLowerCase());
    return range && `${range[0].toString()}/${range[1]}`;
}

export function isAllowedAddress(allowed: readonly string[], address: string | undefined): boolean {
    if (address === undefined || !ipaddr.isValid(address)) {
        return false;
    }
    // IPv4 callers of a socket for both arrive as ::ffff:1.2.3.4
    const caller = ipaddr.process(address);
    return allowed.some((text) => {
        const range = rangeOf(text);
        return range !== undefined && inRange(caller, range[0], range[1]);
    });
}

/** An address in the form in which people know it. */
export const plainAddress = (address: string | undefined): string | null =>
    address !== undefined && ipaddr.isValid(address) ? ipaddr.process(address).toString() : null;

function rangeOf(text: string): Range | undefined {
    if (!ranges.has(text)) {
        if (ranges.size >= mostRanges) {
            ranges.clear();
        }
        ranges.set(text, parseRange(text));
    }
    return ranges.get(text);
}
