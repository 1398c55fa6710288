/** What the page does (frontend contract §6): connect links, forms, and how attempts end. */
import type { BrowserContext, Frame, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { answer, instead } from './screens.ts';
import { approve, awaitHeading, embed, input, openLink, popupOf, startSimulated, submit, type Simulated } from './simulated.ts';

const text = (more: Record<string, unknown> = {}) => ({ type: 'string', description: 'Anything.', ...more });
const entries = {
    wide: {
        display_name: 'Wide',
        categories: ['other'],
        auth_mode: 'OAUTH2',
        authorization_url: 'https://wide.example/authorize',
        token_url: 'https://wide.example/token',
        popup: { width: 720 },
    },
    formats: {
        display_name: 'Formats',
        categories: ['other'],
        auth_mode: 'API_KEY',
        docs_connect: 'https://docs.example/formats',
        proxy: { base_url: 'https://api.formats.example' },
        credentials: { apiKey: text({ title: 'Key', secret: true }) },
        connection_config: {
            host: text({ title: 'Host', format: 'hostname', optional: true, doc_section: '#host' }),
            account: text({ title: 'Account', format: 'uuid', optional: true }),
            mail: text({ title: 'Mail', format: 'email', optional: true }),
            site: text({ title: 'Site', format: 'uri', optional: true }),
            code: text({ title: 'Code', pattern: '^[a-z]{3}-\\d+$', example: 'abc-1', optional: true }),
        },
    },
};

let simulated: Simulated;
let context: BrowserContext;

beforeAll(async () => {
    simulated = await startSimulated(entries);
    for (const slug of ['slack', 'hubspot', 'emarsys', 'sentry-oauth', 'zendesk', 'datadog', 'freshdesk']) await simulated.add(slug);
    await simulated.valetkey.call('POST', '/integrations', { body: { provider: 'formats', unique_key: 'formats' } });
    const credentials = { type: 'OAUTH2', client_id: 'wide', client_secret: 'wide-secret' };
    await simulated.valetkey.call('POST', '/integrations', { body: { provider: 'wide', unique_key: 'wide', credentials } });
});
afterAll(() => simulated?.close());
beforeEach(async () => {
    context = await simulated.context();
});
afterEach(() => context.close());

/** @param suffix that makes them wrong: twins take nothing that says so of itself */
const fillEmarsys = async (place: Page | Frame, suffix = ''): Promise<void> => {
    const { credentials } = simulated.simulator.world.samples.of('emarsys');
    await input(place, 'API Username').fill(credentials['username']! + suffix);
    await input(place, 'API Secret').fill(credentials['password']! + suffix);
};
const count = async (integration: string): Promise<number> => (await simulated.connections(integration)).length;
const openOf = async (only: string, props: Record<string, unknown> = {}, session: Record<string, unknown> = {}) => {
    const embedded = await embed(context, simulated, (await simulated.session(only, session)).token, props);
    await awaitHeading(embedded.frame, /./);
    return embedded;
};
const preset = (integration: string, values: Record<string, string>) => ({
    integrations_config_defaults: { [integration]: { connection_config: values } },
});
const minutes = (count: number): void => simulated.valetkey.advance(count * 60_000);

describe('connect links', () => {
    test('L1, C7: the token leaves the address bar, and a reload goes on where it was', async () => {
        const session = await simulated.session();
        const page = await openLink(context, session, { lang: 'fr' });
        await page.locator('[data-integration=slack]').waitFor();
        expect(page.url()).toBe(`${simulated.url}/connect-ui/?lang=fr`);
        expect(await page.evaluate(() => history.length)).toBe(2);
        await page.reload();
        await page.locator('[data-integration=slack]').waitFor();
        expect(await page.locator('html').getAttribute('lang')).toBe('fr');
    });

    test('the browser’s Back leads from the form to the list, Forward to the form again, and a reload stays there', async () => {
        const session = await simulated.session();
        const page = await openLink(context, session);
        const listed = page.locator('[data-integration=emarsys]');
        const user = input(page, 'API Username');
        await listed.click();
        await user.fill('someone');
        await input(page, 'API Secret').fill('typed-secret');
        await page.goBack();
        await listed.waitFor();
        await page.goForward();
        expect(await user.inputValue()).toBe('someone');
        const entry = await page.evaluate(() => ({ state: window.history.state as unknown, address: window.location.href }));
        expect(entry).toEqual({ state: { form: 'emarsys' }, address: `${simulated.url}/connect-ui/` });
        await page.reload();
        await user.waitFor();
        // The page's own arrow leaves no entry behind: Back would show the form again.
        await page.getByRole('button', { name: 'Back', exact: true }).click();
        await listed.waitFor();
        await expect.poll(() => page.evaluate(() => window.history.state as unknown)).toBeNull();
        await page.goForward();
        await user.waitFor();
    });

    test('Back from an attempt that is on its way: its failure shows up on no other form', async () => {
        const page = await openLink(context, await simulated.session());
        const call = /\/auth\/[a-z-]+\/emarsys\b/;
        const answered = Promise.withResolvers<void>();
        await page.route(call, async (route) => {
            await answered.promise;
            await route.fulfill({ status: 400, json: { error: { code: 'connection_test_failed', message: 'No.' } } });
        });
        await page.locator('[data-integration=emarsys]').click();
        await fillEmarsys(page);
        const asked = page.waitForRequest(call);
        await submit(page);
        await asked;
        await page.goBack();
        await page.locator('[data-integration=formats]').click();
        await input(page, 'Key').waitFor();
        const failed = page.waitForResponse(call);
        answered.resolve();
        await (await failed).finished();
        await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))));
        expect(await page.getByRole('heading', { name: 'Connect Formats' }).count()).toBe(1);
    });

    test('one integration, or one to reconnect, has no list to go back to; a frame adds nothing to its host’s history', async () => {
        const entries = (page: Page) => page.evaluate(() => ({ state: window.history.state as unknown, length: history.length }));
        const page = await openLink(context, await simulated.session('emarsys'));
        await fillEmarsys(page);
        expect(await entries(page)).toEqual({ state: null, length: 2 });
        await submit(page);
        await awaitHeading(page, 'Connected');
        const { connection_id } = (await simulated.connections('emarsys'))[0]!;
        const body = { connection_id, integration_id: 'emarsys' };
        const again = await simulated.valetkey.call<{ data: { token: string; connect_link: string } }>('POST', '/connect/sessions/reconnect', {
            body,
        });
        const reconnecting = await openLink(context, { token: again.body.data.token, link: again.body.data.connect_link });
        await input(reconnecting, 'API Username').waitFor();
        expect(await entries(reconnecting)).toEqual({ state: null, length: 2 });
        const { page: host, frame } = await embed(context, simulated, (await simulated.session()).token);
        await frame.locator('[data-integration=emarsys]').waitFor();
        const before = await host.evaluate(() => history.length);
        await frame.locator('[data-integration=emarsys]').click();
        await input(frame, 'API Username').waitFor();
        expect(await host.evaluate(() => history.length)).toBe(before);
        await frame.getByRole('button', { name: 'Back', exact: true }).click();
        await frame.locator('[data-integration=emarsys]').waitFor();
    });

    test('L2: a flow that was begun is finished after the link has expired, and the link says that it has', async () => {
        const session = await simulated.session('slack');
        const page = await openLink(context, session);
        await awaitHeading(page, 'Connect Slack');
        const before = await count('slack');
        minutes(28);
        const popup = await popupOf(page, () => submit(page));
        await popup.locator('#approve').waitFor();
        minutes(4);
        await approve(popup);
        await awaitHeading(page, 'Connected');
        expect(await count('slack')).toBe(before + 1);
        const late = await openLink(await simulated.context(), session);
        await awaitHeading(late, 'This session has expired');
        await late.context().close();
    });

    test('L3: a link connects a second time', async () => {
        const session = await simulated.session('emarsys');
        const before = await count('emarsys');
        for (const _ of [1, 2]) {
            const page = await openLink(context, session);
            await fillEmarsys(page);
            await submit(page);
            await awaitHeading(page, 'Connected');
            expect(await page.getByRole('button').count()).toBe(0);
        }
        expect(await count('emarsys')).toBe(before + 2);
    });

    test('C6: an address of somebody else’s is not asked', async () => {
        const asked: string[] = [];
        context.on('request', (request) => asked.push(new URL(request.url()).origin));
        const page = await openLink(context, await simulated.session(), { apiURL: 'https://evil.test' });
        await page.locator('[data-integration=slack]').waitFor();
        const { frame } = await embed(context, simulated, (await simulated.session()).token, { apiURL: 'https://evil.test' });
        await frame.locator('[data-integration=slack]').waitFor();
        expect(new Set(asked)).toEqual(new Set([simulated.url, new URL(simulated.host.url).origin]));
    });

    test('C34: on a telephone the flow goes on in the same tab, and comes back to the page', async () => {
        const phone = await simulated.context({ viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true });
        const page = await openLink(phone, await simulated.session('slack'), { lang: 'de', theme: 'dark' });
        await awaitHeading(page, 'Slack verbinden');
        await page.locator('button[type=submit]').tap();
        await page.locator('#approve').tap();
        await awaitHeading(page, 'Verbunden');
        expect(phone.pages()).toEqual([page]);
        expect(await page.locator('html').getAttribute('class')).toContain('dark');
        expect(page.url()).not.toContain('flow=');
        await phone.close();
    });
});

test('a page that gets no frames for a while, as in a tab behind others, shows what the server has answered', async () => {
    await context.addInitScript(() => {
        window.requestAnimationFrame = () => 0;
        const later = window.setTimeout.bind(window);
        // What waits for a frame goes on after some milliseconds without one: here, for a visit, never.
        window.setTimeout = ((work: () => void, ms = 0) => later(work, ms > 0 && ms <= 100 ? 3_600_000 : ms)) as typeof window.setTimeout;
    });
    const page = await openLink(context, await simulated.session('slack'));
    await awaitHeading(page, 'Connect Slack');
    expect(await page.locator('button[type=submit]').isVisible()).toBe(true);
});

describe('the list', () => {
    test('C8: a session with one integration leads to its form, without a way back', async () => {
        const { frame } = await openOf('slack');
        await awaitHeading(frame, 'Connect Slack');
        expect(await frame.getByRole('button', { name: 'Back' }).count()).toBe(0);
    });

    test('C9: names and ids are found, by keyboard alone', async () => {
        await simulated.valetkey.call('POST', '/integrations', { body: { provider: 'formats', unique_key: 'needle-1' } });
        const { frame, page } = await embed(context, simulated, (await simulated.session()).token);
        const shown = () =>
            frame.locator('li:not([hidden]) [data-integration]').evaluateAll((rows) => rows.map((row) => row.getAttribute('data-integration')));
        await frame.locator('[type=search]').focus();
        await page.keyboard.type('emars');
        await expect.poll(shown).toEqual(['emarsys']);
        await page.keyboard.press('Escape');
        await expect.poll(async () => (await shown()).length).toBeGreaterThanOrEqual(8);
        await page.keyboard.type('needle');
        await expect.poll(shown).toEqual(['needle-1']);
        await page.keyboard.press('ArrowDown');
        await page.keyboard.press('Enter');
        await awaitHeading(frame, 'Connect Formats');
        await frame.getByRole('button', { name: 'Back' }).click();
        await awaitHeading(frame, 'Connect an account');
        await simulated.valetkey.call('DELETE', '/integrations/needle-1');
    });

    test('C10: where there is nothing to connect, it says so and closes', async () => {
        const { token } = await simulated.session(null, {}, simulated.valetkey.prodKey);
        const { frame, events, page } = await embed(context, simulated, token);
        await awaitHeading(frame, 'Nothing to connect yet');
        await frame.locator('main').getByRole('button', { name: 'Close' }).click();
        await page.locator('iframe').waitFor({ state: 'detached' });
        await expect.poll(() => events()).toEqual([{ type: 'ready' }, { type: 'close' }]);
    });

    test('C5: a fresh token revives a page whose session has expired', async () => {
        const { frame, sendToken } = await embed(context, simulated, `nango_connect_session_${'0'.repeat(64)}`);
        await awaitHeading(frame, 'This session has expired');
        await sendToken((await simulated.session('slack')).token);
        await awaitHeading(frame, 'Connect Slack');
        expect(await frame.getByText('expired').count()).toBe(0);
    });
});

describe('forms', () => {
    test.each([
        ['Host', 'app.example.com', 'app example', 'Enter a host name'],
        ['Account', '123e4567-e89b-02d3-0456-426614174000', '123e4567', 'Enter an ID'],
        ['Mail', 'ann@example.com', 'ann', 'Enter an e-mail address'],
        ['Site', 'https://example.com/x', 'javascript:alert(1)', 'Enter an address'],
        ['Code', 'abc-12', 'abc', 'It should look like “abc-1”'],
    ])('C12: %s takes %j, and not %j', async (label, right, wrong, fault) => {
        const { frame, page } = await openOf('formats');
        await input(frame, 'Key').fill('a-key');
        const control = input(frame, label);
        const send = frame.locator('button[type=submit]');
        await control.fill(wrong);
        await page.keyboard.press('Tab');
        await frame.getByRole('alert').filter({ hasText: fault }).waitFor();
        expect(await control.getAttribute('aria-invalid')).toBe('true');
        expect(await send.getAttribute('aria-disabled')).toBe('true');
        await control.fill(right);
        await expect.poll(() => send.getAttribute('aria-disabled')).toBe('false');
        expect(await frame.getByRole('alert').count()).toBe(0);
    });

    test('C13: what the session has set is not asked, and is used', async () => {
        const { frame, page } = await openOf('zendesk', {}, preset('zendesk', { subdomain: 'acme-zendesk' }));
        expect(await frame.locator('label').count()).toBe(0);
        await approve(await popupOf(page, () => submit(frame)));
        await awaitHeading(frame, 'Connected');
        expect(await simulated.connections('zendesk')).toMatchObject([{ connection_config: { subdomain: 'acme-zendesk' } }]);
    });

    test('C14: an invalid one is told to everybody, once, and blocks', async () => {
        const { frame, events } = await openOf('zendesk', {}, preset('zendesk', { subdomain: 'No such place!' }));
        await frame.getByRole('alert').filter({ hasText: 'Zendesk Domain' }).waitFor();
        expect(await frame.locator('button[type=submit]').getAttribute('aria-disabled')).toBe('true');
        await expect
            .poll(async () => (await events()).filter(({ type }) => type === 'error'))
            .toEqual([
                { type: 'error', payload: { errorType: 'invalid_preset', errorMessage: expect.stringContaining('Zendesk Domain') as string } },
            ]);
    });

    test('C15: links to documentation are those of the entry, or the session’s own', async () => {
        const links = (frame: Frame) => frame.locator('a[href^="https://docs."]').evaluateAll((all) => all.map((link) => link.getAttribute('href')));
        const docs = 'https://docs.example/formats';
        expect(await links((await openOf('formats')).frame)).toEqual([docs, `${docs}#host`, docs, docs, docs, docs, docs]);
        const own = 'https://docs.acme.example/connect?a=1#here';
        const { frame } = await openOf('formats', {}, { overrides: { formats: { docs_connect: own } } });
        expect(new Set(await links(frame))).toEqual(new Set([own]));
    });

    test('C17: an own OAuth app is asked for where its default is empty, and may be left out', async () => {
        const labels = async (values: Record<string, string>) => {
            const { frame, page } = await openOf('hubspot', {}, preset('hubspot', values));
            return { frame, page, labels: await frame.locator('label').allTextContents() };
        };
        expect((await labels({ oauth_client_id_override: 'theirs', oauth_client_secret_override: 'theirs' })).labels).toEqual([]);
        expect((await labels({ oauth_client_id_override: '' })).labels).toEqual(['OAuth client ID']);
        const { frame, page, labels: both } = await labels({ oauth_client_id_override: '', oauth_client_secret_override: '' });
        expect(both).toEqual(['OAuth client ID', 'OAuth client secret']);
        await approve(await popupOf(page, () => submit(frame)));
        await awaitHeading(frame, 'Connected');
        const [connection] = await simulated.connections('hubspot');
        expect(JSON.stringify(connection!['credentials'])).not.toContain('client_id');
    });

    test('C31: what was typed is not lost by a slip', async () => {
        const { frame, page, events } = await openOf('emarsys');
        const name = input(frame, 'API Username');
        await name.fill('ann');
        await page.keyboard.press('Escape');
        const dialog = frame.getByRole('alertdialog', { name: 'Leave without connecting?' });
        await dialog.getByRole('button', { name: 'Stay' }).click();
        await dialog.waitFor({ state: 'detached' });
        expect([await name.inputValue(), await name.evaluate((field) => field === document.activeElement)]).toEqual(['ann', true]);
        await frame.locator('.backdrop').click({ position: { x: 5, y: 5 } });
        await dialog.getByRole('button', { name: 'Leave' }).click();
        await page.locator('iframe').waitFor({ state: 'detached' });
        await expect.poll(async () => (await events()).map(({ type }) => type)).toEqual(['ready', 'close']);
    });
});

describe('attempts', () => {
    const errors = async (events: () => ReturnType<Awaited<ReturnType<typeof embed>>['events']>) =>
        (await events()).filter(({ type }) => type === 'error').map(({ payload }) => payload!['errorType']);
    /** A window that the page opens is there, and looks closed to it: what a provider that cuts its ties does. */
    const hideWindows = (frame: Frame) =>
        frame.evaluate(() => {
            const open = window.open.bind(window);
            window.open = (...given) => {
                open(...given);
                return { closed: true, close: () => {} } as Window;
            };
        });

    test('C18: success is told before it is shown, and the end once', async () => {
        const { frame, page, events } = await openOf('emarsys');
        await fillEmarsys(frame);
        await submit(frame);
        await awaitHeading(frame, 'Connected');
        const connection = (await simulated.connections('emarsys'))[0]!;
        const connect = { type: 'connect', payload: { providerConfigKey: 'emarsys', connectionId: connection['connection_id'] } };
        await expect.poll(() => events()).toEqual([{ type: 'ready' }, connect]);
        await expect.poll(() => page.evaluate(() => document.body.style.overflow)).toBe('hidden');
        await frame.getByRole('button', { name: 'Done' }).dblclick();
        await page.locator('iframe').waitFor({ state: 'detached' });
        await expect.poll(() => events()).toEqual([{ type: 'ready' }, connect, { type: 'close' }]);
        await expect.poll(() => page.evaluate(() => document.body.style.overflow)).toBe('');
    });

    test('C19: a failure is told once, has details, keeps what was typed, and can be tried again', async () => {
        const { frame, events } = await openOf('emarsys');
        await fillEmarsys(frame, '-wrong');
        await submit(frame);
        await awaitHeading(frame, 'Not connected');
        await expect.poll(() => errors(events)).toEqual(['connection_test_failed']);
        const details = frame.getByRole('button', { name: 'Technical details' });
        await details.click();
        expect(await details.getAttribute('aria-expanded')).toBe('true');
        expect(await frame.locator('#details').innerText()).toContain('connection_test_failed');
        await frame.locator('main').getByRole('button', { name: 'Back' }).click();
        expect(await input(frame, 'API Secret').inputValue()).toMatch(/-wrong$/);
        await fillEmarsys(frame);
        await submit(frame);
        await awaitHeading(frame, 'Connected');
        await expect.poll(() => errors(events)).toEqual(['connection_test_failed']);
    });

    test('§7.14: a window has the size that the host asks for, or else its provider’s', async () => {
        const size = async (address: string): Promise<string | undefined> => {
            const { frame } = await openOf('wide', { baseURL: address });
            await frame.evaluate(() => {
                window.open = (_address, _target, features) => {
                    document.documentElement.dataset['features'] = features;
                    return null;
                };
            });
            await submit(frame);
            const { features, screen } = await frame.evaluate(() => ({
                features: document.documentElement.dataset['features'],
                screen: window.screen.availHeight,
            }));
            // Of this browser the screen may be lower than the window that is wanted.
            return /width=\d+,height=\d+/.exec(features ?? '')?.[0].replace(`height=${Math.min(screen, 760)}`, 'height=760');
        };
        expect(await size(`${simulated.url}/connect-ui`)).toBe('width=720,height=760');
        expect(await size(`${simulated.url}/connect-ui?popup_width=500&popup_height=400`)).toBe('width=500,height=400');
    });

    test('C20: a window that the browser does not open is told of, and a link opens it', async () => {
        const { frame, page, events } = await openOf('slack');
        await frame.evaluate(() => (window.open = () => null));
        await submit(frame);
        await frame.getByRole('alert').filter({ hasText: 'Allow pop-ups' }).waitFor();
        await expect.poll(() => errors(events)).toEqual(['blocked_by_browser']);
        await approve(await popupOf(page, () => frame.getByRole('link', { name: 'Open in a new tab' }).click()));
        await awaitHeading(frame, 'Connected');
    });

    test.each([
        [false, []],
        [true, ['window_closed']],
    ])('C21: a closed window gives the form back (told: %j)', async (detectClosedAuthWindow, told) => {
        const { frame, page, events } = await openOf('slack', { detectClosedAuthWindow });
        const popup = await popupOf(page, () => submit(frame));
        await popup.locator('#approve').waitFor();
        await popup.close();
        await page.bringToFront();
        await frame.getByRole('alert').filter({ hasText: 'closed before' }).waitFor();
        await expect.poll(() => errors(events)).toEqual(told);
        await approve(await popupOf(page, () => frame.getByRole('button', { name: 'Try again' }).click()));
        await awaitHeading(frame, 'Connected');
    });

    test('C23: a success after a reported close is one', async () => {
        const { frame, page, events } = await openOf('slack', { detectClosedAuthWindow: true });
        await hideWindows(frame);
        const popup = await popupOf(page, () => submit(frame));
        await popup.locator('#approve').waitFor();
        await page.bringToFront();
        await frame.getByRole('alert').filter({ hasText: 'closed before' }).waitFor();
        await expect.poll(() => errors(events)).toEqual(['window_closed']);
        await approve(popup);
        await awaitHeading(frame, 'Connected');
        await expect.poll(async () => (await events()).map(({ type }) => type)).toEqual(['ready', 'error', 'connect']);
    });

    test('what a person refuses is told once, with the provider’s reason', async () => {
        const { frame, page, events } = await openOf('slack');
        const popup = await popupOf(page, () => submit(frame));
        await popup.locator('#deny').click();
        await awaitHeading(frame, 'Not connected');
        await expect.poll(() => errors(events)).toEqual(['callback_err']);
        await frame.getByRole('button', { name: 'Technical details' }).click();
        expect(await frame.locator('main').innerText()).toContain('access_denied');
    });

    test('a socket that does not come about is not missed', async () => {
        await context.routeWebSocket(/.*/, (socket) => socket.close());
        const { frame, page, events } = await openOf('slack');
        await approve(await popupOf(page, () => submit(frame)));
        await awaitHeading(frame, 'Connected');
        await expect.poll(async () => (await events()).map(({ type }) => type)).toEqual(['ready', 'connect']);
    });

    test('C24: what waits for approval is told so', async () => {
        const { frame, events } = await openOf('sentry-oauth');
        await input(frame, 'User ID').fill('123456');
        await submit(frame);
        await awaitHeading(frame, 'Waiting for approval');
        await expect.poll(async () => (await events()).at(-1)).toMatchObject({ type: 'connect', payload: { isPending: true } });
    });

    test('C25: a mode that the page does not know is told of', async () => {
        await instead(context, '/providers/', answer(200, { data: { name: 'slack', display_name: 'Slack', auth_mode: 'TELEPATHY' } }));
        const { frame, events } = await openOf('slack');
        await awaitHeading(frame, 'Slack cannot be connected here');
        await expect.poll(() => errors(events)).toEqual(['unsupported_auth_mode']);
    });

    test('T1: what happens on the page is kept with the attempt, and nowhere else', async () => {
        const beacons: Promise<number | undefined>[] = [];
        context.on('request', (request) => {
            const isBeacon = new URL(request.url()).pathname === '/connect/telemetry' && request.method() === 'POST';
            if (isBeacon) beacons.push(request.response().then((response) => response?.status()));
        });
        const { frame } = await openOf('emarsys');
        await fillEmarsys(frame);
        await submit(frame);
        await awaitHeading(frame, 'Connected');
        const kept = () =>
            simulated.valetkey.query<{ event: string }>(
                `select meta->>'event' as event from operation_messages where source = 'user' and operation_id =
                     (select operation_id from connect_sessions order by created_at desc limit 1) order by id`,
            );
        await expect
            .poll(async () => (await kept()).map(({ event }) => event).toSorted())
            .toEqual(['open', 'view:integration', 'click:connect', 'view:success'].toSorted());
        expect(new Set(await Promise.all(beacons))).toEqual(new Set([204]));
    });
});
