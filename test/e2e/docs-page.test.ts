/** The page at /docs in a real browser: it loads from here alone, fits narrow screens, is legible, and works by keyboard. */
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/app.ts';
import { launchBrowser } from '../peers/browser.ts';

let valetkey: TestApp;
let browser: Browser;

beforeAll(async () => {
    [valetkey, browser] = await Promise.all([startTestApp(), launchBrowser()]);
    await valetkey.listen();
});
afterAll(async () => {
    await browser.close();
    await valetkey.close();
});

/** Opens the page, lets the test look at it, and holds that nothing was blocked, failed or loaded from elsewhere. */
async function onPage<T>(options: BrowserContextOptions, look: (page: Page) => Promise<T>): Promise<T> {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const troubles: string[] = [];
    const addresses: string[] = [];
    page.on('console', (message) => troubles.push(message.text()));
    page.on('pageerror', (error) => troubles.push(error.message));
    page.on('request', (request) => addresses.push(request.url()));
    page.on('response', (response) => void (response.status() >= 400 && troubles.push(`${response.status()} ${response.url()}`)));
    await page.goto(`${valetkey.url}/docs`);
    const result = await look(page);
    await context.close();
    expect(troubles).toEqual([]);
    expect(addresses.length).toBeGreaterThanOrEqual(2);
    expect(addresses.filter((address) => new URL(address).origin !== valetkey.url)).toEqual([]);
    return result;
}

/** What is folded is read too. */
const unfold = `for (const details of document.querySelectorAll('details')) details.open = true;`;

/** Texts whose contrast with what is behind them is below 4.5 to 1 (WCAG 2.2, 1.4.3 AA). */
const faintTexts = `(() => {
    ${unfold}
    const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const luminance = (colour) => {
        const [r, g, b] = channels(colour).map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const groundOf = (element) => {
        const colour = element === null ? 'rgb(255, 255, 255)' : getComputedStyle(element).backgroundColor;
        return element !== null && channels(colour)[3] === 0 ? groundOf(element.parentElement) : colour;
    };
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const faint = new Set();
    let looked = 0;
    while (texts.nextNode()) {
        const element = texts.currentNode.parentElement;
        if (texts.currentNode.textContent.trim() === '') continue;
        looked += 1;
        const [dark, light] = [luminance(getComputedStyle(element).color), luminance(groundOf(element))].sort((a, b) => a - b);
        if ((light + 0.05) / (dark + 0.05) < 4.5) faint.add(element.tagName + '.' + element.className);
    }
    return { faint: [...faint], looked };
})()`;

describe.each(['light', 'dark'] as const)('in the %s', (colorScheme) => {
    test('every text is legible', async () => {
        const { faint, looked } = await onPage({ colorScheme }, (page) => page.evaluate<{ faint: string[]; looked: number }>(faintTexts));
        expect(looked).toBeGreaterThan(1000);
        expect(faint).toEqual([]);
        const ground = await onPage({ colorScheme }, (page) => page.evaluate('getComputedStyle(document.body).backgroundColor'));
        expect(ground).toBe(colorScheme === 'light' ? 'rgb(255, 255, 255)' : 'rgb(15, 18, 23)');
    });
});

test.each([320, 360, 768, 899, 900, 1200, 1920])('nothing is wider than a window of %d pixels', async (width) => {
    const overflow = await onPage({ viewport: { width, height: 800 } }, (page) =>
        page.evaluate<number>(`${unfold} document.documentElement.scrollWidth - window.innerWidth`),
    );
    expect(overflow).toBeLessThanOrEqual(0);
});

test('by keyboard: skip to the content, search, go there', async () => {
    await onPage({ viewport: { width: 1280, height: 800 } }, async (page) => {
        await page.keyboard.press('Tab');
        expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to the content');
        await page.keyboard.press('/');
        await page.keyboard.type('post sessions/reconnect');
        const shown = page.locator('nav .group li:visible');
        await expect.poll(() => shown.count()).toBe(1);
        await page.keyboard.type(' nothing like it');
        await expect.poll(() => page.locator('nav .none').isVisible()).toBe(true);
        await page.locator('nav input').fill('reconnect');
        await page.keyboard.press('Tab');
        await page.keyboard.press('Tab');
        await page.keyboard.press('Enter');
        expect(new URL(page.url()).hash).toBe('#createReconnectSession');
    });
});

test('on a narrow screen the contents are called up, and leave with a choice', async () => {
    await onPage({ viewport: { width: 360, height: 700 } }, async (page) => {
        const contents = page.locator('nav');
        expect(await contents.isVisible()).toBe(false);
        await page.getByRole('button', { name: 'Contents' }).press('Enter');
        expect(await contents.isVisible()).toBe(true);
        await contents.getByText('Connect with an API key').click();
        expect(await contents.isVisible()).toBe(false);
        expect(new URL(page.url()).hash).toBe('#connectWithApiKey');
        expect(await page.locator('#connectWithApiKey h3').isVisible()).toBe(true);
    });
});

test('without its script it says the same', async () => {
    await onPage({ javaScriptEnabled: false, viewport: { width: 360, height: 700 } }, async (page) => {
        expect(await page.locator('nav').isVisible()).toBe(false);
        await page.getByRole('button', { name: 'Contents' }).click();
        expect(await page.locator('nav').isVisible()).toBe(true);
        expect(await page.locator('article').count()).toBeGreaterThan(20);
        expect(await page.locator('.search').isVisible()).toBe(false);
    });
});
