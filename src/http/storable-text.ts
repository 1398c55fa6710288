/**
 * What Postgres cannot keep: NUL in any column, half a surrogate pair in jsonb, and JSON so deep that recursion, there or here,
 * would run out of stack. Refused at the door, where it has a name.
 */
import type { Issue } from './errors.ts';

export const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed();

/** Beyond what metadata may have (`Metadata`), with room for where it stands. */
const deepest = 128;

/** One issue per text, or name of a member, anywhere in `value`. */
export function unstorableText(value: unknown, path: readonly string[] = []): Issue[] {
    if (typeof value === 'string') {
        return isStorable(value) ? [] : [{ code: 'invalid_format', message: 'Must not contain NUL or half of a surrogate pair', path: [...path] }];
    }
    if (typeof value !== 'object' || value === null) {
        return [];
    }
    if (path.length > deepest) {
        return [{ code: 'custom', message: `Must not be nested more than ${deepest} levels deep`, path: path.slice(0, 1) }];
    }
    return Object.entries(value).flatMap(([name, member]) => [...unstorableText(name, [...path, name]), ...unstorableText(member, [...path, name])]);
}
