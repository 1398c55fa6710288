/** Hooks around a connection's life, through the API: found before anybody reads, looked for again when not (A5), and revoked by. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { oauth2Entry, providersFile } from '../e2e/provider-entries.ts';
import { eventually } from '../e2e/valetkey.ts';
import { listen, type HttpServer } from '../peers/http-server.ts';
import { createDatabase } from '../peers/postgres.ts';
import { connectKey, createIntegration, createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type TestApp } from './app.ts';

let vendor: HttpServer;
let database: Awaited<ReturnType<typeof createDatabase>>;
/** Two replicas on one database. The first serves; both work. */
let valetkey: TestApp;
let other: TestApp;
let asked: { call: string; authorization: string | undefined }[] = [];
let answer: (response: ServerResponse) => void | Promise<void>;
/** What becomes of the six seconds that a popup waits, in milliseconds. */
let patience: number | undefined;

const found =
    (body: unknown, status = 200) =>
    (response: ServerResponse): void =>
        void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
const workspace = found({ workspace_id: 'w-1' });
const down = found({ secret: 'of the account' }, 503);

beforeAll(async () => {
    vendor = await listen((request, response) => {
        asked.push({ call: `${request.method} ${request.url}`, authorization: request.headers.authorization });
        void answer(response);
    });
    database = await createDatabase();
    const url = `http://127.0.0.1:${vendor.port}`;
    const keyEntry = (name: string, extra: Record<string, unknown>) => {
        const entry = untestedKeyEntry(name)[name] as Record<string, unknown>;
        return { [name]: { ...entry, proxy: { base_url: url, headers: { authorization: 'Key ${apiKey}' } }, ...extra } };
    };
    const endpoints = { authorizationEndpoint: `${url}/authorize`, tokenEndpoint: `${url}/token` };
    const options = {
        waits: (ms: number) => (ms > 5_000 && ms <= 6_000 ? (patience ?? ms) : ms),
        providers: providersFile(
            keyEntry('attio', { post_connection_script: 'attioPostConnection' }),
            keyEntry('scrubbed', { post_connection_script: 'bullhornPostConnection' }),
            keyEntry('proved', { credentials_verification_script: 'apolloCredentialsVerification' }),
            oauth2Entry('intercom', endpoints, { proxy: { base_url: url }, pre_connection_deletion_script: 'intercomPreConnectionDeletion' }),
            oauth2Entry('both', endpoints, {
                proxy: { base_url: url },
                revocation_url: `${url}/revoke`,
                pre_connection_deletion_script: 'linearPreConnectionDeletion',
            }),
        ),
        env: {
            DATABASE_URL: database.url,
            VALETKEY_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
            VALETKEY_SECRET_KEY_DEV: randomUUID(),
            VALETKEY_SECRET_KEY_PROD: randomUUID(),
        },
    };
    valetkey = await startTestApp(options);
    valetkey.key = options.env.VALETKEY_SECRET_KEY_DEV;
    other = await startTestApp(options);
    await call('PATCH', '/environment/webhooks', { body: { primary_url: 'https://hooks.example.com' } });
    for (const name of ['attio', 'scrubbed', 'proved']) await createIntegrationIn(name);
    for (const name of ['intercom', 'both']) await createIntegrationIn(name, { credentials: { type: 'OAUTH2', client_id: 'i', client_secret: 's' } });
});
afterAll(async () => {
    await valetkey?.close();
    await other?.close();
    await database?.drop();
    await vendor?.close();
});
beforeEach(async () => {
    asked = [];
    answer = workspace;
    patience = undefined;
    await valetkey.query('delete from post_connection_hooks');
});

/** `call` of the peer uses a key of its own, which this database does not know. */
const call: TestApp['call'] = (method, path, options = {}) => valetkey.call(method, path, { key: valetkey.key, ...options });
const createIntegrationIn = (name: string, rest = {}) => createIntegration({ ...valetkey, call }, name, name, rest);
const connect = async (integration = 'attio', body?: Record<string, unknown>): Promise<string> =>
    connectKey(valetkey, integration, await createSession({ ...valetkey, call }, body));
/** As the connection says it, read alone and in the list. */
const status = async (id: string): Promise<unknown> => {
    const one = await call('GET', `/connections/${id}?provider_config_key=attio`);
    const many = await call<{ connections: Record<string, unknown>[] }>('GET', `/connections?connectionId=${id}`);
    expect(many.body.connections[0]).toHaveProperty('post_connection_status', one.body['post_connection_status']);
    return one.body['post_connection_status'];
};
/** What the connection's auth events say, oldest first. */
const announced = (id: string): Promise<{ operation: string; post_connection_status: string | null }[]> =>
    valetkey.query(
        `select v.operation, v.post_connection_status from webhook_events v join connections c on c.id = v.connection_row_id
         where c.connection_id = $1 order by v.created_at`,
        [id],
    );
const read = async (id: string, integration = 'attio'): Promise<Record<string, unknown>> => {
    const { body } = await call<{ connection_config: Record<string, unknown> }>('GET', `/connections/${id}?provider_config_key=${integration}`);
    return body.connection_config;
};
const waiting = (id: string): Promise<{ state: string; attempts: number }[]> =>
    valetkey.query(
        `select h.state, h.attempts from post_connection_hooks h join connections c on c.id = h.connection_row_id where c.connection_id = $1`,
        [id],
    );
const operation = (id: string): Promise<Record<string, unknown>[]> =>
    valetkey.query(`select type, state, level, message, error, meta from operations where action = 'post_connection' and connection_id = $1`, [id]);
/** What the hook said to the provider, and what came back. */
const calls = (id: string): Promise<Record<string, unknown>[]> =>
    valetkey.query(
        `select m.level, jsonb_build_object('method', request ->> 'method', 'authorization', request #>> '{headers,authorization}') as request,
             (response ->> 'code')::int as code, retry
         from operation_messages m join operations o on o.id = m.operation_id
         where o.action = 'post_connection' and o.connection_id = $1 and m.type = 'http' order by m.id`,
        [id],
    );
const due = (id: string) =>
    valetkey.query(
        `update post_connection_hooks set due_at = now() where connection_row_id = (select id from connections where connection_id = $1)`,
        [id],
    );

describe('when a connection is made', () => {
    test('what the hook finds is there in the first read, and before the webhook', async () => {
        let events: unknown[] = [];
        answer = async (response) => {
            events = await valetkey.query('select id from webhook_events');
            workspace(response);
        };
        const id = await connect();
        expect(await read(id)).toEqual({ workspace_id: 'w-1' });
        expect(asked).toEqual([{ call: 'GET /v2/self', authorization: 'Key an-account-key' }]);
        expect([events, (await valetkey.query('select id from webhook_events')).length]).toEqual([[], 1]);
        expect([await waiting(id), await operation(id), await status(id)]).toMatchObject([[], [{ state: 'success', level: 'info' }], null]);
        expect(await calls(id)).toEqual([
            { level: 'info', request: { method: 'GET', authorization: 'REDACTED' }, code: 200, retry: { attempt: 1, max: 8, waited: 0 } },
        ]);
        expect(await announced(id)).toEqual([{ operation: 'creation', post_connection_status: null }]);
    });

    test('an import asks too, and what the provider says wins over what is given (N3)', async () => {
        const body = {
            provider_config_key: 'attio',
            credentials: { type: 'API_KEY', apiKey: 'k' },
            connection_config: { workspace_id: 'forged', a: '1' },
        };
        const imported = await call<{ connection_id: string; connection_config: unknown }>('POST', '/connections', { body });
        expect(imported.status, imported.text).toBe(201);
        expect(imported.body.connection_config).toEqual({ workspace_id: 'w-1', a: '1' });
        expect(await read(imported.body.connection_id)).toEqual({ workspace_id: 'w-1', a: '1' });
    });

    test('an import over a finished connection says that the hook is waited for, in its answer and its webhook', async () => {
        const body = { provider_config_key: 'attio', connection_id: 'imported-twice', credentials: { type: 'API_KEY', apiKey: 'k' } };
        expect((await call('POST', '/connections', { body })).body['post_connection_status']).toBeNull();
        answer = down;
        expect((await call('POST', '/connections', { body })).body['post_connection_status']).toBe('metadata_pending');
        expect(await status('imported-twice')).toBe('metadata_pending');
        expect(await announced('imported-twice')).toEqual([
            { operation: 'creation', post_connection_status: null },
            { operation: 'override', post_connection_status: 'metadata_pending' },
        ]);
    });

    test('what the hook takes away is not stored, of an earlier connect neither', async () => {
        const connection_config = { username: 'u', password: 'p', kept: 'k' };
        const body = { provider_config_key: 'scrubbed', connection_id: 'scrub', credentials: { type: 'API_KEY', apiKey: 'k' }, connection_config };
        expect((await call('POST', '/connections', { body })).body['connection_config']).toEqual({ kept: 'k' });
        await valetkey.query(`update connections set connection_config = '{"username": "u", "kept": "k"}' where connection_id = 'scrub'`);
        await call('POST', '/connections', { body: { ...body, connection_config: {} } });
        const [row] = await valetkey.query(`select connection_config, sealed_secrets from connections where connection_id = 'scrub'`);
        expect(row).toEqual({ connection_config: { kept: 'k' }, sealed_secrets: null });
    });

    test.each([
        ['an outage', down, 'GET /v2/self answered 503'],
        ['nonsense', found(['a-secret']), 'GET /v2/self answered without workspace_id'],
        ['a value that does not fit', found({ workspace_id: 'x'.repeat(5000) }), 'cannot be used'],
    ])('%s leaves a usable connection, and says so', async (_, how, reason) => {
        answer = how;
        const id = await connect();
        expect(await read(id)).toEqual({});
        expect([await waiting(id), await status(id)]).toEqual([[{ state: 'pending', attempts: 1 }], 'metadata_pending']);
        expect(await announced(id)).toEqual([{ operation: 'creation', post_connection_status: 'metadata_pending' }]);
        const [logged] = await operation(id);
        expect(logged).toMatchObject({ type: 'auth', state: 'running', level: 'warn', meta: { attempts: 1 } });
        expect(logged!['message']).toContain(reason);
    });

    test('a provider that takes too long keeps nobody waiting for more than six seconds', async () => {
        const held = Promise.withResolvers<void>();
        answer = (response) => held.promise.then(() => workspace(response));
        patience = 100;
        const id = await connect();
        expect((await operation(id))[0]!['message']).toContain('deadline_exceeded');
        held.resolve();
    });

    test('connecting again asks again, and ends what was left to do', async () => {
        answer = down;
        const id = await connect();
        answer = workspace;
        const session = await call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', {
            body: { connection_id: id, integration_id: 'attio' },
        });
        await connectKey(valetkey, 'attio', session.body.data.token);
        expect([await read(id), await waiting(id), await status(id)]).toEqual([{ workspace_id: 'w-1' }, [], null]);
        expect(await announced(id)).toEqual([
            { operation: 'creation', post_connection_status: 'metadata_pending' },
            { operation: 'override', post_connection_status: null },
        ]);
        expect((await operation(id)).map(({ state, message }) => `${state as string}: ${message as string}`).toSorted()).toEqual([
            'cancelled: Connected again',
            'success: Details of the account looked up',
        ]);
        const asked = { method: 'GET', authorization: 'REDACTED' };
        expect(await calls(id)).toEqual([
            { level: 'error', request: asked, code: 503, retry: { attempt: 1, max: 8, waited: 0 } },
            { level: 'info', request: asked, code: 200, retry: { attempt: 1, max: 8, waited: 0 } },
        ]);
    });
});

describe('verification scripts', () => {
    test.each([
        [found({ is_logged_in: true }), 200, undefined],
        [found({ is_logged_in: false }), 400, 'connection_test_failed'],
        [down, 503, 'verification_unavailable'],
        [(response: ServerResponse) => void response.destroy(), 503, 'verification_unavailable'],
    ])('case %#', async (how, status, code) => {
        answer = how;
        const token = await createSession({ ...valetkey, call });
        const result = await valetkey.call<{ error?: { code: string } }>('POST', `/api-auth/api-key/proved?connect_session_token=${token}`, {
            key: null,
            body: { apiKey: 'k' },
        });
        expect([result.status, result.body.error?.code]).toEqual([status, code]);
        expect(asked[0]).toEqual({ call: 'GET /v1/auth/health', authorization: 'Key k' });
    });
});

test('what a verification script cannot ask about is kept where the environment says so, and what it rejects is not (A3)', async () => {
    const submit = async () => {
        const token = await createSession({ ...valetkey, call });
        return valetkey.call('POST', `/api-auth/api-key/proved?connect_session_token=${token}`, { key: null, body: { apiKey: 'k' } });
    };
    await call('PATCH', '/environment', { body: { accept_unverified_credentials: true } });
    const statuses: number[] = [];
    for (const how of [down, (response: ServerResponse) => void response.destroy(), found({ is_logged_in: false })]) {
        answer = how;
        statuses.push((await submit()).status);
    }
    await call('PATCH', '/environment', { body: { accept_unverified_credentials: false } });
    expect(statuses).toEqual([200, 200, 400]);
});

describe('deletion hooks', () => {
    const oauth = async (integration: string, more: Record<string, unknown> = {}): Promise<string> => {
        const body = { provider_config_key: integration, credentials: { type: 'OAUTH2', access_token: 'at', refresh_token: 'rt' }, ...more };
        return (await call<{ connection_id: string }>('POST', '/connections', { body })).body.connection_id;
    };
    const remove = async (id: string, integration: string, query = ''): Promise<unknown> => {
        expect((await call('DELETE', `/connections/${id}?provider_config_key=${integration}${query}`)).status).toBe(200);
        return eventually(async () => {
            const [row] = await valetkey.query<{ meta: { revocation: { outcome: string } } }>(
                `select meta from operations where action = 'delete' and connection_id = $1`,
                [id],
            );
            expect(row!.meta.revocation.outcome).not.toBe('pending');
            return row!.meta.revocation;
        });
    };

    test('revoke once, with the credentials of the connection', async () => {
        expect(await remove(await oauth('intercom'), 'intercom')).toEqual({ outcome: 'revoked', status: 200 });
        expect(asked).toEqual([{ call: 'POST /auth/uninstall', authorization: 'Bearer at' }]);
    });

    test('record a refusal, and are opted out of', async () => {
        answer = down;
        expect(await remove(await oauth('intercom'), 'intercom')).toEqual({ outcome: 'failed', status: 503, code: 'unexpected_answer' });
        expect(await remove(await oauth('intercom'), 'intercom', '&revoke=false')).toEqual({ outcome: 'skipped', reason: 'not_asked_for' });
        const silent = await oauth('intercom', { metadata: { skipTokenRevocation: true } });
        expect(await remove(silent, 'intercom')).toEqual({ outcome: 'skipped', reason: 'skip_token_revocation' });
        expect(asked).toHaveLength(1);
    });

    test('an app that would leave the whole workspace stays while another connection may need it', async () => {
        const [leaving, staying] = [await oauth('intercom'), await oauth('intercom')];
        expect(await remove(leaving, 'intercom')).toEqual({ outcome: 'skipped', reason: 'possibly_shared_grant' });
        expect(await remove(staying, 'intercom')).toMatchObject({ outcome: 'revoked' });
        expect(asked).toHaveLength(1);
    });

    test('give way to a revocation_url', async () => {
        answer = (response) => void response.writeHead(200).end();
        expect(await remove(await oauth('both'), 'both')).toMatchObject({ outcome: 'revoked', token: 'refresh_token' });
        expect(asked.map((one) => one.call)).toEqual(['POST /revoke']);
    });
});

/** From here on, both replicas work. */
describe('the workers', () => {
    beforeAll(() => {
        valetkey.app.startWork();
        other.app.startWork();
    });

    test('look again, once among them, and leave alone what was changed meanwhile', async () => {
        answer = down;
        const id = await connect();
        asked = [];
        const held = Promise.withResolvers<void>();
        answer = (response) => held.promise.then(() => workspace(response));
        await due(id);
        await eventually(() => expect(asked).toHaveLength(1));
        await call('PATCH', `/connections/metadata`, { body: { connection_id: id, provider_config_key: 'attio', metadata: { mine: true } } });
        held.resolve();
        await eventually(async () => expect(await read(id)).toEqual({ workspace_id: 'w-1' }));
        expect([asked.length, await waiting(id), await status(id)]).toEqual([1, [], null]);
        expect(await operation(id)).toMatchObject([{ state: 'success', message: 'Details of the account looked up at attempt 2' }]);
        const [row] = await valetkey.query('select metadata from connections where connection_id = $1', [id]);
        expect(row).toEqual({ metadata: { mine: true } });
    });

    test('wait for a renewal that is under way', async () => {
        answer = down;
        const id = await connect();
        answer = workspace;
        await valetkey.query(
            `update connections set refresh_lease_owner = 'x', refresh_lease_until = now() + interval '1 hour' where connection_id = $1`,
            [id],
        );
        asked = [];
        await due(id);
        await eventually(async () => expect([asked.length, await waiting(id)]).toEqual([1, [{ state: 'pending', attempts: 1 }]]));
        expect(await read(id)).toEqual({});
        await valetkey.query('update connections set refresh_lease_owner = null, refresh_lease_until = null where connection_id = $1', [id]);
        await due(id);
        await eventually(async () => expect(await read(id)).toEqual({ workspace_id: 'w-1' }));
    });

    test('give up after the eighth attempt, and say so', async () => {
        answer = down;
        const id = await connect();
        await valetkey.query('update post_connection_hooks set attempts = 6');
        await due(id);
        await eventually(async () => expect(await waiting(id)).toEqual([{ state: 'pending', attempts: 7 }]));
        expect(await status(id)).toBe('metadata_pending');
        await due(id);
        await eventually(async () => expect(await waiting(id)).toEqual([{ state: 'failed', attempts: 8 }]));
        expect(await status(id)).toBe('failed');
        expect(await operation(id)).toMatchObject([
            { state: 'failed', level: 'error', meta: { attempts: 8 }, error: { type: 'post_connection_failed' } },
        ]);
        expect(valetkey.log() + other.log()).not.toContain('of the account');
    });

    test('write nothing to what was deleted while they asked', async () => {
        answer = down;
        const id = await connect();
        const held = Promise.withResolvers<void>();
        answer = (response) => held.promise.then(() => workspace(response));
        asked = [];
        await due(id);
        await eventually(() => expect(asked).toHaveLength(1));
        expect((await call('DELETE', `/connections/${id}?provider_config_key=attio`)).status).toBe(200);
        expect(await valetkey.query('select id from post_connection_hooks')).toEqual([]);
        expect(await operation(id)).toMatchObject([{ state: 'cancelled', message: 'Connection deleted' }]);
        held.resolve();
        // The last thing that an attempt does.
        await new Promise((resolve) => setTimeout(resolve, 300));
        const [row] = await valetkey.query('select connection_config from connections where connection_id = $1', [id]);
        expect(row).toEqual({ connection_config: {} });
    });
});
