/** Tags after a PATCH: what was generated follows the end user, what was said explicitly stays (http-api §5.3, §8.5). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { changedTags, mergeTags } from '../../src/connect/tags.ts';
import type { EndUser } from '../../src/store/schema.ts';

const user = (change: Partial<EndUser> = {}): EndUser => ({ id: 'u1', email: null, display_name: null, tags: null, organization: null, ...change });
const names = (count: number, prefix = 't'): Record<string, string> =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`${prefix}${index}`, 'x']));

describe('an end user alone', () => {
    test('replaces what was generated from the one before, and nothing else', () => {
        const endUser = user({ email: 'a@example.com', tags: { Plan: 'pro', seats: '3' }, organization: { id: 'org', display_name: 'Org' } });
        const tags = mergeTags({ endUser, organization: endUser.organization, explicit: { team: 'blue' } })!;
        expect(changedTags({ tags, end_user: endUser }, { endUser: user({ id: 'u2', display_name: 'Two', tags: { plan: 'free' } }) })).toEqual({
            end_user_id: 'u2',
            end_user_display_name: 'Two',
            plan: 'free',
            team: 'blue',
        });
    });

    test('says who the end user is, whoever said it before', () => {
        const tags = { end_user_id: 'carl', end_user_email: 'carl@example.com', organization_id: 'org', constructor: 'x' };
        expect(changedTags({ tags, end_user: null }, { endUser: user() })).toEqual({ end_user_id: 'u1', organization_id: 'org', constructor: 'x' });
    });

    test('leaves a tag that was written over since', () => {
        const endUser = user({ tags: { plan: 'pro' } });
        expect(changedTags({ tags: { end_user_id: 'u1', plan: 'trial' }, end_user: endUser }, { endUser: user() })).toEqual({
            end_user_id: 'u1',
            plan: 'trial',
        });
    });

    test('may not make them more than ten', () => {
        expect(changedTags({ tags: names(9), end_user: null }, { endUser: user() })).toEqual({ ...names(9), end_user_id: 'u1' });
        expect(changedTags({ tags: names(9), end_user: null }, { endUser: user({ email: 'a@example.com' }) })).toBeUndefined();
        // the end user's own tags are dropped when they do not fit beside its identity, as everywhere
        expect(changedTags({ tags: {}, end_user: null }, { endUser: user({ tags: names(10) }) })).toEqual({ end_user_id: 'u1' });
    });
});

describe('explicit tags', () => {
    test('replace all, generated ones too', () => {
        const stored = { tags: { end_user_id: 'u1', team: 'blue' }, end_user: user() };
        expect(changedTags(stored, { tags: {} })).toEqual({});
        expect(changedTags(stored, { tags: { plan: 'pro' } })).toEqual({ plan: 'pro' });
    });

    test('win over those generated from an end user that comes with them', () => {
        const stored = { tags: { team: 'blue' }, end_user: null };
        expect(changedTags(stored, { endUser: user({ tags: { plan: 'pro' } }), tags: { plan: 'free', end_user_id: 'x' } })).toEqual({
            end_user_id: 'x',
            plan: 'free',
        });
        expect(changedTags(stored, { endUser: user(), tags: names(10) })).toBeUndefined();
    });
});

const key = fc.constantFrom('team', 'plan', 'Plan', 'end_user_id', 'end_user_email', 'organization_id', 'constructor', 'a.b', 'x/y');
const value = fc.oneof(fc.constantFrom('a', 'b'), fc.string({ minLength: 1, maxLength: 300, unit: 'grapheme' }));
const dictionary = (values: fc.Arbitrary<string>): fc.Arbitrary<Record<string, string>> =>
    fc.dictionary(key, values, { maxKeys: 9, noNullPrototype: true });
const lowerCased = (tags: Record<string, string>): Record<string, string> =>
    Object.fromEntries(Object.entries(tags).map(([name, text]) => [name.toLowerCase(), text]));
const anyUser: fc.Arbitrary<EndUser> = fc.record({
    id: fc.string({ minLength: 1, maxLength: 255 }),
    email: fc.option(fc.constantFrom('a@example.com', 'b@example.com')),
    display_name: fc.option(fc.constantFrom('', 'Ann', 'Bob')),
    tags: fc.option(dictionary(fc.oneof(value, fc.constant('')))),
    organization: fc.constant(null),
});

describe('for any sequence of changes', () => {
    const change = fc.record({ endUser: anyUser, tags: dictionary(value).map(lowerCased) }, { requiredKeys: [] });

    test('there are at most ten; those of explicit tags and no others survive; what is shown of the end user is the last one', () => {
        fc.assert(
            fc.property(fc.array(change, { maxLength: 6 }), (changes) => {
                let stored: { tags: Record<string, string>; end_user: EndUser | null } = { tags: {}, end_user: null };
                let explicit: Record<string, string> = {};
                for (const { endUser, tags } of changes) {
                    const next = changedTags(stored, { endUser, tags });
                    if (next === undefined) {
                        continue;
                    }
                    explicit = tags ?? explicit;
                    stored = { tags: next, end_user: endUser ?? stored.end_user };
                    expect(Object.keys(next).length).toBeLessThanOrEqual(10);
                    const generated = mergeTags({ endUser: endUser ?? null, organization: null, explicit: undefined })!;
                    if (endUser !== undefined) {
                        expect(next).toMatchObject(tags === undefined ? generated : { ...generated, ...tags });
                    } else if (tags !== undefined) {
                        expect(next).toEqual(tags);
                    }
                    // nothing is there that neither the last explicit tags nor the last end user put there
                    const own = lowerCased(stored.end_user?.tags ?? {});
                    const foreign = Object.keys(next).filter(
                        (name) => !Object.hasOwn(explicit, name) && !Object.hasOwn(own, name) && !/^end_user_(id|email|display_name)$/.test(name),
                    );
                    expect(foreign).toEqual([]);
                }
            }),
        );
    });

    test('the same end user again changes nothing', () => {
        fc.assert(
            fc.property(anyUser, dictionary(value).map(lowerCased), (endUser, explicit) => {
                const tags = mergeTags({ endUser, organization: null, explicit });
                fc.pre(tags !== undefined);
                // explicit tags of the same name lose what they had won, so only the others are looked at
                const generated = mergeTags({ endUser, organization: null, explicit: undefined })!;
                fc.pre(Object.keys(explicit).every((name) => !Object.hasOwn(generated, name) && !name.startsWith('end_user_')));
                expect(changedTags({ tags, end_user: endUser }, { endUser })).toEqual(tags);
            }),
        );
    });
});
