/** `--simulate` as a new user meets it: one command, a browser, a connection; no developer app and no network. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assertNothingReal, readSimulateOptions } from '../../src/simulate.ts';
import { startTestApp } from '../http/app.ts';
import { launchBrowser } from '../peers/browser.ts';
import { freePort } from '../peers/free-port.ts';
import { eventually, spawnValetkey, watch } from './valetkey.ts';

let directory: string;
let browser: Browser;

beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'valetkey-simulate-'));
    browser = await launchBrowser();
});

afterAll(async () => {
    await browser?.close();
    await rm(directory, { recursive: true, force: true });
});

interface Running {
    url: string;
    page: string;
    key: string;
    output(): string;
    stop(): Promise<unknown>;
}

async function simulate(): Promise<Running> {
    const [port, twinPort] = [await freePort(), await freePort()];
    const env = { PORT: String(port), VALETKEY_SIMULATOR_PORT: String(twinPort), VALETKEY_DATA_DIR: join(directory, 'data') };
    const child = spawnValetkey('src/main.ts', env, ['--simulate']);
    const { exited, output } = watch(child);
    await eventually(() => expect(output()).toContain('Try next'), 50_000);
    return {
        url: `http://localhost:${port}`,
        page: `http://localhost:${twinPort}/`,
        key: /API key \(dev\)\s+(\S+)/.exec(output())![1]!,
        output,
        stop: () => {
            child.kill('SIGTERM');
            return exited;
        },
    };
}

test('a new user connects Slack and Salesforce in the browser, and reads and renews the tokens', async () => {
    const running = await simulate();
    try {
        expect(running.output()).toContain('All providers are simulated');
        expect(running.output()).toContain(running.page);
        const context = await browser.newContext();
        for (const [slug, name] of [
            ['slack', 'Slack'],
            ['salesforce', 'Salesforce'],
        ] as const) {
            const page = await context.newPage();
            await page.goto(`${running.page}?search=${slug}`);
            await page.getByRole('link', { name, exact: true }).click();
            const [popup] = await Promise.all([context.waitForEvent('page'), page.getByRole('button', { name: `Connect ${name}` }).click()]);
            await popup.getByRole('link', { name: 'Approve' }).click();
            await popup.waitForURL(/\/oauth\/callback/);
            await eventually(async () => expect(await page.locator('#activity').innerText()).toContain('token'));
            await page.close();
        }

        const headers = { authorization: `Bearer ${running.key}` };
        const { connections } = (await (await fetch(`${running.url}/connections`, { headers })).json()) as {
            connections: { connection_id: string; provider_config_key: string }[];
        };
        expect(connections.map(({ provider_config_key }) => provider_config_key).toSorted()).toEqual(['salesforce', 'slack']);
        const { connection_id } = connections.find(({ provider_config_key }) => provider_config_key === 'salesforce')!;
        const read = async (force: boolean): Promise<{ credentials: { access_token: string }; connection_config: Record<string, string> }> => {
            const query = new URLSearchParams({ provider_config_key: 'salesforce', force_refresh: String(force) });
            const response = await fetch(`${running.url}/connections/${connection_id}?${query.toString()}`, { headers });
            expect(response.status).toBe(200);
            return response.json() as ReturnType<typeof read>;
        };
        const first = await read(false);
        expect(first.connection_config['instance_url']).toBe('https://salesforce.twin.example');
        expect((await read(true)).credentials.access_token).not.toBe(first.credentials.access_token);
    } finally {
        await running.stop();
    }
});

test('the consent page says no as well', async () => {
    const running = await simulate();
    try {
        const context = await browser.newContext();
        const page = await context.newPage();
        await page.goto(`${running.page}?provider=github`);
        const [popup] = await Promise.all([context.waitForEvent('page'), page.getByRole('button', { name: 'Connect GitHub' }).click()]);
        await popup.getByRole('link', { name: 'Deny' }).click();
        await popup.waitForURL(/\/oauth\/callback/);
        expect(await popup.locator('body').innerText()).toContain('access_denied');
    } finally {
        await running.stop();
    }
});

describe('simulation is refused', () => {
    test.each([[['--simulate']], [['serve', '--simulate']], [['simulate']]])('in production: %j', async (argv) => {
        const env = {
            NODE_ENV: 'production',
            PORT: String(await freePort()),
            VALETKEY_SIMULATOR_PORT: String(await freePort()),
            VALETKEY_DATA_DIR: join(directory, 'none'),
        };
        const { exited, output } = watch(spawnValetkey('src/main.ts', env, argv));
        expect(await exited).toEqual({ code: 1, signal: null });
        expect(output()).toBe(
            'Valetkey cannot start. Providers are not simulated where NODE_ENV is production; unset it, or start without simulation.\n',
        );
    });

    test('over a database whose production environment has connections', async () => {
        const app = await startTestApp({
            providers: JSON.stringify({
                open: {
                    display_name: 'Open',
                    categories: ['other'],
                    auth_mode: 'API_KEY',
                    credentials: { apiKey: { type: 'string', title: 'Key', description: 'A key.' } },
                    proxy: { base_url: 'https://open.example', headers: { 'x-api-key': '${apiKey}' } },
                },
            }),
        });
        try {
            await expect(assertNothingReal(app.app.database)).resolves.toBeUndefined();
            const connect = async (key: string): Promise<void> => {
                await app.call('POST', '/integrations', { key, body: { provider: 'open', unique_key: 'open' } });
                const body = { provider_config_key: 'open', connection_id: 'c1', credentials: { type: 'API_KEY', apiKey: 'k' } };
                expect((await app.call('POST', '/connections', { key, body })).status).toBeLessThan(300);
            };
            await connect(app.key);
            await expect(assertNothingReal(app.app.database)).resolves.toBeUndefined();
            await connect(app.prodKey);
            await expect(assertNothingReal(app.app.database)).rejects.toThrow('database of its own');
        } finally {
            await app.close();
        }
    });

    test.each([[['--port', 'many']], [['--port']], [['--unknown']], [['--port', '70000']]])('with %j', (words) => {
        expect(() => readSimulateOptions(words)).toThrow('takes --port');
    });

    test('options are read otherwise', () => {
        expect(readSimulateOptions(['--port', '4000', '--providers', 'mine.yaml'])).toEqual({ port: 4000, providers: 'mine.yaml' });
        expect(readSimulateOptions([])).toEqual({ port: undefined, providers: undefined });
    });
});
