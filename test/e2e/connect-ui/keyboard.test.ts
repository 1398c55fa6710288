/** C33: everything by keyboard alone, in the dialog that never loses the focus, and from screen to screen. */
import type { Frame, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { answer, instead } from './screens.ts';
import { awaitHeading, embed, startSimulated, type Simulated } from './simulated.ts';

let simulated: Simulated;
let page: Page;
let frame: Frame;
let events: Awaited<ReturnType<typeof embed>>['events'];

beforeAll(async () => {
    simulated = await startSimulated();
    for (const slug of ['slack', 'emarsys', 'datadog']) await simulated.add(slug);
});
afterAll(() => simulated?.close());
beforeEach(async () => {
    const context = await simulated.context();
    ({ page, frame, events } = await embed(context, simulated, (await simulated.session()).token));
    await awaitHeading(frame, 'Connect an account');
    return () => context.close();
});

/** What has the focus, as it is read out. */
const focused = (): Promise<string> =>
    frame.evaluate(() => {
        const { activeElement } = document;
        const label = activeElement instanceof HTMLInputElement ? activeElement.labels?.[0] : undefined;
        return (label?.firstChild ?? activeElement)?.textContent?.trim() || (activeElement?.getAttribute('aria-label') ?? '');
    });

/** Tab, until this has the focus. */
async function tabTo(name: string): Promise<void> {
    const seen: string[] = [];
    while (!seen.includes(name)) {
        if (seen.length > 20) throw new Error(`${name} is not reached: ${seen.join(', ')}`);
        await page.keyboard.press('Tab');
        seen.push(await focused());
    }
}

/** A new screen begins at its heading. */
async function arrive(heading: string): Promise<void> {
    await awaitHeading(frame, heading);
    await expect.poll(focused).toBe(heading);
    await expect.poll(() => frame.evaluate(() => document.hasFocus())).toBe(true);
}

test('an API user is connected', async () => {
    const { credentials } = simulated.simulator.world.samples.of('emarsys');
    await arrive('Connect an account');
    await tabTo('Emarsys Core API (WSSE)');
    await page.keyboard.press('Enter');
    await arrive('Connect Emarsys Core API (WSSE)');
    await tabTo('API Username');
    await page.keyboard.type(credentials['username']!);
    await tabTo('API Secret');
    await page.keyboard.type(credentials['password']!);
    await page.keyboard.press('Enter');
    await arrive('Connected');
    await tabTo('Done');
    await page.keyboard.press('Enter');
    await page.locator('iframe').waitFor({ state: 'detached' });
    await expect.poll(async () => (await events()).map(({ type }) => type)).toEqual(['ready', 'connect', 'close']);
});

test('an OAuth account is connected, consent included', async () => {
    await tabTo('Slack');
    await page.keyboard.press('Enter');
    await arrive('Connect Slack');
    await tabTo('Connect');
    const [popup] = await Promise.all([page.context().waitForEvent('page'), page.keyboard.press('Space')]);
    await popup.locator('#approve').waitFor();
    await popup.keyboard.press('Tab');
    await expect.poll(() => popup.evaluate(() => document.activeElement?.id)).toBe('approve');
    await popup.keyboard.press('Enter');
    await page.bringToFront();
    await arrive('Connected');
});

test.each(['Tab', 'Shift+Tab'])('%s goes round in the dialog', async (key) => {
    for (const open of [undefined, 'Datadog']) {
        if (open !== undefined) {
            await frame.getByRole('button', { name: open }).press('Enter');
            await arrive(`Connect ${open}`);
        }
        const stops = await frame.locator('[role=dialog]').evaluate((dialog) => dialog.querySelectorAll('a[href], button, input, select').length);
        const seen = new Set<string>();
        for (let press = 0; press < 2 * stops; press += 1) {
            await page.keyboard.press(key);
            const isInside = await frame.evaluate(() => document.hasFocus() && document.activeElement?.closest('[role=dialog]') !== null);
            seen.add(await frame.evaluate(() => document.activeElement!.outerHTML));
            expect([press, isInside]).toEqual([press, true]);
        }
        expect(seen.size).toBe(stops);
    }
});

test('a failure is read, its details are opened, and the form is gone back to', async () => {
    await instead(page.context(), '/auth/', answer(400, { error: { code: 'connection_test_failed', message: 'Emarsys answered 401.' } }));
    await tabTo('Emarsys Core API (WSSE)');
    await page.keyboard.press('Enter');
    await arrive('Connect Emarsys Core API (WSSE)');
    await tabTo('API Username');
    await page.keyboard.type('ann');
    await tabTo('API Secret');
    await page.keyboard.type('secret');
    await page.keyboard.press('Enter');
    await arrive('Not connected');
    await tabTo('Technical details');
    await page.keyboard.press('Enter');
    await frame.locator('#details').waitFor();
    await tabTo('Back');
    await page.keyboard.press('Enter');
    await arrive('Connect Emarsys Core API (WSSE)');
    await tabTo('API Username');
    expect(await frame.evaluate(() => (document.activeElement as HTMLInputElement).value)).toBe('ann');
    await page.keyboard.press('Escape');
    await frame.getByRole('alertdialog').waitFor();
    await expect.poll(focused).toBe('Stay');
    await page.keyboard.press('Escape');
    await frame.getByRole('alertdialog').waitFor({ state: 'detached' });
    await expect.poll(focused).toBe('API Username');
});

test('a form that is sent too early leads to what is missing', async () => {
    await tabTo('Emarsys Core API (WSSE)');
    await page.keyboard.press('Enter');
    await arrive('Connect Emarsys Core API (WSSE)');
    await tabTo('API Username');
    await page.keyboard.type('ann');
    await tabTo('Connect');
    await page.keyboard.press('Enter');
    await expect.poll(focused).toBe('API Secret');
    await frame.getByRole('alert').filter({ hasText: 'Please fill in API Secret.' }).waitFor();
});
