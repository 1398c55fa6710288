/** The body of an API call, and the members that an entry adds to every one of them, for vendors that want the key there. */
import { stringify } from 'qs';
import { interpolateTree } from './value-template.ts';
import type { ExpressionValues, ValueTree } from './value-template.ts';

export type Body = string | Uint8Array;
type Members = Readonly<Record<string, unknown>>;

interface Submitted {
    body: Body | undefined;
    contentType: string | undefined;
    /** The method carries one. */
    hasBody: boolean;
}

/** Bodies that are no objects (lists, plain text, files) stay as they are. */
export function addToBody(
    template: Readonly<Record<string, ValueTree>> | undefined,
    values: ExpressionValues,
    submitted: Submitted,
): Omit<Submitted, 'hasBody'> {
    const { body, contentType, hasBody } = submitted;
    const added = hasBody && template !== undefined ? interpolateTree(template, values) : undefined;
    if (added === undefined) return { body, contentType };
    const members = added as Members;
    if (isForm(contentType)) {
        const others = [...new URLSearchParams(textOf(body))].filter(([name]) => !Object.hasOwn(members, name));
        return { body: [new URLSearchParams(others).toString(), formText(members)].filter((part) => part !== '').join('&'), contentType };
    }
    const given = body === undefined ? {} : isJson(contentType) ? parsedObject(textOf(body)) : undefined;
    if (given === undefined) return { body, contentType };
    return { body: JSON.stringify({ ...given, ...members }), contentType: contentType ?? 'application/json' };
}

/** Members as the content type has them: a form, else JSON. */
export const bodyText = (members: Members, contentType: string | undefined): string =>
    isForm(contentType) ? formText(members) : JSON.stringify(members);

const formText = (members: Members): string => stringify(members, { format: 'RFC1738' });

const textOf = (body: Body = ''): string => (typeof body === 'string' ? body : Buffer.from(body).toString('utf8'));

const isForm = (contentType = ''): boolean => /^application\/x-www-form-urlencoded\b/i.test(contentType);

/** JSON unless something else is said. */
const isJson = (contentType = 'application/json'): boolean => /^application\/(?:[a-z0-9.-]+\+)?json\b/i.test(contentType);

function parsedObject(text: string): Members | undefined {
    try {
        const value: unknown = JSON.parse(text);
        return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : undefined;
    } catch {
        return undefined;
    }
}
