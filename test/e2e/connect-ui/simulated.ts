/**
 * The Connect UI's page as it is built from these sources, served by a Valetkey whose providers are twins, in this process: tests
 * reach its clock, and the samples that the twins know. Pages are watched: every violation of the page's policy and every request to
 * somebody else is kept, and `stop` finds none.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, BrowserContextOptions, Frame, Locator, Page } from 'playwright-core';
import { build } from 'vite';
import { expect } from 'vitest';
import type { SampleInputs } from '../../../src/simulator/samples.ts';
import { buildTwinServer } from '../../../src/simulator/server.ts';
import { Simulator } from '../../../src/simulator/simulator.ts';
import { systemSources } from '../../../src/sources.ts';
import { startTestApp, type TestApp } from '../../http/app.ts';
import { launchBrowser } from '../../peers/browser.ts';
import { freePort } from '../../peers/free-port.ts';
import { startHostPage, type HostPage } from '../../peers/host-page.ts';
import { integrationOf } from '../../walk/ways.ts';

const patienceMs = 15_000;
const root = join(import.meta.dirname, '../../..');

export interface ConnectLink {
    token: string;
    link: string;
}

export interface Simulated {
    valetkey: TestApp;
    /** Where it is. */
    url: string;
    simulator: Simulator;
    browser: Browser;
    host: HostPage;
    /** Where the page was built to. */
    directory: string;
    /** An integration of a provider, with what its twin knows; its key is the provider's name. */
    add(slug: string): Promise<SampleInputs>;
    /** A session, of one integration or of all that there are. */
    session(only?: string | null, more?: Record<string, unknown>, key?: string): Promise<ConnectLink>;
    /** Of the integration, newest first. */
    connections(integration: string): Promise<Record<string, unknown>[]>;
    /** Wide, light and still unless told otherwise, and watched. */
    context(options?: BrowserContextOptions): Promise<BrowserContext>;
    close(): Promise<void>;
}

/** @param providers entries beside those of the catalogue, which have no twin */
export async function startSimulated(providers: Record<string, unknown> = {}): Promise<Simulated> {
    const directory = await mkdtemp(join(tmpdir(), 'valetkey-connect-ui-'));
    await build({ configFile: join(root, 'vite.config.ts'), logLevel: 'warn', build: { outDir: directory } });
    const port = await freePort();
    const valetkeyUrl = `http://127.0.0.1:${port}`;
    const simulator = await Simulator.open({ sources: systemSources, catalogueFiles: [join(root, 'providers.yaml')], valetkeyUrl });
    const twins = buildTwinServer(simulator);
    await twins.listen({ host: '127.0.0.1', port: 0 });
    const twinServer = new URL(`http://127.0.0.1:${(twins.server.address() as AddressInfo).port}`);
    const valetkey = await startTestApp({
        twinServer,
        connectUiDirectory: directory,
        providers: JSON.stringify(providers),
        env: { VALETKEY_PUBLIC_URL: valetkeyUrl, VALETKEY_RATE_LIMIT_PER_MIN: '1000000' },
    });
    // Twins send people back to the address that they were told before.
    await valetkey.app.server.listen({ host: '127.0.0.1', port });
    const host = await startHostPage();
    const browser = await launchBrowser();
    const faults: string[] = [];
    const own = new Set([valetkeyUrl, `http://localhost:${twinServer.port}`, new URL(host.url).origin]);

    return {
        valetkey,
        url: valetkeyUrl,
        simulator,
        browser,
        host,
        directory,
        add: async (slug) => {
            const samples = simulator.world.samples.of(slug);
            const { auth_mode: mode } = simulator.catalogue.get(slug)!;
            const answer = await valetkey.call('POST', '/integrations', { body: integrationOf({ valetkey, slug, mode, samples }) });
            if (answer.status !== 200) throw new Error(`the integration ${slug} was refused: ${answer.text}`);
            return samples;
        },
        session: async (only, more = {}, key = valetkey.key) => {
            const body = { end_user: { id: 'user-1' }, ...(only === undefined || only === null ? {} : { allowed_integrations: [only] }), ...more };
            const answer = await valetkey.call<{ data: { token: string; connect_link: string } }>('POST', '/connect/sessions', { body, key });
            if (answer.status !== 201) throw new Error(`the session was refused: ${answer.text}`);
            return { token: answer.body.data.token, link: answer.body.data.connect_link };
        },
        connections: async (integration) => {
            const { body } = await valetkey.call<{ connections: { connection_id: string; provider_config_key: string }[] }>('GET', '/connections');
            const own = body.connections.filter(({ provider_config_key: key }) => key === integration);
            const read = async ({ connection_id: id }: { connection_id: string }) => {
                const query = new URLSearchParams({ provider_config_key: integration, refresh_token: 'true' }).toString();
                const answer = await valetkey.call('GET', `/connections/${id}?${query}`);
                if (answer.status !== 200) throw new Error(`reading ${integration} was refused: ${answer.text}`);
                return answer.body;
            };
            return Promise.all(own.map(read));
        },
        context: async (options = {}) => {
            const context = await browser.newContext({
                viewport: { width: 1280, height: 860 },
                colorScheme: 'light',
                reducedMotion: 'reduce',
                locale: 'en-US',
                ...options,
            });
            // Ends a wait for nothing.
            context.setDefaultTimeout(patienceMs);
            await watch(context, { own, report: (fault) => faults.push(fault) });
            return context;
        },
        close: async () => {
            await Promise.all([browser.close(), host.close(), twins.close()]);
            await valetkey.close();
            await rm(directory, { recursive: true, force: true });
            expect(faults).toEqual([]);
        },
    };
}

interface Watch {
    own: ReadonlySet<string>;
    report(fault: string): void;
}

/** C36: whatever a test does, the page keeps to its policy and to its own servers. */
async function watch(context: BrowserContext, { own, report }: Watch): Promise<void> {
    await context.exposeFunction('reportViolation', (what: string) => report(`policy: ${what}`));
    await context.addInitScript(() => {
        document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sourceFile }) => {
            const { reportViolation } = window as unknown as { reportViolation(what: string): void };
            reportViolation(`${violatedDirective} ${blockedURI} in ${sourceFile}`);
        });
    });
    context.on('request', (request) => {
        const { origin, protocol } = new URL(request.url());
        if (/^https?:/.test(protocol) && !own.has(origin)) report(`request to ${request.url()}`);
    });
    context.on('weberror', (error) => report(`script: ${error.error().message}`));
}

/** A connect link, in a tab of its own. */
export async function openLink(context: BrowserContext, { link }: ConnectLink, query: Record<string, string> = {}): Promise<Page> {
    const page = await context.newPage();
    const url = new URL(link);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    await page.goto(url.href);
    return page;
}

/** What the host page was told, and what the frame showed at that time. */
export interface Told {
    type: string;
    payload?: Record<string, unknown>;
}

export interface Embedded {
    page: Page;
    frame: Frame;
    events(): Promise<Told[]>;
    /** Another message from the host to the page, as the official client would send it. */
    sendToken(token: string): Promise<void>;
}

/** As a product would have it: its own page behind, the official client in front. */
export async function embed(
    context: BrowserContext,
    { url, host }: Simulated,
    token: string | undefined,
    props: Record<string, unknown> = {},
): Promise<Embedded> {
    const page = await context.newPage();
    await page.goto(host.url);
    await page.waitForFunction(() => 'Nango' in window);
    await page.evaluate(
        ({ given, sessionToken }) => {
            const globals = window as unknown as {
                Nango: new (config: object) => { openConnectUI(props: object): { setSessionToken(token: string): void } };
                told: object[];
                ui: { setSessionToken(token: string): void };
            };
            globals.told = [];
            const nango = new globals.Nango(sessionToken === undefined ? {} : { connectSessionToken: sessionToken });
            globals.ui = nango.openConnectUI({ onEvent: (event: object) => globals.told.push(event), ...given });
        },
        { given: { baseURL: `${url}/connect-ui`, apiURL: url, ...props }, sessionToken: token },
    );
    const frame = (await (await page.waitForSelector('iframe#connect-ui')).contentFrame())!;
    return {
        page,
        frame,
        events: () => page.evaluate(() => (window as unknown as { told: Told[] }).told),
        sendToken: (fresh) =>
            page.evaluate((text) => (window as unknown as { ui: { setSessionToken(token: string): void } }).ui.setSessionToken(text), fresh),
    };
}

/** Waits for the screen with this heading. What is there instead tells more than that it did not come. */
export const awaitHeading = (place: Page | Frame, name: string | RegExp): Promise<void> =>
    place
        .getByRole('heading', { level: 1, name })
        .waitFor()
        .catch(async (error: unknown) => {
            throw new Error(`${place.url()} says: ${await place.locator('body').innerHTML()}`, { cause: error });
        });

/** The button that sends the form. */
export const submit = (place: Page | Frame): Promise<void> => place.locator('button[type=submit]').click();

/** The input with this label, as it is read out: without the star that stands for "required". */
export const input = (place: Page | Frame, label: string): Locator => place.getByLabel(new RegExp(`^${RegExp.escape(label)}\\*?$`));

/** Clicks, and gets the window that this opens. */
export async function popupOf(page: Page, click: () => Promise<void>): Promise<Page> {
    const [popup] = await Promise.all([page.context().waitForEvent('page'), click()]);
    return popup;
}

/** As a person at a twin's page. */
export const approve = (popup: Page): Promise<void> => popup.locator('#approve').click();
