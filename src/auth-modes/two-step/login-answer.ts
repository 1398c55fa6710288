/** Answers of login calls, in whatever form they come. */
import { isObject, valueAt } from '../../credentials/json-path.ts';
import { parseBody } from '../token-endpoint.ts';
import { readXml } from './xml.ts';

/** As it arrived; JSON, so that it can be journalled (R2). */
export interface LoginAnswer {
    contentType: string;
    body: string;
}

/** What a login brought beside its last answer. JSON: it is journalled. */
export interface FurtherAnswers {
    readonly [name: string]: unknown;
    /** Answers before the last, in order. */
    readonly earlier: readonly LoginAnswer[];
    /** The `token_response_headers` of the last answer. */
    readonly headers: Readonly<Record<string, string>>;
    readonly setCookies: readonly string[];
    /** The stored refresh token was presented, and refused. */
    readonly isRefreshTokenRefused: boolean;
}

/** No login answer is nested deeper; one that is made to exhaust the stack of whoever walks it later is. */
const deepest = 64;

/** JSON, XML, form-encoded, or the bare text. `undefined`: a page for people, or another thing that is never an answer. */
export function readLoginAnswer({ contentType, body }: LoginAnswer): unknown {
    try {
        const value: unknown = JSON.parse(body);
        return isDeeperThan(value, deepest) ? undefined : value;
    } catch {
        // The content type is not to be trusted, so the text itself is looked at.
        if (/html/i.test(contentType) || /^\s*<(?:!doctype )?html/i.test(body)) return undefined;
        if (/^\s*</.test(body)) return readXml(body);
        return parseBody(contentType, body) ?? body.trim();
    }
}

const isDeeperThan = (value: unknown, levels: number): boolean =>
    isObject(value) && (levels === 0 || Object.values(value).some((member) => isDeeperThan(member, levels - 1)));

/** Text or a number, as text; the empty text is none. */
export function textAt(answer: unknown, path: string): string | undefined {
    const value = valueAt(answer, path);
    const text = typeof value === 'number' && Number.isFinite(value) ? String(value) : value;
    return typeof text === 'string' && text !== '' ? text : undefined;
}

/** Members in which providers say what is wrong; the words of one or two of them are enough for a person. */
const complaints = ['error', 'error_description', 'message', 'Message', 'errorMessage', 'error_message', 'detail', 'description2', 'description'];

/** What an answer says about a failure: provider text, to be cleaned before it is shown. */
export function complaintIn(answer: unknown): string {
    const said = saidIn(answer, 0);
    return [...new Set(said)].slice(0, 2).join(': ');
}

function saidIn(answer: unknown, depth: number): string[] {
    if (!isObject(answer) || depth > 6) return [];
    const own = complaints.map((name) => textAt(answer, name)).filter((text) => text !== undefined);
    if (own.length > 0) return own;
    for (const [name, member] of Object.entries(answer)) {
        // `errors: [{message}]`, `error: {message}`, and the same inside the envelope of an XML answer
        const found = Array.isArray(answer) || /error|fault|response|operation|result/i.test(name) ? saidIn(member, depth + 1) : [];
        if (found.length > 0) return found;
    }
    return [];
}

/** Every text at any depth. */
export const textsIn = (tree: unknown): string[] => (typeof tree === 'string' ? [tree] : isObject(tree) ? Object.values(tree).flatMap(textsIn) : []);
