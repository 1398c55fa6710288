/** `examples/` as their README paragraphs say: one command each beside a simulating Valetkey, and a connection that the webhook tells of. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { launchBrowser } from '../peers/browser.ts';
import { freePort } from '../peers/free-port.ts';
import { eventually, spawnValetkey, watch } from './valetkey.ts';

const root = join(import.meta.dirname, '../..');
let directory: string;
let browser: Browser;
let url: string;
let key: string;
const stops: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'valetkey-examples-'));
    const port = await freePort();
    const env = { PORT: String(port), VALETKEY_SIMULATOR_PORT: String(await freePort()), VALETKEY_DATA_DIR: join(directory, 'data') };
    const child = spawnValetkey('src/main.ts', env, ['--simulate']);
    const { exited, output } = watch(child);
    stops.push(async () => {
        child.kill('SIGTERM');
        await exited;
    });
    browser = await launchBrowser();
    key = await eventually(() => {
        const [, printed] = /API key \(dev\)\s+(\S+)[^]*Try next/.exec(output()) ?? [];
        if (printed === undefined) throw new Error(`Valetkey has not started:\n${output()}`);
        return printed;
    }, 50_000);
    url = `http://localhost:${port}`;
});
afterAll(async () => {
    await browser?.close();
    for (const stop of stops) await stop();
    await rm(directory, { recursive: true, force: true });
});

let page: Page | undefined;
let stopExample: (() => Promise<unknown>) | undefined;
afterEach(async () => {
    await page?.context().close();
    await stopExample?.();
});

function run(name: string, env: Record<string, string>) {
    const child = spawn(process.execPath, [`examples/${name}/server.js`], { cwd: root, env: { PATH: process.env['PATH'] ?? '', ...env } });
    const { exited, output } = watch(child);
    stopExample = async () => {
        if (child.exitCode === null) child.kill('SIGTERM');
        await exited;
    };
    return { exited, output };
}

async function open(name: string): Promise<Page> {
    const { output } = run(name, { VALETKEY_KEY: key, VALETKEY_URL: url, PORT: String(await freePort()) });
    const address = await eventually(() => {
        const [, printed] = /Open (\S+)/.exec(output()) ?? [];
        if (printed === undefined) throw new Error(`The example has not started:\n${output()}`);
        return printed;
    });
    page = await (await browser.newContext()).newPage();
    const listening = page.waitForResponse(/\/events$/);
    await page.goto(address);
    await listening;
    return page;
}

const approve = async (popup: Promise<Page>): Promise<void> => (await popup).getByRole('link', { name: 'Approve' }).click();
const expectTold = (integration: string, type: string): Promise<void> =>
    page!
        .getByRole('listitem')
        .filter({ hasText: new RegExp(`^${integration}: creation, ${type}, connection \\S+$`) })
        .waitFor();

test('embedded: the Connect UI connects Slack and OpenAI', async () => {
    const host = await open('embedded');
    for (const [integration, label, type] of [
        ['slack', 'Slack', 'OAUTH2'],
        ['openai', 'OpenAI', 'API_KEY'],
    ] as const) {
        await host.click('#connect');
        const ui = host.frameLocator('iframe#connect-ui');
        await ui.getByRole('button', { name: label }).click();
        if (type === 'API_KEY') await ui.locator('[name="credentials.apiKey"]').fill('sk-an-example');
        const popup = host.context().waitForEvent('page');
        popup.catch(() => {});
        await ui.locator('button[type=submit]').click();
        if (type === 'OAUTH2') await approve(popup);
        await ui.getByRole('heading', { name: 'Connected' }).waitFor();
        await ui.getByRole('button', { name: 'Done' }).click();
        await expectTold(integration, type);
        expect(await host.innerText('#status')).toBe(`Connected ${integration}.`);
    }
});

test('headless: the page’s own button and form do', async () => {
    const host = await open('headless');
    const popup = host.context().waitForEvent('page');
    await host.click('#slack');
    await approve(popup);
    await expectTold('slack', 'OAUTH2');
    await host.getByText('Connected slack.').waitFor();

    await host.fill('[name=apiKey]', 'sk-an-example');
    await host.click('#openai button');
    await expectTold('openai', 'API_KEY');
    await host.fill('[name=apiKey]', 'a-wrong-key');
    await host.click('#openai button');
    await host.getByText('connection_test_failed').waitFor();
});

test.each(['embedded', 'headless'])('%s: what is missing is said in one sentence', async (name) => {
    const { exited, output } = run(name, {});
    expect(await exited).toEqual({ code: 1, signal: null });
    expect(output()).toBe('Set VALETKEY_KEY to the API key (dev) that Valetkey prints when it starts.\n');

    const nowhere = run(name, { VALETKEY_KEY: key, VALETKEY_URL: `http://localhost:${await freePort()}` });
    expect((await nowhere.exited).code).toBe(1);
    expect(nowhere.output()).toMatch(/^Valetkey at http:\/\/localhost:\d+ could not be prepared: .+\.\n$/);
});

test('a webhook that is not signed is refused', async () => {
    const host = await open('embedded');
    const response = await fetch(new URL('/webhooks', host.url()), { method: 'POST', body: '{"type":"auth","success":true}' });
    expect(response.status).toBe(401);
});
