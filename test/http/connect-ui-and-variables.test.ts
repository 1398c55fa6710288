/** How the Connect UI looks (webhooks §4.8), and environment variables (http-api §10.4). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startTestApp, type Answer, type TestApp } from './app.ts';

let valetkey: TestApp;

beforeAll(async () => {
    valetkey = await startTestApp();
});
afterAll(() => valetkey?.close());

const issues = (answer: Answer<unknown>): unknown =>
    (answer.body as { error: { errors?: { code: string; path: string[] }[] } }).error.errors?.map(({ code, path }) => [code, path]);

describe('/environment/connect-ui', () => {
    const ours = {
        defaultTheme: 'system',
        theme: { light: { primary: '#1f5eff' }, dark: { primary: '#7aa2ff' } },
        showWatermark: false,
        closeOnSuccess: false,
    };
    const theirs = {
        defaultTheme: 'dark',
        theme: { light: { primary: '#AbC' }, dark: { primary: '#00B2E3' } },
        showWatermark: true,
        closeOnSuccess: true,
    };
    const put = (body: unknown) => valetkey.call('PUT', '/environment/connect-ui', { body });

    test('begins with our own look, and takes any other', async () => {
        expect((await valetkey.call('GET', '/environment/connect-ui')).body).toEqual({ data: ours });
        const answer = await put(theirs);
        expect([answer.status, answer.body]).toEqual([200, { data: theirs }]);
        expect((await valetkey.call('GET', '/environment/connect-ui')).body).toEqual({ data: theirs });
        expect((await valetkey.call('GET', '/environment/connect-ui', { key: valetkey.prodKey })).body).toEqual({ data: ours });
    });

    test('takes the reference’s settings as they are: closing by itself is ours', async () => {
        const { closeOnSuccess: _ours, ...reference } = theirs;
        expect((await put(theirs)).body).toEqual({ data: theirs });
        expect((await put(reference)).body).toEqual({ data: { ...theirs, closeOnSuccess: false } });
        await valetkey.query(`update environment_settings set connect_ui = connect_ui - 'closeOnSuccess'`);
        expect((await valetkey.call('GET', '/environment/connect-ui')).body).toEqual({ data: { ...theirs, closeOnSuccess: false } });
    });

    test('of two who saw the same, the second is told (S3)', async () => {
        const tag = async () => (await valetkey.call('GET', '/environment/connect-ui')).headers['etag']!;
        const seen = await tag();
        const answers = await Promise.all(
            [theirs, ours].map((body) => valetkey.call('PUT', '/environment/connect-ui', { body, headers: { 'if-match': seen } })),
        );
        expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 412]);
        expect(answers.find(({ status }) => status === 412)!.body).toMatchObject({ error: { code: 'precondition_failed' } });
        const winner = answers.findIndex(({ status }) => status === 200);
        expect((await valetkey.call('GET', '/environment/connect-ui')).body).toEqual({ data: [theirs, ours][winner] });
        expect([await tag(), await tag()]).toEqual([answers[winner]!.headers['etag'], answers[winner]!.headers['etag']]);
        expect(await tag()).not.toBe(seen);
    });

    test('a document and other settings of the environment make another version too, nothing at all does not', async () => {
        const tag = async () => (await valetkey.call('GET', '/environment/connect-ui')).headers['etag']!;
        const tags = [await tag()];
        for (const body of [
            { connect_ui: theirs, environment: { hmac_enabled: true } },
            { connect_ui: ours },
            { environment: { hmac_enabled: false } },
        ]) {
            expect((await valetkey.call('PUT', '/environment/config', { body: { version: 1, ...body } })).status).toBe(200);
            tags.push(await tag());
        }
        expect(tags).toEqual([...new Set(tags)].toSorted());
        expect((await put(ours)).headers['etag']! > tags.at(-1)!).toBe(true);
        const latest = await tag();
        await valetkey.call('PUT', '/environment/config', { body: { version: 1, connect_ui: ours } });
        expect(await tag()).toBe(latest);
    });

    test.each<[unknown, unknown]>([
        [{ ...theirs, extra: 1 }, [['unrecognized_keys', []]]],
        [{ ...theirs, defaultTheme: 'blue' }, [['invalid_value', ['defaultTheme']]]],
        [{ ...theirs, showWatermark: undefined }, [['invalid_type', ['showWatermark']]]],
        [{ ...theirs, theme: { light: { primary: '#fff' } } }, [['invalid_type', ['theme', 'dark']]]],
        ...['red', '#12', '#1234567', '#12345g', '#fff;}body{display:none', 'url(https://x.example)', ''].map((primary): [unknown, unknown] => [
            { ...theirs, theme: { light: { primary }, dark: { primary: '#fff' } } },
            [['invalid_format', ['theme', 'light', 'primary']]],
        ]),
    ])('%j is refused', async (body, expected) => {
        const answer = await put(body);
        expect([answer.status, issues(answer)]).toEqual([400, expected]);
    });
});

describe('/environment-variables', () => {
    const put = (body: unknown) => valetkey.call<unknown>('PUT', '/environment-variables', { body });
    const read = async (key = valetkey.key): Promise<unknown> => (await valetkey.call<unknown>('GET', '/environment-variables', { key })).body;

    beforeEach(() => put([]));

    test('are a bare array, empty at first, kept by nobody in between', async () => {
        const answer = await valetkey.call<unknown>('GET', '/environment-variables');
        expect([answer.status, answer.body, answer.headers['cache-control']]).toEqual([200, [], 'no-store']);
    });

    test('are replaced as a whole, and listed by name', async () => {
        const first = await put([
            { name: 'b', value: '1' },
            { name: 'Z', value: 'ü ✓' },
            { name: 'a', value: '2' },
        ]);
        const sorted = [
            { name: 'Z', value: 'ü ✓' },
            { name: 'a', value: '2' },
            { name: 'b', value: '1' },
        ];
        expect([first.status, first.body, first.headers['cache-control']]).toEqual([200, sorted, 'no-store']);
        expect(await read()).toEqual(sorted);
        expect(await read(valetkey.prodKey)).toEqual([]);
        await put([{ name: 'b', value: '3' }]);
        expect(await read()).toEqual([{ name: 'b', value: '3' }]);
        expect((await put([])).body).toEqual([]);
        expect(await read()).toEqual([]);
    });

    test('of two sets written at once one remains, whole', async () => {
        const set = (value: string) => ['a', 'b', 'c', 'd'].map((name) => ({ name, value }));
        const sets = Array.from({ length: 6 }, (_, index) => set(String(index)));
        const answers = await Promise.all(sets.map((body) => put(body)));
        expect(answers.map(({ status }) => status)).toEqual(sets.map(() => 200));
        expect(sets).toContainEqual(await read());
    });

    test('a refused set changes nothing', async () => {
        await put([{ name: 'a', value: '1' }]);
        expect((await put([{ name: 'a', value: '' }])).status).toBe(400);
        expect(await read()).toEqual([{ name: 'a', value: '1' }]);
    });

    test('values are sealed to their row', async () => {
        await put([{ name: 'canary', value: 'a-secret-value' }]);
        const [row] = await valetkey.query<Record<string, string>>(`select * from environment_variables where name = 'canary'`);
        expect(JSON.stringify(row)).not.toContain('a-secret-value');
        const place = { environmentId: row!['environment_id']!, table: 'environment_variables', column: 'sealed_value', rowId: row!['id']! };
        expect(valetkey.vault.open(row!['sealed_value']!, place)).toBe('a-secret-value');
        expect(valetkey.log()).not.toContain('a-secret-value');
    });

    const many = (count: number) => Array.from({ length: count }, (_, index) => ({ name: `n${index}`, value: 'v' }));
    test.each<[string, unknown, number, unknown]>([
        ['a hundred', many(100), 200, undefined],
        ['a hundred and one', many(101), 400, [['too_big', []]]],
        ['a long name and value', [{ name: 'n'.repeat(256), value: 'v'.repeat(4000) }], 200, undefined],
        ['a longer name', [{ name: 'n'.repeat(257), value: 'v' }], 400, [['too_big', ['0', 'name']]]],
        ['a longer value', [{ name: 'n', value: 'v'.repeat(4001) }], 400, [['too_big', ['0', 'value']]]],
        ['no name', [{ name: '', value: 'v' }], 400, [['too_small', ['0', 'name']]]],
        ['twins', [...many(2), { name: 'n1', value: 'w' }], 400, [['custom', ['2', 'name']]]],
        ['more than name and value', [{ name: 'n', value: 'v', secret: true }], 400, [['unrecognized_keys', ['0']]]],
        ['an object', { n: 'v' }, 400, [['invalid_type', []]]],
    ])('%s', async (_name, body, status, expected) => {
        const answer = await put(body);
        expect(answer.status).toBe(status);
        if (status !== 200) {
            expect(issues(answer)).toEqual(expected);
        }
    });
});
