/** How queries are read (http-api §1.8), against a model, through the server's own parser and a real connection. */
import { request } from 'node:http';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp } from './app.ts';

let valetkey: TestApp;

beforeAll(async () => {
    valetkey = await startTestApp();
    // What every handler is given, as it is.
    valetkey.app.server.get('/echo', (asked) => JSON.stringify(asked.query));
    await valetkey.listen();
});
afterAll(() => valetkey?.close());

/** As it is written: `fetch` would tidy it up. */
const read = (query: string): Promise<unknown> =>
    new Promise((resolve, reject) => {
        request({ host: '127.0.0.1', port: valetkey.config.port, path: `/echo?${query}` }, (response) => {
            let text = '';
            response.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
            response.on('end', () => resolve(JSON.parse(Buffer.from(text, 'latin1').toString())));
        })
            .on('error', reject)
            .end();
    });

/** One `name[inner]=value`. `''` as inner name: an element of a list. */
interface Pair {
    name: string;
    inner?: string;
    value: string;
}

/** Everything under one name is of one kind, as it is with every client. */
type Group = { name: string } & ({ kind: 'plain' | 'list' | 'indexed'; values: string[] } | { kind: 'object'; members: [string, string][] });

const pairsOf = (group: Group): Pair[] =>
    group.kind === 'object'
        ? group.members.map(([inner, value]) => ({ name: group.name, inner, value }))
        : group.values.map((value, index) => ({
              name: group.name,
              ...(group.kind === 'plain' ? {} : { inner: group.kind === 'list' ? '' : String(index) }),
              value,
          }));

/** One is itself, several are a list. */
const joined = (values: readonly string[]): string | readonly string[] => (values.length === 1 ? values[0]! : values);

function model(groups: readonly Group[]): Map<string, unknown> {
    const result = new Map<string, unknown>();
    for (const group of groups.filter(({ name }) => name !== '__proto__')) {
        if (group.kind === 'plain') {
            result.set(group.name, joined(group.values));
        } else if (group.kind !== 'object') {
            result.set(group.name, group.values);
        } else {
            const members = group.members.filter(([inner]) => inner !== '__proto__');
            const inner = new Map<string, unknown>();
            for (const [name] of members) {
                inner.set(name, joined(members.flatMap(([other, value]) => (other === name ? [value] : []))));
            }
            result.set(group.name, inner);
        }
    }
    return result;
}

/** Objects as maps: a member named `__proto__` would show. */
const asMaps = (value: unknown): unknown =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
        ? new Map(Object.entries(value).map(([name, member]) => [name, asMaps(member)]))
        : value;

/** Brackets are what nests; digits alone would be places in a list. */
const name = fc.oneof(
    { weight: 3, arbitrary: fc.stringMatching(/^[a-z][a-zA-Z0-9_]{0,7}$/) },
    { weight: 2, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 5 }).filter((text) => !/[[\]]|^\d+$/.test(text)) },
    {
        weight: 2,
        arbitrary: fc.constantFrom(
            'a.b',
            'c/d',
            '.',
            'x=y',
            'a&b',
            'a b',
            'a+b',
            '%41',
            'é',
            '__proto__',
            'constructor',
            'hasOwnProperty',
            'toString',
        ),
    },
);
const value = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 8 }),
    fc.constantFrom('', ' ', '+', '%', '%20', 'a=b', 'a&b', '[x]', ']=', '😀', '__proto__', 'undefined', 'a,b'),
);
const groups = fc.uniqueArray(
    fc.oneof(
        fc.record({
            name,
            kind: fc.constantFrom('plain' as const, 'list' as const, 'indexed' as const),
            values: fc.array(value, { minLength: 1, maxLength: 4 }),
        }),
        fc.record({ name, kind: fc.constant('object' as const), members: fc.array(fc.tuple(name, value), { minLength: 1, maxLength: 5 }) }),
    ),
    { selector: (group) => group.name, maxLength: 5 },
);

/** Clients encode more or less: brackets or not, a space as `+` or `%20`. */
const writer = fc.record({ brackets: fc.constantFrom(['[', ']'], ['%5B', '%5D'], ['%5b', '%5d'], ['[', '%5D']), space: fc.constantFrom('+', '%20') });
type Writer = typeof writer extends fc.Arbitrary<infer T> ? T : never;

const written = (pairs: readonly Pair[], { brackets: [open, close], space }: Writer): string => {
    const text = (part: string): string => encodeURIComponent(part).replaceAll('%20', space);
    return pairs.map(({ name, inner, value }) => `${text(name)}${inner === undefined ? '' : open + text(inner) + close}=${text(value)}`).join('&');
};

test('nested, repeated, indexed, encoded: as the model reads it', async () => {
    await fc.assert(
        fc.asyncProperty(groups, writer, async (given, how) => {
            expect(asMaps(await read(written(given.flatMap(pairsOf), how)))).toEqual(model(given));
        }),
    );
});

test.each([1, 2, 99, 100])('%i elements are a list, however they are written', async (count) => {
    const values = Array.from({ length: count }, (_, index) => `v${index}`);
    expect(await read(values.map((text, index) => `include[${index}]=${text}`).join('&'))).toEqual({ include: values });
    expect(await read(values.map((text) => `include[]=${text}`).join('&'))).toEqual({ include: values });
    expect(await read(values.map((text) => `a[b]=${text}`).join('&'))).toEqual({ a: { b: joined(values) } });
    expect(await read(values.map((text) => `include=${text}`).join('&'))).toEqual({ include: joined(values) });
});

test.each<[string, unknown]>([
    ['', {}],
    ['a', { a: '' }],
    ['a=', { a: '' }],
    ['a=1&__proto__=2', { a: '1' }],
    ['a=1&%5F_proto__=2', { a: '1' }],
    ['a[b]=1&__proto__=2&__proto__[x]=3&a[__proto__]=4&a[__proto__][x]=5', { a: { b: '1' } }],
    // the browser client encodes neither
    ['connection_id=a b'.replace(' ', '%20') + '&user_scope=a,b', { connection_id: 'a b', user_scope: 'a,b' }],
    ['authorization_params[prompt]=a,b:c@d', { authorization_params: { prompt: 'a,b:c@d' } }],
])('%s', async (query, expected) => {
    expect(asMaps(await read(query))).toEqual(asMaps(expected));
});
