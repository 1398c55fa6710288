/**
 * Templates of header, query and parameter values: `Bearer ${accessToken}`, `${connectionConfig.version} || 2022-11-28`.
 * URLs have their own, stricter rules in `url-template.ts`.
 */
import { isReference, parseTemplate } from './expression.ts';
import type { Part } from './expression.ts';
import { lookUp } from './url-template.ts';

/** What a template may draw on. `credentials` are the stored ones, or the ones being submitted. */
export interface ExpressionValues {
    readonly connectionConfig?: Readonly<Record<string, unknown>>;
    readonly credentials?: Readonly<Record<string, unknown>>;
    readonly accessToken?: string;
    readonly clientId?: string;
    readonly clientSecret?: string;
    /** A UUID v4, the same one throughout one request. */
    readonly random?: string;
}

/** Text, or a tree of texts as in a request body. Numbers and booleans stay as they are. */
export type ValueTree = string | number | boolean | null | readonly ValueTree[] | { readonly [key: string]: ValueTree };

const roots: ReadonlySet<string> = new Set([
    'connectionConfig',
    'credentials',
    'apiKey',
    'username',
    'password',
    'accessToken',
    'clientId',
    'clientSecret',
    'random',
]);

/** The catalogue's language is larger than what is evaluated today; the linter warns about the rest. */
export function isEvaluated(part: Exclude<Part, string>): boolean {
    return isReference(part)
        ? roots.has(part.root)
        : part.call === 'base64' && part.argument.every((each) => typeof each === 'string' || isEvaluated(each));
}

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
    if (!isEvaluated(part)) return undefined;
    if (!isReference(part)) {
        const argument = evaluate(part.argument, values);
        return argument === undefined ? undefined : Buffer.from(argument, 'utf8').toString('base64');
    }
    switch (part.root) {
        case 'connectionConfig':
            // An empty setting is one that was not given; an empty password is a password.
            return inserted(lookUp(values.connectionConfig, part.name)) || undefined;
        case 'credentials':
            return inserted(lookUp(values.credentials, part.name));
        case 'apiKey':
        case 'username':
        case 'password':
            return inserted(lookUp(values.credentials, part.root));
        default:
            return values[part.root as 'accessToken' | 'clientId' | 'clientSecret' | 'random'];
    }
}

/** Only text and numbers are inserted (catalogue contract 5). */
function inserted(value: unknown): string | undefined {
    if (typeof value === 'number' && Number.isFinite(value)) return String(value);
    return typeof value === 'string' ? value : undefined;
}
