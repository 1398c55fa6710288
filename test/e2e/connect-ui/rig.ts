/**
 * What the Connect UI and the official frontend client are tried on: a host page at `http://localhost`, the API and the Connect UI at
 * two ports of 127.0.0.1, a provider at 127.0.0.2, and a real Chromium between them (frontend contract §6). The page is the one that
 * `npm run prepare` built.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContext, BrowserContextOptions, Frame, Page } from 'playwright-core';
import { launchBrowser } from '../../peers/browser.ts';
import { startConsentServer, type ConsentServer } from '../../peers/consent-server.ts';
import { freePort } from '../../peers/free-port.ts';
import { startHostPage, type HostPage } from '../../peers/host-page.ts';
import { createDatabase } from '../../peers/postgres.ts';
import { apiKeyEntry, basicEntry, oauth2Entry, providersFile } from '../provider-entries.ts';
import { newEncryptionKey, newTestApiKey, startValetkey, type Valetkey, type ValetkeyOptions } from '../valetkey.ts';

export interface RigOptions {
    /** Provider entries beside `oauth-test`, `key-test` and `basic-test`. */
    providers?: (provider: ConsentServer) => Record<string, unknown>[];
    /** Environment variables of Valetkey. */
    env?: Record<string, string>;
}

export interface Session {
    token: string;
    connect_link: string;
    expires_at: string;
}

export interface Rig {
    /** Integrations `oauth`, `keys` and `basic` are there. */
    valetkey: Valetkey;
    /** What `valetkey` was started with: a replica has the same but for the port. */
    options: ValetkeyOptions;
    /** `http://127.0.0.1:U`: the Connect UI's own origin. */
    uiUrl: string;
    provider: ConsentServer;
    /** Without headers of its own; {@link startHostPage} makes others. */
    host: HostPage;
    browser: Browser;
    /** An integration with the provider's client, if it is a redirect mode's. */
    integrate(provider: string, uniqueKey: string, credentials?: Record<string, unknown>): Promise<void>;
    /** A connect session; `{}`: everything is allowed. */
    session(body?: Record<string, unknown>): Promise<Session>;
    /** A context of its own with the host page in it, the client loaded. The test closes the context. */
    visit(options?: VisitOptions): Promise<Visit>;
    /** A tab of its own, nothing embedded. */
    tab(url: string, options?: BrowserContextOptions): Promise<Page>;
    close(): Promise<void>;
}

export interface VisitOptions extends BrowserContextOptions {
    /** Another host page. */
    hostUrl?: string;
}

/** How `nango.auth()` and its like ended. */
export interface Outcome {
    resolved?: { providerConfigKey: string; connectionId: string; isPending?: boolean };
    /** `name` is that of the error's class as the client exports it. */
    rejected?: { name: string; type?: string; message: string };
}

export interface ClientCall {
    method: 'auth' | 'create' | 'reconnect';
    args: unknown[];
    /** Of the constructor. `host` is the API unless it says otherwise. */
    config: { connectSessionToken?: string; host?: string; websocketsPath?: string; publicKey?: string };
}

export interface UiEvent {
    type: string;
    payload?: Record<string, unknown>;
}

export interface OpenProps {
    sessionToken?: string;
    /** Default the Connect UI's own origin. */
    baseURL?: string;
    /** Default the API. `null`: it is not given. */
    apiURL?: string | null;
    detectClosedAuthWindow?: boolean;
    lang?: string;
    themeOverride?: string;
}

export interface Visit {
    page: Page;
    context: BrowserContext;
    /** Calls the client from a real click. */
    call(call: ClientCall): Promise<void>;
    /** Waits for the end of the last call. */
    outcome(): Promise<Outcome>;
    /** Waits for the next window of this visit, whoever opens it. Ask before it is opened. */
    nextWindow(): Promise<Page>;
    /** `openConnectUI()` of the client; `window.connectUi` is what it returned. */
    openConnectUi(props?: OpenProps): Promise<Frame>;
    /** What `onEvent` has heard since the last `openConnectUi()`. */
    events(): Promise<UiEvent[]>;
    close(): Promise<void>;
}

const built = join(import.meta.dirname, '../../../dist/ui/connect/manifest.json');

export async function startRig({ providers = () => [], env = {} }: RigOptions = {}): Promise<Rig> {
    if (!existsSync(built)) throw new Error('The Connect UI is not built: npm run prepare');
    const closers: (() => Promise<unknown>)[] = [];
    const close = async (): Promise<void> => {
        for (const closer of closers.toReversed()) await closer();
    };
    try {
        const database = await createDatabase();
        closers.push(() => database.drop());
        const provider = await startConsentServer();
        closers.push(() => provider.close());
        const host = await startHostPage();
        closers.push(() => host.close());
        const uiPort = await freePort();
        const uiUrl = `http://127.0.0.1:${uiPort}`;
        const options: ValetkeyOptions = {
            port: await freePort(),
            databaseUrl: database.url,
            encryptionKey: newEncryptionKey(),
            apiKey: newTestApiKey(),
            providers: providersFile(
                oauth2Entry('oauth-test', provider),
                apiKeyEntry('key-test', provider.url),
                basicEntry('basic-test', provider.url),
                ...providers(provider),
            ),
            env: { VALETKEY_CONNECT_UI_PORT: String(uiPort), VALETKEY_CONNECT_UI_URL: uiUrl, ...env },
        };
        const [valetkey, browser] = await Promise.all([startValetkey(options), launchBrowser()]);
        closers.push(
            () => valetkey.stop(),
            () => browser.close(),
        );

        const integrate: Rig['integrate'] = async (slug, uniqueKey, credentials) => {
            const body = { provider: slug, unique_key: uniqueKey, ...(credentials && { credentials }) };
            const answer = await valetkey.call('POST', '/integrations', body);
            if (answer.status !== 200) throw new Error(`POST /integrations answered ${answer.status}: ${JSON.stringify(answer.body)}`);
        };
        await integrate('oauth-test', 'oauth', clientOf(provider));
        await integrate('key-test', 'keys');
        await integrate('basic-test', 'basic');

        return {
            valetkey,
            options,
            uiUrl,
            provider,
            host,
            browser,
            integrate,
            session: async (body = {}) => {
                const answer = await valetkey.call<{ data: Session }>('POST', '/connect/sessions', { end_user: { id: 'user-1' }, ...body });
                if (answer.status !== 201) throw new Error(`POST /connect/sessions answered ${answer.status}: ${JSON.stringify(answer.body)}`);
                return answer.body.data;
            },
            visit: async ({ hostUrl = host.url, ...contextOptions } = {}) => {
                const context = await browser.newContext(contextOptions);
                const page = await context.newPage();
                await page.goto(hostUrl);
                await page.waitForFunction(() => 'Nango' in window);
                return visitOf(page, { apiUrl: valetkey.url, uiUrl });
            },
            tab: async (url, contextOptions) => {
                const page = await (await browser.newContext(contextOptions)).newPage();
                await page.goto(url);
                return page;
            },
            close,
        };
    } catch (error) {
        await close();
        throw error;
    }
}

/** The client with which integrations of the rig's provider are made. */
export const clientOf = ({ tokens }: ConsentServer) => ({ type: 'OAUTH2', client_id: tokens.clientId, client_secret: tokens.clientSecret });

/** In the provider's window. */
export async function approve(popup: Page): Promise<void> {
    await popup.click('#approve');
}

interface HostGlobals {
    Nango: new (config: object) => Record<ClientCall['method'], (...args: unknown[]) => Promise<unknown>> & {
        openConnectUI(props: object): { setSessionToken(token: string): void; open(): void; close(): void };
    };
    onConnect: () => unknown;
    outcome?: Outcome;
    connectUi?: unknown;
    heard: UiEvent[];
}

function visitOf(page: Page, { apiUrl, uiUrl }: { apiUrl: string; uiUrl: string }): Visit {
    const context = page.context();
    return {
        page,
        context,
        call: async ({ method, args, config }) => {
            await page.evaluate(
                (given) => {
                    const globals = window as unknown as HostGlobals;
                    const nango = new globals.Nango(given.config);
                    globals.onConnect = () => nango[given.method](...given.args);
                },
                { method, args, config: { host: apiUrl, ...config } },
            );
            await page.click('#connect');
        },
        outcome: async () => {
            const handle = await page.waitForFunction(() => (window as unknown as HostGlobals).outcome);
            return (await handle.jsonValue()) as Outcome;
        },
        nextWindow: () => context.waitForEvent('page'),
        openConnectUi: async ({ apiURL = apiUrl, baseURL = uiUrl, ...props } = {}) => {
            await page.evaluate(
                (given) => {
                    const globals = window as unknown as HostGlobals;
                    globals.heard = [];
                    globals.connectUi = new globals.Nango({}).openConnectUI({ ...given, onEvent: (event: UiEvent) => globals.heard.push(event) });
                },
                { ...props, baseURL, ...(apiURL === null ? {} : { apiURL }) },
            );
            const frame = await (await page.waitForSelector('iframe#connect-ui')).contentFrame();
            if (frame === null) throw new Error('The frame of the Connect UI has no content');
            return frame;
        },
        events: () => page.evaluate(() => (window as unknown as HostGlobals).heard),
        close: () => context.close(),
    };
}
