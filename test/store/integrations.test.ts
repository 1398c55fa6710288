/** Integrations: their order, their keys, and what becomes of connections when they change or go. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { deleteIntegration } from '../../src/environments/integration.ts';
import { systemSources } from '../../src/sources.ts';
import * as connections from '../../src/store/connections.ts';
import * as journal from '../../src/store/credential-journal.ts';
import { retryRefusedClients } from '../../src/store/credential-writes.ts';
import { json, type Db } from '../../src/store/database.ts';
import * as integrations from '../../src/store/integrations.ts';
import type { ConnectionRow, NewConnection } from '../../src/store/schema.ts';
import type { Vault } from '../../src/credentials/vault.ts';
import { dialects, openPostgresStore, type TestStore } from './dialects.ts';
import { after, insertConnection, insertEnvironment, insertIntegration, insertSetting, newId } from './rows.ts';

const storedConnection = (db: Db, id: string): Promise<ConnectionRow> =>
    db.selectFrom('connections').selectAll().where('id', '=', id).executeTakeFirstOrThrow();

describe.each(dialects)('integrations ($name)', ({ open }) => {
    let store: TestStore;
    beforeAll(async () => {
        store = await open();
    });
    afterAll(() => store.close());
    beforeEach(() => store.empty());

    test('are listed by provider, then by age, and may be narrowed to some keys', async () => {
        const { db } = store.database;
        const environment = await insertEnvironment(db);
        for (const [unique_key, provider, ms] of [
            ['b', 'slack', 1],
            ['c', 'github', 9],
            ['a', 'github', 5],
            ['gone', 'github', 0],
        ] as const) {
            await insertIntegration(db, environment, {
                unique_key,
                provider,
                created_at: after(ms),
                deleted_at: unique_key === 'gone' ? after(9) : null,
            });
        }
        await insertSetting(db);
        const keys = async (only?: string[]): Promise<string[]> => (await integrations.list(db, environment, only)).map((row) => row.unique_key);
        expect(await keys()).toEqual(['a', 'c', 'b']);
        expect(await keys(['b', 'c', 'gone', 'github'])).toEqual(['c', 'b']);
        expect(await keys([])).toEqual([]);
    });

    test('a key that another one took is told from other failures', async () => {
        const { db } = store.database;
        const environment = await insertEnvironment(db);
        await insertIntegration(db, environment, { unique_key: 'a' });
        const other = await insertIntegration(db, environment, { unique_key: 'b' });
        const failure = await integrations.update(db, other.id, { unique_key: 'a' }).catch((error: unknown) => error);
        expect(integrations.isKeyTaken(failure)).toBe(true);
        const unrelated = await integrations.update(db, other.id, { environment_id: newId() }).catch((error: unknown) => error);
        expect([unrelated, integrations.isKeyTaken(unrelated)]).toEqual([expect.any(Error), false]);
    });

    test('have connections as long as one of them lives', async () => {
        const { db } = store.database;
        const integration = await insertSetting(db);
        await insertConnection(db, integration, { deleted_at: after(1) });
        expect(await integrations.hasConnections(db, integration.id)).toBe(false);
        await insertConnection(db, integration);
        expect(await integrations.hasConnections(db, integration.id)).toBe(true);
    });

    test('removing all connections of one shreds them, journal and all, ends their renewals, and leaves the others', async () => {
        const { db } = store.database;
        const integration = await insertSetting(db);
        const rows = [];
        for (const connection_id of ['c1', 'c2']) {
            rows.push(
                await insertConnection(db, integration, {
                    connection_id,
                    sealed_previous_refresh_token: 'sealed-previous',
                    sealed_secrets: 'sealed-secrets',
                    next_refresh_at: after(1),
                    refresh_lease_owner: 'a',
                    refresh_lease_until: after(1),
                    refresh_epoch: 4,
                    refresh_intent: json({ epoch: 4, started_at: '', fingerprint: '' }),
                }),
            );
        }
        const gone = await insertConnection(db, integration, { deleted_at: after(1), sealed_credentials: '' });
        const kept = await insertConnection(db, await insertSetting(db));
        for (const row of [...rows, kept]) {
            await journal.append(db, [
                {
                    id: newId(),
                    environment_id: row.environment_id,
                    connection_row_id: row.id,
                    refresh_epoch: 1,
                    base_version: 1,
                    requested_at: after(0),
                    received_at: after(0),
                    sealed_response: 'sealed-answer',
                },
            ]);
        }
        expect(await connections.removeOfIntegration(db, integration.id, after(7))).toBe(2);
        for (const { id } of rows) {
            expect(await storedConnection(db, id)).toMatchObject({
                deleted_at: after(7),
                sealed_credentials: '',
                sealed_previous_refresh_token: null,
                sealed_secrets: null,
                next_refresh_at: null,
                refresh_epoch: 5,
                refresh_lease_owner: null,
                refresh_lease_until: null,
                refresh_intent: null,
            });
        }
        expect((await storedConnection(db, gone.id)).deleted_at).toEqual(after(1));
        expect(await storedConnection(db, kept.id)).toMatchObject({ deleted_at: null, sealed_credentials: 'sealed-credentials' });
        const answers = await db.selectFrom('credential_journal').select('connection_row_id').execute();
        expect(answers).toEqual([{ connection_row_id: kept.id }]);
        expect(await connections.removeOfIntegration(db, integration.id, after(8))).toBe(0);
    });

    test('another chance is for connections lost to a refused client, and says whether their token still lives', async () => {
        const { db } = store.database;
        const integration = await insertSetting(db);
        const error = { type: 'refresh_token_external_error', description: 'd', log_id: 'l', since: '' };
        const refused = json({ ...error, client_refused: true });
        const lost = { auth_state: 'needs_reauth', auth_error: refused } as const;
        const add = async (overrides: Partial<NewConnection>): Promise<string> => (await insertConnection(db, integration, overrides)).id;
        const state = async (id: string): Promise<unknown[]> => {
            const row = await storedConnection(db, id);
            return [row.auth_state, row.next_refresh_at];
        };
        const expired = await add({ ...lost, credentials_expires_at: after(4) });
        const alive = await add({ ...lost, credentials_expires_at: after(6) });
        const endless = await add({ ...lost, credentials_expires_at: null });
        const grant = await add({ auth_state: 'needs_reauth', auth_error: json(error) });
        const struggling = await add({ auth_state: 'degraded', auth_error: refused, next_refresh_at: after(9) });
        const deleted = await add({ ...lost, deleted_at: after(1) });
        const elsewhere = await insertConnection(db, await insertSetting(db), lost);
        await retryRefusedClients(db, integration.id, after(5));
        expect(await state(expired)).toEqual(['unavailable', after(5)]);
        expect(await state(alive)).toEqual(['degraded', after(5)]);
        expect(await state(endless)).toEqual(['degraded', after(5)]);
        expect(await state(struggling)).toEqual(['degraded', after(9)]);
        for (const id of [grant, deleted, elsewhere.id]) {
            expect(await state(id)).toEqual(['needs_reauth', null]);
        }
    });
});

describe('an integration that is held', () => {
    let store: TestStore;
    beforeAll(async () => {
        store = await openPostgresStore();
    });
    afterAll(() => store.close());

    test('is deleted when it is let go, with what was connected under the hold; later ones find it gone', async () => {
        const { db } = store.database;
        const integration = await insertSetting(db);
        const context = { sources: systemSources, vault: undefined as unknown as Vault };
        const deletion = (): Promise<string | undefined> =>
            db.transaction().execute((transaction) => deleteIntegration(transaction, context, integration.environment_id, integration.unique_key));
        let deleted: Promise<string | undefined> | undefined;
        const { id } = await db.transaction().execute(async (transaction) => {
            expect(await integrations.hold(transaction, integration.id)).toMatchObject({ unique_key: 'github', oauth_client_id: 'client' });
            // Another attempt may hold it too.
            await db.transaction().execute((other) => integrations.hold(other, integration.id));
            deleted = deletion();
            await waiting(db);
            return insertConnection(transaction, integration);
        });
        expect(await deleted).toBe(integration.id);
        expect(await storedConnection(db, id)).toMatchObject({ deleted_at: expect.any(Date) as Date, sealed_credentials: '' });
        expect(await db.transaction().execute((transaction) => integrations.hold(transaction, integration.id))).toBeUndefined();
        expect(await deletion()).toBeUndefined();
    });

    /** Until a statement waits for a lock. */
    async function waiting(db: Db): Promise<void> {
        await expect
            .poll(() =>
                db
                    .selectFrom('pg_locks' as never)
                    .select('pid' as never)
                    .where('granted' as never, '=', false as never)
                    .execute(),
            )
            .not.toEqual([]);
    }
});
