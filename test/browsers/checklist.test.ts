/**
 * One pass of the frontend contract's checklist (§6) in whole browsers, with the official client: what depends on the browser. All
 * of it, in Chromium's headless shell, is in `test/e2e/connect-ui`.
 */
import type { Browser, Frame, Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startOrigins, type Origins } from '../e2e/connect-ui/origins.ts';
import { startHostPage } from '../peers/host-page.ts';
import { axeRules, axeSource, type AxeResults } from '../peers/axe.ts';
import { browserNames, launch } from './browsers.ts';
import { approve, expectHeading, closed, nextWindow, Visit } from './visit.ts';

let origins: Origins;
beforeAll(async () => {
    origins = await startOrigins();
});
afterAll(() => origins?.close());

const connected = (providerConfigKey: string) => ({
    resolved: expect.objectContaining({ providerConfigKey, connectionId: expect.any(String) as string }) as object,
});

describe.each(browserNames)('%s', (name) => {
    let browser: Browser;
    let visit: Visit;
    let token: string;
    beforeAll(async () => {
        browser = await launch(name);
    });
    afterAll(() => browser?.close());
    beforeEach(async () => {
        origins.provider.sendHeaders({});
        origins.provider.tokens.fail(null);
        visit = await Visit.begin(browser, origins);
        ({ token } = await origins.session());
    });
    afterEach(() => visit?.close());

    const auth = (args: unknown[], of = visit): Promise<void> => of.call({ method: 'auth', args, config: { connectSessionToken: token } });
    const sessionOf = async (integration: string): Promise<string> => (await origins.session({ allowed_integrations: [integration] })).token;
    const embed = async (integration: string): Promise<Frame> => visit.openConnectUi({ sessionToken: await sessionOf(integration) });
    const submit = async (place: Frame | Page): Promise<void> => (await place.waitForSelector('button[type=submit]'))!.click();
    const clickText = async (place: Frame | Page, text: string): Promise<void> => (await place.waitForSelector(`::-p-text(${text})`))!.click();

    test('it blocks windows that nobody asked for, and lets clicks open them', async () => {
        await visit.page.evaluateOnNewDocument(() => {
            const globals = window as unknown as { unasked: unknown };
            globals.unasked = window.open('about:blank');
        });
        await visit.page.reload();
        expect(await visit.page.evaluate(() => (window as unknown as { unasked: unknown }).unasked)).toBeNull();
        expect(await visit.context.pages()).toHaveLength(1);
    });

    describe('the client by itself', () => {
        const expectPopupToConnect = async (): Promise<void> => {
            const opened = visit.nextWindow();
            await auth(['oauth']);
            const popup = await opened;
            const end = closed(popup);
            await approve(popup);
            expect(await visit.outcome()).toEqual(connected('oauth'));
            await end;
        };

        test('F1, F2, F5, F8: credentials are posted across origins', async () => {
            await auth(['keys', { params: { a: 'b c' }, credentials: { apiKey: origins.provider.account.apiKey } }]);
            expect(await visit.outcome()).toEqual(connected('keys'));
            await auth(['basic', { credentials: { username: 'ann', password: '' } }]);
            expect(await visit.outcome()).toEqual(connected('basic'));
        });

        test('F4b, F7: what is refused is an AuthError', async () => {
            await auth(['keys', { credentials: { apiKey: 'wrong' } }]);
            expect((await visit.outcome()).rejected).toMatchObject({ name: 'AuthError', type: 'connection_test_failed' });
            await auth(['unknown', { credentials: { apiKey: 'wrong' } }]);
            expect((await visit.outcome()).rejected).toMatchObject({ name: 'AuthError', message: expect.stringMatching(/./) as string });
        });

        test('F10: a popup connects, and closes itself', async () => {
            await expectPopupToConnect();
        });

        test('F12, F13: a refusal of the user, and one of the token endpoint', async () => {
            let opened = visit.nextWindow();
            await auth(['oauth']);
            await (await (await opened).waitForSelector('#deny'))!.click();
            expect((await visit.outcome()).rejected).toMatchObject({ name: 'AuthError', type: 'callback_err' });
            origins.provider.tokens.fail('error-in-200', 1);
            opened = visit.nextWindow();
            await auth(['oauth']);
            await approve(await opened);
            expect((await visit.outcome()).rejected?.message).toContain('incorrect or expired');
        });

        test('F14, F15: whoever cuts the window off, it resolves', async () => {
            origins.provider.sendHeaders({ 'cross-origin-opener-policy': 'same-origin' });
            await expectPopupToConnect();

            origins.provider.sendHeaders({});
            const host = await startHostPage({ 'cross-origin-opener-policy': 'same-origin' });
            const isolated = await Visit.begin(browser, origins, host.url);
            const another = isolated.nextWindow();
            await auth(['oauth'], isolated);
            await approve(await another);
            expect(await isolated.outcome()).toEqual(connected('oauth'));
            await isolated.close();
            await host.close();
        });

        test('F16, F20: a window that is closed, and one that has bad news', async () => {
            const opened = visit.nextWindow();
            await auth(['oauth', { detectClosedAuthWindow: true }]);
            const popup = await opened;
            await popup.waitForSelector('#approve');
            await popup.close();
            expect((await visit.outcome()).rejected).toMatchObject({ name: 'AuthError', type: 'window_closed' });

            ({ token } = await origins.session({ allowed_integrations: ['keys'] }));
            await auth(['oauth']);
            expect((await visit.outcome()).rejected).toMatchObject({ name: 'AuthError' });
        });

        test('a popup that no click asked for is blocked, and the client says so', async () => {
            await visit.callUnasked({ method: 'auth', args: ['oauth'], config: { connectSessionToken: token } });
            expect((await visit.outcome()).rejected).toMatchObject({ name: 'AuthError', type: 'blocked_by_browser' });
            expect(await visit.context.pages()).toHaveLength(1);
        });
    });

    describe('the Connect UI in a frame', () => {
        /** What the host page was told of. */
        const errors = async (): Promise<unknown[]> =>
            (await visit.events()).filter(({ type }) => type === 'error').map(({ payload }) => payload?.['errorType']);

        test('C1, C4, C5: the handshake, with a token that comes late or has expired', async () => {
            const frame = await visit.openConnectUi();
            await expect.poll(() => visit.typesOfEvents()).toEqual(['ready']);
            await visit.sendToken(`nango_connect_session_${'0'.repeat(64)}`);
            await expectHeading(frame, 'This session has expired');
            await visit.sendToken(token);
            await frame.waitForSelector('[data-integration=oauth]');
            await expect.poll(() => visit.typesOfEvents()).toEqual(['ready']);
        });

        test('C18: a success is told, finishing closes once', async () => {
            const frame = await embed('oauth');
            const opened = visit.nextWindow();
            await submit(frame);
            const popup = await opened;
            const end = closed(popup);
            await approve(popup);
            await end;
            await expectHeading(frame, 'Connected');
            await clickText(frame, 'Done');
            await visit.page.waitForSelector('iframe#connect-ui', { hidden: true });
            await expect.poll(() => visit.typesOfEvents()).toEqual(['ready', 'connect', 'close']);
        });

        test('C19: a failure is told once, and can be tried again', async () => {
            const frame = await embed('keys');
            await (await frame.waitForSelector('input'))!.type('wrong');
            await submit(frame);
            await expectHeading(frame, 'Not connected');
            await expect.poll(() => visit.typesOfEvents()).toEqual(['ready', 'error']);
            await clickText(frame, 'Back');
            const input = (await frame.waitForSelector('input'))!;
            expect(await input.evaluate(({ value }) => value)).toBe('wrong');
            // Three clicks take the whole line.
            await input.click({ count: 3 });
            await input.type(origins.provider.account.apiKey);
            await submit(frame);
            await expectHeading(frame, 'Connected');
            await expect.poll(() => visit.typesOfEvents()).toEqual(['ready', 'error', 'connect']);
        });

        test('C20: a window that the browser blocks is told of, and a link opens it', async () => {
            const frame = await embed('oauth');
            await frame.waitForSelector('button[type=submit]');
            // A click is good for one window, and another script of the page has had it.
            await frame.evaluate(() => {
                const take = (): void => {
                    window.removeEventListener('click', take, true);
                    window.open('about:blank#taken');
                };
                window.addEventListener('click', take, true);
            });
            const taken = visit.nextWindow();
            await submit(frame);
            await (await taken).close();
            await visit.page.bringToFront();
            await frame.waitForSelector('[role=alert] ::-p-text(Allow pop-ups)');
            await expect.poll(errors).toEqual(['blocked_by_browser']);
            const opened = visit.nextWindow();
            await clickText(frame, 'Open in a new tab');
            await approve(await opened);
            await visit.page.bringToFront();
            await expectHeading(frame, 'Connected');
        });

        test.each([
            [false, []],
            [true, ['window_closed']],
        ])('C21: a window that is closed can be opened again (told: %j)', async (detectClosedAuthWindow, told) => {
            const frame = await visit.openConnectUi({ sessionToken: await sessionOf('oauth'), detectClosedAuthWindow });
            let opened = visit.nextWindow();
            await submit(frame);
            const popup = await opened;
            await popup.waitForSelector('#approve');
            await popup.close();
            await visit.page.bringToFront();
            await frame.waitForSelector('[role=alert] ::-p-text(closed before)');
            await expect.poll(errors).toEqual(told);
            opened = visit.nextWindow();
            await clickText(frame, 'Try again');
            await approve(await opened);
            await expectHeading(frame, 'Connected');
        });

        test('C22: a host page that isolates itself', async () => {
            const host = await startHostPage({ 'cross-origin-opener-policy': 'same-origin' });
            const isolated = await Visit.begin(browser, origins, host.url);
            const frame = await isolated.openConnectUi({ sessionToken: await sessionOf('oauth') });
            const opened = isolated.nextWindow();
            await submit(frame);
            await approve(await opened);
            await expectHeading(frame, 'Connected');
            await expect.poll(() => isolated.typesOfEvents()).toEqual(['ready', 'connect']);
            await isolated.close();
            await host.close();
        });

        test('C33: by keyboard alone', async () => {
            const frame = await embed('oauth');
            await expectHeading(frame, 'Connect Test oauth-test');
            const opened = visit.nextWindow();
            for (let press = 0; press < 20; press += 1) {
                await visit.page.keyboard.press('Tab');
                if (await frame.evaluate(() => document.activeElement?.matches('button[type=submit]'))) break;
            }
            await visit.page.keyboard.press('Enter');
            const popup = await opened;
            await popup.waitForSelector('#approve');
            await popup.keyboard.press('Tab');
            await popup.keyboard.press('Enter');
            await visit.page.bringToFront();
            await expectHeading(frame, 'Connected');
        });
    });

    test.each(['light', 'dark'])('C32, C36: axe finds nothing on its screens (%s), and no policy is broken', async (theme) => {
        const complaints: string[] = [];
        visit.page.on('console', (line) => {
            if (/content.security.policy/i.test(line.text())) complaints.push(line.text());
        });
        const frame = await visit.openConnectUi({ sessionToken: token, themeOverride: theme });
        await (await frame.waitForSelector('[data-integration=keys]'))!.scrollIntoView();
        expect(await violations(frame)).toEqual([]);
        await (await frame.waitForSelector('[data-integration=keys]'))!.click();
        await (await frame.waitForSelector('input'))!.type('wrong');
        expect(await violations(frame)).toEqual([]);
        await submit(frame);
        await expect.poll(() => visit.typesOfEvents()).toContain('error');
        expect(await violations(frame)).toEqual([]);
        expect(complaints).toEqual([]);
    });

    test('L1, §7.12: a connect link hides its token, survives a reload, connects, and returns with what it did', async () => {
        const { status } = await origins.valetkey.call('PATCH', '/environment', { allowed_return_urls: [origins.host.url] });
        expect(status).toBe(200);
        const session = await origins.session({ allowed_integrations: ['oauth'], return_url: `${origins.host.url}?state=mine` });
        const context = await browser.createBrowserContext();
        const page = await context.newPage();
        await page.goto(session.connect_link);
        await expectHeading(page, 'Connect Test oauth-test');
        expect(page.url()).not.toContain(session.token);
        await page.reload();
        await expectHeading(page, 'Connect Test oauth-test');
        const opened = nextWindow(context);
        await submit(page);
        await approve(await opened);
        await page.bringToFront();
        await expect.poll(() => page.url()).toMatch(origins.host.url);
        const said = Object.fromEntries(new URL(page.url()).searchParams);
        expect(said).toMatchObject({ state: 'mine', status: 'success', provider_config_key: 'oauth' });
        // What it is worth: test/http/return-state.test.ts.
        expect(said['valetkey_state']).toMatch(/^eyJ[\w-]+\.[\w-]+\.[\w-]+$/);
        await context.close();
    });
});

async function violations(frame: Frame): Promise<string[]> {
    await frame.evaluate(async () => {
        const isPassing = (animation: Animation): boolean => animation.effect?.getComputedTiming().iterations !== Infinity;
        for (let passing = document.getAnimations(); (passing = passing.filter(isPassing)).length > 0; passing = document.getAnimations()) {
            await Promise.allSettled(passing.map(({ finished }) => finished));
        }
    });
    await frame.evaluate(axeSource);
    const { violations: found, passes } = await frame.evaluate(
        (tags) =>
            (window as unknown as { axe: { run(of: Document, options: object): Promise<AxeResults> } }).axe.run(document, {
                runOnly: { type: 'tag', values: tags },
                resultTypes: ['violations'],
            }),
        axeRules,
    );
    expect(passes.length).toBeGreaterThan(10);
    return found.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
}
