/** /environment/api-keys and /account/api-keys (http-api §10.3; settings S2, S4, S5, S6). */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { KeyAnswer, KeysAnswer, NewKeyAnswer, RotatedKeyAnswer } from '../../src/http/endpoints/api-keys/key-view.ts';
import { grantableToAccountKeys, grantableToEnvironmentKeys } from '../../src/http/grantable-scopes.ts';
import { startTestApp, type Answer, type CallOptions, type TestApp } from './app.ts';

interface Key {
    id: number;
    display_name: string;
    scopes: string[];
    created_at: string;
    last_used_at: string | null;
    last_used_ip: string | null;
    expires_at: string | null;
    allowed_cidrs: string[] | null;
    origin: string;
    replaced_at: string | null;
}
type NewKey = Pick<Key, 'id' | 'display_name' | 'scopes' | 'created_at'> & { secret: string; expires_at?: string; allowed_cidrs?: string[] };
type Rotated = NewKey & { predecessor: { id: number; expires_at: string } };

const hour = 3_600_000;
let valetkey: TestApp;
/** An account key with every scope. */
let account: string;
/** An environment of its own for each test, its number, and a key with full access to it. */
let environmentId: number;
let environment: string;
let full: NewKey;

beforeAll(async () => {
    valetkey = await startTestApp({ env: { VALETKEY_TRUST_PROXY: '1', VALETKEY_RATE_LIMIT_PER_MIN: '1000000' } });
    account = valetkey.app.newApiKeys.get('account')!;
});

afterAll(() => valetkey?.close());

let made = 0;
beforeEach(async () => {
    environment = `test-${(made += 1)}`;
    environmentId = await createEnvironment(environment);
    full = await create({ environment_id: environmentId, display_name: 'full' }, account);
    // the one that is made with an environment, whose text nobody knows
    const [first] = await list(account, `?environment_id=${environmentId}`);
    await ok('DELETE', `/environment/api-keys/${first!.id}`, { key: account });
});

async function ok<Data>(method: string, path: string, options: CallOptions): Promise<Data> {
    const answer = await valetkey.call<{ data: Data }>(method, path, options);
    expect([answer.status, answer.text]).toEqual([200, expect.anything()]);
    return answer.body.data;
}
const createEnvironment = async (name: string): Promise<number> =>
    (await ok<{ id: number }>('POST', '/environments', { key: account, body: { name } })).id;
const create = (body: Record<string, unknown>, key = full.secret): Promise<NewKey> => ok('POST', '/environment/api-keys', { key, body });
const list = (key = full.secret, query = ''): Promise<Key[]> => ok('GET', `/environment/api-keys${query}`, { key });
const find = async (id: number): Promise<Key | undefined> => (await list(account, `?environment_id=${environmentId}`)).find((key) => key.id === id);
const update = (id: number, body: unknown, key = full.secret): Promise<Answer<{ data: Key }>> =>
    valetkey.call('PATCH', `/environment/api-keys/${id}`, { key, body });
const remove = (id: number, key = full.secret): Promise<Answer> => valetkey.call('DELETE', `/environment/api-keys/${id}`, { key });
const rotate = (id: number, body?: unknown, key = full.secret): Promise<Answer<{ data: Rotated }>> =>
    valetkey.call('POST', `/environment/api-keys/${id}/rotate`, { key, ...(body === undefined ? {} : { body }) });
/** What an environment endpoint answers to a key, from an address. */
const use = async (key: string, from = '192.0.2.1'): Promise<number> =>
    (await valetkey.call('GET', '/connections', { key, headers: { 'x-forwarded-for': from } })).status;
const error = (answer: Answer<unknown>): [number, string] => [answer.status, (answer.body as { error: { code: string } }).error.code];
const issues = (answer: Answer<unknown>): unknown =>
    (answer.body as { error: { errors?: { code: string; path: string[] }[] } }).error.errors?.map(({ code, path }) => [code, path]);
const refused = (code: string, status = 409): [number, string] => [status, code];
const isoDate = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string;
let skipped = 0;
const advance = (ms: number): void => {
    skipped += ms;
    valetkey.advance(ms);
};
const later = (ms: number): string => new Date(Date.now() + skipped + ms).toISOString();

describe('with an account key', () => {
    test('POST makes a key with full access to the environment it names, and shows it once', async () => {
        const answer = await valetkey.call<{ data: NewKey }>('POST', '/environment/api-keys', {
            key: account,
            body: { environment_id: String(environmentId), display_name: 'ci' },
        });
        expect([answer.status, answer.body]).toEqual([
            200,
            {
                data: {
                    id: expect.any(Number) as number,
                    display_name: 'ci',
                    scopes: ['environment:*'],
                    secret: expect.stringMatching(new RegExp(`^vk_${environment}_[0-9A-Za-z]{39}$`)) as string,
                    created_at: isoDate,
                },
            },
        ]);
        expect(answer.headers['cache-control']).toBe('no-store');
        z.strictObject(NewKeyAnswer.shape).parse(answer.body);
        const { secret, id } = answer.body.data;
        expect((await valetkey.call('GET', '/environment', { key: secret })).body).toMatchObject({ data: { name: environment } });
        expect(JSON.stringify(await list(account, `?environment_id=${environmentId}`))).not.toContain(secret);
        const [row] = await valetkey.query<object>('select * from api_keys where public_id = $1', [id]);
        expect(JSON.stringify(row)).not.toContain(secret.slice(-39));
    });

    test.each<[string, unknown, unknown]>([
        [
            'nothing',
            {},
            [
                ['invalid_type', ['environment_id']],
                ['invalid_type', ['display_name']],
            ],
        ],
        ['no body', undefined, [['invalid_type', []]]],
        ['an environment of zero', { environment_id: 0, display_name: 'x' }, [['too_small', ['environment_id']]]],
        ['an environment that is no number', { environment_id: 'one', display_name: 'x' }, [['invalid_type', ['environment_id']]]],
        ['half an environment', { environment_id: 1.5, display_name: 'x' }, [['invalid_type', ['environment_id']]]],
        ['an empty name', { environment_id: 1, display_name: '' }, [['too_small', ['display_name']]]],
        ['a name that is too long', { environment_id: 1, display_name: 'x'.repeat(256) }, [['too_big', ['display_name']]]],
        ['an unknown member', { environment_id: 1, display_name: 'x', secret: 'mine' }, [['unrecognized_keys', []]]],
    ])('POST with %s is refused', async (_name, body, expected) => {
        const answer = await valetkey.call('POST', '/environment/api-keys', { key: account, ...(body === undefined ? {} : { body }) });
        expect([...error(answer), issues(answer)]).toEqual([400, 'invalid_body', expected]);
    });

    test('an environment that is unknown or deleted: 404', async () => {
        const gone = await createEnvironment(`gone-${made}`);
        expect((await valetkey.call('DELETE', `/environments/${gone}`, { key: account })).status).toBe(204);
        for (const id of [gone, 999_999]) {
            const body = { environment_id: id, display_name: 'x' };
            expect(error(await valetkey.call('POST', '/environment/api-keys', { key: account, body }))).toEqual(refused('not_found', 404));
            expect(error(await valetkey.call('GET', `/environment/api-keys?environment_id=${id}`, { key: account }))).toEqual(
                refused('not_found', 404),
            );
        }
    });

    test('DELETE takes its ids in a body, as the reference has it, and works at once', async () => {
        const key = await create({ display_name: 'ci' });
        const deletion = (body: unknown): Promise<Answer> => valetkey.call('DELETE', '/environment/api-keys', { key: account, body });
        for (const body of [
            { environment_id: environmentId, key_id: 999_999 },
            { environment_id: 999_999, key_id: key.id },
            // of another environment
            { environment_id: 1, key_id: key.id },
        ]) {
            expect(error(await deletion(body))).toEqual(refused('not_found', 404));
        }
        expect(issues(await deletion({ key_id: key.id }))).toEqual([['invalid_type', ['environment_id']]]);
        expect(issues(await deletion({ environment_id: environmentId }))).toEqual([['invalid_type', ['key_id']]]);
        expect(await use(key.secret)).toBe(200);
        const answer = await deletion({ environment_id: environmentId, key_id: String(key.id) });
        expect([answer.status, answer.body, answer.headers['cache-control']]).toEqual([200, { success: true }, 'no-store']);
        expect(await use(key.secret)).toBe(401);
        expect(error(await deletion({ environment_id: environmentId, key_id: key.id }))).toEqual(refused('not_found', 404));
    });

    test('GET needs to be told which environment', async () => {
        const answer = await valetkey.call('GET', '/environment/api-keys', { key: account });
        expect([...error(answer), issues(answer)]).toEqual([400, 'invalid_query_params', [['invalid_type', ['environment_id']]]]);
    });

    test('the keys of any environment can be changed, rotated and deleted by their ids', async () => {
        expect((await update(full.id, { display_name: 'renamed' }, account)).body.data.display_name).toBe('renamed');
        const rotated = await rotate(full.id, { overlap_seconds: 0 }, account);
        expect(await use(rotated.body.data.secret)).toBe(200);
        expect((await remove(rotated.body.data.id, account)).status).toBe(200);
        expect(error(await remove(rotated.body.data.id, account))).toEqual(refused('not_found', 404));
        // a key of the account is none of an environment
        const [own] = await ok<Key[]>('GET', '/account/api-keys', { key: account });
        expect(error(await remove(own!.id, account))).toEqual(refused('not_found', 404));
    });

    test('the scopes for it are those of the account, each for its own', async () => {
        const holding = (scope: string): Promise<string> => valetkey.insertKey({ scopes: [scope], environment: null });
        const [reader, updater, deleter] = await Promise.all(
            ['read', 'update', 'delete'].map((what) => holding(`account:environments:api_keys:${what}`)),
        );
        expect(await list(reader, `?environment_id=${environmentId}`)).toHaveLength(1);
        expect(error(await update(full.id, { display_name: 'x' }, reader))).toEqual(refused('forbidden', 403));
        expect((await update(full.id, { display_name: 'x' }, updater)).status).toBe(200);
        expect(error(await remove(full.id, updater))).toEqual(refused('forbidden', 403));
        expect((await remove(full.id, deleter)).status).toBe(200);
    });
});

describe('with a key of the environment', () => {
    test('GET lists its keys and no others, without the keys themselves', async () => {
        const ci = await create({
            display_name: 'ci',
            scopes: ['environment:connections:read'],
            expires_at: later(hour),
            allowed_cidrs: ['192.0.2.9'],
        });
        const answer = await valetkey.call('GET', '/environment/api-keys', { key: full.secret, headers: { 'x-forwarded-for': '::ffff:192.0.2.44' } });
        z.strictObject(KeysAnswer.shape).parse(answer.body);
        const unused = { last_used_at: null, last_used_ip: null, replaced_at: null, origin: 'created' };
        await expect.poll(async () => (await find(full.id))?.last_used_at).toEqual(isoDate);
        expect(await list()).toEqual([
            expect.objectContaining({ id: full.id, display_name: 'full', scopes: ['environment:*'], expires_at: null, allowed_cidrs: null }),
            {
                ...unused,
                id: ci.id,
                display_name: 'ci',
                scopes: ['environment:connections:read'],
                created_at: ci.created_at,
                expires_at: isoDate,
                allowed_cidrs: ['192.0.2.9/32'],
            },
        ]);
        expect(await list(full.secret, `?environment_id=${environmentId}`)).toHaveLength(2);
        expect(error(await valetkey.call('GET', '/environment/api-keys?environment_id=1', { key: full.secret }))).toEqual(refused('not_found', 404));
    });

    test('the first keys of a deployment say where they came from', async () => {
        const [configured] = await list(valetkey.key);
        expect(configured).toMatchObject({ origin: 'configured' });
        expect(await ok<Key[]>('GET', '/account/api-keys', { key: account })).toContainEqual(
            expect.objectContaining({ origin: 'first_start', display_name: 'Default - Full access', scopes: ['account:*'] }),
        );
    });

    test('the address of the last use stands beside its time', async () => {
        const key = await create({ display_name: 'ci' });
        await use(key.secret, '::ffff:192.0.2.44');
        await expect.poll(async () => (await find(key.id))?.last_used_ip).toBe('192.0.2.44');
    });

    test('POST makes one with the scopes, expiry and addresses that are asked for', async () => {
        const expiry = later(hour);
        const key = await create({
            environment_id: environmentId,
            display_name: 'ci',
            scopes: ['environment:connections:list', 'environment:syncs:*', 'environment:connections:list'],
            expires_at: expiry,
            allowed_cidrs: ['10.0.0.0/8', '2001:DB8::/32'],
        });
        expect(key).toMatchObject({
            scopes: ['environment:connections:list', 'environment:syncs:*'],
            expires_at: expiry,
            allowed_cidrs: ['10.0.0.0/8', '2001:db8::/32'],
        });
        expect([await use(key.secret, '10.9.9.9'), await use(key.secret, '2001:db8::9')]).toEqual([200, 200]);
        expect((await valetkey.call('GET', '/environment', { key: key.secret, headers: { 'x-forwarded-for': '10.9.9.9' } })).status).toBe(403);
        // null is as good as absent
        expect(await create({ display_name: 'plain', expires_at: null, allowed_cidrs: null })).not.toHaveProperty('expires_at');
    });

    test('POST for another environment: 404, as if there were none', async () => {
        const answer = await valetkey.call('POST', '/environment/api-keys', { key: full.secret, body: { environment_id: 1, display_name: 'x' } });
        expect(error(answer)).toEqual(refused('not_found', 404));
    });

    test('keys of other environments, and of the account, are unknown', async () => {
        const [foreign] = await list(valetkey.prodKey);
        const [own] = await ok<Key[]>('GET', '/account/api-keys', { key: account });
        for (const id of [foreign!.id, own!.id, 999_999]) {
            for (const answer of [await update(id, { display_name: 'x' }), await rotate(id), await remove(id)]) {
                expect(error(answer)).toEqual(refused('not_found', 404));
            }
        }
    });

    test.each<[string, Record<string, unknown>, unknown]>([
        ['an unknown scope', { scopes: ['environment:connections:list', 'environment:everything'] }, [['invalid_value', ['scopes', '1']]]],
        ['a scope of the account', { scopes: ['account:*'] }, [['invalid_value', ['scopes', '0']]]],
        ['a bare wildcard', { scopes: ['*'] }, [['invalid_value', ['scopes', '0']]]],
        ['no scopes at all', { scopes: [] }, [['too_small', ['scopes']]]],
        ['an expiry in the past', { expires_at: '2020-01-01T00:00:00Z' }, [['custom', ['expires_at']]]],
        ['an expiry that is no date', { expires_at: 'tomorrow' }, [['invalid_format', ['expires_at']]]],
        ['an expiry without a zone', { expires_at: '2999-01-01T00:00:00' }, [['invalid_format', ['expires_at']]]],
        ['what is no range', { allowed_cidrs: ['10.0.0.0/8', '10/8'] }, [['custom', ['allowed_cidrs', '1']]]],
        ['no addresses at all', { allowed_cidrs: [] }, [['too_small', ['allowed_cidrs']]]],
    ])('%s is refused when a key is made and when it is changed', async (_name, member, expected) => {
        const creation = await valetkey.call('POST', '/environment/api-keys', { key: full.secret, body: { display_name: 'x', ...member } });
        expect([...error(creation), issues(creation)]).toEqual([400, 'invalid_body', expected]);
        expect(issues(await update(full.id, member))).toEqual(expected);
    });

    test.each<[string, unknown, unknown]>([
        ['nothing', {}, [['custom', []]]],
        ['an unknown member', { secret: 'mine' }, [['unrecognized_keys', []]]],
        ['a name of null', { display_name: null }, [['invalid_type', ['display_name']]]],
    ])('PATCH with %s is refused', async (_name, body, expected) => {
        const answer = await update(full.id, body);
        expect([...error(answer), issues(answer)]).toEqual([400, 'invalid_body', expected]);
    });

    test('an id that is no positive integer: 400', async () => {
        for (const id of ['x', '0', '-1', '1.5', '1e3', '99999999999999999999']) {
            expect(error(await valetkey.call('DELETE', `/environment/api-keys/${id}`, { key: full.secret }))).toEqual([400, 'invalid_uri_params']);
        }
    });

    test('PATCH changes what is named; null clears', async () => {
        const key = await create({ display_name: 'ci' });
        const changed = await update(key.id, {
            display_name: 'ci 2',
            scopes: ['environment:connections:*'],
            expires_at: later(hour),
            allowed_cidrs: ['192.0.2.0/24'],
        });
        expect([changed.status, changed.headers['cache-control']]).toEqual([200, 'no-store']);
        z.strictObject(KeyAnswer.shape).parse(changed.body);
        const expected = { id: key.id, display_name: 'ci 2', scopes: ['environment:connections:*'], allowed_cidrs: ['192.0.2.0/24'] };
        expect(changed.body.data).toMatchObject(expected);
        expect((await update(key.id, { display_name: 'ci 3' })).body.data).toMatchObject({ ...expected, display_name: 'ci 3', expires_at: isoDate });
        expect((await update(key.id, { expires_at: null })).body.data).toMatchObject({ ...expected, display_name: 'ci 3', expires_at: null });
        expect((await update(key.id, { allowed_cidrs: null })).body.data).toMatchObject({ expires_at: null, allowed_cidrs: null });
        expect(await find(key.id)).toMatchObject({ display_name: 'ci 3', scopes: ['environment:connections:*'], allowed_cidrs: null });
    });

    test('every change works with the next request', async () => {
        const key = await create({ display_name: 'ci' });
        expect(await use(key.secret)).toBe(200);
        await update(key.id, { allowed_cidrs: ['198.51.100.0/24'] });
        expect([await use(key.secret), await use(key.secret, '198.51.100.7')]).toEqual([403, 200]);
        await update(key.id, { allowed_cidrs: null, scopes: ['environment:proxy'] });
        expect(await use(key.secret)).toBe(403);
        await update(key.id, { scopes: ['environment:connections:list'], expires_at: later(hour) });
        expect(await use(key.secret)).toBe(200);
        advance(hour + 1000);
        expect(await use(key.secret)).toBe(401);
        await update(key.id, { expires_at: null });
        expect(await use(key.secret)).toBe(200);
        const answer = await remove(key.id);
        expect([answer.status, answer.body, answer.headers['cache-control']]).toEqual([200, { success: true }, 'no-store']);
        expect(await use(key.secret)).toBe(401);
    });

    test('a key that is used from a wrong address is told so, wherever it is taken', async () => {
        const { secret } = await create({ display_name: 'ci', allowed_cidrs: ['198.51.100.0/24'] });
        for (const path of ['/connections', '/connections/c?provider_config_key=k', '/providers', '/environment/api-keys']) {
            const answer = await valetkey.call('GET', path, { key: secret, headers: { 'x-forwarded-for': '192.0.2.1' } });
            expect([answer.status, answer.body]).toEqual([
                403,
                { error: { code: 'forbidden', message: expect.stringContaining('address') as string } },
            ]);
        }
    });

    test('DELETE by body needs no environment_id here, and takes no other', async () => {
        const key = await create({ display_name: 'ci' });
        const deletion = (body: unknown): Promise<Answer> => valetkey.call('DELETE', '/environment/api-keys', { key: full.secret, body });
        expect(error(await deletion({ environment_id: 1, key_id: key.id }))).toEqual(refused('not_found', 404));
        expect((await deletion({ key_id: key.id })).body).toEqual({ success: true });
    });

    test('reading needs api_keys:read, everything else api_keys:write', async () => {
        const reader = await create({ display_name: 'reader', scopes: ['environment:api_keys:read'] });
        const writer = await create({ display_name: 'writer', scopes: ['environment:api_keys:write'] });
        expect(await list(reader.secret)).toHaveLength(3);
        expect(error(await valetkey.call('GET', '/environment/api-keys', { key: writer.secret }))).toEqual(refused('forbidden', 403));
        for (const answer of [
            await valetkey.call('POST', '/environment/api-keys', { key: reader.secret, body: {} }),
            await update(writer.id, {}, reader.secret),
            await rotate(writer.id, {}, reader.secret),
            await remove(writer.id, reader.secret),
            await valetkey.call('DELETE', '/environment/api-keys', { key: reader.secret, body: {} }),
        ]) {
            expect(error(answer)).toEqual(refused('forbidden', 403));
        }
    });
});

test('a key that was made with an Idempotency-Key is shown again to who made it, and is kept sealed', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const body = { display_name: 'once' };
    const first = await valetkey.call<{ data: { secret: string } }>('POST', '/environment/api-keys', { key: full.secret, body, headers });
    expect(first.status).toBe(200);
    expect((await valetkey.call('POST', '/environment/api-keys', { key: full.secret, body, headers })).text).toBe(first.text);
    const text = 'select row_to_json(r)::text as row from idempotent_requests r where key = $1';
    const rows = await valetkey.query<{ row: string }>(text, [headers['idempotency-key']]);
    expect(rows.map(({ row }) => row.includes(first.body.data.secret))).toEqual([false]);
});

describe('names and numbers', () => {
    test('a name that is taken: 409, when a key is made and when it is renamed', async () => {
        const ci = await create({ display_name: 'ci' });
        const again = { key: full.secret, body: { display_name: 'ci' } };
        expect(error(await valetkey.call('POST', '/environment/api-keys', again))).toEqual(refused('conflict'));
        expect(error(await update(full.id, { display_name: 'ci' }))).toEqual(refused('conflict'));
        // to what it is called already
        expect((await update(ci.id, { display_name: 'ci' })).status).toBe(200);
        // elsewhere it is free, and so it is once its key is gone
        const other = await createEnvironment(`other-${made}`);
        await create({ environment_id: other, display_name: 'ci' }, account);
        await remove(ci.id);
        await create({ display_name: 'ci' });
    });

    test('of simultaneous creations of the same name one succeeds', async () => {
        const answers = await Promise.all(
            [1, 2, 3, 4, 5].map(() => valetkey.call('POST', '/environment/api-keys', { key: full.secret, body: { display_name: 'race' } })),
        );
        expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409, 409, 409]);
        expect((await list()).filter(({ display_name }) => display_name === 'race')).toHaveLength(1);
    });

    test('an environment has at most 50 keys, whoever asks at the same time', async () => {
        const [row] = await valetkey.query<{ id: string }>('select id from environments where public_id = $1', [environmentId]);
        await valetkey.query(
            `insert into api_keys (id, environment_id, display_name, key_hash, scopes, origin, created_at)
             select gen_random_uuid(), $1, 'filler ' || n, gen_random_uuid(), '{environment:proxy}', 'created', now() from generate_series(1, 48) n`,
            [row!.id],
        );
        const answers = await Promise.all(
            ['a', 'b', 'c'].map((name) => valetkey.call('POST', '/environment/api-keys', { key: full.secret, body: { display_name: name } })),
        );
        expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 400, 400]);
        expect(error(answers.find(({ status }) => status === 400)!)).toEqual(refused('resource_capped', 400));
        // a name that is taken is said first, and a rotation needs no place
        expect(error(await valetkey.call('POST', '/environment/api-keys', { key: full.secret, body: { display_name: 'full' } }))).toEqual(
            refused('conflict'),
        );
        expect((await rotate(full.id)).status).toBe(200);
    });
});

describe('a key grants only what it holds itself (S4)', () => {
    const holder = (...scopes: string[]): Promise<NewKey> =>
        create({ display_name: randomUUID(), scopes: ['environment:api_keys:write', ...scopes] });
    const grant = (key: NewKey, scopes?: string[]): Promise<Answer> =>
        valetkey.call('POST', '/environment/api-keys', {
            key: key.secret,
            body: { display_name: randomUUID(), ...(scopes === undefined ? {} : { scopes }) },
        });

    test('when it makes one', async () => {
        const narrow = await holder('environment:connections:*', 'environment:integrations:list');
        expect((await grant(narrow, ['environment:connections:read', 'environment:connections:*'])).status).toBe(200);
        expect((await grant(narrow, ['environment:integrations:list', 'environment:api_keys:write'])).status).toBe(200);
        const refusal = await grant(narrow, ['environment:integrations:list', 'environment:integrations:*']);
        expect([refusal.status, refusal.body]).toEqual([
            403,
            { error: { code: 'forbidden', message: expect.stringContaining('environment:integrations:*') as string } },
        ]);
        // full access is what one gets who asks for nothing
        expect(error(await grant(narrow))).toEqual(refused('forbidden', 403));
        expect(error(await grant(narrow, ['environment:*']))).toEqual(refused('forbidden', 403));
    });

    test('when it changes one: neither scopes, nor a longer life, nor more addresses beyond itself; a name is nothing', async () => {
        const narrow = await holder('environment:connections:read');
        const strong = await create({ display_name: 'strong', expires_at: later(hour), allowed_cidrs: ['192.0.2.0/24'] });
        for (const change of [
            { scopes: ['environment:connections:*'] },
            { expires_at: null },
            { expires_at: later(2 * hour) },
            { allowed_cidrs: null },
        ]) {
            expect(error(await update(strong.id, change, narrow.secret))).toEqual(refused('forbidden', 403));
        }
        expect(await find(strong.id)).toMatchObject({ scopes: ['environment:*'], expires_at: strong.expires_at, allowed_cidrs: ['192.0.2.0/24'] });
        expect((await update(strong.id, { display_name: 'renamed' }, narrow.secret)).status).toBe(200);
        // itself included
        expect(error(await update(narrow.id, { scopes: ['environment:*'] }, narrow.secret))).toEqual(refused('forbidden', 403));
        expect((await update(strong.id, { scopes: ['environment:connections:read'] }, narrow.secret)).status).toBe(200);
    });

    test('when it rotates one, which would hand it the successor', async () => {
        const narrow = await holder();
        expect(error(await rotate(full.id, {}, narrow.secret))).toEqual(refused('forbidden', 403));
        expect((await rotate(narrow.id, {}, narrow.secret)).status).toBe(200);
    });
});

describe('the last key with full access (S4)', () => {
    test('cannot be deleted, demoted or let expire by a key of the environment, itself included', async () => {
        const narrow = await create({ display_name: 'narrow', scopes: ['environment:api_keys:write', 'environment:proxy'] });
        for (const key of [full.secret, narrow.secret]) {
            expect(error(await remove(full.id, key))).toEqual(refused('last_full_access_key'));
            expect(error(await update(full.id, { scopes: ['environment:proxy'] }, key))).toEqual(refused('last_full_access_key'));
        }
        expect(error(await update(full.id, { expires_at: later(hour) }))).toEqual(refused('last_full_access_key'));
        expect(error(await valetkey.call('DELETE', '/environment/api-keys', { key: full.secret, body: { key_id: full.id } }))).toEqual(
            refused('last_full_access_key'),
        );
        // every single scope is not what comes tomorrow
        const all = grantableToEnvironmentKeys.filter((scope) => scope !== 'environment:*');
        await create({ display_name: 'all', scopes: all });
        expect(error(await remove(full.id))).toEqual(refused('last_full_access_key'));
        // other changes are none of this
        expect(
            (await update(full.id, { display_name: 'still', allowed_cidrs: ['0.0.0.0/0'], scopes: ['environment:*', 'environment:proxy'] })).status,
        ).toBe(200);
        expect(await use(full.secret)).toBe(200);
    });

    test('can be by an account key', async () => {
        expect((await update(full.id, { scopes: ['environment:proxy'] }, account)).status).toBe(200);
        expect((await remove(full.id, account)).status).toBe(200);
    });

    test('goes when another one lasts at least as long', async () => {
        const brief = await create({ display_name: 'brief', expires_at: later(hour) });
        expect(error(await remove(full.id))).toEqual(refused('last_full_access_key'));
        expect((await remove(brief.id)).status).toBe(200);
        const second = await create({ display_name: 'second' });
        expect((await update(full.id, { expires_at: later(hour) })).status).toBe(200);
        expect(error(await remove(second.id))).toEqual(refused('last_full_access_key'));
        expect((await remove(full.id, second.secret)).status).toBe(200);
    });

    test('is none any more once it has expired', async () => {
        const brief = await create({ display_name: 'brief', expires_at: later(hour) });
        await remove(full.id, account);
        const narrow = await create({ environment_id: environmentId, display_name: 'narrow', scopes: ['environment:api_keys:write'] }, account);
        expect(error(await remove(brief.id, narrow.secret))).toEqual(refused('last_full_access_key'));
        advance(2 * hour);
        expect((await remove(brief.id, narrow.secret)).status).toBe(200);
    });

    test('two at the same time cannot both go, however they go', async () => {
        for (const go of [
            (id: number): Promise<Answer<unknown>> => remove(id),
            (id: number): Promise<Answer<unknown>> => update(id, { scopes: ['environment:proxy'] }),
        ]) {
            const [a, b] = [await create({ display_name: 'a' }), await create({ display_name: 'b' })];
            await remove(full.id, a.secret);
            // each asks with a key of its own, so that neither is refused as unknown
            const asker = await create(
                { environment_id: environmentId, display_name: 'asker', scopes: ['environment:api_keys:write', 'environment:proxy'] },
                account,
            );
            full = asker;
            const answers = await Promise.all([go(a.id), go(b.id)]);
            expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409]);
            full = await create({ environment_id: environmentId, display_name: 'full again' }, account);
            for (const key of await list(account, `?environment_id=${environmentId}`)) {
                if (key.id !== full.id) {
                    await remove(key.id, account);
                }
            }
        }
    });
});

describe('rotation (S6)', () => {
    test('gives a successor with the same name, scopes, addresses and expiry; both work until the overlap ends', async () => {
        const key = await create({ display_name: 'ci', scopes: ['environment:connections:*'], allowed_cidrs: ['192.0.2.0/24'] });
        const answer = await rotate(key.id, { overlap_seconds: 60 });
        expect([answer.status, answer.headers['cache-control']]).toEqual([200, 'no-store']);
        z.strictObject(RotatedKeyAnswer.shape).parse(answer.body);
        const successor = answer.body.data;
        expect(successor).toMatchObject({ display_name: 'ci', scopes: ['environment:connections:*'], allowed_cidrs: ['192.0.2.0/24'] });
        expect(successor.predecessor).toEqual({ id: key.id, expires_at: isoDate });
        expect(successor.id).not.toBe(key.id);
        expect([await use(key.secret), await use(successor.secret)]).toEqual([200, 200]);
        expect(await find(key.id)).toMatchObject({ replaced_at: isoDate, expires_at: successor.predecessor.expires_at });
        expect(await find(successor.id)).toMatchObject({ replaced_at: null, expires_at: null, origin: 'created' });
        advance(59_000);
        expect(await use(key.secret)).toBe(200);
        advance(2_000);
        expect([await use(key.secret), await use(successor.secret)]).toEqual([401, 200]);
        expect(await find(key.id)).toBeUndefined();
    });

    test('overlaps a day unless told otherwise, with or without a body; not at all with 0', async () => {
        for (const body of [undefined, {}]) {
            const key = await create({ display_name: randomUUID() });
            const { predecessor, created_at } = (await rotate(key.id, body)).body.data;
            // both are of the same moment, give or take what the machine needs between them
            expect(Math.round((Date.parse(predecessor.expires_at) - Date.parse(created_at)) / hour)).toBe(24);
        }
        const key = await create({ display_name: 'now' });
        const successor = (await rotate(key.id, { overlap_seconds: 0 })).body.data;
        expect([await use(key.secret), await use(successor.secret), await find(key.id)]).toEqual([401, 200, undefined]);
    });

    test.each([[-1], [1.5], ['60'], [2_592_001], [null]])('an overlap of %j is refused', async (overlap) => {
        const answer = await rotate(full.id, { overlap_seconds: overlap });
        expect([...error(answer), (issues(answer) as unknown[][])[0]![1]]).toEqual([400, 'invalid_body', ['overlap_seconds']]);
    });

    test('does not prolong a life: what expires keeps its end, for both', async () => {
        const end = later(100 * hour);
        const key = await create({ display_name: 'brief', expires_at: end });
        const successor = (await rotate(key.id, { overlap_seconds: 30 * 86_400 })).body.data;
        expect([successor.expires_at, successor.predecessor.expires_at]).toEqual([end, end]);
    });

    test('the predecessor can be deleted early, and is otherwise left alone', async () => {
        const successor = (await rotate(full.id)).body.data;
        for (const answer of [
            await update(full.id, { expires_at: null }, successor.secret),
            await update(full.id, { display_name: 'x' }, successor.secret),
            await rotate(full.id, {}, successor.secret),
        ]) {
            expect(error(answer)).toEqual(refused('key_replaced'));
        }
        // it is no reason to let the successor go
        expect(error(await remove(successor.id))).toEqual(refused('last_full_access_key'));
        expect((await remove(full.id, successor.secret)).status).toBe(200);
        expect(await use(full.secret)).toBe(401);
    });

    test('a key that has expired is not rotated', async () => {
        const key = await create({ display_name: 'brief', expires_at: later(100 * hour) });
        advance(101 * hour);
        expect(error(await rotate(key.id))).toEqual(refused('key_expired'));
    });

    test('of simultaneous rotations one succeeds', async () => {
        const answers = await Promise.all([1, 2, 3].map(() => rotate(full.id)));
        expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409]);
    });
});

test('keys that are fixed by configuration cannot be changed, rotated or deleted, not even by an account key', async () => {
    const [fixed] = (await list(valetkey.key)).filter(({ origin }) => origin === 'configured');
    await create({ display_name: `another ${randomUUID()}` }, valetkey.key);
    for (const key of [valetkey.key, account]) {
        for (const answer of [await update(fixed!.id, { display_name: 'x' }, key), await rotate(fixed!.id, {}, key), await remove(fixed!.id, key)]) {
            expect(error(answer)).toEqual(refused('managed_by_configuration'));
        }
    }
    expect((await valetkey.call('GET', '/environment')).status).toBe(200);
});

describe('what can be granted', () => {
    test('is every scope, every wildcard and every name of the reference, and nothing of the other kind', () => {
        expect(grantableToEnvironmentKeys).toEqual(
            expect.arrayContaining([
                'environment:*',
                'environment:integrations:*',
                'environment:integrations:list_functions',
                'environment:connections:*',
                'environment:syncs:*',
                'environment:syncs:variant:create',
                'environment:functions:*',
                'environment:functions:invocations',
                'environment:deploy',
                'environment:records:*',
                'environment:logs:read',
                'environment:actions:*',
                'environment:actions:execute',
                'environment:mcp',
                'environment:variables:read',
                'environment:webhook_signing_key:rotate',
            ]),
        );
        expect(grantableToEnvironmentKeys.filter((scope) => !scope.startsWith('environment:'))).toEqual([]);
        expect(grantableToAccountKeys).toEqual(expect.arrayContaining(['account:*', 'account:environments:set_production']));
        expect(grantableToAccountKeys.filter((scope) => !scope.startsWith('account:'))).toEqual([]);
    });

    test('all of it is accepted', async () => {
        expect((await create({ display_name: 'all', scopes: grantableToEnvironmentKeys })).scopes).toEqual(grantableToEnvironmentKeys);
    });
});

describe('/account/api-keys', () => {
    const createFor = (body: unknown, key = account): Promise<Answer<{ data: NewKey }>> => valetkey.call('POST', '/account/api-keys', { key, body });
    const environmentsOf = async (key: string, from = '192.0.2.1'): Promise<number> =>
        (await valetkey.call('GET', '/environments', { key, headers: { 'x-forwarded-for': from } })).status;

    test('the first is made at the first start, and opens no environment', async () => {
        expect(account).toMatch(/^vk_account_[0-9A-Za-z]{39}$/);
        expect(await environmentsOf(account)).toBe(200);
        expect(await use(account)).toBe(403);
    });

    test('are made, changed, rotated and deleted', async () => {
        const answer = await createFor({ display_name: 'ops', scopes: ['account:environments:list'], allowed_cidrs: ['192.0.2.0/24'] });
        expect([answer.status, answer.headers['cache-control']]).toEqual([200, 'no-store']);
        const key = answer.body.data;
        expect(key.secret).toMatch(/^vk_account_/);
        expect([await environmentsOf(key.secret), await environmentsOf(key.secret, '198.51.100.1')]).toEqual([200, 403]);
        expect(error(await valetkey.call('GET', '/account/api-keys', { key: key.secret, headers: { 'x-forwarded-for': '192.0.2.1' } }))).toEqual(
            refused('forbidden', 403),
        );
        const listed = await ok<Key[]>('GET', '/account/api-keys', { key: account });
        expect(listed.find(({ id }) => id === key.id)).toMatchObject({ display_name: 'ops', scopes: ['account:environments:list'] });
        expect(JSON.stringify(listed)).not.toContain(key.secret);

        await ok('PATCH', `/account/api-keys/${key.id}`, { key: account, body: { allowed_cidrs: null } });
        expect(await environmentsOf(key.secret, '198.51.100.1')).toBe(200);
        const rotated = await ok<Rotated>('POST', `/account/api-keys/${key.id}/rotate`, { key: account, body: { overlap_seconds: 0 } });
        expect([await environmentsOf(key.secret), await environmentsOf(rotated.secret)]).toEqual([401, 200]);
        const gone = await valetkey.call('DELETE', `/account/api-keys/${rotated.id}`, { key: account });
        expect([gone.body, await environmentsOf(rotated.secret)]).toEqual([{ success: true }, 401]);
        const other = (await createFor({ display_name: 'ops' })).body.data;
        expect(other.scopes).toEqual(['account:*']);
        const byBody = await valetkey.call('DELETE', '/account/api-keys', { key: account, body: { key_id: other.id } });
        expect([byBody.body, await environmentsOf(other.secret)]).toEqual([{ success: true }, 401]);
        expect(error(await valetkey.call('DELETE', `/account/api-keys/${full.id}`, { key: account }))).toEqual(refused('not_found', 404));
    });

    test('a name that is taken: 409; a scope of an environment: 400; no scope beyond its own: 403', async () => {
        expect(error(await createFor({ display_name: 'Default - Full access' }))).toEqual(refused('conflict'));
        expect(issues(await createFor({ display_name: 'x', scopes: ['environment:*'] }))).toEqual([['invalid_value', ['scopes', '0']]]);
        const narrow = await valetkey.insertKey({ scopes: ['account:api_keys:*'], environment: null });
        expect(error(await createFor({ display_name: 'x' }, narrow))).toEqual(refused('forbidden', 403));
        expect(error(await createFor({ display_name: 'x', scopes: ['account:environments:create'] }, narrow))).toEqual(refused('forbidden', 403));
        expect((await createFor({ display_name: 'x', scopes: ['account:api_keys:read'] }, narrow)).status).toBe(200);
    });

    test('of simultaneous creations of the same name one succeeds', async () => {
        const answers = await Promise.all([1, 2, 3].map(() => createFor({ display_name: 'race' })));
        expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409]);
        await ok('DELETE', `/account/api-keys/${answers.find(({ status }) => status === 200)!.body.data.id}`, { key: account });
    });

    test('the last one with full access stays, whoever asks, and of two at the same time one', async () => {
        const keys = await ok<Key[]>('GET', '/account/api-keys', { key: account });
        const [first] = keys.filter(({ scopes }) => scopes.includes('account:*'));
        const deletion = (id: number): Promise<Answer> => valetkey.call('DELETE', `/account/api-keys/${id}`, { key: account });
        expect(error(await deletion(first!.id))).toEqual(refused('last_full_access_key'));
        const demotion = await valetkey.call('PATCH', `/account/api-keys/${first!.id}`, {
            key: account,
            body: { scopes: ['account:environments:list'] },
        });
        expect(error(demotion)).toEqual(refused('last_full_access_key'));
        const second = (await createFor({ display_name: 'second' })).body.data;
        const asker = await valetkey.insertKey({ scopes: ['account:api_keys:write'], environment: null });
        const answers = await Promise.all([first!.id, second.id].map((id) => valetkey.call('DELETE', `/account/api-keys/${id}`, { key: asker })));
        expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409]);
        account = answers[1]!.status === 200 ? account : second.secret;
    });

    test('there are at most 50', async () => {
        const { length } = await ok<Key[]>('GET', '/account/api-keys', { key: account });
        await valetkey.query(
            `insert into api_keys (id, display_name, key_hash, scopes, origin, created_at)
             select gen_random_uuid(), 'filler ' || n, 'account filler ' || n, '{account:environments:list}', 'created', now() from generate_series(1, $1::int) n`,
            [50 - length],
        );
        expect(error(await createFor({ display_name: 'one more' }))).toEqual(refused('resource_capped', 400));
        await valetkey.query(`delete from api_keys where key_hash like 'account filler %'`);
    });
});
