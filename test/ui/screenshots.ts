/**
 * `npm run screenshots`: every screen of the Connect UI in both themes, wide and narrow, into docs/screenshots. A real Valetkey with
 * simulated providers, embedded by the official client; what a healthy server does not say is put into its mouth by the browser.
 * Names of screens as arguments take those alone.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Frame, Page, Route } from 'playwright-core';
import { spawnValetkey, watch } from '../e2e/valetkey.ts';
import { launchBrowser } from '../peers/browser.ts';
import { freePort } from '../peers/free-port.ts';
import { startHostPage } from '../peers/host-page.ts';

const folder = join(import.meta.dirname, '../../docs/screenshots');

interface Shot {
    /** Of the session; all integrations without. */
    only?: string;
    /** Of the environment `dev`, unless there is nothing in it. */
    environment?: 'prod';
    /** In a tab of its own; with `null`, without a session. */
    standalone?: boolean | null;
    session?: Record<string, unknown>;
    /** Answers in the place of the server's, by the path they begin with. */
    instead?: Record<string, (route: Route) => Promise<void>>;
    act?: (frame: Frame) => Promise<void>;
}

const token = `ghp_${'0123456789'.repeat(3)}abcdef`;
const fulfil = (status: number, json: unknown) => (route: Route) => route.fulfill({ status, json, headers: { 'access-control-allow-origin': '*' } });
const refusal = (code: string, message: string, status = 400) => fulfil(status, { error: { code, message } });
const submit = (frame: Frame) => frame.click('button[type=submit]');
const awaitHeading = (text: string) => async (frame: Frame) => {
    await frame.getByRole('heading', { name: text }).waitFor();
};

const shots: Record<string, Shot> = {
    list: {},
    search: { act: (frame) => frame.fill('[type=search]', 'git') },
    'list-empty': { environment: 'prod' },
    'form-api-key': { only: 'github-pat' },
    'form-affixes': {
        only: 'freshdesk',
        act: async (frame) => {
            await frame.fill('[name="credentials.username"]', 'secret-key');
            await frame.fill('[name="params.subdomain"]', 'no such host!');
            await frame.press('[name="params.subdomain"]', 'Tab');
        },
    },
    'form-key-file': {
        only: 'snowflake-jwt',
        act: (frame) => frame.locator('textarea').scrollIntoViewIfNeeded(),
    },
    'form-select': { only: 'datadog', act: (frame) => frame.locator('select').first().scrollIntoViewIfNeeded() },
    'form-aws': { only: 'aws-sigv4' },
    'form-oauth': { only: 'slack' },
    'form-own-app': {
        only: 'hubspot',
        session: {
            integrations_config_defaults: { hubspot: { connection_config: { oauth_client_id_override: '', oauth_client_secret_override: '' } } },
        },
    },
    busy: {
        only: 'github-pat',
        instead: { '/api-auth/': () => new Promise(() => {}) },
        act: async (frame) => {
            await frame.fill('input', token);
            await submit(frame);
        },
    },
    waiting: { only: 'slack', act: async (frame) => (await submit(frame), awaitHeading('Continue at Slack')(frame)) },
    'popup-blocked': {
        only: 'slack',
        act: async (frame) => {
            await frame.evaluate(() => (window.open = () => null));
            await submit(frame);
            await frame.getByRole('alert').waitFor();
        },
    },
    success: {
        only: 'github-pat',
        act: async (frame) => {
            await frame.fill('input', token);
            await submit(frame);
            await awaitHeading('Connected')(frame);
        },
    },
    'success-link': {
        only: 'github-pat',
        standalone: true,
        act: async (frame) => {
            await frame.fill('input', token);
            await submit(frame);
            await awaitHeading('Connected')(frame);
        },
    },
    pending: {
        only: 'sentry-oauth',
        act: async (frame) => {
            await frame.fill('[name="params.actor"]', '123456');
            await submit(frame);
            await awaitHeading('Waiting for approval')(frame);
        },
    },
    failure: {
        only: 'github-pat',
        instead: { '/api-auth/': refusal('connection_test_failed', 'GitHub answered 401: Bad credentials') },
        act: async (frame) => {
            await frame.fill('input', token);
            await submit(frame);
            await frame.click('[aria-controls=details]');
        },
    },
    expired: { instead: { '/connect/session': refusal('unknown_connect_session_token', 'Expired', 401) } },
    'no-token': { standalone: null },
    error: { instead: { '/integrations': (route) => route.abort() } },
    unsupported: {
        only: 'slack',
        instead: { '/providers/': fulfil(200, { data: { name: 'slack', display_name: 'Slack', auth_mode: 'TELEPATHY' } }) },
    },
    leave: {
        only: 'github-pat',
        act: async (frame) => {
            await frame.fill('input', 'ghp_0123');
            await frame.press('input', 'Escape');
        },
    },
};

const apiKey = '5f9e2c1a-6c5e-4a57-9d0a-0c6f5b7f9a11';
const prodKey = '5f9e2c1a-6c5e-4a57-9d0a-0c6f5b7f9a12';
const client = { type: 'OAUTH2', client_id: 'client', client_secret: 'secret', scopes: 'read' };
const integrations: [provider: string, credentials?: object][] = [
    ['asana', client],
    ['aws-sigv4'],
    ['datadog'],
    ['freshdesk'],
    ['github', client],
    ['github-pat'],
    ['gitlab', client],
    ['hubspot', client],
    ['notion', client],
    ['openai'],
    ['salesforce', client],
    ['sentry-oauth', client],
    ['slack', client],
    ['snowflake-jwt'],
    ['stripe-api-key'],
    ['zendesk', client],
];

async function main(wanted: readonly string[]): Promise<void> {
    const directory = await mkdtemp(join(tmpdir(), 'valetkey-screenshots-'));
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const env = {
        PORT: String(port),
        HOST: '127.0.0.1',
        VALETKEY_PUBLIC_URL: url,
        VALETKEY_SIMULATOR_PORT: String(await freePort()),
        VALETKEY_DATA_DIR: join(directory, 'data'),
        VALETKEY_SECRET_KEY_DEV: apiKey,
        VALETKEY_SECRET_KEY_PROD: prodKey,
    };
    const child = spawnValetkey('src/main.ts', env, ['--simulate']);
    const { exited, output } = watch(child);
    const browser = await launchBrowser();
    const host = await startHostPage();
    try {
        await untilServing(url, exited, output);
        for (const [provider, credentials] of integrations) {
            await call(url, apiKey, '/integrations', { provider, unique_key: provider, ...(credentials && { credentials }) });
        }
        await mkdir(folder, { recursive: true });
        for (const [name, shot] of Object.entries(shots)) {
            if (wanted.length > 0 && !wanted.includes(name)) continue;
            for (const theme of ['light', 'dark'] as const) {
                for (const [width, height] of [
                    [1280, 860],
                    [360, 740],
                ] as const) {
                    await take(browser, { url, hostUrl: host.url, name, shot, theme, width, height });
                }
            }
            process.stdout.write(`${name}\n`);
        }
    } finally {
        await browser.close();
        await host.close();
        child.kill('SIGTERM');
        await exited;
        await rm(directory, { recursive: true, force: true });
    }
}

interface Take {
    url: string;
    hostUrl: string;
    name: string;
    shot: Shot;
    theme: 'light' | 'dark';
    width: number;
    height: number;
}

async function take(browser: Browser, { url, hostUrl, name, shot, theme, width, height }: Take): Promise<void> {
    const { only, session = {}, standalone = false, instead = {}, act } = shot;
    const key = shot.environment === 'prod' ? prodKey : apiKey;
    const allowed = only === undefined ? {} : { allowed_integrations: [only] };
    const { data } = (await call(url, key, '/connect/sessions', { end_user: { id: 'user-1' }, ...allowed, ...session })) as {
        data: { token: string; connect_link: string };
    };
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: 'reduce' });
    const page = await context.newPage();
    for (const [path, answer] of Object.entries(instead)) {
        await page.route(
            (address) => address.pathname.startsWith(path),
            (route) => (route.request().method() === 'OPTIONS' ? route.continue() : answer(route)),
        );
    }
    const frame = standalone === false ? await embedded(page, { url, hostUrl, token: data.token }) : page.mainFrame();
    if (standalone === true) await page.goto(data.connect_link);
    if (standalone === null) await page.goto(`${url}/connect-ui/`);
    await frame.getByRole('heading', { level: 1 }).waitFor();
    await act?.(frame);
    await frame.waitForFunction(() => [...document.images].every(({ complete, loading }) => complete || loading === 'lazy'));
    await page.waitForTimeout(300);
    await page.screenshot({ path: join(folder, `${name}-${theme}-${width}.png`), caret: 'hide' });
    await context.close();
}

/** As a product would have it: its own page behind, the official client in front. */
async function embedded(page: Page, { url, hostUrl, token }: { url: string; hostUrl: string; token: string }): Promise<Frame> {
    await page.goto(hostUrl);
    await page.waitForFunction(() => 'Nango' in window);
    await page.evaluate(
        ({ baseURL, apiURL, sessionToken }) => {
            document.body.innerHTML =
                '<div style="font:15px system-ui;padding:40px 56px;color:#1c2330"><b style="font-size:22px">Acme CRM</b><p>Settings › Integrations</p>' +
                '<div style="height:120px;border-radius:14px;background:#fff;margin:24px 0"></div>'.repeat(4) +
                '</div>';
            document.body.style.cssText = 'margin:0;background:#e9edf4';
            // As the style sheets of most products begin.
            document.head.append(Object.assign(document.createElement('style'), { textContent: 'iframe{border:0}' }));
            const { Nango } = window as unknown as { Nango: new (config: object) => { openConnectUI(props: object): void } };
            new Nango({ connectSessionToken: sessionToken }).openConnectUI({ baseURL, apiURL });
        },
        { baseURL: `${url}/connect-ui`, apiURL: url, sessionToken: token },
    );
    const frame = await (await page.waitForSelector('iframe')).contentFrame();
    if (frame === null) throw new Error('The frame of the Connect UI has no content');
    return frame;
}

async function call(url: string, key: string, path: string, body: unknown): Promise<unknown> {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
    return response.json();
}

async function untilServing(url: string, exited: Promise<unknown>, output: () => string): Promise<void> {
    let hasExited = false;
    void exited.then(() => (hasExited = true));
    while (
        !(await fetch(`${url}/health`).then(
            ({ ok }) => ok,
            () => false,
        ))
    ) {
        if (hasExited) throw new Error(`Valetkey ended before it served:\n${output()}`);
        await new Promise((resolve) => setTimeout(resolve, 200));
    }
}

await main(process.argv.slice(2));
