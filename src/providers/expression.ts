/**
 * The syntax of `${...}` in catalogue texts: which roots and functions exist, and how a text splits into alternatives and parts.
 * Nothing is evaluated here; `value-template.ts` and `url-template.ts` do that, each for its own positions.
 */
import { isMoment } from './moment.ts';

/** A value by its root, e.g. `${connectionConfig.region}` → root `connectionConfig`, name `region`; `${random}` has no name. */
export interface Reference {
    readonly root: string;
    readonly name: string;
}

/** A function of what stands between its parentheses, e.g. `${base64(${username}:${password})}`. */
export interface Call {
    readonly call: FunctionName;
    readonly args: readonly (readonly Part[])[];
}

export type Part = string | Reference | Call;

/** The text is not a template of the catalogue's language. The message says what to change and never holds a run-time value. */
export class ExpressionError extends Error {
    override readonly name = 'ExpressionError';
    readonly code = 'invalid_expression';
}

/** Parts of the outgoing call. */
export const requestRoots: ReadonlySet<string> = new Set(['method', 'host', 'path', 'params', 'endpoint', 'bodyCanonicalParams']);
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
    ...requestRoots,
]);

/**
 * How the text between the parentheses splits into arguments, at commas of the template itself and never of an inserted value:
 * not at all, at the last comma (a signed text may hold commas), or at every comma.
 */
const functions = {
    base64: { commas: 'none', counts: [1] },
    sha256Hex: { commas: 'none', counts: [1] },
    sha256Base64: { commas: 'none', counts: [1] },
    fingerprint: { commas: 'none', counts: [1] },
    hmacSha1Hex: { commas: 'last', counts: [2] },
    ed25519Sign: { commas: 'last', counts: [2] },
    awsSigV4: { commas: 'all', counts: [4, 5] },
} as const satisfies Record<string, { commas: 'none' | 'last' | 'all'; counts: readonly number[] }>;

export type FunctionName = keyof typeof functions;

const fallback = ' || ';
const callStart = /([A-Za-z][A-Za-z0-9]*)\(/y;
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
        return isReference(part) ? [part] : part.args.flatMap(references);
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
            if (!isFunction(call)) throw new ExpressionError(`there is no function "${call}"; use one of ${Object.keys(functions).join(', ')}`);
            this.#at = callStart.lastIndex;
            return { call, args: splitArguments(call, this.parts(')}')) };
        }
        const end = this.#source.indexOf('}', this.#at);
        if (end < 0) throw new ExpressionError('close "${" with "}"');
        const text = this.#source.slice(this.#at, end);
        this.#at = end + 1;
        return reference(text);
    }
}

const isFunction = (name: string): name is FunctionName => Object.hasOwn(functions, name);

function splitArguments(call: FunctionName, parts: readonly Part[]): Part[][] {
    const { commas, counts } = functions[call];
    const args: Part[][] = [[]];
    const lastComma = parts.findLastIndex((part) => typeof part === 'string' && part.includes(','));
    for (const [index, part] of parts.entries()) {
        const isSplit = typeof part === 'string' && (commas === 'all' || (commas === 'last' && index === lastComma));
        const pieces = !isSplit ? [part] : commas === 'all' ? part.split(',') : atLastComma(part);
        for (const [number, piece] of pieces.entries()) {
            if (number > 0) args.push([]);
            const text =
                typeof piece === 'string' && isSplit ? withoutLayout(piece, number > 0, commas === 'all' && number < pieces.length - 1) : piece;
            if (text !== '') args.at(-1)!.push(text);
        }
    }
    if (!(counts as readonly number[]).includes(args.length)) {
        throw new ExpressionError(`give ${call} ${counts.join(' or ')} arguments, separated by commas`);
    }
    return args;
}

/** Blanks around a comma are layout, but those at the end of a text to be signed belong to it. */
function withoutLayout(piece: string, isBehindComma: boolean, isBeforeComma: boolean): string {
    const text = isBehindComma ? piece.trimStart() : piece;
    return isBeforeComma ? text.trimEnd() : text;
}

function atLastComma(text: string): string[] {
    const comma = text.lastIndexOf(',');
    return [text.slice(0, comma), text.slice(comma + 1)];
}

function reference(text: string): Reference {
    if (plainRoots.has(text)) return { root: text, name: '' };
    if (text.startsWith('now') && isMoment(text.slice('now'.length))) return { root: 'now', name: text.slice('now'.length) };
    const [, root = '', name = ''] = dottedName.exec(text) ?? [];
    if (namedRoots.has(root) || /^step[1-9]$/.test(root)) return { root, name };
    throw new ExpressionError(`"\${${text}}" names no known value; use for example \${connectionConfig.${text || 'name'}} and declare it`);
}
