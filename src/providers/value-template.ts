/**
 * Templates of header, query and parameter values: `Bearer ${accessToken}`, `${connectionConfig.version} || 2022-11-28`.
 * URLs have their own, stricter rules in `url-template.ts`.
 */
import { callFunction } from './expression-functions.ts';
import { isReference, parseTemplate, requestRoots } from './expression.ts';
import type { Call, Part, Reference } from './expression.ts';
import { momentText } from './moment.ts';
import { canonicalParams } from './strict-encoding.ts';
import { lookUp } from './url-template.ts';

/** What a template may draw on. What is absent does not resolve. */
export interface ExpressionValues {
    readonly connectionConfig?: Readonly<Record<string, unknown>>;
    /** The stored ones, or the ones being submitted. */
    readonly credentials?: Readonly<Record<string, unknown>>;
    /** One-time inputs for an assertion. */
    readonly assertionOption?: Readonly<Record<string, unknown>>;
    /** The connection's present token, whatever the mode calls it. */
    readonly accessToken?: string;
    readonly clientId?: string;
    readonly clientSecret?: string;
    /** The JWT signed in this run. */
    readonly token?: string;
    readonly refresh_token?: string;
    /** Answers of login calls, the first at index 0: `${step1.path}`. */
    readonly steps?: readonly unknown[];
    /** A UUID v4, the same one throughout one request. */
    readonly random?: string;
    /** Milliseconds; one instant per request. */
    readonly now?: number;
    readonly request?: OutgoingCall;
}

/** The call that a header is part of, as far as it is finished. */
export interface OutgoingCall {
    readonly method: string;
    readonly url: URL;
    /** Path and query behind the base URL, with the slash in front. */
    readonly endpoint: string;
    readonly body: string | Uint8Array | undefined;
    /** Names in lower case: those that are settled already. */
    readonly headers?: Readonly<Record<string, string>>;
}

/** Text, or a tree of texts as in a request body. Numbers and booleans stay as they are. */
export type ValueTree = string | number | boolean | null | readonly ValueTree[] | { readonly [key: string]: ValueTree };

/**
 * The first alternative whose expressions all resolve and whose text is not empty. `undefined`: none does, and the caller leaves
 * the item out. Inserted text is never evaluated again.
 * @throws ExpressionError when the template is not one; the catalogue loader has ruled that out for its own.
 */
export function interpolate(template: string, values: ExpressionValues): string | undefined {
    let last: string | undefined;
    for (const parts of parseTemplate(template)) {
        last = evaluate(parts, values);
        if (last !== undefined && last !== '') return last;
    }
    return last;
}

/** Interpolates every text in a tree. Unresolved leaves are left out, and so are members that held nothing else. */
export function interpolateTree(tree: ValueTree, values: ExpressionValues): ValueTree | undefined {
    if (typeof tree === 'string') return interpolate(tree, values);
    if (typeof tree !== 'object' || tree === null) return tree;
    if (Array.isArray(tree)) return tree.map((leaf) => interpolateTree(leaf, values)).filter((leaf) => leaf !== undefined);
    const members = Object.entries(tree).map(([key, leaf]) => [key, interpolateTree(leaf, values)] as const);
    const resolved = members.filter((member): member is [string, ValueTree] => member[1] !== undefined);
    return resolved.length === 0 && members.length > 0 ? undefined : Object.fromEntries(resolved);
}

/** When a header can have its value: at once, when the rest of the call is finished, or last of all, since it signs headers too. */
export type HeaderStage = 'plain' | 'of call' | 'over headers';

export function headerStage(template: string): HeaderStage {
    const names = template.includes('${') ? parseTemplate(template).flatMap(namesIn) : [];
    if (names.includes('awsSigV4')) return 'over headers';
    return names.some((name) => requestRoots.has(name)) ? 'of call' : 'plain';
}

/** Roots of the references, and functions. */
export const namesIn = (parts: readonly Part[]): string[] =>
    parts.flatMap((part) => {
        if (typeof part === 'string') return [];
        return isReference(part) ? [part.root] : [part.call, ...part.args.flatMap(namesIn)];
    });

function evaluate(parts: readonly Part[], values: ExpressionValues): string | undefined {
    let text = '';
    for (const part of parts) {
        const piece = typeof part === 'string' ? part : resolve(part, values);
        if (piece === undefined) return undefined;
        text += piece;
    }
    return text;
}

function resolve(part: Exclude<Part, string>, values: ExpressionValues): string | undefined {
    return isReference(part) ? valueOf(part, values) : resultOf(part, values);
}

function resultOf({ call, args }: Call, values: ExpressionValues): string | undefined {
    const evaluated = args.map((arg) => evaluate(arg, values));
    return evaluated.every((arg) => arg !== undefined) ? callFunction(call, evaluated, { now: values.now, request: values.request }) : undefined;
}

function valueOf({ root, name }: Reference, values: ExpressionValues): string | undefined {
    switch (root) {
        case 'connectionConfig':
            // An empty setting is one that was not given; an empty password is a password.
            return inserted(lookUp(values.connectionConfig, name)) || undefined;
        case 'credentials':
        case 'assertionOption':
            return inserted(lookUp(values[root], name));
        case 'apiKey':
        case 'username':
        case 'password':
            return inserted(lookUp(values.credentials, root));
        case 'accessToken':
        case 'clientId':
        case 'clientSecret':
        case 'token':
        case 'refresh_token':
        case 'random':
            return values[root];
        case 'now':
            return values.now === undefined ? undefined : momentText(values.now, name);
        default:
            return root.startsWith('step') ? stepValue(values.steps, root, name) : values.request && requestPart(values.request, root);
    }
}

function stepValue(steps: readonly unknown[] = [], root: string, name: string): string | undefined {
    const answer = steps[Number(root.slice('step'.length)) - 1];
    return typeof answer === 'object' && answer !== null ? inserted(lookUp(answer as Record<string, unknown>, name)) : undefined;
}

function requestPart(request: OutgoingCall, root: string): string | undefined {
    const { method, url, endpoint, body = '' } = request;
    switch (root) {
        case 'method':
            return method.toUpperCase();
        case 'host':
            return url.host;
        case 'path':
            return url.pathname;
        case 'endpoint':
            return endpoint;
        case 'params':
            return paramsOf(request);
        case 'bodyCanonicalParams':
            // Bytes that are no text cannot be inserted into one.
            return typeof body === 'string' ? body : undefined;
        default:
            return undefined;
    }
}

/** Of the form a call submits, or of its query where it submits none. */
function paramsOf({ url, body, headers }: OutgoingCall): string {
    const isForm = typeof body === 'string' && /^application\/x-www-form-urlencoded\b/i.test(headers?.['content-type'] ?? '');
    return canonicalParams(isForm ? body : url.search);
}

/** Only text and numbers are inserted (catalogue contract 5). */
function inserted(value: unknown): string | undefined {
    if (typeof value === 'number' && Number.isFinite(value)) return String(value);
    return typeof value === 'string' ? value : undefined;
}
