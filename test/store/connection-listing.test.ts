/** Listing connections, and the facets that it finds them by. */
import { sql, type UpdateObject } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { list, type ListingFilter, type Start } from '../../src/store/connection-listing.ts';
import * as connections from '../../src/store/connections.ts';
import * as writes from '../../src/store/credential-writes.ts';
import { json, type Db } from '../../src/store/database.ts';
import type { EndUser, IntegrationRow, NewConnection, Schema } from '../../src/store/schema.ts';
import { dialects, openPostgresStore, type TestStore } from './dialects.ts';
import { after, insertConnection, insertIntegration, insertSetting, madeAt } from './rows.ts';

const endUser = (overrides: Partial<EndUser> = {}): string =>
    json({ id: 'u1', email: null, display_name: null, tags: null, organization: null, ...overrides });

describe.each(dialects)('listing connections ($name)', ({ open }) => {
    let store: TestStore;
    let integration: IntegrationRow;
    beforeAll(async () => {
        store = await open();
    });
    afterAll(() => store.close());
    beforeEach(async () => {
        await store.empty();
        integration = await insertSetting(store.database.db);
    });

    const add = (connectionId: string, overrides: Partial<NewConnection> = {}) =>
        insertConnection(store.database.db, integration, { connection_id: connectionId, ...overrides });
    const rowsOf = (filter: Partial<ListingFilter> = {}, limit = 100, start: Start = { offset: 0 }) =>
        list(store.database.db, { environmentId: integration.environment_id, ...filter }, limit, start);
    const found = async (...[filter, limit, start]: Parameters<typeof rowsOf>): Promise<string[]> =>
        (await rowsOf(filter, limit, start)).map((row) => row.connection_id);

    test('is newest first, and pages without gaps where times are equal', async () => {
        await add('old', { created_at: after(0), tags: json({ team: 'a' }) });
        for (const id of ['a', 'b', 'c']) {
            await add(id, { created_at: after(5), tags: json({ team: 'a' }) });
        }
        await add('new', { created_at: after(9), tags: json({ team: 'a' }) });
        for (const filter of [{}, { tags: { team: 'a' } }, { search: '' }, { integrationKeys: ['github'] }]) {
            expect(await found(filter)).toEqual(['new', 'c', 'b', 'a', 'old']);
            const pages = [await found(filter, 2), await found(filter, 2, { offset: 2 }), await found(filter, 2, { offset: 4 })];
            expect(pages).toEqual([['new', 'c'], ['b', 'a'], ['old']]);
            const [last] = (await rowsOf(filter, 2)).slice(-1);
            expect(await found(filter, 2, { after: { created: last!.created, id: last!.public_id } })).toEqual(['b', 'a']);
        }
    });

    test('a place is exact to the microsecond', async () => {
        const at = (microseconds: number) => sql`${madeAt}::timestamptz + ${`${microseconds} microseconds`}::interval` as never;
        await add('first', { created_at: at(1) });
        await add('second', { created_at: at(2) });
        await add('third', { created_at: at(3) });
        const [third, second, first] = await rowsOf();
        expect([third!.created, first!.created]).toEqual(['2026-01-01T00:00:00.000003', '2026-01-01T00:00:00.000001']);
        expect(await found({}, 100, { after: { created: second!.created, id: second!.public_id } })).toEqual(['first']);
    });

    test('shows this environment’s live connections only, and nothing sealed', async () => {
        await add('mine', { sealed_secrets: 'sealed-secrets' });
        await add('deleted', { deleted_at: after(1) });
        const theirs = await insertSetting(store.database.db);
        await insertConnection(store.database.db, theirs, { connection_id: 'theirs', tags: json({ team: 'a' }) });
        expect(await found()).toEqual(['mine']);
        expect(await found({ tags: { team: 'a' } })).toEqual([]);
        expect(await found({ environmentId: theirs.environment_id, tags: { team: 'a' } })).toEqual(['theirs']);
        const rows = await rowsOf();
        expect(JSON.stringify(rows)).not.toContain('sealed');
        expect(rows[0]).toMatchObject({
            provider_config_key: 'github',
            provider: 'github',
            metadata: null,
            tags: '{}',
            end_user: null,
            log_id: null,
        });
    });

    test('filters by connection id, end user and organization exactly', async () => {
        await add('c1', { end_user: endUser({ id: 'u1', organization: { id: 'o1', display_name: null } }) });
        await add('c2', { end_user: endUser({ id: 'u2', organization: { id: 'o1', display_name: null } }) });
        await add('c3');
        const slack = await insertIntegration(store.database.db, integration.environment_id, { unique_key: 'slack' });
        await insertConnection(store.database.db, slack, { connection_id: 'c1' });
        expect(await found({ connectionId: 'c1' })).toEqual(['c1', 'c1']);
        expect(await found({ connectionId: 'c1', integrationKeys: ['slack'] })).toEqual(['c1']);
        expect(await found({ connectionId: 'c1', endUserId: 'u2' })).toEqual([]);
        expect(await found({ connectionId: 'c' })).toEqual([]);
        expect(await found({ endUserId: 'u2' })).toEqual(['c2']);
        expect(await found({ endUserOrganizationId: 'o1' })).toEqual(['c2', 'c1']);
        expect(await found({ endUserId: 'u1', endUserOrganizationId: 'o2' })).toEqual([]);
        // an id is not an organization's, nor a tag's
        expect(await found({ endUserId: 'o1' })).toEqual([]);
        expect(await found({ tags: { end_user_id: 'u1' } })).toEqual([]);
    });

    test('filters by integration keys; none of them means no connection', async () => {
        const slack = await insertIntegration(store.database.db, integration.environment_id, { unique_key: 'slack' });
        await add('on-github', { created_at: after(1) });
        await insertConnection(store.database.db, slack, { connection_id: 'on-slack' });
        await add('on-github-first');
        expect(await found({ integrationKeys: ['slack'] })).toEqual(['on-slack']);
        expect(await found({ integrationKeys: ['slack', 'github', 'none'] })).toEqual(['on-github', 'on-github-first', 'on-slack']);
        expect(await found({ integrationKeys: ['slack', 'github'] }, 1, { offset: 1 })).toEqual(['on-github-first']);
        expect(await found({ integrationKeys: [] })).toEqual([]);
    });

    test('filters by all of the tags, as values and not as patterns', async () => {
        await add('both', { tags: json({ team: 'a', plan: "go'ld" }) });
        await add('one', { tags: json({ team: 'a' }) });
        await add('other', { tags: json({ tea: 'ma' }) });
        expect(await found({ tags: { team: 'a' } })).toEqual(['one', 'both']);
        expect(await found({ tags: { team: 'a', plan: "go'ld" } })).toEqual(['both']);
        expect(await found({ tags: { team: '%' } })).toEqual([]);
        expect(await found({ tags: {} })).toHaveLength(3);
    });

    test('searches id, names and addresses in any case', async () => {
        await add('Customer-42');
        await add('x1', { end_user: endUser({ display_name: 'Ada Löwe' }) });
        await add('x2', { end_user: endUser({ email: 'ada@example.com' }) });
        await add('x3', { tags: json({ end_user_id: 'id-7' }) });
        await add('x4', { tags: json({ end_user_display_name: 'Grace', end_user_email: 'g@example.com' }) });
        await add('x5', { tags: json({ other: 'ada' }) });
        expect(await found({ search: 'CUSTOMER' })).toEqual(['Customer-42']);
        expect(await found({ search: 'ada' })).toEqual(['x2', 'x1']);
        expect(await found({ search: 'löwe' })).toEqual(['x1']);
        expect(await found({ search: 'ID-7' })).toEqual(['x3']);
        expect(await found({ search: 'grace' })).toEqual(['x4']);
        expect(await found({ search: 'g@EXAMPLE' })).toEqual(['x4']);
        expect(await found({ search: 'x', tags: { other: 'ada' } })).toEqual(['x5']);
        expect(await found({ search: '' })).toHaveLength(6);
    });

    test.each(['100%', '1_0', String.raw`back\slash`, '%', '_', '\\', "o'brien"])('takes %s literally', async (text) => {
        await add(`a ${text} z`);
        await add('100x 1x0 backslash obrien');
        expect(await found({ search: text })).toEqual([`a ${text} z`]);
    });

    test('a change of what a connection is found by counts at once', async () => {
        const { db } = store.database;
        const slack = await insertIntegration(db, integration.environment_id, { unique_key: 'slack' });
        const { id } = await add('c1', { tags: json({ team: 'a', plan: 'pro' }), end_user: endUser() });
        const change = (set: UpdateObject<Schema, 'connections'>) => db.updateTable('connections').set(set).where('id', '=', id).execute();
        await change({ tags: json({ team: 'b', plan: 'pro' }) });
        expect([await found({ tags: { team: 'a' } }), await found({ tags: { team: 'b', plan: 'pro' } })]).toEqual([[], ['c1']]);
        await change({ end_user: endUser({ id: 'u2' }) });
        expect([await found({ endUserId: 'u1' }), await found({ endUserId: 'u2' })]).toEqual([[], ['c1']]);
        await change({ end_user: null });
        expect(await found({ endUserId: 'u2' })).toEqual([]);
        await change({ integration_id: slack.id });
        expect([await found({ integrationKeys: ['github'] }), await found({ integrationKeys: ['slack'] })]).toEqual([[], ['c1']]);
        await change({ created_at: after(77) });
        expect((await rowsOf({ tags: { team: 'b' } })).map((row) => row.created)).toEqual(['2026-01-01T00:00:00.077000']);
        await connections.remove(db, slack.id, 'c1', after(80));
        expect(await found({ tags: { team: 'b' } })).toEqual([]);
        expect(await db.selectFrom('connection_facets').selectAll().execute()).toEqual([]);
        await change({ deleted_at: null });
        expect(await found({ tags: { team: 'b' } })).toEqual(['c1']);
        await db.deleteFrom('connections').where('id', '=', id).execute();
        expect(await db.selectFrom('connection_facets').selectAll().execute()).toEqual([]);
    });

    test('a row that the facets name is shown to its own environment only', async () => {
        const { public_id } = await insertConnection(store.database.db, await insertSetting(store.database.db), { connection_id: 'theirs' });
        await sql`insert into connection_facets
            select connection_facet(${integration.environment_id}, 'tag', 'team', 'a'), ${madeAt}::timestamptz, ${public_id}`.execute(
            store.database.db,
        );
        expect(await found({ tags: { team: 'a' } })).toEqual([]);
    });
});

describe('what listing and its facets cost', () => {
    let store: TestStore;
    let integration: IntegrationRow;
    beforeAll(async () => {
        store = await openPostgresStore();
        integration = await insertSetting(store.database.db);
    });
    afterAll(() => store.close());

    interface Counts {
        fetched: number;
        updated: number;
        hot: number;
        written: number;
    }
    const none: Counts = { fetched: 0, updated: 0, hot: 0, written: 0 };

    /** What `work` does with the rows of a table: the counts of its session, which nothing else moves while its transaction lasts. */
    const counting = (table: 'connections' | 'connection_facets', work: (db: Db) => Promise<unknown>): Promise<Counts> =>
        store.database.db.transaction().execute(async (transaction) => {
            const counts = async (): Promise<Counts> => {
                const { rows } = await sql<Counts>`
                    select seq_tup_read + coalesce(idx_tup_fetch, 0) as fetched, n_tup_upd as updated, n_tup_hot_upd as hot,
                        n_tup_ins + n_tup_upd + n_tup_del as written
                    from pg_stat_xact_user_tables where relname = ${table}`.execute(transaction);
                return rows[0] ?? none;
            };
            const before = await counts();
            await work(transaction);
            const after = await counts();
            const difference = (name: keyof Counts): number => after[name] - before[name];
            return { fetched: difference('fetched'), updated: difference('updated'), hot: difference('hot'), written: difference('written') };
        });

    test('a lease, an intent and a read change the row where it is (HOT), and no renewal touches the facets', async () => {
        const { db } = store.database;
        const { id } = await insertConnection(db, integration, { tags: json({ team: 'a' }), end_user: endUser() });
        let epoch = 0;
        const light = await counting('connections', async (transaction) => {
            epoch = (await writes.acquireLease(transaction, id, 'me', madeAt.getTime(), 1000))!;
            await writes.recordIntents(transaction, [{ id, intent: { epoch, started_at: 'now', fingerprint: 'f' } }]);
            await connections.touchFetched(transaction, [id], after(1));
        });
        expect(light).toMatchObject({ updated: 3, hot: 3 });
        const [sealed, times] = [
            { sealedCredentials: 'new', sealedPreviousRefreshToken: 'old', credentialType: 'OAUTH2' },
            { obtainedAt: after(2), expiresAt: after(3), nextRefreshAt: after(4), now: after(2) },
        ];
        const renewal = await counting('connection_facets', async (transaction) => {
            expect(await writes.writeCredentials(transaction, { id, epoch, version: 1, ...sealed, ...times })).toBe(true);
        });
        expect(renewal).toEqual(none);
    });

    test('a page looks at its own rows, under any filter but a search, whether Postgres knows the tables or not', async () => {
        const { db } = store.database;
        await sql`alter table connections set (autovacuum_enabled = off)`.execute(db);
        await sql`alter table connection_facets set (autovacuum_enabled = off)`.execute(db);
        await sql`insert into connections (id, environment_id, integration_id, provider, connection_id, credential_type, sealed_credentials,
                credentials_obtained_at, auth_state, tags, end_user, created_at, updated_at)
            select gen_random_uuid(), ${integration.environment_id}, ${integration.id}, 'github', 'n' || n, 'OAUTH2', '', now(), 'ok',
                jsonb_build_object('all', 'yes', 'parity', n % 2, 'old', n < 1500, 'hundred', n % 100),
                jsonb_build_object('id', 'u' || n, 'organization', jsonb_build_object('id', 'o' || n % 2)), now() + n * interval '1 second', now()
            from generate_series(1, 3000) n`.execute(db);
        const filters: Partial<ListingFilter>[] = [
            { tags: { all: 'yes' } },
            // of the last in the list only
            { tags: { old: 'true' } },
            { tags: { old: 'true', parity: '1' } },
            { tags: { parity: '0', hundred: '51' } },
            { tags: { none: 'x' } },
            { endUserId: 'u7' },
            { endUserOrganizationId: 'o1' },
            { integrationKeys: ['github'] },
            { integrationKeys: ['github'], tags: { hundred: '7' } },
            { connectionId: 'n1234' },
        ];
        const assertFetches = async (filter: Partial<ListingFilter>): Promise<void> => {
            for (const start of [{ offset: 0 }, { offset: 700 }, { after: { created: '2100-01-01T00:00:00.000000', id: 1 } }]) {
                let found = 0;
                const { fetched } = await counting('connections', async (transaction) => {
                    found = (await list(transaction, { environmentId: integration.environment_id, ...filter }, 10, start)).length;
                });
                // the rows of the page, for `connectionId` its place too, and the ends of an index, which planning looks at
                expect(fetched, JSON.stringify({ filter, start })).toBeLessThanOrEqual(2 * found + 5);
            }
        };
        // as the embedded database stays, which nobody analyses
        for (const filter of filters) await assertFetches(filter);
        await sql`vacuum analyze connections, connection_facets`.execute(db);
        for (const filter of [{}, ...filters]) await assertFetches(filter);
    });
});
