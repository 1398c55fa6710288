/** The {@link Origins}, and a real Chromium between them. */
import type { Browser, BrowserContext, BrowserContextOptions, Frame, Page } from 'playwright-core';
import { launchBrowser } from '../../peers/browser.ts';
import type { ClientVersion } from '../../peers/host-page.ts';
import { startOrigins, type Origins, type OriginsOptions } from './origins.ts';

export { clientOf, type Session } from './origins.ts';

export interface Rig extends Origins {
    browser: Browser;
    /** A context of its own with the host page in it, the client loaded. The test closes the context. */
    visit(options?: VisitOptions): Promise<Visit>;
    /** A tab of its own, nothing embedded. */
    tab(url: string, options?: BrowserContextOptions): Promise<Page>;
}

export interface VisitOptions extends BrowserContextOptions {
    /** Another host page. */
    hostUrl?: string;
    /** Default the latest. */
    client?: ClientVersion;
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

export async function startRig(options: OriginsOptions = {}): Promise<Rig> {
    const launching = launchBrowser();
    const origins = await startOrigins(options);
    const browser = await launching.catch(async (error: unknown) => {
        await origins.close();
        throw error;
    });
    return {
        ...origins,
        browser,
        visit: async ({ hostUrl = origins.host.url, client, ...contextOptions } = {}) => {
            const context = await browser.newContext(contextOptions);
            const page = await context.newPage();
            await page.goto(client === undefined ? hostUrl : `${hostUrl}?client=${client}`);
            await page.waitForFunction(() => 'Nango' in window);
            return visitOf(page, { apiUrl: origins.valetkey.url, uiUrl: origins.uiUrl });
        },
        tab: async (url, contextOptions) => {
            const page = await (await browser.newContext(contextOptions)).newPage();
            await page.goto(url);
            return page;
        },
        close: async () => {
            await browser.close();
            await origins.close();
        },
    };
}

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
