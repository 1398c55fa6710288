/** Attempts whose callback came and whose outcome did not: ended once, and never against one that comes after all. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createIntegration, createSession } from '../http/accounts.ts';
import { startTestApp, type TestApp } from '../http/app.ts';
import { startFaultyTokenServer, type FaultyTokenServer } from '../peers/faulty-token-server.ts';
import { listen, readBody, type HttpServer } from '../peers/http-server.ts';
import { consent, openPopup, type Frame, type Popup } from './popup.ts';
import { oauth2Entry, providersFile } from './provider-entries.ts';
import { openCallback, type CallbackAnswer } from './user.ts';
import { eventually } from './valetkey.ts';

interface Outcome {
    status: string;
    error?: { type: string; description: string };
}
interface Exchange {
    answer(status: number, body: object): void;
}

let server: FaultyTokenServer;
/** A token endpoint whose answers the test gives, when it likes. */
let slow: HttpServer;
let exchanges: Exchange[];
let valetkey: TestApp;
let sessionToken: string;
const popups: Popup[] = [];

beforeAll(async () => {
    server = await startFaultyTokenServer();
    slow = await listen((request, response) => {
        void readBody(request).then(() =>
            exchanges.push({
                answer: (status, body) => {
                    if (!response.writableEnded) response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
                },
            }),
        );
    });
});

afterAll(() => Promise.all([server?.close(), slow?.close()]));

beforeEach(async () => {
    exchanges = [];
    valetkey = await startTestApp({
        // how often it is looked for them, and how long others may write first
        waits: { 60_000: 100, 3_000: 50 },
        providers: providersFile(
            oauth2Entry('slow', { authorizationEndpoint: server.authorizationEndpoint, tokenEndpoint: `http://127.0.0.1:${slow.port}/token` }),
        ),
    });
    await valetkey.listen();
    valetkey.app.startWork();
    const credentials = { type: 'OAUTH2', client_id: server.clientId, client_secret: server.clientSecret };
    await createIntegration(valetkey, 'slow', 'slow', { credentials });
    sessionToken = await createSession(valetkey);
});

afterEach(async () => {
    popups.splice(0).forEach((popup) => popup.socket.close());
    // Stopping waits for callbacks that are under way.
    exchanges.forEach((exchange) => exchange.answer(400, refusal));
    await valetkey?.close();
});

const tokens = { access_token: 'an access token', refresh_token: 'a refresh token', token_type: 'bearer', expires_in: 3600 };
const refusal = { error: 'invalid_grant' };

/** A callback that waits for its provider. */
async function beginCallback(): Promise<{ popup: Popup; page: Promise<CallbackAnswer>; exchange: Exchange }> {
    const popup = await openPopup(valetkey.url, `/oauth/connect/slow?connect_session_token=${sessionToken}`);
    popups.push(popup);
    const count = exchanges.length;
    const page = openCallback(await consent(popup.authorizationUrl), popup.cookie);
    await eventually(() => expect(exchanges).toHaveLength(count + 1));
    return { popup, page, exchange: exchanges[count]! };
}
/** As if every callback that is under way had been for an hour. */
const anHourPasses = () => valetkey.query(`update oauth_flows set consumed_at = consumed_at - interval '1 hour' where outcome is null returning id`);
const untilHeard = ({ socket }: Popup): Promise<Frame> =>
    eventually(() => {
        expect(socket.frames).toHaveLength(2);
        return socket.frames[1]!;
    });
const untilEnded = (): Promise<void> =>
    eventually(async () => expect(await valetkey.query('select 1 from oauth_flows where outcome is null')).toEqual([]));
const sessionOutcome = async (): Promise<Outcome | null> =>
    (await valetkey.call<{ data: { outcome: Outcome | null } }>('GET', '/connect/session', { key: sessionToken })).body.data.outcome;
const operationState = async (): Promise<unknown[]> => {
    const rows = await valetkey.query<{ state: string }>(`select state from operations where action = 'create_connection'`);
    return rows.map(({ state }) => state);
};
const told = async (): Promise<unknown[]> =>
    (await valetkey.query<{ body: string }>('select body from webhook_events order by created_at, id')).map(({ body }) => {
        const { operation, success, error } = JSON.parse(body) as { operation: string; success: boolean; error?: { type: string } };
        return [operation, success, error?.type];
    });

test('page, socket, operation and backend are told that nothing was stored', async () => {
    const { popup } = await beginCallback();
    await anHourPasses();
    const { error_type: type, error_desc: description } = await untilHeard(popup);
    expect(type).toBe('interrupted');
    expect(description).toMatch(/nothing was stored\. Please start again/);
    expect(await sessionOutcome()).toMatchObject({ status: 'error', error: { type, description } });
    expect(await operationState()).toEqual(['failed']);
    expect(await told()).toEqual([['creation', false, 'interrupted']]);
});

test('a callback under way is left alone for as long as one may take', async () => {
    const { page, exchange } = await beginCallback();
    await valetkey.query(`update oauth_flows set consumed_at = consumed_at - interval '4 minutes 30 seconds'`);
    const { popup: second } = await beginCallback();
    // The other one is found, so this one was looked at too.
    await valetkey.query(`update oauth_flows set consumed_at = consumed_at - interval '1 hour' where ws_client_id = $1`, [second.socket.id]);
    expect((await untilHeard(second)).error_type).toBe('interrupted');
    exchange.answer(200, tokens);
    expect((await page).status).toBe(200);
    expect(await sessionOutcome()).toMatchObject({ status: 'success' });
});

test('a callback that was only slow keeps what it got, and has the last word', async () => {
    const { page, exchange } = await beginCallback();
    await anHourPasses();
    await untilEnded();
    exchange.answer(200, tokens);
    expect((await page).status).toBe(200);
    expect(await sessionOutcome()).toMatchObject({ status: 'success' });
    expect(await operationState()).toEqual(['success']);
    expect(await told()).toEqual([
        ['creation', false, 'interrupted'],
        ['creation', true, undefined],
    ]);
    expect(await valetkey.query('select 1 from connections')).toHaveLength(1);
});

test('a callback that fails after it was ended is not told of twice', async () => {
    const { page, exchange } = await beginCallback();
    await anHourPasses();
    await untilEnded();
    exchange.answer(400, refusal);
    expect((await page).status).toBe(400);
    expect(await told()).toEqual([['creation', false, 'interrupted']]);
    expect(await sessionOutcome()).toMatchObject({ error: { type: 'interrupted' } });
});

test('what a later attempt of the same session came to stays', async () => {
    const first = await beginCallback();
    const second = await beginCallback();
    second.exchange.answer(200, tokens);
    expect((await second.page).status).toBe(200);
    await anHourPasses();
    expect((await untilHeard(first.popup)).error_type).toBe('interrupted');
    expect(await sessionOutcome()).toMatchObject({ status: 'success' });
    expect(await operationState()).toEqual(['success']);
    expect(await told()).toEqual([['creation', true, undefined]]);
});
