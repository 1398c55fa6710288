/** Tags of connections: generated from the end user, then the explicit ones (http-api §5.3). */
import type { ConnectionRow, EndUser } from '../store/schema.ts';

const maximum = 10;
const longestValue = 255;

export interface TagSource {
    endUser: EndUser | null;
    /** Also without an end user. */
    organization: EndUser['organization'];
    /** `undefined`: the request had no `tags`. */
    explicit: Record<string, string> | undefined;
}

/** @returns the merged tags, or `undefined` when there are more than ten. */
export function mergeTags(source: TagSource): Record<string, string> | undefined {
    const merged = { ...generatedTags(source), ...lowerCaseKeys(source.explicit ?? {}) };
    return Object.keys(merged).length > maximum ? undefined : merged;
}

/** Tags after a PATCH (http-api §8.5). Explicit ones replace all tags. @returns `undefined` when there are more than ten. */
export function changedTags(
    stored: Pick<ConnectionRow, 'tags' | 'end_user'>,
    change: { tags?: Record<string, string> | undefined; endUser?: EndUser | undefined },
): Record<string, string> | undefined {
    const { endUser, tags } = change;
    if (tags !== undefined) {
        return mergeTags({ endUser: endUser ?? null, organization: null, explicit: tags });
    }
    return endUser === undefined ? stored.tags : retagged(stored, endUser);
}

/**
 * A connection's tags after it was given another end user and nothing was said about tags: those that were generated from the
 * one before go, those from the new one come, all others stay. @returns `undefined` when there are more than ten.
 */
export function retagged(
    { tags, end_user: previous }: Pick<ConnectionRow, 'tags' | 'end_user'>,
    endUser: EndUser,
): Record<string, string> | undefined {
    const before = generatedTags({ endUser: previous, organization: previous?.organization ?? null });
    // Whoever set them, they say who the end user is; a new one must not inherit the name of the old.
    const isOfEndUser = (name: string): boolean => endUserTags.has(name);
    const isAsGenerated = ([name, value]: [string, string]): boolean => Object.hasOwn(before, name) && before[name] === value;
    const kept = Object.entries(tags).filter((tag) => !isOfEndUser(tag[0]) && !isAsGenerated(tag));
    const merged = { ...Object.fromEntries(kept), ...generatedTags({ endUser, organization: endUser.organization }) };
    return Object.keys(merged).length > maximum ? undefined : merged;
}

const endUserTags: ReadonlySet<string> = new Set(['end_user_id', 'end_user_email', 'end_user_display_name']);

function generatedTags({ endUser, organization }: Pick<TagSource, 'endUser' | 'organization'>): Record<string, string> {
    const identity = withoutEmpty({
        end_user_id: endUser?.id,
        end_user_email: endUser?.email,
        end_user_display_name: endUser?.display_name,
        organization_id: organization?.id,
        organization_display_name: organization?.display_name,
    });
    const own = lowerCaseKeys(endUser?.tags ?? {});
    const all = { ...identity, ...own };
    // The end user's own tags are kept whole or not at all, so that a filter never sees half of them.
    const fits = Object.keys(all).length <= maximum && Object.values(own).every((value) => value !== '');
    return cut(fits ? all : identity);
}

const lowerCaseKeys = (tags: Record<string, string>): Record<string, string> =>
    Object.fromEntries(Object.entries(tags).map(([name, value]) => [name.toLowerCase(), value]));

const withoutEmpty = (values: Record<string, string | null | undefined>): Record<string, string> =>
    Object.fromEntries(Object.entries(values).flatMap(([name, value]) => (value ? [[name, value]] : [])));

const cut = (tags: Record<string, string>): Record<string, string> =>
    Object.fromEntries(Object.entries(tags).map(([name, value]) => [name, value.slice(0, longestValue)]));
