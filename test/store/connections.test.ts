import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as connections from '../../src/store/connections.ts';
import * as writes from '../../src/store/credential-writes.ts';
import * as journal from '../../src/store/credential-journal.ts';
import { json } from '../../src/store/database.ts';
import * as integrations from '../../src/store/integrations.ts';
import type { EndUser, IntegrationRow, NewConnection } from '../../src/store/schema.ts';
import { dialects, type TestStore } from './dialects.ts';
import { after, insertConnection, insertEnvironment, insertIntegration, insertSetting, newId } from './rows.ts';

describe.each(dialects)('connections ($name)', ({ open }) => {
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
    const endUser = (overrides: Partial<EndUser> = {}): string =>
        json({ id: 'u1', email: null, display_name: null, tags: null, organization: null, ...overrides });

    describe('list', () => {
        const list = async (filter: Partial<connections.ConnectionFilter> = {}): Promise<string[]> => {
            const rows = await connections.list(store.database.db, { environmentId: integration.environment_id, limit: 100, offset: 0, ...filter });
            return rows.map((row) => row.connection_id);
        };

        test('is newest first, and pages without gaps where times are equal', async () => {
            await add('old', { created_at: after(0) });
            for (const id of ['a', 'b', 'c']) {
                await add(id, { created_at: after(5) });
            }
            await add('new', { created_at: after(9) });
            expect(await list()).toEqual(['new', 'c', 'b', 'a', 'old']);
            expect([await list({ limit: 2 }), await list({ limit: 2, offset: 2 }), await list({ limit: 2, offset: 4 })]).toEqual([
                ['new', 'c'],
                ['b', 'a'],
                ['old'],
            ]);
        });

        test('shows this environment’s live connections only, and nothing sealed', async () => {
            await add('mine', { sealed_secrets: 'sealed-secrets' });
            await add('deleted', { deleted_at: after(1) });
            await insertConnection(store.database.db, await insertSetting(store.database.db), { connection_id: 'theirs' });
            expect(await list()).toEqual(['mine']);
            const rows = await connections.list(store.database.db, { environmentId: integration.environment_id, limit: 1, offset: 0 });
            expect(JSON.stringify(rows)).not.toContain('sealed');
            expect(rows[0]).toMatchObject({ provider_config_key: 'github', provider: 'github', metadata: null, tags: {}, auth_error: null });
        });

        test('filters by connection id, end user and organization exactly', async () => {
            await add('c1', { end_user: endUser({ id: 'u1', organization: { id: 'o1', display_name: null } }) });
            await add('c2', { end_user: endUser({ id: 'u2', organization: { id: 'o1', display_name: null } }) });
            await add('c3');
            expect(await list({ connectionId: 'c1' })).toEqual(['c1']);
            expect(await list({ connectionId: 'c' })).toEqual([]);
            expect(await list({ endUserId: 'u2' })).toEqual(['c2']);
            expect(await list({ endUserOrganizationId: 'o1' })).toEqual(['c2', 'c1']);
            expect(await list({ endUserId: 'u1', endUserOrganizationId: 'o2' })).toEqual([]);
        });

        test('filters by integration keys; none of them means no connection', async () => {
            const slack = await insertIntegration(store.database.db, integration.environment_id, { unique_key: 'slack' });
            await add('on-github');
            await insertConnection(store.database.db, slack, { connection_id: 'on-slack' });
            expect(await list({ integrationKeys: ['slack'] })).toEqual(['on-slack']);
            expect(await list({ integrationKeys: ['slack', 'github', 'none'] })).toEqual(['on-slack', 'on-github']);
            expect(await list({ integrationKeys: [] })).toEqual([]);
        });

        test('filters by all of the tags, as values and not as patterns', async () => {
            await add('both', { tags: json({ team: 'a', plan: "go'ld" }) });
            await add('one', { tags: json({ team: 'a' }) });
            expect(await list({ tags: { team: 'a' } })).toEqual(['one', 'both']);
            expect(await list({ tags: { team: 'a', plan: "go'ld" } })).toEqual(['both']);
            expect(await list({ tags: { team: '%' } })).toEqual([]);
        });

        test('searches id, names and addresses in any case', async () => {
            await add('Customer-42');
            await add('x1', { end_user: endUser({ display_name: 'Ada Löwe' }) });
            await add('x2', { end_user: endUser({ email: 'ada@example.com' }) });
            await add('x3', { tags: json({ end_user_id: 'id-7' }) });
            await add('x4', { tags: json({ end_user_display_name: 'Grace', end_user_email: 'g@example.com' }) });
            await add('x5', { tags: json({ other: 'ada' }) });
            expect(await list({ search: 'CUSTOMER' })).toEqual(['Customer-42']);
            expect(await list({ search: 'ada' })).toEqual(['x2', 'x1']);
            expect(await list({ search: 'löwe' })).toEqual(['x1']);
            expect(await list({ search: 'ID-7' })).toEqual(['x3']);
            expect(await list({ search: 'grace' })).toEqual(['x4']);
            expect(await list({ search: 'g@EXAMPLE' })).toEqual(['x4']);
            expect(await list({ search: '' })).toHaveLength(6);
        });

        test.each(['100%', '1_0', String.raw`back\slash`, '%', '_', '\\', "o'brien"])('takes %s literally', async (text) => {
            await add(`a ${text} z`);
            await add('100x 1x0 backslash obrien');
            expect(await list({ search: text })).toEqual([`a ${text} z`]);
        });
    });

    describe('remove', () => {
        test('leaves nothing sealed, stops the queue and overtakes a renewal under way', async () => {
            const { db } = store.database;
            const { id } = await add('c1', {
                sealed_previous_refresh_token: 'sealed-previous',
                sealed_secrets: 'sealed-secrets',
                next_refresh_at: after(0),
                metadata: json({ kept: true }),
            });
            const epoch = await writes.acquireLease(db, id, 'a', after(0).getTime(), 45_000);
            const entry = { id: newId(), environment_id: integration.environment_id, connection_row_id: id, refresh_epoch: 1, base_version: 1 };
            const times = { requested_at: after(0), received_at: after(0), settled_at: null };
            await journal.append(db, { ...entry, ...times, sealed_response: 'sealed-answer', outcome: null });

            expect(await connections.remove(db, integration.id, 'c1', after(7))).toBe(true);
            const row = await db.selectFrom('connections').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
            expect(JSON.stringify(row)).not.toContain('sealed-');
            expect(row).toMatchObject({
                deleted_at: after(7),
                next_refresh_at: null,
                refresh_lease_owner: null,
                refresh_lease_until: null,
                refresh_epoch: epoch! + 1,
                metadata: { kept: true },
            });
            expect(await db.selectFrom('credential_journal').select('sealed_response').execute()).toEqual([]);
        });

        test('says whether there was something, and leaves every other connection alone', async () => {
            const { db } = store.database;
            await add('c1');
            const other = await add('c2');
            const entry = { id: newId(), environment_id: integration.environment_id, connection_row_id: other.id, refresh_epoch: 1, base_version: 1 };
            const times = { requested_at: after(0), received_at: after(0), settled_at: null };
            await journal.append(db, { ...entry, ...times, sealed_response: 'sealed-answer', outcome: null });
            expect(await connections.remove(db, integration.id, 'c0', after(1))).toBe(false);
            expect(await connections.remove(db, newId(), 'c1', after(1))).toBe(false);
            expect(await connections.remove(db, integration.id, 'c1', after(1))).toBe(true);
            expect(await connections.remove(db, integration.id, 'c1', after(1))).toBe(false);
            expect(await connections.findById(db, other.id)).toEqual(other);
            expect(await db.selectFrom('credential_journal').select('sealed_response').execute()).toEqual([{ sealed_response: 'sealed-answer' }]);
        });

        test('frees the id for a new connection', async () => {
            const { db } = store.database;
            const { id } = await add('c1');
            await connections.remove(db, integration.id, 'c1', after(1));
            expect(await connections.findByKey(db, integration.id, 'c1')).toBeUndefined();
            expect(await connections.findById(db, id)).toBeUndefined();
            expect(await connections.readById(db, id)).toBeUndefined();
            const renewed = await add('c1');
            expect((await connections.findByKey(db, integration.id, 'c1'))?.id).toBe(renewed.id);
        });
    });

    test('one live connection per integration and id', async () => {
        await add('c1');
        // the second is told, not thrown at
        expect(await add('c1')).toBeUndefined();
        expect(await store.database.db.selectFrom('connections').select('id').execute()).toHaveLength(1);
    });

    test('secrets of the configuration are swapped, unless somebody was faster or the connection is gone', async () => {
        const { db } = store.database;
        const { id } = await add('c1');
        expect(await connections.replaceSecrets(db, id, { from: null, to: 'one' })).toBe(true);
        expect(await connections.replaceSecrets(db, id, { from: null, to: 'two' })).toBe(false);
        expect(await connections.replaceSecrets(db, id, { from: 'one', to: 'three' })).toBe(true);
        expect((await connections.findById(db, id))?.sealed_secrets).toBe('three');
        await connections.remove(db, integration.id, 'c1', after(1));
        expect(await connections.replaceSecrets(db, id, { from: null, to: 'four' })).toBe(false);
    });

    test('touchFetched marks many at once, and none without complaint', async () => {
        const { db } = store.database;
        const [one, two, three] = [await add('c1'), await add('c2'), await add('c3')];
        await connections.touchFetched(db, [one.id, two.id], after(3));
        await connections.touchFetched(db, [], after(4));
        const rows = await db.selectFrom('connections').select(['id', 'last_fetched_at']).orderBy('public_id').execute();
        expect(rows).toEqual([
            { id: one.id, last_fetched_at: after(3) },
            { id: two.id, last_fetched_at: after(3) },
            { id: three.id, last_fetched_at: null },
        ]);
    });

    test('an integration key is taken once per environment, also by requests at the same time', async () => {
        const { db } = store.database;
        const environmentId = await insertEnvironment(db);
        const made = await Promise.all([1, 2, 3].map(() => insertIntegration(db, environmentId, { unique_key: 'slack' })));
        expect(made.filter((row) => row !== undefined)).toHaveLength(1);
        expect(await insertIntegration(db, integration.environment_id, { unique_key: 'slack' })).toBeDefined();
        expect(await integrations.existingKeys(db, environmentId, ['slack', 'github'])).toEqual(new Set(['slack']));
        expect(await integrations.existingKeys(db, environmentId, [])).toEqual(new Set());
        await db
            .updateTable('integrations')
            .set({ deleted_at: after(1) })
            .where('environment_id', '=', environmentId)
            .execute();
        expect(await integrations.findByKey(db, environmentId, 'slack')).toBeUndefined();
        expect(await insertIntegration(db, environmentId, { unique_key: 'slack' })).toBeDefined();
    });
});
