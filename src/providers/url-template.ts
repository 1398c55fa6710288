/**
 * URL templates of the catalogue, compiled once into components and built by components (N1). A value can fill the slot it is
 * given and nothing else: no decoding, no second parse, and the finished URL is compared with what was meant.
 */
import { parseTemplate } from './expression.ts';
import { hostLabel, originParts, percentEncoded, portOf, suffixChoice, wholeHost } from './slot.ts';
import type { OriginParts } from './slot.ts';
import { compileAlternative, withoutBrackets } from './url-template-compiler.ts';
import type { Alternative, Chunk, Slot, TemplateField, UrlTemplateOptions } from './url-template-compiler.ts';

export { UrlTemplateError } from './url-template-compiler.ts';
export type { TemplateField, UrlTemplateOptions } from './url-template-compiler.ts';

export type TemplateValues = {
    connectionConfig: Readonly<Record<string, unknown>>;
    credentials?: Readonly<Record<string, unknown>>;
};

export interface UrlTemplate {
    readonly source: string;
    readonly fields: readonly TemplateField[];
    /** N2: the catalogue does not bind the host; a value decides it, so secrets need an allow-list. */
    readonly hostIsChosenByConnection: boolean;
    /**
     * The first alternative whose values are all present. A partially resolved alternative never wins, an invalid value never
     * falls through to the next one.
     * @throws TemplateError
     */
    build(values: TemplateValues): URL;
}

/** A value is missing or does not fit its slot. Names the field, never holds the value. */
export class TemplateError extends Error {
    override readonly name = 'TemplateError';
    readonly code: 'missing_value' | 'invalid_value';
    readonly field: string;

    constructor(code: 'missing_value' | 'invalid_value', field: string) {
        super(code === 'missing_value' ? `"${field}" has no value.` : `The value of "${field}" cannot stand where the provider's URL needs it.`);
        this.code = code;
        this.field = field;
    }
}

/** @throws UrlTemplateError | ExpressionError when the text cannot be compiled safely. */
export function compileUrlTemplate(source: string, options: UrlTemplateOptions): UrlTemplate {
    const alternatives = parseTemplate(source).map((parts) => compileAlternative(parts, options));
    // Most endpoints take no value: what was built and checked once is the same each time.
    let constant: string | undefined;
    return {
        source,
        fields: alternatives.flatMap((alternative) => alternative.slots),
        hostIsChosenByConnection: alternatives.some((alternative) => alternative.hostIsChosen),
        build(values) {
            if (constant !== undefined) return new URL(constant);
            let missing = '';
            for (const alternative of alternatives) {
                const absent = alternative.slots.find((slot) => slotValue(slot, values) === undefined);
                if (!absent) {
                    const url = buildAlternative(alternative, values, options.isPlainHttpAllowed);
                    if (alternative.slots.length === 0 && alternative === alternatives[0]) constant = url.href;
                    return url;
                }
                missing = absent.name;
            }
            throw new TemplateError('missing_value', missing);
        },
    };
}

/** A stored name may hold dots, so the whole name is tried as one key first: that is the key whose field rules were checked. */
export function lookUp(values: Readonly<Record<string, unknown>> | undefined, name: string): unknown {
    if (values === undefined) return undefined;
    if (Object.hasOwn(values, name)) return values[name];
    let found: unknown = values;
    for (const step of name.split('.')) {
        if (typeof found !== 'object' || found === null || !Object.hasOwn(found, step)) return undefined;
        found = (found as Record<string, unknown>)[step];
    }
    return found;
}

/** Text and numbers are inserted; anything else, and the empty text, counts as absent (catalogue contract 5). */
function slotValue(slot: Slot, values: TemplateValues): string | undefined {
    const value = lookUp(values[slot.root], slot.name);
    if (typeof value === 'number' && Number.isFinite(value)) return String(value);
    return typeof value === 'string' && value !== '' ? value : undefined;
}

function buildAlternative(template: Alternative, values: TemplateValues, isPlainHttpAllowed: (hostname: string) => boolean): URL {
    const valueOf = (slot: Slot): string => slotValue(slot, values) ?? '';
    const orInvalid = <T>(filled: T | undefined, slot: Slot): T => {
        if (filled === undefined) throw new TemplateError('invalid_value', slot.name);
        return filled;
    };
    const encoded = (chunk: Chunk, kind: 'path-segment' | 'query-value'): string =>
        typeof chunk === 'string' ? chunk : orInvalid(percentEncoded(valueOf(chunk), kind), chunk);

    const base = template.origin
        ? orInvalid(originParts(valueOf(template.origin), template.origin.rule), template.origin)
        : fillHost(template, valueOf, orInvalid);
    const path = template.path.map((chunk) => encoded(chunk, 'path-segment')).join('');
    const query = template.query.map((chunk) => encoded(chunk, 'query-value')).join('');
    const full = path === '' ? base.path : base.path.replace(/\/+$/, '') + path;
    const culprit = template.slots[0]?.name ?? template.suffix;
    return assembled({ ...base, path: full }, query, template.suffix, culprit, isPlainHttpAllowed);
}

function fillHost(template: Alternative, valueOf: (slot: Slot) => string, orInvalid: <T>(filled: T | undefined, slot: Slot) => T): OriginParts {
    const port = typeof template.port === 'string' ? template.port : orInvalid(portOf(valueOf(template.port)), template.port);
    const [first, ...others] = template.host;
    if (first !== undefined && typeof first !== 'string' && others.length === 0) {
        const value = first.kind === 'suffix-choice' ? orInvalid(suffixChoice(valueOf(first), first.rule), first) : valueOf(first);
        const whole = orInvalid(wholeHost(value, first.rule), first);
        return { scheme: template.scheme, ...whole, port: whole.port || port };
    }
    const host = template.host.map((chunk) => {
        if (typeof chunk === 'string') return chunk;
        const part = chunk.kind === 'suffix-choice' ? suffixChoice(valueOf(chunk), chunk.rule) : hostLabel(valueOf(chunk), chunk.rule);
        return orInvalid(part, chunk);
    });
    return { scheme: template.scheme, host: host.join(''), port, path: '' };
}

/** Puts the checked parts together and makes sure that the parser read exactly these parts (N1, RFC 3986 §3.2.2). */
function assembled(parts: OriginParts, query: string, suffix: string, culprit: string, isPlainHttpAllowed: (hostname: string) => boolean): URL {
    const text = `${parts.scheme}://${parts.host}${parts.port && `:${parts.port}`}${parts.path}${query && `?${query}`}`;
    const url = URL.canParse(text) ? new URL(text) : undefined;
    const isAsMeant =
        url !== undefined &&
        (url.protocol === 'https:' || (url.protocol === 'http:' && isPlainHttpAllowed(withoutBrackets(url.hostname)))) &&
        url.hostname === parts.host &&
        (parts.host === suffix || suffix === '' || (suffix.startsWith('.') && parts.host.endsWith(suffix))) &&
        (url.port === parts.port || (url.port === '' && parts.port === (url.protocol === 'https:' ? '443' : '80'))) &&
        url.username === '' &&
        url.password === '' &&
        url.pathname === (parts.path || '/') &&
        url.search === (query && `?${query}`) &&
        url.hash === '';
    if (!url || !isAsMeant) throw new TemplateError('invalid_value', culprit);
    return url;
}
