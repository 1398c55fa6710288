/** Metadata of many connections: all or none, merged on what is there, in one statement (http-api §9). */
import fc from 'fast-check';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as metadata from '../../src/store/connection-metadata.ts';
import { acquireLease, writeCredentials } from '../../src/store/credential-writes.ts';
import { touchFetched } from '../../src/store/connections.ts';
import { json } from '../../src/store/database.ts';
import type { IntegrationRow } from '../../src/store/schema.ts';
import { dialects, openPostgresStore, type TestStore } from './dialects.ts';
import { after, insertConnection, insertIntegration, insertSetting, madeAt, newId } from './rows.ts';

type Metadata = Record<string, unknown>;

const key = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('a', 'b', '__proto__', 'constructor', 'toString', '', 'a.b', '0', '10', '9') },
    // Postgres keeps neither NUL nor half a surrogate pair; the door refuses them
    fc.string({ maxLength: 8, unit: 'grapheme' }).filter((text) => !text.includes('\0')),
);
const text = fc.string({ maxLength: 12, unit: 'grapheme' }).filter((value) => !value.includes('\0'));
const jsonValue = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
        { maxDepth: 3 },
        fc.constant(null),
        fc.boolean(),
        fc.integer(),
        fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => (Object.is(number, -0) ? 0 : number)),
        text,
        fc.array(tie('value'), { maxLength: 3 }),
        fc.array(fc.tuple(key, tie('value')), { maxLength: 3 }).map((entries) => Object.fromEntries(entries) as unknown),
    ),
})).value;
const anyMetadata: fc.Arbitrary<Metadata> = fc
    .array(fc.tuple(key, jsonValue), { maxLength: 4 })
    .map((entries) => Object.fromEntries(entries) as Metadata);

/** Spreading assigns; this defines, so that `__proto__` is a key like any other. */
const merged = (stored: Metadata | null, patch: Metadata): Metadata =>
    Object.fromEntries([...Object.entries(stored ?? {}), ...Object.entries(patch)]);

describe.each(dialects)('metadata ($name)', ({ open }) => {
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

    const write = (connectionIds: string[], value: Metadata, how: 'replace' | 'merge', integrationKey = 'github') =>
        metadata.write(store.database.db, { environmentId: integration.environment_id, integrationKey, connectionIds, metadata: value, how });
    const stored = async (): Promise<Record<string, unknown>> => {
        const rows = await store.database.db.selectFrom('connections').select(['connection_id', 'metadata']).execute();
        return Object.fromEntries(rows.map((row) => [row.connection_id, row.metadata]));
    };

    test('an unknown id, a deleted one, or one of another integration or environment: the first is named, nothing is written', async () => {
        const { db } = store.database;
        const other = await insertIntegration(db, integration.environment_id, { unique_key: 'other' });
        await insertConnection(db, integration, { connection_id: 'a', metadata: json({ old: 1 }) });
        await insertConnection(db, integration, { connection_id: 'gone', deleted_at: madeAt });
        await insertConnection(db, other, { connection_id: 'theirs' });
        await insertConnection(db, await insertSetting(db), { connection_id: 'foreign' });
        for (const missing of ['none', 'gone', 'theirs', 'foreign']) {
            expect(await write(['a', missing, 'later'], { new: 1 }, 'merge')).toBe(missing);
            expect(await write(['a', missing, 'a', 'also'], { new: 1 }, 'replace')).toBe(missing);
        }
        expect(await write(['a'], { new: 1 }, 'replace', 'nothing')).toBe('a');
        expect(await stored()).toEqual({ a: { old: 1 }, gone: null, theirs: null, foreign: null });
    });

    test('an id given twice is one', async () => {
        await insertConnection(store.database.db, integration, { connection_id: 'a' });
        expect(await write(['a', 'a'], { x: 1 }, 'merge')).toBeUndefined();
        expect(await stored()).toEqual({ a: { x: 1 } });
    });

    test('what is no object is merged into as if it were empty', async () => {
        const { db } = store.database;
        await insertConnection(db, integration, { connection_id: 'sql', metadata: null });
        await insertConnection(db, integration, { connection_id: 'json', metadata: json(null) });
        await write(['sql', 'json'], { x: [1] }, 'merge');
        expect(await stored()).toEqual({ sql: { x: [1] }, json: { x: [1] } });
    });

    test('no other column changes, and a row that stays the same is not written', async () => {
        const { db } = store.database;
        const before = await insertConnection(db, integration, { connection_id: 'a', metadata: json({ x: 1, y: { z: 1 } }), updated_at: after(5) });
        const version = async (): Promise<unknown> => (await store.database.read('', 'select xmin::text as x from connections', []))[0];
        const unwritten = await version();
        await write(['a'], {}, 'merge');
        await write(['a'], { x: 1 }, 'merge');
        await write(['a'], { y: { z: 1 }, x: 1 }, 'replace');
        expect(await version()).toEqual(unwritten);
        await write(['a'], { y: { w: 2 }, n: null }, 'merge');
        expect(await db.selectFrom('connections').selectAll().executeTakeFirst()).toEqual({ ...before, metadata: { x: 1, y: { w: 2 }, n: null } });
    });

    test('any sequence of writes leaves what a model of them leaves', async () => {
        const { db } = store.database;
        const ids = ['a', 'b', 'c'];
        for (const id of ids) {
            await insertConnection(db, integration, { connection_id: id });
        }
        const command = fc.record({
            ids: fc.array(fc.constantFrom(...ids, 'unknown'), { minLength: 1, maxLength: 4 }),
            value: anyMetadata,
            how: fc.constantFrom('replace' as const, 'merge' as const),
        });
        await fc.assert(
            fc.asyncProperty(fc.array(command, { minLength: 1, maxLength: 6 }), async (commands) => {
                await db.updateTable('connections').set({ metadata: null }).execute();
                const model = new Map<string, Metadata | null>(ids.map((id) => [id, null]));
                for (const { ids: targets, value, how } of commands) {
                    const missing = targets.find((id) => !model.has(id));
                    expect(await write(targets, value, how)).toBe(missing);
                    for (const id of missing === undefined ? new Set(targets) : []) {
                        model.set(id, how === 'replace' ? value : merged(model.get(id) ?? null, value));
                    }
                }
                expect(await stored()).toEqual(Object.fromEntries(model));
            }),
            // each run is a dozen statements
            { numRuns: 40 },
        );
    });
});

describe('at the same time (postgres)', () => {
    let store: TestStore;
    let integration: IntegrationRow;
    const ids = ['a', 'b', 'c', 'd'];
    beforeAll(async () => {
        store = await openPostgresStore();
    });
    afterAll(() => store.close());
    beforeEach(async () => {
        await store.empty();
        integration = await insertSetting(store.database.db);
        for (const id of ids) {
            await insertConnection(store.database.db, integration, { connection_id: id });
        }
    });

    const merge = (connectionIds: string[], value: Metadata) =>
        metadata.write(store.database.db, {
            environmentId: integration.environment_id,
            integrationKey: 'github',
            connectionIds,
            metadata: value,
            how: 'merge',
        });

    /** Until somebody waits for a row. */
    const waiting = async (): Promise<void> => {
        for (;;) {
            const [row] = await store.database.read<{ n: number }>(
                '',
                `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
                [],
            );
            if (row!.n > 0) return;
        }
    };

    test.each([
        ['metadata', () => merge(['c', 'a', 'd', 'b'], { x: 1 })],
        [
            'last_fetched_at',
            async () => {
                const rows = await store.database.db.selectFrom('connections').select('id').orderBy('connection_id').execute();
                return touchFetched(
                    store.database.db,
                    rows.map((row) => row.id),
                    madeAt,
                );
            },
        ],
    ])('rows are locked in the order of their row ids, whatever else they are ordered by: %s', async (_name, write) => {
        const { db } = store.database;
        await db.deleteFrom('connections').execute();
        const rowIds = ids.map(() => newId()).toSorted();
        for (const [index, connection_id] of ids.entries()) {
            await insertConnection(db, integration, { connection_id, id: rowIds.at(-1 - index)! });
        }
        let writing: Promise<string | void> | undefined;
        await db.transaction().execute(async (transaction) => {
            // the last by name, the first by row id
            await sql`select from connections where connection_id = 'd' for update`.execute(transaction);
            writing = write();
            await waiting();
            const { rows } = await sql`select from connections for update skip locked`.execute(db);
            expect(rows).toHaveLength(3);
        });
        expect(await writing).toBeUndefined();
    });

    test('merges lose no key and do not deadlock, in whatever order they name the connections', async () => {
        await fc.assert(
            fc.asyncProperty(fc.array(fc.shuffledSubarray(ids, { minLength: 1 }), { minLength: 2, maxLength: 24 }), async (targets) => {
                await store.database.db.updateTable('connections').set({ metadata: null }).execute();
                const missing = await Promise.all(targets.map((connectionIds, index) => merge(connectionIds, { [`key${index}`]: index })));
                expect(missing.filter((id) => id !== undefined)).toEqual([]);
                const rows = await store.database.db.selectFrom('connections').select(['connection_id', 'metadata']).execute();
                for (const row of rows) {
                    const expected = targets.flatMap((chosen, index) => (chosen.includes(row.connection_id) ? [[`key${index}`, index]] : []));
                    expect(row.metadata ?? {}).toEqual(Object.fromEntries(expected));
                }
            }),
            { numRuns: 15 },
        );
    });

    test('a merge that waited for another sees what that one wrote; one that waited for a deletion writes nothing', async () => {
        const { db } = store.database;
        let second: Promise<string | undefined> | undefined;
        await db.transaction().execute(async (transaction) => {
            await transaction
                .updateTable('connections')
                .set({ metadata: json({ first: 1 }) })
                .where('connection_id', '=', 'b')
                .execute();
            second = merge(ids, { second: 2 });
            await waiting();
        });
        expect(await second).toBeUndefined();
        expect(await db.selectFrom('connections').select('metadata').where('connection_id', '=', 'b').executeTakeFirst()).toEqual({
            metadata: { first: 1, second: 2 },
        });
        await db.transaction().execute(async (transaction) => {
            await transaction.updateTable('connections').set({ deleted_at: madeAt }).where('connection_id', '=', 'c').execute();
            second = merge(ids, { third: 3 });
            await waiting();
        });
        expect(await second).toBe('c');
        const rows = await db.selectFrom('connections').select('metadata').execute();
        expect(rows.filter((row) => 'third' in (row.metadata ?? {}))).toEqual([]);
    });

    test('a renewal under way writes its credentials as if nothing had been, and keeps the metadata (R3)', async () => {
        const { db } = store.database;
        const row = (await db.selectFrom('connections').selectAll().where('connection_id', '=', 'a').executeTakeFirst())!;
        const epoch = (await acquireLease(db, row.id, 'worker', madeAt.getTime(), 45_000))!;
        await merge(['a'], { during: true });
        const isWritten = await writeCredentials(db, {
            id: row.id,
            epoch,
            version: row.credentials_version,
            sealedCredentials: 'renewed',
            sealedPreviousRefreshToken: null,
            credentialType: 'OAUTH2',
            obtainedAt: after(1),
            expiresAt: null,
            nextRefreshAt: null,
            now: after(2),
        });
        const written = await db.selectFrom('connections').selectAll().where('id', '=', row.id).executeTakeFirst();
        expect([isWritten, written]).toMatchObject([true, { sealed_credentials: 'renewed', metadata: { during: true } }]);
    });
});
