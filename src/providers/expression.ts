/**
 * The syntax of `${...}` in catalogue texts: which roots and functions exist, and how a text splits into alternatives and parts.
 * Nothing is evaluated here; `value-template.ts` and `url-template.ts` do that, each for its own positions.
 */

/** A value by its root, e.g. `${connectionConfig.region}` → root `connectionConfig`, name `region`; `${random}` has no name. */
export interface Reference {
    readonly root: string;
    readonly name: string;
}

/** A function of the argument between its parentheses, e.g. `${base64(${username}:${password})}`. */
export interface Call {
    readonly call: string;
    readonly argument: readonly Part[];
}

export type Part = string | Reference | Call;

/** The text is not a template of the catalogue's language. The message says what to change and never holds a run-time value. */
export class ExpressionError extends Error {
    override readonly name = 'ExpressionError';
    readonly code = 'invalid_expression';
}

const namedRoots: ReadonlySet<string> = new Set(['connectionConfig', 'credentials', 'assertionOption']);
const plainRoots: ReadonlySet<string> = new Set([
    'apiKey',
    'username',
    'password',
    'accessToken',
    'clientId',
    'clientSecret',
    'token',
    'refresh_token',
    'random',
    'method',
    'host',
    'path',
    'params',
    'endpoint',
    'bodyCanonicalParams',
]);
const functions: ReadonlySet<string> = new Set(['base64', 'sha256Hex', 'sha256Base64', 'hmacSha1Hex', 'ed25519Sign', 'fingerprint', 'awsSigV4']);

const fallback = ' || ';
const callStart = /([A-Za-z][A-Za-z0-9]*)\(/y;
const moment = /^now(?:[+-][0-9]+:[a-z]+)?(?::.+)?$/s;
const dottedName = /^([A-Za-z][A-Za-z0-9]*)\.([A-Za-z_][A-Za-z0-9_.-]*)$/;

export function isReference(part: Part): part is Reference {
    return typeof part === 'object' && 'root' in part;
}

/**
 * Splits `left || right` into alternatives, and each into literal texts, references and calls. A text without `${` is one
 * literal alternative, whatever bars it holds.
 * @throws ExpressionError for an unknown root or function, or unbalanced brackets.
 */
export function parseTemplate(source: string): readonly (readonly Part[])[] {
    if (!source.includes('${')) return [[source]];
    const reader = new Reader(source);
    const alternatives = [reader.parts(fallback)];
    while (!reader.atEnd) alternatives.push(reader.parts(fallback));
    return alternatives;
}

/** Every reference of a template, those inside function arguments included. */
export function references(parts: readonly Part[]): Reference[] {
    return parts.flatMap((part) => {
        if (typeof part === 'string') return [];
        return isReference(part) ? [part] : references(part.argument);
    });
}

class Reader {
    readonly #source: string;
    #at = 0;

    constructor(source: string) {
        this.#source = source;
    }

    get atEnd(): boolean {
        return this.#at >= this.#source.length;
    }

    /** Reads up to `stop` and past it, or, for the fallback bars only, to the end of the text. */
    parts(stop: string): Part[] {
        const parts: Part[] = [];
        while (!this.atEnd) {
            const end = this.#indexOf(stop);
            const expression = this.#indexOf('${');
            const next = Math.min(end, expression);
            if (next > this.#at) parts.push(this.#source.slice(this.#at, next));
            this.#at = next;
            if (end < expression) {
                this.#at += stop.length;
                return parts;
            }
            if (!this.atEnd) {
                this.#at += 2;
                parts.push(this.#expression());
            }
        }
        if (stop !== fallback) throw new ExpressionError(`close the function with "${stop}"`);
        return parts;
    }

    #indexOf(text: string): number {
        const index = this.#source.indexOf(text, this.#at);
        return index < 0 ? this.#source.length : index;
    }

    #expression(): Reference | Call {
        callStart.lastIndex = this.#at;
        const call = callStart.exec(this.#source)?.[1];
        if (call !== undefined) {
            if (!functions.has(call)) throw new ExpressionError(`there is no function "${call}"; use one of ${[...functions].join(', ')}`);
            this.#at = callStart.lastIndex;
            return { call, argument: this.parts(')}') };
        }
        const end = this.#source.indexOf('}', this.#at);
        if (end < 0) throw new ExpressionError('close "${" with "}"');
        const text = this.#source.slice(this.#at, end);
        this.#at = end + 1;
        return reference(text);
    }
}

function reference(text: string): Reference {
    if (plainRoots.has(text)) return { root: text, name: '' };
    if (moment.test(text)) return { root: 'now', name: text.slice('now'.length) };
    const [, root = '', name = ''] = dottedName.exec(text) ?? [];
    if (namedRoots.has(root) || /^step[1-9]$/.test(root)) return { root, name };
    throw new ExpressionError(`"\${${text}}" names no known value; use for example \${connectionConfig.${text || 'name'}} and declare it`);
}
