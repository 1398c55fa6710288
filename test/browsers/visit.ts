/** A customer's page in a browser: calls of the official client, and the Connect UI in its frame. */
import { expect } from 'vitest';
import type { Browser, BrowserContext, Frame, Page, Target } from 'puppeteer-core';
import type { ClientCall, OpenProps, Outcome, UiEvent } from '../e2e/connect-ui/rig.ts';
import type { Origins } from '../e2e/connect-ui/origins.ts';

interface HostGlobals {
    Nango: new (config: object) => Record<ClientCall['method'], (...args: unknown[]) => Promise<unknown>> & {
        openConnectUI(props: object): { setSessionToken(token: string): void };
    };
    onConnect: () => unknown;
    outcome?: Outcome;
    connectUi: { setSessionToken(token: string): void };
    heard: UiEvent[];
}

export class Visit {
    readonly page: Page;
    readonly context: BrowserContext;
    readonly #origins: Origins;

    private constructor(page: Page, context: BrowserContext, origins: Origins) {
        this.page = page;
        this.context = context;
        this.#origins = origins;
    }

    /** In a context of its own. */
    static async begin(browser: Browser, origins: Origins, hostUrl = origins.host.url): Promise<Visit> {
        const context = await browser.createBrowserContext();
        const page = await context.newPage();
        await page.goto(hostUrl);
        await page.waitForFunction(() => 'Nango' in window);
        return new Visit(page, context, origins);
    }

    /** Calls the client from a real click. */
    async call(call: ClientCall): Promise<void> {
        await this.#prepare(call);
        await this.page.click('#connect');
    }

    /** Calls it as a page does that has waited too long: nobody has clicked. Waits for the end. */
    async callUnasked(call: ClientCall): Promise<void> {
        // What a driver evaluates counts as asked for, so a page that has just been loaded begins by itself, and says when it is over.
        const over = new Promise<void>((resolve) => {
            this.page.on('console', (line) => {
                if (line.text() === 'the call is over') resolve();
            });
        });
        const { identifier } = await this.page.evaluateOnNewDocument(
            (given) => {
                const begin = setInterval(() => {
                    const globals = window as unknown as HostGlobals;
                    if (!('Nango' in globals)) return;
                    clearInterval(begin);
                    globals.onConnect = () =>
                        new globals.Nango(given.config)[given.method](...given.args).finally(() => console.log('the call is over'));
                    document.getElementById('connect')!.dispatchEvent(new Event('click'));
                }, 20);
            },
            { ...call, config: { host: this.#origins.valetkey.url, ...call.config } },
        );
        await this.page.reload();
        await over;
        await this.page.removeScriptToEvaluateOnNewDocument(identifier);
    }

    async #prepare({ method, args, config }: ClientCall): Promise<void> {
        await this.page.evaluate(
            (given) => {
                const globals = window as unknown as HostGlobals;
                globals.onConnect = () => new globals.Nango(given.config)[given.method](...given.args);
            },
            { method, args, config: { host: this.#origins.valetkey.url, ...config } },
        );
    }

    async outcome(): Promise<Outcome> {
        const handle = await this.page.waitForFunction(() => (window as unknown as HostGlobals).outcome);
        return (await handle.jsonValue()) as Outcome;
    }

    nextWindow(): Promise<Page> {
        return nextWindow(this.context);
    }

    async openConnectUi({ apiURL, baseURL = this.#origins.uiUrl, ...props }: OpenProps = {}): Promise<Frame> {
        await this.page.evaluate(
            (given) => {
                const globals = window as unknown as HostGlobals;
                globals.heard = [];
                globals.connectUi = new globals.Nango({}).openConnectUI({ ...given, onEvent: (event: UiEvent) => globals.heard.push(event) });
            },
            { ...props, baseURL, apiURL: apiURL ?? this.#origins.valetkey.url },
        );
        const frame = await (await this.page.waitForSelector('iframe#connect-ui'))!.contentFrame();
        await frame.waitForSelector('h1, [role=status]');
        return frame;
    }

    sendToken(token: string): Promise<void> {
        return this.page.evaluate((given) => (window as unknown as HostGlobals).connectUi.setSessionToken(given), token);
    }

    events(): Promise<UiEvent[]> {
        return this.page.evaluate(() => (window as unknown as HostGlobals).heard);
    }

    async typesOfEvents(): Promise<string[]> {
        return (await this.events()).map(({ type }) => type);
    }

    close(): Promise<void> {
        return this.context.close();
    }
}

/** The next window of this context, whoever opens it. Ask before it is opened. */
export function nextWindow(context: BrowserContext): Promise<Page> {
    return new Promise((resolve, reject) => {
        const take = (target: Target): void => {
            if (target.type() !== 'page') return;
            context.off('targetcreated', take);
            target.page().then((page) => resolve(page!), reject);
        };
        context.on('targetcreated', take);
    });
}

export const expectHeading = async (place: Page | Frame, text: string): Promise<void> => {
    await expect.poll(() => place.evaluate(() => document.querySelector('h1')?.textContent).catch(() => 'a document that is leaving')).toBe(text);
};

/** In the provider's window, which closes itself. */
export async function approve(popup: Page): Promise<void> {
    await (await popup.waitForSelector('#approve'))!.click();
}

export const closed = (page: Page): Promise<void> =>
    page.isClosed() ? Promise.resolve() : new Promise((resolve) => page.once('close', () => resolve()));
