/**
 * Turns one alternative of a URL template into components: which texts are literal, which slot a placeholder fills, and what the
 * finished host must end with (N1). Runs at catalogue load; `url-template.ts` builds URLs from the result.
 */
import { ExpressionError, isReference } from './expression.ts';
import type { Part, Reference } from './expression.ts';
import type { FieldRule } from './field-rule.ts';
import { hostLabel, isHostName, originParts, percentEncoded, portOf, suffixChoice, wholeHost } from './slot.ts';
import type { SlotKind } from './slot.ts';

export interface TemplateField {
    readonly root: 'connectionConfig' | 'credentials';
    readonly name: string;
    readonly kind: SlotKind;
    /** The value may fill this slot. Says nothing about the field's own pattern, except where that permits dots or a port. */
    accepts(value: string): boolean;
}

export interface UrlTemplateOptions {
    readonly connectionConfig: ReadonlyMap<string, FieldRule>;
    readonly credentials: ReadonlyMap<string, FieldRule>;
    /** `hostname` is lower-case; an IPv6 address comes without brackets. */
    readonly isPlainHttpAllowed: (hostname: string) => boolean;
}

/** The template itself is wrong: the catalogue does not load. `rule` is the id of the broken rule. */
export class UrlTemplateError extends Error {
    override readonly name = 'UrlTemplateError';
    readonly code = 'invalid_url_template';
    readonly rule: 'N1' | 'E05';

    constructor(rule: 'N1' | 'E05', message: string) {
        super(message);
        this.rule = rule;
    }
}

export interface Slot extends TemplateField {
    readonly rule: FieldRule | undefined;
}

export type Chunk = string | Slot;

export interface Alternative {
    readonly scheme: string;
    /** Fills scheme, host and port, instead of the three members below. */
    readonly origin: Slot | undefined;
    readonly host: readonly Chunk[];
    readonly port: Chunk;
    /** What the finished host must end with: the whole host, or `.` and the labels behind the last slot. Empty: nothing is literal. */
    readonly suffix: string;
    readonly path: readonly Chunk[];
    readonly query: readonly Chunk[];
    readonly slots: readonly Slot[];
    readonly hostIsChosen: boolean;
}

// RFC 3986 §3.3, §3.4, without the apostrophe, which URL parsers rewrite in a query.
const literalPath = /^(?:[A-Za-z0-9._~!$&()*+,;=:@/-]|%[0-9A-Fa-f]{2})*$/;
const literalQuery = /^(?:[A-Za-z0-9._~!$&()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*$/;

/** @throws UrlTemplateError | ExpressionError */
export function compileAlternative(parts: readonly Part[], options: UrlTemplateOptions): Alternative {
    const { scheme, host: hostParts, path: pathParts, query: queryParts } = splitParts(parts);
    const slot = (part: Part, kind: SlotKind): Chunk => (typeof part === 'string' ? part : compileSlot(part, kind, options));
    const path = pathParts.map((part) => slot(part, 'path-segment'));
    const query = queryParts.map((part) => slot(part, 'query-value'));
    requireLiterals(path, literalPath, 'path');
    requireLiterals(query, literalQuery, 'query');
    if (/(^|\/)\.{1,2}(\/|$)/.test(path.map((chunk) => (typeof chunk === 'string' ? chunk : 'x')).join(''))) {
        throw new UrlTemplateError('E05', 'remove the "." and ".." steps from the path');
    }
    if (scheme === '') {
        const chunk = slot(hostParts[0] ?? '', 'origin') as Slot;
        requireOriginChoices(chunk, options);
        const slots = [chunk, ...slotsOf(path), ...slotsOf(query)];
        return {
            scheme,
            origin: chunk,
            host: [],
            port: '',
            suffix: '',
            path,
            query,
            slots,
            hostIsChosen: chunk.rule?.field.enum === undefined,
        };
    }
    const host = compileHost(scheme, hostParts, options);
    return { scheme, origin: undefined, ...host, path, query, slots: slotsOf([...host.host, host.port, ...path, ...query]) };
}

/** Cuts a template at the borders RFC 3986 §3 gives a URL. An empty scheme means that a value supplies the whole origin. */
function splitParts(parts: readonly Part[]): { scheme: string; host: Part[]; path: Part[]; query: Part[] } {
    const [first, ...rest] = parts;
    if (first === undefined) throw new UrlTemplateError('E05', 'write a URL on both sides of "||"');
    const scheme = typeof first === 'string' ? /^https?(?=:\/\/)/.exec(first)?.[0] : '';
    if (scheme === undefined) throw new UrlTemplateError('E05', 'start the URL with https:// or with an expression');
    const split = { scheme, host: [] as Part[], path: [] as Part[], query: [] as Part[] };
    let section: 'host' | 'path' | 'query' = 'host';
    const pending = typeof first === 'string' ? [first.slice(scheme.length + '://'.length), ...rest] : [first, ...rest];
    for (const part of pending) {
        if (typeof part !== 'string') {
            split[section].push(part);
            continue;
        }
        if (part.includes('#')) throw new UrlTemplateError('E05', 'remove the fragment; an endpoint has none (RFC 6749 §3.1)');
        let text = part;
        if (section === 'host') {
            const end = text.search(/[/?]/);
            const host = end < 0 ? text : text.slice(0, end);
            if (host !== '') split.host.push(host);
            if (end < 0) continue;
            text = text.slice(end);
            section = 'path';
        }
        const mark = section === 'path' ? text.indexOf('?') : -1;
        const before = mark < 0 ? text : text.slice(0, mark);
        if (before !== '') split[section].push(before);
        if (mark >= 0) {
            section = 'query';
            if (mark + 1 < text.length) split.query.push(text.slice(mark + 1));
        }
    }
    if (scheme === '' && split.host.length !== 1) {
        throw new UrlTemplateError('N1', 'end the text directly behind the leading expression, or continue it with "/"');
    }
    return split;
}

function compileHost(
    scheme: string,
    parts: readonly Part[],
    options: UrlTemplateOptions,
): Pick<Alternative, 'host' | 'port' | 'suffix' | 'hostIsChosen'> {
    if (parts.length === 0) throw new UrlTemplateError('E05', 'name a host');
    const { parts: named, port } = cutPort(parts, options);
    if (named.every((part) => typeof part === 'string')) {
        const literal = compileLiteralHost(scheme, named.join('') + (typeof port === 'string' && port !== '' ? `:${port}` : ''), options);
        return typeof port === 'string' ? literal : { ...literal, port };
    }
    const last = named.at(-1);
    const host = named.map((part): Chunk => {
        if (typeof part === 'string') return part;
        const isLast = part === last;
        const isWhole = named.length === 1 && !hasChoices(part, options);
        return compileSlot(part, isWhole ? 'host' : isLast ? 'suffix-choice' : 'host-label', options);
    });
    const areWhole = host.length === 1;
    for (const chunk of host) {
        if (typeof chunk === 'string') {
            if (!/^[a-z0-9.-]+$/.test(chunk)) throw new UrlTemplateError('N1', 'write the host in lower-case letters, digits, dots and dashes');
        } else if (chunk.kind === 'suffix-choice') {
            requireSuffixChoices(chunk, areWhole);
        }
    }
    const tail = host.at(-1);
    const suffix = typeof tail === 'string' ? tail.slice(Math.max(tail.indexOf('.'), 0)) : '';
    if (typeof tail === 'string' && !/^\.[^.]/.test(suffix)) {
        throw new UrlTemplateError('N1', 'end the host with a literal that has a dot, such as ".example.com"');
    }
    const isWhole = typeof tail !== 'string' && tail?.kind === 'host';
    // ".com" behind a label binds nothing: whoever picks the label picks the host.
    const isOpen = isWhole || (suffix !== '' && suffix.lastIndexOf('.') === 0);
    if (scheme === 'http' && isOpen) throw new UrlTemplateError('E05', 'use https://, since a value decides the host');
    if (scheme === 'http' && suffix !== '' && !options.isPlainHttpAllowed(suffix.slice(1))) throw plainHttp(suffix.slice(1));
    return { host, port, suffix, hostIsChosen: isOpen };
}

function compileLiteralHost(
    scheme: string,
    authority: string,
    options: UrlTemplateOptions,
): Pick<Alternative, 'host' | 'port' | 'suffix' | 'hostIsChosen'> {
    const url = URL.canParse(`${scheme}://${authority}`) ? new URL(`${scheme}://${authority}`) : undefined;
    // The parser must find nothing but host and port, and leave the host as it is written (RFC 3986 §3.2).
    const written = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::([0-9]+))?$/.exec(authority);
    if (!url || !written || url.hostname !== written[1]) {
        throw new UrlTemplateError('E05', `write the host "${authority}" as a plain lower-case name, without user part`);
    }
    if (scheme === 'http' && !options.isPlainHttpAllowed(withoutBrackets(url.hostname))) throw plainHttp(withoutBrackets(url.hostname));
    return { host: [url.hostname], port: url.port, suffix: url.hostname, hostIsChosen: false };
}

function plainHttp(host: string): UrlTemplateError {
    return new UrlTemplateError('E05', `use https://, or list "${host}" in VALETKEY_EGRESS_ALLOW if it is a server of your own`);
}

function cutPort(parts: readonly Part[], options: UrlTemplateOptions): { parts: Part[]; port: Chunk } {
    const last = parts.at(-1);
    const before = parts.at(-2);
    if (last !== undefined && typeof last !== 'string' && typeof before === 'string' && before.endsWith(':')) {
        const port = compileSlot(last, 'port', options);
        if (port.rule?.fault('0x') === undefined) throw new UrlTemplateError('N1', `declare "${port.name}" with a pattern that only numbers fit`);
        return { parts: [...parts.slice(0, -2), before.slice(0, -1)], port };
    }
    const [, text = '', port = ''] = (typeof last === 'string' && /^([^:]*):([1-9][0-9]{0,4})$/.exec(last)) || [];
    if (port === '') return { parts: [...parts], port };
    return { parts: [...parts.slice(0, -1), ...(text === '' ? [] : [text])], port };
}

function compileSlot(part: Part, kind: SlotKind, options: UrlTemplateOptions): Slot {
    if (typeof part === 'string' || !isReference(part)) throw new ExpressionError('functions have no place in a URL');
    const { root, name } = fieldOf(part);
    const rule = options[root].get(name);
    return { root, name, kind, rule, accepts: (value) => isAcceptable(value, kind, rule, options) };
}

function isAcceptable(value: string, kind: SlotKind, rule: FieldRule | undefined, options: UrlTemplateOptions): boolean {
    switch (kind) {
        case 'host-label':
            return hostLabel(value, rule) !== undefined;
        case 'host':
            return wholeHost(value, rule) !== undefined;
        case 'suffix-choice':
            return suffixChoice(value, rule) !== undefined;
        case 'port':
            return portOf(value) !== undefined;
        case 'origin': {
            const parts = originParts(value, rule);
            return parts !== undefined && (parts.scheme === 'https' || options.isPlainHttpAllowed(parts.host));
        }
        default:
            return percentEncoded(value, kind) !== undefined;
    }
}

function fieldOf(reference: Reference): { root: 'connectionConfig' | 'credentials'; name: string } {
    const { root, name } = reference;
    if (root === 'connectionConfig' || root === 'credentials') return { root, name };
    if (root === 'apiKey' || root === 'username' || root === 'password') return { root: 'credentials', name: root };
    throw new ExpressionError(`"${root}" has no place in a URL; use connectionConfig or credentials`);
}

function hasChoices(part: Part, options: UrlTemplateOptions): boolean {
    if (typeof part === 'string' || !isReference(part)) return false;
    const { root, name } = fieldOf(part);
    return options[root].get(name)?.field.enum !== undefined;
}

function requireSuffixChoices(slot: Slot, areWhole: boolean): void {
    const choices = slot.rule?.field.enum;
    if (!choices) throw new UrlTemplateError('N1', `declare "${slot.name}" with an enum: it ends the host, and so could name a foreign one`);
    const isHostPart = (choice: string): boolean => (areWhole ? wholeHost(choice, slot.rule) !== undefined : isHostName(choice));
    const wrong = choices.find((choice) => choice !== choice.toLowerCase() || !isHostPart(choice));
    if (wrong !== undefined) throw new UrlTemplateError('N1', `correct the choice "${wrong}" of "${slot.name}": it does not end a host name`);
}

function requireOriginChoices(slot: Slot, options: UrlTemplateOptions): void {
    const wrong = slot.rule?.field.enum?.find((choice) => !isAcceptable(choice, 'origin', slot.rule, options));
    if (wrong !== undefined) throw new UrlTemplateError('N1', `correct the choice "${wrong}" of "${slot.name}": it is not an https origin`);
}

function requireLiterals(chunks: readonly Chunk[], allowed: RegExp, place: string): void {
    if (chunks.some((chunk) => typeof chunk === 'string' && !allowed.test(chunk))) {
        throw new UrlTemplateError('E05', `percent-encode the special characters in the ${place}`);
    }
}

function slotsOf(chunks: readonly Chunk[]): Slot[] {
    return chunks.filter((chunk) => typeof chunk !== 'string');
}

/** A host as policies know it: an IPv6 address without the brackets a URL puts around it (RFC 3986 §3.2.2). */
export function withoutBrackets(hostname: string): string {
    return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}
