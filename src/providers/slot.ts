/**
 * The kinds of placeholder in a URL template, and what each lets in (N1). Host kinds are validated and lower-cased, never
 * percent-encoded or decoded; path and query kinds are percent-encoded. Only ASCII letters are ever lower-cased: some
 * Unicode letters fold into ASCII ones.
 */
import type { FieldRule } from './field-rule.ts';
import { strictlyEncoded } from './strict-encoding.ts';

/**
 * - `host-label`: part of the host in front of a literal suffix; several labels only if the field declares them.
 * - `host`: the whole host, with a port only if the field declares one.
 * - `suffix-choice`: the last labels of the host, from the field's `enum`.
 * - `origin`: the URL up to the literal path, if any: https, no user part, port only if declared.
 * - `path-segment`, `query-value`: text, percent-encoded.
 */
export type SlotKind = 'host-label' | 'host' | 'suffix-choice' | 'origin' | 'path-segment' | 'query-value';

/** The parts of a URL in front of the template's own path. `path` is empty or starts with a slash. */
export interface OriginParts {
    readonly scheme: string;
    readonly host: string;
    readonly port: string;
    readonly path: string;
}

const longestHost = 253;
const label = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;
const portNumber = /^[1-9][0-9]{0,4}$/;
// RFC 3986 §3.3: pchar, in segments; no query, fragment or backslash.
const origin = /^(https?):\/\/([A-Za-z0-9.-]+)(?::([0-9]+))?((?:\/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*)$/;
const dotSegment = /\/(?:\.|%2e){1,2}(?:\/|$)/i;
const control = /[\u0000-\u001f\u007f]/; // oxlint-disable-line no-control-regex

export function isHostName(host: string): boolean {
    return host.length <= longestHost && host.split('.').every((part) => label.test(part));
}

/** URL parsers read some names as something else, such as `127.1` as `127.0.0.1`. Those may not pass. */
function isReadAsWritten(host: string): boolean {
    return URL.canParse(`https://${host}`) && new URL(`https://${host}`).hostname === host.toLowerCase();
}

/** One label, or several where the field declares dots. `undefined`: not acceptable. */
export function hostLabel(value: string, rule: FieldRule | undefined): string | undefined {
    if (!isHostName(value) || !isReadAsWritten(`${value}.example`)) return undefined;
    if (value.includes('.') && rule?.declaresDots(value) !== true) return undefined;
    return value.toLowerCase();
}

export function wholeHost(value: string, rule: FieldRule | undefined): Pick<OriginParts, 'host' | 'port'> | undefined {
    const colon = value.indexOf(':');
    const host = colon < 0 ? value : value.slice(0, colon);
    const port = colon < 0 ? '' : value.slice(colon + 1);
    if (!isHostName(host) || !isReadAsWritten(host) || (colon >= 0 && !isDeclaredPort(port, value, rule))) return undefined;
    return { host: host.toLowerCase(), port };
}

/** A member of the field's `enum`; the compiler has checked that those are host suffixes. */
export function suffixChoice(value: string, rule: FieldRule | undefined): string | undefined {
    return rule?.field.enum?.includes(value) === true ? value : undefined;
}

/** Plain http is left to the caller, who knows the hosts it is allowed for. */
export function originParts(value: string, rule: FieldRule | undefined): OriginParts | undefined {
    if (rule?.field.enum !== undefined && !rule.field.enum.includes(value)) return undefined;
    const [, scheme, host, port = '', path = ''] = origin.exec(value) ?? [];
    if (scheme === undefined || host === undefined || !isHostName(host) || !isReadAsWritten(host)) return undefined;
    if (dotSegment.test(path)) return undefined;
    if (port !== '' && !isDeclaredPort(port, value, rule)) return undefined;
    return { scheme, host: host.toLowerCase(), port, path };
}

/** RFC 3986 §2.1, unreserved characters only left as they are. `undefined`: control characters, lone surrogates, dot segments. */
export function percentEncoded(value: string, kind: 'path-segment' | 'query-value'): string | undefined {
    if (control.test(value) || !value.isWellFormed()) return undefined;
    if (kind === 'path-segment' && (value === '.' || value === '..')) return undefined;
    return strictlyEncoded(value);
}

function isDeclaredPort(port: string, value: string, rule: FieldRule | undefined): boolean {
    return portNumber.test(port) && Number(port) <= 65_535 && rule?.declaresPort(value) === true;
}
