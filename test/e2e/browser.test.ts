/** The official frontend client in a real Chromium: a real click, a real popup, a real authorization server. */
import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from '../peers/authorization-server.ts';
import { launchBrowser } from '../peers/browser.ts';
import { freePort } from '../peers/free-port.ts';
import { startHostPage, type HostPage } from '../peers/host-page.ts';
import { createDatabase } from '../peers/postgres.ts';
import { apiKeyEntry, basicEntry, oauth2Entry, providersFile } from './provider-entries.ts';
import { newEncryptionKey, newTestApiKey, startValetkey, type Valetkey } from './valetkey.ts';

interface Outcome {
    resolved?: { providerConfigKey: string; connectionId: string; isPending?: boolean };
    rejected?: { name: string; type?: string; message: string };
}

describe('nango.auth() in Chromium', () => {
    let server: AuthorizationServer;
    let account: Server;
    let database: Awaited<ReturnType<typeof createDatabase>>;
    let valetkey: Valetkey;
    let host: HostPage;
    let browser: Browser;
    let page: Page;
    let token: string;

    /** Runs `auth()` from a real click on the host page and returns how it ended. */
    const auth = async (key: string, options: Record<string, unknown> | undefined, inPopup?: (popup: Page) => Promise<void>): Promise<Outcome> => {
        await page.evaluate(
            ({ url, session, integration, given }) => {
                const globals = globalThis as unknown as {
                    Nango: new (config: object) => { auth(...values: unknown[]): Promise<unknown> };
                    onConnect: () => Promise<unknown>;
                };
                const nango = new globals.Nango({ host: url, connectSessionToken: session });
                globals.onConnect = () => (given === undefined ? nango.auth(integration) : nango.auth(integration, given));
            },
            { url: valetkey.url, session: token, integration: key, given: options },
        );
        const opened = inPopup ? page.waitForEvent('popup') : undefined;
        await page.click('#connect');
        if (opened && inPopup) {
            await inPopup(await opened);
        }
        const handle = await page.waitForFunction(() => (globalThis as { outcome?: unknown }).outcome);
        return (await handle.jsonValue()) as Outcome;
    };
    const approve = async (popup: Page): Promise<void> => {
        await popup.waitForSelector('#login');
        await popup.click('#login');
        await popup.waitForSelector('#approve');
        await popup.click('#approve');
    };

    beforeAll(async () => {
        const port = await freePort();
        server = await startAuthorizationServer({ redirectUris: [`http://127.0.0.1:${port}/oauth/callback`] });
        // an account behind an API key, and one behind a user name and password
        account = createServer((request, response) => {
            const { authorization } = request.headers;
            const isKnown = authorization === 'Bearer right-key' || authorization === `Basic ${Buffer.from('ann:').toString('base64')}`;
            response.writeHead(isKnown ? 200 : 401, { 'content-type': 'application/json' }).end('{}');
        });
        await new Promise<void>((resolve) => account.listen(0, '127.0.0.1', resolve));
        const accountUrl = `http://127.0.0.1:${(account.address() as AddressInfo).port}`;
        database = await createDatabase();
        valetkey = await startValetkey({
            port,
            databaseUrl: database.url,
            encryptionKey: newEncryptionKey(),
            apiKey: newTestApiKey(),
            providers: providersFile(oauth2Entry('oidc-test', server), apiKeyEntry('key-test', accountUrl), basicEntry('basic-test', accountUrl)),
        });
        await valetkey.client.createIntegration({
            provider: 'oidc-test',
            unique_key: 'oidc',
            credentials: { type: 'OAUTH2', client_id: server.clientId, client_secret: server.clientSecret, scopes: 'openid,offline_access' },
        });
        await valetkey.client.createIntegration({ provider: 'key-test', unique_key: 'keys and spaces' });
        await valetkey.client.createIntegration({ provider: 'basic-test', unique_key: 'basic' });
        host = await startHostPage();
        browser = await launchBrowser();
    });

    afterAll(async () => {
        await browser?.close();
        await valetkey?.stop();
        await Promise.all([server?.close(), host?.close(), new Promise((resolve) => account?.close(resolve))]);
        await database?.drop();
    });

    beforeEach(async () => {
        token = (await valetkey.client.createConnectSession({ end_user: { id: 'browser-user' } })).data.token;
        page = await (await browser.newContext()).newPage();
        await page.goto(host.url);
        await page.waitForFunction(() => 'Nango' in globalThis);
        return () => page.context().close();
    });

    test('the user approves in the popup: the promise resolves, the popup closes itself, the backend has the connection', async () => {
        let popup: Page | undefined;
        const outcome = await auth('oidc', undefined, async (opened) => {
            popup = opened;
            await approve(opened);
        });
        expect(outcome).toEqual({ resolved: { providerConfigKey: 'oidc', connectionId: expect.any(String) as string, isPending: false } });
        await expect.poll(() => popup!.isClosed()).toBe(true);
        const connection = await valetkey.client.getConnection('oidc', outcome.resolved!.connectionId);
        expect(connection).toMatchObject({ provider: 'oidc-test', end_user: { id: 'browser-user' }, credentials: { type: 'OAUTH2' } });
    });

    test('the result page speaks to its opener only, on a strict page of its own', async () => {
        const messages: unknown[] = [];
        await page.exposeFunction('onOpenerMessage', (message: unknown) => messages.push(message));
        await page.evaluate(() => {
            const page = globalThis as unknown as {
                addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
                onOpenerMessage(data: unknown): void;
            };
            page.addEventListener('message', (event) => page.onOpenerMessage(event.data));
        });
        const violations: string[] = [];
        const outcome = await auth('oidc', undefined, async (popup) => {
            popup.on('console', (line) => {
                if (line.type() === 'error') {
                    violations.push(line.text());
                }
            });
            await approve(popup);
        });
        expect(outcome.resolved).toBeDefined();
        await expect.poll(() => messages).toEqual([{ type: 'nango_oauth_callback_success' }]);
        expect(violations).toEqual([]);
    });

    test('the user refuses: the promise rejects with the provider’s reason, the page stays and says why', async () => {
        let text = '';
        const outcome = await auth('oidc', undefined, async (popup) => {
            await popup.waitForSelector('#login');
            await popup.click('#login');
            await popup.waitForSelector('#deny');
            await popup.click('#deny');
            await popup.waitForSelector('h1:has-text("Not connected")');
            text = await popup.innerText('main');
        });
        expect(outcome.rejected).toMatchObject({ name: 'AuthError', type: 'callback_err' });
        expect(outcome.rejected?.message).toContain('access_denied');
        expect(text).toContain('access_denied');
    });

    test('an expired session inside the popup rejects instead of hanging', async () => {
        token = `nango_connect_session_${'0'.repeat(64)}`;
        const outcome = await auth('oidc', undefined, async (popup) => {
            await popup.waitForSelector('h1:has-text("Not connected")');
        });
        expect(outcome.rejected).toMatchObject({ name: 'AuthError', type: 'unknown_connect_session_token' });
    });

    test('an API key: accepted when the account knows it, refused with a reason when not', async () => {
        const accepted = await auth('keys and spaces', { credentials: { apiKey: 'right-key' } });
        expect(accepted.resolved).toMatchObject({ providerConfigKey: 'keys and spaces' });
        const refused = await auth('keys and spaces', { credentials: { apiKey: 'wrong-key' } });
        expect(refused.rejected).toMatchObject({ name: 'AuthError', type: 'connection_test_failed' });
        expect(refused.rejected?.message).not.toContain('wrong-key');
    });

    test('user name and password, the password empty and not even sent', async () => {
        const accepted = await auth('basic', { credentials: { username: 'ann' } });
        expect(accepted.resolved).toMatchObject({ providerConfigKey: 'basic' });
        const connection = await valetkey.client.getConnection('basic', accepted.resolved!.connectionId);
        expect(connection.credentials).toEqual({ type: 'BASIC', username: 'ann', password: '' });
    });

    test('a window that may not close itself says so, and one that may has a button for it', async () => {
        const failing = `${valetkey.url}/oauth/connect/none?connect_session_token=${token}&flow_id=${randomUUID()}`;
        const tab = await browser.newPage();
        await tab.goto(`${valetkey.url}/health`);
        await tab.goto(failing);
        expect(await tab.isVisible('#stuck')).toBe(false);
        await tab.click('#close');
        await tab.waitForSelector('#stuck', { state: 'visible' });
        await tab.close();

        await page.evaluate(
            (url) => Object.assign(globalThis, { onConnect: () => Promise.resolve(void (globalThis as never as Window).open(url)) }),
            failing,
        );
        const opened = page.waitForEvent('popup');
        await page.click('#connect');
        const popup = await opened;
        await popup.waitForSelector('#close', { state: 'visible' });
        const closed = popup.waitForEvent('close');
        await popup.click('#close');
        await closed;
    });
});
