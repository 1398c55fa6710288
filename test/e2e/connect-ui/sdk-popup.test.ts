/**
 * `nango.auth()` of the official frontend client with a popup, through what stands between browsers and servers: policies that cut
 * windows off, load balancers, proxies, callbacks that go round another host (frontend contract §1.7 to §1.9, §6 F10–F22).
 *
 * Shown elsewhere: F10 with a real OpenID provider, F12, and F20 with an expired session (../browser.test.ts); F20 with every other
 * failure before the provider, and the socket's own rules (../outcome-socket.test.ts).
 */
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createIntegration, createSession } from '../../http/accounts.ts';
import { startTestApp, type TestApp } from '../../http/app.ts';
import { freePort } from '../../peers/free-port.ts';
import { startHostPage } from '../../peers/host-page.ts';
import { listen } from '../../peers/http-server.ts';
import { startReverseProxy, type ReverseProxy } from '../../peers/reverse-proxy.ts';
import { oauth2Entry, providersFile } from '../provider-entries.ts';
import { startValetkey, type Valetkey } from '../valetkey.ts';
import { approve, clientOf, startRig, type Rig, type Visit } from './rig.ts';

let rig: Rig;
/** In front of all: browsers know this address only. */
let balancer: ReverseProxy;
let upstream: { http: string; socket: string };
let visit: Visit;
let token: string;

beforeAll(async () => {
    balancer = await startReverseProxy({ upstream: ({ isSocket }) => (isSocket ? upstream.socket : upstream.http) });
    rig = await startRig({ env: { VALETKEY_PUBLIC_URL: balancer.url, VALETKEY_TRUST_PROXY: '1' } });
});
afterAll(async () => {
    await rig?.close();
    await balancer?.close();
});

beforeEach(async () => {
    upstream = { http: rig.valetkey.url, socket: rig.valetkey.url };
    rig.provider.sendHeaders({});
    rig.provider.tokens.fail(null);
    visit = await rig.visit();
    ({ token } = await rig.session());
});
afterEach(() => visit?.close());

const auth = (options: Record<string, unknown> = {}, of: Visit = visit): Promise<void> =>
    of.call({ method: 'auth', args: ['oauth', options], config: { host: balancer.url, connectSessionToken: token } });
const connected = { resolved: { providerConfigKey: 'oauth', connectionId: expect.any(String) as string, isPending: false } };

/** A second process over the same database. */
const startReplica = async (): Promise<Valetkey> => {
    const { VALETKEY_CONNECT_UI_PORT: _, ...env } = rig.options.env ?? {};
    return startValetkey({ ...rig.options, env, port: await freePort() });
};

test('F11: the greeting comes before the popup’s first page, and the result before its last', async () => {
    balancer.journal.length = 0;
    const popup = visit.nextWindow();
    await auth();
    const closed = (await popup).waitForEvent('close');
    await approve(await popup);
    expect(await visit.outcome()).toEqual(connected);
    await closed;
    expect(balancer.journal.filter((line) => !/favicon/.test(line))).toEqual([
        'socket /',
        'frame connection_ack',
        'GET /oauth/connect/oauth',
        '302 /oauth/connect/oauth',
        'GET /oauth/callback',
        'frame success',
        '200 /oauth/callback',
    ]);
});

test('F13: a token exchange that fails says what the provider said', async () => {
    rig.provider.tokens.fail('error-in-200', 1);
    const popup = visit.nextWindow();
    await auth();
    await approve(await popup);
    const { rejected } = await visit.outcome();
    expect(rejected).toMatchObject({ name: 'AuthError', type: 'unknown_err' });
    expect(rejected?.message).toContain('incorrect or expired');
});

describe('windows that are cut off (COOP)', () => {
    test('F14: by the provider: it resolves all the same, and the popup closes itself', async () => {
        rig.provider.sendHeaders({ 'cross-origin-opener-policy': 'same-origin' });
        const popup = visit.nextWindow();
        await auth();
        const opened = await popup;
        const closed = opened.waitForEvent('close');
        await approve(opened);
        expect(await visit.outcome()).toEqual(connected);
        await closed;
    });

    test('F15: by the page that runs the client', async () => {
        const host = await startHostPage({ 'cross-origin-opener-policy': 'same-origin' });
        const isolated = await rig.visit({ hostUrl: host.url });
        const popup = isolated.nextWindow();
        await auth({}, isolated);
        const opened = await popup;
        const closed = opened.waitForEvent('close');
        await approve(opened);
        expect(await isolated.outcome()).toEqual(connected);
        await closed;
        await isolated.close();
        await host.close();
    });
});

test('F16: a popup that the user closes ends the wait, where the page asks for that', async () => {
    const popup = visit.nextWindow();
    await auth({ detectClosedAuthWindow: true });
    const opened = await popup;
    await opened.waitForSelector('#approve');
    await opened.close();
    expect((await visit.outcome()).rejected).toMatchObject({ name: 'AuthError', type: 'window_closed' });
});

describe('two replicas behind a load balancer without sticky sessions', () => {
    let replica: Valetkey;
    beforeEach(async () => {
        replica = await startReplica();
    });
    afterEach(() => replica?.stop('SIGKILL'));

    test('F18: the socket at one, everything else at the other', async () => {
        upstream = { http: replica.url, socket: rig.valetkey.url };
        const popup = visit.nextWindow();
        await auth();
        await approve(await popup);
        expect(await visit.outcome()).toEqual(connected);
    });

    test('F19: the Connect UI goes on when the replica that it talked to dies', async () => {
        upstream = { http: replica.url, socket: replica.url };
        const { token: only } = await rig.session({ allowed_integrations: ['oauth'] });
        const frame = await visit.openConnectUi({ sessionToken: only, baseURL: `${balancer.url}/connect-ui`, apiURL: balancer.url });
        const popup = visit.nextWindow();
        await frame.click('button[type=submit]');
        const opened = await popup;
        await opened.waitForSelector('#approve');
        // the page waits for news at the replica that goes
        await expect.poll(() => balancer.journal.some((line) => line.startsWith('GET /connect/flows/'))).toBe(true);
        await replica.stop('SIGKILL');
        upstream = { http: rig.valetkey.url, socket: rig.valetkey.url };
        await approve(opened);
        await frame.getByRole('heading', { name: 'Connected' }).waitFor();
        await expect.poll(async () => (await visit.events()).map(({ type }) => type)).toEqual(['ready', 'connect']);
    });

    test.each([true, false])('F19: the client does not, watching its popup: %s; the session knows better', async (detectClosedAuthWindow) => {
        upstream = { http: rig.valetkey.url, socket: replica.url };
        const popup = visit.nextWindow();
        await auth({ detectClosedAuthWindow });
        const opened = await popup;
        await opened.waitForSelector('#approve');
        const closed = opened.waitForEvent('close');
        await replica.stop('SIGKILL');
        await approve(opened);
        // by its own page, after a success: nobody else does it
        await closed;
        if (detectClosedAuthWindow) expect((await visit.outcome()).rejected).toMatchObject({ type: 'window_closed' });
        else expect(await visit.page.evaluate('window.outcome')).toBeUndefined();
        const session = await rig.valetkey.call('GET', '/connect/session', undefined, { authorization: `Bearer ${token}` });
        expect(session.body).toMatchObject({ data: { outcome: { status: 'success', provider_config_key: 'oauth' } } });
    });
});

test('F22: a callback address of one’s own, which sends the browser on with 308', async () => {
    const redirector = await listen((request, response) => {
        const { search } = new URL(request.url ?? '/', 'http://localhost');
        response.writeHead(308, { location: `${balancer.url}/oauth/callback${search}` }).end();
    });
    const own = `http://localhost:${redirector.port}/connected`;
    expect((await rig.valetkey.call('PATCH', '/environment', { callback_url: own })).status).toBe(200);
    const popup = visit.nextWindow();
    await auth();
    await approve(await popup);
    expect(await visit.outcome()).toEqual(connected);
    expect(rig.provider.visits.at(-1)?.get('redirect_uri')).toBe(own);
    expect((await rig.valetkey.call('PATCH', '/environment', { callback_url: null })).status).toBe(200);
    await redirector.close();
});

describe('a proxy in front', () => {
    let proxy: ReverseProxy;
    let valetkey: TestApp;
    afterEach(async () => {
        await proxy?.close();
        await valetkey?.close();
    });

    const start = async (basePath: string, waits: Record<number, number> = {}): Promise<void> => {
        proxy = await startReverseProxy({ basePath, upstream: () => valetkey.url });
        valetkey = await startTestApp({
            providers: providersFile(oauth2Entry('oauth-test', rig.provider)),
            env: { VALETKEY_PUBLIC_URL: proxy.url },
            connectUiDirectory: join(import.meta.dirname, '../../../dist/ui/connect'),
            waits,
        });
        await valetkey.listen();
        await createIntegration(valetkey, 'oauth', 'oauth-test', { credentials: clientOf(rig.provider) });
        token = await createSession(valetkey);
    };

    test('F17: that cuts what is silent for a minute has something to pass on, however slow the user is', async () => {
        await start('', { 750: 5 });
        const popup = visit.nextWindow();
        await visit.call({ method: 'auth', args: ['oauth'], config: { host: proxy.url, connectSessionToken: token } });
        const opened = await popup;
        await opened.waitForSelector('#approve');
        // nine and a half minutes: a flow lives for ten
        for (let third = 1; third <= 27; third += 1) {
            valetkey.advance(21_000);
            await expect.poll(() => proxy.journal.filter((line) => line === 'pong').length, { interval: 5 }).toBe(third);
        }
        await approve(opened);
        expect(await visit.outcome()).toEqual(connected);
    });

    test('F21: below a base path, which it takes off: by the client alone, and by the Connect UI', async () => {
        await start('/base');
        const popup = visit.nextWindow();
        const config = { host: proxy.url, websocketsPath: '/base/', connectSessionToken: token };
        await visit.call({ method: 'auth', args: ['oauth'], config });
        const opened = await popup;
        const closed = opened.waitForEvent('close');
        await approve(opened);
        expect(await visit.outcome()).toEqual(connected);
        await closed;

        for (const baseURL of [`${proxy.url}/connect-ui`, `${proxy.url}/connect-ui/`]) {
            const frame = await visit.openConnectUi({ sessionToken: token, baseURL, apiURL: proxy.url });
            await frame.getByRole('button', { name: /oauth-test/ }).click();
            const next = visit.nextWindow();
            await frame.click('button[type=submit]');
            await approve(await next);
            await frame.getByRole('heading', { name: 'Connected' }).waitFor();
            await frame.getByRole('button', { name: 'Done' }).click();
            await visit.page.waitForSelector('iframe#connect-ui', { state: 'detached' });
        }
    });
});
