/** Tags of connect sessions against a model of http-api §5.1 and §5.3, over HTTP and read back from the store. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp } from './app.ts';
import { create, issues } from './sessions.ts';

let valetkey: TestApp;

beforeAll(async () => {
    valetkey = await startTestApp({ env: { VALETKEY_RATE_LIMIT_PER_MIN: '10000000' } });
});
afterAll(() => valetkey?.close());

type Outcome = { tags: Record<string, string> } | { issues: string[] };
type Issue = readonly [code: string, ...path: string[]];

const outcomeOf = async (body: unknown): Promise<Outcome> => {
    const answer = await create(valetkey, body);
    if (answer.status !== 201) {
        expect(answer.status, answer.text).toBe(400);
        return { issues: (issues(answer) as [string, string[]][]).map((issue) => JSON.stringify(issue.flat())).toSorted() };
    }
    const [row] = await valetkey.query<{ tags: Record<string, string> }>('select tags from connect_sessions where token_hash = $1', [
        valetkey.vault.hash(answer.body.data.token),
    ]);
    return { tags: row!.tags };
};
const refused = (found: readonly Issue[]): Outcome => ({ issues: found.map((issue) => JSON.stringify(issue)).toSorted() });

/** Whether it is an email is not this model's business: a table of those it meets. */
const emails: Readonly<Record<string, boolean>> = {
    'ann@example.com': true,
    'Ann.Other+tag@sub.example.co': true,
    'a@b.c': false,
    'a@b': false,
    nobody: false,
    'ann@example.com ': false,
    '': false,
};

const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const others = '0123456789_-./';
const isName = (name: string): boolean =>
    name.length >= 1 &&
    name.length <= 64 &&
    [...name].every((character, index) => letters.includes(character) || (index > 0 && others.includes(character)));

/** §5.1: at most one fault per entry; the rules for all together only where each has the right shape, be it too long (§1.6). */
function modelIssues(tags: Readonly<Record<string, unknown>>, least: number, ...at: string[]): Issue[] {
    const single = Object.entries(tags).flatMap(([name, value]): Issue[] => {
        if (!isName(name)) {
            return [['invalid_key', ...at, name]];
        }
        if (typeof value !== 'string') {
            return [['invalid_type', ...at, name]];
        }
        const characters = [...value].length;
        return characters < least ? [['too_small', ...at, name]] : characters > 255 ? [['too_big', ...at, name]] : [];
    });
    if (single.some(([code]) => code === 'invalid_key' || code === 'invalid_type')) {
        return single;
    }
    const names = Object.keys(tags);
    const folded = new Set(names.map((name) => name.toLowerCase()));
    const email = names.find((name) => name.toLowerCase() === 'end_user_email');
    return [
        ...single,
        ...(names.length > 10 ? [['custom', ...at] as const] : []),
        ...(folded.size < names.length ? [['custom', ...at] as const] : []),
        ...(email !== undefined && emails[tags[email] as string] !== true ? [['custom', ...at] as const] : []),
    ];
}

const lowered = (tags: Readonly<Record<string, string>>): Record<string, string> => {
    const result: Record<string, string> = {};
    for (const [name, value] of Object.entries(tags)) {
        result[name.toLowerCase()] = value;
    }
    return result;
};

const ascii = fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9_\-./]{0,9}$/);
const goodName = fc.oneof(
    { arbitrary: ascii, weight: 6 },
    // few enough to meet again in another case
    { arbitrary: fc.constantFrom('team', 'Team', 'TEAM', 'plan', 'Plan', 'constructor', 'toString'), weight: 3 },
    { arbitrary: fc.integer({ min: 60, max: 64 }).map((length) => 'n'.repeat(length)), weight: 1 },
);
/** No `__proto__`: the JSON parser refuses it before any rule. */
const badName = fc
    .oneof(
        fc.constantFrom('', '1a', '-a', 'a b', 'a:b', 'é', 'aé', 'ａ', 'ſ', 'K', 'a\n', 'n'.repeat(65), 'a\u0000'),
        fc.string({ unit: 'grapheme', maxLength: 6 }),
    )
    .filter((name) => name !== '__proto__');
const goodValue = fc.oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((text) => !text.includes('\0')),
    fc.constantFrom('x'.repeat(255), '😀'.repeat(255), `x${'😀'.repeat(200)}`, ' ', '\n', 'İ', '__proto__'),
);
const badValue = fc.constantFrom<unknown>('', 'x'.repeat(256), '😀'.repeat(256), 0, true, null, ['x'], {});
const emailEntry = fc.tuple(
    fc.constantFrom('end_user_email', 'End_User_Email'),
    fc.constantFrom(...Object.keys(emails).filter((text) => text !== '')),
);

const entries = <Value>(entry: fc.Arbitrary<[string, Value]>, maxLength: number) =>
    fc.array(entry, { maxLength, size: 'max' }).map((pairs) => Object.fromEntries(pairs) as Record<string, Value>);

const goodEntry = fc.tuple(goodName, goodValue);
const anyTags = fc.oneof(
    entries<unknown>(goodEntry, 12),
    entries<unknown>(fc.oneof({ arbitrary: goodEntry, weight: 4 }, { arbitrary: emailEntry, weight: 1 }), 11),
    entries<unknown>(
        fc.oneof(
            { arbitrary: goodEntry, weight: 4 },
            { arbitrary: fc.tuple(badName, fc.oneof(goodValue, badValue)), weight: 1 },
            { arbitrary: fc.tuple(goodName, badValue), weight: 1 },
        ),
        12,
    ),
);

test('explicit tags: refused as the model refuses them, or stored as it stores them', async () => {
    const met = { stored: 0, refused: 0 };
    await fc.assert(
        fc.asyncProperty(anyTags, async (tags) => {
            const found = modelIssues(tags, 1, 'tags');
            met[found.length > 0 ? 'refused' : 'stored'] += 1;
            expect(await outcomeOf({ tags })).toEqual(found.length > 0 ? refused(found) : { tags: lowered(tags as Record<string, string>) });
        }),
    );
    // both halves of the model are used
    expect(Math.min(met.stored, met.refused)).toBeGreaterThan(10);
});

/** §5.3. */
function modelTags(body: Body): Record<string, string> | undefined {
    const { end_user: user, organization, tags } = body;
    const first: Record<string, string> = {};
    const add = (name: string, value: string | undefined): void => {
        if (value !== undefined && value !== '') {
            first[name] = [...value].slice(0, 255).join('');
        }
    };
    add('end_user_id', user?.id);
    add('end_user_email', user?.email);
    add('end_user_display_name', user?.display_name);
    add('organization_id', organization?.id);
    add('organization_display_name', organization?.display_name);
    const own = lowered(user?.tags ?? {});
    const both = { ...first, ...own };
    const isKept = Object.keys(both).length <= 10 && !Object.values(own).includes('');
    const merged = { ...(isKept ? both : first), ...lowered(tags ?? {}) };
    return Object.keys(merged).length > 10 ? undefined : merged;
}

interface Body {
    end_user?: { id: string; email?: string; display_name?: string; tags?: Record<string, string> };
    organization?: { id: string; display_name?: string };
    tags?: Record<string, string>;
}

const generatedName = fc.constantFrom('end_user_id', 'End_User_Id', 'end_user_display_name', 'organization_id', 'Organization_Display_Name');
const distinct = (tags: Record<string, string>): boolean =>
    new Set(Object.keys(tags).map((name) => name.toLowerCase())).size === Object.keys(tags).length;
const tagsWith = (value: fc.Arbitrary<string>, maxLength: number): fc.Arbitrary<Record<string, string>> =>
    entries(fc.tuple(fc.oneof({ arbitrary: ascii, weight: 4 }, { arbitrary: generatedName, weight: 1 }), value), maxLength).filter(distinct);
const name = fc.oneof(goodValue, fc.constant(''));
const optional = { requiredKeys: [] as [] };
const bodies = fc
    .record(
        {
            end_user: fc.record(
                {
                    id: goodValue,
                    // longer than a tag may be
                    email: fc.constantFrom('ann@example.com', `${'a'.repeat(50)}@${'sub.'.repeat(60)}example.com`),
                    display_name: name,
                    tags: fc.oneof(tagsWith(goodValue, 10), tagsWith(name, 4)),
                },
                { requiredKeys: ['id'] },
            ),
            organization: fc.record({ id: name, display_name: name }, { requiredKeys: ['id'] }),
            tags: tagsWith(goodValue, 8),
        },
        optional,
    )
    .filter((body) => body.end_user !== undefined || body.tags !== undefined) as fc.Arbitrary<Body>;

test('generated tags: merged in the order of their priority, or refused when they are more than ten', async () => {
    await fc.assert(
        fc.asyncProperty(bodies, async (body) => {
            const tags = modelTags(body);
            expect(await outcomeOf(body)).toEqual(tags === undefined ? refused([['custom', 'tags']]) : { tags });
        }),
    );
});
