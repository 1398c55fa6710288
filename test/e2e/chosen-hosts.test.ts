/** Hosts that a connection chooses: no value leaves its slot, and no secret goes where it was not meant to (auth-modes §19.3 N1, N2, N4). */
import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createIntegration, createSession } from '../http/accounts.ts';
import { startTestApp, type TestApp } from '../http/app.ts';
import { finishPopup, openPopup, sentenceOf, type Popup } from './popup.ts';
import { oauth2Entry, providersFile } from './provider-entries.ts';

/** Nobody may connect here. */
let trap: Server;
let trapped = 0;
let valetkey: TestApp;
let token: string;

const field = { type: 'string', title: 'Address', description: 'Of your account.', example: 'acme' };
const app = { credentials: { type: 'OAUTH2', client_id: 'the-client', client_secret: 'the-client-secret' } };

beforeAll(async () => {
    trap = createServer((socket) => {
        trapped += 1;
        socket.destroy();
    });
    await new Promise<void>((resolve) => trap.listen(0, '127.0.0.1', resolve));
    const hosted = (host: string) => ({ authorizationEndpoint: `https://${host}/authorize`, tokenEndpoint: `https://${host}/token` });
    valetkey = await startTestApp({
        providers: providersFile(
            oauth2Entry('tenant', hosted('${connectionConfig.subdomain}.example.com'), { connection_config: { subdomain: field } }),
            oauth2Entry('anywhere', hosted('${connectionConfig.hostname}'), {
                connection_config: { hostname: { ...field, example: 'login.example.com' } },
            }),
        ),
    });
    await valetkey.listen();
    await createIntegration(valetkey, 'tenant', 'tenant', app);
    await createIntegration(valetkey, 'anywhere', 'anywhere', app);
});

afterAll(async () => {
    await valetkey?.close();
    await new Promise((resolve) => trap?.close(resolve));
});

beforeEach(async () => {
    token = await createSession(valetkey);
    trapped = 0;
});

const open = (integration: string, query = ''): Promise<Popup> =>
    openPopup(valetkey.url, `/oauth/connect/${integration}?connect_session_token=${token}${query}`);

const attacks = (): string[] => {
    const { port } = trap.address() as AddressInfo;
    const host = `127.0.0.1:${port}`;
    return [
        `${host}/#`,
        `${host}?`,
        `${host}\\`,
        `${host}/`,
        `a@${host}`,
        `a:b@${host}`,
        host,
        '127.0.0.1#',
        '169.254.169.254#',
        'evil.com/#',
        'evil.com?',
        'evil.com\\',
        'a.b',
        '.',
        '..',
        '-a',
        'a-',
        'a b',
        'a%2f',
        'a%23',
        'ä',
        'a\u2025b',
        'a/../b',
        '[::1]',
        'localhost#',
        'a;b',
        'a&b',
        "a'b",
        'a\tb',
        'a\r\nHost: evil',
        'x'.repeat(64),
    ];
};

test('no value gets out of its slot, whichever way it comes in; nothing is called, and the field is named', async () => {
    for (const value of attacks()) {
        const encoded = encodeURIComponent(value);
        for (const query of [`&params[subdomain]=${encoded}`, `&params%5Bsubdomain%5D=${encoded.replaceAll('%20', '+')}`]) {
            const popup = await open('tenant', query);
            expect([value, popup.first.status, popup.first.headers.get('location')]).toEqual([value, 400, null]);
            expect(sentenceOf(popup.firstText)).toContain('subdomain');
            expect((await popup.socket.outcome()).error_type).toBe('url_param_err');
            popup.socket.close();
        }
    }
    expect(trapped).toBe(0);
    expect(await valetkey.query(`select 1 from oauth_flows f join integrations i on i.id = f.integration_id where i.unique_key = 'tenant'`)).toEqual(
        [],
    );
});

test('nor from a backend’s presets, nor from a prepared flow', async () => {
    for (const value of attacks().slice(0, 12)) {
        token = await createSession(valetkey, {
            tags: {},
            integrations_config_defaults: { tenant: { connection_config: { subdomain: value } } },
        });
        const preset = await open('tenant');
        expect([value, preset.first.status]).toEqual([value, 400]);
        expect(sentenceOf(preset.firstText)).toContain('subdomain');
        preset.socket.close();
        token = await createSession(valetkey);
        const prepared = await valetkey.call<{ data: { url: string } }>('POST', '/oauth/flows', {
            key: token,
            body: { provider_config_key: 'tenant', params: { subdomain: value } },
        });
        // control characters and the like may be refused at once
        if (prepared.status === 201) {
            const popup = await openPopup(valetkey.url, prepared.body.data.url.slice(valetkey.url.length));
            expect([value, popup.first.status]).toEqual([value, 400]);
            popup.socket.close();
        }
    }
    expect(trapped).toBe(0);
});

test('an honest value is put where it belongs', async () => {
    const popup = await open('tenant', '&params[subdomain]=acme-1');
    expect([popup.first.status, new URL(popup.authorizationUrl).host]).toEqual([302, 'acme-1.example.com']);
    popup.socket.close();
});

test('chosen whole, it gets the client secret in production only if it is listed', async () => {
    const connectTo = async (integration: string, hostname: string, key: string): Promise<number> => {
        token = await createSession(valetkey, { tags: {} }, key);
        const popup = await open(integration, `&params[hostname]=${hostname}`);
        popup.socket.close();
        if (popup.first.status === 400) {
            expect(sentenceOf(popup.firstText)).toContain('allowed_hosts');
        } else {
            expect(new URL(popup.authorizationUrl).hostname).toBe(hostname.toLowerCase());
        }
        return popup.first.status;
    };
    const create = async (unique_key: string, allowed_hosts?: string[]): Promise<void> => {
        const body = { provider: 'anywhere', unique_key, ...app, ...(allowed_hosts ? { allowed_hosts } : {}) };
        expect((await valetkey.call('POST', '/integrations', { key: valetkey.prodKey, body })).status).toBe(200);
    };
    await create('unlisted');
    await create('listed', ['login.example.com', '.tenants.example.com']);
    await create('ported', ['login.example.com:443', 'other.example.com:8443']);
    expect(await connectTo('anywhere', 'login.example.com', valetkey.key)).toBe(302);
    expect(await connectTo('unlisted', 'login.example.com', valetkey.prodKey)).toBe(400);
    for (const [integration, hostname, status] of [
        ['listed', 'login.example.com', 302],
        ['listed', 'LOGIN.example.com', 302],
        ['listed', 'a.tenants.example.com', 302],
        ['listed', 'tenants.example.com', 400],
        ['listed', 'eviltenants.example.com', 400],
        ['listed', 'login.example.com.evil.example', 400],
        ['ported', 'login.example.com', 302],
        ['ported', 'other.example.com', 400],
    ] as const) {
        expect([integration, hostname, await connectTo(integration, hostname, valetkey.prodKey)]).toEqual([integration, hostname, status]);
    }
});

test('a token endpoint at a private address is not called unless the operator opened it', async () => {
    const { port } = trap.address() as AddressInfo;
    const closed = await startTestApp({
        env: { VALETKEY_EGRESS_ALLOW: '127.0.0.1:1' },
        providers: providersFile(
            oauth2Entry('private', {
                authorizationEndpoint: 'https://auth.example.com/authorize',
                tokenEndpoint: `https://127.0.0.1:${port}/token`,
            }),
            oauth2Entry('local', {
                authorizationEndpoint: 'https://auth.example.com/authorize',
                tokenEndpoint: `https://localhost:${port}/token`,
            }),
        ),
    });
    try {
        await closed.listen();
        for (const key of ['private', 'local']) {
            await createIntegration(closed, key, key, app);
            const popup = await openPopup(closed.url, `/oauth/connect/${key}?connect_session_token=${await createSession(closed)}`);
            const state = new URL(popup.authorizationUrl).searchParams.get('state');
            const { page, outcome } = await finishPopup(popup, `${closed.url}/oauth/callback?state=${state}&code=c`);
            expect([page.status, outcome.error_type]).toEqual([400, 'unknown_err']);
            expect(sentenceOf(page.html)).toContain('VALETKEY_EGRESS_ALLOW');
            popup.socket.close();
        }
        expect(trapped).toBe(0);
    } finally {
        await closed.close();
    }
});
