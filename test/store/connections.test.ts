import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as connections from '../../src/store/connections.ts';
import * as writes from '../../src/store/credential-writes.ts';
import * as journal from '../../src/store/credential-journal.ts';
import { json } from '../../src/store/database.ts';
import { removeEnvironment } from '../../src/store/environment-removal.ts';
import * as integrations from '../../src/store/integrations.ts';
import type { IntegrationRow, NewConnection } from '../../src/store/schema.ts';
import { dialects, type TestStore } from './dialects.ts';
import { after, insertConnection, insertEnvironment, insertHook, insertIntegration, insertSetting, madeAt, newId } from './rows.ts';

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

    describe('mayShareGrant', () => {
        const user = (id: string) => json({ id, email: null, display_name: null, tags: null, organization: null });
        const asked = (...users: (string | undefined)[]) =>
            Promise.all(users.map((id) => connections.mayShareGrant(store.database.db, 'client', id)));

        test('asks for the end user, by id or else by tag, among all live connections of the client', async () => {
            const { db } = store.database;
            expect(await asked('u1', undefined)).toEqual([false, false]);
            await add('c1', { end_user: user('u1'), tags: json({ end_user_id: 'u2' }) });
            await add('c2', { tags: json({ end_user_id: 'u3' }) });
            await add('c3', { end_user: user('u4'), deleted_at: after(1) });
            const elsewhere = await insertEnvironment(db);
            await insertConnection(db, await insertIntegration(db, elsewhere, { unique_key: 'other', provider: 'gitlab' }), { end_user: user('u5') });
            const foreign = await insertIntegration(db, elsewhere, { unique_key: 'foreign', oauth_client_id: 'foreign' });
            await insertConnection(db, foreign, { end_user: user('u6') });
            await insertConnection(db, await insertIntegration(db, elsewhere, { unique_key: 'none', oauth_client_id: null }));
            expect(await asked('u1', 'u2', 'u3', 'u4', 'u5', 'u6', undefined)).toEqual([true, false, true, false, true, false, true]);
        });

        test('whoever is unknown may be anybody', async () => {
            await add('c1', { end_user: json(null) });
            expect(await asked('u1', undefined)).toEqual([true, true]);
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
            const times = { requested_at: after(0), received_at: after(0) };
            await journal.append(db, [{ ...entry, ...times, sealed_response: 'sealed-answer' }]);

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
            const times = { requested_at: after(0), received_at: after(0) };
            await journal.append(db, [{ ...entry, ...times, sealed_response: 'sealed-answer' }]);
            expect(await connections.remove(db, integration.id, 'c0', after(1))).toBe(false);
            expect(await connections.remove(db, newId(), 'c1', after(1))).toBe(false);
            expect(await connections.remove(db, integration.id, 'c1', after(1))).toBe(true);
            expect(await connections.remove(db, integration.id, 'c1', after(1))).toBe(false);
            expect(await connections.findById(db, other.id)).toEqual(other);
            expect(await db.selectFrom('credential_journal').select('sealed_response').execute()).toEqual([{ sealed_response: 'sealed-answer' }]);
        });

        test.each([
            ['a connection', (at: Date) => connections.remove(store.database.db, integration.id, 'c1', at)],
            ['an integration', (at: Date) => connections.removeOfIntegration(store.database.db, integration.id, at)],
            ['an environment', (at: Date) => removeEnvironment(store.database.db, integration.environment_id, at)],
        ])('of %s cancels the operations of hooks that were still to succeed', async (_, removal) => {
            const { db } = store.database;
            const open = await insertHook(db, await add('c1'));
            const elsewhere = await insertHook(db, await insertConnection(db, await insertSetting(db)));
            await removal(after(7));
            const rows = await db.selectFrom('operations').select(['id', 'state', 'message', 'ended_at']).orderBy('id').execute();
            const byId = Object.fromEntries(rows.map(({ id, ...row }) => [id, row]));
            expect(byId[open.operation_id]).toEqual({ state: 'cancelled', message: 'Connection deleted', ended_at: after(7) });
            expect(byId[elsewhere.operation_id]?.state).toBe('running');
            const said = await db
                .selectFrom('operation_messages')
                .select(['operation_id', 'level', 'created_at'])
                .where('message', '=', 'Connection deleted')
                .execute();
            expect(said).toEqual([{ operation_id: open.operation_id, level: 'info', created_at: after(7) }]);
            expect(await db.selectFrom('post_connection_hooks').select('id').execute()).toEqual([{ id: elsewhere.id }]);
        });

        test('leaves the operation of a hook that had been given up as it ended', async () => {
            const { db } = store.database;
            const { operation_id } = await insertHook(db, await add('c1'), 'failed');
            await connections.remove(db, integration.id, 'c1', after(7));
            const rows = await db.selectFrom('operations').select(['id', 'state', 'ended_at']).execute();
            expect(rows).toEqual([{ id: operation_id, state: 'failed', ended_at: madeAt }]);
            expect(await db.selectFrom('post_connection_hooks').select('id').execute()).toEqual([]);
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
        expect(await integrations.existingKeys(db, environmentId, ['slack', 'github'])).toEqual(new Map([['slack', 'github']]));
        expect(await integrations.existingKeys(db, environmentId, [])).toEqual(new Map());
        await db
            .updateTable('integrations')
            .set({ deleted_at: after(1) })
            .where('environment_id', '=', environmentId)
            .execute();
        expect(await integrations.findByKey(db, environmentId, 'slack')).toBeUndefined();
        expect(await insertIntegration(db, environmentId, { unique_key: 'slack' })).toBeDefined();
    });
});
