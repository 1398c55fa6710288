/** POST and PATCH /connections/metadata, and the deprecated pair per connection (http-api §9). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { providersFile } from '../e2e/provider-entries.ts';
import { connectKey, createIntegration, createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';

let valetkey: TestApp;
let [a, b, other] = ['', '', ''];

beforeAll(async () => {
    valetkey = await startTestApp({ providers: providersFile(untestedKeyEntry('keys')) });
    await createIntegration(valetkey, 'keys', 'keys');
    await createIntegration(valetkey, 'other', 'keys');
    const connect = async (integration: string) => connectKey(valetkey, integration, await createSession(valetkey));
    [a, b, other] = [await connect('keys'), await connect('keys'), await connect('other')];
});
afterAll(() => valetkey?.close());
beforeEach(() => valetkey.query('update connections set metadata = null'));

const issues = (answer: Answer<unknown>): unknown =>
    (answer.body as { error: { errors?: { code: string; path: string[] }[] } }).error.errors?.map(({ code, path }) => [code, path]);
const metadataOf = async (id: string, integration = 'keys'): Promise<unknown> =>
    (await valetkey.call('GET', `/connections/${id}?provider_config_key=${integration}`)).body['metadata'];
const write = (method: 'POST' | 'PATCH', body: unknown, path = '/connections/metadata') => valetkey.call(method, path, { body });
const on = (connection_id: unknown, metadata: unknown) => ({ connection_id, provider_config_key: 'keys', metadata });

describe('of one or many connections', () => {
    test('POST replaces and answers 201, PATCH merges and answers 200, both with what was sent', async () => {
        const one = on(a, { x: 1, nested: { y: [1, null] } });
        const set = await write('POST', one);
        expect([set.status, set.body]).toEqual([201, one]);
        const several = on([a, b], { nested: { z: 'ü' }, gone: null });
        const updated = await write('PATCH', several, '/connection/metadata');
        expect([updated.status, updated.body]).toEqual([200, several]);
        expect(await metadataOf(a)).toEqual({ x: 1, nested: { z: 'ü' }, gone: null });
        expect(await metadataOf(b)).toEqual({ nested: { z: 'ü' }, gone: null });
        const replaced = await write('POST', on([a], {}), '/connection/metadata');
        expect([replaced.status, replaced.body]).toEqual([201, on([a], {})]);
        expect([await metadataOf(a), await metadataOf(other, 'other')]).toEqual([{}, null]);
    });

    test.each(['POST', 'PATCH'] as const)('%s with an unknown id changes nothing and names it', async (method) => {
        const answer = await write(method, on([a, 'nobody', 'either'], { x: 1 }));
        expect([answer.status, answer.body]).toEqual([
            404,
            { error: { code: 'unknown_connection', message: expect.stringMatching(/"nobody".*Nothing was changed/) as string } },
        ]);
        const alone = await write(method, on(other, { x: 1 }));
        expect([alone.status, alone.body]).toMatchObject([404, { error: { message: expect.not.stringContaining('Nothing') as string } }]);
        const integration = await write(method, { ...on(a, {}), provider_config_key: 'none' });
        expect([integration.status, integration.body]).toMatchObject([404, { error: { code: 'unknown_connection' } }]);
        expect([await metadataOf(a), await metadataOf(other, 'other')]).toEqual([null, null]);
    });

    test('nobody reaches into another environment', async () => {
        const answer = await valetkey.call('POST', '/connections/metadata', { body: on(a, { x: 1 }), key: valetkey.prodKey });
        expect([answer.status, await metadataOf(a)]).toEqual([404, null]);
    });

    test('an empty list does nothing', async () => {
        expect((await write('POST', on([], { x: 1 }))).status).toBe(201);
        const answer = await write('PATCH', { ...on([], { x: 1 }), provider_config_key: 'none' });
        expect([answer.status, answer.body]).toEqual([200, { connection_id: [], provider_config_key: 'none', metadata: { x: 1 } }]);
        expect(await metadataOf(a)).toBeNull();
    });

    const deep = (levels: number): unknown => JSON.parse('{"a":'.repeat(levels - 1) + '{}' + '}'.repeat(levels - 1)) as unknown;

    test('a hundred levels are kept', async () => {
        expect((await write('POST', on(a, deep(100)))).status).toBe(201);
        expect(await metadataOf(a)).toEqual(deep(100));
    });

    test.each<[string, unknown, unknown]>([
        [
            'no body',
            {},
            [
                ['invalid_union', ['connection_id']],
                ['invalid_type', ['provider_config_key']],
                ['invalid_type', ['metadata']],
            ],
        ],
        ['an empty id', on('', {}), [['invalid_union', ['connection_id']]]],
        ['an id with a foreign character', on('é', {}), [['invalid_union', ['connection_id']]]],
        ['a long id', on('x'.repeat(256), {}), [['invalid_union', ['connection_id']]]],
        ['a list with an empty id', on(['a', ''], {}), [['invalid_union', ['connection_id']]]],
        ['a number as id', on(1, {}), [['invalid_union', ['connection_id']]]],
        ['null as metadata', on('a', null), [['invalid_type', ['metadata']]]],
        ['a list as metadata', on('a', []), [['invalid_type', ['metadata']]]],
        ['a further key', { ...on('a', {}), metadatum: 1 }, [['unrecognized_keys', []]]],
        [
            'text that cannot be stored',
            on('a', { x: { 'a\0': '\ud800' } }),
            [
                ['invalid_format', ['metadata', 'x', 'a\0']],
                ['invalid_format', ['metadata', 'x', 'a\0']],
            ],
        ],
        ['nesting without end', on('a', deep(101)), [['custom', ['metadata']]]],
        ['a nesting that would exhaust a stack', on('a', deep(50_000)), [['custom', ['metadata']]]],
    ])('%s is refused', async (_name, body, expected) => {
        for (const method of ['POST', 'PATCH'] as const) {
            const answer = await write(method, body);
            expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'invalid_body' } }]);
            expect(issues(answer)).toEqual(expected);
        }
    });

    test('a key named __proto__ is refused with the rest of its body', async () => {
        const answer = await write('PATCH', `{"connection_id":"${a}","provider_config_key":"keys","metadata":{"__proto__":{"x":1}}}`);
        expect([answer.status, answer.body, await metadataOf(a)]).toMatchObject([400, { error: { code: 'invalid_json' } }, null]);
    });

    test('a query is refused', async () => {
        const answer = await write('POST', on(a, {}), '/connections/metadata?x=1');
        expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'invalid_query_params' } }]);
    });

    test('updated_at stays', async () => {
        const read = async () => (await valetkey.call('GET', `/connections/${a}?provider_config_key=keys`)).body['updated_at'];
        const before = await read();
        valetkey.advance(60_000);
        await write('PATCH', on(a, { x: 1 }));
        expect(await read()).toBe(before);
    });
});

describe('per connection (deprecated)', () => {
    const path = (id: string, query = '?provider_config_key=keys') => `/connection/${id}/metadata${query}`;

    test('the body is the metadata; the integration is named in the query or a header', async () => {
        const set = await write('POST', { x: 1 }, path(a));
        expect([set.status, set.body]).toEqual([201, { x: 1 }]);
        const merged = await valetkey.call('PATCH', path(a, ''), { body: { y: [2] }, headers: { 'Provider-Config-Key': 'keys' } });
        expect([merged.status, merged.body]).toEqual([200, { y: [2] }]);
        expect(await metadataOf(a)).toEqual({ x: 1, y: [2] });
        expect([(await write('POST', {}, path(a))).status, await metadataOf(a)]).toEqual([201, {}]);
    });

    test('an unknown connection is 404 with a payload', async () => {
        for (const [url, payload] of [
            [path('nobody'), { connectionId: 'nobody', providerConfigKey: 'keys' }],
            [path(a, '?provider_config_key=none'), { connectionId: a, providerConfigKey: 'none' }],
            [path('%C3%A9'), { connectionId: 'é', providerConfigKey: 'keys' }],
        ] as const) {
            const answer = await write('POST', { x: 1 }, url);
            expect([answer.status, answer.body]).toEqual([
                404,
                { error: { code: 'unknown_connection', message: expect.any(String) as string, payload } },
            ]);
        }
    });

    test('without an integration nothing is looked up', async () => {
        const answer = await write('PATCH', { x: 1 }, path(a, ''));
        expect([answer.status, answer.body]).toEqual([
            400,
            { error: { code: 'missing_provider_config', message: expect.any(String) as string, payload: {} } },
        ]);
    });

    test.each(['POST', 'PATCH'] as const)('%s refuses a body that is not an object', async (method) => {
        for (const options of [{ body: [1] }, {}]) {
            const answer = await valetkey.call(method, path(a), options);
            expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'invalid_body' } }]);
            expect(issues(answer)).toEqual([['invalid_type', []]]);
        }
        expect(await metadataOf(a)).toBeNull();
    });
});
