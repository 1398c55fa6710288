import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as apiKeys from '../../src/store/api-keys.ts';
import type { KeyOwner } from '../../src/store/api-keys.ts';
import * as connections from '../../src/store/connections.ts';
import type { Db } from '../../src/store/database.ts';
import { removeEnvironment } from '../../src/store/environment-removal.ts';
import * as environments from '../../src/store/environments.ts';
import * as integrations from '../../src/store/integrations.ts';
import type { ApiKeyRow, NewApiKey } from '../../src/store/schema.ts';
import { dialects, openPostgresStore, type TestStore } from './dialects.ts';
import { after, insertConnection, insertDelivery, insertEnvironment, insertIntegration, madeAt, newId } from './rows.ts';

/** Statements of this database that wait for a lock. */
async function waiters(db: Db): Promise<number> {
    const { rows } = await sql<{ count: number }>`
        select count(*)::int as count from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(db);
    return rows[0]!.count;
}

const newKey = (owner: KeyOwner, overrides: Partial<NewApiKey> = {}): Parameters<typeof apiKeys.insert>[1] => ({
    id: newId(),
    environment_id: owner,
    display_name: 'ci',
    key_hash: `hash-${newId()}`,
    scopes: ['environment:*'],
    origin: 'created',
    created_at: madeAt,
    ...overrides,
});

describe.each(dialects)('API keys ($name)', ({ open }) => {
    let store: TestStore;
    let environment: string;
    beforeAll(async () => {
        store = await open();
    });
    afterAll(() => store.close());
    beforeEach(async () => {
        await store.empty();
        environment = await insertEnvironment(store.database.db);
    });
    const insert = (owner: KeyOwner, overrides: Partial<NewApiKey> = {}): Promise<ApiKeyRow | undefined> =>
        apiKeys.insert(store.database.db, newKey(owner, overrides));

    test('a name is given once per environment and once for the account, and is free again', async () => {
        const { db } = store.database;
        const other = await insertEnvironment(db);
        for (const owner of [environment, other, null]) {
            const first = await insert(owner);
            expect(await insert(owner)).toBeUndefined();
            expect(await apiKeys.isNameTaken(db, owner, 'ci')).toBe(true);
            await apiKeys.remove(db, first!.id, after(1));
            expect(await apiKeys.isNameTaken(db, owner, 'ci')).toBe(false);
            const second = await insert(owner);
            await apiKeys.update(db, second!.id, { replaced_at: after(2), expires_at: after(100) });
            expect(await insert(owner)).toBeDefined();
            expect(await apiKeys.count(db, owner)).toBe(1);
        }
    });

    test('fixed keys are called as their variable, whatever else is called so', async () => {
        expect(await insert(environment)).toBeDefined();
        expect(await insert(environment, { origin: 'configured' })).toBeDefined();
        expect(await apiKeys.listConfigured(store.database.db)).toHaveLength(1);
    });

    test('the lock knows the name of an environment, and that one is gone', async () => {
        const { db } = store.database;
        const lock = (owner: KeyOwner) => db.transaction().execute((transaction) => apiKeys.lock(transaction, owner));
        expect(await lock(environment)).toMatch(/^env-/);
        expect(await lock(null)).toBe('account');
        await removeEnvironment(db, environment, after(1));
        expect(await lock(environment)).toBeUndefined();
    });

    test('the list is an owner’s, oldest first, without what was deleted or has been replaced for good', async () => {
        const { db } = store.database;
        const names = async (owner: KeyOwner, now: Date): Promise<string[]> => (await apiKeys.list(db, owner, now)).map((key) => key.display_name);
        await insert(environment, { display_name: 'a', expires_at: after(1) });
        await insert(environment, { display_name: 'b', deleted_at: after(1) });
        await insert(environment, { display_name: 'c', replaced_at: after(1), expires_at: after(10) });
        await insert(null, { display_name: 'd' });
        // what expired by itself stays to be seen
        expect(await names(environment, after(5))).toEqual(['a', 'c']);
        expect(await names(environment, after(10))).toEqual(['a']);
        expect(await names(null, after(10))).toEqual(['d']);
    });

    test.each<[string, string | null, Partial<NewApiKey>, boolean]>([
        ['lasting beside lasting', null, {}, true],
        ['expiring beside lasting', null, { expires_at: after(10) }, false],
        ['lasting beside expiring', '5', {}, true],
        ['longer beside expiring', '5', { expires_at: after(6) }, true],
        ['as long', '5', { expires_at: after(5) }, true],
        ['shorter', '5', { expires_at: after(4) }, false],
        ['with less access', null, { scopes: ['environment:connections:*'] }, false],
        ['deleted', null, { deleted_at: after(1) }, false],
    ])('an equal key is one that may as much and lasts as long: %s', async (_name, expiry, other, expected) => {
        const { db } = store.database;
        const key = await insert(environment, { display_name: 'it', expires_at: expiry === null ? null : after(Number(expiry)) });
        expect(await apiKeys.hasEqual(db, key!, 'environment:*')).toBe(false);
        await insert(environment, other);
        // of somebody else
        await insert(null);
        expect(await apiKeys.hasEqual(db, key!, 'environment:*')).toBe(expected);
    });

    test('a key is read with the addresses it may be used from', async () => {
        const key = await insert(environment, { allowed_cidrs: ['10.0.0.0/8', '::1/128'] });
        expect((await apiKeys.readByHash(store.database, key!.key_hash))?.key.allowed_cidrs).toEqual(['10.0.0.0/8', '::1/128']);
        expect((await connections.readByKey(store.database, key!.key_hash, 'i', 'c'))?.key.allowed_cidrs).toEqual(['10.0.0.0/8', '::1/128']);
        await apiKeys.touch(store.database.db, key!.id, { at: after(5), ip: '192.0.2.1' });
        expect(await apiKeys.find(store.database.db, environment, key!.public_id)).toMatchObject({
            last_used_at: after(5),
            last_used_ip: '192.0.2.1',
        });
    });

    test('deleting an environment leaves nothing sealed of it, and its neighbour as it was', async () => {
        const { db } = store.database;
        const neighbour = await insertEnvironment(db);
        for (const id of [environment, neighbour]) {
            const integration = await insertIntegration(db, id, { sealed_oauth_client_secret: 'v1.a.b.c.d' });
            await insertConnection(db, integration, { sealed_credentials: 'v1.a.b.c.d', sealed_secrets: 'v1.a.b.c.d', next_refresh_at: after(9) });
            await insertDelivery(db, id, 'https://hooks.example.com/', after(1));
        }
        expect(await removeEnvironment(db, environment, after(5))).toBe(true);
        expect(await removeEnvironment(db, environment, after(6))).toBe(false);
        const connectionsOf = (id: string) =>
            db
                .selectFrom('connections')
                .select(['deleted_at', 'sealed_credentials', 'sealed_secrets', 'next_refresh_at'])
                .where('environment_id', '=', id)
                .execute();
        expect(await connectionsOf(environment)).toEqual([
            { deleted_at: after(5), sealed_credentials: '', sealed_secrets: null, next_refresh_at: null },
        ]);
        expect(await connectionsOf(neighbour)).toEqual([
            { deleted_at: null, sealed_credentials: 'v1.a.b.c.d', sealed_secrets: 'v1.a.b.c.d', next_refresh_at: after(9) },
        ]);
        const integrationsLeft = await db
            .selectFrom('integrations')
            .select(['environment_id', 'deleted_at', 'sealed_oauth_client_secret'])
            .orderBy('public_id')
            .execute();
        expect(integrationsLeft).toEqual([
            { environment_id: environment, deleted_at: after(5), sealed_oauth_client_secret: '' },
            { environment_id: neighbour, deleted_at: null, sealed_oauth_client_secret: 'v1.a.b.c.d' },
        ]);
        const deliveries = await db.selectFrom('webhook_deliveries').select(['environment_id', 'state', 'lease_epoch']).execute();
        expect(deliveries).toEqual(
            expect.arrayContaining([
                { environment_id: environment, state: 'dead', lease_epoch: 1 },
                { environment_id: neighbour, state: 'pending', lease_epoch: 0 },
            ]),
        );
        expect((await environments.list(db)).map(({ id }) => id)).toEqual([neighbour]);
    });
});

describe('side by side (postgres)', () => {
    let store: TestStore;
    beforeAll(async () => {
        store = await openPostgresStore();
    });
    afterAll(() => store.close());

    test('who deletes an environment waits for a connection that is being made, and then takes it along', async () => {
        const { db } = store.database;
        const environment = await insertEnvironment(db);
        const integration = await insertIntegration(db, environment);
        const order: string[] = [];
        let deletion: Promise<unknown> | undefined;
        await db.transaction().execute(async (transaction) => {
            expect(await integrations.holdWithEnvironment(transaction, integration.id)).toBe('live');
            deletion = removeEnvironment(db, environment, after(5)).then(() => order.push('deleted'));
            await expect.poll(() => waiters(db), { interval: 10 }).toBeGreaterThan(0);
            await insertConnection(transaction, integration, { sealed_credentials: 'v1.a.b.c.d' });
            order.push('connected');
        });
        await deletion;
        expect(order).toEqual(['connected', 'deleted']);
        const rows = await db
            .selectFrom('connections')
            .select(['deleted_at', 'sealed_credentials'])
            .where('environment_id', '=', environment)
            .execute();
        expect(rows).toEqual([{ deleted_at: after(5), sealed_credentials: '' }]);
        expect(await db.transaction().execute((transaction) => integrations.holdWithEnvironment(transaction, integration.id))).toBe('no environment');
    });

    test.each<[string, boolean]>([
        ['an environment', true],
        ['the account', false],
    ])('changes to the keys of %s wait for each other', async (_name, isEnvironment) => {
        const { db } = store.database;
        const owner = isEnvironment ? await insertEnvironment(db) : null;
        const order: string[] = [];
        let second: Promise<unknown> | undefined;
        await db.transaction().execute(async (transaction) => {
            await apiKeys.lock(transaction, owner);
            second = db.transaction().execute(async (other) => {
                await apiKeys.lock(other, owner);
                order.push('second');
            });
            await expect.poll(() => waiters(db), { interval: 10 }).toBeGreaterThan(0);
            order.push('first');
        });
        await second;
        expect(order).toEqual(['first', 'second']);
    });

    test('names that were given twice before they had to be unique are told apart', async () => {
        const { db } = store.database;
        const owner = await insertEnvironment(db);
        await sql`drop index api_keys_name`.execute(db);
        const numbers: number[] = [];
        for (const overrides of [{}, {}, { deleted_at: after(1) }, { display_name: 'other' }, { created_at: after(-1) }]) {
            numbers.push((await apiKeys.insert(db, newKey(owner, overrides)))!.public_id);
        }
        const file = await readFile(join(import.meta.dirname, '../../migrations/0004_api_keys.sql'), 'utf8');
        for (const statement of [/^with ranked[^;]*;/m, /^create unique index[^;]*;/m]) {
            await sql.raw(statement.exec(file)![0]).execute(db);
        }
        const rows = await db.selectFrom('api_keys').select(['display_name']).where('environment_id', '=', owner).orderBy('public_id').execute();
        // the oldest keeps it
        expect(rows.map((row) => row.display_name)).toEqual([`ci #${numbers[0]}`, `ci #${numbers[1]}`, 'ci', 'other', 'ci']);
    });
});
