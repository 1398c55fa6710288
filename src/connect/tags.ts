/** Tags of connections: generated from the end user, then the explicit ones (http-api §5.3). */
import type { ConnectionRow, EndUser } from '../store/schema.ts';

const maximum = 10;
const longestValue = 255;

const endUserTags = ['end_user_id', 'end_user_email', 'end_user_display_name'];
const organizationTags = ['organization_id', 'organization_display_name'];

type StoredTags = Pick<ConnectionRow, 'tags' | 'end_user'>;

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
    stored: StoredTags,
    session: { tags: Record<string, string>; keeps_tags: boolean; end_user: EndUser | null },
): Record<string, string> {
    if (!session.keeps_tags) {
        return session.tags;
    }
    const others =
        session.end_user === null
            ? without(stored.tags, organizationTags)
            : // One without organization has none any more (http-api §4.2).
              without(stored.tags, [...endUserTags, ...organizationTags], generatedBefore(stored));
    return { ...others, ...session.tags };
}

/** Tags after a PATCH (http-api §8.5). Explicit ones replace all tags. @returns `undefined` when there are more than ten. */
export function changedTags(
    stored: StoredTags,
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
export const retagged = (stored: StoredTags, endUser: EndUser): Record<string, string> | undefined =>
    unlessTooMany({
        ...without(stored.tags, endUserTags, generatedBefore(stored)),
        ...generatedTags({ endUser, organization: endUser.organization }),
    });

const generatedBefore = ({ end_user }: StoredTags): Record<string, string> =>
    generatedTags({ endUser: end_user, organization: end_user?.organization ?? null });

/**
 * @param names whoever set them, they say who the end user is: a new one must not inherit the name of the old
 * @param generated left out where nobody has written over them since
 */
function without(tags: Record<string, string>, names: readonly string[], generated: Record<string, string> = {}): Record<string, string> {
    const isAsGenerated = (name: string, value: string): boolean => Object.hasOwn(generated, name) && generated[name] === value;
    return Object.fromEntries(Object.entries(tags).filter(([name, value]) => !names.includes(name) && !isAsGenerated(name, value)));
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
