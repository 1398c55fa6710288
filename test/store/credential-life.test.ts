/** What is written about credentials between their renewals, and the schedule that older connections were given. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CompiledQuery } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as writes from '../../src/store/credential-writes.ts';
import type { ConnectionRow, IntegrationRow } from '../../src/store/schema.ts';
import { dialects, type TestStore } from './dialects.ts';
import { after, insertConnection, insertSetting, madeAt } from './rows.ts';

const day = 86_400_000;
/** A UUIDv7 whose random end is not. */
const idOf = (index: number): string => `019e0000-0000-7000-8000-000000${(index * 419_430).toString(16).padStart(6, '0')}`;
const error = { type: 'connection_test_failed', description: 'd', log_id: 'l', since: madeAt.toISOString() };

describe.each(dialects)('the life of credentials ($name)', ({ open }) => {
    let store: TestStore;
    let integration: IntegrationRow;
    let connection: ConnectionRow;
    beforeAll(async () => {
        store = await open();
    });
    afterAll(() => store.close());
    beforeEach(async () => {
        await store.empty();
        integration = await insertSetting(store.database.db);
        connection = await insertConnection(store.database.db, integration, { credential_type: 'API_KEY', next_refresh_at: after(0) });
    });

    const lease = () => writes.acquireLease(store.database.db, connection.id, 'a', madeAt.getTime(), 45_000);
    const stored = (): Promise<ConnectionRow> =>
        store.database.db.selectFrom('connections').selectAll().where('id', '=', connection.id).executeTakeFirstOrThrow();
    const outcome = (overrides: Partial<writes.TestOutcomeWrite> = {}): Promise<boolean> =>
        writes.writeTestOutcome(store.database.db, {
            id: connection.id,
            epoch: 1,
            verdict: 'rejected',
            refusals: 2,
            attempts: 0,
            nextRefreshAt: after(day),
            now: after(1_000),
            error,
            isReported: true,
            ...overrides,
        });

    test('a refusal ends the lease with a state, and leaves the credentials as they are; an acceptance takes it back', async () => {
        await lease();
        expect(await outcome()).toBe(true);
        expect(await stored()).toMatchObject({
            auth_state: 'needs_reauth',
            auth_error: error,
            credential_verdict: 'rejected',
            credential_refusals: 2,
            credentials_version: 1,
            sealed_credentials: connection.sealed_credentials,
            refresh_failure_reported_at: after(1_000),
            next_refresh_at: after(day),
            refresh_lease_owner: null,
        });
        await writes.acquireLease(store.database.db, connection.id, 'a', madeAt.getTime(), 45_000);
        expect(await outcome({ epoch: 2, verdict: 'accepted', refusals: 0, error: undefined, isReported: false })).toBe(true);
        expect(await stored()).toMatchObject({
            auth_state: 'ok',
            auth_error: null,
            credential_verdict: 'accepted',
            credential_refusals: 0,
            last_refresh_success: after(1_000),
            last_refresh_failure: null,
            refresh_failure_reported_at: null,
        });
    });

    test('no verdict moves nothing but the schedule', async () => {
        await lease();
        expect(await outcome({ verdict: null, refusals: 1, attempts: 3, error: undefined, isReported: false })).toBe(true);
        expect(await stored()).toMatchObject({
            auth_state: 'ok',
            auth_error: null,
            credential_verdict: null,
            credential_refusals: 1,
            refresh_attempts: 3,
        });
    });

    test('whoever was overtaken, by a reconnect or a later lease, writes nothing', async () => {
        await lease();
        await writes.writeCredentials(store.database.db, {
            id: connection.id,
            epoch: 1,
            version: 1,
            sealedCredentials: 'another key',
            sealedPreviousRefreshToken: null,
            credentialType: 'API_KEY',
            obtainedAt: after(500),
            expiresAt: null,
            nextRefreshAt: after(day),
            now: after(500),
        });
        expect(await outcome()).toBe(false);
        expect(await stored()).toMatchObject({ auth_state: 'ok', credential_verdict: null });
    });

    test('connections that were there before are tested within a day, no two of many at once; others are left alone', async () => {
        const { db } = store.database;
        const typedIn = await Promise.all(
            Array.from({ length: 40 }, (_, index) =>
                insertConnection(db, integration, {
                    id: idOf(index),
                    connection_id: `c${index}`,
                    credential_type: ['API_KEY', 'BASIC', 'TBA'][index % 3]!,
                }),
            ),
        );
        const other = await insertConnection(db, integration, { credential_type: 'OAUTH2' });
        const sql = await readFile(join(import.meta.dirname, '../../migrations/0017_credential_life.sql'), 'utf8');
        await db.executeQuery(CompiledQuery.raw(sql.slice(sql.indexOf('update connections'))));
        const rows = await db.selectFrom('connections').select(['id', 'next_refresh_at']).execute();
        const dueAt = new Map(rows.map((row) => [row.id, row.next_refresh_at?.getTime() ?? null]));
        const times = typedIn.map(({ id }) => dueAt.get(id)!);
        expect(Math.max(...times) - Math.min(...times)).toBeLessThanOrEqual(day);
        expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(day / 4);
        expect(new Set(times).size).toBe(times.length);
        expect(dueAt.get(other.id)).toBeNull();
        expect(dueAt.get(connection.id)).toBe(madeAt.getTime());
    });
});
