/** Flows by the names that pages give them: who may begin which, and what ends it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as connectFlows from '../../src/store/connect-flows.ts';
import * as sessions from '../../src/store/connect-sessions.ts';
import * as flows from '../../src/store/oauth-flows.ts';
import type { ConnectOutcome, IntegrationRow } from '../../src/store/schema.ts';
import { dialects, type TestStore } from './dialects.ts';
import { after, insertSetting, madeAt, newId } from './rows.ts';

const outcome = (type: string): ConnectOutcome => ({ status: 'error', error: { type, description: type }, at: madeAt.toISOString() });
const success: ConnectOutcome = { status: 'success', connection_id: 'c1', at: madeAt.toISOString() };

describe.each(dialects)('connect flows ($name)', ({ open }) => {
    let store: TestStore;
    let integration: IntegrationRow;
    let session: string;
    beforeAll(async () => {
        store = await open();
    });
    afterAll(() => store.close());
    beforeEach(async () => {
        await store.empty();
        integration = await insertSetting(store.database.db);
        session = await newSession();
    });

    async function newSession(): Promise<string> {
        const id = newId();
        await sessions.insert(store.database.db, {
            id,
            environment_id: integration.environment_id,
            token_hash: `token-${id}`,
            connection_id: null,
            allowed_integrations: null,
            sealed_defaults: null,
            overrides: null,
            end_user: null,
            tags: null,
            webhook_url_override: null,
            operation_id: null,
            outcome: null,
            created_at: madeAt,
            expires_at: after(1_800_000),
        });
        return id;
    }

    const row = (id: string, of = session, key = 'github') => ({ id, connect_session_id: of, provider_config_key: key, created_at: madeAt });
    const begin = (id: string, of = session, key = 'github') =>
        store.database.db.transaction().execute(async (transaction) => {
            await sessions.lock(transaction, of);
            return connectFlows.begin(transaction, row(id, of, key), outcome('superseded'));
        });
    const sendOff = async (id: string): Promise<{ id: string; state: string; isAttached: boolean }> => {
        const flow = {
            id: newId(),
            environment_id: integration.environment_id,
            integration_id: integration.id,
            connect_session_id: session,
            state_hash: `state-${newId()}`,
            consumed_at: null,
            expires_at: after(600_000),
            browser_hash: 'browser',
            redirect_uri: 'https://vk.example/oauth/callback',
            sealed_secrets: 'sealed',
            connection_id: 'c1',
            ws_client_id: null,
            opener_origin: null,
            operation_id: null,
            outcome: null,
            outcome_delivered_at: null,
            created_at: madeAt,
            connect_flow_id: id,
        };
        await flows.insert(store.database.db, flow);
        return { id: flow.id, state: flow.state_hash, isAttached: await connectFlows.attach(store.database.db, id, flow.id) };
    };
    const read = async (id: string) => (await connectFlows.read(store.database.db, [id]))[0];

    test('is what became of its redirect flow', async () => {
        const id = newId();
        expect(await read(id)).toBeUndefined();
        expect(await begin(id)).toBe(true);
        expect(await read(id)).toEqual({ id, connect_session_id: session, outcome: null, returned_at: null, expires_at: null });
        const sent = await sendOff(id);
        expect(await read(id)).toMatchObject({ outcome: null, returned_at: null, expires_at: after(600_000) });
        await flows.consume(store.database.db, sent.state, after(5));
        expect(await read(id)).toMatchObject({ outcome: null, returned_at: after(5) });
        await flows.recordOutcome(store.database.db, sent.id, success);
        expect(await read(id)).toMatchObject({ outcome: success });
    });

    test('of a session and integration, ends what has not come back, and takes its secrets', async () => {
        const [starting, sentOff, back, elsewhere] = [newId(), newId(), newId(), newId()];
        await begin(back);
        const returned = await sendOff(back);
        await flows.consume(store.database.db, returned.state, after(5));
        await begin(elsewhere, session, 'slack');
        await begin(sentOff);
        const sent = await sendOff(sentOff);
        expect(await begin(starting)).toBe(true);
        expect(await read(sentOff)).toMatchObject({ outcome: outcome('superseded') });
        expect(await flows.consume(store.database.db, sent.state, after(6))).toBeUndefined();
        const secrets = await store.database.db.selectFrom('oauth_flows').select('sealed_secrets').where('id', '=', sent.id).executeTakeFirst();
        expect(secrets).toEqual({ sealed_secrets: null });
        await begin(newId());
        expect(await read(starting)).toMatchObject({ outcome: outcome('superseded') });
        expect((await sendOff(starting)).isAttached).toBe(false);
        expect([await read(back), await read(elsewhere)]).toMatchObject([{ outcome: null }, { outcome: null }]);
    });

    test('has a name that is its session’s, and begins again only while nothing came of it', async () => {
        const id = newId();
        await begin(id);
        expect(await begin(id, await newSession())).toBe(false);
        const first = await sendOff(id);
        expect(await begin(id)).toBe(true);
        expect(await flows.consume(store.database.db, first.state, after(5))).toBeUndefined();
        const second = await sendOff(id);
        await flows.consume(store.database.db, second.state, after(6));
        expect(await begin(id)).toBe(false);
        await flows.recordOutcome(store.database.db, second.id, outcome('callback_err'));
        expect(await begin(id)).toBe(true);
        expect(await read(id)).toMatchObject({ outcome: null, returned_at: null });
        const third = await sendOff(id);
        await flows.consume(store.database.db, third.state, after(7));
        await flows.recordOutcome(store.database.db, third.id, success);
        expect(await begin(id)).toBe(false);
    });

    test('fails once, before it is sent off, whether it was begun or not', async () => {
        const { db } = store.database;
        const [never, begun, sent] = [newId(), newId(), newId()];
        await connectFlows.recordFailure(db, row(never), outcome('first'));
        await connectFlows.recordFailure(db, row(never), outcome('second'));
        await connectFlows.recordFailure(db, row(never, await newSession()), outcome('stranger'));
        await begin(begun);
        await connectFlows.recordFailure(db, row(begun), outcome('first'));
        await begin(sent);
        await sendOff(sent);
        await connectFlows.recordFailure(db, row(sent), outcome('late'));
        expect((await Promise.all([never, begun, sent].map(read))).map((flow) => flow?.outcome)).toEqual([outcome('first'), outcome('first'), null]);
    });

    test('is forgotten when it is old', async () => {
        const id = newId();
        await begin(id);
        await connectFlows.purge(store.database.db, madeAt);
        expect(await read(id)).toBeDefined();
        await connectFlows.purge(store.database.db, after(1));
        expect(await read(id)).toBeUndefined();
    });

    test('goes with its session', async () => {
        const id = newId();
        await begin(id);
        await sessions.remove(store.database.db, session);
        expect(await read(id)).toBeUndefined();
    });
});
