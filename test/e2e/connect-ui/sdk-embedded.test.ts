/**
 * `openConnectUI()` of the official client: what the host page and the Connect UI tell each other (frontend contract §2.2, §2.3,
 * §6 C1–C5, C18, C22, C35). Older clients: sdk-versions.test.ts; what is in the frame: page-*.test.ts; that a message leaves before
 * its screen: test/ui/machine.test.ts.
 */
import { join } from 'node:path';
import type { Frame } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startTestApp } from '../../http/app.ts';
import { startHostPage } from '../../peers/host-page.ts';
import { approve, startRig, type Rig, type Visit } from './rig.ts';

let rig: Rig;
let visit: Visit;
let token: string;

beforeAll(async () => {
    rig = await startRig();
});
afterAll(() => rig?.close());

beforeEach(async () => {
    visit = await rig.visit();
    ({ token } = await rig.session());
});
afterEach(() => visit?.close());

const heading = (frame: Frame, name: string): Promise<void> => frame.getByRole('heading', { name }).waitFor();
/** The list: there is something to choose from. */
const expectList = (frame: Frame): Promise<void> => frame.getByRole('button', { name: /oauth-test/ }).waitFor();
const typesOf = async (of = visit): Promise<string[]> => (await of.events()).map(({ type }) => type);

interface Handle {
    setSessionToken(token: string): void;
    open(): void;
}
const sendToken = (text: string): Promise<void> =>
    visit.page.evaluate((given) => (window as unknown as { connectUi: Handle }).connectUi.setSessionToken(given), text);

describe('C1: the handshake', () => {
    test('a token that comes after the page is ready', async () => {
        const frame = await visit.openConnectUi();
        await expect.poll(() => typesOf()).toEqual(['ready']);
        await frame.getByRole('status').waitFor();
        await sendToken(token);
        await expectList(frame);
        await expect.poll(() => typesOf()).toEqual(['ready']);
    });

    test('a token that is there before', async () => {
        const opened = visit.openConnectUi();
        await sendToken(token);
        await expectList(await opened);
    });
});

describe('C2: the address of the page', () => {
    test.each<[string, () => string]>([
        ['its own origin', () => rig.uiUrl],
        ['with a slash', () => `${rig.uiUrl}/`],
        ['a path of the API', () => `${rig.valetkey.url}/connect-ui`],
        ['with a slash, and a query that is kept', () => `${rig.valetkey.url}/connect-ui/?popup_width=700`],
    ])('%s: C3, nothing is redirected', async (_name, baseURL) => {
        const redirects: string[] = [];
        visit.page.on('response', (response) => {
            if (response.status() >= 300) redirects.push(response.url());
        });
        const frame = await visit.openConnectUi({ sessionToken: token, baseURL: baseURL(), lang: 'de', themeOverride: 'dark' });
        await expectList(frame);
        expect(redirects).toEqual([]);
        const { searchParams } = new URL(frame.url());
        expect(Object.fromEntries(searchParams)).toMatchObject({ lang: 'de', theme: 'dark', apiURL: rig.valetkey.url });
        expect(searchParams.get('popup_width')).toBe(baseURL().includes('?') ? '700' : null);
        expect(await frame.getAttribute('html', 'lang')).toBe('de');
    });
});

test('C4: without a token for ten seconds the page says so, and takes one that comes later', async () => {
    await visit.page.clock.install();
    const frame = await visit.openConnectUi();
    await expect.poll(() => typesOf()).toEqual(['ready']);
    await visit.page.clock.fastForward(10_000);
    await heading(frame, 'Open this page from your app');
    await sendToken(token);
    await expectList(frame);
});

test('C5: a token that has expired, then one that has not', async () => {
    const frame = await visit.openConnectUi({ sessionToken: `nango_connect_session_${'0'.repeat(64)}` });
    await heading(frame, 'This session has expired');
    await sendToken(token);
    await expectList(frame);
    await expect.poll(() => typesOf()).toEqual(['ready']);
});

test('C18: a success is told; finishing closes once and leaves nothing behind; it opens again', async () => {
    ({ token } = await rig.session({ allowed_integrations: ['oauth'] }));
    const frame = await visit.openConnectUi({ sessionToken: token });
    const overflow = () => visit.page.evaluate(() => document.body.style.overflow);
    await expect.poll(overflow).toBe('hidden');
    const popup = visit.nextWindow();
    await frame.click('button[type=submit]');
    const opened = await popup;
    const closed = opened.waitForEvent('close');
    await approve(opened);
    await heading(frame, 'Connected');
    await closed;
    const connectionId = expect.any(String) as string;
    const told = [{ type: 'ready' }, { type: 'connect', payload: { providerConfigKey: 'oauth', connectionId } }];
    await expect.poll(() => visit.events()).toEqual(told);
    await frame.getByRole('button', { name: 'Done' }).click();
    await visit.page.waitForSelector('iframe#connect-ui', { state: 'detached' });
    await expect.poll(() => visit.events()).toEqual([...told, { type: 'close' }]);
    await expect.poll(overflow).toBe('');

    await visit.page.evaluate(() => (window as unknown as { connectUi: Handle }).connectUi.open());
    const again = await (await visit.page.waitForSelector('iframe#connect-ui')).contentFrame();
    await again!.locator('button[type=submit]').waitFor();
});

test('C22: a host page that isolates itself: the window has no opener, and the page learns of its success', async () => {
    const host = await startHostPage({ 'cross-origin-opener-policy': 'same-origin' });
    const isolated = await rig.visit({ hostUrl: host.url });
    const session = await rig.session({ allowed_integrations: ['oauth'] });
    const frame = await isolated.openConnectUi({ sessionToken: session.token });
    const popup = isolated.nextWindow();
    await frame.click('button[type=submit]');
    const opened = await popup;
    await opened.waitForSelector('#approve');
    expect(await opened.evaluate(() => window.opener as unknown)).toBeNull();
    await approve(opened);
    await heading(frame, 'Connected');
    await expect.poll(() => typesOf(isolated)).toEqual(['ready', 'connect']);
    await isolated.close();
    await host.close();
});

describe('C35: who may embed it', () => {
    test('any page, unless somebody says otherwise', async () => {
        const elsewhere = await rig.visit({ hostUrl: rig.host.url.replace('localhost', '127.0.0.1') });
        await expectList(await elsewhere.openConnectUi({ sessionToken: token }));
        await elsewhere.close();
    });

    test('the pages that are listed, and no other', async () => {
        const { origin } = new URL(rig.host.url);
        const valetkey = await startTestApp({
            env: { VALETKEY_CONNECT_UI_FRAME_ANCESTORS: origin },
            connectUiDirectory: join(import.meta.dirname, '../../../dist/ui/connect'),
        });
        await valetkey.listen();
        const props = { baseURL: `${valetkey.url}/connect-ui`, apiURL: valetkey.url };
        await visit.openConnectUi(props);
        await expect.poll(() => typesOf()).toEqual(['ready']);

        const stranger = await rig.visit({ hostUrl: rig.host.url.replace('localhost', '127.0.0.1') });
        const complaint = stranger.page.waitForEvent('console', (line) => line.text().includes('frame-ancestors'));
        await stranger.openConnectUi(props);
        await complaint;
        expect(await typesOf(stranger)).toEqual([]);
        await stranger.close();
        await valetkey.close();
    });
});
