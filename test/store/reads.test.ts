/** What comes out of the database is the same on both dialects, through Kysely and through `read`. */
import { CompiledQuery } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemSources } from '../../src/sources.ts';
import * as connections from '../../src/store/connections.ts';
import { json } from '../../src/store/database.ts';
import { dialects, type TestStore } from './dialects.ts';
import { after, insertConnection, insertIntegration, insertSetting, madeAt, newId } from './rows.ts';

describe.each(dialects)('reads ($name)', ({ name, open }) => {
    let store: TestStore;
    beforeAll(async () => {
        store = await open();
    });
    afterAll(() => store.close());
    beforeEach(() => store.empty());

    test('bigint, timestamptz, jsonb, text[] and null arrive as number, Date, value, array and null', async () => {
        const { db } = store.database;
        const { environment_id: environmentId } = await insertSetting(db);
        const metadata = { list: [1, 'zwei', null], nested: { text: 'ü "quoted" \\ \u2028' } };
        const integration = await insertIntegration(db, environmentId, { unique_key: 'slack', allowed_hosts: ['a.example', 'b "c", {d}'] });
        const connection = await insertConnection(db, integration, {
            metadata: json(metadata),
            tags: json({ plan: 'gold' }),
            credentials_expires_at: new Date('2026-07-01T12:34:56.789Z'),
            credentials_version: 2 ** 40,
        });
        const expected = {
            public_id: expect.any(Number),
            environment_id: environmentId,
            allowed_hosts: ['a.example', 'b "c", {d}'],
            metadata,
            tags: { plan: 'gold' },
            credentials_expires_at: new Date('2026-07-01T12:34:56.789Z'),
            credentials_version: 2 ** 40,
            refresh_epoch: 0,
            auth_error: null,
            last_fetched_at: null,
            forward_webhooks: true,
        };
        const text = `
            select c.public_id, c.environment_id, i.allowed_hosts, c.metadata, c.tags, c.credentials_expires_at, c.credentials_version,
                c.refresh_epoch, c.auth_error, c.last_fetched_at, i.forward_webhooks
            from connections c join integrations i on i.id = c.integration_id where c.id = $1`;
        expect(await store.database.read('types', text, [connection.id])).toEqual([expected]);
        expect((await db.executeQuery(CompiledQuery.raw(text, [connection.id]))).rows).toEqual([expected]);
        expect(connection.credentials_obtained_at).toEqual(madeAt);
    });

    test('a named read can be repeated, with other values, many at once', async () => {
        const text = 'select $1::text as value';
        const values = Array.from({ length: 40 }, (_, index) => `v${index}`);
        const answers = await Promise.all(values.map((value) => store.database.read<{ value: string }>('echo', text, [value])));
        expect(answers.flat().map((row) => row.value)).toEqual(values);
    });

    test('a failing read fails alone', async () => {
        const good = (): Promise<unknown[]> => store.database.read('one', 'select 1 as one', []);
        const [before, failure, afterwards] = await Promise.allSettled([
            good(),
            store.database.read('division', 'select 1 / $1::int as never', [0]),
            good(),
        ]);
        expect(before).toMatchObject({ status: 'fulfilled' });
        expect(failure).toMatchObject({ status: 'rejected', reason: { code: '22012' } });
        expect(afterwards).toMatchObject({ status: 'fulfilled', value: [{ one: 1 }] });
    });

    test('a read beside a transaction sees only what is committed', async () => {
        const { db } = store.database;
        const count = async (): Promise<number> =>
            (await store.database.read<{ n: number }>('count', 'select count(*) as n from environments', []))[0]!.n;
        let seen: Promise<number> | undefined;
        await db
            .transaction()
            .execute(async (transaction) => {
                await insertSetting(transaction);
                seen = count();
                // On Postgres the read runs now; on the single session of the embedded dialect it waits for the transaction.
                await Promise.race([seen, systemSources.sleep(50)]);
                throw new Error('roll back');
            })
            .catch(() => {});
        expect(await seen).toBe(0);
    });

    test('the clock offset brings local time to the database’s', async () => {
        const slow = (): number => Date.now() - 90_000;
        const { offsetMs: offset, errorMs } = await store.database.readClock(slow);
        expect(name === 'postgres' ? Math.abs(offset - 90_000) < 2_000 : offset === 0).toBe(true);
        expect(errorMs).toBeGreaterThanOrEqual(0);
        await store.database.ping();
    });

    describe('a connection by API key', () => {
        const insertKey = async (environmentId: string | null, hash: string): Promise<void> => {
            const values = { id: newId(), environment_id: environmentId, display_name: 'k', key_hash: hash, scopes: ['environment:*'] };
            await store.database.db
                .insertInto('api_keys')
                .values({ ...values, origin: 'created', created_at: madeAt, last_used_at: null, expires_at: null, deleted_at: null })
                .execute();
        };

        test('gives the key and the connection in one read', async () => {
            const { db } = store.database;
            const integration = await insertSetting(db);
            const connection = await insertConnection(db, integration, { connection_id: 'c1' });
            await insertKey(integration.environment_id, 'hash');
            const found = await connections.readByKey(store.database, 'hash', 'github', 'c1');
            expect(found?.key).toMatchObject({ environment_id: integration.environment_id, scopes: ['environment:*'], environment_gone: false });
            expect(found?.connection).toMatchObject({ id: connection.id, connection_id: 'c1', provider_config_key: 'github', metadata: null });
            expect(await connections.readById(db, connection.id)).toMatchObject({ id: connection.id, provider_config_key: 'github' });
        });

        test('tells an unknown key, integration and connection apart', async () => {
            const { db } = store.database;
            const integration = await insertSetting(db);
            await insertConnection(db, integration, { connection_id: 'gone', deleted_at: after(1) });
            await insertKey(integration.environment_id, 'hash');
            expect(await connections.readByKey(store.database, 'other', 'github', 'c1')).toBeUndefined();
            expect(await connections.readByKey(store.database, 'hash', 'gitlab', 'c1')).toMatchObject({
                integrationExists: false,
                connection: undefined,
            });
            expect(await connections.readByKey(store.database, 'hash', 'github', 'gone')).toMatchObject({
                integrationExists: true,
                connection: undefined,
            });
        });

        test('finds nothing of another environment, and knows when the key’s own is gone', async () => {
            const { db } = store.database;
            const mine = await insertSetting(db);
            const theirs = await insertSetting(db);
            await insertConnection(db, theirs, { connection_id: 'theirs' });
            await insertKey(mine.environment_id, 'hash');
            await insertKey(null, 'account');
            expect(await connections.readByKey(store.database, 'hash', 'github', 'theirs')).toMatchObject({
                integrationExists: true,
                connection: undefined,
            });
            expect(await connections.readByKey(store.database, 'account', 'github', 'theirs')).toMatchObject({
                key: { environment_gone: false },
                connection: undefined,
            });
            await db
                .updateTable('environments')
                .set({ deleted_at: after(1) })
                .where('id', '=', mine.environment_id)
                .execute();
            expect((await connections.readByKey(store.database, 'hash', 'github', 'x'))?.key.environment_gone).toBe(true);
        });
    });
});
