/** What a provider may do wrong when credentials are renewed (R4, R5, R6, R15), over HTTP, with hours that pass at once. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createIntegration, createSession } from '../http/accounts.ts';
import { startTestApp, type Answer, type TestApp } from '../http/app.ts';
import { startFaultyTokenServer, type Fault, type FaultyTokenServer } from '../peers/faulty-token-server.ts';
import { listen, readBody } from '../peers/http-server.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../peers/webhook-receiver.ts';
import { consent, finishPopup, openPopup } from './popup.ts';
import { oauth2Entry, providersFile } from './provider-entries.ts';
import { eventually } from './valetkey.ts';

interface Connection {
    credentials: { access_token?: string; refresh_token?: string; expires_at?: string };
    errors: { type: string; log_id: string }[];
}
interface Failure {
    error: { code: string; message: string; payload: { type: string; connection: Connection & { connection_id: string } } };
}

/** A webhook's body. */
interface Told {
    operation: string;
    success: boolean;
    connectionId: string;
    error?: { type: string };
}

const minute = 60_000;
const second = 1000;

let server: FaultyTokenServer;
let valetkey: TestApp;
let id: string;

/** The pause before a refusal is confirmed; how often the database's clock is read; in one test, the deadline of a token call. */
const hurried: Record<number, number> = { 1_000: 10, 60_000: 3_600_000 };
const options = (entry: Record<string, unknown>) => ({
    waits: (ms: number) => hurried[ms] ?? ms,
    providers: providersFile(entry),
});
const start = async (entry: Record<string, unknown>): Promise<TestApp> => {
    const app = await startTestApp(options(entry));
    await app.listen();
    await createIntegration(app, 'faulty', 'faulty', {
        credentials: { type: 'OAUTH2', client_id: server.clientId, client_secret: server.clientSecret },
    });
    return app;
};
/** @returns the id of a connection whose token lives for an hour. */
const connect = async (app: TestApp): Promise<string> => {
    const popup = await openPopup(app.url, `/oauth/connect/faulty?connect_session_token=${await createSession(app)}`);
    const { page, outcome } = await finishPopup(popup, await consent(popup.authorizationUrl));
    popup.socket.close();
    expect(page.status, page.html).toBe(200);
    return outcome.connection_id!;
};
const read = <Body = Connection>(query = ''): Promise<Answer<Body>> =>
    valetkey.call<Body>('GET', `/connections/${id}?provider_config_key=faulty&refresh_token=true${query}`);
const calls = (): number => server.requests.filter((request) => request.params['grant_type'] === 'refresh_token').length;
const state = async (): Promise<string> =>
    (await valetkey.query<{ auth_state: string }>('select auth_state from connections where connection_id = $1', [id]))[0]!.auth_state;

/** Without a receiver there are no events. */
const receiveWebhooks = () => valetkey.call('PATCH', '/environment/webhooks', { body: { primary_url: 'https://hooks.example.com' } });
/** Of renewals of this connection, in order: whether they tell of a success. */
const events = async (): Promise<boolean[]> => {
    const rows = await valetkey.query<{ body: string }>(
        `select body from webhook_events where operation = 'refresh' and body::jsonb ->> 'connectionId' = $1 order by id`,
        [id],
    );
    return rows.map(({ body }) => (JSON.parse(body) as { success: boolean }).success);
};

beforeAll(async () => {
    server = await startFaultyTokenServer();
});

afterAll(() => server?.close());

describe('renewed by reads', () => {
    beforeAll(async () => {
        valetkey = await start(oauth2Entry('faulty', server));
    });

    afterAll(() => valetkey?.close());

    beforeEach(async () => {
        server.fail(null);
        delete hurried[20_000];
        id = await connect(valetkey);
    });

    const transient: Fault[] = ['timeout', 'hang-up', 'html', 'empty', 'not-json', 'status:500', 'status:429', 'status:408', 'huge', 'retry-after:1'];
    test.each(transient)('%s: the old token is served while it lives, then 424 with the way back; it recovers at the next attempt', async (fault) => {
        const before = (await read()).body.credentials;
        valetkey.advance(50 * minute); // within the margin of 15 minutes
        server.fail(fault);
        const called = calls();

        if (fault === 'timeout') hurried[20_000] = 500;
        const degraded = await read();
        expect([degraded.status, degraded.body.credentials]).toEqual([200, before]);
        expect(degraded.body.errors).toEqual([{ type: 'auth', log_id: expect.any(String) as string }]);
        expect(await state()).toBe('degraded');
        // the next reads do not ask again at once
        await read();
        expect(calls() - called).toBe(1);

        valetkey.advance(10 * minute - 20 * second);
        const spent = await read<Failure>();
        expect([spent.status, spent.body.error.code, spent.body.error.payload.type]).toEqual([
            424,
            'invalid_credentials',
            'connection_refresh_backoff',
        ]);
        expect(Number(spent.headers['retry-after'])).toBeGreaterThanOrEqual(1);
        expect(spent.body.error.payload.connection).toMatchObject({ connection_id: id, credentials: {}, errors: [{ type: 'auth' }] });
        expect(spent.text).not.toContain(before.access_token);
        expect(await state()).toBe('unavailable');

        server.fail(null);
        valetkey.advance(35 * second);
        const healthy = await read();
        // An answer that never came may have redeemed the token it was asked with; here it did not.
        expect([healthy.status, healthy.body.errors]).toEqual([200, []]);
        expect(healthy.body.credentials.access_token).not.toBe(before.access_token);
        expect(await state()).toBe('ok');
        expect(server.presentedTwice()).toBe(false);
    });

    test('forced, the failure is told at once, with the connection but not its credentials', async () => {
        const before = (await read()).body.credentials;
        server.fail('status:503');
        const forced = await read<Failure>('&force_refresh=true');
        expect([forced.status, forced.body.error.code, forced.body.error.payload.type]).toEqual([
            400,
            'invalid_credentials',
            'refresh_token_external_error',
        ]);
        expect(forced.body.error.message).toMatch(/answered 503/);
        expect(forced.body.error.payload.connection.credentials).toEqual({});
        // and an unforced read still has the token
        expect((await read()).body.credentials).toEqual(before);
        server.fail(null);
        expect((await read('&force_refresh=true')).body.credentials.access_token).not.toBe(before.access_token);
    });

    test('Retry-After is honoured: nobody asks before, also when the token has died meanwhile', async () => {
        valetkey.advance(58 * minute);
        server.fail('retry-after:600');
        await read();
        const called = calls();
        valetkey.advance(5 * minute);
        server.fail(null);
        const early = await read<Failure>();
        expect([early.status, early.body.error.payload.type]).toEqual([424, 'connection_refresh_backoff']);
        const wait = Number(early.headers['retry-after']);
        expect(wait).toBeGreaterThan(290);
        expect(wait).toBeLessThanOrEqual(300);
        expect(calls()).toBe(called);
        valetkey.advance(5 * minute + second);
        expect((await read()).status).toBe(200);
        expect(calls()).toBe(called + 1);
    });

    test('a form-encoded answer renews', async () => {
        const before = (await read()).body.credentials;
        valetkey.advance(50 * minute);
        server.fail('form');
        const after = await read();
        expect([after.status, after.body.errors]).toEqual([200, []]);
        expect(after.body.credentials).toMatchObject({
            access_token: expect.stringMatching(/^access-/) as string,
            refresh_token: expect.stringMatching(/^refresh-/) as string,
        });
        expect(after.body.credentials.refresh_token).not.toBe(before.refresh_token);
    });

    test('an answer without a refresh token keeps the old one, which goes on working', async () => {
        const before = (await read()).body.credentials;
        server.fail('no-refresh-token');
        const after = (await read('&force_refresh=true')).body.credentials;
        expect(after.access_token).not.toBe(before.access_token);
        expect(after.refresh_token).toBe(before.refresh_token);
        server.fail(null);
        const next = await read('&force_refresh=true');
        expect([next.status, next.body.credentials.refresh_token === before.refresh_token]).toEqual([200, false]);
    });

    test('a failure that is not committed is not told either: state and webhook are one transaction (W1)', async () => {
        await valetkey.call('PATCH', '/environment/webhooks', { body: { primary_url: 'https://hooks.example.com' } });
        server.fail('error-in-200');
        await valetkey.query(`create function refuse() returns trigger language plpgsql as 'begin raise exception ''refused''; end'`);
        // at the commit, when everything has been written
        await valetkey.query(
            `create constraint trigger refused after update of auth_state on connections deferrable initially deferred for each row execute function refuse()`,
        );
        try {
            expect((await read<Failure>('&force_refresh=true')).status).not.toBe(200);
            expect(await state()).toBe('ok');
            expect(await valetkey.query(`select 1 from webhook_events where operation = 'refresh'`)).toEqual([]);
        } finally {
            await valetkey.query('drop trigger refused on connections');
            await valetkey.query('drop function refuse');
            await valetkey.call('PATCH', '/environment/webhooks', { body: { primary_url: '' } });
        }
    });

    test('an error inside a 200 is a refusal: confirmed once, then needs_reauth, and no further calls', async () => {
        const before = (await read()).body.credentials;
        server.fail('error-in-200');
        const called = calls();
        const forced = await read<Failure>('&force_refresh=true');
        expect(forced.status).toBe(400);
        expect(forced.body.error.message).toContain('(bad_refresh_token: incorrect or expired)');
        expect(calls() - called).toBe(2);
        expect(await state()).toBe('needs_reauth');
        // while the token lives it is handed out, with the problem named
        expect(await read()).toMatchObject({ status: 200, body: { credentials: before, errors: [{ type: 'auth' }] } });
        valetkey.advance(3 * 24 * 60 * minute);
        const spent = await read<Failure>();
        expect([spent.status, spent.body.error.payload.type, spent.headers['retry-after']]).toEqual([424, 'connection_refresh_exhausted', undefined]);
        expect(calls() - called).toBe(2);
        // a forced refresh may still find that the provider has changed its mind
        server.fail(null);
        expect((await read('&force_refresh=true')).status).toBe(200);
        expect(await state()).toBe('ok');
    });

    test('metadata that is written during a slow renewal stays (R3, §20.2 no. 3)', async () => {
        const before = (await read()).body.credentials;
        await valetkey.call('POST', '/connections/metadata', {
            body: { connection_id: id, provider_config_key: 'faulty', metadata: { a: 1, kept: true } },
        });
        server.fail('held');
        const called = calls();
        const forced = read('&force_refresh=true');
        await eventually(() => expect(calls()).toBe(called + 1));
        const patched = await valetkey.call('PATCH', '/connections/metadata', {
            body: { connection_id: id, provider_config_key: 'faulty', metadata: { a: 2, b: 3 } },
        });
        expect(patched.status).toBe(200);
        server.release();
        expect((await forced).body.credentials.access_token).not.toBe(before.access_token);
        const after = await read<Connection & { metadata: unknown }>();
        expect(after.body.metadata).toEqual({ a: 2, b: 3, kept: true });
    });

    test('invalid_grant: confirmed once, one event, no further call; connecting again clears everything (§20.2 no. 5)', async () => {
        await receiveWebhooks();
        server.fail('deny');
        const called = calls();
        valetkey.advance(50 * minute);
        expect((await read()).status).toBe(200);
        expect([calls() - called, await state()]).toEqual([2, 'needs_reauth']);
        for (let hour = 0; hour < 3; hour += 1) {
            valetkey.advance(60 * minute);
            expect((await read<Failure>()).body.error.payload.type).toBe('connection_refresh_exhausted');
        }
        expect(calls() - called).toBe(2);
        expect(await events()).toEqual([false]);

        server.fail(null);
        const session = await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', {
            body: { connection_id: id, integration_id: 'faulty', end_user: { id: 'user-1' } },
        });
        const popup = await openPopup(valetkey.url, `/oauth/connect/faulty?connect_session_token=${session.body.data.token}`);
        const { outcome } = await finishPopup(popup, await consent(popup.authorizationUrl));
        popup.socket.close();
        expect(outcome.connection_id).toBe(id);
        expect(await read()).toMatchObject({ status: 200, body: { errors: [] } });
        const rows = await valetkey.query(
            `select auth_state, auth_error, refresh_attempts, last_refresh_failure, refresh_failure_reported_at, next_refresh_at > now() as is_scheduled
             from connections where connection_id = $1`,
            [id],
        );
        expect(rows).toEqual([
            {
                auth_state: 'ok',
                auth_error: null,
                refresh_attempts: 0,
                last_refresh_failure: null,
                refresh_failure_reported_at: null,
                is_scheduled: true,
            },
        ]);
    });

    test('a redirect is no answer: the old token serves, and nobody follows', async () => {
        valetkey.advance(50 * minute);
        server.fail('redirect');
        expect((await read()).status).toBe(200);
        expect(await state()).toBe('degraded');
        expect(server.requests.some((request) => request.path === '/elsewhere')).toBe(false);
        server.fail(null);
        valetkey.advance(31 * minute);
        expect(await read()).toMatchObject({ status: 200, body: { errors: [] } });
    });
});

describe('renewed in the background', () => {
    let receiver: WebhookReceiver;

    beforeAll(async () => {
        receiver = await startWebhookReceiver();
        valetkey = await start(oauth2Entry('faulty', server));
        const body = { url: receiver.url, events: ['auth.refresh', 'auth.recovery'] };
        await valetkey.call('POST', '/webhooks/endpoints', { body });
        valetkey.app.startWork();
    });

    afterEach(() => server.fail(null));

    afterAll(async () => {
        await valetkey?.close();
        await receiver?.close();
    });

    /** By id: a delivery that is under way when the clock jumps past its lease is sent once more, as it should be. */
    const told = (): [id: string, body: Told][] => [
        ...new Map(
            receiver.deliveries
                .map(({ headers, body }) => [String(headers['webhook-id']), JSON.parse(body.toString()) as Told] as [string, Told])
                .filter(([, { connectionId }]) => connectionId === id),
        ),
    ];

    test('503 for an hour: served until the token dies, then 424, never given up, told once, over by itself, told once (§20.2 no. 4)', async () => {
        id = await connect(valetkey);
        const before = (await read()).body.credentials;
        const expiresAt = Date.parse(before.expires_at!);
        let skipped = 0;
        const passTo = (moment: number): void => {
            const ms = moment - Date.now() - skipped;
            skipped += ms;
            valetkey.advance(ms);
        };
        const startedAt = expiresAt - 10 * minute;
        server.fail('status:503');
        for (let passed = 0; passed < 9; passed += 1) {
            passTo(startedAt + passed * minute);
            expect((await read()).status).toBe(200);
        }
        passTo(expiresAt - 60 * second);
        expect((await read()).body.credentials).toEqual(before);
        passTo(expiresAt - 30 * second);
        for (let passed = 10; passed <= 60; passed += 1) {
            const spent = await read<Failure>();
            expect([spent.status, spent.body.error.payload.type]).toEqual([424, 'connection_refresh_backoff']);
            passTo(startedAt + passed * minute);
        }
        await eventually(async () => expect(await state()).toBe('unavailable'));
        await eventually(() => expect(told()).toHaveLength(1));

        server.fail(null);
        // Nobody reads: its worker comes back by itself.
        await eventually(async () => {
            const [row] = await valetkey.query<{ at: Date; state: string }>(
                'select next_refresh_at as at, auth_state as state from connections where connection_id = $1',
                [id],
            );
            if (row!.state !== 'ok') passTo(Math.max(row!.at.getTime(), Date.now() + skipped));
            expect(row!.state).toBe('ok');
        });
        const called = calls();
        const after = await read();
        expect([after.status, after.body.errors, calls()]).toEqual([200, [], called]);
        expect(after.body.credentials.access_token).not.toBe(before.access_token);

        await eventually(() => expect(told()).toHaveLength(2));
        const log = await valetkey.call<{ data: { id: string; connection_id: string; body: Told }[] }>('GET', '/events');
        const logged = log.body.data.filter((event) => event.connection_id === id && event.body.operation === 'refresh');
        expect(logged.map((event) => [event.body.success, event.body.error?.type])).toEqual([
            [false, 'refresh_token_external_error'],
            [true, undefined],
        ]);
        expect(logged.map((event) => [event.id, event.body])).toEqual(told());
    });
});

test('a provider that fails for several connections is left alone, and a read says when to come back (R10)', async () => {
    valetkey = await start(oauth2Entry('faulty', server));
    const ids: string[] = [];
    for (let count = 0; count < 6; count += 1) ids.push(await connect(valetkey));
    valetkey.advance(50 * minute);
    server.fail('status:503');
    const of = async <Body = Connection>(index: number): Promise<Answer<Body>> => {
        id = ids[index]!;
        return read<Body>();
    };
    for (let index = 0; index < 5; index += 1) await of(index);
    await eventually(async () =>
        expect(await valetkey.query('select host from token_hosts where open_until is not null')).toEqual([{ host: new URL(server.url).host }]),
    );
    const called = calls();
    // What still works is served, and is nobody's failure.
    expect(await of(5)).toMatchObject({ status: 200, body: { errors: [] } });
    valetkey.advance(9 * minute + 45 * second);
    // Its cool-down over, the first in need finds out; that it is still so holds for all the others.
    expect((await of<Failure>(0)).status).toBe(424);
    await eventually(async () => expect(await valetkey.query('select 1 from token_hosts where openings = 2')).toHaveLength(1));
    const spent = await of<Failure>(5);
    expect([spent.status, spent.body.error.payload.type]).toEqual([424, 'connection_refresh_backoff']);
    expect(Number(spent.headers['retry-after'])).toBeGreaterThanOrEqual(50);
    expect(calls() - called).toBe(1);
    await eventually(() => expect(valetkey.log()).toContain('left alone for a while'));

    server.fail(null);
    valetkey.advance(2 * minute);
    expect((await of(0)).status).toBe(200);
    await eventually(async () => expect(await valetkey.query('select 1 from token_hosts')).toEqual([]));
    expect(await of(5)).toMatchObject({ status: 200, body: { errors: [] } });
    await eventually(() => expect(valetkey.log()).toContain('answers again'));
    await valetkey.close();
});

test('a provider whose words the database cannot keep does not hold its connection up', async () => {
    let isBroken = false;
    const scripted = await listen((request, response) => {
        void readBody(request).then(() => {
            const answer = isBroken
                ? { error: 'odd', error_description: `\u0000 ${'😀'.repeat(200)}` }
                : { access_token: `t-${Math.random()}`, refresh_token: 'r', expires_in: 3600 };
            response.writeHead(isBroken ? 400 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
        });
    });
    valetkey = await start(oauth2Entry('faulty', { ...server, tokenEndpoint: `http://127.0.0.1:${scripted.port}/token` }));
    id = await connect(valetkey);
    isBroken = true;
    const forced = await read<Failure>('&force_refresh=true');
    expect([forced.status, forced.body.error.payload.type]).toEqual([400, 'refresh_token_external_error']);
    expect(await state()).toBe('degraded');
    isBroken = false;
    expect((await read('&force_refresh=true')).status).toBe(200);
    await valetkey.close();
    await scripted.close();
});
