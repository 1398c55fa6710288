/** Redirect flows, connect sessions and the credential journal: rows that are used once, or written once. */
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as sessions from '../../src/store/connect-sessions.ts';
import * as journal from '../../src/store/credential-journal.ts';
import { json } from '../../src/store/database.ts';
import * as flows from '../../src/store/oauth-flows.ts';
import * as operations from '../../src/store/operations.ts';
import type { ConnectOutcome, IntegrationRow, NewConnectSession, NewOauthFlow } from '../../src/store/schema.ts';
import { dialects, openPostgresStore, type TestStore } from './dialects.ts';
import { after, insertSetting, madeAt, newId, waitingOperation } from './rows.ts';

const success: ConnectOutcome = { status: 'success', connection_id: 'c1', at: madeAt.toISOString() };

const flowOf = (integration: IntegrationRow, overrides: Partial<NewOauthFlow> = {}): NewOauthFlow => ({
    id: newId(),
    environment_id: integration.environment_id,
    integration_id: integration.id,
    connect_session_id: null,
    state_hash: `state-${newId()}`,
    consumed_at: null,
    expires_at: after(600_000),
    browser_hash: 'browser',
    redirect_uri: 'https://vk.example/oauth/callback',
    sealed_secrets: 'sealed-secrets',
    connection_id: 'c1',
    ws_client_id: null,
    opener_origin: null,
    operation_id: null,
    outcome: null,
    outcome_delivered_at: null,
    created_at: madeAt,
    connect_flow_id: null,
    returns_to_page: false,
    ...overrides,
});

describe.each(dialects)('flows ($name)', ({ open }) => {
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

    const newFlow = (overrides: Partial<NewOauthFlow> = {}): NewOauthFlow => flowOf(integration, overrides);
    const newSession = (overrides: Partial<NewConnectSession> = {}): NewConnectSession => ({
        id: newId(),
        environment_id: integration.environment_id,
        token_hash: `token-${newId()}`,
        connection_id: null,
        allowed_integrations: ['github', 'slack'],
        sealed_defaults: null,
        overrides: null,
        end_user: null,
        tags: null,
        webhook_url_override: null,
        operation_id: null,
        outcome: null,
        created_at: madeAt,
        expires_at: after(1_800_000),
        ...overrides,
    });

    describe('oauth flows', () => {
        test('a state is consumed once, by one of twenty callbacks at the same time', async () => {
            const { db } = store.database;
            const flow = newFlow({ state_hash: 's' });
            await flows.insert(db, flow);
            const taken = await Promise.all(Array.from({ length: 20 }, () => flows.consume(db, 's', after(5))));
            expect(taken.filter((row) => row !== undefined)).toEqual([flow]);
            expect(await flows.consume(db, 's', after(6))).toBeUndefined();
        });

        test('tells its operation how it began, which runs from there unless it is over', async () => {
            const { db } = store.database;
            const flow = newFlow({ operation_id: `${after(1).getTime()}_begun` });
            const said = [{ level: 'info' as const, message: 'sent away', at: after(3) }];
            const states = async (): Promise<string[]> => (await db.selectFrom('operations').select('state').execute()).map(({ state }) => state);
            await operations.open(db, waitingOperation(flow.environment_id, flow.operation_id!));
            await flows.insert(db, flow, said);
            expect(await states()).toEqual(['running']);
            await operations.end(db, flow.operation_id!, { state: 'success', message: 'done', at: after(4) });
            await flows.insert(db, newFlow({ operation_id: flow.operation_id! }), said);
            expect(await states()).toEqual(['success']);
            const messages = await db.selectFrom('operation_messages').select('message').orderBy('id').execute();
            expect(messages.map(({ message }) => message).filter((message) => message !== 'begun')).toEqual(['sent away', 'done', 'sent away']);
        });

        test('consuming hands out the secrets and leaves none in the table', async () => {
            const { db } = store.database;
            await flows.insert(db, newFlow({ state_hash: 's' }));
            expect(await flows.consume(db, 's', after(5))).toMatchObject({ sealed_secrets: 'sealed-secrets' });
            const rows = await db.selectFrom('oauth_flows').select(['sealed_secrets', 'consumed_at']).execute();
            expect(rows).toEqual([{ sealed_secrets: null, consumed_at: after(5) }]);
        });

        test('an expired flow is handed out and spent; an unknown state is nothing', async () => {
            const { db } = store.database;
            await flows.insert(db, newFlow({ state_hash: 's', expires_at: after(-1) }));
            expect(await flows.consume(db, 'other', after(5))).toBeUndefined();
            expect(await flows.consume(db, 's', after(5))).toMatchObject({ expires_at: after(-1) });
            expect(await flows.consume(db, 's', after(5))).toBeUndefined();
        });

        test('a failure is recorded where there is no outcome yet, by one of ten at the same time', async () => {
            const { db } = store.database;
            const flow = newFlow();
            await flows.insert(db, flow);
            const failure: ConnectOutcome = { status: 'error', at: madeAt.toISOString() };
            const recorded = await Promise.all(Array.from({ length: 10 }, () => flows.recordFailure(db, flow.id, failure)));
            expect(recorded.filter(Boolean)).toHaveLength(1);
            await flows.recordOutcome(db, flow.id, success);
            expect(await flows.recordFailure(db, flow.id, failure)).toBe(false);
            expect(await db.selectFrom('oauth_flows').select('outcome').execute()).toEqual([{ outcome: success }]);
        });

        test('unfinished are those that were consumed long ago and have no outcome, page by page', async () => {
            const { db } = store.database;
            const long = await Promise.all(
                Array.from({ length: flows.unfinishedPage + 1 }, async () => {
                    const flow = newFlow({ consumed_at: after(-1) });
                    await flows.insert(db, flow);
                    return flow.id;
                }),
            );
            await flows.insert(db, newFlow());
            await flows.insert(db, newFlow({ consumed_at: after(1) }));
            await flows.insert(db, newFlow({ consumed_at: after(-1), outcome: json(success) }));
            const first = await flows.unfinished(db, madeAt);
            const second = await flows.unfinished(db, madeAt, first.at(-1)!.id);
            expect([...first, ...second].map(({ id }) => id)).toEqual(long.toSorted());
            expect(second).toHaveLength(1);
        });

        test('a rolled back consumption spends nothing', async () => {
            const { db } = store.database;
            await flows.insert(db, newFlow({ state_hash: 's' }));
            await expect(
                db.transaction().execute(async (transaction) => {
                    await flows.consume(transaction, 's', after(5));
                    throw new Error('roll back');
                }),
            ).rejects.toThrow('roll back');
            expect(await flows.consume(db, 's', after(6))).toMatchObject({ sealed_secrets: 'sealed-secrets' });
        });

        test('outcomes wait for the sockets that asked, until delivered', async () => {
            const { db } = store.database;
            const [mine, theirs, open] = [newFlow({ ws_client_id: 'me' }), newFlow({ ws_client_id: 'them' }), newFlow({ ws_client_id: 'me' })];
            for (const flow of [mine, theirs, open]) {
                await flows.insert(db, flow);
            }
            await flows.recordOutcome(db, mine.id, success);
            await flows.recordOutcome(db, theirs.id, success);
            expect(await flows.undelivered(db, ['me', 'x'])).toEqual([{ id: mine.id, ws_client_id: 'me', outcome: success }]);
            await flows.markDelivered(db, mine.id, after(9));
            expect(await flows.undelivered(db, ['me'])).toEqual([]);
            expect(await flows.undelivered(db, [])).toEqual([]);
        });

        test('purge removes what expired before, and nothing else', async () => {
            const { db } = store.database;
            const kept = newFlow({ expires_at: after(10) });
            await flows.insert(db, newFlow({ expires_at: after(9) }));
            await flows.insert(db, kept);
            await flows.purge(db, after(10));
            expect(await db.selectFrom('oauth_flows').select('id').execute()).toEqual([{ id: kept.id }]);
        });
    });

    test('a request sent in a body is exchanged once, while it lives', async () => {
        const { db } = store.database;
        const session = newSession();
        await sessions.insert(db, session);
        const request = {
            id: newId(),
            environment_id: integration.environment_id,
            connect_session_id: session.id,
            token_hash: 'p1.hash',
            provider_config_key: 'github',
            sealed_request: 'sealed-request',
            created_at: madeAt,
            expires_at: after(10),
        };
        await flows.insertRequest(db, request);
        expect(await flows.takeRequest(db, ['p1.hash'], after(10))).toBeUndefined();
        const taken = await Promise.all(Array.from({ length: 10 }, () => flows.takeRequest(db, ['p2.hash', 'p1.hash'], after(9))));
        expect(taken.filter((row) => row !== undefined)).toEqual([request]);
        await flows.insertRequest(db, request);
        await flows.purge(db, after(10));
        expect(await db.selectFrom('oauth_flow_requests').select('id').execute()).toHaveLength(1);
        await flows.purge(db, after(11));
        expect(await db.selectFrom('oauth_flow_requests').select('id').execute()).toEqual([]);
    });

    describe('connect sessions', () => {
        test('are found by any hash of their token while they live, with their environment', async () => {
            const { db } = store.database;
            const session = newSession({ token_hash: 'p1.hash' });
            await sessions.insert(db, session);
            const found = await sessions.findByToken(db, ['p2.hash', 'p1.hash'], after(1_799_999));
            expect(found).toMatchObject({ id: session.id, allowed_integrations: ['github', 'slack'], is_production: false, environment_gone: false });
            expect(await sessions.findByToken(db, ['p1.hash'], after(1_800_000))).toBeUndefined();
            expect(await sessions.findByToken(db, ['p2.hash'], madeAt)).toBeUndefined();
            expect(await sessions.findById(db, session.id)).toMatchObject({ id: session.id });
            await db
                .updateTable('environments')
                .set({ deleted_at: after(1) })
                .execute();
            expect(await sessions.findByToken(db, ['p1.hash'], madeAt)).toMatchObject({ environment_gone: true });
        });

        test('keep their outcome, and go without taking their flows along', async () => {
            const { db } = store.database;
            const session = newSession();
            await sessions.insert(db, session);
            const flow = newFlow({ connect_session_id: session.id });
            await flows.insert(db, flow);
            await sessions.recordFailure(db, session.id, success);
            expect((await sessions.findById(db, session.id))?.outcome).toEqual(success);
            await sessions.remove(db, session.id);
            expect(await sessions.findById(db, session.id)).toBeUndefined();
            expect(await db.selectFrom('oauth_flows').select(['id', 'connect_session_id']).execute()).toEqual([
                { id: flow.id, connect_session_id: null },
            ]);
        });

        test('the failure of an attempt that began before the last outcome leaves it as it was', async () => {
            const { db } = store.database;
            const session = newSession();
            await sessions.insert(db, session);
            const failure: ConnectOutcome = { status: 'error', at: after(10).toISOString() };
            expect(await sessions.recordFailure(db, session.id, failure, after(1))).toBe(true);
            expect(await sessions.recordFailure(db, session.id, success, after(9))).toBe(false);
            expect(await sessions.recordFailure(db, session.id, success, after(10))).toBe(true);
        });

        test('a single-use one is used up by one attempt, which may write again; failures leave it as it was', async () => {
            const { db } = store.database;
            const session = newSession({ single_use: true });
            await sessions.insert(db, session);
            const attempts = Array.from({ length: 10 }, newId);
            const taken = await Promise.all(attempts.map((attempt) => sessions.recordSuccess(db, session.id, attempt, success)));
            expect(taken.filter(Boolean)).toHaveLength(1);
            const winner = attempts[taken.indexOf(true)]!;
            expect(await sessions.recordSuccess(db, session.id, winner, success)).toBe(true);
            expect(await sessions.recordFailure(db, session.id, { ...success, status: 'error' })).toBe(false);
            expect(await sessions.findById(db, session.id)).toMatchObject({ used_by: winner, outcome: success });
        });

        test('any other succeeds as often as it likes, as long as it is there', async () => {
            const { db } = store.database;
            const session = newSession();
            await sessions.insert(db, session);
            expect(await sessions.recordSuccess(db, session.id, newId(), success)).toBe(true);
            expect(await sessions.recordSuccess(db, session.id, newId(), success)).toBe(true);
            expect(await sessions.findById(db, session.id)).toMatchObject({ used_by: null, outcome: success });
            await sessions.remove(db, session.id);
            expect(await sessions.recordSuccess(db, session.id, newId(), success)).toBe(false);
            expect(await sessions.recordFailure(db, session.id, success)).toBe(false);
        });

        test('purge removes what expired before, and nothing else', async () => {
            const { db } = store.database;
            const kept = newSession({ expires_at: after(10) });
            await sessions.insert(db, newSession({ expires_at: after(9) }));
            await sessions.insert(db, kept);
            await sessions.purge(db, after(10));
            expect(await db.selectFrom('connect_sessions').select('id').execute()).toEqual([{ id: kept.id }]);
        });
    });

    describe('the credential journal', () => {
        const newEntry = (receivedInMs: number): journal.UnsettledEntry => ({
            id: newId(),
            environment_id: integration.environment_id,
            connection_row_id: newId(),
            refresh_epoch: 1,
            base_version: 1,
            requested_at: after(receivedInMs - 1),
            received_at: after(receivedInMs),
            sealed_response: 'sealed "answer" \\ {NULL}',
        });

        test('an entry appended again is the same entry, also after it was settled', async () => {
            const { db } = store.database;
            const entry = newEntry(0);
            await journal.append(db, [entry]);
            await journal.settle(db, entry.id, 'superseded', after(5));
            await journal.append(db, [{ ...entry, sealed_response: 'other' }]);
            expect(await db.selectFrom('credential_journal').selectAll().execute()).toEqual([
                { ...entry, outcome: 'superseded', settled_at: after(5) },
            ]);
        });

        test('an entry is settled once; later verdicts change nothing', async () => {
            const { db } = store.database;
            const entry = newEntry(0);
            await journal.append(db, [entry]);
            await journal.settle(db, entry.id, 'superseded', after(5));
            await journal.settle(db, entry.id, 'rejected', after(6));
            expect(await db.selectFrom('credential_journal').select(['outcome', 'settled_at']).execute()).toEqual([
                { outcome: 'superseded', settled_at: after(5) },
            ]);
        });

        const ids = async (before: number): Promise<string[]> =>
            (await Array.fromAsync(journal.unsettled(store.database.db, after(before)))).map(({ id }) => id).toSorted();

        test('unsettled gives the open entries received before a moment', async () => {
            const { db } = store.database;
            const entries = [newEntry(1), newEntry(2), newEntry(3), newEntry(0), newEntry(10)];
            await journal.append(db, entries);
            await journal.settle(db, entries[3]!.id, 'superseded', after(5));
            expect(await ids(10)).toEqual(
                entries
                    .slice(0, 3)
                    .map(({ id }) => id)
                    .toSorted(),
            );
            expect(await ids(1)).toEqual([]);
        });

        test('a hundred entries that stay open do not hide the ones behind them', async () => {
            const entries = Array.from({ length: 230 }, (_, index) => newEntry(index));
            await journal.append(store.database.db, entries);
            expect(await ids(1000)).toEqual(entries.map(({ id }) => id).toSorted());
        });
    });
});

// Not on the embedded dialect, whose one session cannot be in two callbacks at once.
test('a callback that comes while another one has the flow in hand waits for it, and gets nothing', async () => {
    const store = await openPostgresStore();
    const { db } = store.database;
    const integration = await insertSetting(db);
    await flows.insert(db, flowOf(integration, { state_hash: 's' }));
    let late: Promise<unknown> | undefined;
    await db.transaction().execute(async (transaction) => {
        expect(await flows.consume(transaction, 's', after(1))).toMatchObject({ state_hash: 's' });
        late = flows.consume(db, 's', after(2));
        // It must have met the lock before this transaction ends.
        const waiting = sql<{ n: number }>`
            select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
        await expect.poll(async () => (await waiting.execute(db)).rows[0]?.n).toBe(1);
    });
    expect(await late).toBeUndefined();
    expect(await db.selectFrom('oauth_flows').select('consumed_at').execute()).toEqual([{ consumed_at: after(1) }]);
    await store.close();
});
