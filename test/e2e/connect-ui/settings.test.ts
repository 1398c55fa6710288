/**
 * How the Connect UI looks is an environment's own (frontend contract §5, §6 S1, S2): what is set over HTTP is what the page of that
 * environment shows, and no other. The rules of the endpoint: test/http/connect-ui-and-variables.test.ts; each setting: looks.test.ts.
 */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newTestApiKey, reachable, type Reachable } from '../valetkey.ts';
import { startRig, type Rig, type Session } from './rig.ts';

let rig: Rig;
let dev: Reachable;
let prod: Reachable;

beforeAll(async () => {
    const prodKey = newTestApiKey();
    rig = await startRig({ env: { VALETKEY_SECRET_KEY_PROD: prodKey } });
    dev = rig.valetkey;
    prod = reachable(rig.valetkey.url, prodKey);
    await prod.call('POST', '/integrations', { provider: 'key-test', unique_key: 'keys' });
});
afterAll(() => rig?.close());

const settings = (primary: string, defaultTheme: 'light' | 'dark' | 'system', showWatermark: boolean) => ({
    theme: { light: { primary }, dark: { primary } },
    defaultTheme,
    showWatermark,
});
const usual = {
    theme: { light: { primary: '#1f5eff' }, dark: { primary: '#7aa2ff' } },
    defaultTheme: 'system',
    showWatermark: false,
};
const put = async (environment: Reachable, body: unknown): Promise<number> => (await environment.call('PUT', '/environment/connect-ui', body)).status;

async function set(environment: Reachable, body: unknown): Promise<void> {
    const status = await put(environment, body);
    if (status !== 200) throw new Error(`PUT /environment/connect-ui answered ${status}`);
}

beforeEach(async () => {
    for (const environment of [dev, prod]) await set(environment, usual);
});

const link = async (environment: Reachable): Promise<string> => {
    const body = { end_user: { id: 'user-1' }, allowed_integrations: ['keys'] };
    return (await environment.call<{ data: Session }>('POST', '/connect/sessions', body)).body.data.connect_link;
};

interface Look {
    primary: string;
    isDark: boolean;
    hasWatermark: boolean;
}

async function lookOf(page: Page): Promise<Look> {
    const button = page.locator('button[type=submit]');
    await button.waitFor();
    return {
        primary: await button.evaluate((element) => getComputedStyle(element).getPropertyValue('--primary').trim()),
        isDark: await page.evaluate(() => document.documentElement.classList.contains('dark')),
        hasWatermark: (await page.getByText('Secured by Valetkey').count()) === 1,
    };
}

const open = async (environment: Reachable): Promise<Page> => rig.tab(await link(environment), { colorScheme: 'light' });

test('S2: each environment’s page shows its own colour, theme and watermark, also beside the other’s in one browser', async () => {
    await set(dev, settings('#c2185b', 'light', true));
    await set(prod, settings('#00796b', 'dark', false));
    const ofDev: Look = { primary: 'rgb(194 24 91)', isDark: false, hasWatermark: true };
    const ofProd: Look = { primary: 'rgb(0 121 107)', isDark: true, hasWatermark: false };
    const page = await open(dev);
    expect(await lookOf(page)).toEqual(ofDev);
    const beside = await page.context().newPage();
    await beside.goto(await link(prod));
    expect(await lookOf(beside)).toEqual(ofProd);
    await page.reload();
    expect(await lookOf(page)).toEqual(ofDev);
    await page.context().close();
});

describe('S1: what is set is what is seen', () => {
    const ours: Look = { primary: 'rgb(31 94 255)', isDark: false, hasWatermark: false };

    test('from the next look on, in this environment alone', async () => {
        const [page, other] = [await open(dev), await open(prod)];
        expect(await lookOf(page)).toEqual(ours);
        await set(dev, settings('#c2185b', 'dark', true));
        for (const seen of [page, other]) await seen.reload();
        expect(await lookOf(page)).toEqual({ primary: 'rgb(194 24 91)', isDark: true, hasWatermark: true });
        expect(await lookOf(other)).toEqual(ours);
        for (const seen of [page, other]) await seen.context().close();
    });

    test('and what is refused is not', async () => {
        const { theme: _, ...partial } = settings('#c2185b', 'dark', true);
        const bodies = [partial, settings('#fff;} body { display: none', 'dark', true), { ...settings('#c2185b', 'dark', true), font: 'x' }];
        for (const body of bodies) expect(await put(dev, body)).toBe(400);
        const page = await open(dev);
        // a session token is no key
        const token = (await rig.session()).token;
        const stranger = { authorization: `Bearer ${token}` };
        expect((await dev.call('PUT', '/environment/connect-ui', settings('#c2185b', 'dark', true), stranger)).status).toBe(401);
        await page.reload();
        expect(await lookOf(page)).toEqual(ours);
        await page.context().close();
    });
});
