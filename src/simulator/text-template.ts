/**
 * The catalogue's `${…}` expressions, read backwards: not what to send, but whether what was sent is what the entry asks for,
 * and which values it was made of. Hashes cannot be read backwards; they are computed from the other values once those are known.
 */
import { createHash, createHmac, createPublicKey, verify } from 'node:crypto';

/** Values by the name an expression calls them, such as `connectionConfig.subdomain` or `apiKey`. */
export type Bindings = Readonly<Record<string, string>>;

/** A part that could not be read backwards: `expression` must come to `actual`. */
export interface Computed {
    readonly expression: string;
    readonly actual: string;
}

export interface Match {
    readonly bindings: Bindings;
    readonly computed: readonly Computed[];
}

export type Part = { readonly literal: string } | { readonly name: string } | { readonly call: string; readonly argument: string };

const uuid = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';

export function parseTemplate(template: string): Part[] {
    const parts: Part[] = [];
    let at = 0;
    while (at < template.length) {
        const start = template.indexOf('${', at);
        if (start === -1) {
            parts.push({ literal: template.slice(at) });
            break;
        }
        const end = closingBrace(template, start + 2);
        if (start > at) parts.push({ literal: template.slice(at, start) });
        const inside = template.slice(start + 2, end);
        const call = /^([A-Za-z0-9]+)\(([\s\S]*)\)$/.exec(inside);
        parts.push(call === null ? { name: inside } : { call: call[1]!, argument: call[2]! });
        at = end + 1;
    }
    return parts;
}

function closingBrace(text: string, from: number): number {
    let depth = 0;
    for (let at = from; at < text.length; at += 1) {
        if (text[at] === '{') depth += 1;
        if (text[at] === '}') {
            if (depth === 0) return at;
            depth -= 1;
        }
    }
    throw new Error(`The expression "${text}" does not close its brace.`);
}

/** `left || right`: the right half is for when the left one has no value. */
export const alternatives = (template: string): string[] => template.split(' || ');

/** The names a template mentions, at any depth. */
export function namesIn(template: string): string[] {
    return parseTemplate(template).flatMap((part) => ('name' in part ? [part.name] : 'call' in part ? namesIn(part.argument) : []));
}

export const escapeRegExp = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');

/** `undefined`: the text is not one that this template gives with these values. */
export function matchTemplate(template: string, actual: string, known: Bindings): Match | undefined {
    for (const alternative of alternatives(template)) {
        const match = matchAlternative(parseTemplate(alternative), actual, known);
        if (match !== undefined) return match;
    }
    return undefined;
}

function matchAlternative(parts: readonly Part[], actual: string, known: Bindings): Match | undefined {
    const groups: Part[] = [];
    const groupOf = new Map<string, number>();
    const pattern = parts.map((part) => {
        if ('literal' in part) return escapeRegExp(part.literal);
        if ('name' in part) {
            const value = known[part.name];
            if (value !== undefined) return escapeRegExp(value);
            const earlier = groupOf.get(part.name);
            if (earlier !== undefined) return `\\${earlier}`;
            groupOf.set(part.name, groups.push(part));
            return `(${shapeOf(part.name)})`;
        }
        groups.push(part);
        return part.call === 'base64' ? '([A-Za-z0-9+/]*={0,2})' : '([\\s\\S]+?)';
    });
    const found = new RegExp(`^${pattern.join('')}$`).exec(actual);
    if (found === null) return undefined;

    let bindings: Bindings = known;
    const computed: Computed[] = [];
    for (const [index, part] of groups.entries()) {
        const text = found[index + 1]!;
        if ('name' in part) {
            bindings = { ...bindings, [part.name]: text };
        } else if ('call' in part && part.call === 'base64') {
            const inner = matchTemplate(part.argument, Buffer.from(text, 'base64').toString('utf8'), bindings);
            if (inner === undefined) return undefined;
            bindings = inner.bindings;
            computed.push(...inner.computed);
        } else if ('call' in part) {
            computed.push({ expression: `\${${part.call}(${part.argument})}`, actual: text });
        }
    }
    return { bindings, computed };
}

function shapeOf(name: string): string {
    return name === 'random' ? uuid : /^now\b/.test(name) ? '[^\\n]+?' : '[\\s\\S]*?';
}

/** The text of a template, or `undefined` while one of its values is not known. */
export function fillTemplate(template: string, values: Bindings): string | undefined {
    for (const alternative of alternatives(template)) {
        const texts = parseTemplate(alternative).map((part) =>
            'literal' in part ? part.literal : 'name' in part ? values[part.name] : callFunction(part.call, part.argument, values),
        );
        if (!texts.includes(undefined)) return texts.join('');
    }
    return undefined;
}

function callFunction(name: string, argument: string, values: Bindings): string | undefined {
    const text = fillTemplate(argument, values);
    if (text === undefined) return undefined;
    switch (name) {
        case 'base64':
            return Buffer.from(text).toString('base64');
        case 'sha256Hex':
            return createHash('sha256').update(text).digest('hex');
        case 'sha256Base64':
            return createHash('sha256').update(text).digest('base64');
        case 'fingerprint':
            return fingerprint(text);
        case 'hmacSha1Hex': {
            const comma = text.lastIndexOf(',');
            return createHmac('sha1', text.slice(comma + 1).trim())
                .update(text.slice(0, comma))
                .digest('hex');
        }
        default:
            return undefined;
    }
}

/** `SHA256:` and the digest of the public key in SPKI form, of whatever key the PEM holds. */
export function fingerprint(pem: string): string | undefined {
    try {
        const der = createPublicKey(pem.replaceAll(String.raw`\n`, '\n')).export({ type: 'spki', format: 'der' });
        return `SHA256:${createHash('sha256').update(der).digest('base64')}`;
    } catch {
        return undefined;
    }
}

/** Whether a computed part is right: `undefined` while a value that it needs is unknown to the twin. */
export function holds({ expression, actual }: Computed, values: Bindings): boolean | undefined {
    const [part] = parseTemplate(expression);
    if (part !== undefined && 'call' in part && part.call === 'ed25519Sign') return isSignature(part.argument, actual, values);
    const expected = fillTemplate(expression, values);
    return expected === undefined ? undefined : expected === actual;
}

/** The last comma separates the key, as for every function with a key. */
function isSignature(argument: string, actual: string, values: Bindings): boolean | undefined {
    const comma = argument.lastIndexOf(',');
    const [text, key] = [fillTemplate(argument.slice(0, comma), values), fillTemplate(argument.slice(comma + 1).trim(), values)];
    if (text === undefined || key === undefined) return undefined;
    return verify(null, Buffer.from(text), createPublicKey(key.replaceAll(String.raw`\n`, '\n')), Buffer.from(actual, 'base64'));
}
