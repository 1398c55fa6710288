/** Credentials over months: keys that are tested day by day (§17.1), grants that lapse whatever is done (webhooks §8.2), over HTTP. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createIntegration, createSession } from '../http/accounts.ts';
import { startTestApp, type TestApp } from '../http/app.ts';
import { startFaultyTokenServer, type FaultyTokenServer } from '../peers/faulty-token-server.ts';
import { listen, readBody, type HttpServer } from '../peers/http-server.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../peers/webhook-receiver.ts';
import { consent, finishPopup, openPopup } from './popup.ts';
import { apiKeyEntry, basicEntry, oauth2Entry, providersFile } from './provider-entries.ts';
import { eventually } from './valetkey.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

interface Row {
    auth_state: string;
    auth_error: { type: string; log_id: string } | null;
    next_refresh_at: Date | null;
    refresh_token_expires_at: Date | null;
    expiry_notice_at: Date | null;
    credential_verdict: string | null;
    credential_refusals: number;
    refresh_attempts: number;
    refresh_lease_owner: string | null;
}

/** The pause before a refusal is confirmed, how often the database's clock is read, and how often workers look for work. */
const hurried = (ms: number): number => (ms === 60_000 ? 3_600_000 : ms === 1_000 ? 10 : ms > 750 && ms < 1_250 ? 40 : ms);

let receiver: WebhookReceiver;
let valetkey: TestApp;
/** Ahead of the computer's. */
let skipped = 0;

const advance = (ms: number): void => {
    skipped += ms;
    valetkey.advance(ms);
};
const now = (): number => Date.now() + skipped;

beforeAll(async () => {
    receiver = await startWebhookReceiver();
});
afterAll(() => receiver?.close());

async function start(providers: string, env: Record<string, string> = {}): Promise<void> {
    valetkey = await startTestApp({ providers, env, waits: hurried });
    skipped = 0;
    await valetkey.listen();
    await valetkey.call('PATCH', '/environment/webhooks', { body: { primary_url: receiver.url, on_auth_creation: false } });
    const events = ['auth.recovery', 'auth.verification', 'auth.expiring'];
    const endpoint = await valetkey.call('POST', '/webhooks/endpoints', { body: { url: `${receiver.url}opt-in`, events } });
    expect(endpoint.status, endpoint.text).toBe(200);
}

const row = async (id: string): Promise<Row> => (await valetkey.query<Row>('select * from connections where connection_id = $1', [id]))[0]!;
/** Of the default kinds, or of those that an endpoint has asked for. */
const told = (id: string, path = '/'): unknown[] =>
    receiver.deliveries
        .filter((delivery) => delivery.path === path)
        .map(({ body }) => JSON.parse(body.toString()) as { operation: string; success: boolean; connectionId: string; error?: { type: string } })
        .filter(({ connectionId }) => connectionId === id)
        .map(({ operation, success, error }) => [operation, success, error?.type]);
const untilDelivered = (): Promise<void> =>
    eventually(async () => expect(await valetkey.query("select 1 from webhook_deliveries where state = 'pending'")).toEqual([]));
/** Lets time go by until just after the connection is due, and the worker look at it. */
async function untilLookedAt(id: string): Promise<Row> {
    await untilDelivered();
    const due = (await row(id)).next_refresh_at!;
    advance(Math.max(0, due.getTime() - now()) + 10);
    return eventually(async () => {
        const after = await row(id);
        expect([after.refresh_lease_owner, after.next_refresh_at?.getTime()]).not.toEqual([null, due.getTime()]);
        expect(after.refresh_lease_owner).toBeNull();
        return after;
    });
}

describe('typed-in credentials', () => {
    let api: HttpServer;
    let status: number | 'hang-up';
    let retryAfter: string | undefined;
    let asked: string[];

    beforeAll(async () => {
        api = await listen((request, response) => {
            asked.push(`${request.url} ${request.headers.authorization}`);
            return status === 'hang-up'
                ? void request.socket.destroy()
                : void response.writeHead(status, retryAfter === undefined ? {} : { 'retry-after': retryAfter }).end();
        });
    });
    afterAll(() => api?.close());
    beforeEach(() => {
        status = 200;
        retryAfter = undefined;
        asked = [];
    });

    const imported = async (integration: string, credentials: Record<string, unknown>): Promise<string> => {
        const answer = await valetkey.call<{ connection_id: string }>('POST', '/connections', {
            body: { provider_config_key: integration, credentials },
        });
        expect(answer.status, answer.text).toBe(201);
        return answer.body.connection_id;
    };
    const key = () => imported('keys', { type: 'API_KEY', apiKey: 'k-1' });
    const read = (id: string, query = '') =>
        valetkey.call<{ credentials: unknown; errors: { type: string; log_id: string }[] }>(
            'GET',
            `/connections/${id}?provider_config_key=keys${query}`,
        );

    describe('once a day', () => {
        beforeAll(async () => {
            const base = `http://127.0.0.1:${api.port}`;
            await start(providersFile(apiKeyEntry('keys', base), basicEntry('logins', base)));
            await createIntegration(valetkey, 'keys', 'keys');
            await createIntegration(valetkey, 'logins', 'logins');
            valetkey.app.startWork();
        });
        afterAll(() => valetkey?.close());

        test('accepted: nobody hears of it; reads do not ask, whether it is due or not, forced or not', async () => {
            const id = await key();
            expect(asked).toEqual(['/me Bearer k-1']);
            const { next_refresh_at: first } = await row(id);
            expect(Math.abs(first!.getTime() - now() - day)).toBeLessThan(3 * hour);
            await read(id);
            await read(id, '&force_refresh=true');
            expect(asked).toHaveLength(1);
            expect((await row(id)).next_refresh_at).toEqual(first);

            const after = await untilLookedAt(id);
            expect(asked).toHaveLength(2);
            expect(after).toMatchObject({ auth_state: 'ok', auth_error: null, credential_verdict: 'accepted' });
            expect(after.next_refresh_at!.getTime() - now()).toBeGreaterThan(21 * hour);
            expect(told(id)).toEqual([]);
        });

        test('refused: confirmed first, then said once; the key is handed out still; allowed again, it recovers', async () => {
            const id = await key();
            status = 401;
            const doubted = await untilLookedAt(id);
            expect(doubted).toMatchObject({ auth_state: 'ok', auth_error: null, credential_refusals: 1 });
            expect(doubted.next_refresh_at!.getTime() - now()).toBeLessThan(10 * minute);
            expect(told(id)).toEqual([]);

            const lost = await untilLookedAt(id);
            expect(lost).toMatchObject({
                auth_state: 'needs_reauth',
                auth_error: { type: 'connection_test_failed' },
                credential_verdict: 'rejected',
            });
            await eventually(() => expect(told(id)).toEqual([['refresh', false, 'connection_test_failed']]));
            await eventually(() => expect(told(id, '/opt-in')).toEqual([['verification', false, 'connection_test_failed']]));
            const answer = await read(id);
            expect([answer.status, answer.body.credentials]).toEqual([200, { type: 'API_KEY', apiKey: 'k-1' }]);
            expect(answer.body.errors).toEqual([{ type: 'auth', log_id: lost.auth_error!.log_id }]);
            const [operation] = await valetkey.query('select type, action, state from operations where id = $1', [lost.auth_error!.log_id]);
            expect(operation).toEqual({ type: 'auth', action: 'connection_test', state: 'failed' });

            await untilLookedAt(id);
            await untilDelivered();
            expect([told(id).length, told(id, '/opt-in').length]).toEqual([1, 1]);

            status = 204;
            expect(await untilLookedAt(id)).toMatchObject({
                auth_state: 'ok',
                auth_error: null,
                credential_verdict: 'accepted',
                credential_refusals: 0,
            });
            expect((await read(id)).body.errors).toEqual([]);
            await eventually(() =>
                expect(told(id, '/opt-in').slice(1).toSorted()).toEqual([
                    ['refresh', true, undefined],
                    ['verification', true, undefined],
                ]),
            );
            expect(told(id)).toHaveLength(1);
        });

        test.each([503, 429, 'hang-up'] as const)('%s: says nothing about the key, and is asked again soon', async (fault) => {
            const id = await key();
            status = fault;
            for (const attempts of [1, 2, 3]) {
                const after = await untilLookedAt(id);
                expect(after).toMatchObject({ auth_state: 'ok', auth_error: null, refresh_attempts: attempts, credential_refusals: 0 });
                expect(after.next_refresh_at!.getTime() - now()).toBeLessThan(10 * minute);
            }
            status = 200;
            expect(await untilLookedAt(id)).toMatchObject({ refresh_attempts: 0, credential_verdict: 'accepted' });
            expect(told(id)).toEqual([]);
        });

        test('with Retry-After: not before, however soon it would have been', async () => {
            const id = await key();
            [status, retryAfter] = [429, '7200'];
            const after = await untilLookedAt(id);
            expect(after).toMatchObject({ auth_state: 'ok', refresh_attempts: 1 });
            expect(after.next_refresh_at!.getTime() - now()).toBeGreaterThan(119 * minute);
        });

        test('a reconnect ends the trouble, and the schedule begins anew', async () => {
            const id = await imported('logins', { type: 'BASIC', username: 'u', password: 'p' });
            status = 403;
            await untilLookedAt(id);
            expect(await untilLookedAt(id)).toMatchObject({ auth_state: 'needs_reauth' });
            status = 200;
            const again = { provider_config_key: 'logins', connection_id: id, credentials: { type: 'BASIC', username: 'u', password: 'p2' } };
            expect((await valetkey.call('POST', '/connections', { body: again })).status).toBe(201);
            const after = await row(id);
            expect(after).toMatchObject({ auth_state: 'ok', auth_error: null, credential_verdict: null, credential_refusals: 0 });
            expect(Math.abs(after.next_refresh_at!.getTime() - now() - day)).toBeLessThan(3 * hour);
        });
    });

    test('switched off: looked at, and nobody is asked', async () => {
        await start(providersFile(apiKeyEntry('keys', `http://127.0.0.1:${api.port}`)), { VALETKEY_CREDENTIAL_TEST_INTERVAL: '0' });
        await createIntegration(valetkey, 'keys', 'keys');
        valetkey.app.startWork();
        const id = await key();
        asked = [];
        status = 401;
        expect(await untilLookedAt(id)).toMatchObject({ auth_state: 'ok', credential_refusals: 0 });
        expect(asked).toEqual([]);
        await valetkey.close();
    });
});

describe('grants that end', () => {
    let consentServer: FaultyTokenServer;
    let tokenServer: HttpServer;
    /** What the token endpoint says beside the token; `null`: it is down. */
    let beside: (() => Record<string, unknown>) | null;
    let calls: number;

    beforeAll(async () => {
        consentServer = await startFaultyTokenServer();
        tokenServer = await listen((request, response) => {
            void readBody(request).then(() => {
                calls += 1;
                const answer = beside === null ? { error: 'temporarily_unavailable' } : { access_token: `a-${calls}`, ...beside() };
                response.writeHead(beside === null ? 503 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
            });
        });
        await start(providersFile(oauth2Entry('app', { ...consentServer, tokenEndpoint: `http://127.0.0.1:${tokenServer.port}/token` })));
        await createIntegration(valetkey, 'app', 'app', { credentials: { type: 'OAUTH2', client_id: consentServer.clientId, client_secret: 's' } });
        valetkey.app.startWork();
    });
    afterAll(async () => {
        await valetkey?.close();
        await Promise.all([consentServer?.close(), tokenServer?.close()]);
    });
    beforeEach(() => {
        calls = 0;
    });
    // The next test's clock is the same: what is left of this one would keep the worker busy.
    afterEach(() => valetkey.query('update connections set next_refresh_at = null'));

    const connect = async (token?: string): Promise<string> => {
        const popup = await openPopup(valetkey.url, `/oauth/connect/app?connect_session_token=${token ?? (await createSession(valetkey))}`);
        const { page, outcome } = await finishPopup(popup, await consent(popup.authorizationUrl));
        popup.socket.close();
        expect(page.status, page.html).toBe(200);
        return outcome.connection_id!;
    };
    const read = (id: string) =>
        valetkey.call<{ credentials_expires_at: string | null; refresh_token_expires_at: string | null }>(
            'GET',
            `/connections/${id}?provider_config_key=app`,
        );
    const expiring = async (id: string): Promise<unknown[]> => {
        const events = await valetkey.query<{ body: string }>(
            `select e.body from webhook_events e join connections c on c.id = e.connection_row_id
             where c.connection_id = $1 and e.operation = 'expiring' order by e.created_at`,
            [id],
        );
        return events.map(({ body }) => (JSON.parse(body) as { error: { type: string } }).error.type);
    };

    test('a refresh token whose end moves with each renewal: shown, renewed in time, never told', async () => {
        beside = () => ({ refresh_token: `r-${calls}`, expires_in: 60 * 86_400, refresh_token_expires_in: 4 * 86_400 });
        const id = await connect();
        const before = (await read(id)).body;
        expect(Date.parse(before.refresh_token_expires_at!) - now()).toBeGreaterThan(3.9 * day);
        expect(Date.parse(before.credentials_expires_at!) - now()).toBeGreaterThan(59 * day);
        for (const renewal of [2, 3, 4]) {
            const after = await untilLookedAt(id);
            expect(calls).toBe(renewal);
            expect(after.refresh_token_expires_at!.getTime() - now()).toBeGreaterThan(3.9 * day);
        }
        expect(await expiring(id)).toEqual([]);
    });

    test('one that ends at a fixed time, as of an unpublished Google app: told once, days ahead, while renewals go on', async () => {
        const end = now() + 7 * day;
        beside = () => ({ refresh_token: 'r', expires_in: 3 * 86_400, refresh_token_expires_in: Math.floor((end - now()) / 1000) });
        const id = await connect();
        let after = await row(id);
        for (let looks = 0; now() < end - 2 * day && looks < 20; looks += 1) {
            after = await untilLookedAt(id);
            expect(Math.abs(after.refresh_token_expires_at!.getTime() - end)).toBeLessThan(minute);
            expect(await expiring(id)).toEqual(now() < end - 1.76 * day ? [] : ['refresh_token_expiring']);
        }
        // No more often than its access token needs: its own end is not put off by asking.
        expect(calls).toBeLessThanOrEqual(6);
        expect(await expiring(id)).toEqual(['refresh_token_expiring']);
        await untilLookedAt(id);
        expect(await expiring(id)).toEqual(['refresh_token_expiring']);
    });

    test('it is told although the renewal fails, and a reconnect begins anew', async () => {
        const end = now() + 8 * day;
        beside = () => ({ refresh_token: 'r', refresh_token_expires_in: Math.floor((end - now()) / 1000) });
        const id = await connect();
        while (calls < 2) await untilLookedAt(id);
        beside = null;
        let after = await untilLookedAt(id);
        for (let looks = 0; now() < end - 1.9 * day && looks < 30; looks += 1) {
            after = await untilLookedAt(id);
        }
        expect(after.auth_state).toBe('degraded');
        expect(await expiring(id)).toEqual(['refresh_token_expiring']);
        expect(after.expiry_notice_at).toBeNull();

        beside = () => ({ refresh_token: 'r2', refresh_token_expires_in: 8 * 86_400 });
        const session = await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', {
            body: { connection_id: id, integration_id: 'app' },
        });
        expect(await connect(session.body.data.token)).toBe(id);
        const anew = await row(id);
        expect(anew.auth_state).toBe('ok');
        expect(Math.abs(anew.expiry_notice_at!.getTime() - now() - 6 * day)).toBeLessThan(minute);
    });

    test('an access token without a refresh token: told ahead of its end, then said to be over', async () => {
        beside = () => ({ expires_in: 60 * 86_400 });
        const id = await connect();
        const after = await untilLookedAt(id);
        expect(await expiring(id)).toEqual(['access_token_expiring']);
        expect(after).toMatchObject({ auth_state: 'ok', expiry_notice_at: null });
        expect(await untilLookedAt(id)).toMatchObject({ auth_state: 'expired_no_refresh' });
        expect(await expiring(id)).toEqual(['access_token_expiring']);
        expect(calls).toBe(1);
    });
});
