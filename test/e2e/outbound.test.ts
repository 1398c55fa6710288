/** Outbound installation: a connection that waits for the vendor's webhook (auth-modes §4.3, S12; http-api §12.2). */
import { createHmac } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { expirePending } from '../../src/connect/pending.ts';
import { systemSources } from '../../src/sources.ts';
import { createIntegration, createSession } from '../http/accounts.ts';
import { startTestApp, type Answer, type TestApp } from '../http/app.ts';
import { listen, readBody, type HttpServer } from '../peers/http-server.ts';
import { oauth2Entry, outboundEntry, providersFile } from './provider-entries.ts';

const secret = 'the-client-secret';
const day = 24 * 3600 * 1000;

/** The vendor's token endpoint. */
let vendor: HttpServer;
let exchanges: { path: string; params: Record<string, string> }[] = [];
let fault: ((response: ServerResponse) => void) | undefined;
let valetkey: TestApp;
let webhookUrl: string;

const hooked = ({ hooked: entry }: Record<string, unknown>): Record<string, unknown> => ({
    hooked: { ...(entry as Record<string, unknown>), post_connection_script: 'sentryOauthPostConnection' },
});

beforeAll(async () => {
    vendor = await listen((request, response) => {
        void readBody(request).then((body) => {
            const params = Object.fromEntries(new URLSearchParams(body.toString()));
            exchanges.push({ path: request.url ?? '', params });
            if (fault !== undefined) {
                fault(response);
                return;
            }
            response.writeHead(200, { 'content-type': 'application/json' });
            response.end(JSON.stringify({ access_token: `token for ${params['code']}`, refresh_token: 'r', expires_in: 28_800 }));
        });
    });
    const url = `http://127.0.0.1:${vendor.port}`;
    valetkey = await startTestApp({
        providers: providersFile(
            outboundEntry('sentry', url),
            hooked(outboundEntry('hooked', url)),
            oauth2Entry('plain', { authorizationEndpoint: `${url}/a`, tokenEndpoint: `${url}/t` }),
        ),
    });
    await valetkey.listen();
    const credentials = { type: 'OAUTH2', client_id: 'the-client', client_secret: secret };
    for (const name of ['sentry', 'hooked', 'plain']) {
        await createIntegration(valetkey, name, name, { credentials });
    }
    const integration = await valetkey.call<{ data: { webhook_url: string } }>('GET', '/integrations/sentry?include=webhook');
    webhookUrl = integration.body.data.webhook_url;
});

afterAll(async () => {
    await valetkey?.close();
    await vendor?.close();
});

beforeEach(() => {
    exchanges = [];
    fault = undefined;
});

interface Connection {
    credentials: Record<string, unknown>;
    connection_config: Record<string, unknown>;
    tags: Record<string, string>;
}

const begin = (
    token: string,
    integration: string,
    actor: string | undefined,
    body?: unknown,
): Promise<Answer<{ connectionId: string; error: { code: string } }>> =>
    valetkey.call(
        'POST',
        `/auth/oauth-outbound/${integration}?connect_session_token=${token}&params[hostname]=sentry.io${actor === undefined ? '' : `&params[actor]=${actor}`}`,
        { key: null, ...(body === undefined ? {} : { body }) },
    );

async function waiting(actor: string, user = 'user-1'): Promise<string> {
    const answer = await begin(await createSession(valetkey, { end_user: { id: user } }), 'sentry', actor);
    expect(answer.status, answer.text).toBe(200);
    expect(answer.body).toEqual({ connectionId: expect.any(String) as string, providerConfigKey: 'sentry' });
    return answer.body.connectionId;
}

const read = async (id: string, query = ''): Promise<Connection> => {
    const answer = await valetkey.call<Connection>('GET', `/connections/${id}?provider_config_key=sentry${query}`);
    expect(answer.status, answer.text).toBe(200);
    return answer.body;
};
const state = async (id: string): Promise<string | undefined> =>
    (await valetkey.query<{ auth_state: string }>('select auth_state from connections where connection_id = $1 and deleted_at is null', [id]))[0]
        ?.auth_state;

const created = (actor: string, code = 'c0de', rest: Record<string, unknown> = {}): Record<string, unknown> => ({
    action: 'created',
    actor: { id: actor, type: 'user' },
    data: { installation: { uuid: 'a8e5-uuid', code } },
    ...rest,
});

/** @param sign `null`: not signed */
async function send(body: unknown, sign: string | null = secret, resource = 'installation', url = webhookUrl): Promise<number> {
    // Laid out in a way of the vendor's own, so that only the bytes themselves can be what was signed.
    const text = JSON.stringify(body, null, 3).replace('"created"', '"creat\\u0065d"');
    const answer = await fetch(url, {
        method: 'POST',
        headers: {
            'content-type': 'application/json',
            'sentry-hook-resource': resource,
            ...(sign === null ? {} : { 'sentry-hook-signature': createHmac('sha256', sign).update(text).digest('hex') }),
        },
        body: text,
    });
    await answer.text();
    return answer.status;
}

test('a connection that waits has a type and nothing else of its credentials', async () => {
    const id = await waiting('100');
    for (const query of ['', '&force_refresh=true', '&refresh_token=true']) {
        const { credentials, connection_config, tags } = await read(id, query);
        expect(credentials).toEqual({ type: 'OAUTH2' });
        expect(connection_config).toEqual({ hostname: 'sentry.io', actor: '100', pending: true, pendingLog: expect.any(String) as string });
        expect(tags).toEqual({ end_user_id: 'user-1' });
    }
    const [operation] = await valetkey.query<{ id: string; state: string }>(
        'select o.id, o.state from operations o join connections c on o.id = c.connection_config ->> $1 where c.connection_id = $2',
        ['pendingLog', id],
    );
    expect([await state(id), operation?.state]).toEqual(['pending', 'waiting']);
    expect((await valetkey.call('DELETE', `/connections/${id}?provider_config_key=sentry`)).status).toBe(200);
    expect(await valetkey.query('select state from operations where id = $1', [operation!.id])).toEqual([{ state: 'cancelled' }]);
});

test('the webhook brings the code, which is exchanged; the connection is then one like any other', async () => {
    const id = await waiting('101');
    expect(await send(created('101'))).toBe(200);
    const { credentials, connection_config } = await read(id, '&refresh_token=true');
    expect(credentials).toMatchObject({ type: 'OAUTH2', access_token: 'token for c0de', refresh_token: 'r' });
    expect(connection_config).toEqual({ hostname: 'sentry.io', actor: '101', 'installation.uuid': 'a8e5-uuid' });
    expect(await state(id)).toBe('ok');
    const told = await valetkey.query<{ message: string }>(
        `select m.message from operation_messages m join operations o on o.id = m.operation_id
         where o.connection_id = $1 and m.type = 'http' order by m.id`,
        [id],
    );
    expect(told.map(({ message }) => message.replace(/^(POST) [^/]+/, '$1 host'))).toEqual([
        'POST host/api/0/sentry-app-installations/a8e5-uuid/authorizations/: 200',
    ]);
    // No authorization request was made, so there is neither redirect URI nor verifier to repeat.
    expect(exchanges).toEqual([
        {
            path: '/api/0/sentry-app-installations/a8e5-uuid/authorizations/',
            params: { grant_type: 'authorization_code', code: 'c0de', client_id: 'the-client', client_secret: secret },
        },
    ]);
    expect(await send(created('101'))).toBe(200);
    expect(exchanges.length).toBe(1);
});

test('a hook runs once the vendor has its answer; until then connection and webhook say so (A5)', async () => {
    const { body: hook } = await valetkey.call<{ data: { webhook_url: string } }>('GET', '/integrations/hooked?include=webhook');
    await valetkey.call('PATCH', '/environment/webhooks', { body: { primary_url: 'https://hooks.example.com' } });
    const begun = await begin(await createSession(valetkey, { end_user: { id: 'user-1' } }), 'hooked', '150');
    expect(await send(created('150'), secret, 'installation', hook.data.webhook_url)).toBe(200);
    await valetkey.call('PATCH', '/environment/webhooks', { body: { primary_url: null } });
    const [row] = await valetkey.query<{ id: string; post_connection_status: string }>(
        'select id, post_connection_status from connections where connection_id = $1',
        [begun.body.connectionId],
    );
    expect(row!.post_connection_status).toBe('metadata_pending');
    const events = await valetkey.query(
        'select operation, post_connection_status from webhook_events where connection_row_id = $1 order by created_at',
        [row!.id],
    );
    expect(events).toEqual([
        { operation: 'creation', post_connection_status: null },
        { operation: 'override', post_connection_status: 'metadata_pending' },
    ]);
});

test('nothing is believed that is not signed (S12)', async () => {
    const id = await waiting('102');
    expect(await send(created('102'), null)).toBe(401);
    expect(await send(created('102'), 'guessed')).toBe(401);
    expect([await state(id), exchanges]).toEqual(['pending', []]);
});

test('other events, other actors, and an event without a code complete nothing', async () => {
    const id = await waiting('103');
    expect(await send(created('103', 'c', { action: 'deleted' }))).toBe(204);
    expect(await send(created('103'), secret, 'issue')).toBe(204);
    expect(await send(created('103', ''))).toBe(204);
    expect(await send(created('999'))).toBe(200);
    expect(await send(created('103', 'c', { data: { installation: { uuid: { $ne: 1 }, code: 'c' } } }))).toBe(502);
    expect([await state(id), exchanges]).toEqual(['pending', []]);
});

test('two users who claim one actor: neither is given the account', async () => {
    const ids = [await waiting('104', 'user-1'), await waiting('104', 'mallory')];
    expect(await send(created('104'))).toBe(200);
    expect([await Promise.all(ids.map(state)), exchanges]).toEqual([['pending', 'pending'], []]);
});

test('an outage leaves it waiting; the event can be sent again', async () => {
    const id = await waiting('105');
    fault = (response) => void response.writeHead(503).end();
    expect(await send(created('105'))).toBe(502);
    fault = undefined;
    expect(await state(id)).toBe('pending');
    expect(await send(created('105'))).toBe(200);
    expect(await state(id)).toBe('ok');
});

test('a reconnect keeps the credentials until the new ones are there (S15)', async () => {
    const id = await waiting('106');
    await send(created('106', 'first'));
    const session = await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', {
        body: { connection_id: id, integration_id: 'sentry' },
    });
    expect((await begin(session.body.data.token, 'sentry', '106')).body).toMatchObject({ connectionId: id });
    const meanwhile = await read(id);
    expect([meanwhile.credentials['access_token'], meanwhile.connection_config['pending'], await state(id)]).toEqual(['token for first', true, 'ok']);
    await send(created('106', 'second'));
    const after = await read(id);
    expect([after.credentials['access_token'], after.connection_config['pending']]).toEqual(['token for second', undefined]);
});

test('a reconnect may name another end user, other tags and another webhook URL', async () => {
    const id = await waiting('109');
    await send(created('109', 'first'));
    const session = await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', {
        body: {
            connection_id: id,
            integration_id: 'sentry',
            end_user: { id: 'user-9' },
            tags: { team: 'red' },
            webhook_url_override: 'https://hooks.example.com/9',
        },
    });
    expect((await begin(session.body.data.token, 'sentry', '109')).status).toBe(200);
    await send(created('109', 'second'));
    expect(await read(id)).toMatchObject({
        credentials: { access_token: 'token for second' },
        end_user: { id: 'user-9' },
        tags: { end_user_id: 'user-9', team: 'red' },
        webhook_url_override: 'https://hooks.example.com/9',
    });
});

test('an import over one that waits ends the waiting', async () => {
    const id = await waiting('111');
    const { connection_config: before } = await read(id);
    const credentials = { type: 'OAUTH2', access_token: 'imported' };
    const answer = await valetkey.call('POST', '/connections', { body: { provider_config_key: 'sentry', connection_id: id, credentials } });
    expect(answer.status, answer.text).toBe(201);
    expect((await read(id)).connection_config).toEqual({ hostname: 'sentry.io', actor: '111' });
    expect(await valetkey.query('select state from operations where id = $1', [before['pendingLog']])).toEqual([{ state: 'cancelled' }]);
    expect(await send(created('111', 'late'))).toBe(200);
    expect((await read(id)).credentials['access_token']).toBe('imported');
});

test('a write whose answer was lost is made again, and waits once', async () => {
    const { db } = valetkey.app.database;
    const token = await createSession(valetkey);
    const transaction = vi.spyOn(db, 'transaction');
    const begun = db.transaction();
    transaction.mockReturnValueOnce({
        execute: async (work: never) => {
            await begun.execute(work);
            throw Object.assign(new Error('Connection terminated unexpectedly'), { code: '08006' });
        },
    } as never);
    const answer = await begin(token, 'sentry', '112');
    transaction.mockRestore();
    expect(answer.status, answer.text).toBe(200);
    const id = answer.body.connectionId;
    const operations = await valetkey.query(`select id, state from operations where connection_id = $1 and message like '%nstallation%'`, [id]);
    expect(operations).toContainEqual({ id: (await read(id)).connection_config['pendingLog'], state: 'waiting' });
});

test('after a week, what never had credentials is deleted; what has some keeps them', async () => {
    const [never, again] = [await waiting('107'), await waiting('108')];
    await send(created('108', 'first'));
    const session = await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', {
        body: { connection_id: again, integration_id: 'sentry' },
    });
    await begin(session.body.data.token, 'sentry', '108');
    await expirePending({ db: valetkey.app.database.db, sources: { ...systemSources, now: () => systemSources.now() + 8 * day } });
    expect([await state(never), await state(again)]).toEqual([undefined, 'ok']);
    const { credentials, connection_config } = await read(again);
    expect(credentials['access_token']).toBe('token for first');
    expect(connection_config).not.toHaveProperty('pending');
    expect(connection_config).not.toHaveProperty('pendingLog');
});

describe('is refused', () => {
    test('for other providers, sessions, and values', async () => {
        const session = (body: Record<string, unknown> = {}): Promise<string> => createSession(valetkey, { end_user: { id: 'user-1' }, ...body });
        const codes: [Promise<Answer<{ error: { code: string } }>>, number, string][] = [
            [begin(await session(), 'plain', '1'), 400, 'invalid_auth_mode'],
            [begin(await session(), 'none', '1'), 404, 'unknown_provider_config'],
            [begin(await session({ allowed_integrations: ['plain'] }), 'sentry', '1'), 400, 'integration_not_allowed'],
            [begin(await session(), 'sentry', undefined), 400, 'invalid_query_params'],
            [begin(`${await session()}&params[pending]=x`, 'sentry', '1'), 400, 'invalid_query_params'],
            [begin(`${await session()}&params[installation.uuid]=x`, 'sentry', '1'), 400, 'invalid_query_params'],
            [begin(`${await session()}&connection_id=mine`, 'sentry', '1'), 400, 'invalid_query_params'],
            [begin('nango_connect_session_none', 'sentry', '1'), 401, 'invalid_connect_session_token_format'],
        ];
        for (const [answer, status, code] of codes) {
            const { status: given, body } = await answer;
            expect([given, body.error.code]).toEqual([status, code]);
        }
    });

    test('at the popup’s address', async () => {
        const answer = await valetkey.call('GET', `/oauth/connect/sentry?connect_session_token=${await createSession(valetkey)}`, { key: null });
        expect(answer.status).toBe(400);
        expect(answer.text).toContain('auth_mode_err');
    });

    test('whatever is in the body is ignored', async () => {
        const answer = await begin(await createSession(valetkey), 'sentry', '109', { actor: 'another', pending: false });
        expect(answer.status, answer.text).toBe(200);
        expect((await read(answer.body.connectionId)).connection_config).toMatchObject({ actor: '109', pending: true });
    });
});
