/** One pass of the checklist (§6) in WebKit: what depends on the engine. Its driver knows no contexts, so each test has a session of its own at the provider, and one window. */
import { By, Key, until, type WebDriver } from 'selenium-webdriver';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startOrigins, type Origins } from '../e2e/connect-ui/origins.ts';
import type { Outcome, UiEvent } from '../e2e/connect-ui/rig.ts';
import { axeRules, axeSource, type AxeResults } from '../peers/axe.ts';
import { launchWebKit, type WebKit } from './webkit.ts';

const patience = 30_000;

let origins: Origins;
let webkit: WebKit;
let driver: WebDriver;
let home: string;
beforeAll(async () => {
    [origins, webkit] = await Promise.all([startOrigins(), launchWebKit()]);
    ({ driver } = webkit);
    home = await driver.getWindowHandle();
});
afterAll(async () => {
    await webkit?.close();
    await origins?.close();
});
beforeEach(async () => {
    for (const handle of await driver.getAllWindowHandles()) {
        if (handle === home) continue;
        await driver.switchTo().window(handle);
        await driver.close();
    }
    await driver.switchTo().window(home);
    await driver.manage().window().setRect({ width: 1200, height: 850 });
    await driver.get(origins.host.url);
    await driver.wait(() => driver.executeScript('return "Nango" in window'), patience);
});

const tokenFor = async (integration: string): Promise<string> => (await origins.session({ allowed_integrations: [integration] })).token;

/** `nango.auth()`, from a real click. */
async function auth(integration: string, options: object): Promise<void> {
    await driver.executeScript(
        `const [host, connectSessionToken, integration, options] = arguments;
         window.onConnect = () => new Nango({ host, connectSessionToken }).auth(integration, options);`,
        origins.valetkey.url,
        await tokenFor(integration),
        integration,
        options,
    );
    await driver.findElement(By.id('connect')).click();
}

async function outcome(): Promise<Outcome> {
    await driver.wait(() => driver.executeScript('return window.outcome !== undefined'), patience);
    return driver.executeScript<Outcome>('return window.outcome');
}

/** Opens the Connect UI and goes into its frame. */
async function embed(token: string, props: object = {}): Promise<void> {
    await driver.executeScript(
        `const [props] = arguments;
         window.heard = [];
         new Nango({}).openConnectUI({ ...props, onEvent: (event) => window.heard.push(event) });`,
        { sessionToken: token, baseURL: origins.uiUrl, apiURL: origins.valetkey.url, ...props },
    );
    await driver.switchTo().frame(await driver.wait(until.elementLocated(By.id('connect-ui')), patience));
}

async function heard(): Promise<string[]> {
    await driver.switchTo().defaultContent();
    return (await driver.executeScript<UiEvent[]>('return window.heard')).map(({ type }) => type);
}

const see = (css: string) => driver.wait(until.elementLocated(By.css(css)), patience);
const submit = async (): Promise<void> => (await see('button[type=submit]')).click();
const expectHeading = (text: string): Promise<unknown> =>
    driver
        .wait(() => driver.executeScript(`return document.querySelector('h1')?.textContent === arguments[0]`, text), patience)
        .catch(async (error: unknown) => {
            // What is there instead tells more than that it did not come.
            const shown = await driver.executeScript<string>('return document.body?.innerHTML');
            throw new Error(`no heading "${text}": ${await driver.getCurrentUrl()} says: ${shown}`, { cause: error });
        });

/** In the window that has opened, which closes itself; then back to the page. */
async function approveInPopup(): Promise<void> {
    await driver.wait(async () => (await driver.getAllWindowHandles()).length === 2, patience, 'a second window');
    const popup = (await driver.getAllWindowHandles()).find((handle) => handle !== home)!;
    await driver.switchTo().window(popup);
    await (await see('#approve')).click();
    await driver.wait(async () => (await driver.getAllWindowHandles()).length === 1, patience, 'the end of the second window');
    await driver.switchTo().window(home);
}

test('it blocks windows that nobody asked for', async () => {
    await driver.get('data:text/html,<script>window.unasked = window.open("about:blank")</script>');
    expect(await driver.executeScript('return window.unasked')).toBeNull();
    expect(await driver.getAllWindowHandles()).toHaveLength(1);
});

describe('the client by itself', () => {
    test('F1, F7: credentials are taken across origins, or refused with an AuthError', async () => {
        await auth('keys', { credentials: { apiKey: origins.provider.account.apiKey } });
        expect((await outcome()).resolved).toMatchObject({ providerConfigKey: 'keys' });
        await auth('keys', { credentials: { apiKey: 'wrong' } });
        await driver.wait(() => driver.executeScript('return window.outcome?.rejected !== undefined'), patience);
        expect((await outcome()).rejected).toMatchObject({ name: 'AuthError', type: 'connection_test_failed' });
    });

    test('F10: a popup connects, and closes itself', async () => {
        await auth('oauth', {});
        await approveInPopup();
        expect((await outcome()).resolved).toMatchObject({ providerConfigKey: 'oauth' });
    });

    test('F14: a provider that cuts the window off', async () => {
        origins.provider.sendHeaders({ 'cross-origin-opener-policy': 'same-origin' });
        await auth('oauth', {});
        await approveInPopup();
        expect((await outcome()).resolved).toMatchObject({ providerConfigKey: 'oauth' });
        origins.provider.sendHeaders({});
    });
});

describe('the Connect UI', () => {
    test('C18: in a frame: a success is told, finishing closes once', async () => {
        await embed(await tokenFor('oauth'));
        await submit();
        await approveInPopup();
        await driver.switchTo().frame(await see('#connect-ui'));
        await expectHeading('Connected');
        await driver.findElement(By.xpath('//button[contains(., "Done")]')).click();
        await driver.switchTo().defaultContent();
        await driver.wait(async () => (await driver.findElements(By.id('connect-ui'))).length === 0, patience, 'the end of the frame');
        await expect.poll(heard).toEqual(['ready', 'connect', 'close']);
    });

    test('C19, C33: in a frame, by keyboard: a failure is told once, and can be tried again', async () => {
        await embed(await tokenFor('keys'));
        await driver.wait(until.elementIsVisible(await see('input:not([type=hidden])')), patience);
        await (await see('input:not([type=hidden])')).click();
        await driver.actions().sendKeys('wrong', Key.ENTER).perform();
        await expectHeading('Not connected');
        await expect.poll(heard).toEqual(['ready', 'error']);
    });

    test.each(['light', 'dark'])('C32: axe finds nothing on list and form (%s)', async (theme) => {
        await embed((await origins.session()).token, { themeOverride: theme });
        await see('[data-integration=keys]');
        expect(await violations()).toEqual([]);
        await (await see('[data-integration=keys]')).click();
        await see('input');
        expect(await violations()).toEqual([]);
    });

    test('C34, L1, §7.12: a link on a telephone goes on in the same tab, and returns with what it did', async () => {
        const { status } = await origins.valetkey.call('PATCH', '/environment', { allowed_return_urls: [origins.host.url] });
        expect(status).toBe(200);
        await driver.manage().window().setRect({ width: 360, height: 640 });
        const session = await origins.session({ allowed_integrations: ['oauth'], return_url: origins.host.url });
        await driver.get(session.connect_link);
        await expectHeading('Connect Test oauth-test');
        expect(await driver.getCurrentUrl()).not.toContain(session.token);
        await driver.navigate().refresh();
        await expectHeading('Connect Test oauth-test');
        expect(await driver.executeScript('return document.scrollingElement.scrollWidth - document.documentElement.clientWidth')).toBe(0);
        await submit();
        const isTab = async (): Promise<boolean> => (await driver.getAllWindowHandles()).length === 1;
        if (await isTab()) {
            await (await see('#approve')).click();
        } else {
            await approveInPopup();
        }
        await driver.wait(until.urlContains(origins.host.url), patience);
        expect(Object.fromEntries(new URL(await driver.getCurrentUrl()).searchParams)).toMatchObject({
            status: 'success',
            valetkey_state: expect.stringMatching(/^eyJ/) as string,
        });
    });
});

async function violations(): Promise<string[]> {
    await driver.executeScript(axeSource);
    const results = await driver.executeAsyncScript<AxeResults>(
        `const [rules, done] = arguments;
         Promise.allSettled(document.getAnimations().filter((one) => one.effect.getComputedTiming().iterations !== Infinity).map(({ finished }) => finished))
            .then(() => axe.run(document, { runOnly: { type: 'tag', values: rules }, resultTypes: ['violations'] })).then(done);`,
        axeRules,
    );
    expect(results.passes.length).toBeGreaterThan(10);
    return results.violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
}
