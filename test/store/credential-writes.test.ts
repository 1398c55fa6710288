/** The lease on a connection, and the fence around every write made under it (R1, R2, R3). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as writes from '../../src/store/credential-writes.ts';
import { loadTarget, readProgress } from '../../src/store/renewal-targets.ts';
import * as journal from '../../src/store/credential-journal.ts';
import { json } from '../../src/store/database.ts';
import type { ConnectionRow, IntegrationRow } from '../../src/store/schema.ts';
import { dialects, type TestStore } from './dialects.ts';
import { after, insertConnection, insertSetting, madeAt, newId } from './rows.ts';

const leaseMs = 45_000;
const t0 = madeAt.getTime();

describe.each(dialects)('credential writes ($name)', ({ open }) => {
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
        connection = await insertConnection(store.database.db, integration, {
            metadata: json({ plan: 'gold' }),
            tags: json({ team: 'a' }),
            next_refresh_at: after(0),
        });
    });

    const acquire = (owner: string, now = t0): Promise<number | undefined> =>
        writes.acquireLease(store.database.db, connection.id, owner, now, leaseMs);
    const stored = (): Promise<ConnectionRow> =>
        store.database.db.selectFrom('connections').selectAll().where('id', '=', connection.id).executeTakeFirstOrThrow();
    const credentialWrite = (overrides: Partial<writes.CredentialWrite> = {}): writes.CredentialWrite => ({
        id: connection.id,
        epoch: 1,
        version: 1,
        sealedCredentials: 'new-sealed',
        sealedPreviousRefreshToken: 'previous-sealed',
        credentialType: 'OAUTH2',
        obtainedAt: after(1_000),
        expiresAt: after(3_600_000),
        nextRefreshAt: after(3_000_000),
        now: after(2_000),
        ...overrides,
    });
    const failureWrite = (overrides: Partial<writes.FailureWrite> = {}): writes.FailureWrite => ({
        id: connection.id,
        epoch: 1,
        state: 'degraded',
        error: { type: 'refresh_token_external_error', description: 'd', log_id: 'l', since: madeAt.toISOString() },
        attempts: 1,
        nextRefreshAt: after(30_000),
        now: after(1_000),
        keepIntent: false,
        reportedAt: null,
        ...overrides,
    });
    const intent = (epoch: number) => ({ epoch, started_at: madeAt.toISOString(), fingerprint: 'f' });

    test('what says when they end goes with its credentials, and is one of a few words (R16)', async () => {
        const { db } = store.database;
        await acquire('a');
        await writes.writeCredentials(db, credentialWrite({ expiresAtSource: 'expires_in' }));
        expect(await stored()).toMatchObject({ credentials_expires_at: after(3_600_000), credentials_expires_at_source: 'expires_in' });
        await writes.writeCredentials(db, credentialWrite({ epoch: 2, version: 2, expiresAt: null }));
        expect(await stored()).toMatchObject({ credentials_expires_at: null, credentials_expires_at_source: null });
        const guess = credentialWrite({ epoch: 3, version: 3, expiresAtSource: 'guess' as 'assumed' });
        await expect(writes.writeCredentials(db, guess)).rejects.toMatchObject({ code: '23514' });
    });

    test.each([
        ['credentials', () => writes.writeCredentials(store.database.db, credentialWrite())],
        ['a failure', () => writes.writeFailure(store.database.db, failureWrite())],
        ['giving it back', () => writes.releaseLease(store.database.db, connection.id, 1, { nextRefreshAt: null })],
    ])('a lease that somebody waits for is over for them too, whatever ends it: %s (R10)', async (_what, end) => {
        const isWaited = async (): Promise<boolean> => (await stored()).refresh_waited;
        expect(await writes.waitForLease(store.database.db, connection.id)).toBe(false);
        await acquire('a');
        expect(await writes.waitForLease(store.database.db, connection.id)).toBe(true);
        expect(await isWaited()).toBe(true);
        await end();
        expect(await isWaited()).toBe(false);
    });

    describe('the lease', () => {
        test('is taken by one of fifty at once', async () => {
            const epochs = await Promise.all(Array.from({ length: 50 }, (_, index) => acquire(`replica-${index}`)));
            expect(epochs.filter((epoch) => epoch !== undefined)).toEqual([1]);
            expect(await stored()).toMatchObject({
                refresh_lease_owner: `replica-${epochs.indexOf(1)}`,
                refresh_lease_until: after(leaseMs),
                refresh_epoch: 1,
            });
        });

        test('can be taken again once it is over, under a higher epoch', async () => {
            expect(await acquire('a')).toBe(1);
            expect(await acquire('b', t0 + leaseMs)).toBeUndefined();
            expect(await acquire('b', t0 + leaseMs + 1)).toBe(2);
        });

        test('rests for 30 s more when its holder vanished during a token call', async () => {
            await acquire('a');
            expect(await writes.recordIntents(store.database.db, [{ id: connection.id, intent: intent(1) }])).toEqual([true]);
            expect(await acquire('b', t0 + leaseMs + 30_000)).toBeUndefined();
            expect(await acquire('b', t0 + leaseMs + 30_001)).toBe(2);
        });

        test('does not rest when it was released, whatever intent is left', async () => {
            await acquire('a');
            await writes.recordIntents(store.database.db, [{ id: connection.id, intent: intent(1) }]);
            await writes.writeFailure(store.database.db, failureWrite({ keepIntent: true }));
            expect(await acquire('b', t0 + 1)).toBe(2);
        });

        test('is released by its holder only', async () => {
            await acquire('a');
            await acquire('b', t0 + leaseMs + 1);
            await writes.releaseLease(store.database.db, connection.id, 1, { nextRefreshAt: after(9) });
            expect(await stored()).toMatchObject({ refresh_lease_owner: 'b', next_refresh_at: after(0) });
            await writes.releaseLease(store.database.db, connection.id, 2, { nextRefreshAt: after(9) });
            expect(await stored()).toMatchObject({ refresh_lease_owner: null, refresh_lease_until: null, next_refresh_at: after(9) });
        });

        test('cannot be taken on a deleted connection', async () => {
            await store.database.db
                .updateTable('connections')
                .set({ deleted_at: after(1) })
                .execute();
            expect(await acquire('a')).toBeUndefined();
            expect(await loadTarget(store.database.db, connection.id)).toBeUndefined();
            expect(await readProgress(store.database.db, connection.id)).toBeUndefined();
        });
    });

    describe('the fence', () => {
        const overtaken = { 'an old epoch': { epoch: 0 }, 'an epoch not yet given': { epoch: 2 } };

        test.each([...Object.entries(overtaken), ['another version', { version: 2 }] as const])(
            'writes no credentials under %s',
            async (_, stale) => {
                await acquire('a');
                const before = await stored();
                expect(await writes.writeCredentials(store.database.db, credentialWrite(stale))).toBe(false);
                expect(await stored()).toEqual(before);
            },
        );

        test.each(Object.entries(overtaken))('writes no failure and no intent under %s', async (_, { epoch }) => {
            await acquire('a');
            const before = await stored();
            expect(await writes.writeFailure(store.database.db, failureWrite({ epoch }))).toBe(false);
            expect(await writes.recordIntents(store.database.db, [{ id: connection.id, intent: intent(epoch) }])).toEqual([false]);
            expect(await stored()).toEqual(before);
        });

        test('stops a holder that was overtaken after its lease ended', async () => {
            await acquire('a');
            await acquire('b', t0 + leaseMs + 1);
            expect(await writes.writeCredentials(store.database.db, credentialWrite({ epoch: 2, sealedCredentials: 'b' }))).toBe(true);
            expect(await writes.writeCredentials(store.database.db, credentialWrite({ epoch: 1, sealedCredentials: 'a' }))).toBe(false);
            expect((await stored()).sealed_credentials).toBe('b');
        });

        test('stops a second write of the same holder', async () => {
            await acquire('a');
            const results = await Promise.all([1, 2].map(() => writes.writeCredentials(store.database.db, credentialWrite())));
            expect(results.toSorted()).toEqual([false, true]);
            expect((await stored()).credentials_version).toBe(2);
        });

        test('stops a failure that is written again after its answer was lost: one failure, one webhook', async () => {
            await acquire('a');
            const results = [1, 2].map(() => writes.writeFailure(store.database.db, failureWrite()));
            expect((await Promise.all(results)).toSorted()).toEqual([false, true]);
        });

        test('keeps a deleted connection deleted', async () => {
            await acquire('a');
            await store.database.db
                .updateTable('connections')
                .set({ deleted_at: after(1), sealed_credentials: '' })
                .execute();
            expect(await writes.writeCredentials(store.database.db, credentialWrite())).toBe(false);
            expect(await writes.writeFailure(store.database.db, failureWrite())).toBe(false);
            expect((await stored()).sealed_credentials).toBe('');
        });
    });

    test('new credentials end the lease, the intent and the failure, and leave everything else alone', async () => {
        await acquire('a');
        await writes.recordIntents(store.database.db, [{ id: connection.id, intent: intent(1) }]);
        await writes.writeFailure(store.database.db, failureWrite({ keepIntent: true, reportedAt: after(1) }));
        await acquire('a');
        expect(await writes.writeCredentials(store.database.db, credentialWrite({ epoch: 2 }))).toBe(true);
        expect(await stored()).toEqual({
            ...connection,
            sealed_credentials: 'new-sealed',
            sealed_previous_refresh_token: 'previous-sealed',
            credentials_version: 2,
            credentials_obtained_at: after(1_000),
            credentials_expires_at: after(3_600_000),
            next_refresh_at: after(3_000_000),
            refresh_epoch: 3,
            last_refresh_success: after(2_000),
        });
    });

    test('a reconnect brings other columns along, but never instead of the guarded ones', async () => {
        const alongside = { tags: json({ team: 'b' }), updated_at: after(5), sealed_credentials: 'smuggled', refresh_epoch: 99 };
        expect(await writes.writeCredentials(store.database.db, credentialWrite({ epoch: 0, alongside }))).toBe(true);
        expect(await stored()).toMatchObject({
            tags: { team: 'b' },
            updated_at: after(5),
            sealed_credentials: 'new-sealed',
            refresh_epoch: 1,
            metadata: { plan: 'gold' },
        });
    });

    test('a failure keeps the credentials, and the intent only when told', async () => {
        await acquire('a');
        await writes.recordIntents(store.database.db, [{ id: connection.id, intent: intent(1) }]);
        expect(await writes.writeFailure(store.database.db, failureWrite({ keepIntent: true, reportedAt: after(7) }))).toBe(true);
        expect(await stored()).toMatchObject({
            auth_state: 'degraded',
            auth_error: { type: 'refresh_token_external_error', description: 'd', log_id: 'l', since: madeAt.toISOString() },
            refresh_attempts: 1,
            next_refresh_at: after(30_000),
            last_refresh_failure: after(1_000),
            refresh_lease_owner: null,
            refresh_lease_until: null,
            refresh_intent: intent(1),
            refresh_failure_reported_at: after(7),
            sealed_credentials: 'sealed-credentials',
            credentials_version: 1,
        });
        await acquire('b', t0 + 1);
        await writes.writeFailure(store.database.db, failureWrite({ epoch: 2, state: 'needs_reauth', nextRefreshAt: null }));
        expect(await stored()).toMatchObject({
            auth_state: 'needs_reauth',
            refresh_intent: null,
            next_refresh_at: null,
            refresh_failure_reported_at: after(7),
        });
    });

    test('a renewal’s target comes with its integration, its environment and its newest open answer', async () => {
        const { db } = store.database;
        const environment = await db.selectFrom('environments').select('name').executeTakeFirstOrThrow();
        expect(await loadTarget(db, connection.id)).toMatchObject({
            id: connection.id,
            environment_name: environment.name,
            integration: { id: integration.id, unique_key: 'github', oauth_client_id: 'client', allowed_hosts: null },
            journal: null,
        });
        const entries = [0, 1, 2].map((index) => ({
            id: newId(),
            environment_id: integration.environment_id,
            connection_row_id: connection.id,
            refresh_epoch: index,
            base_version: 1,
            requested_at: after(index),
            received_at: after(index),
            sealed_response: `answer-${index}`,
        }));
        for (const entry of entries) {
            await journal.append(db, [entry]);
        }
        await journal.settle(db, entries[2]!.id, 'rejected', after(9));
        expect((await loadTarget(db, connection.id))?.journal).toEqual({
            id: entries[1]!.id,
            sealed_response: 'answer-1',
            base_version: 1,
            refresh_epoch: 1,
        });
    });
});
