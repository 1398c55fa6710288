/** The list of connections beyond its filters: what it says of one, how callers walk it (http-api §8.1, §1.12). */
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { listConnections } from '../../src/http/endpoints/connections/list-connections.ts';
import type { Services } from '../../src/http/services.ts';
import { json } from '../../src/store/database.ts';
import type { IntegrationRow, NewConnection } from '../../src/store/schema.ts';
import { after, insertConnection, insertIntegration } from '../store/rows.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';

let valetkey: TestApp;
let integration: IntegrationRow;

beforeAll(async () => {
    valetkey = await startTestApp();
    integration = await insertIntegration(valetkey.app.database.db, await environmentId('dev'));
});
afterAll(() => valetkey?.close());
beforeEach(() => valetkey.query('delete from connections'));

const environmentId = async (name: string): Promise<string> =>
    (await valetkey.query<{ id: string }>('select id from environments where name = $1', [name]))[0]!.id;
const add = (connectionId: string, overrides: Partial<NewConnection> = {}) =>
    insertConnection(valetkey.app.database.db, integration, { connection_id: connectionId, ...overrides });
/** `c1` is the oldest. */
const addSome = async (count: number, first = 1, overrides: Partial<NewConnection> = {}): Promise<void> => {
    for (let n = first; n < first + count; n++) await add(`c${n}`, { created_at: after(n * 1000), ...overrides });
};
type Listed = Answer<{ connections: Record<string, unknown>[] }>;
const get = (query: string, key = valetkey.key): Promise<Listed> => valetkey.call('GET', `/connections${query}`, { key });
const ids = ({ body }: Listed): unknown[] => body.connections.map((connection) => connection['connection_id']);
const page = async (query: string, key?: string): Promise<string> => ids(await get(query, key)).join(' ');
/** The query of the next page, as a caller finds it: relative to what it asked for. */
const next = (query: string, { headers }: Listed): string | undefined => {
    const [, target] = /^<([^>]*)>; rel="next"$/.exec(headers['link'] ?? '') ?? [];
    return target === undefined ? undefined : new URL(target, `https://valetkey.example/connections${query}`).search;
};

describe('a listed connection', () => {
    test('is what the API’s description says, and nothing more', async () => {
        await add('plain');
        await add('full', {
            metadata: json({ text: 'quotes " \\ \n and ☃ 😀', number: 1e21, nested: [null, { deep: true }] }),
            tags: json({ team: 'a"b' }),
            end_user: json({
                id: 'u"1',
                email: 'u@example.com',
                display_name: 'Ü',
                tags: { Plan: '' },
                organization: { id: '', display_name: null },
            }),
            auth_error: json({ type: 'refused', description: 'secret-ish', log_id: '1_"x', since: 'now' }),
        });
        const answer = await get('');
        expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
        const schema = listConnections({} as Services).answers![200] as z.ZodType;
        // what the schema does not know, it would leave out
        expect(schema.parse(answer.body)).toEqual(answer.body);
        expect(answer.body.connections[0]).toMatchObject({
            connection_id: 'full',
            metadata: { text: 'quotes " \\ \n and ☃ 😀', number: 1e21, nested: [null, { deep: true }] },
            tags: { team: 'a"b' },
            end_user: { id: 'u"1', organization: { id: '', display_name: null } },
            errors: [{ type: 'auth', log_id: '1_"x' }],
        });
        expect(answer.text).not.toContain('secret-ish');
    });

    test.each(['environment:connections:list', 'environment:connections:list_credentials'])('has no credentials for %s', async (scope) => {
        await add('c1', { sealed_credentials: 'sealed-1', connection_config: json({ tenant: 'conf-1' }) });
        const answer = await get('', await valetkey.insertKey({ scopes: [scope] }));
        expect(Object.keys(answer.body.connections[0]!).toSorted()).toEqual(
            [
                'id',
                'connection_id',
                'provider',
                'provider_config_key',
                'created',
                'metadata',
                'tags',
                'errors',
                'post_connection_status',
                'end_user',
            ].toSorted(),
        );
        expect(answer.text).not.toMatch(/sealed-1|conf-1/);
    });

    test('was created at a microsecond of UTC, in whatever time zone the database is', async () => {
        const at = (text: string) => sql`${text}::timestamptz` as never;
        await add('c1', { created_at: at('2026-01-02 03:04:05.678901+00') });
        await add('c2', { created_at: at('2026-07-02 05:04:05+02') });
        await sql`set time zone 'Asia/Kathmandu'`.execute(valetkey.app.database.db);
        const created = (await get('')).body.connections.map((connection) => connection['created']);
        expect(created).toEqual(['2026-07-02T03:04:05.000000+00:00', '2026-01-02T03:04:05.678901+00:00']);
        await sql`set time zone 'UTC'`.execute(valetkey.app.database.db);
    });
});

describe('walking by cursor', () => {
    test('goes on behind the last row, with the filters, until a page is not full', async () => {
        await addSome(5, 1, { tags: json({ 'a/b': 'x&y=z' }) });
        await add('other');
        const first = await get('?tags[a/b]=x%26y%3Dz&limit=2');
        expect(ids(first)).toEqual(['c5', 'c4']);
        const secondQuery = next('?tags[a/b]=x%26y%3Dz&limit=2', first)!;
        // a new one before the place, and one less behind it
        await addSome(1, 6, { tags: json({ 'a/b': 'x&y=z' }) });
        await valetkey.query(`delete from connections where connection_id = 'c4'`);
        const second = await get(secondQuery);
        expect(ids(second)).toEqual(['c3', 'c2']);
        const third = await get(next(secondQuery, second)!);
        expect([ids(third), third.headers['link']]).toEqual([['c1'], undefined]);
    });

    test('the header may be read by a browser, and leaves the page number out', async () => {
        await addSome(3);
        const answer = await get('?limit=1&page=1');
        const cursor = new URLSearchParams(next('', answer)).get('cursor');
        expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(answer.headers['link']).toBe(`<?limit=1&cursor=${cursor}>; rel="next"`);
        expect(answer.headers['access-control-expose-headers']).toMatch(/(^|, )Link(,|$)/);
        expect(await page(`?limit=1&cursor=${cursor}`)).toBe('c1');
        // the size of a page may change on the way
        expect(await page(`?cursor=${cursor}`)).toBe('c1');
    });

    test('without a limit, pages are 10 000 rows long, and the page after them is found the same way', async () => {
        await valetkey.query(
            `insert into connections (id, environment_id, integration_id, provider, connection_id, credential_type, sealed_credentials,
                credentials_obtained_at, auth_state, created_at, updated_at)
             select gen_random_uuid(), $1, $2, 'github', 'n' || n, 'OAUTH2', '', now(), 'ok', to_timestamp(n), now() from generate_series(1, 10001) n`,
            [integration.environment_id, integration.id],
        );
        const first = await get('');
        expect(first.body.connections).toHaveLength(10_000);
        expect(await page(next('', first)!)).toBe('n1');
        expect(await page('?page=1')).toBe('n1');
    });

    test('a place is nobody’s: it opens no other environment', async () => {
        await addSome(3);
        const query = next('?limit=1', await get('?limit=1'))!;
        expect(await page(query, valetkey.prodKey)).toBe('');
        expect(await page(query)).toBe('c2');
    });

    const encoded = (text: string): string => Buffer.from(text).toString('base64url');
    test.each([
        [`?cursor=${encoded('2026-01-01T00:00:00.000000_1')}&page=0`, 'custom'],
        ['?cursor=', 'invalid_format'],
        ['?cursor=%00', 'invalid_format'],
        ['?cursor=nonsense', 'invalid_format'],
        [`?cursor=${encoded('2026-01-01T00:00:00.000000_1')}=`, 'invalid_format'],
        [`?cursor=${encoded('2026-01-01T00:00:00.000000_01')}`, 'invalid_format'],
        [`?cursor=${encoded('2026-01-01T00:00:00.000_1')}`, 'invalid_format'],
        [`?cursor=${encoded('2026-02-30T00:00:00.000000_1')}`, 'invalid_format'],
        [`?cursor=${encoded('2026-13-01T00:00:00.000000_1')}`, 'invalid_format'],
        [`?cursor=${encoded('2026-01-01T24:00:00.000000_1')}`, 'invalid_format'],
        [`?cursor=${encoded('0000-01-01T00:00:00.000000_1')}`, 'invalid_format'],
        [`?cursor=${encoded('2026-01-01T00:00:00.000000_9999999999999999')}`, 'invalid_format'],
        [`?cursor=${encoded(`2026-01-01T00:00:00.000000_1' or true`)}`, 'invalid_format'],
        [`?cursor=${'a'.repeat(101)}`, 'too_big'],
        ['?cursor=a&cursor=b', 'invalid_type'],
    ])('%s is refused', async (query, code) => {
        const answer = await valetkey.call('GET', `/connections${query}`);
        expect(answer.status).toBe(400);
        expect(answer.body).toMatchObject({ error: { code: 'invalid_query_params', errors: [{ code, path: ['cursor'] }] } });
    });
});

describe('walking by page', () => {
    test('misses nothing and doubles nothing while others come and go', async () => {
        await addSome(6);
        expect(await page('?limit=2')).toBe('c6 c5');
        await addSome(3, 7);
        expect(await page('?limit=2&page=1')).toBe('c4 c3');
        await valetkey.query(`delete from connections where connection_id in ('c6', 'c4', 'c8')`);
        expect(await page('?limit=2&page=2')).toBe('c2 c1');
        expect(await page('?limit=2&page=3')).toBe('');
        expect(await page('?limit=2&page=4')).toBe('');
        // a walk begins anew at page 0
        expect(await page('?limit=2&page=0')).toBe('c9 c7');
        expect(await page('?limit=2&page=1')).toBe('c5 c3');
    });

    test('a page may be asked for again', async () => {
        await addSome(5);
        await page('?limit=2');
        await addSome(1, 6);
        expect([await page('?limit=2&page=1'), await page('?limit=2&page=1')]).toEqual(['c3 c2', 'c3 c2']);
        expect(await page('?limit=2&page=2')).toBe('c1');
    });

    test('is one walk whatever the order of the filters, and another with another filter, limit or key', async () => {
        await addSome(4, 1, { tags: json({ a: '1', b: '2' }) });
        await page('?limit=2&tags[a]=1&tags[b]=2');
        await addSome(1, 5, { tags: json({ a: '1', b: '2' }) });
        expect(await page('?limit=2&page=1&tags[b]=2&tags[A]=1')).toBe('c2 c1');
        // by count
        expect(await page('?limit=2&page=1&tags[a]=1')).toBe('c3 c2');
        expect(await page('?limit=2&page=1')).toBe('c3 c2');
        expect(await page('?limit=3&page=1&tags[a]=1&tags[b]=2')).toBe('c2 c1');
        const otherKey = await valetkey.insertKey({ scopes: ['environment:connections:list'] });
        expect(await page('?limit=2&page=1&tags[a]=1&tags[b]=2', otherKey)).toBe('c3 c2');
        expect(await page('?limit=2&page=1&tags[a]=1&tags[b]=2')).toBe('c2 c1');
    });

    test('is found by count when nobody asked for the page before, or too long ago', async () => {
        await addSome(5);
        expect(await page('?limit=2&page=1')).toBe('c3 c2');
        await page('?limit=2');
        await addSome(1, 6);
        valetkey.advance(5 * 60_000);
        expect(await page('?limit=2&page=1')).toBe('c4 c3');
    });
});
