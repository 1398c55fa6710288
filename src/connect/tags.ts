/** Tags that a connect session gives its connections: generated from the end user, then the explicit ones (http-api §5.3). */
import type { EndUser } from '../store/schema.ts';

const maximum = 10;
const longestValue = 255;

const endUserNames = ['end_user_id', 'end_user_email', 'end_user_display_name'];
const organizationNames = ['organization_id', 'organization_display_name'];

export interface TagSource {
    endUser: EndUser | null;
    /** Also without an end user. */
    organization: EndUser['organization'];
    /** `undefined`: the request had no `tags`. */
    explicit: Record<string, string> | undefined;
}

/** @returns the merged tags, or `undefined` when there are more than ten. */
export const mergeTags = (source: TagSource): Record<string, string> | undefined =>
    unlessTooMany({ ...generatedTags(source), ...lowerCaseKeys(source.explicit ?? {}) });

export const unlessTooMany = (tags: Record<string, string>): Record<string, string> | undefined =>
    Object.keys(tags).length > maximum ? undefined : tags;

/**
 * What a reconnect makes of a connection's tags. One that names an end user or organization but no tags (`keeps_tags`)
 * brings the generated ones up to date and leaves the others alone; else the session's take the place of all.
 */
export function renewedTags(
    stored: Readonly<Record<string, string>>,
    session: { tags: Record<string, string>; keeps_tags: boolean; end_user: EndUser | null },
): Record<string, string> {
    if (!session.keeps_tags) {
        return session.tags;
    }
    // An end user without organization has none any more (http-api §4.2).
    const generated = new Set(session.end_user === null ? organizationNames : [...endUserNames, ...organizationNames]);
    return { ...Object.fromEntries(Object.entries(stored).filter(([name]) => !generated.has(name))), ...session.tags };
}

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
    // counted in code points, as the limits of the fields are: half a surrogate pair could not be stored
    Object.fromEntries(Object.entries(tags).map(([name, value]) => [name, [...value].slice(0, longestValue).join('')]));
